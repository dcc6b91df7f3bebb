//! Times of Rust alone, which a call from Python could only measure together with the call.

use std::hint::black_box;
use std::time::Instant;

use pyo3::prelude::*;
use tidegate_features::Plan;
use tidegate_schema::Error;

use crate::{arrow, enter, errors::raise};

/// Rows timed together, so that the clock's own 50 ns hardly count.
const TOGETHER: usize = 16;

/// Nanoseconds a row for each 16 rows of a table that are transformed one by one, by a plan (JSON).
#[pyfunction]
pub fn time_rows(py: Python<'_>, plan: &str, table: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let plan = Plan::from_json(plan).map_err(raise)?;
    let batches = arrow::import(table)?;
    enter::run(py, || {
        batches.with_table(plan.input_schema(), |table| {
            let mut out = vec![0.0_f32; plan.width()];
            let starts: Vec<usize> = (0..batches.rows() / TOGETHER).collect();
            let timed = |group: &usize| {
                let rows: Vec<_> = (0..TOGETHER)
                    .map(|row| table.slice(group * TOGETHER + row, 1))
                    .collect();
                let begin = Instant::now();
                for row in &rows {
                    plan.transform_into(row, &mut out)?;
                    black_box(&out);
                }
                Ok::<f64, Error>(begin.elapsed().as_nanos() as f64 / TOGETHER as f64)
            };
            starts.iter().map(timed).collect()
        })
    })
}
