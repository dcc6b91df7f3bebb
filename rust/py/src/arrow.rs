//! Tables in and out through the Arrow PyCapsule interface: pyarrow, polars, pandas, DuckDB.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use numpy::{PyArray1, PyReadonlyArray2};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyCapsule, PyDict, PyString};
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};
use pyo3_arrow::input::AnyArray;
use pyo3_arrow::{PyRecordBatch, PyTable};
use tidegate_schema::arrow::{Bound as BoundBatch, infer};
use tidegate_schema::{Column, Error, Result, Schema, Table};

use crate::enter::run;
use crate::errors::raise;

/// Record batches of one schema, borrowed from whoever produced them.
pub struct Batches {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// Takes a table from any producer of the PyCapsule interface, without a copy of ours.
pub fn import(table: &Bound<'_, PyAny>) -> PyResult<Batches> {
    let py = table.py();
    let columns = |error: PyErr| {
        raise(Error::invalid(format!(
            "this object speaks Arrow's PyCapsule interface but is no table with columns ({error}): pass a table, a column of its own as a table of one"
        )))
    };
    if table.hasattr(intern!(py, "__arrow_c_stream__"))? {
        let (batches, schema) = table.extract::<PyTable>().map_err(columns)?.into_inner();
        return Ok(Batches { schema, batches });
    }
    if table.hasattr(intern!(py, "__arrow_c_array__"))? {
        let batch = table
            .extract::<PyRecordBatch>()
            .map_err(columns)?
            .into_inner();
        return Ok(Batches {
            schema: batch.schema(),
            batches: vec![batch],
        });
    }
    let kind = table.get_type();
    let mend = if table.cast::<PyDict>().is_ok() {
        "pass pyarrow.table(...) of it"
    } else {
        "pass a pyarrow, polars or pandas (2.2 or newer) table"
    };
    Err(raise(Error::invalid(format!(
        "{} is no table that speaks Arrow's PyCapsule interface: {mend}",
        kind.name()
            .map_or_else(|_| "this object".to_owned(), |name| name.to_string())
    ))))
}

/// Takes one column from an Arrow array or a stream of them; `None` for an object that is neither.
pub fn import_column(values: &Bound<'_, PyAny>) -> PyResult<Option<Batches>> {
    let py = values.py();
    if !values.hasattr(intern!(py, "__arrow_c_stream__"))?
        && !values.hasattr(intern!(py, "__arrow_c_array__"))?
    {
        return Ok(None);
    }
    let array = values.extract::<AnyArray>()?;
    let (chunks, field) = array.into_chunked_array()?.into_inner();
    let field = arrow_schema::Field::new(COLUMN, field.data_type().clone(), true);
    let schema: SchemaRef = Arc::new(arrow_schema::Schema::new(vec![field]));
    let batches: std::result::Result<Vec<_>, _> = chunks
        .into_iter()
        .map(|chunk| RecordBatch::try_new(Arc::clone(&schema), vec![chunk]))
        .collect();
    let batches =
        batches.map_err(|error| raise(Error::invalid(format!("no Arrow column: {error}"))))?;
    Ok(Some(Batches { schema, batches }))
}

/// The name of a column that has none.
const COLUMN: &str = "values";

/// Texts with what is missing among them: a list, or a column of Arrow.
pub enum Texts {
    /// `None` is missing.
    List(Vec<Option<PyBackedStr>>),
    /// Nulls are missing.
    Column(Batches),
}

impl Texts {
    /// The texts of an object that Python hands in.
    pub fn of(values: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(match import_column(values)? {
            Some(column) => Self::Column(column),
            None => Self::List(values.extract()?),
        })
    }

    /// Hands the texts on, one by one.
    pub fn for_each(&self, mut each: impl FnMut(Option<&str>) -> Result<()>) -> Result<()> {
        match self {
            Self::List(texts) => texts.iter().try_for_each(|text| each(text.as_deref())),
            Self::Column(column) => column.for_each(&column.infer()?, |table| {
                for column in table.columns() {
                    let Column::String(texts) = column else {
                        return Err(Error::invalid(format!(
                            "values of type {} where texts are due: cast them to strings",
                            column.dtype()
                        )));
                    };
                    (0..texts.len()).try_for_each(|row| each(texts.get(row)))?;
                }
                Ok(())
            }),
        }
    }
}

/// The numbers of an Arrow array as floats, nulls as NaN; `None` for an object that is no such
/// array. Whole numbers become the nearest float,
/// bools 0 and 1, times microseconds since 1970 (dates days).
#[pyfunction]
pub fn arrow_numbers<'py>(
    values: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyArray1<f64>>>> {
    let Some(column) = import_column(values)? else {
        return Ok(None);
    };
    let numbers = run(values.py(), || {
        let mut numbers = Vec::with_capacity(column.rows());
        column.for_each(&column.infer()?, |table| {
            for column in table.columns() {
                let float = |row: usize| match column {
                    _ if column.is_missing(row) => Some(f64::NAN),
                    Column::Bool(values) => Some(f64::from(values.values[row])),
                    Column::Float64(values) => Some(values.values[row]),
                    Column::Int64(values)
                    | Column::Timestamp(values)
                    | Column::Date(values)
                    | Column::Duration(values) => Some(values.values[row] as f64),
                    _ => None,
                };
                for row in 0..column.len() {
                    numbers.push(float(row).ok_or_else(|| {
                        Error::invalid(format!(
                            "values of type {} where numbers are due: cast them to float64",
                            column.dtype()
                        ))
                    })?);
                }
            }
            Ok(())
        })?;
        Ok(numbers)
    })?;
    Ok(Some(PyArray1::from_vec(values.py(), numbers)))
}

impl Batches {
    /// How many rows there are in all.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The schema of the batches, as their producer has it.
    pub const fn arrow_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches.
    pub fn all(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The names of the columns.
    pub fn names(&self) -> Vec<&str> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect()
    }

