//! Keys of rows for uniqueness across tables: logged, written to files, held against such files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tidegate_features::rules::{KeyLog as CoreLog, RowSet as CoreRows, row_keys, write_keys};
use tidegate_schema::{Error, ErrorKind, Result, Schema};

use crate::arrow::{Batches, import};
use crate::enter::run;
use crate::validation::select;

/// The keys of a table's rows, in bounded memory.
#[pyclass(module = "tidegate._core", frozen)]
pub struct KeyLog {
    /// The columns of the key; all of them if there are none.
    columns: Vec<String>,
    state: Mutex<State>,
}

struct State {
    log: CoreLog,
    /// The columns as the first table has them.
    schema: Option<Schema>,
    keys: Vec<[u64; 2]>,
}

impl KeyLog {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn update(&mut self, batches: &Batches, columns: &[String]) -> Result<()> {
        let schema = match self.schema.take() {
            Some(schema) => schema,
            None if columns.is_empty() => {
                let all = batches.names().into_iter().map(str::to_owned);
                select(batches, &all.collect::<Vec<_>>())?
            }
            None => select(batches, columns)?,
        };
        let (log, keys) = (&mut self.log, &mut self.keys);
        batches.for_each(&schema, |part| {
            row_keys(part.columns(), part.rows(), keys);
            log.update(keys)
        })?;
        self.schema = Some(schema);
        Ok(())
    }

    /// Writes the different keys in order into files of at most so many, one at least; how many.
    fn write(&mut self, prefix: &Path, most: usize) -> Result<usize> {
        let most = most.max(1);
        let mut open = (begin(prefix, 0)?, 0);
        let mut files = 1;
        self.log.keys(&mut |mut keys| {
            while !keys.is_empty() {
                let (file, count) = &mut open;
                if *count == most {
                    end(file)?;
                    open = (begin(prefix, files)?, 0);
                    files += 1;
                    continue;
                }
                let (now, later) = keys.split_at(keys.len().min(most - *count));
                write_keys(now, file)?;
                *count += now.len();
                keys = later;
            }
            Ok(())
        })?;
        end(&mut open.0)?;
        Ok(files)
    }
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "keys cannot be {what} {}: {error}: make room there, or set TMPDIR",
            path.display()
        ),
    )
}

/// A new file with keys: `PREFIX-00000.keys` and so on.
fn begin(prefix: &Path, number: usize) -> Result<BufWriter<File>> {
    let mut path = prefix.as_os_str().to_owned();
    path.push(format!("-{number:05}.keys"));
    let path = PathBuf::from(path);
    let file = File::create(&path).map_err(|error| failed(&path, "written to", &error))?;
    Ok(BufWriter::new(file))
}

fn end(file: &mut BufWriter<File>) -> Result<()> {
    file.flush()
        .map_err(|error| failed(&std::env::temp_dir(), "written to", &error))
}

#[pymethods]
impl KeyLog {
    /// A set of keys takes at most so many bytes of memory.
    #[new]
    fn new(columns: Vec<String>, memory: usize) -> Self {
        Self {
            columns,
            state: Mutex::new(State {
                log: CoreLog::new(memory),
                schema: None,
                keys: Vec::new(),
            }),
        }
    }

    /// Takes in the rows of the next table.
    fn update(&self, py: Python<'_>, table: &Bound<'_, PyAny>) -> PyResult<()> {
        let batches = import(table)?;
        run(py, || {
            self.with(|state| state.update(&batches, &self.columns))
        })
    }

    /// Writes the different keys in order, at most so many a file, and says how many files there are:
    /// `PREFIX-00000.keys` and so on.
    #[allow(clippy::needless_pass_by_value)]
    fn write(&self, py: Python<'_>, prefix: PathBuf, most: usize) -> PyResult<usize> {
        run(py, || self.with(|state| state.write(&prefix, most)))
    }

    /// Takes in a file with keys of rows that stand elsewhere.
    #[allow(clippy::needless_pass_by_value)]
    fn know(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, || {
            let file = File::open(&path).map_err(|error| failed(&path, "read from", &error))?;
            self.with(|state| state.log.know(file))
                .map_err(|error| error.at(path.display().to_string()))
        })
    }

    /// The rows that repeat one that stands elsewhere, or an earlier one.
    fn repeats(&self, py: Python<'_>) -> PyResult<RowSet> {
        let found = run(py, || self.with(|state| state.log.repeats()))?;
        Ok(RowSet(Mutex::new(Some(found))))
    }
}

/// Numbers of rows. A validation that is given them takes them.
#[pyclass(module = "tidegate._core", frozen)]
pub struct RowSet(Mutex<Option<CoreRows>>);

impl RowSet {
    /// Takes the numbers, which are there once.
    pub fn take(&self) -> Option<CoreRows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
