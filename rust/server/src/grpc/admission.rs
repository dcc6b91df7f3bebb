//! Who is let in: the same decision as over HTTP, by metadata, peer, method and model.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use tidegate_schema::{Error, ErrorKind, Result};

use super::call::Call;
use crate::access::{self, Action, Allowance, Asked, Caller, Credentials, Pass, Refusal};
use crate::asking::Named;
use crate::service::Service;

/// What admission has said of a request.
#[derive(Debug, Default)]
pub struct Admission {
    /// Has the request counted at the rate limits?
    counted: Cell<bool>,
    allowance: Cell<Option<Allowance>>,
    caller: RefCell<Option<Arc<Caller>>>,
    /// Which version answers, once that is chosen; of a stream each message has its own.
    pub(super) named: Named,
}

impl Admission {
    /// Who asks, where that is known.
    pub fn caller(&self) -> Option<Arc<Caller>> {
        self.caller.borrow().clone()
    }
}

/// Is a request with this metadata let in?
pub fn decide(
    service: &Service,
    metadata: &HeaderMap,
    peer: std::net::IpAddr,
    asked: &Asked<'_>,
) -> std::result::Result<Pass, Refusal> {
    let access = &service.shared.options.access;
    access.admit(
        Credentials::of(metadata),
        peer,
        asked.action,
        asked.model.as_deref(),
    )
}

impl Call {
    /// Every request passes here once its method and metadata are known, before its messages are
    /// read: nobody may make the server read or hold anything without saying who they are.
    pub fn begin(&self) -> Result<()> {
        let options = &self.service.shared.options;
        if let Some(message) = options.limits.header_excess(&self.metadata) {
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if access::of_method(self.method) != Action::Open {
            options.access.identify(Credentials::of(&self.metadata))?;
        }
        self.in_time(None)
    }

    /// Every request passes here once the model that it names is known (a stream once for each
    /// message), before anything is done for it. Tells who asks, where that must be said.
    pub fn admit(&self, model: Option<&str>) -> Result<Option<Arc<Caller>>> {
        self.admit_as(&Asked {
            action: access::of_method(self.method),
            model: model.map(Into::into),
        })
    }

    /// The same for what the method does not tell alone.
    pub fn admit_as(&self, asked: &Asked<'_>) -> Result<Option<Arc<Caller>>> {
        let admission = &self.admission;
        admission.counted.set(true);
        let peer = self.peer.address.ip();
        match decide(&self.service, &self.metadata, peer, asked) {
            Ok(pass) => {
                admission.allowance.set(pass.allowance);
                admission.caller.replace(pass.caller.clone());
                self.in_time(asked.model.as_deref())?;
                Ok(pass.caller)
            }
            Err(refusal) => {
                admission.allowance.set(refusal.allowance);
                Err(refusal.error)
            }
        }
    }

    /// The error of a request that failed before it told what it asks for: it counts at the rate
    /// limits like any other, so that nonsense is no way around them.
    pub fn failed(&self, error: Error) -> Error {
        let probe = access::of_method(self.method) == Action::Open;
        if probe || self.admission.counted.get() || error.kind == ErrorKind::Unauthenticated {
            return error;
        }
        match self.admit_as(&Asked::server(Action::Known)) {
            Err(refusal) if refusal.kind != ErrorKind::Deadline => refusal,
            _ => error,
        }
    }

    /// What is left of the tightest rate limit.
    pub fn allowance(&self) -> Option<Allowance> {
        self.admission.allowance.get()
    }

    fn in_time(&self, model: Option<&str>) -> Result<()> {
        if self.deadline.is_none_or(|end| end > Instant::now()) {
            return Ok(());
        }
        let whose = match model {
            Some(model) => format!("a request for model {model:?}"),
            None => "the request".to_owned(),
        };
        Err(Error::new(
            ErrorKind::Deadline,
            format!("the deadline of {whose} has passed: allow more time"),
        ))
    }
}
