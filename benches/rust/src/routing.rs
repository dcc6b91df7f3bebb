//! Deployments whose models compute nothing: what is measured is how a request finds its version.

use std::borrow::Cow;
use std::sync::Arc;

use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::{Clues, LoadOptions, Options, Runtime, TensorInfo};
use tidegate_schema::{Datatype, Result, Tensor};

/// Gives nothing.
#[derive(Debug)]
struct Nothing(Vec<TensorInfo>);

impl Backend for Nothing {
    fn inputs(&self) -> &[TensorInfo] {
        &self.0
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.0
    }

    fn run(&mut self, _: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }
}

/// A request with a header `x-user`.
#[derive(Debug)]
pub struct Request {
    /// Its value.
    pub user: String,
}

impl Clues for Request {
    fn header(&self, name: &str) -> Option<&[u8]> {
        (name == "x-user").then_some(self.user.as_bytes())
    }

    fn claim(&self, _: &str) -> Option<&str> {
        None
    }

    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"0198c0de12340000")
    }
}

/// A runtime that serves `single`, one version that gets everything, and `canary`, two that share
/// the traffic by a header.
///
/// # Errors
/// `Backend` when the system gives no thread.
pub fn deployed() -> Result<Arc<Runtime>> {
    let runtime = Runtime::new(&Options::default())?;
    let options = LoadOptions {
        instances: Some(1),
        ..LoadOptions::default()
    };
    let model = |version: &str| {
        let info = TensorInfo {
            name: "x".to_owned(),
            datatype: Datatype::Fp32,
            shape: vec![-1],
        };
        let backend = Box::new(Nothing(vec![info]));
        runtime.load_backend("nothing", version, backend, &options)
    };
    runtime.deploy("single", model("1.0.0")?, 1)?;
    let document = r#"{"arms": [
        {"version": "1.0.0", "weight": 9500, "role": "stable"},
        {"version": "1.1.0", "weight": 500, "role": "candidate"}],
        "key": {"from": "header", "name": "x-user"}}"#;
    runtime.route(
        "canary",
        1,
        document,
        vec![model("1.0.0")?, model("1.1.0")?],
    )?;
    Ok(runtime)
}
