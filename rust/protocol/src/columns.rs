//! Tensors to the columns of a schema: one tensor of shape `[n, 1]` (or `[n]`) for each column.

use tidegate_schema::{
    ColumnBuf, DType, Error, ErrorKind, Field, Result, Schema, TableBuf, Tensor, TensorData,
};

use crate::json::quote;
use crate::{duration, timestamp};

pub use crate::metadata::{datatype_of, signature};

/// What follows a column's name in the name of the BOOL tensor that says where it is missing.
pub const IS_NULL: &str = ".is_null";

/// Where the tensors of one column are.
#[derive(Clone, Copy, Default)]
struct Source {
    values: Option<usize>,
    nulls: Option<usize>,
}

/// Puts tensors into the columns of a schema, in its order.
///
/// Missing values: NaN in floats; true in the BOOL tensor `<column>.is_null` of the column's
/// shape; every row where a nullable column has no tensor. A column that may not be missing and
/// is, an unknown tensor, unequal rows and no rows are errors. Integers are floats where floats
/// are due; whole floats are integers where integers are due; a timestamp is INT64 microseconds
/// since 1970 UTC or BYTES in RFC 3339. Nothing else is converted.
pub fn from_tensors(tensors: &[Tensor], schema: &Schema) -> Result<TableBuf> {
    let sources = resolve(tensors, schema)?;
    let rows = tensors.first().map_or(0, Tensor::rows);
    if rows == 0 {
        return Err(Error::invalid(
            "the request has no rows: send at least one in every tensor",
        ));
    }
    let mut columns = Vec::with_capacity(schema.len());
    for (field, source) in schema.fields().iter().zip(&sources) {
        let tensor = |position: Option<usize>| position.and_then(|i| tensors.get(i));
        let column = column(field, tensor(source.values), tensor(source.nulls), rows)
            .map_err(|error| error.at(format!("column {:?}", field.name)))?;
        columns.push(column);
    }
    Ok(TableBuf { columns })
}

fn resolve(tensors: &[Tensor], schema: &Schema) -> Result<Vec<Source>> {
    let mut sources = vec![Source::default(); schema.len()];
    let rows = tensors.first().map_or(0, Tensor::rows);
    for (i, tensor) in tensors.iter().enumerate() {
        if !matches!(tensor.shape.as_slice(), [_] | [_, 1]) {
            return Err(Error::invalid(format!(
                "tensor {} has shape {:?}: a column is sent as [n, 1]",
                quote(&tensor.name),
                tensor.shape
            )));
        }
        if tensor.rows() != rows {
            return Err(Error::invalid(format!(
                "tensor {} has {} rows where the first has {rows}: send the same rows in every \
                 tensor",
                quote(&tensor.name),
                tensor.rows()
            )));
        }
        // Senders mostly keep the announced order.
        let in_order = schema
            .fields()
            .get(i)
            .filter(|field| field.name == tensor.name);
        let exact = in_order
            .map(|_| i)
            .or_else(|| schema.position(&tensor.name));
        let nulls = || {
            let name = tensor.name.strip_suffix(IS_NULL)?;
            schema.position(name)
        };
        let slot = match (exact, nulls()) {
            (Some(position), _) => sources.get_mut(position).map(|source| &mut source.values),
            (None, Some(position)) => sources.get_mut(position).map(|source| &mut source.nulls),
            (None, None) => None,
        };
        let Some(slot) = slot else {
            let name = tensor.name.strip_suffix(IS_NULL).unwrap_or(&tensor.name);
            return Err(unknown(schema, name));
        };
        if slot.replace(i).is_some() {
            return Err(Error::invalid(format!(
                "tensor {} appears twice: send each column once",
                quote(&tensor.name)
            )));
        }
    }
    Ok(sources)
}

/// The error for a column that the schema does not have, which names the nearest. The name may be
/// megabytes long, and the distance to it is quadratic work: only its beginning is looked at.
#[cold]
pub(crate) fn unknown(schema: &Schema, name: &str) -> Error {
    const LONGEST: usize = 80;
    let resolved = match name.char_indices().nth(LONGEST) {
        None => schema.resolve(name),
        Some((end, _)) => schema.resolve(name.get(..end).unwrap_or_default()),
    };
    resolved.err().unwrap_or_else(|| {
        Error::invalid(format!(
            "unknown column {}: its name is too long",
            quote(name)
        ))
    })
}

