//! Schemas: made from fields, from a table, or from JSON.

use pyo3::prelude::*;
use tidegate_schema::{DType, Error, Field, Result, Schema as CoreSchema};

use crate::arrow::import;
use crate::enter::{run, run_attached};

/// Typed columns in order; see `tidegate.features.Schema`.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Schema(pub CoreSchema);

/// Which columns may have missing values beyond those that have some in the table.
#[derive(FromPyObject)]
enum Nullable {
    All(bool),
    Some(Vec<String>),
}

/// The type of this name.
pub fn parse(dtype: &str) -> Result<DType> {
    DType::ALL
        .into_iter()
        .find(|known| known.name() == dtype)
        .ok_or_else(|| {
            let names: Vec<_> = DType::ALL.iter().map(|known| known.name()).collect();
            Error::invalid(format!(
                "unknown dtype {dtype:?}: use one of {}",
                names.join(", ")
            ))
        })
}

#[pymethods]
impl Schema {
    /// A schema of `(name, dtype, nullable)`.
    #[new]
    fn new(fields: Vec<(String, String, bool)>) -> PyResult<Self> {
        run_attached(|| {
            let fields: Result<Vec<Field>> = fields
                .into_iter()
                .map(|(name, dtype, nullable)| {
                    let dtype = parse(&dtype).map_err(|error| error.at(format!("{name:?}")))?;
                    Ok(Field {
                        name,
                        dtype,
                        nullable,
                    })
                })
                .collect();
            CoreSchema::new(fields?).map(Self)
        })
    }

    /// The schema of a table. A column is nullable where values are missing, and where `nullable`
    /// says so: all of them, or those named.
    #[staticmethod]
    #[pyo3(signature = (table, nullable=None))]
    fn infer(
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
        nullable: Option<Nullable>,
    ) -> PyResult<Self> {
        let batches = import(table)?;
        run(py, || {
            let schema = batches.infer()?;
            let mut fields = schema.fields().to_vec();
            match nullable {
                None => {}
                Some(Nullable::All(all)) => {
                    fields.iter_mut().for_each(|field| field.nullable = all);
                }
                Some(Nullable::Some(names)) => {
                    for name in names {
                        let position = schema.resolve(&name)?;
                        if let Some(field) = fields.get_mut(position) {
                            field.nullable = true;
                        }
                    }
                }
            }
            CoreSchema::new(fields).map(Self)
        })
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        run_attached(|| CoreSchema::from_json(text).map(Self))
    }

    fn to_json(&self) -> String {
        self.0.to_json()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    /// `(name, dtype, nullable)` of each column.
    #[getter]
    fn fields(&self) -> Vec<(String, &'static str, bool)> {
        self.0
            .fields()
            .iter()
            .map(|field| (field.name.clone(), field.dtype.name(), field.nullable))
            .collect()
    }

    /// The schema of these columns, in the order given.
    #[allow(clippy::needless_pass_by_value)]
    fn select(&self, names: Vec<String>) -> PyResult<Self> {
        run_attached(|| {
            let positions: Result<Vec<usize>> =
                names.iter().map(|name| self.0.resolve(name)).collect();
            self.0.select(&positions?).map(Self)
        })
    }

    /// The schema without these columns.
    #[allow(clippy::needless_pass_by_value)]
    fn drop(&self, names: Vec<String>) -> PyResult<Self> {
        run_attached(|| {
            let dropped: Result<Vec<usize>> =
                names.iter().map(|name| self.0.resolve(name)).collect();
            let dropped = dropped?;
            let kept: Vec<usize> = (0..self.0.len())
                .filter(|position| !dropped.contains(position))
                .collect();
            self.0.select(&kept).map(Self)
        })
    }
}
