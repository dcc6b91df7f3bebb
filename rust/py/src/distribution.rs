//! Rules about distributions: the rules of the features crate with the distances of the drift
//! crate, which know nothing of each other.

use std::any::Any;
use std::sync::Arc;

use pyo3::prelude::*;
use tidegate_drift::{Baseline, BaselineBuilder, Window, WindowReport};
use tidegate_features::rules::{Check, Distance, TableCheck};
use tidegate_schema::{Column, Error, Primitive, Result, Schema, Table};

use crate::arrow::import;
use crate::enter::run;
use crate::validation::select;

/// Live counts of one column in the cells of its reference.
struct Drifted {
    baseline: Arc<Baseline>,
    distance: Distance,
    window: Window,
    /// Integers as floats: numeric cells know one type.
    floats: Vec<f64>,
}

/// The check of a rule about a distribution.
pub fn distribution(check: &Check) -> Result<Box<dyn TableCheck>> {
    let Check::Distribution {
        distance,
        reference,
        ..
    } = check
    else {
        return Err(Error::internal("no rule about a distribution"));
    };
    let mut reference = reference.clone();
    // A column is int64 or float64 by whether values are missing, as pandas has it.
    if let Some(dtype) = reference.pointer_mut("/columns/0/dtype")
        && *dtype == "int64"
    {
        *dtype = "float64".into();
    }
    let baseline =
        Baseline::from_json(&reference.to_string()).map_err(|error| error.at("reference"))?;
    if baseline.columns().len() != 1 {
        return Err(Error::invalid(
            "the reference of a distribution is a baseline of one column",
        ));
    }
    Ok(Box::new(Drifted {
        window: Window::new(&baseline, 0.0),
        baseline: Arc::new(baseline),
        distance: *distance,
        floats: Vec::new(),
    }))
}

impl TableCheck for Drifted {
    fn fork(&self) -> Box<dyn TableCheck> {
        Box::new(Self {
            baseline: Arc::clone(&self.baseline),
            distance: self.distance,
            window: Window::new(&self.baseline, 0.0),
            floats: Vec::new(),
        })
    }

    fn update(&mut self, column: &Column<'_>) -> Result<()> {
        let rows = column.len();
        let column = match column {
            Column::Int64(values) => {
                let value = |row| values.get(row).map_or(f64::NAN, |value| value as f64);
                self.floats.clear();
                self.floats.extend((0..rows).map(value));
                Column::Float64(Primitive::all(&self.floats))
            }
            other => *other,
        };
        let table = Table::new(vec![column], rows)?;
        self.window.observe(&self.baseline, &table)
    }

    fn merge(&mut self, other: &dyn Any) -> Result<()> {
        match other.downcast_ref::<Self>() {
            Some(other) => self.window.merge(&other.window),
            None => Err(Error::internal("two checks of different kinds met")),
        }
    }

    fn finish(&mut self) -> Result<Option<f64>> {
        let report = WindowReport::new(&self.baseline, &self.window, true);
        Ok(report
            .columns
            .first()
            .and_then(|column| match self.distance {
                Distance::Psi => column.psi,
                Distance::JensenShannon => column.js,
            }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The baseline of one column of a table, in JSON: the reference of a rule about its distribution.
#[pyfunction]
pub fn column_baseline(
    py: Python<'_>,
    table: &Bound<'_, PyAny>,
    column: String,
) -> PyResult<String> {
    let batches = import(table)?;
    run(py, || {
        let schema = select(&batches, &[column])?;
        let mut builder = BaselineBuilder::new(&schema, &Schema::new(Vec::new())?)?;
        batches.for_each(&schema, |table| builder.update(table))?;
        Ok(builder.finish()?.to_json())
    })
}
