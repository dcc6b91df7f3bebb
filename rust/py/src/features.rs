//! Features: a specification and its fit.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_features as core;
use tidegate_schema::{Column, ColumnBuf, DType, Error, Field, Primitive, Result, Table};

use crate::arrow::{Batches, import};
use crate::enter::{Watch, run, run_attached, run_watched};
use crate::plan::Plan;
use crate::schema::{Schema, parse};

/// An expression as it would be written in Python.
#[pyfunction]
pub fn expression_text(json: &str) -> PyResult<String> {
    run_attached(|| core::Expr::from_json(json).map(|expression| expression.to_string()))
}

/// Schema and expressions, checked but not fitted.
#[pyclass(module = "tidegate._core", frozen)]
pub struct FeatureSpec(Arc<core::FeatureSpec>);

#[pymethods]
impl FeatureSpec {
    /// Checks expressions in JSON against a schema.
    #[new]
    #[pyo3(signature = (schema, features, target=None))]
    #[allow(clippy::needless_pass_by_value)]
    fn new(schema: &Schema, features: Vec<String>, target: Option<&str>) -> PyResult<Self> {
        run_attached(|| {
            let features: Result<Vec<_>> = features
                .iter()
                .map(|text| core::Expr::from_json(text))
                .collect();
            let mut spec = core::FeatureSpec::new(schema.0.clone(), features?)?;
            if let Some(target) = target {
                spec = spec.with_target(target)?;
            }
            Ok(Self(Arc::new(spec)))
        })
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        run_attached(|| core::FeatureSpec::from_json(text).map(|spec| Self(Arc::new(spec))))
    }

    fn to_json(&self) -> PyResult<String> {
        run_attached(|| self.0.to_json())
    }

    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.0.schema().clone())
    }

    /// The columns that the expressions use.
    #[getter]
    fn input_schema(&self) -> Schema {
        Schema(self.0.input_schema().clone())
    }

    /// The expressions in JSON.
    #[getter]
    fn features(&self) -> Vec<String> {
        self.0.features().iter().map(core::Expr::to_json).collect()
    }

    /// How often a fit reads the data.
    #[getter]
    fn passes(&self) -> usize {
        self.0.passes()
    }

    /// The column of the target, if one was named.
    #[getter]
    fn target(&self) -> Option<&str> {
        self.0.target()
    }

    /// Does a feature learn from a target?
    #[getter]
    fn supervised(&self) -> bool {
        self.0.is_supervised()
    }

    fn explain(&self) -> String {
        self.0.explain()
    }

    /// Can all that learns from a target learn from one of classes?
    #[getter]
    fn learns_classes(&self) -> bool {
        self.0.learns_classes()
    }

    /// The names of the columns, if they do not depend on what a fit learns.
    #[getter]
    fn names(&self) -> PyResult<Option<Vec<String>>> {
        run_attached(|| self.0.names())
    }

    /// Fits on one table, in as many passes as it takes, with a target beside it if there is one.
    #[pyo3(signature = (table, y=None, progress=None))]
    fn fit(
        &self,
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
        y: Option<Target<'_>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Plan> {
        let batches = import(table)?;
        let y = y.as_ref().map(Target::lend).transpose()?;
        let total = (batches.rows() * self.0.passes()) as u64;
        run_watched(py, progress, Some(total), |watch| {
            let y = y.map(Lent::held).transpose()?;
            let view = y.as_ref().map(Held::view);
            let mut fitter = first_pass(&self.0, view.as_ref().map(Column::dtype))?;
            loop {
                update(&mut fitter, &batches, view.as_ref(), watch)?;
                match fitter.finish()? {
                    core::Step::Again(next) => fitter = next,
                    core::Step::Done(plan) => return Ok(Plan::new(plan)),
                }
            }
        })
    }
}

/// A target from Python: numbers in which NaN is missing, or texts.
#[derive(FromPyObject)]
enum Target<'py> {
    Numbers(PyReadonlyArray1<'py, f64>),
    Texts(Vec<Option<String>>),
}

/// The same without the interpreter.
enum Lent<'a> {
    Numbers(&'a [f64]),
    Texts(&'a [Option<String>]),
}

/// The same as a column, or what a column is of.
enum Held<'a> {
    Numbers(&'a [f64]),
    Texts(ColumnBuf),
}

impl Target<'_> {
    fn lend(&self) -> PyResult<Lent<'_>> {
        Ok(match self {
            Self::Numbers(numbers) => Lent::Numbers(numbers.as_slice()?),
            Self::Texts(texts) => Lent::Texts(texts),
        })
    }
}

impl<'a> Lent<'a> {
    fn held(self) -> Result<Held<'a>> {
        Ok(match self {
            Self::Numbers(numbers) => Held::Numbers(numbers),
            Self::Texts(texts) => {
                let mut column = ColumnBuf::new(DType::String, texts.len());
                for text in texts {
                    match text {
                        Some(text) => column.push_str(text)?,
                        None => column.push_null(),
                    }
                }
                Held::Texts(column)
            }
        })
    }
}

