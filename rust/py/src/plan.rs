//! Fitted features, and what they give: matrices, sparse matrices, Arrow tables, rows.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch};
use numpy::{Element, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tidegate_features::{self as core, Cell, Sparse};
use tidegate_schema::{Error, ErrorKind, Result, Table, TableBuf};

use crate::arrow::{ArrowTable, Batches, import};
use crate::enter::{run, run_attached};
use crate::errors::raise;
use crate::features::in_chunks;
use crate::rows::{Extra, from_dict, from_dicts};
use crate::schema::Schema;

/// Fitted features.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Plan(Arc<core::Plan>);

/// Rows from Python.
enum Input {
    Batches(Batches),
    Rows(TableBuf),
}

impl Input {
    fn rows(&self) -> usize {
        match self {
            Self::Batches(batches) => batches.rows(),
            Self::Rows(rows) => rows.rows(),
        }
    }

    /// Lends the rows piece by piece, each with the number of its first row.
    fn for_each(
        &self,
        schema: &tidegate_schema::Schema,
        mut use_table: impl FnMut(&Table<'_>, u64) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Rows(rows) => use_table(&rows.view()?, 0),
            Self::Batches(batches) => {
                let mut first = 0;
                in_chunks(batches, schema, |table| {
                    let row = first;
                    first += table.rows() as u64;
                    use_table(table, row)
                })
            }
        }
    }
}

/// The three arrays of a sparse matrix: where rows begin, columns, values.
type Arrays<'py> = (
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyAny>,
);

impl Plan {
    pub fn new(plan: core::Plan) -> Self {
        Self(Arc::new(plan))
    }

    /// A table, or a list of dicts.
    fn input(&self, data: &Bound<'_, PyAny>, extra: Option<&str>) -> PyResult<Input> {
        let extra = Extra::parse(extra)?;
        if let Ok(list) = data.cast::<PyList>() {
            return from_dicts(self.0.input_schema(), list, extra).map(Input::Rows);
        }
        import(data).map(Input::Batches)
    }

    /// Writes the features of all rows into a matrix of theirs: of rows that were learned from, if
    /// the number of the first one is given.
    fn fill<T: Cell>(&self, input: &Input, learned: Option<u64>, out: &mut [T]) -> Result<()> {
        let width = self.0.width();
        let mut rest = out;
        input.for_each(self.0.input_schema(), |table, row| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(table.rows() * width);
            rest = after;
            let learned = learned.map(|first| first + row);
            self.0.transform_on_all_cores(table, learned, part)
        })
    }

    /// A new matrix, filled with the interpreter released. NumPy asks for huge pages: the pages of
    /// a hundred megabytes from the plain allocator cost more than the features themselves.
    fn matrix<'py, T: Cell + Element>(
        &self,
        py: Python<'py>,
        input: &Input,
        learned: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shape = [input.rows(), self.0.width()];
        check_size::<T>(shape).map_err(raise)?;
        let out = PyArray2::<T>::zeros(py, shape, false);
        let mut view = out.readwrite();
        let values = view
            .as_slice_mut()
            .map_err(|error| raise(Error::internal(error.to_string())))?;
        run(py, || self.fill(input, learned, values))?;
        Ok(out.into_any())
    }

    fn sparse<'py, T: Cell + Element>(
        &self,
        py: Python<'py>,
        input: &Input,
        learned: Option<u64>,
    ) -> PyResult<Arrays<'py>> {
        let sparse = run(py, || {
            let mut out = Sparse::<T>::new();
            input.for_each(self.0.input_schema(), |table, row| {
                let learned = learned.map(|first| first + row);
                self.0.transform_sparse(table, learned, &mut out)
            })?;
            Ok(out)
        })?;
        Ok((
            PyArray1::from_vec(py, sparse.starts),
            PyArray1::from_vec(py, sparse.columns),
            PyArray1::from_vec(py, sparse.values).into_any(),
        ))
    }

    fn arrow<T>(&self, py: Python<'_>, input: &Input, learned: Option<u64>) -> PyResult<ArrowTable>
    where
        T: ArrowPrimitiveType<Native: Cell + PartialEq>,
    {
        run(py, || {
            let width = self.0.width();
            check_size::<T::Native>([input.rows(), width])?;
            let mut matrix = vec![T::Native::default(); input.rows() * width];
            self.fill(input, learned, &mut matrix)?;
            let columns = self.0.names().iter().enumerate().map(|(column, name)| {
                let values = matrix.chunks_exact(width.max(1)).map(|row| {
                    let value = row.get(column).copied();
                    // Only NaN differs from itself, and it is missing.
                    #[allow(clippy::eq_op)]
                    value.filter(|value| value == value)
                });
                let array: ArrayRef = Arc::new(values.collect::<PrimitiveArray<T>>());
                (name.clone(), array, true)
            });
            let batch = RecordBatch::try_from_iter_with_nullable(columns)
                .map_err(|error| Error::internal(format!("no Arrow table: {error}")))?;
            Ok(ArrowTable::new(batch.schema(), vec![batch]))
        })
    }

    fn row<'py, T: Cell + Element>(
        &self,
        py: Python<'py>,
        row: &TableBuf,
    ) -> PyResult<Bound<'py, PyAny>> {
        let out = PyArray1::<T>::zeros(py, [self.0.width()], false);
        let mut view = out.readwrite();
        let values = view
            .as_slice_mut()
            .map_err(|error| raise(Error::internal(error.to_string())))?;
        run_attached(|| self.0.transform_into(&row.view()?, values))?;
        Ok(out.into_any())
    }
}

