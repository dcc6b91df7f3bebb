//! What a handler is given of a request.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use tidegate_runtime::{Deployment, Model, Permit};
use tidegate_schema::{Error, Result};

use crate::asking::Named;
use crate::routes::Target;
use crate::service::Service;

/// The head of a request, and what it was routed to.
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// Which version answers it, once that is chosen.
    pub(crate) named: &'a Named,
}

/// What a handler is given.
pub struct Call<'a> {
    /// The model that the path names; `None` for routes of the whole server.
    pub target: Option<Target<'a>>,
    /// The query, not decoded.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// Which version answers, once that is chosen.
    pub named: &'a Named,
    /// Lets in what asks a model to infer.
    pub permit: Option<Permit>,
    /// When it came.
    pub came: Came,
}

/// When a request came.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    /// When its head had been read.
    pub begun: Instant,
    /// Since when it could be read, where that is known.
    pub readable: Option<Instant>,
}

impl Came {
    /// Now, and at once.
    pub fn now() -> Self {
        Self {
            begun: Instant::now(),
            readable: None,
        }
    }
}

impl Call<'_> {
    /// The name by which the path asks for a model, decoded.
    pub fn name(&self) -> &str {
        self.target.as_ref().map_or("", |target| &target.model)
    }

    /// The deployment that the path names, and the version, if it names one.
    pub fn deployment(&self, service: &Service) -> Result<(Arc<Deployment>, Option<&str>)> {
        let Some(target) = &self.target else {
            return Err(Error::internal("a route without a model was asked for one"));
        };
        let deployment = service.shared.runtime.deployment(&target.model)?;
        Ok((deployment, target.version.as_deref()))
    }

    /// The model of the version that the path names, the stable one without.
    pub fn model(&self, service: &Service) -> Result<Arc<Model>> {
        let (deployment, version) = self.deployment(service)?;
        deployment.arm(version).map(|arm| Arc::clone(&arm.model))
    }
}
