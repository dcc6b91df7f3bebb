//! Owned columns that decoders fill, value by value, and lend as a [`Table`].

use crate::{Column, DType, Error, Lists, Primitive, Result, Schema, Strings, Table, Validity};

/// Days before and after 1970 within which dates lie: those whose microseconds fit 64 bits.
pub const MAX_DAYS: i64 = i64::MAX / 86_400_000_000;

/// Values of an owned column.
#[derive(Clone, Debug)]
pub enum Values {
    /// One byte a value, 0 or 1.
    Bool(Vec<u8>),
    /// 64-bit integers.
    Int64(Vec<i64>),
    /// 64-bit floats; NaN is missing.
    Float64(Vec<f64>),
    /// Arrow's layout: one offset more than rows, into one text.
    String {
        /// Where each text begins; the last entry is where the last one ends.
        offsets: Vec<i32>,
        /// All texts, one after the other.
        text: String,
    },
    /// Microseconds since 1970 UTC.
    Timestamp(Vec<i64>),
    /// Days since 1970.
    Date(Vec<i64>),
    /// Microseconds between two times.
    Duration(Vec<i64>),
    /// Lists of floats, one behind the other.
    NumberList {
        /// Where each list begins among the items; the last entry is where the last one ends.
        offsets: Vec<i64>,
        /// The items of all lists; NaN is missing.
        items: Vec<f64>,
    },
    /// Lists of texts, one behind the other.
    TextList {
        /// Where each list begins among the items; the last entry is where the last one ends.
        offsets: Vec<i64>,
        /// The items of all lists, a column of strings.
        items: Box<ColumnBuf>,
    },
}

/// An owned column that grows at its end.
#[derive(Clone, Debug)]
pub struct ColumnBuf {
    values: Values,
    /// Made at the first null; bits of rows before it are set then.
    validity: Option<Vec<u8>>,
    rows: usize,
}