impl Held<'_> {
    fn view(&self) -> Column<'_> {
        match self {
            Self::Numbers(numbers) => Column::Float64(Primitive::all(numbers)),
            Self::Texts(column) => column.view(),
        }
    }
}

/// The first pass of a fit, with a target of this type beside the tables or without one.
fn first_pass(spec: &Arc<core::FeatureSpec>, beside: Option<DType>) -> Result<core::Fitter> {
    match beside {
        Some(dtype) => core::Fitter::with_target(Arc::clone(spec), Field::nullable("y", dtype)),
        None => core::Fitter::new(Arc::clone(spec)),
    }
}

/// Shows a fitter all batches, with the target beside them as their last column.
fn update(
    fitter: &mut core::Fitter,
    batches: &Batches,
    y: Option<&Column<'_>>,
    watch: &mut Watch,
) -> Result<()> {
    let schema = fitter.input_schema().clone();
    let mut show = |fitter: &mut core::Fitter, table: &Table<'_>| {
        fitter.update_on_all_cores(table, &mut |done| watch.pulse(done))?;
        watch.end_piece(table.rows() as u64);
        Ok(())
    };
    let Some(y) = y.filter(|_| fitter.target().is_some()) else {
        return in_chunks(batches, &schema, |table| show(fitter, table));
    };
    if y.len() != batches.rows() {
        return Err(Error::invalid(format!(
            "y has {} values for {} rows: give one for each row",
            y.len(),
            batches.rows()
        )));
    }
    let columns: Vec<usize> = (0..schema.len().saturating_sub(1)).collect();
    let mut first = 0;
    in_chunks(batches, &schema.select(&columns)?, |table| {
        let mut columns = table.columns().to_vec();
        columns.push(y.slice(first, table.rows()));
        first += table.rows();
        show(fitter, &Table::new(columns, table.rows())?)
    })
}

/// Lends each batch; an error names the chunk when there are several.
pub fn in_chunks(
    batches: &Batches,
    schema: &tidegate_schema::Schema,
    mut use_table: impl FnMut(&Table<'_>) -> Result<()>,
) -> Result<()> {
    let (mut chunk, mut before) = (0, 0);
    let outcome = batches.for_each(schema, |table| {
        use_table(table)?;
        chunk += 1;
        before += table.rows();
        Ok(())
    });
    outcome.map_err(|error| at_chunk(error, chunk, before as u64))
}

/// An error with the chunk that it is in, if that is not the first.
pub fn at_chunk(error: Error, chunk: usize, first: u64) -> Error {
    if chunk == 0 {
        return error;
    }
    error.at(format!("in chunk {chunk}, which begins at row {first}"))
}

/// One pass of a fit over data that comes in pieces.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Fitter(Mutex<Option<core::Fitter>>);

impl Fitter {
    fn with<T>(&self, work: impl FnOnce(&mut core::Fitter) -> Result<T>) -> Result<T> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.as_mut() {
            Some(fitter) => work(fitter),
            None => Err(Error::invalid("this pass of the fit is over: begin anew")),
        }
    }

    fn take(&self) -> Result<core::Fitter> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .take()
            .ok_or_else(|| Error::invalid("this pass of the fit is over: begin anew"))
    }
}

#[pymethods]
impl Fitter {
    /// The first pass; `beside` is the type of a target that comes beside the tables.
    #[new]
    #[pyo3(signature = (spec, beside=None))]
    fn new(spec: &FeatureSpec, beside: Option<&str>) -> PyResult<Self> {
        run_attached(|| {
            let beside = beside.map(parse).transpose()?;
            first_pass(&spec.0, beside).map(|fitter| Self(Mutex::new(Some(fitter))))
        })
    }

    /// Learns from a table; `progress` is told how many of its rows are done.
    #[pyo3(signature = (table, y=None, progress=None))]
    fn update(
        &self,
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
        y: Option<Target<'_>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let batches = import(table)?;
        let y = y.as_ref().map(Target::lend).transpose()?;
        run_watched(py, progress, None, |watch| {
            let y = y.map(Lent::held).transpose()?;
            let view = y.as_ref().map(Held::view);
            self.with(|fitter| update(fitter, &batches, view.as_ref(), watch))
        })
    }

    /// An empty fitter of the same pass, for a piece that begins at this row of all the data.
    #[pyo3(signature = (first=0))]
    fn fork(&self, first: u64) -> PyResult<Self> {
        run_attached(|| self.with(|fitter| Ok(Self(Mutex::new(Some(fitter.fork_at(first)))))))
    }

    /// Takes in another fitter, which is of no further use.
    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = other.take()?;
            self.with(|fitter| fitter.merge(other))
        })
    }

    /// Ends the pass: the next pass's fitter, or the plan.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match run(py, || self.take()?.finish())? {
            core::Step::Again(next) => Ok(Bound::new(py, Self(Mutex::new(Some(next))))?.into_any()),
            core::Step::Done(plan) => Ok(Bound::new(py, Plan::new(plan))?.into_any()),
        }
    }
}
