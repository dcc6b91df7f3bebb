//! What went wrong with the rows of a model: a few of those that failed, and in how many requests a
//! value of each column had a wrong type.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use serde_json::{Map, Number, Value};
use tidegate_predictionlog::log::{Disclosed, Log};
use tidegate_schema::{Column, Schema, Table};

/// Rows that are kept of each fault, the newest.
const MOST_ROWS: usize = 8;
/// Seconds between two rows of one fault: in a flood all others cost a look at a lock each.
const PAUSE: f64 = 0.1;
/// Most bytes of a row; columns beyond are left out.
const MOST_BYTES: usize = 16_384;
/// Most bytes of a text in a row; longer ones are cut.
const MOST_TEXT: usize = 1_024;
/// Longest reason that is kept, in characters.
const MOST_REASON: usize = 300;
/// What a value takes beside its column's name and its text.
const OVERHEAD: usize = 32;

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The model failed.
    Model,
    /// The row broke a rule of the bundle.
    Rule,
}

/// A row that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedRow {
    /// When, in seconds since 1970.
    pub at: f64,
    /// What the answer said, or which rule was broken.
    pub reason: String,
    /// The row as JSON: without the columns that the prediction log leaves out, and with hashes where
    /// it has hashes.
    pub row: String,
}

/// What went wrong with the rows of one model.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    rows: [Mutex<VecDeque<FailedRow>>; 2],
    /// By the columns of the schema.
    mistyped: Vec<AtomicU64>,
    /// Its rules say what of a row may be kept.
    log: Option<Arc<Log>>,
}

impl Failures {
    pub fn new(schema: Option<&Schema>, log: Option<Arc<Log>>) -> Self {
        let columns = schema.map_or(0, Schema::len);
        Self {
            rows: Default::default(),
            mistyped: (0..columns).map(|_| AtomicU64::new(0)).collect(),
            log,
        }
    }

    /// Keeps a row, which `find` looks for if there is room: not if one was kept just before, or if
    /// somebody else is about to.
    pub fn keep(
        &self,
        fault: Fault,
        schema: &Schema,
        table: &Table<'_>,
        now: f64,
        find: impl FnOnce() -> Option<(usize, String)>,
    ) {
        let mut kept = match self.rows.get(fault as usize).map(Mutex::try_lock) {
            Some(Ok(kept)) => kept,
            Some(Err(TryLockError::Poisoned(poisoned))) => poisoned.into_inner(),
            _ => return,
        };
        if let Some(last) = kept.back()
            && (0.0..PAUSE).contains(&(now - last.at))
        {
            return;
        }
        let Some((row, reason)) = find().filter(|(row, _)| *row < table.rows()) else {
            return;
        };
        if kept.len() >= MOST_ROWS {
            kept.pop_front();
        }
        kept.push_back(FailedRow {
            at: now,
            reason: reason.chars().take(MOST_REASON).collect(),
            row: self.written(schema, table, row),
        });
    }

    /// The rows that are kept, the newest first.
    pub fn newest(&self) -> Vec<FailedRow> {
        let all = self.rows.iter();
        let mut found: Vec<FailedRow> = all
            .flat_map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect();
        found.sort_by(|a, b| b.at.total_cmp(&a.at));
        found
    }

