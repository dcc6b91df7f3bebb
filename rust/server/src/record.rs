//! What is recorded of a request: its line in the access log, and its span.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, Request};
use hyper::body::Body as HttpBody;

use crate::access::Caller;
use crate::access_log::{Logged, Outcome};
use crate::grpc::Method;
use crate::routes;
use crate::service::Shared;
use crate::span::Traced;
use crate::trace::{Parent, Trace};

/// What a request speaks.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// HTTP, to be found in the table of routes.
    Http,
    /// gRPC; `None` for a method that there is not.
    Grpc(Option<Method>),
}

/// The records of one request, which are written even if its client goes first. Both are mostly
/// absent, and then nothing is done.
pub struct Record {
    // In memory of their own, which requests without them do not pay for.
    logged: Option<Box<Logged>>,
    traced: Option<Box<Traced>>,
}

impl Record {
    /// The records of a request that has come, as far as they are wanted.
    pub fn begin<B: HttpBody>(
        shared: &Arc<Shared>,
        request: &Request<B>,
        kind: Kind,
        trace: &Trace,
        remote: SocketAddr,
    ) -> Self {
        let tracer = shared.options.tracer.as_ref();
        let encrypted = shared.options.tls.is_some();
        let traced = tracer
            .and_then(|tracer| Traced::begin(tracer, request, kind, trace, remote, encrypted));
        let logged = shared.access_log.is_some().then(|| {
            let route = match kind {
                Kind::Http => routes::name(request.method(), request.uri().path()),
                Kind::Grpc(method) => method.map_or("none", Method::name),
            };
            let of_span = traced.as_ref().map(Traced::trace_id);
            let of_caller = || Parent::of(request.headers()).map(|parent| parent.trace);
            let trace_id = of_span.or_else(of_caller).map(str::to_owned);
            Logged::begin(shared, request, route, trace, trace_id, remote)
        });
        Self {
            logged: logged.map(Box::new),
            traced: traced.map(Box::new),
        }
    }

    /// Who asks, once that is known.
    pub fn asked_by(&mut self, caller: &Arc<Caller>) {
        if let Some(logged) = &mut self.logged {
            logged.asked_by(caller);
        }
        if let Some(traced) = &mut self.traced {
            traced.asked_by(caller);
        }
    }

    /// What is sent along with calls on behalf of this request, if it has a span.
    #[must_use]
    pub fn traceparent(&self) -> Option<HeaderValue> {
        self.traced.as_ref()?.traceparent()
    }

    /// Writes the records of a request that was answered.
    pub fn answered(self, outcome: impl FnOnce() -> Outcome) {
        if self.logged.is_none() && self.traced.is_none() {
            return;
        }
        let outcome = outcome();
        if let Some(logged) = self.logged {
            logged.answered(outcome);
        }
        if let Some(traced) = self.traced {
            traced.answered(outcome);
        }
    }
}