impl ColumnBuf {
    /// An empty column with room for `rows` values.
    #[must_use]
    pub fn new(dtype: DType, rows: usize) -> Self {
        let values = match dtype {
            DType::Bool => Values::Bool(Vec::with_capacity(rows)),
            DType::Int64 => Values::Int64(Vec::with_capacity(rows)),
            DType::Float64 => Values::Float64(Vec::with_capacity(rows)),
            DType::String => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Values::String {
                    offsets,
                    text: String::new(),
                }
            }
            DType::Timestamp => Values::Timestamp(Vec::with_capacity(rows)),
            DType::Date => Values::Date(Vec::with_capacity(rows)),
            DType::Duration => Values::Duration(Vec::with_capacity(rows)),
            DType::NumberList => Values::NumberList {
                offsets: vec![0],
                items: Vec::new(),
            },
            DType::TextList => Values::TextList {
                offsets: vec![0],
                items: Box::new(Self::new(DType::String, 0)),
            },
        };
        Self {
            values,
            validity: None,
            rows: 0,
        }
    }

    /// A column of floats that are taken over as they are; NaN is missing.
    #[must_use]
    pub fn from_f64(values: Vec<f64>) -> Self {
        let rows = values.len();
        Self {
            values: Values::Float64(values),
            validity: None,
            rows,
        }
    }

    /// The type of the values.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        match self.values {
            Values::Bool(_) => DType::Bool,
            Values::Int64(_) => DType::Int64,
            Values::Float64(_) => DType::Float64,
            Values::String { .. } => DType::String,
            Values::Timestamp(_) => DType::Timestamp,
            Values::Date(_) => DType::Date,
            Values::Duration(_) => DType::Duration,
            Values::NumberList { .. } => DType::NumberList,
            Values::TextList { .. } => DType::TextList,
        }
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// True for a column without values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends a missing value.
    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.push(0),
            Values::Int64(values)
            | Values::Timestamp(values)
            | Values::Date(values)
            | Values::Duration(values) => values.push(0),
            Values::Float64(values) => values.push(f64::NAN),
            Values::String { offsets, text } => offsets.push(text.len() as i32),
            Values::NumberList { offsets, items } => offsets.push(items.len() as i64),
            Values::TextList { offsets, items } => offsets.push(items.len() as i64),
        }
        let row = self.rows;
        self.rows += 1;
        let validity = self
            .validity
            .get_or_insert_with(|| vec![0xff; row.div_ceil(8)]);
        validity.resize(self.rows.div_ceil(8), 0);
        validity[row >> 3] &= !(1 << (row & 7));
    }

    fn grown(&mut self) {
        let row = self.rows;
        self.rows += 1;
        if let Some(validity) = &mut self.validity {
            validity.resize(self.rows.div_ceil(8), 0);
            validity[row >> 3] |= 1 << (row & 7);
        }
    }

    fn mismatch(&self, found: DType) -> Error {
        let due = self.dtype();
        Error::invalid(format!("{found} where {due} is due: send {}", due.wanted()))
    }

    /// Appends a bool; an error if the column is not of bools.
    pub fn push_bool(&mut self, value: bool) -> Result<()> {
        let Values::Bool(values) = &mut self.values else {
            return Err(self.mismatch(DType::Bool));
        };
        values.push(u8::from(value));
        self.grown();
        Ok(())
    }

    /// Appends an integer; an integer is a float where a float is due.
    pub fn push_i64(&mut self, value: i64) -> Result<()> {
        match &mut self.values {
            Values::Int64(values) => values.push(value),
            Values::Float64(values) => values.push(value as f64),
            _ => return Err(self.mismatch(DType::Int64)),
        }
        self.grown();
        Ok(())
    }

    /// Appends a float; NaN is missing. A whole float is an integer where an integer is due.
    pub fn push_f64(&mut self, value: f64) -> Result<()> {
        /// 2^63: floats from here on do not fit an `i64`.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        match &mut self.values {
            Values::Float64(values) => values.push(value),
            Values::Int64(_) if value.is_nan() => {
                self.push_null();
                return Ok(());
            }
            Values::Int64(values) if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) => {
                values.push(value as i64);
            }
            Values::Int64(_) => {
                return Err(Error::invalid(format!(
                    "{value} where int64 is due: send a whole number, or declare the column float64"
                )));
            }
            _ => return Err(self.mismatch(DType::Float64)),
        }
        self.grown();
        Ok(())
    }

    /// Appends a text; an error if the column is not of strings or would pass 2 GiB.
    pub fn push_str(&mut self, value: &str) -> Result<()> {
        let Values::String { offsets, text } = &mut self.values else {
            return Err(self.mismatch(DType::String));
        };
        let Ok(end) = i32::try_from(text.len() + value.len()) else {
            return Err(Error::new(
                crate::ErrorKind::TooLarge,
                "a column of text exceeds 2 GiB: send fewer rows at once",
            ));
        };
        text.push_str(value);
        offsets.push(end);
        self.grown();
        Ok(())
    }

    /// Appends a time in microseconds since 1970 UTC.
    pub fn push_timestamp(&mut self, micros: i64) -> Result<()> {
        let Values::Timestamp(values) = &mut self.values else {
            return Err(self.mismatch(DType::Timestamp));
        };
        values.push(micros);
        self.grown();
        Ok(())
    }

    /// Appends a date in days since 1970, of which there are up to [`MAX_DAYS`] either way.
    pub fn push_date(&mut self, days: i64) -> Result<()> {
        let Values::Date(values) = &mut self.values else {
            return Err(self.mismatch(DType::Date));
        };
        if !(-MAX_DAYS..=MAX_DAYS).contains(&days) {
            return Err(Error::invalid(format!(
                "a date {days} days from 1970: dates lie within {MAX_DAYS} days of it"
            )));
        }
        values.push(days);
        self.grown();
        Ok(())
    }

    /// Appends a time span in microseconds.
    pub fn push_duration(&mut self, micros: i64) -> Result<()> {
        let Values::Duration(values) = &mut self.values else {
            return Err(self.mismatch(DType::Duration));
        };
        values.push(micros);
        self.grown();
        Ok(())
    }

    /// Appends a list of numbers, in which NaN is missing.
    pub fn push_numbers(&mut self, list: &[f64]) -> Result<()> {
        let Values::NumberList { offsets, items } = &mut self.values else {
            return Err(self.mismatch(DType::NumberList));
        };
        items.extend_from_slice(list);
        offsets.push(items.len() as i64);
        self.grown();
        Ok(())
    }

    /// Appends a list of texts, each of which may be missing; an error if the column is not of such
    /// lists, or their text would pass 2 GiB.
    pub fn push_texts<'t>(&mut self, list: impl Iterator<Item = Option<&'t str>>) -> Result<()> {
        let Values::TextList { offsets, items } = &mut self.values else {
            return Err(self.mismatch(DType::TextList));
        };
        for item in list {
            match item {
                Some(item) => items.push_str(item)?,
                None => items.push_null(),
            }
        }
        offsets.push(items.len() as i64);
        self.grown();
        Ok(())
    }

    /// Appends all values of a borrowed column; an error if it is of another type, or the text
    /// would pass 2 GiB.
    pub fn extend_from(&mut self, column: &Column<'_>) -> Result<()> {
        macro_rules! extend {
            ($from:expr, $value:ident => $push:expr) => {
                for row in 0..column.len() {
                    match $from.get(row) {
                        Some($value) => $push?,
                        None => self.push_null(),
                    }
                }
            };
        }
        match column {
            Column::Bool(from) => extend!(from, value => self.push_bool(value != 0)),
            Column::Int64(from) => extend!(from, value => self.push_i64(value)),
            Column::Float64(from) => extend!(from, value => self.push_f64(value)),
            Column::String(from) => extend!(from, value => self.push_str(value)),
            Column::Timestamp(from) => extend!(from, value => self.push_timestamp(value)),
            Column::Date(from) => extend!(from, value => self.push_date(value)),
            Column::Duration(from) => extend!(from, value => self.push_duration(value)),
            Column::NumberList(from) => extend!(from, value => self.push_numbers(value)),
            Column::TextList(from) => extend!(from, value => self.push_texts(value)),
        }
        Ok(())
    }

    /// Appends all values of another column; an error if it is of another type, or the text would
    /// pass 2 GiB.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        match (&mut self.values, &other.values) {
            (Values::Bool(to), Values::Bool(from)) => to.extend_from_slice(from),
            (Values::Int64(to), Values::Int64(from))
            | (Values::Timestamp(to), Values::Timestamp(from))
            | (Values::Date(to), Values::Date(from))
            | (Values::Duration(to), Values::Duration(from)) => to.extend_from_slice(from),
            (
                Values::NumberList { offsets, items },
                Values::NumberList {
                    offsets: more,
                    items: tail,
                },
            ) => {
                let start = items.len() as i64;
                offsets.extend(more.iter().skip(1).map(|offset| offset + start));
                items.extend_from_slice(tail);
            }
            (
                Values::TextList { offsets, items },
                Values::TextList {
                    offsets: more,
                    items: tail,
                },
            ) => {
                let start = items.len() as i64;
                items.append(tail)?;
                offsets.extend(more.iter().skip(1).map(|offset| offset + start));
            }
            (Values::Float64(to), Values::Float64(from)) => to.extend_from_slice(from),
            (
                Values::String { offsets, text },
                Values::String {
                    offsets: more,
                    text: tail,
                },
            ) => {
                let start = text.len() as i32;
                if i32::try_from(text.len() + tail.len()).is_err() {
                    return Err(Error::new(
                        crate::ErrorKind::TooLarge,
                        "a column of text exceeds 2 GiB: send fewer rows at once",
                    ));
                }
                offsets.extend(more.iter().skip(1).map(|offset| offset + start));
                text.push_str(tail);
            }
            _ => return Err(self.mismatch(other.dtype())),
        }
        let start = self.rows;
        self.rows += other.rows;
        if self.validity.is_some() || other.validity.is_some() {
            let validity = self
                .validity
                .get_or_insert_with(|| vec![0xff; start.div_ceil(8)]);
            validity.resize(self.rows.div_ceil(8), 0);
            for row in 0..other.rows {
                let there = other
                    .validity
                    .as_ref()
                    .is_none_or(|bits| bits[row >> 3] >> (row & 7) & 1 == 1);
                let place = start + row;
                validity[place >> 3] &= !(1 << (place & 7));
                validity[place >> 3] |= u8::from(there) << (place & 7);
            }
        }
        Ok(())
    }

    /// Bytes of the values, without what is reserved for more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Bool(values) => values.len(),
            Values::Int64(values)
            | Values::Timestamp(values)
            | Values::Date(values)
            | Values::Duration(values) => size_of_val(values.as_slice()),
            Values::NumberList { offsets, items } => {
                size_of_val(offsets.as_slice()) + size_of_val(items.as_slice())
            }
            Values::TextList { offsets, items } => size_of_val(offsets.as_slice()) + items.bytes(),
            Values::Float64(values) => size_of_val(values.as_slice()),
            Values::String { offsets, text } => size_of_val(offsets.as_slice()) + text.len(),
        };
        values + self.validity.as_ref().map_or(0, Vec::len)
    }

    /// The column as a borrowed one.
    #[must_use]
    pub fn view(&self) -> Column<'_> {
        let validity = match &self.validity {
            None => Validity::ALL,
            Some(bits) => Validity::bitmap(bits, 0),
        };
        match &self.values {
            Values::Bool(values) => Column::Bool(Primitive { values, validity }),
            Values::Int64(values) => Column::Int64(Primitive { values, validity }),
            Values::Float64(values) => Column::Float64(Primitive { values, validity }),
            Values::String { offsets, text } => {
                Column::String(Strings::offsets32(offsets, text, validity))
            }
            Values::Timestamp(values) => Column::Timestamp(Primitive { values, validity }),
            Values::Date(values) => Column::Date(Primitive { values, validity }),
            Values::Duration(values) => Column::Duration(Primitive { values, validity }),
            Values::NumberList { offsets, items } => {
                Column::NumberList(Lists::new(offsets, items, validity))
            }
            Values::TextList { offsets, items } => {
                let texts = match items.view() {
                    Column::String(texts) => texts,
                    // Items are made as a column of strings and of nothing else.
                    _ => Strings::slices(&[], Validity::ALL),
                };
                Column::TextList(Lists::new(offsets, texts, validity))
            }
        }
    }
}

