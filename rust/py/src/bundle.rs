//! Bundles: their evidence is written, and their bytes verified, by the code that serves them.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tidegate_runtime::bundle::{Evidence, GoldenRows, Kind, open, write_evidence as write};
use tidegate_schema::{Error, Schema};

use crate::arrow::import;
use crate::enter::run;
use crate::errors::raise;

/// Golden rows when the builder names no number.
const GOLDEN_ROWS: usize = 64;

/// Which rows of a bundle become golden rows, as Python says it.
#[derive(FromPyObject)]
pub enum Golden<'py> {
    /// So many of the sample.
    Count(usize),
    /// A table of these.
    Table(Bound<'py, PyAny>),
}

/// Writes `baseline.json` and `golden.arrow` into a bundle's folder by running the real path over
/// a sample. Gives what the manifest says of them.
#[pyfunction]
#[pyo3(signature = (directory, kind, sample, golden=None, segment=None))]
pub fn write_evidence<'py>(
    py: Python<'py>,
    directory: PathBuf,
    kind: &str,
    sample: &Bound<'py, PyAny>,
    golden: Option<Golden<'py>>,
    segment: Option<&str>,
) -> PyResult<Bound<'py, PyDict>> {
    let kind: Kind = serde_json::from_value(kind.into()).map_err(|_| {
        raise(Error::invalid(format!(
            "unknown kind {kind:?}: use classifier, regressor or tensors"
        )))
    })?;
    let sample = import(sample)?;
    let evidence = match golden {
        Some(Golden::Table(table)) => {
            let rows = import(&table)?;
            run(py, || {
                let schema = schema_of(&directory)?;
                rows.with_table(&schema, |rows| {
                    sample.with_table(&schema, |sample| {
                        let golden = GoldenRows::Given(rows);
                        write(
                            &directory,
                            kind,
                            std::slice::from_ref(sample),
                            golden,
                            segment,
                        )
                    })
                })
            })?
        }
        count => {
            let count = match count {
                Some(Golden::Count(count)) => count,
                _ => GOLDEN_ROWS,
            };
            run(py, || {
                sample.with_table(&schema_of(&directory)?, |sample| {
                    let golden = GoldenRows::Spread(count);
                    write(
                        &directory,
                        kind,
                        std::slice::from_ref(sample),
                        golden,
                        segment,
                    )
                })
            })?
        }
    };
    describe(py, &evidence)
}

fn schema_of(directory: &std::path::Path) -> tidegate_schema::Result<Schema> {
    let path = directory.join("schema.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::not_found(format!("{}: {error}", path.display())))?;
    Schema::from_json(&text)
}

fn describe<'py>(py: Python<'py>, evidence: &Evidence) -> PyResult<Bound<'py, PyDict>> {
    let entry = PyDict::new(py);
    entry.set_item("rows", evidence.golden_rows)?;
    entry.set_item("rtol", evidence.rtol)?;
    entry.set_item("atol", evidence.atol)?;
    entry.set_item("onnxruntime", &evidence.onnxruntime)?;
    Ok(entry)
}

/// Checks every byte of a bundle against its manifest, and the manifest against a digest if one is
/// given. Gives the digest.
#[pyfunction]
#[pyo3(signature = (directory, digest=None))]
pub fn verify_bundle(
    py: Python<'_>,
    directory: PathBuf,
    digest: Option<String>,
) -> PyResult<String> {
    run(py, || {
        Ok(open(&directory, digest.as_deref())?.digest().to_owned())
    })
}
