//! Rows from dicts: one pass over the keys, straight into typed columns, without Arrow.
//!
//! What each column takes from Python is one table, in `docs/features.md`; nothing else is
//! converted, and text never becomes a number.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use tidegate_schema::{ColumnBuf, DType, Error, Field, Result, Schema, TableBuf};

use crate::errors::raise;

/// Why rows cannot be taken.
pub struct Refusal {
    error: PyErr,
    /// The column that has a value of a wrong type, where that is what is wrong.
    pub mistyped: Option<String>,
}

impl Refusal {
    /// A column has a value of a wrong type.
    pub fn of(column: &str, error: Error) -> Self {
        Self {
            error: raise(error),
            mistyped: Some(column.to_owned()),
        }
    }
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self {
            error,
            mistyped: None,
        }
    }
}

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// What comes of taking rows.
pub type Taken<T> = std::result::Result<T, Refusal>;

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// What becomes of keys that no column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// They are an error that names the nearest column.
    Error,
    /// They are left out.
    Ignore,
}

impl Extra {
    /// Reads the argument `extra`; an error by default.
    pub fn parse(text: Option<&str>) -> PyResult<Self> {
        match text {
            None | Some("error") => Ok(Self::Error),
            Some("ignore") => Ok(Self::Ignore),
            Some(other) => Err(raise(Error::invalid(format!(
                "extra={other:?}: use 'error' or 'ignore'"
            )))),
        }
    }
}

/// One row as a table of one row.
pub fn from_dict(schema: &Schema, row: &Bound<'_, PyDict>, extra: Extra) -> Taken<TableBuf> {
    let mut table = TableBuf::new(schema, 1);
    push_row(&mut table, schema, row, extra)?;
    Ok(table)
}

/// Many rows, in order; an error names the row.
pub fn from_dicts(schema: &Schema, rows: &Bound<'_, PyList>, extra: Extra) -> Taken<TableBuf> {
    let mut table = TableBuf::new(schema, rows.len());
    for (position, row) in rows.iter().enumerate() {
        let outcome = match row.cast::<PyDict>() {
            Ok(row) => push_row(&mut table, schema, row, extra),
            Err(_) => Err(Refusal::from(raise(Error::invalid(format!(
                "{} where a dict of columns is due",
                row.get_type().name()?
            ))))),
        };
        outcome.map_err(|refusal| at_row(row.py(), refusal, position))?;
    }
    Ok(table)
}

/// The same exception with the row put before its message.
fn at_row(py: Python<'_>, refusal: Refusal, position: usize) -> Refusal {
    let Refusal { error, mistyped } = refusal;
    let message = format!("row {position}: {}", error.value(py));
    Refusal {
        error: PyErr::from_type(error.get_type(py), message),
        mistyped,
    }
}

fn push_row(
    table: &mut TableBuf,
    schema: &Schema,
    row: &Bound<'_, PyDict>,
    extra: Extra,
) -> Taken<()> {
    let before = table.rows();
    let mut filled = 0;
    for (place, (key, value)) in row.iter().enumerate() {
        let Ok(name) = key.cast::<PyString>() else {
            return Err(Refusal::from(raise(Error::invalid(format!(
                "key {} is no text: columns are named by text",
                key.repr()?
            )))));
        };
        let name = name.to_str()?;
        // Dicts made by one piece of code mostly have the schema's order: no hashing then.
        let expected = schema.fields().get(place);
        let position = match expected {
            Some(field) if field.name == name => Some(place),
            _ => schema.position(name),
        };
        let Some(position) = position else {
            match extra {
                Extra::Ignore => continue,
                // `resolve` fails with the nearest name.
                Extra::Error => {
                    let error = match schema.resolve(name) {
                        Err(error) => Error::invalid(format!(
                            "{}; extra='ignore' leaves such keys out",
                            error.message
                        )),
                        Ok(_) => Error::internal("a column was lost"),
                    };
                    return Err(raise(error).into());
                }
            }
        };
        let (Some(column), Some(field)) = (
            table.columns.get_mut(position),
            schema.fields().get(position),
        ) else {
            return Err(raise(Error::internal("a column was lost")).into());
        };
        push(column, field, &value)?;
        filled += 1;
    }
    if filled < schema.len() {
        absent(table, schema, before).map_err(raise)?;
    }
    Ok(())
}

/// Absent keys are missing values, where a column may have them.
fn absent(table: &mut TableBuf, schema: &Schema, before: usize) -> Result<()> {
    for (column, field) in table.columns.iter_mut().zip(schema.fields()) {
        if column.len() > before {
            continue;
        }
        if !field.nullable {
            return Err(Error::invalid(format!(
                "column {:?} is missing but may not be: send a value, or make the column nullable",
                field.name
            )));
        }
        column.push_null();
    }
    Ok(())
}

