//! Row JSON: `{"instances": [{column: value, …}, …]}` straight into columns.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use tidegate_schema::{ColumnBuf, DType, Error, Field, Schema, TableBuf};

use crate::json::{Context, Result, Skip, keys, parse, quote, twice};
use crate::limits::too_many;
use crate::{Limits, columns, duration, timestamp};

/// What to do with keys that no column has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extra {
    /// Refuse them, naming the nearest column: a misspelt key would silently be a missing value.
    #[default]
    Refuse,
    /// Pass over them.
    Ignore,
}

/// Reads rows into the columns of a schema, without an intermediate document.
///
/// An absent or null value of a nullable column is missing; of another column it is an error.
/// Integers are floats where floats are due, whole floats integers where integers are due;
/// a timestamp is an RFC 3339 text or a whole number of microseconds, a duration an ISO 8601 text or
/// such a number. Nothing else is converted,
/// and a text is never a number. No rows at all is an error.
pub fn decode(body: &[u8], schema: &Schema, extra: Extra, limits: &Limits) -> Result<TableBuf> {
    let context = Context::new(limits, body.len());
    let rows = Rows {
        context: &context,
        schema,
        extra,
    };
    parse(body, &context, Body(rows))
}

#[derive(Clone, Copy)]
struct Rows<'c> {
    context: &'c Context<'c>,
    schema: &'c Schema,
    extra: Extra,
}

keys!(Key {
    Instances = "instances",
});

struct Body<'c>(Rows<'c>);

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = TableBuf;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<TableBuf, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = TableBuf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of rows under \"instances\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TableBuf, A::Error> {
        let rows = self.0;
        let mut table = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Instances if table.is_some() => {
                    return Err(rows.context.fail(twice("instances")));
                }
                Key::Instances => table = Some(map.next_value_seed(Instances(rows))?),
                Key::Other if rows.extra == Extra::Refuse => {
                    let message = "the body has a key besides \"instances\": send \
                                   {\"instances\": [{…}, …]}";
                    return Err(rows.context.fail(Error::invalid(message)));
                }
                Key::Other => map.next_value_seed(Skip {
                    context: rows.context,
                    depth: 1,
                })?,
            }
        }
        table
            .filter(|table| table.rows() > 0)
            .ok_or_else(|| rows.context.fail(no_rows()))
    }
}

#[cold]
fn no_rows() -> Error {
    Error::invalid("the request has no rows: send at least one under \"instances\"")
}

struct Instances<'c>(Rows<'c>);

impl<'de> DeserializeSeed<'de> for Instances<'_> {
    type Value = TableBuf;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<TableBuf, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Instances<'_> {
    type Value = TableBuf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("instances as an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<TableBuf, A::Error> {
        let rows = self.0;
        let mut table = TableBuf::new(rows.schema, 1);
        // Where each key of the last row went: rows mostly have their keys in one order, and a
        // comparison with the expected name is several times cheaper than a look-up.
        let mut order: Vec<usize> = (0..rows.schema.len()).collect();
        let mut row = 0;
        loop {
            let seed = Row {
                rows,
                table: &mut table,
                order: &mut order,
                row,
            };
            if items.next_element_seed(seed)?.is_none() {
                return Ok(table);
            }
            row += 1;
        }
    }
}

struct Row<'a> {
    rows: Rows<'a>,
    table: &'a mut TableBuf,
    order: &'a mut Vec<usize>,
    row: usize,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row as an object of column names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Rows {
            context,
            schema,
            extra,
        } = self.rows;
        let row = self.row;
        if row >= context.limits.rows {
            return Err(context.fail(too_many("rows", row + 1, context.limits.rows)));
        }
        if let Err(error) = context.count(schema.len()) {
            return Err(context.fail(error));
        }
        let mut at = 0;
        loop {
            let key = ColumnKey {
                context,
                schema,
                extra,
                order: self.order,
                at,
                row,
            };
            let Some(position) = map.next_key_seed(key)? else {
                break;
            };
            at += 1;
            let found =
                position.and_then(|i| schema.fields().get(i).zip(self.table.columns.get_mut(i)));
            let Some((field, column)) = found else {
                map.next_value_seed(Skip { context, depth: 3 })?;
                continue;
            };
            if column.len() > row {
                return Err(context.fail(twice(&field.name).at(format!("row {row}"))));
            }
            map.next_value_seed(Value {
                context,
                field,
                column,
                row,
            })?;
        }
        for (column, field) in self.table.columns.iter_mut().zip(schema.fields()) {
            if column.len() > row {
                continue;
            }
            if !field.nullable {
                return Err(context.fail(missing(field, row)));
            }
            column.push_null();
        }
        Ok(())
    }
}

#[cold]
fn missing(field: &Field, row: usize) -> Error {
    Error::invalid(format!(
        "column {:?} is missing in row {row} but may not be: send a value",
        field.name
    ))
}