/// Owned columns in the order of a schema: what every decoder fills.
#[derive(Clone, Debug)]
pub struct TableBuf {
    /// The columns; equally long whenever the table is lent.
    pub columns: Vec<ColumnBuf>,
}

impl TableBuf {
    /// Empty columns of a schema's types, with room for `rows` values each.
    #[must_use]
    pub fn new(schema: &Schema, rows: usize) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|f| ColumnBuf::new(f.dtype, rows))
            .collect();
        Self { columns }
    }

    /// How many rows there are: the length of the first column.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, ColumnBuf::len)
    }

    /// Appends the rows of another table of the same types. After an error the columns may differ
    /// in length, and the table can no longer be lent.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.columns.len() != other.columns.len() {
            return Err(Error::invalid(format!(
                "{} columns where {} are due",
                other.columns.len(),
                self.columns.len()
            )));
        }
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            to.append(from)?;
        }
        Ok(())
    }

    /// Bytes of all values, without what is reserved for more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(ColumnBuf::bytes).sum()
    }

    /// The table as a borrowed one; an error if the columns differ in length.
    pub fn view(&self) -> Result<Table<'_>> {
        Table::new(
            self.columns.iter().map(ColumnBuf::view).collect(),
            self.rows(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_values_keep_their_places() {
        for first_null in 0..20 {
            let mut column = ColumnBuf::new(DType::Int64, 0);
            for row in 0..20 {
                if row >= first_null && row % 3 == 0 {
                    column.push_null();
                } else {
                    column.push_i64(row).unwrap();
                }
            }
            let view = column.view();
            for row in 0..20 {
                assert_eq!(
                    view.is_missing(row),
                    row as i64 >= first_null && row % 3 == 0
                );
            }
            let tail = view.slice(7, 9);
            for row in 0..9 {
                assert_eq!(tail.is_missing(row), view.is_missing(row + 7));
            }
        }
    }

    #[test]
    fn text_is_sliced() {
        let mut column = ColumnBuf::new(DType::String, 0);
        for text in ["", "é", "EWR"] {
            column.push_str(text).unwrap();
        }
        column.push_null();
        let Column::String(strings) = column.view().slice(1, 3) else {
            panic!()
        };
        assert_eq!(
            (strings.get(0), strings.get(1), strings.get(2)),
            (Some("é"), Some("EWR"), None)
        );
    }

    #[test]
    fn appended_columns_keep_values_and_nulls() {
        let column = |rows: usize, null_every: usize| {
            let mut column = ColumnBuf::new(DType::String, 0);
            for row in 0..rows {
                if null_every > 0 && row % null_every == 0 {
                    column.push_null();
                } else {
                    column.push_str(&format!("{rows}:{row}")).unwrap();
                }
            }
            column
        };
        for (first, second) in [
            ((3, 0), (9, 2)),
            ((9, 2), (3, 0)),
            ((8, 3), (8, 1)),
            ((0, 0), (5, 4)),
        ] {
            let (a, b) = (column(first.0, first.1), column(second.0, second.1));
            let mut both = a.clone();
            both.append(&b).unwrap();
            both.push_str("end").unwrap();
            let (Column::String(all), Column::String(a), Column::String(b)) =
                (both.view(), a.view(), b.view())
            else {
                panic!()
            };
            let found: Vec<_> = (0..all.len()).map(|i| all.get(i)).collect();
            let due: Vec<_> = (0..a.len())
                .map(|i| a.get(i))
                .chain((0..b.len()).map(|i| b.get(i)))
                .chain([Some("end")])
                .collect();
            assert_eq!(found, due);
        }
        let mut text = column(1, 0);
        assert!(text.append(&ColumnBuf::from_f64(vec![1.0])).is_err());
        assert_eq!(ColumnBuf::from_f64(vec![1.0, 2.0]).bytes(), 16);
    }

    #[test]
    fn coercions_are_the_documented_ones() {
        let mut ints = ColumnBuf::new(DType::Int64, 0);
        ints.push_f64(3.0).unwrap();
        ints.push_f64(f64::NAN).unwrap();
        assert!(ints.push_f64(0.5).is_err());
        assert!(ints.push_f64(1e19).is_err());
        assert!(ints.push_str("3").is_err());
        assert!(ints.push_bool(true).is_err());
        assert!(ints.view().is_missing(1));
        let mut floats = ColumnBuf::new(DType::Float64, 0);
        floats.push_i64(2).unwrap();
        assert!(floats.push_str("2").is_err());
        assert_eq!((ints.len(), floats.len()), (2, 1));
    }
}
