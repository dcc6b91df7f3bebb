//! Who is let in, and the certificate: what a server goes by and can be given anew while it runs.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use tidegate_schema::Error;
use tidegate_server::Tls as CoreTls;
use tidegate_server::access::{Access as CoreAccess, Keys, Rate, Rates, Rules, Tokens};

use crate::enter::{run, run_attached};
use crate::errors::raise;

/// Who is let in; see `tidegate.server`.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Access {
    inner: Arc<CoreAccess>,
    allow_anonymous: bool,
}

impl Access {
    /// The core's own.
    pub fn core(&self) -> Arc<CoreAccess> {
        Arc::clone(&self.inner)
    }

    /// May everybody be let in from other machines?
    pub const fn allow_anonymous(&self) -> bool {
        self.allow_anonymous
    }
}

#[pymethods]
impl Access {
    #[new]
    #[pyo3(signature = (*, allow_anonymous=false))]
    fn new(allow_anonymous: bool) -> Self {
        Self {
            inner: Arc::default(),
            allow_anonymous,
        }
    }

    /// Takes the API keys of this text of a keys file; `None` for no such keys.
    fn set_keys(&self, text: Option<&str>) -> PyResult<()> {
        run_attached(|| {
            self.inner.set_keys(text.map(Keys::parse).transpose()?);
            Ok(())
        })
    }

    /// Takes tokens that are signed by a key of this JSON Web Key Set.
    #[pyo3(signature = (keys, *, issuer, audience, algorithms, claim, leeway))]
    fn set_tokens(
        &self,
        keys: &str,
        issuer: String,
        audience: String,
        algorithms: Vec<String>,
        claim: String,
        leeway: u64,
    ) -> PyResult<()> {
        let rules = Rules {
            issuer,
            audience,
            algorithms,
            claim,
            leeway,
        };
        run_attached(|| {
            self.inner.set_tokens(Some(Tokens::new(rules, keys)?));
            Ok(())
        })
    }

    /// Takes no tokens any more.
    fn clear_tokens(&self) {
        self.inner.set_tokens(None);
    }

    /// Takes these rates, such as `100/s`; `None` for no limit.
    #[pyo3(signature = (*, caller=None, model=None, caller_and_model=None))]
    fn set_rates(
        &self,
        caller: Option<&str>,
        model: Option<&str>,
        caller_and_model: Option<&str>,
    ) -> PyResult<()> {
        run_attached(|| {
            self.inner.set_rates(Rates {
                caller: caller.map(Rate::parse).transpose()?,
                model: model.map(Rate::parse).transpose()?,
                caller_and_model: caller_and_model.map(Rate::parse).transpose()?,
            });
            Ok(())
        })
    }

    /// Must callers say who they are?
    #[getter]
    fn required(&self) -> bool {
        self.inner.required()
    }

    /// Ends such a wait.
    fn interrupt(&self) {
        self.inner.interrupt();
    }

    /// Waits at most so many seconds until a token names an unknown key. True if one has.
    fn wait_for_unknown_key(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
            raise(Error::invalid(format!(
                "seconds is {seconds}: give a number from 0 on"
            )))
        })?;
        run(py, || Ok(self.inner.wait_for_unknown_key(time)))
    }
}

/// A certificate and its key.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Tls {
    inner: Arc<CoreTls>,
}

impl Tls {
    /// The core's own.
    pub fn core(&self) -> Arc<CoreTls> {
        Arc::clone(&self.inner)
    }
}

#[pymethods]
impl Tls {
    #[new]
    fn new(certificate: &[u8], key: &[u8]) -> PyResult<Self> {
        let inner = Arc::new(CoreTls::new(certificate, key).map_err(raise)?);
        Ok(Self { inner })
    }

    /// Takes another pair; if it is wrong, the one before stays.
    fn replace(&self, certificate: &[u8], key: &[u8]) -> PyResult<()> {
        self.inner.replace(certificate, key).map_err(raise)
    }
}
