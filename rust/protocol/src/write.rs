//! Small pieces of JSON, appended to a buffer.

use serde::Serialize;
use tidegate_schema::TensorData;

/// Appends any serialisable scalar; a float that is not finite becomes `null`.
pub(crate) fn scalar<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to memory cannot fail, and scalars and texts have no key that is not a text.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a text in quotes, escaped.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    scalar(out, text);
}

/// Appends `"key":`, a comma before it unless it is the first of its object.
pub(crate) fn key(out: &mut Vec<u8>, name: &str) {
    if out.last().is_some_and(|&last| last != b'{') {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
}

/// Appends `[1,2,3]`.
pub(crate) fn shape(out: &mut Vec<u8>, shape: &[usize]) {
    list(out, shape, scalar);
}

/// Appends values between brackets and commas.
pub(crate) fn list<T>(out: &mut Vec<u8>, values: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        one(out, value);
    }
    out.push(b']');
}

/// Appends the elements `start .. start + count`, each written by itself; false if one of them
/// is bytes that are not UTF-8, which JSON cannot carry.
///
/// Floats are written with the fewest digits that read back to the same bits of their own type;
/// NaN and infinities become `null`.
pub(crate) fn elements(out: &mut Vec<u8>, data: &TensorData, start: usize, count: usize) -> bool {
    let mut valid = true;
    macro_rules! write {
        ($values:expr, $value:ident => $body:expr) => {
            for (i, $value) in $values.iter().skip(start).take(count).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                $body
            }
        };
    }
    match data {
        TensorData::Bool(values) => write!(values, value => scalar(out, &(*value != 0))),
        TensorData::Uint8(values) => write!(values, value => scalar(out, value)),
        TensorData::Uint16(values) => write!(values, value => scalar(out, value)),
        TensorData::Uint32(values) => write!(values, value => scalar(out, value)),
        TensorData::Uint64(values) => write!(values, value => scalar(out, value)),
        TensorData::Int8(values) => write!(values, value => scalar(out, value)),
        TensorData::Int16(values) => write!(values, value => scalar(out, value)),
        TensorData::Int32(values) => write!(values, value => scalar(out, value)),
        TensorData::Int64(values) => write!(values, value => scalar(out, value)),
        TensorData::Fp16(values) => {
            write!(values, bits => scalar(out, &half::f16::from_bits(*bits).to_f32()));
        }
        TensorData::Bf16(values) => {
            write!(values, bits => scalar(out, &half::bf16::from_bits(*bits).to_f32()));
        }
        TensorData::Fp32(values) => write!(values, value => scalar(out, value)),
        TensorData::Fp64(values) => write!(values, value => scalar(out, value)),
        TensorData::Bytes(values) => write!(values, value => {
            match std::str::from_utf8(value) {
                Ok(text) => string(out, text),
                Err(_) => {
                    valid = false;
                    out.extend_from_slice(b"null");
                }
            }
        }),
    }
    valid
}
