//! Rules over Arrow tables: read, run over one table or a stream of them, reported.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::builder::{StringBuilder, UInt64Builder};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field as ArrowField};
use arrow_select::filter::filter_record_batch;
use pyo3::prelude::*;
use tidegate_features::rules::Rule as CoreRule;
use tidegate_features::rules::{
    Check, Checker, FoundColumn, Guard, KeySet, Mark, References, RowSet, RuleSet as CoreRules,
    Run, RunOptions, compare, row_keys,
};
use tidegate_schema::arrow::dtype_of;
use tidegate_schema::{Error, Field, Result, Schema as CoreSchema};

use crate::arrow::{ArrowTable, Batches, import};
use crate::distribution::distribution;
use crate::enter::{run, run_attached};
use crate::keylog::RowSet as KeyRows;
use crate::schema::Schema;

/// What is put beside the rows that break a rule: which rules, and where the row stood.
const BROKEN: &str = "_broken_rules";
const ROW: &str = "_row";

/// Rules as they are written, checked.
#[pyclass(module = "tidegate._core", frozen)]
pub struct RuleSet(Arc<CoreRules>);

#[pymethods]
impl RuleSet {
    /// Rules in JSON, as a file holds them.
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        run_attached(|| {
            let rules = CoreRules::from_json(text)?;
            rules.check()?;
            Ok(Self(Arc::new(rules)))
        })
    }

    fn to_json(&self) -> PyResult<String> {
        run_attached(|| self.0.to_json())
    }

    #[getter]
    fn fingerprint(&self) -> PyResult<String> {
        run_attached(|| self.0.fingerprint())
    }

    #[getter]
    fn schema(&self) -> Option<Schema> {
        self.0.schema().cloned().map(Schema)
    }

    /// `(name, whether one row can break it, columns)` of each rule.
    #[getter]
    fn rules(&self) -> Vec<(String, bool, Vec<String>)> {
        self.0
            .rules()
            .iter()
            .map(|rule| (rule.name.clone(), rule.is_of_rows(), rule.columns()))
            .collect()
    }

    /// How the check of each rule reads.
    #[getter]
    fn texts(&self) -> Vec<String> {
        self.0.rules().iter().map(CoreRule::text).collect()
    }

    /// The report of one table, in JSON.
    #[pyo3(signature = (table, now, references=None, samples=None, distinct_bytes=None))]
    #[allow(clippy::needless_pass_by_value)]
    fn validate(
        &self,
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
        now: f64,
        references: Option<HashMap<String, Bound<'_, PyAny>>>,
        samples: Option<usize>,
        distinct_bytes: Option<usize>,
    ) -> PyResult<String> {
        let batches = import(table)?;
        let tables = import_all(references)?;
        let options = options(samples, distinct_bytes, batches.rows());
        run(py, || {
            let mut state = start(&self.0, &batches, &tables, options)?;
            state.update(&batches, None)?;
            Ok(state.run.finish(now)?.to_json())
        })
    }
}

fn options(samples: Option<usize>, distinct_bytes: Option<usize>, rows: usize) -> RunOptions {
    let usual = RunOptions::default();
    RunOptions {
        samples: samples.unwrap_or(usual.samples),
        distinct_bytes: distinct_bytes.unwrap_or(usual.distinct_bytes),
        rows,
    }
}

fn import_all(
    references: Option<HashMap<String, Bound<'_, PyAny>>>,
) -> PyResult<HashMap<String, Batches>> {
    references
        .unwrap_or_default()
        .into_iter()
        .map(|(name, table)| Ok((name, import(&table)?)))
        .collect()
}

/// The columns of a table as rules see them.
fn found(batches: &Batches) -> Vec<FoundColumn> {
    let fields = batches.arrow_schema().fields();
    fields
        .iter()
        .map(|field| FoundColumn {
            name: field.name().clone(),
            dtype: dtype_of(field.name(), field.data_type()).ok(),
            type_name: field.data_type().to_string(),
            untyped: *field.data_type() == DataType::Null,
        })
        .collect()
}

/// The keys of the tables that rules refer to.
fn references(rules: &CoreRules, tables: &HashMap<String, Batches>) -> Result<References> {
    let mut references = References::default();
    for rule in rules.rules() {
        let Check::ForeignKey {
            reference, keys, ..
        } = &rule.check
        else {
            continue;
        };
        let Some(table) = tables.get(reference) else {
            continue;
        };
        let schema = select(table, keys)
            .map_err(|error| error.at(format!("rule {:?}: table {reference:?}", rule.name)))?;
        let mut set = KeySet::with_capacity(table.rows());
        let mut buffer = Vec::new();
        table.for_each(&schema, |part| {
            row_keys(part.columns(), part.rows(), &mut buffer);
            buffer.iter().for_each(|key| {
                set.insert(*key);
            });
            Ok(())
        })?;
        references.insert(reference, keys, set);
    }
    Ok(references)
}

