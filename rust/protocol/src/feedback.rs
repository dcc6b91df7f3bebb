//! Labels and named numbers of predictions, as JSON or as an Arrow IPC stream.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use tidegate_schema::{Column, DType, Error, Field, Result, Schema, Table};

use crate::arrow::decode_batches;
use crate::limits::{Limits, too_many};

/// The column of an Arrow table with the names of rows.
pub const ID: &str = "prediction_id";
/// The column of an Arrow table with the labels.
pub const LABEL: &str = "label";

/// What came as a label.
#[derive(Clone, Debug, PartialEq)]
pub enum Label<'a> {
    /// Null or NaN.
    Missing,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
}

/// What is said of one row that was predicted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<'a> {
    /// The name of the row: `prediction_id/row`.
    #[serde(borrow)]
    pub prediction_id: Cow<'a, str>,
    /// Its label; `None` where nothing is said of one.
    #[serde(default, borrow, deserialize_with = "given")]
    pub label: Option<Label<'a>>,
    /// Numbers by name; null is missing.
    #[serde(default, borrow)]
    pub metrics: BTreeMap<Cow<'a, str>, Option<f64>>,
}

/// A label that is there, also as null.
fn given<'de, D: Deserializer<'de>>(
    reader: D,
) -> std::result::Result<Option<Label<'de>>, D::Error> {
    Label::deserialize(reader).map(Some)
}

impl<'de> Deserialize<'de> for Label<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> std::result::Result<Self, D::Error> {
        reader.deserialize_any(LabelVisitor)
    }
}

struct LabelVisitor;

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = Label<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label: a number, a text, true, false or null")
    }

    fn visit_unit<E>(self) -> std::result::Result<Label<'de>, E> {
        Ok(Label::Missing)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Label<'de>, E> {
        Ok(Label::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Label<'de>, E> {
        Ok(Label::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Label<'de>, E> {
        Ok(i64::try_from(value).map_or(Label::Float(value as f64), Label::Int))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Label<'de>, E> {
        Ok(Label::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> std::result::Result<Label<'de>, E> {
        Ok(Label::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> std::result::Result<Label<'de>, E> {
        Ok(Label::Text(Cow::Owned(value.to_owned())))
    }
}

/// Reads `{"feedback": [{"prediction_id": "…/0", "label": 1, "metrics": {"revenue": 2.5}}]}`.
///
/// # Errors
/// `InvalidInput` for what is no such body; `TooLarge` for more entries than rows are allowed.
pub fn decode<'a>(body: &'a [u8], limits: &Limits) -> Result<Vec<Entry<'a>>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body<'a> {
        #[serde(borrow)]
        feedback: Vec<Entry<'a>>,
    }
    let body: Body<'a> = serde_json::from_slice(body).map_err(|error| {
        Error::invalid(format!(
            "the body is no feedback ({error}): send {{\"feedback\": [{{\"prediction_id\": \"…/0\", \"label\": …}}]}}"
        ))
    })?;
    check(body.feedback.len(), limits)?;
    Ok(body.feedback)
}

fn check(entries: usize, limits: &Limits) -> Result<()> {
    if entries == 0 {
        return Err(Error::invalid(
            "the feedback has no entries: send at least one",
        ));
    }
    if entries > limits.rows {
        return Err(too_many("entries of feedback", entries, limits.rows));
    }
    Ok(())
}

/// Reads an Arrow IPC stream with the columns `prediction_id`, `label` (if there are labels) and
/// one of numbers for each name, and gives it as a table.
///
/// # Errors
/// As [`decode`].
pub fn decode_arrow<R>(
    body: &[u8],
    limits: &Limits,
    each: impl FnMut(&Schema, &Table<'_>) -> Result<R>,
) -> Result<Vec<R>> {
    decode_batches(body, limits, each)
}

/// The entries of a table with the columns `prediction_id`, `label` and numbers by name. A label
/// that is missing is one that nobody gave: tables have no other way to leave it out.
///
/// # Errors
/// `InvalidInput` for columns of other types, and without `prediction_id`.
pub fn entries<'a>(schema: &'a Schema, table: &Table<'a>) -> Result<Vec<Entry<'a>>> {
    let columns = || schema.fields().iter().zip(table.columns());
    let ids = match columns().find(|(field, _)| field.name == ID) {
        Some((_, Column::String(ids))) => ids,
        Some((field, _)) => return Err(of_type(field, "texts")),
        None => {
            return Err(Error::invalid(format!(
                "the table has no column {ID:?}: send the names of the rows that were predicted"
            )));
        }
    };
    let mut entries: Vec<Entry<'a>> = (0..table.rows())
        .map(|row| Entry {
            prediction_id: Cow::Borrowed(ids.get(row).unwrap_or_default()),
            label: None,
            metrics: BTreeMap::new(),
        })
        .collect();
    for (field, column) in columns().filter(|(field, _)| field.name != ID) {
        for (row, entry) in entries.iter_mut().enumerate() {
            if field.name == LABEL {
                // NaN is a label that is none, which is to be said.
                entry.label = label(column, row);
                if entry.label.is_none() && !column.is_missing(row) {
                    return Err(of_type(field, "numbers, texts or bools"));
                }
                continue;
            }
            if column.is_missing(row) {
                continue;
            }
            let value = match column {
                Column::Float64(values) => values.get(row),
                Column::Int64(values) => values.get(row).map(|value| value as f64),
                _ => return Err(of_type(field, "numbers")),
            };
            entry.metrics.insert(Cow::Borrowed(&field.name), value);
        }
    }
    if schema.position(LABEL).is_some() {
        // A row may bring numbers only; one that brings nothing was to bring a label.
        let empty = |entry: &&mut Entry<'_>| entry.label.is_none() && entry.metrics.is_empty();
        for entry in entries.iter_mut().filter(empty) {
            entry.label = Some(Label::Missing);
        }
    }
    Ok(entries)
}

fn label<'a>(column: &Column<'a>, row: usize) -> Option<Label<'a>> {
    match column {
        Column::Bool(values) => values.get(row).map(|value| Label::Bool(value != 0)),
        Column::Int64(values) => values.get(row).map(Label::Int),
        Column::Float64(values) => values.get(row).map(Label::Float),
        Column::String(values) => values.get(row).map(|text| Label::Text(Cow::Borrowed(text))),
        _ => None,
    }
}

