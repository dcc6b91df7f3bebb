//! Elements as typed values, which gRPC clients may send in place of bytes.

use tidegate_schema::{Datatype, Error, Result, TensorData};

use super::wire::{Fields, Value, varint};

/// The fields of `InferTensorContents`, by their numbers from 1 on.
const FIELDS: [&str; 8] = [
    "bool_contents",
    "int_contents",
    "int64_contents",
    "uint_contents",
    "uint64_contents",
    "fp32_contents",
    "fp64_contents",
    "bytes_contents",
];

/// The number of the field in which a datatype's elements are; none for those that go as bytes
/// only.
const fn field_of(datatype: Datatype) -> Option<u32> {
    match datatype {
        Datatype::Bool => Some(1),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => Some(2),
        Datatype::Int64 => Some(3),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => Some(4),
        Datatype::Uint64 => Some(5),
        Datatype::Fp32 => Some(6),
        Datatype::Fp64 => Some(7),
        Datatype::Bytes => Some(8),
        Datatype::Fp16 | Datatype::Bf16 => None,
    }
}

fn name_of(number: u32) -> &'static str {
    let position = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
    FIELDS.get(position).copied().unwrap_or("an unknown field")
}

/// Reads `due` elements from the messages that the field `contents` had: usually one.
pub(super) fn read(datatype: Datatype, due: usize, contents: &[&[u8]]) -> Result<TensorData> {
    let Some(field) = field_of(datatype) else {
        if contents.is_empty() && due == 0 {
            return Ok(TensorData::with_capacity(datatype, 0));
        }
        return Err(Error::invalid(format!(
            "{datatype} has no typed contents: send its elements in raw_input_contents"
        )));
    };
    // An element takes a byte at least, so that a mere claim reserves nothing.
    let bytes: usize = contents.iter().map(|message| message.len()).sum();
    let mut data = TensorData::with_capacity(datatype, due.min(bytes));
    for message in contents {
        let mut fields = Fields(message);
        while let Some((number, value)) = fields.next()? {
            if number == field {
                append(&mut data, value, due)?;
            } else if (1..=FIELDS.len() as u32).contains(&number) && !is_empty(value) {
                return Err(Error::invalid(format!(
                    "its elements are in {}: send {datatype} in {}",
                    name_of(number),
                    name_of(field)
                )));
            }
        }
    }
    if data.len() != due {
        return Err(Error::invalid(format!(
            "its shape needs {due} elements but contents has {}: send as many as the shape says",
            data.len()
        )));
    }
    Ok(data)
}

/// Nothing was sent: an empty packed field.
fn is_empty(value: Value<'_>) -> bool {
    matches!(value, Value::Bytes([]))
}

/// Appends what one occurrence of the field holds: packed elements, or one.
fn append(data: &mut TensorData, value: Value<'_>, due: usize) -> Result<()> {
    let datatype = data.datatype();
    let range = |value: String| {
        Error::invalid(format!(
            "the element {value} is out of the range of {datatype}: send a value within it"
        ))
    };
    macro_rules! varints {
        ($out:expr, $convert:expr) => {{
            let convert = $convert;
            match value {
                Value::Bytes(mut packed) => {
                    while !packed.is_empty() {
                        fits($out.len() + 1, due)?;
                        $out.push(convert(varint(&mut packed)?)?);
                    }
                }
                one => {
                    fits($out.len() + 1, due)?;
                    $out.push(convert(one.varint()?)?);
                }
            }
            Ok(())
        }};
    }
    macro_rules! fixed {
        ($out:expr, $float:ty, $one:ident) => {{
            match value {
                Value::Bytes(packed) => {
                    let chunks = packed.chunks_exact(size_of::<$float>());
                    if !chunks.remainder().is_empty() {
                        return Err(Error::invalid(
                            "malformed protobuf: packed numbers are cut off: send the whole message",
                        ));
                    }
                    fits($out.len() + chunks.len(), due)?;
                    let chunks = chunks.filter_map(|chunk| chunk.try_into().ok());
                    $out.extend(chunks.map(<$float>::from_le_bytes));
                }
                one => {
                    fits($out.len() + 1, due)?;
                    $out.push(<$float>::from_bits(one.$one()?));
                }
            }
            Ok(())
        }};
    }
    macro_rules! integers {
        ($out:expr, $wide:ty, $narrow:ty) => {
            varints!($out, |value: u64| {
                // A 32-bit field keeps the low bits of what was sent.
                let value = value as $wide;
                <$narrow>::try_from(value).map_err(|_| range(value.to_string()))
            })
        };
    }
    match data {
        TensorData::Bool(out) => varints!(out, |value: u64| Ok::<u8, Error>(u8::from(value != 0))),
        TensorData::Int8(out) => integers!(out, i32, i8),
        TensorData::Int16(out) => integers!(out, i32, i16),
        TensorData::Int32(out) => varints!(out, |value: u64| Ok::<i32, Error>(value as i32)),
        TensorData::Int64(out) => varints!(out, |value: u64| Ok::<i64, Error>(value as i64)),
        TensorData::Uint8(out) => integers!(out, u32, u8),
        TensorData::Uint16(out) => integers!(out, u32, u16),
        TensorData::Uint32(out) => varints!(out, |value: u64| Ok::<u32, Error>(value as u32)),
        TensorData::Uint64(out) => varints!(out, Ok::<u64, Error>),
        TensorData::Fp32(out) => fixed!(out, f32, fixed32),
        TensorData::Fp64(out) => fixed!(out, f64, fixed64),
        TensorData::Bytes(out) => {
            fits(out.len() + 1, due)?;
            out.push(value.bytes()?.to_vec());
            Ok(())
        }
        TensorData::Fp16(_) | TensorData::Bf16(_) => Ok(()),
    }
}

/// An error when there are more elements than the shape says.
fn fits(elements: usize, due: usize) -> Result<()> {
    if elements <= due {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "contents has more than the {due} elements of the shape: send as many as the shape says"
    )))
}
