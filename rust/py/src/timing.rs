//! Times of Rust alone, which a call from Python could only measure together with the call.

use std::hint::black_box;
use std::time::Instant;

use pyo3::prelude::*;
use tidegate_features::Plan;
use tidegate_features::rules::{Guard, Policy, RuleSet};
use tidegate_protocol::Limits;
use tidegate_protocol::rows::{Extra, decode};
use tidegate_schema::{Result, Table};

use crate::schema::Schema;
use crate::{arrow, enter, errors::raise};

/// Rows timed together, so that the clock's own 50 ns hardly count.
const TOGETHER: usize = 16;

/// Nanoseconds a row for each 16 rows of a table that are worked on one by one.
fn timed(table: &Table<'_>, mut work: impl FnMut(&Table<'_>) -> Result<()>) -> Result<Vec<f64>> {
    (0..table.rows() / TOGETHER)
        .map(|group| {
            let rows: Vec<_> = (0..TOGETHER)
                .map(|row| table.slice(group * TOGETHER + row, 1))
                .collect();
            let begin = Instant::now();
            rows.iter().try_for_each(&mut work)?;
            Ok(begin.elapsed().as_nanos() as f64 / TOGETHER as f64)
        })
        .collect()
}

/// Nanoseconds a row for each 16 rows of a table that are transformed one by one, by a plan (JSON).
#[pyfunction]
pub fn time_rows(py: Python<'_>, plan: &str, table: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let plan = Plan::from_json(plan).map_err(raise)?;
    let batches = arrow::import(table)?;
    enter::run(py, || {
        batches.with_table(plan.input_schema(), |table| {
            let mut out = vec![0.0_f32; plan.width()];
            timed(table, |row| {
                plan.transform_into(row, &mut out)?;
                black_box(&out);
                Ok(())
            })
        })
    })
}

/// Nanoseconds a row for each 16 rows that are read from the bytes of their JSON and transformed one
/// by one, by a plan (JSON).
#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn time_json(py: Python<'_>, plan: &str, rows: Vec<Vec<u8>>) -> PyResult<Vec<f64>> {
    let plan = Plan::from_json(plan).map_err(raise)?;
    enter::run(py, || {
        let mut out = vec![0.0_f32; plan.width()];
        let limits = Limits::default();
        rows.chunks_exact(TOGETHER)
            .map(|group| {
                let begin = Instant::now();
                for body in group {
                    let row = decode(body, plan.input_schema(), Extra::Refuse, &limits)?;
                    plan.transform_into(&row.view()?, &mut out)?;
                    black_box(&out);
                }
                Ok(begin.elapsed().as_nanos() as f64 / TOGETHER as f64)
            })
            .collect()
    })
}

/// Nanoseconds a row for each 16 rows of a table that rules (JSON) guard one by one.
#[pyfunction]
pub fn time_guard(
    py: Python<'_>,
    rules: &str,
    schema: &Schema,
    table: &Bound<'_, PyAny>,
) -> PyResult<Vec<f64>> {
    let guard = RuleSet::from_json(rules)
        .and_then(|rules| Guard::new(&rules, &schema.0))
        .map_err(raise)?;
    let Some(guard) = guard else {
        return Ok(Vec::new());
    };
    let batches = arrow::import(table)?;
    enter::run(py, || {
        batches.with_table(&schema.0, |table| {
            timed(table, |row| {
                black_box(guard.check(row, Policy::Count)?);
                Ok(())
            })
        })
    })
}
