//! The load generator: `tidegate.bench` drives it from a process of its own.

use pyo3::prelude::*;
use tidegate_load::{Case, Expect, Plan};
use tidegate_schema::Error;

use crate::enter;
use crate::errors::raise;

/// The answers that are due, in one form for all bodies.
#[derive(FromPyObject)]
pub enum Expected {
    /// Whole bodies.
    Exact(Vec<Vec<u8>>),
    /// The numbers of one array in a JSON body.
    Numbers(Vec<Vec<f64>>),
}

/// Makes the load of a plan (JSON) and returns the report (JSON).
#[pyfunction]
#[pyo3(signature = (plan, bodies, expected = None))]
pub fn load(
    py: Python<'_>,
    plan: &str,
    bodies: Vec<Vec<u8>>,
    expected: Option<Expected>,
) -> PyResult<String> {
    let plan = Plan::from_json(plan).map_err(raise)?;
    let expected = match expected {
        None => vec![Expect::Status; bodies.len()],
        Some(Expected::Exact(all)) => all.into_iter().map(Expect::Exact).collect(),
        Some(Expected::Numbers(all)) => all.into_iter().map(Expect::Numbers).collect(),
    };
    let (given, due) = (bodies.len(), expected.len());
    if given != due {
        let message = format!("{due} answers are expected for {given} bodies: give one for each");
        return Err(raise(Error::invalid(message)));
    }
    let both = bodies.into_iter().zip(expected);
    let cases: Vec<Case> = both.map(|(body, expect)| Case { body, expect }).collect();
    enter::run(py, || {
        let report = tidegate_load::run(&plan, &cases)?;
        serde_json::to_string(&report).map_err(|error| Error::internal(error.to_string()))
    })
}
