//! Arrow arrays in layouts and units that are ours.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, LargeStringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::BoundColumn;
use crate::{ColumnBuf, DType, Error, MAX_DAYS, Result};

/// Casts to a type, also out of a dictionary; values that do not fit are errors.
pub(super) fn flatten(name: &str, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options)
        .map_err(|error| Error::invalid(format!("column {name:?} cannot become {to}: {error}")))
}

pub(super) fn integers(name: &str, array: &ArrayRef) -> Result<Int64Array> {
    let array = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = flatten(name, array, &DataType::Float64)?;
            return whole(name, floats.as_primitive::<Float64Type>());
        }
        _ => flatten(name, array, &DataType::Int64)?,
    };
    Ok(array.as_primitive::<Int64Type>().clone())
}

/// Whole floats as integers, as pandas gives an integer column with missing values.
fn whole(name: &str, floats: &Float64Array) -> Result<Int64Array> {
    let mut buffer = ColumnBuf::new(DType::Int64, floats.len());
    let mut values = Vec::with_capacity(floats.len());
    for (row, value) in floats.iter().enumerate() {
        let value = value.filter(|value| !value.is_nan());
        if let Some(value) = value {
            buffer
                .push_f64(value)
                .map_err(|error| error.at(format!("column {name:?}, row {row}")))?;
        }
        values.push(value.map(|value| value as i64));
    }
    Ok(values.into())
}

/// Bytes that are text, checked one by one; `row` says in which row of the table one stands.
fn utf8<'a>(
    name: &str,
    values: impl Iterator<Item = Option<&'a [u8]>>,
    row: impl Fn(usize) -> usize,
) -> Result<LargeStringArray> {
    let texts: Result<Vec<Option<&str>>> = values
        .enumerate()
        .map(|(place, bytes)| {
            bytes.map(std::str::from_utf8).transpose().map_err(|error| {
                Error::invalid(format!(
                    "column {name:?}, row {}: the bytes are not valid UTF-8 ({error}): decode them first",
                    row(place)
                ))
            })
        })
        .collect();
    Ok(LargeStringArray::from(texts?))
}

/// For each row of a dictionary the place of its value; `None` where it is missing.
fn places(
    name: &str,
    array: &DictionaryArray<Int32Type>,
    row: impl Fn(usize) -> usize,
) -> Result<Vec<Option<usize>>> {
    let values = array.values();
    let inside = |key: i32| {
        usize::try_from(key)
            .ok()
            .filter(|place| *place < values.len())
    };
    array
        .keys()
        .iter()
        .enumerate()
        .map(|(at, key)| match key {
            None => Ok(None),
            Some(key) => match inside(key) {
                Some(place) => Ok(values.is_valid(place).then_some(place)),
                None => Err(Error::invalid(format!(
                    "column {name:?}, row {}: key {key} is outside the dictionary",
                    row(at)
                ))),
            },
        })
        .collect()
}

/// Texts of any layout; `row` says in which row of the table one stands.
pub(super) fn strings(
    name: &str,
    array: &ArrayRef,
    row: impl Fn(usize) -> usize,
) -> Result<BoundColumn> {
    let keyed = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let text = BoundColumn::LargeUtf8;
    match array.data_type() {
        DataType::Binary => utf8(name, array.as_binary::<i32>().iter(), row).map(text),
        DataType::LargeBinary => utf8(name, array.as_binary::<i64>().iter(), row).map(text),
        DataType::BinaryView => utf8(name, array.as_binary_view().iter(), row).map(text),
        DataType::Utf8 => Ok(BoundColumn::Utf8(array.as_string::<i32>().clone())),
        DataType::LargeUtf8 => Ok(BoundColumn::LargeUtf8(array.as_string::<i64>().clone())),
        DataType::Utf8View => Ok(BoundColumn::Utf8View(array.as_string_view().clone())),
        DataType::Dictionary(_, values)
            if matches!(
                **values,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView
            ) =>
        {
            let array = flatten(name, array, &keyed(DataType::LargeBinary))?;
            let array = array.as_dictionary::<Int32Type>();
            let values = array.values().as_binary::<i64>();
            let places = places(name, array, &row)?;
            let bytes = places
                .into_iter()
                .map(|place| place.map(|place| values.value(place)));
            utf8(name, bytes, row).map(text)
        }
        DataType::Dictionary(_, _) => {
            let array = flatten(name, array, &keyed(DataType::Utf8))?;
            let array = array.as_dictionary::<Int32Type>();
            let places = places(name, array, row)?;
            Ok(BoundColumn::Dictionary {
                keys: places
                    .iter()
                    .map(|place| place.unwrap_or_default() as i32)
                    .collect(),
                values: array.values().as_string::<i32>().clone(),
                nulls: Some(places.iter().map(Option::is_some).collect()),
            })
        }
        other => Err(Error::internal(format!(
            "column {name:?} of {other} taken for text"
        ))),
    }
}