/// Reads a key as the position of its column; `None` for one to pass over.
struct ColumnKey<'a> {
    context: &'a Context<'a>,
    schema: &'a Schema,
    extra: Extra,
    order: &'a mut Vec<usize>,
    at: usize,
    row: usize,
}

impl<'de> DeserializeSeed<'de> for ColumnKey<'_> {
    type Value = Option<usize>;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Option<usize>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        let slot = self.order.get_mut(self.at);
        if let Some(guess) = slot.as_deref()
            && let Some(field) = self.schema.fields().get(*guess)
            && field.name == name
        {
            return Ok(Some(*guess));
        }
        if let Some(position) = self.schema.position(name) {
            if let Some(slot) = slot {
                *slot = position;
            }
            return Ok(Some(position));
        }
        if self.extra == Extra::Ignore {
            return Ok(None);
        }
        let error = columns::unknown(self.schema, name);
        Err(self.context.fail(error.at(format!("row {}", self.row))))
    }
}

struct Value<'a> {
    context: &'a Context<'a>,
    field: &'a Field,
    column: &'a mut ColumnBuf,
    row: usize,
}

impl Value<'_> {
    fn place(&self) -> String {
        format!("column {:?} in row {}", self.field.name, self.row)
    }

    #[cold]
    fn refused<E: de::Error>(&self, error: Error) -> E {
        self.context
            .fail(error.at(self.place()).mistyped(&self.field.name))
    }

    #[cold]
    fn refuse<E: de::Error>(&self, found: &str) -> E {
        let mend = match self.field.dtype {
            DType::Bool => "true or false",
            DType::Int64 => "a whole number of 64 bits, without quotes",
            DType::Float64 => "a number, without quotes",
            DType::String => "a text in quotes",
            DType::Timestamp => "an RFC 3339 text or whole microseconds since 1970",
            DType::Date => "a text like \"2013-07-01\" or whole days since 1970",
            DType::Duration => "a text like \"PT1H30M\" or whole microseconds",
            DType::NumberList => "an array of numbers",
            DType::TextList => "an array of texts",
        };
        let message = format!(
            "column {:?} is {found} in row {} where {} is due: send {mend}",
            self.field.name, self.row, self.field.dtype
        );
        let error = Error::invalid(message).mistyped(&self.field.name);
        self.context.fail(error)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    #[inline]
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of column {:?}", self.field.name)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.column
            .push_bool(value)
            .map_err(|_| self.refuse(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        match self.field.dtype {
            DType::Timestamp => self.column.push_timestamp(value),
            DType::Duration => self.column.push_duration(value),
            DType::Date => {
                let pushed = self.column.push_date(value);
                return pushed.map_err(|error| self.refused(error));
            }
            _ => self.column.push_i64(value),
        }
        .map_err(|_| self.refuse(&value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) if self.field.dtype == DType::Float64 => self.visit_f64(value as f64),
            Err(_) => Err(self.refuse(&value.to_string())),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.column
            .push_f64(value)
            .map_err(|_| self.refuse(&value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        let result = match self.field.dtype {
            DType::String => self.column.push_str(value),
            DType::Timestamp => timestamp::parse(value)
                .map_err(|error| error.at(self.place()))
                .and_then(|micros| self.column.push_timestamp(micros)),
            DType::Date => timestamp::parse_date(value)
                .and_then(|days| self.column.push_date(days))
                .map_err(|error| error.at(self.place())),
            DType::Duration => duration::parse(value)
                .and_then(|micros| self.column.push_duration(micros))
                .map_err(|error| error.at(self.place())),
            _ => {
                return Err(self.refuse(&format!("the text {}", quote(value))));
            }
        };
        result.map_err(|error| self.context.fail(error.mistyped(&self.field.name)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if !self.field.nullable {
            return Err(self.context.fail(missing(self.field, self.row)));
        }
        self.column.push_null();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let other = "an array with other items";
        let pushed = match self.field.dtype {
            DType::NumberList => {
                let mut list = Vec::new();
                while let Some(item) = items
                    .next_element::<Option<f64>>()
                    .map_err(|_| self.refuse::<A::Error>(other))?
                {
                    list.push(item.unwrap_or(f64::NAN));
                }
                self.column.push_numbers(&list)
            }
            DType::TextList => {
                let mut list: Vec<Option<String>> = Vec::new();
                while let Some(item) = items
                    .next_element()
                    .map_err(|_| self.refuse::<A::Error>(other))?
                {
                    list.push(item);
                }
                self.column.push_texts(list.iter().map(Option::as_deref))
            }
            _ => return Err(self.refuse("an array")),
        };
        pushed.map_err(|error| self.refused(error))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.refuse("an object"))
    }
}