fn column(
    field: &Field,
    values: Option<&Tensor>,
    nulls: Option<&Tensor>,
    rows: usize,
) -> Result<ColumnBuf> {
    let flags: Option<&[u8]> = match nulls.map(|tensor| &tensor.data) {
        None => None,
        Some(TensorData::Bool(flags)) => Some(flags),
        Some(other) => {
            return Err(Error::invalid(format!(
                "its {IS_NULL} tensor is {} where BOOL is due",
                other.datatype()
            )));
        }
    };
    let is_null = |row: usize| flags.is_some_and(|flags| flags.get(row).is_some_and(|&f| f != 0));
    let Some(values) = values else {
        if !field.nullable {
            return Err(Error::invalid(format!(
                "is missing but may not be: send a tensor of that name, datatype {}",
                datatype_of(field.dtype)
            )));
        }
        if let (Some(_), Some(row)) = (flags, (0..rows).find(|&row| !is_null(row))) {
            return Err(Error::invalid(format!(
                "row {row} is there by its {IS_NULL} tensor, but the column has no tensor: send it"
            )));
        }
        let mut column = ColumnBuf::new(field.dtype, rows);
        (0..rows).for_each(|_| column.push_null());
        return Ok(column);
    };
    let column = match (&values.data, flags) {
        (TensorData::Fp64(values), None) if field.dtype == DType::Float64 => {
            ColumnBuf::from_f64(values.clone())
        }
        (data, _) => {
            let mut column = ColumnBuf::new(field.dtype, rows);
            fill(&mut column, data, is_null).map_err(|error| error.mistyped(&field.name))?;
            column
        }
    };
    if !field.nullable {
        let view = column.view();
        if let Some(row) = (0..rows).find(|&row| view.is_missing(row)) {
            return Err(Error::invalid(format!(
                "is missing in row {row} but may not be: send a value"
            )));
        }
    }
    Ok(column)
}

fn fill(column: &mut ColumnBuf, data: &TensorData, is_null: impl Fn(usize) -> bool) -> Result<()> {
    let dtype = column.dtype();
    if dtype.is_list() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("is {dtype}, and lists of different lengths are no tensor: send rows of JSON"),
        ));
    }
    let mismatch = || {
        Error::invalid(format!(
            "is sent as {} where {dtype} is due: send {}",
            data.datatype(),
            datatype_of(dtype)
        ))
    };
    macro_rules! push {
        ($values:expr, $value:ident => $push:expr) => {
            for (row, $value) in $values.iter().enumerate() {
                if is_null(row) {
                    column.push_null();
                } else {
                    $push.map_err(|error| error.at(format!("row {row}")))?;
                }
            }
        };
    }
    macro_rules! integers {
        ($values:expr) => {
            match dtype {
                DType::Int64 | DType::Float64 => {
                    push!($values, value => column.push_i64(i64::from(*value)));
                }
                _ => return Err(mismatch()),
            }
        };
    }
    macro_rules! floats {
        ($values:expr, $value:ident => $float:expr) => {
            match dtype {
                DType::Int64 | DType::Float64 => {
                    push!($values, $value => column.push_f64($float));
                }
                _ => return Err(mismatch()),
            }
        };
    }
    match data {
        TensorData::Bool(values) if dtype == DType::Bool => {
            push!(values, value => column.push_bool(*value != 0));
        }
        TensorData::Bool(_) => return Err(mismatch()),
        TensorData::Int64(values) if dtype == DType::Timestamp => {
            push!(values, value => column.push_timestamp(*value));
        }
        TensorData::Int64(values) if dtype == DType::Date => {
            push!(values, value => column.push_date(*value));
        }
        TensorData::Int64(values) if dtype == DType::Duration => {
            push!(values, value => column.push_duration(*value));
        }
        TensorData::Int64(values) => integers!(values),
        TensorData::Int32(values) => integers!(values),
        TensorData::Int16(values) => integers!(values),
        TensorData::Int8(values) => integers!(values),
        TensorData::Uint8(values) => integers!(values),
        TensorData::Uint16(values) => integers!(values),
        TensorData::Uint32(values) => integers!(values),
        TensorData::Uint64(values) if matches!(dtype, DType::Int64 | DType::Float64) => {
            push!(values, value => unsigned(column, *value));
        }
        TensorData::Uint64(_) => return Err(mismatch()),
        TensorData::Fp64(values) => floats!(values, value => *value),
        TensorData::Fp32(values) => floats!(values, value => f64::from(*value)),
        TensorData::Fp16(values) => {
            floats!(values, bits => half::f16::from_bits(*bits).to_f64());
        }
        TensorData::Bf16(values) => {
            floats!(values, bits => half::bf16::from_bits(*bits).to_f64());
        }
        TensorData::Bytes(values) => match dtype {
            DType::String => push!(values, value => column.push_str(text(value)?)),
            DType::Timestamp => push!(values, value => {
                text(value)
                    .and_then(timestamp::parse)
                    .and_then(|micros| column.push_timestamp(micros))
            }),
            DType::Date => push!(values, value => {
                text(value)
                    .and_then(timestamp::parse_date)
                    .and_then(|days| column.push_date(days))
            }),
            DType::Duration => push!(values, value => {
                text(value)
                    .and_then(duration::parse)
                    .and_then(|micros| column.push_duration(micros))
            }),
            _ => return Err(mismatch()),
        },
    }
    Ok(())
}

fn unsigned(column: &mut ColumnBuf, value: u64) -> Result<()> {
    match (i64::try_from(value), column.dtype()) {
        (_, DType::Float64) => column.push_f64(value as f64),
        (Ok(value), _) => column.push_i64(value),
        (Err(_), _) => Err(Error::invalid(format!(
            "{value} does not fit int64: declare the column float64"
        ))),
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::invalid("the text is not UTF-8: send UTF-8 text"))
}