    /// Lends all rows as one table in the schema's order; several batches are joined first.
    pub fn with_table<R>(
        &self,
        schema: &Schema,
        use_table: impl FnOnce(&Table<'_>) -> Result<R>,
    ) -> Result<R> {
        match self.batches.as_slice() {
            [only] => BoundBatch::new(only, schema)?.lend(use_table),
            several => {
                let joined = concat_batches(&self.schema, several).map_err(|error| {
                    Error::invalid(format!("batches that do not join: {error}"))
                })?;
                BoundBatch::new(&joined, schema)?.lend(use_table)
            }
        }
    }

    /// The schema of the data; a column is nullable when a value of it is missing.
    pub fn infer(&self) -> Result<Schema> {
        infer(&self.schema, &self.batches)
    }

    /// Lends each batch as a table in the schema's order, one after the other. A table without
    /// batches is lent as one empty table, so that its columns are still checked.
    pub fn for_each(
        &self,
        schema: &Schema,
        mut use_table: impl FnMut(&Table<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.batches.is_empty() {
            let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
            return BoundBatch::new(&empty, schema)?.lend(use_table);
        }
        for batch in &self.batches {
            BoundBatch::new(batch, schema)?.lend(&mut use_table)?;
        }
        Ok(())
    }

    /// The same in pieces of at most so many rows, so that what is made of a column for us is made
    /// piece by piece; with each piece its batch.
    pub fn for_each_piece(
        &self,
        schema: &Schema,
        rows: usize,
        mut use_piece: impl FnMut(&RecordBatch, &Table<'_>) -> Result<()>,
    ) -> Result<()> {
        let empty = [RecordBatch::new_empty(Arc::clone(&self.schema))];
        let batches = if self.batches.is_empty() {
            &empty
        } else {
            self.batches.as_slice()
        };
        let mut before = 0;
        for batch in batches {
            let step = if has_large_dictionary(batch) {
                batch.num_rows().max(1)
            } else {
                rows
            };
            let mut start = 0;
            loop {
                let piece = batch.slice(start, step.min(batch.num_rows() - start));
                BoundBatch::new(&piece, schema)
                    .and_then(|bound| bound.lend(|table| use_piece(&piece, table)))
                    .map_err(|error| match before + start {
                        0 => error,
                        first => error.at(format!("in the piece that begins at row {first}")),
                    })?;
                start += step;
                if start >= batch.num_rows() {
                    break;
                }
            }
            before += batch.num_rows();
        }
        Ok(())
    }
}

/// A dictionary of more values is not looked at anew for every piece.
const SMALL_DICTIONARY: usize = 1024;

/// Does some column have a dictionary so large that a piece costs what the whole costs?
fn has_large_dictionary(batch: &RecordBatch) -> bool {
    batch.columns().iter().any(|column| {
        column
            .as_any_dictionary_opt()
            .is_some_and(|dictionary| dictionary.values().len() > SMALL_DICTIONARY)
    })
}

/// An Arrow table made by tidegate.
///
/// It speaks the PyCapsule interface, so `pyarrow.table(t)`, `polars.DataFrame(t)` and
/// `duckdb.arrow(t)` take it without a copy.
#[pyclass(module = "tidegate._core", frozen)]
pub struct ArrowTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl ArrowTable {
    /// A table of these batches, all of one schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }
}

#[pymethods]
impl ArrowTable {
    /// A matrix as a table of numbers; NaN is missing.
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn from_matrix(matrix: PyReadonlyArray2<'_, f64>, names: Vec<String>) -> PyResult<Self> {
        let matrix = matrix.as_array();
        if names.len() != matrix.ncols() {
            return Err(raise(Error::invalid(format!(
                "{} names for a matrix of {} columns: give one for each",
                names.len(),
                matrix.ncols()
            ))));
        }
        let fields: Vec<_> = names
            .into_iter()
            .map(|name| arrow_schema::Field::new(name, arrow_schema::DataType::Float64, true))
            .collect();
        let columns = matrix
            .columns()
            .into_iter()
            .map(|column| Arc::new(column.iter().copied().collect::<Float64Array>()) as ArrayRef);
        let schema = Arc::new(arrow_schema::Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(matrix.nrows()));
        RecordBatch::try_new_with_options(Arc::clone(&schema), columns.collect(), &options)
            .map(|batch| Self::new(schema, vec![batch]))
            .map_err(|error| raise(Error::internal(format!("no Arrow table: {error}"))))
    }

    /// How many rows there are.
    #[getter]
    fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The names of the columns in order.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    }

    /// Arrow's PyCapsule interface: the schema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.schema.as_ref())?)
    }

    /// Arrow's PyCapsule interface: the record batches.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let field = arrow_schema::Field::new_struct("", self.schema.fields().clone(), false)
            .with_metadata(self.schema.metadata().clone());
        let arrays: Vec<std::result::Result<ArrayRef, arrow_schema::ArrowError>> = self
            .batches
            .iter()
            .map(|batch| Ok(Arc::new(StructArray::from(batch.clone())) as ArrayRef))
            .collect();
        let reader = Box::new(ArrayIterator::new(arrays, Arc::new(field)));
        Ok(to_stream_pycapsule(py, reader, requested_schema)?)
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __repr__<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let text = format!(
            "ArrowTable({} rows: {})",
            self.num_rows(),
            self.column_names().join(", ")
        );
        PyString::new(py, &text)
    }
}
