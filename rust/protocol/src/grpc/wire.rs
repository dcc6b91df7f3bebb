//! The wire format of protocol buffers, as much of it as inference needs.

use tidegate_schema::{Error, Result};

use crate::json::quote;

/// Most bytes of a varint.
const LONGEST_VARINT: usize = 10;

/// The value of a field as its wire type tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads the fields of one message in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a [u8]);

#[cold]
fn cut_off() -> Error {
    Error::invalid("malformed protobuf: a field is cut off: send the whole message")
}

#[cold]
fn malformed(what: &str) -> Error {
    Error::invalid(format!(
        "malformed protobuf: {what}: encode the message with a protobuf library"
    ))
}

/// Takes a varint off the front.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64> {
    if let Some((&byte, after)) = rest.split_first()
        && byte < 0x80
    {
        *rest = after;
        return Ok(u64::from(byte));
    }
    let mut value = 0u64;
    for (i, &byte) in rest.iter().take(LONGEST_VARINT).enumerate() {
        if i + 1 == LONGEST_VARINT && byte > 1 {
            return Err(malformed("a varint exceeds 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = rest.get(i + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if rest.len() < LONGEST_VARINT {
        cut_off()
    } else {
        malformed("a varint exceeds 64 bits")
    })
}

impl<'a> Fields<'a> {
    /// The next field's number and value; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(varint(&mut self.0)?)
            .map_err(|_| malformed("a field's key exceeds 32 bits"))?;
        if key >> 3 == 0 {
            return Err(malformed("a field has the number 0"));
        }
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).unwrap_or(usize::MAX);
                let (bytes, after) = self.0.split_at_checked(length).ok_or_else(cut_off)?;
                self.0 = after;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take()?)),
            3 | 4 => return Err(malformed("it holds a group, which no message here has")),
            _ => return Err(malformed("a field's wire type is none")),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, after) = self.0.split_first_chunk::<N>().ok_or_else(cut_off)?;
        self.0 = after;
        Ok(*bytes)
    }
}

impl<'a> Value<'a> {
    /// The value of a field that is a message, a text or bytes.
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("a number is where a text or message is due")),
        }
    }

    /// The value of a field that is a text.
    pub(super) fn text(self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| {
            malformed(&format!(
                "the text {} is not UTF-8",
                quote(&String::from_utf8_lossy(bytes))
            ))
        })
    }

    /// The value of a field that is a varint.
    pub(super) fn varint(self) -> Result<u64> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(malformed("a field has another wire type than a varint")),
        }
    }

    /// The value of a field that is a double.
    pub(super) fn fixed64(self) -> Result<u64> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(malformed("a field has another wire type than a double")),
        }
    }

    /// The value of a field that is a float.
    pub(super) fn fixed32(self) -> Result<u32> {
        match self {
            Self::Fixed32(value) => Ok(value),
            _ => Err(malformed("a field has another wire type than a float")),
        }
    }
}

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the key and length of a field that is a message, a text or bytes.
pub(super) fn put_length(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, length as u64);
}

/// Appends a field that is a message, a text or bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_length(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a field that is a varint.
pub(super) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number << 3));
    put_varint(out, value);
}