/// The schema of some columns of a table, each of which may have missing values.
pub fn select(table: &Batches, names: &[String]) -> Result<CoreSchema> {
    let schema = table.arrow_schema();
    let all = CoreSchema::new(
        schema
            .fields()
            .iter()
            .filter_map(|field| {
                let dtype = dtype_of(field.name(), field.data_type()).ok()?;
                Some(Field::nullable(field.name().clone(), dtype))
            })
            .collect(),
    )?;
    let positions: Result<Vec<usize>> = names.iter().map(|name| all.resolve(name)).collect();
    all.select(&positions?)
}

/// Rows that are looked at in one: what is read of them is still in the cache when the next rule
/// comes to it.
const PIECE_ROWS: usize = 4 * 1024;

/// What is told of each piece: its rows, the number of the first of them, and its marks.
type Marked<'a> = &'a mut dyn FnMut(&RecordBatch, u64, Vec<Mark>) -> Result<()>;

/// A run that is under way.
struct State {
    run: Run,
}

fn start(
    rules: &CoreRules,
    batches: &Batches,
    tables: &HashMap<String, Batches>,
    options: RunOptions,
) -> Result<State> {
    let references = references(rules, tables)?;
    let checker = Checker::new(rules, &found(batches), &references, &distribution)?;
    Ok(State {
        run: Run::new(Arc::new(checker), options),
    })
}

impl State {
    /// Looks at all batches; with `marked` calls it with the rows of each piece that break a rule.
    fn update(&mut self, batches: &Batches, mut marked: Option<Marked<'_>>) -> Result<()> {
        let schema = self.run.checker().input_schema().clone();
        batches.for_each_piece(&schema, PIECE_ROWS, |piece, table| {
            let before = self.run.rows();
            let Some(marked) = &mut marked else {
                return self.run.update(table, None);
            };
            let mut marks = Vec::new();
            self.run.update(table, Some(&mut marks))?;
            marked(piece, before, marks)
        })
    }
}

/// One pass of rules over data that comes in pieces.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Validation {
    rules: Arc<CoreRules>,
    references: HashMap<String, Batches>,
    /// The rows that repeat, where that is known, by the rule about uniqueness.
    repeats: Mutex<HashMap<String, RowSet>>,
    options: RunOptions,
    state: Mutex<Option<State>>,
    finished: Mutex<bool>,
}

impl Validation {
    fn with<T>(&self, batches: &Batches, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        if *self.finished.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(over());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match &mut *state {
            Some(state) => state,
            none => {
                let mut begun = start(&self.rules, batches, &self.references, self.options)?;
                let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
                for (rule, rows) in repeats.drain() {
                    begun.run.tell(&rule, rows);
                }
                none.insert(begun)
            }
        };
        work(state)
    }
}

fn over() -> Error {
    Error::invalid("this validation is finished: begin another")
}

#[pymethods]
impl Validation {
    #[new]
    #[pyo3(signature = (rules, references=None, samples=None, distinct_bytes=None, repeats=None))]
    fn new(
        rules: &RuleSet,
        references: Option<HashMap<String, Bound<'_, PyAny>>>,
        samples: Option<usize>,
        distinct_bytes: Option<usize>,
        repeats: Option<HashMap<String, Py<KeyRows>>>,
    ) -> PyResult<Self> {
        let repeats = repeats.unwrap_or_default().into_iter();
        let taken = repeats.filter_map(|(rule, rows)| Some((rule, rows.get().take()?)));
        Ok(Self {
            repeats: Mutex::new(taken.collect()),
            rules: Arc::clone(&rules.0),
            references: import_all(references)?,
            options: options(samples, distinct_bytes, 0),
            state: Mutex::new(None),
            finished: Mutex::new(false),
        })
    }

    /// Looks at the next table.
    fn update(&self, py: Python<'_>, table: &Bound<'_, PyAny>) -> PyResult<()> {
        let batches = import(table)?;
        run(py, || {
            self.with(&batches, |state| state.update(&batches, None))
        })
    }

    /// Looks at the next table, and gives its good rows and its bad ones apart. Bad ones carry the
    /// names of the rules that they break and their numbers in the data.
    fn split(
        &self,
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
    ) -> PyResult<(ArrowTable, ArrowTable)> {
        let batches = import(table)?;
        run(py, || {
            self.with(&batches, |state| {
                let checker = Arc::clone(state.run.checker());
                let names = checker.names();
                let (mut good, mut bad) = (Vec::new(), Vec::new());
                state.update(
                    &batches,
                    Some(&mut |piece, before, marks| {
                        let (kept, broken) = cut(piece, before, &marks, &names)?;
                        good.push(kept);
                        bad.push(broken);
                        Ok(())
                    }),
                )?;
                let schema = batches.arrow_schema();
                let beside = quarantine_schema(schema);
                Ok((
                    ArrowTable::new(Arc::clone(schema), good),
                    ArrowTable::new(beside, bad),
                ))
            })
        })
    }

