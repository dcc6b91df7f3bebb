//! Fitted features, and what they give: matrices, sparse matrices, Arrow tables, rows.

use std::sync::Arc;

use arrow_array::builder::PrimitiveBuilder;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow_array::{ArrayRef, RecordBatch};
use numpy::{Element, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tidegate_features::{self as core, Cell, Sparse};
use tidegate_schema::arrow::Bound as BoundBatch;
use tidegate_schema::{Error, ErrorKind, Result, Table, TableBuf};

use crate::arrow::{ArrowTable, Batches, import};
use crate::enter::{Watch, run_attached, run_watched};
use crate::errors::raise;
use crate::features::{at_chunk, in_chunks};
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
            return Ok(Input::Rows(from_dicts(self.0.input_schema(), list, extra)?));
        }
        import(data).map(Input::Batches)
    }

    /// Writes the features of all rows into a matrix of theirs: of rows that were learned from, if
    /// the number of the first one is given.
    fn fill<T: Cell>(
        &self,
        input: &Input,
        learned: Option<u64>,
        out: &mut [T],
        watch: &mut Watch,
    ) -> Result<()> {
        if let Input::Batches(batches) = input
            && are_small(batches)
        {
            return self.fill_small(batches, learned, out, watch);
        }
        let width = self.0.width();
        let mut rest = out;
        input.for_each(self.0.input_schema(), |table, row| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(table.rows() * width);
            rest = after;
            let learned = learned.map(|first| first + row);
            let pulse = &mut |done| watch.pulse(done);
            self.0.transform_on_all_cores(table, learned, part, pulse)?;
            watch.end_piece(table.rows() as u64);
            Ok(())
        })
    }

    /// The same for many small batches, each on one of the cores.
    fn fill_small<T: Cell>(
        &self,
        batches: &Batches,
        learned: Option<u64>,
        out: &mut [T],
        watch: &mut Watch,
    ) -> Result<()> {
        let (schema, width) = (self.0.input_schema(), self.0.width());
        let mut rest = out;
        let mut row = 0;
        let mut pieces = Vec::with_capacity(batches.all().len());
        for (chunk, batch) in batches.all().iter().enumerate() {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(batch.num_rows() * width);
            rest = after;
            pieces.push((chunk, row, batch, part));
            row += batch.num_rows() as u64;
        }
        let pulse = &mut |done| watch.pulse(done);
        let pieces = pieces.into_iter();
        core::on_all_cores(
            batches.rows(),
            pieces,
            pulse,
            |(chunk, row, batch, part), step| {
                BoundBatch::new(batch, schema)
                    .and_then(|batch| {
                        batch.lend(|table| match learned {
                            Some(first) => self.0.transform_learned_into(table, first + row, part),
                            None => self.0.transform_into(table, part),
                        })
                    })
                    .map_err(|error| at_chunk(error, chunk, row))?;
                step(batch.num_rows())
            },
        )?;
        watch.end_piece(row);
        Ok(())
    }

    /// A new matrix, filled with the interpreter released. NumPy asks for huge pages: the pages of
    /// a hundred megabytes from the plain allocator cost more than the features themselves.
    fn matrix<'py, T: Cell + Element>(
        &self,
        py: Python<'py>,
        input: &Input,
        asked: &Asked<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shape = [input.rows(), self.0.width()];
        check_size::<T>(shape).map_err(raise)?;
        let out = PyArray2::<T>::zeros(py, shape, false);
        let mut view = out.readwrite();
        let values = view
            .as_slice_mut()
            .map_err(|error| raise(Error::internal(error.to_string())))?;
        asked.run(py, input, |watch, learned| {
            self.fill(input, learned, values, watch)
        })?;
        Ok(out.into_any())
    }

    fn sparse<'py, T: Cell + Element>(
        &self,
        py: Python<'py>,
        input: &Input,
        asked: &Asked<'_, 'py>,
    ) -> PyResult<Arrays<'py>> {
        let sparse = asked.run(py, input, |watch, learned| {
            let mut out = Sparse::<T>::new();
            if let Input::Batches(batches) = input
                && are_small(batches)
            {
                self.sparse_small(batches, learned, &mut out, watch)?;
                return Ok(out);
            }
            input.for_each(self.0.input_schema(), |table, row| {
                let learned = learned.map(|first| first + row);
                let pulse = &mut |done| watch.pulse(done);
                self.0.transform_sparse(table, learned, &mut out, pulse)?;
                watch.end_piece(table.rows() as u64);
                Ok(())
            })?;
            Ok(out)
        })?;
        Ok((
            PyArray1::from_vec(py, sparse.starts),
            PyArray1::from_vec(py, sparse.columns),
            PyArray1::from_vec(py, sparse.values).into_any(),
        ))
    }

    /// A sparse matrix of many small batches, each on one of the cores; some at a time, so that the
    /// parts are small beside the whole.
    fn sparse_small<T: Cell>(
        &self,
        batches: &Batches,
        learned: Option<u64>,
        out: &mut Sparse<T>,
        watch: &mut Watch,
    ) -> Result<()> {
        let schema = self.0.input_schema();
        let (mut chunk, mut row) = (0, 0);
        let mut rest = batches.all();
        while !rest.is_empty() {
            let mut rows = 0;
            let together = rest
                .iter()
                .take_while(|batch| {
                    let fits = rows < TOGETHER_ROWS;
                    rows += batch.num_rows();
                    fits
                })
                .count();
            let (now, after) = rest.split_at(together);
            rest = after;
            let mut parts: Vec<_> = now
                .iter()
                .map(|batch| {
                    let place = (chunk, row);
                    chunk += 1;
                    row += batch.num_rows() as u64;
                    (place, batch, Sparse::new())
                })
                .collect();
            let rows = now.iter().map(RecordBatch::num_rows).sum();
            let pulse = &mut |done| watch.pulse(done);
            core::on_all_cores(
                rows,
                parts.iter_mut(),
                pulse,
                |(place, batch, part), step| {
                    let (chunk, row) = *place;
                    let learned = learned.map(|first| first + row);
                    BoundBatch::new(batch, schema)
                        .and_then(|batch| {
                            // Too few rows for more than the thread that is at work here.
                            batch.lend(|table| {
                                self.0
                                    .transform_sparse(table, learned, part, &mut |_| Ok(()))
                            })
                        })
                        .map_err(|error| at_chunk(error, chunk, row))?;
                    step(batch.num_rows())
                },
            )?;
            watch.end_piece(rows as u64);
            for (_, _, part) in parts {
                out.append(&part)?;
            }
        }
        Ok(())
    }

    fn arrow<T>(&self, py: Python<'_>, input: &Input, asked: &Asked<'_, '_>) -> PyResult<ArrowTable>
    where
        T: ArrowPrimitiveType<Native: Cell + PartialEq>,
    {
        asked.run(py, input, |watch, learned| {
            let width = self.0.width();
            check_size::<T::Native>([input.rows(), width])?;
            let mut columns: Vec<PrimitiveBuilder<T>> = (0..width)
                .map(|_| PrimitiveBuilder::with_capacity(input.rows()))
                .collect();
            // Some rows at a time, so that their matrix is small beside the columns.
            let together = (MATRIX_BYTES / (width * size_of::<T::Native>()).max(1)).max(1);
            let mut matrix = Vec::new();
            input.for_each(self.0.input_schema(), |table, row| {
                for start in (0..table.rows()).step_by(together) {
                    let rows = together.min(table.rows() - start);
                    matrix.resize(rows * width, T::Native::default());
                    let learned = learned.map(|first| first + row + start as u64);
                    let (part, pulse) = (table.slice(start, rows), &mut |done| watch.pulse(done));
                    let outcome = self
                        .0
                        .transform_on_all_cores(&part, learned, &mut matrix, pulse);
                    if outcome.is_err() && start > 0 {
                        // Numbers of rows in its message are those of the whole table.
                        let mut all = vec![T::Native::default(); (start + rows) * width];
                        self.0
                            .transform_into(&table.slice(0, start + rows), &mut all)?;
                    }
                    outcome?;
                    for (at, column) in columns.iter_mut().enumerate() {
                        for row in matrix.chunks_exact(width) {
                            let value = row.get(at).copied();
                            // Only NaN differs from itself, and it is missing.
                            #[allow(clippy::eq_op)]
                            column.append_option(value.filter(|value| value == value));
                        }
                    }
                    watch.end_piece(rows as u64);
                }
                Ok(())
            })?;
            let names = self.0.names().iter();
            let columns = names.zip(&mut columns).map(|(name, column)| {
                let array: ArrayRef = Arc::new(column.finish());
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

/// Batches of more rows than this are each worked on by all cores.
const SMALL_ROWS: usize = 64 * 1024;
/// Rows of small batches that become parts of a sparse matrix together.
const TOGETHER_ROWS: usize = 128 * 1024;
/// Bytes of the matrix that is on its way into the columns of an Arrow table.
const MATRIX_BYTES: usize = 16 << 20;

/// Are there several batches, all so small that each is best worked on by one core?
fn are_small(batches: &Batches) -> bool {
    let all = batches.all();
    all.len() > 1 && all.iter().all(|batch| batch.num_rows() <= SMALL_ROWS)
}

/// How a call wants its features.
struct Asked<'a, 'py> {
    /// The number of the first row, if the rows are those that were learned from.
    learned: Option<u64>,
    progress: Option<&'a Bound<'py, PyAny>>,
}

impl Asked<'_, '_> {
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        input: &Input,
        work: impl FnOnce(&mut Watch, Option<u64>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let learned = self.learned;
        let total = Some(input.rows() as u64);
        run_watched(py, self.progress, total, |watch| work(watch, learned))
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
    /// the first row, if the rows are those that were learned from; `progress` is told how many rows
    /// are done, and of how many.
    #[pyo3(signature = (data, *, extra=None, double=false, learned=None, progress=None))]
    fn transform<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        extra: Option<&str>,
        double: bool,
        learned: Option<u64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let input = self.input(data, extra)?;
        let asked = Asked { learned, progress };
        if double {
            self.matrix::<f64>(py, &input, &asked)
        } else {
            self.matrix::<f32>(py, &input, &asked)
        }
    }

    /// The matrix in compressed sparse rows: where rows begin, columns, values.
    #[pyo3(signature = (data, *, extra=None, double=false, learned=None, progress=None))]
    fn transform_sparse<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        extra: Option<&str>,
        double: bool,
        learned: Option<u64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Arrays<'py>> {
        let input = self.input(data, extra)?;
        let asked = Asked { learned, progress };
        if double {
            self.sparse::<f64>(py, &input, &asked)
        } else {
            self.sparse::<f32>(py, &input, &asked)
        }
    }

    /// The features as an Arrow table of floats; missing is null.
    #[pyo3(signature = (data, *, extra=None, double=false, learned=None, progress=None))]
    fn transform_arrow<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        extra: Option<&str>,
        double: bool,
        learned: Option<u64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<ArrowTable> {
        let input = self.input(data, extra)?;
        let asked = Asked { learned, progress };
        if double {
            self.arrow::<Float64Type>(py, &input, &asked)
        } else {
            self.arrow::<Float32Type>(py, &input, &asked)
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