fn of_type(field: &Field, due: &str) -> Error {
    let found: DType = field.dtype;
    Error::invalid(format!(
        "column {:?} of the feedback is {found} where {due} are due",
        field.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_from_json() {
        let body = r#"{"feedback": [
            {"prediction_id": "a/0", "label": 1},
            {"prediction_id": "b\u0061/1", "label": "l\u00e4te", "metrics": {"revenue": 2, "cost": null}},
            {"prediction_id": "c", "label": null},
            {"prediction_id": "d", "label": 0.5},
            {"prediction_id": "e", "label": true},
            {"prediction_id": "f", "metrics": {"x": -1.5}}
        ]}"#;
        let entries = decode(body.as_bytes(), &Limits::default()).unwrap();
        let labels: Vec<_> = entries.iter().map(|entry| entry.label.clone()).collect();
        let due = [
            Some(Label::Int(1)),
            Some(Label::Text("läte".into())),
            Some(Label::Missing),
            Some(Label::Float(0.5)),
            Some(Label::Bool(true)),
            None,
        ];
        assert_eq!(labels, due);
        assert_eq!(entries[1].prediction_id, "ba/1");
        assert_eq!(entries[1].metrics["revenue"], Some(2.0));
        assert_eq!(entries[1].metrics["cost"], None);
    }

    #[test]
    fn a_label_that_is_none_is_said_where_nothing_else_is() {
        use tidegate_schema::TableBuf;
        let schema = Schema::new(vec![
            Field::nullable(ID, DType::String),
            Field::nullable(LABEL, DType::Float64),
            Field::nullable("revenue", DType::Float64),
        ])
        .unwrap();
        let mut table = TableBuf::new(&schema, 3);
        for (label, revenue) in [(None, None), (Some(f64::NAN), Some(1.0)), (None, Some(2.0))] {
            table.columns[0].push_str("a").unwrap();
            for (place, value) in [(1, label), (2, revenue)] {
                match value {
                    Some(value) => table.columns[place].push_f64(value).unwrap(),
                    None => table.columns[place].push_null(),
                }
            }
        }
        let view = table.view().unwrap();
        let found = entries(&schema, &view).unwrap();
        assert_eq!(found[0].label, Some(Label::Missing));
        assert!(matches!(found[1].label, Some(Label::Float(value)) if value.is_nan()));
        assert_eq!(
            (&found[2].label, found[2].metrics["revenue"]),
            (&None, Some(2.0))
        );
    }

    #[test]
    fn what_is_no_feedback_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"feedback": []}"#,
            r#"{"feedback": [{}]}"#,
            r#"{"feedback": [{"prediction_id": 1}]}"#,
            r#"{"feedback": [{"prediction_id": "a", "label": NaN}]}"#,
            r#"{"feedback": [{"prediction_id": "a", "label": [1]}]}"#,
            r#"{"feedback": [{"prediction_id": "a", "lable": 1}]}"#,
            r#"{"feedback": [{"prediction_id": "a", "metrics": {"x": "1"}}]}"#,
        ] {
            let error = decode(body.as_bytes(), &Limits::default()).unwrap_err();
            assert!(!error.message.is_empty(), "{body}");
        }
        let limits = Limits {
            rows: 1,
            ..Limits::default()
        };
        let two = r#"{"feedback": [{"prediction_id": "a"}, {"prediction_id": "b"}]}"#;
        assert!(
            decode(two.as_bytes(), &limits)
                .unwrap_err()
                .message
                .contains("limit of 1")
        );
    }

    #[test]
    fn entries_are_read_from_columns() {
        use tidegate_schema::{ColumnBuf, TableBuf};
        let mut ids = ColumnBuf::new(DType::String, 2);
        ids.push_str("a/0").unwrap();
        ids.push_str("b/0").unwrap();
        let mut labels = ColumnBuf::new(DType::Int64, 2);
        labels.push_i64(1).unwrap();
        labels.push_null();
        let schema = Schema::new(vec![
            Field::nullable(ID, DType::String),
            Field::nullable("revenue", DType::Float64),
            Field::nullable(LABEL, DType::Int64),
        ])
        .unwrap();
        let table = TableBuf {
            columns: vec![ids, ColumnBuf::from_f64(vec![2.5, 3.5]), labels],
        };
        let found = entries(&schema, &table.view().unwrap()).unwrap();
        assert_eq!(found[0].label, Some(Label::Int(1)));
        assert_eq!(
            (&found[1].label, found[1].metrics["revenue"]),
            (&None, Some(3.5))
        );
        let wrong = Schema::new(vec![Field::nullable("id", DType::String)]).unwrap();
        let message = entries(&wrong, &table.view().unwrap()).unwrap_err().message;
        assert!(message.contains("prediction_id"), "{message}");
    }
}