    /// An empty validation of the same rules, for another part of the data.
    fn fork(&self) -> PyResult<Self> {
        run_attached(|| {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &*state {
                None => Err(Error::invalid(
                    "a validation that has seen no table cannot be forked: give it one first",
                )),
                Some(state) => Ok(Self {
                    rules: Arc::clone(&self.rules),
                    references: HashMap::new(),
                    repeats: Mutex::default(),
                    options: self.options,
                    state: Mutex::new(Some(State {
                        run: state.run.fork(),
                    })),
                    finished: Mutex::new(false),
                }),
            }
        })
    }

    /// Takes in what another, a fork of this one, has seen in the rows after these.
    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let theirs = other
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
                .ok_or_else(over)?;
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *state {
                Some(state) => state.run.merge(theirs.run),
                None => Err(over()),
            }
        })
    }

    /// How many rows were seen.
    #[getter]
    fn rows(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.as_ref().map_or(0, |state| state.run.rows())
    }

    /// The report in JSON. `None` for a validation that has seen no table.
    fn finish(&self, py: Python<'_>, now: f64) -> PyResult<Option<String>> {
        run(py, || {
            *self.finished.lock().unwrap_or_else(PoisonError::into_inner) = true;
            let state = self
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            state
                .map(|state| Ok(state.run.finish(now)?.to_json()))
                .transpose()
        })
    }
}

fn quarantine_schema(schema: &arrow_schema::SchemaRef) -> arrow_schema::SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(ArrowField::new(BROKEN, DataType::Utf8, false)));
    fields.push(Arc::new(ArrowField::new(ROW, DataType::UInt64, false)));
    Arc::new(arrow_schema::Schema::new(fields))
}

/// The good rows of a batch, and its bad ones with what is wrong with each.
fn cut(
    batch: &RecordBatch,
    before: u64,
    marks: &[Mark],
    names: &[&str],
) -> Result<(RecordBatch, RecordBatch)> {
    let failed = |error: arrow_schema::ArrowError| {
        Error::internal(format!("rows cannot be taken apart: {error}"))
    };
    let mut broken: Vec<Vec<usize>> = vec![Vec::new(); batch.num_rows()];
    for mark in marks {
        if let Some(rules) = broken.get_mut(mark.row)
            && !rules.contains(&mark.rule)
        {
            rules.push(mark.rule);
        }
    }
    let good = BooleanArray::from_iter(broken.iter().map(|rules| Some(rules.is_empty())));
    let bad = BooleanArray::from_iter(broken.iter().map(|rules| Some(!rules.is_empty())));
    let kept = filter_record_batch(batch, &good).map_err(failed)?;
    let rest = filter_record_batch(batch, &bad).map_err(failed)?;
    let (mut texts, mut rows) = (StringBuilder::new(), UInt64Builder::new());
    for (row, rules) in (before..).zip(&broken) {
        if rules.is_empty() {
            continue;
        }
        let said: Vec<&str> = rules
            .iter()
            .filter_map(|rule| names.get(*rule).copied())
            .collect();
        texts.append_value(said.join("; "));
        rows.append_value(row);
    }
    let mut columns: Vec<ArrayRef> = rest.columns().to_vec();
    columns.push(Arc::new(texts.finish()));
    columns.push(Arc::new(rows.finish()));
    let rest = RecordBatch::try_new(quarantine_schema(&batch.schema()), columns).map_err(failed)?;
    Ok((kept, rest))
}

/// `(column, change, compatibility)` of each difference between two schemas.
#[pyfunction]
pub fn compare_schemas(old: &Schema, new: &Schema) -> Vec<(String, String, String)> {
    compare(&old.0, &new.0)
        .into_iter()
        .map(|change| {
            let word = serde_json::to_value(change.compatibility)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned));
            (change.column, change.change, word.unwrap_or_default())
        })
        .collect()
}

/// Checks that rules fit the columns that a model takes, as they are checked when it is loaded.
#[pyfunction]
pub fn check_guard(rules: &str, schema: &Schema) -> PyResult<()> {
    run_attached(|| Guard::new(&CoreRules::from_json(rules)?, &schema.0).map(drop))
}

/// The rows of a table and the sum of their keys: of two tables the sums add up, in any order.
/// Columns are told apart by their place, rows by their values.
#[pyfunction]
pub fn row_sum(py: Python<'_>, table: &Bound<'_, PyAny>) -> PyResult<(u64, u64, u64)> {
    let batches = import(table)?;
    run(py, || {
        let names: Vec<String> = batches.names().into_iter().map(str::to_owned).collect();
        let schema = select(&batches, &names)?;
        let (mut rows, mut sum, mut keys) = (0, [0_u64; 2], Vec::new());
        batches.for_each(&schema, |part| {
            rows += part.rows() as u64;
            row_keys(part.columns(), part.rows(), &mut keys);
            for key in &keys {
                sum = [sum[0].wrapping_add(key[0]), sum[1].wrapping_add(key[1])];
            }
            Ok(())
        })?;
        Ok((rows, sum[0], sum[1]))
    })
}
