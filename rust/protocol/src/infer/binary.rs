//! Tensors as bytes: little-endian, BYTES as length and bytes, BOOL as one byte.

use tidegate_schema::{Datatype, Error, Result, TensorData};

use crate::limits::product;

/// Bytes of a length before each element of BYTES.
const LENGTH: usize = 4;

/// Reads all of `bytes` as the elements of a shape. Nothing is reserved that the bytes do not
/// bear out.
pub(crate) fn read(datatype: Datatype, shape: &[usize], bytes: &[u8]) -> Result<TensorData> {
    let elements = product(shape)?;
    let Some(width) = datatype.width() else {
        return read_texts(elements, bytes);
    };
    if elements.checked_mul(width) != Some(bytes.len()) {
        return Err(Error::invalid(format!(
            "{} bytes of {datatype} do not fill shape {shape:?}: send {width} bytes for each of \
             its {elements} elements",
            bytes.len()
        )));
    }
    macro_rules! numbers {
        ($value:ty) => {
            bytes
                .chunks_exact(size_of::<$value>())
                .filter_map(|chunk| chunk.try_into().ok())
                .map(<$value>::from_le_bytes)
                .collect()
        };
    }
    Ok(match datatype {
        Datatype::Bool => TensorData::Bool(bytes.iter().map(|&byte| u8::from(byte != 0)).collect()),
        Datatype::Uint8 => TensorData::Uint8(bytes.to_vec()),
        Datatype::Uint16 => TensorData::Uint16(numbers!(u16)),
        Datatype::Uint32 => TensorData::Uint32(numbers!(u32)),
        Datatype::Uint64 => TensorData::Uint64(numbers!(u64)),
        Datatype::Int8 => TensorData::Int8(numbers!(i8)),
        Datatype::Int16 => TensorData::Int16(numbers!(i16)),
        Datatype::Int32 => TensorData::Int32(numbers!(i32)),
        Datatype::Int64 => TensorData::Int64(numbers!(i64)),
        Datatype::Fp16 => TensorData::Fp16(numbers!(u16)),
        Datatype::Bf16 => TensorData::Bf16(numbers!(u16)),
        Datatype::Fp32 => TensorData::Fp32(numbers!(f32)),
        Datatype::Fp64 => TensorData::Fp64(numbers!(f64)),
        Datatype::Bytes => TensorData::Bytes(Vec::new()),
    })
}

fn read_texts(elements: usize, bytes: &[u8]) -> Result<TensorData> {
    if bytes.len() / LENGTH < elements {
        return Err(Error::invalid(format!(
            "{} bytes are too few for {elements} elements of BYTES: send each as a 4-byte \
             little-endian length and its bytes",
            bytes.len()
        )));
    }
    let mut values = Vec::with_capacity(elements);
    let mut rest = bytes;
    for i in 0..elements {
        let (value, after) = rest
            .split_first_chunk::<LENGTH>()
            .and_then(|(length, after)| {
                after.split_at_checked(u32::from_le_bytes(*length) as usize)
            })
            .ok_or_else(|| {
                Error::invalid(format!(
                    "element {i} of BYTES is cut off: send each element as a 4-byte \
                     little-endian length and its bytes"
                ))
            })?;
        values.push(value.to_vec());
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Error::invalid(format!(
            "{} bytes are left over after {elements} elements of BYTES: send as many elements as \
             the shape says",
            rest.len()
        )));
    }
    Ok(TensorData::Bytes(values))
}

/// How many bytes [`write`] will append.
pub(crate) fn size(data: &TensorData) -> usize {
    match (data, data.datatype().width()) {
        (TensorData::Bytes(values), _) => values.iter().map(|value| LENGTH + value.len()).sum(),
        (_, width) => width.unwrap_or(0) * data.len(),
    }
}

/// Appends the elements as bytes. An element of BYTES of 4 GiB or more is cut to what its length
/// can say; no limit lets one be that long.
pub(crate) fn write(out: &mut Vec<u8>, data: &TensorData) {
    macro_rules! numbers {
        ($values:expr) => {
            out.extend($values.iter().flat_map(|value| value.to_le_bytes()))
        };
    }
    out.reserve(size(data));
    match data {
        TensorData::Bool(values) | TensorData::Uint8(values) => out.extend_from_slice(values),
        TensorData::Uint16(values) | TensorData::Fp16(values) | TensorData::Bf16(values) => {
            numbers!(values);
        }
        TensorData::Uint32(values) => numbers!(values),
        TensorData::Uint64(values) => numbers!(values),
        TensorData::Int8(values) => numbers!(values),
        TensorData::Int16(values) => numbers!(values),
        TensorData::Int32(values) => numbers!(values),
        TensorData::Int64(values) => numbers!(values),
        TensorData::Fp32(values) => numbers!(values),
        TensorData::Fp64(values) => numbers!(values),
        TensorData::Bytes(values) => {
            for value in values {
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&length.to_le_bytes());
                out.extend(value.iter().take(length as usize));
            }
        }
    }
}