/// Checks that a matrix fits the address space.
fn check_size<T>(shape: [usize; 2]) -> Result<()> {
    let bytes = shape[0]
        .checked_mul(shape[1])
        .and_then(|values| values.checked_mul(size_of::<T>()));
    if bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        "the matrix exceeds the address space: transform fewer rows at once",
    ))
}

#[pymethods]
impl Plan {
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        run_attached(|| core::Plan::from_json(text).map(Self::new))
    }

    fn to_json(&self) -> &str {
        self.0.to_json()
    }

    #[getter]
    fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    #[getter]
    fn input_schema(&self) -> Schema {
        Schema(self.0.input_schema().clone())
    }

    /// The expressions in JSON, without what they have learned.
    #[getter]
    fn features(&self) -> Vec<String> {
        self.0.features().iter().map(core::Expr::to_json).collect()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.0.names().to_vec()
    }

    /// Rows that were learned from.
    #[getter]
    fn rows(&self) -> u64 {
        self.0.rows()
    }

    fn explain(&self) -> String {
        self.0.explain()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    /// The matrix of a table, or of a list of dicts, in 32 or 64 bits. `learned` is the number of
    /// the first row, if the rows are those that were learned from.
    #[pyo3(signature = (data, *, extra=None, double=false, learned=None))]
    fn transform<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        extra: Option<&str>,
        double: bool,
        learned: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let input = self.input(data, extra)?;
        if double {
            self.matrix::<f64>(py, &input, learned)
        } else {
            self.matrix::<f32>(py, &input, learned)
        }
    }

    /// The matrix in compressed sparse rows: where rows begin, columns, values.
    #[pyo3(signature = (data, *, extra=None, double=false, learned=None))]
    fn transform_sparse<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        extra: Option<&str>,
        double: bool,
        learned: Option<u64>,
    ) -> PyResult<Arrays<'py>> {
        let input = self.input(data, extra)?;
        if double {
            self.sparse::<f64>(py, &input, learned)
        } else {
            self.sparse::<f32>(py, &input, learned)
        }
    }

    /// The features as an Arrow table of floats; missing is null.
    #[pyo3(signature = (data, *, extra=None, double=false, learned=None))]
    fn transform_arrow(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        extra: Option<&str>,
        double: bool,
        learned: Option<u64>,
    ) -> PyResult<ArrowTable> {
        let input = self.input(data, extra)?;
        if double {
            self.arrow::<Float64Type>(py, &input, learned)
        } else {
            self.arrow::<Float32Type>(py, &input, learned)
        }
    }

    /// The features of one row.
    #[pyo3(signature = (row, *, extra=None, double=false))]
    fn transform_row<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyDict>,
        extra: Option<&str>,
        double: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let row = from_dict(self.0.input_schema(), row, Extra::parse(extra)?)?;
        if double {
            self.row::<f64>(py, &row)
        } else {
            self.row::<f32>(py, &row)
        }
    }
}