fn push(column: &mut ColumnBuf, field: &Field, value: &Bound<'_, PyAny>) -> Taken<()> {
    let pushed = if value.is_none() {
        column.push_null();
        Ok(())
    } else if let Ok(text) = value.cast::<PyString>() {
        push_text(column, text.to_str()?)
    } else if let Ok(number) = value.cast::<PyFloat>() {
        let number = number.value();
        if number.is_nan() && field.dtype != DType::Float64 {
            // Missing in a column of any type, as pandas has it.
            column.push_null();
            return Ok(());
        }
        column.push_f64(number)
    } else if value.is_instance_of::<PyBool>() {
        column.push_bool(value.is_truthy()?)
    } else if let Ok(number) = value.cast::<PyInt>() {
        match number.extract::<i64>() {
            Ok(number) if field.dtype == DType::Timestamp => column.push_timestamp(number),
            Ok(number) if field.dtype == DType::Date => column.push_date(number),
            Ok(number) if field.dtype == DType::Duration => column.push_duration(number),
            Ok(number) => column.push_i64(number),
            Err(_) => Err(Error::invalid(format!("{number} does not fit 64 bits"))),
        }
    } else {
        return push_other(column, field, value);
    };
    pushed.map_err(|error| named(field, value, error))
}

fn push_text(column: &mut ColumnBuf, text: &str) -> Result<()> {
    if column.dtype() == DType::Timestamp {
        return column.push_timestamp(tidegate_protocol::timestamp::parse(text)?);
    }
    if column.dtype() == DType::Date {
        return column.push_date(tidegate_protocol::timestamp::parse_date(text)?);
    }
    if column.dtype() == DType::Duration {
        return column.push_duration(tidegate_protocol::duration::parse(text)?);
    }
    column.push_str(text)
}

/// Times, NumPy's scalars, and whatever says that it is missing.
fn push_other(column: &mut ColumnBuf, field: &Field, value: &Bound<'_, PyAny>) -> Taken<()> {
    let py = value.py();
    if field.dtype.is_list() {
        return push_list(column, field, value);
    }
    // NaT and NumPy's NaN differ from themselves; pandas.NA will not say.
    if matches!(value.ne(value), Ok(true)) || value.get_type().name()? == "NAType" {
        column.push_null();
        return Ok(());
    }
    if field.dtype == DType::Duration && value.hasattr(intern!(py, "total_seconds"))? {
        let micros = micros_of_span(value)?;
        return column
            .push_duration(micros)
            .map_err(|error| named(field, value, error));
    }
    // A `datetime` is a date as well, but has a time that would be lost.
    if field.dtype == DType::Date
        && value.hasattr(intern!(py, "toordinal"))?
        && !value.hasattr(intern!(py, "utcoffset"))?
    {
        let days = value
            .call_method0(intern!(py, "toordinal"))?
            .extract::<i64>()?
            - ORDINAL_OF_1970;
        return column
            .push_date(days)
            .map_err(|error| named(field, value, error));
    }
    if value.hasattr(intern!(py, "utcoffset"))? && value.hasattr(intern!(py, "year"))? {
        let micros = micros_of(value)?;
        return column
            .push_timestamp(micros)
            .map_err(|error| named(field, value, error));
    }
    // A NumPy scalar, or an array without dimensions: neither has a length.
    let shape = value.getattr_opt(intern!(py, "shape"))?;
    if shape.is_some_and(|shape| shape.len().is_ok_and(|dimensions| dimensions == 0)) {
        let kind: String = value
            .getattr(intern!(py, "dtype"))?
            .getattr("kind")?
            .extract()?;
        if kind == "M" || kind == "m" {
            let unit = match (kind.as_str(), field.dtype) {
                ("m", _) => "timedelta64[us]",
                (_, DType::Date) => "datetime64[D]",
                _ => "datetime64[us]",
            };
            let number: i64 = value
                .call_method1(intern!(py, "astype"), (unit,))?
                .call_method1(intern!(py, "astype"), ("int64",))?
                .extract()?;
            return match unit {
                "timedelta64[us]" => column.push_duration(number),
                "datetime64[D]" => column.push_date(number),
                _ => column.push_timestamp(number),
            }
            .map_err(|error| named(field, value, error));
        }
        let item = value.call_method0(intern!(py, "item"))?;
        // What has no Python scalar gives back itself, and would do so for ever.
        if !item.hasattr(intern!(py, "dtype"))? {
            return push(column, field, &item);
        }
    }
    let error = Error::invalid(format!(
        "{} where {} is due: send {}",
        value.get_type().name()?,
        field.dtype,
        field.dtype.wanted()
    ));
    Err(named(field, value, error))
}