    /// Counts a request that was refused for a value of a wrong type.
    pub fn mistyped(&self, schema: &Schema, column: &str) {
        let place = schema.position(column);
        if let Some(count) = place.and_then(|place| self.mistyped.get(place)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The columns that had values of a wrong type, and in how many requests.
    pub fn mistyped_columns(&self, schema: &Schema) -> Vec<(String, u64)> {
        let fields = schema.fields().iter().zip(&self.mistyped);
        fields
            .map(|(field, count)| (field.name.clone(), count.load(Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// A row as JSON, as far as the log's rules let it be kept: numbers and texts as they are, times
    /// as microseconds and days, of a list how many items it has.
    fn written(&self, schema: &Schema, table: &Table<'_>, row: usize) -> String {
        let mut values = Map::new();
        let mut bytes = 0;
        for (field, column) in schema.fields().iter().zip(table.columns()) {
            let rules = self.log.as_ref().map(|log| log.rules());
            let disclosed = rules.map(|rules| rules.disclosed(&field.name, column, row));
            let value = match disclosed {
                Some(Disclosed::Nothing) => continue,
                Some(Disclosed::Hash(hash)) => hash.map_or(Value::Null, Value::from),
                Some(Disclosed::Itself) | None => value(column, row),
            };
            let name = match column {
                Column::NumberList(_) | Column::TextList(_) => format!("length of {}", field.name),
                _ => field.name.clone(),
            };
            bytes += name.len() + value.as_str().map_or(0, str::len) + OVERHEAD;
            if bytes > MOST_BYTES {
                break;
            }
            values.insert(name, value);
        }
        Value::Object(values).to_string()
    }
}

fn value(column: &Column<'_>, row: usize) -> Value {
    if column.is_missing(row) {
        return Value::Null;
    }
    let found = match column {
        Column::Bool(values) => values.get(row).map(|value| Value::from(value != 0)),
        Column::Int64(values)
        | Column::Timestamp(values)
        | Column::Date(values)
        | Column::Duration(values) => values.get(row).map(Value::from),
        // What is not finite is no JSON.
        Column::Float64(values) => values.get(row).map(|value| {
            let number = Number::from_f64(value);
            number.map_or_else(|| Value::from(value.to_string()), Value::Number)
        }),
        Column::String(values) => values.get(row).map(|text| Value::from(beginning(text))),
        Column::NumberList(lists) => lists.range(row).map(|range| Value::from(range.len())),
        Column::TextList(lists) => lists.range(row).map(|range| Value::from(range.len())),
    };
    found.unwrap_or(Value::Null)
}

/// As much of a text as is kept.
fn beginning(text: &str) -> &str {
    let ends = (0..=MOST_TEXT.min(text.len())).rev();
    let end = ends.into_iter().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_predictionlog::log::{Rotation, Rules};
    use tidegate_schema::{DType, Field, TableBuf};

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::nullable("fare", DType::Float64),
            Field::nullable("carrier", DType::String),
            Field::nullable("codes", DType::TextList),
        ])
        .unwrap()
    }

    fn table(rows: &[(f64, &str)]) -> TableBuf {
        let mut table = TableBuf::new(&schema(), rows.len());
        for (fare, carrier) in rows {
            table.columns[0].push_f64(*fare).unwrap();
            table.columns[1].push_str(carrier).unwrap();
            let codes = [Some("a"), None];
            table.columns[2].push_texts(codes.into_iter()).unwrap();
        }
        table
    }

    fn failures(log: Option<Log>) -> Failures {
        Failures::new(Some(&schema()), log.map(Arc::new))
    }

    #[test]
    fn a_few_rows_of_each_fault_are_kept_the_newest_first() {
        let (schema, failures) = (schema(), failures(None));
        let table = table(&[(f64::NAN, "UA"), (f64::INFINITY, "AA")]);
        let view = table.view().unwrap();
        for second in 0..20 {
            let now = f64::from(second);
            failures.keep(Fault::Rule, &schema, &view, now, || {
                Some((1, "fare: too high".to_owned()))
            });
        }
        failures.keep(Fault::Model, &schema, &view, 5.5, || {
            Some((0, "é".repeat(1_000)))
        });
        let found = failures.newest();
        assert_eq!(found.len(), MOST_ROWS + 1);
        assert_eq!(
            (found[0].at, found[0].row.as_str()),
            (19.0, r#"{"carrier":"AA","fare":"inf","length of codes":2}"#)
        );
        assert_eq!(
            found[MOST_ROWS].row,
            r#"{"carrier":"UA","fare":null,"length of codes":2}"#
        );
        assert_eq!(found[MOST_ROWS].reason.chars().count(), MOST_REASON);
        // A row that is not there is none.
        failures.keep(Fault::Model, &schema, &view, 99.0, || Some((2, "?".into())));
        assert_eq!(failures.newest().len(), MOST_ROWS + 1);
    }

    #[test]
    fn a_flood_leaves_one_in_each_pause() {
        let (schema, failures) = (schema(), failures(None));
        let table = table(&[(1.0, "UA")]);
        let view = table.view().unwrap();
        let mut looked = 0;
        for step in 0..1_000 {
            let now = 100.0 + f64::from(step) * 1e-5;
            failures.keep(Fault::Rule, &schema, &view, now, || {
                looked += 1;
                Some((0, String::new()))
            });
        }
        assert_eq!((looked, failures.newest().len()), (1, 1));
        // A clock that is set back hides nothing.
        failures.keep(Fault::Rule, &schema, &view, 50.0, || {
            Some((0, String::new()))
        });
        assert_eq!(failures.newest().len(), 2);
    }

    #[test]
    fn what_the_log_leaves_out_is_not_kept() {
        let mut rules = Rules::default();
        rules.redact = vec!["fare".to_owned()];
        rules.hash = vec!["carrier".to_owned()];
        let rules = rules.with_key(&[7; 32]).unwrap();
        let log = Log::new(rules, Rotation::default(), 1 << 20, "test".to_owned()).unwrap();
        let (schema, failures) = (schema(), failures(Some(log)));
        let table = table(&[(1.0, "UA")]);
        let view = table.view().unwrap();
        failures.keep(Fault::Model, &schema, &view, 0.0, || {
            Some((0, String::new()))
        });
        let row: Map<String, Value> = serde_json::from_str(&failures.newest()[0].row).unwrap();
        assert!(!row.contains_key("fare"));
        let hash = row["carrier"].as_str().unwrap();
        assert_eq!((hash.len(), hash.contains("UA")), (32, false));
    }

    #[test]
    fn columns_of_the_schema_are_counted_and_no_others() {
        let (schema, failures) = (schema(), failures(None));
        for column in ["carrier", "carrier", "gate", ""] {
            failures.mistyped(&schema, column);
        }
        let found = failures.mistyped_columns(&schema);
        assert_eq!(found, [("carrier".to_owned(), 2)]);
    }

    proptest! {
        /// However many rows and however long, what is kept is JSON of a bounded size.
        #[test]
        fn what_is_kept_is_bounded(
            texts in proptest::collection::vec(".{0,3000}", 1..12),
            columns in 1..40_usize,
        ) {
            let names = (0..columns).map(|at| Field::nullable(format!("c{at}"), DType::String));
            let schema = Schema::new(names.collect()).unwrap();
            let failures = Failures::new(Some(&schema), None);
            for (at, text) in texts.iter().enumerate() {
                let mut table = TableBuf::new(&schema, 1);
                for column in &mut table.columns {
                    column.push_str(text).unwrap();
                }
                let view = table.view().unwrap();
                let reason = || Some((0, text.clone()));
                failures.keep(Fault::Rule, &schema, &view, at as f64, reason);
            }
            let found = failures.newest();
            prop_assert_eq!(found.len(), texts.len().min(MOST_ROWS));
            for row in found {
                // Escapes take up to six bytes for one.
                prop_assert!(row.row.len() <= 6 * MOST_BYTES);
                let read: Map<String, Value> = serde_json::from_str(&row.row).unwrap();
                let text = read["c0"].as_str().unwrap();
                prop_assert!(texts.iter().any(|whole| whole.starts_with(text)));
            }
        }
    }
}