/// Microseconds since 1970 UTC. Times without a zone are taken as UTC; finer units round down.
pub(super) fn timestamps(name: &str, array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    /// Microseconds in a day.
    const DAY: i64 = 86_400_000_000;
    fn scaled<T: ArrowPrimitiveType>(
        name: &str,
        array: &ArrayRef,
        scale: impl Fn(T::Native) -> Option<i64>,
    ) -> Result<TimestampMicrosecondArray> {
        let array = array.as_primitive::<T>();
        let beyond = |_| {
            Error::invalid(format!(
                "column {name:?} has a time beyond what 64 bits of microseconds hold"
            ))
        };
        array
            .try_unary::<_, TimestampMicrosecondType, ()>(|value| scale(value).ok_or(()))
            .map_err(beyond)
    }
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            scaled::<TimestampSecondType>(name, array, |v| v.checked_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            scaled::<TimestampMillisecondType>(name, array, |v| v.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            Ok(TimestampMicrosecondArray::new(
                array.values().clone(),
                array.nulls().cloned(),
            ))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            scaled::<TimestampNanosecondType>(name, array, |v| Some(v.div_euclid(1_000)))
        }
        DataType::Date32 => scaled::<Date32Type>(name, array, |v| i64::from(v).checked_mul(DAY)),
        DataType::Date64 => scaled::<Date64Type>(name, array, |v| v.checked_mul(1_000)),
        other => Err(Error::invalid(format!(
            "column {name:?} is {other} where timestamp is due: cast it before it is used"
        ))),
    }
}

/// Whole numbers of an array, and which of them are there.
pub(super) type Whole = (Vec<i64>, Option<NullBuffer>);

/// Each value converted; an error says which row does not fit.
fn converted<T: ArrowPrimitiveType>(
    name: &str,
    array: &ArrayRef,
    what: &str,
    convert: impl Fn(T::Native) -> Option<i64>,
) -> Result<Whole> {
    let array = array.as_primitive::<T>();
    let mut values = Vec::with_capacity(array.len());
    for (row, value) in array.iter().enumerate() {
        values.push(match value {
            None => 0,
            Some(value) => convert(value).ok_or_else(|| {
                Error::invalid(format!(
                    "column {name:?} has {what} in row {row} beyond what 64 bits of microseconds hold"
                ))
            })?,
        });
    }
    Ok((values, array.nulls().cloned()))
}

/// Days since 1970; of times in milliseconds the day that they are in.
pub(super) fn dates(name: &str, array: &ArrayRef) -> Result<Whole> {
    /// Milliseconds in a day.
    const DAY: i64 = 86_400_000;
    let within = |days: i64| (-MAX_DAYS..=MAX_DAYS).contains(&days).then_some(days);
    match array.data_type() {
        DataType::Date32 => {
            converted::<Date32Type>(name, array, "a date", |days| within(i64::from(days)))
        }
        DataType::Date64 => converted::<Date64Type>(name, array, "a date", |millis| {
            within(millis.div_euclid(DAY))
        }),
        other => Err(Error::internal(format!(
            "column {name:?} of {other} taken for dates"
        ))),
    }
}

/// Microseconds; finer units round down.
pub(super) fn durations(name: &str, array: &ArrayRef) -> Result<Whole> {
    let what = "a time span";
    match array.data_type() {
        DataType::Duration(TimeUnit::Second) => {
            converted::<DurationSecondType>(name, array, what, |v| v.checked_mul(1_000_000))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            converted::<DurationMillisecondType>(name, array, what, |v| v.checked_mul(1_000))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            converted::<DurationMicrosecondType>(name, array, what, Some)
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            converted::<DurationNanosecondType>(name, array, what, |v| Some(v.div_euclid(1_000)))
        }
        other => Err(Error::internal(format!(
            "column {name:?} of {other} taken for time spans"
        ))),
    }
}

/// Lists of any layout as offsets into their items, from 0 on: of a slice no other items are there.
fn lists(name: &str, array: &ArrayRef) -> Result<(Vec<i64>, ArrayRef, Option<NullBuffer>)> {
    let nulls = array.nulls().cloned();
    let (offsets, items): (Vec<i64>, _) = match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let offsets = lists.value_offsets().iter().map(|o| i64::from(*o));
            (offsets.collect(), lists.values())
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            (lists.value_offsets().to_vec(), lists.values())
        }
        DataType::FixedSizeList(_, size) => {
            let lists = array.as_fixed_size_list();
            let offsets = (0..=lists.len() as i64).map(|row| row * i64::from(*size));
            (offsets.collect(), lists.values())
        }
        other => {
            return Err(Error::internal(format!(
                "column {name:?} of {other} taken for lists"
            )));
        }
    };
    let first = offsets.first().copied().unwrap_or_default();
    let last = offsets.last().copied().unwrap_or_default();
    let items = usize::try_from(first)
        .ok()
        .zip(usize::try_from(last).ok())
        .filter(|(first, last)| first <= last && *last <= items.len())
        .map(|(first, last)| items.slice(first, last - first))
        .ok_or_else(|| {
            Error::invalid(format!(
                "column {name:?}: the offsets of the lists point outside of their items"
            ))
        })?;
    let offsets = offsets.iter().map(|offset| offset - first).collect();
    Ok((offsets, items, nulls))
}

pub(super) fn number_lists(name: &str, array: &ArrayRef) -> Result<BoundColumn> {
    let (offsets, items, nulls) = lists(name, array)?;
    let items = flatten(name, &items, &DataType::Float64)?;
    let items = items.as_primitive::<Float64Type>();
    Ok(BoundColumn::NumberList {
        offsets,
        items: items.iter().map(|item| item.unwrap_or(f64::NAN)).collect(),
        nulls,
    })
}

pub(super) fn text_lists(name: &str, array: &ArrayRef) -> Result<BoundColumn> {
    let (offsets, items, nulls) = lists(name, array)?;
    let row = |item: usize| offsets.partition_point(|offset| *offset <= item as i64) - 1;
    let items = Box::new(strings(name, &items, row)?);
    Ok(BoundColumn::TextList {
        offsets,
        items,
        nulls,
    })
}