/// The number that `date.toordinal` gives 1970-01-01.
const ORDINAL_OF_1970: i64 = 719_163;

/// Microseconds of a `timedelta`.
fn micros_of_span(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let part = |name: &Bound<'_, PyString>| value.getattr(name)?.extract::<i64>();
    let seconds = part(intern!(py, "days"))? * 86_400 + part(intern!(py, "seconds"))?;
    Ok(seconds * 1_000_000 + part(intern!(py, "microseconds"))?)
}

/// A list from whatever has items in order: a list, a tuple, an array of one dimension.
fn push_list(column: &mut ColumnBuf, field: &Field, value: &Bound<'_, PyAny>) -> Taken<()> {
    let py = value.py();
    let wrong = |item: &Bound<'_, PyAny>| -> Refusal {
        let kind = item
            .get_type()
            .name()
            .map_or_else(|_| "a value".to_owned(), |name| name.to_string());
        let error = Error::invalid(format!(
            "{kind} where {} is due: send {}",
            field.dtype,
            field.dtype.wanted()
        ));
        named(field, value, error)
    };
    // Arrays hand out scalars of their own; their lists hold Python's.
    let plain = match value.getattr_opt(intern!(py, "tolist"))? {
        Some(to_list) => to_list.call0()?,
        None => value.clone(),
    };
    let (Ok(list), false) = (plain.try_iter(), plain.cast::<PyDict>().is_ok()) else {
        return Err(wrong(value));
    };
    let items = list.collect::<PyResult<Vec<_>>>()?;
    let pushed = if field.dtype == DType::NumberList {
        let numbers = items
            .iter()
            .map(|item| match item {
                item if item.is_none() => Ok(f64::NAN),
                item if item.is_instance_of::<PyBool>() => Err(wrong(item)),
                item if item.is_instance_of::<PyFloat>() || item.is_instance_of::<PyInt>() => {
                    Ok(item.extract::<f64>()?)
                }
                // A NumPy scalar: its own scalar says what it is.
                item if item.hasattr(intern!(py, "dtype"))? => {
                    match item.call_method0(intern!(py, "item"))?.extract::<f64>() {
                        Ok(number) if !item.getattr("dtype")?.getattr("kind")?.eq("b")? => {
                            Ok(number)
                        }
                        _ => Err(wrong(item)),
                    }
                }
                item => Err(wrong(item)),
            })
            .collect::<Taken<Vec<f64>>>()?;
        column.push_numbers(&numbers)
    } else {
        let texts = items
            .iter()
            .map(|item| match item.cast::<PyString>() {
                Ok(text) => Ok(Some(text.to_str()?)),
                Err(_) if item.is_none() => Ok(None),
                Err(_) => Err(wrong(item)),
            })
            .collect::<Taken<Vec<_>>>()?;
        column.push_texts(texts.into_iter())
    };
    pushed.map_err(|error| named(field, value, error))
}

/// Microseconds since 1970 UTC of a `datetime`; one without a zone is taken as UTC.
fn micros_of(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let part = |name: &Bound<'_, PyString>| value.getattr(name)?.extract::<i64>();
    let days = days_from_civil(
        part(intern!(py, "year"))?,
        part(intern!(py, "month"))?,
        part(intern!(py, "day"))?,
    );
    let seconds = part(intern!(py, "hour"))? * 3_600
        + part(intern!(py, "minute"))? * 60
        + part(intern!(py, "second"))?;
    let local = days * DAY + seconds * 1_000_000 + part(intern!(py, "microsecond"))?;
    let offset = value.call_method0(intern!(py, "utcoffset"))?;
    if offset.is_none() {
        return Ok(local);
    }
    let part = |name: &Bound<'_, PyString>| offset.getattr(name)?.extract::<i64>();
    let seconds = part(intern!(py, "days"))? * 86_400 + part(intern!(py, "seconds"))?;
    Ok(local - seconds * 1_000_000 - part(intern!(py, "microseconds"))?)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Howard Hinnant's
/// `days_from_civil`).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The refusal of a value that a column does not take.
fn named(field: &Field, value: &Bound<'_, PyAny>, error: Error) -> Refusal {
    /// Longer values are cut in messages.
    const SHOWN: usize = 40;
    let shown = value
        .repr()
        .map_or_else(|_| "a value".to_owned(), |text| text.to_string());
    let shown: String = shown.chars().take(SHOWN).collect();
    let error = error.at(format!("column {:?}, value {shown}", field.name));
    Refusal::of(&field.name, error)
}
