//! The short way through requests as clients write them.
//!
//! Reads the common form of a request (known keys, flat data, no escapes) in one pass without the
//! general reader's bookkeeping, at about half its time. Whatever it does not know, and whatever
//! is wrong, is `None`: then the general reader reads the body from the beginning, and it alone
//! refuses. So this reader may be narrow but must agree, which `fuzz` checks on every body.

use tidegate_schema::{Datatype, Tensor, TensorData};

use super::request::{ALL_BINARY, BINARY};
use super::tensor::{Parsed, SIZE, Tensors};
use super::{InferRequest, RequestedOutput};
use crate::element::{self, Element};
use crate::json::Context;
use crate::limits::product;
use crate::parameter::Parameters;

/// Below this depth of nesting the general reader has to count.
const DEPTH: usize = 6;
/// Digits that always fit 64 bits.
const DIGITS: usize = 19;
/// Powers of ten that are exact as doubles, as are whole numbers up to 2^53: one multiplication
/// or division of the two is then correctly rounded (Clinger, 1990).
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Reads a request, if it is plain.
pub(super) fn read(text: &[u8], context: &Context<'_>) -> Option<(InferRequest, Tensors)> {
    if context.limits.depth < DEPTH {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let mut cursor = Cursor {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let request = cursor.request(context)?;
    cursor.space();
    (cursor.at == cursor.bytes.len()).then_some(request)
}

struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// The datatype of a name, the usual ones first.
fn known(name: &str) -> Option<Datatype> {
    match name {
        "FP32" => Some(Datatype::Fp32),
        "FP64" => Some(Datatype::Fp64),
        "BYTES" => Some(Datatype::Bytes),
        "INT64" => Some(Datatype::Int64),
        _ => Datatype::parse(name).ok(),
    }
}

/// A number as the general reader would see it.
enum Number {
    Positive(u64),
    Negative(i64),
    Float(f64),
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes this byte, after white space.
    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek() != Some(byte) {
            self.space();
            if self.peek() != Some(byte) {
                return None;
            }
        }
        self.at += 1;
        Some(())
    }

    /// Takes these bytes, here.
    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        let end = self.at + word.len();
        (self.bytes.get(self.at..end)? == word).then(|| self.at = end)
    }

    /// Goes on to the next item of an object or array: false at its end.
    #[inline]
    fn next(&mut self, first: &mut bool, close: u8) -> Option<bool> {
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Some(false);
        }
        if !std::mem::take(first) {
            self.take(b',')?;
            self.space();
        }
        Some(true)
    }

    /// A string without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        // Both ends stand before or after an ASCII quote.
        let found = self.text.get(start..self.at)?;
        self.at += 1;
        Some(found)
    }

    fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.take(b':')?;
        Some(key)
    }

    fn flag(&mut self) -> Option<bool> {
        self.space();
        if self.word(b"true").is_some() {
            return Some(true);
        }
        self.word(b"false").map(|()| false)
    }

    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - start
    }

    #[inline]
    fn number(&mut self) -> Option<Number> {
        let start = self.at;
        let negative = self.word(b"-").is_some();
        let mut mantissa = 0u64;
        let leading = self.peek()?;
        let mut digits = self.digits(&mut mantissa);
        if digits == 0 || (leading == b'0' && digits > 1) {
            return None;
        }
        let mut exponent = 0i32;
        let mut whole = true;
        if self.word(b".").is_some() {
            let places = self.digits(&mut mantissa);
            if places == 0 {
                return None;
            }
            whole = false;
            digits += places;
            exponent = -i32::try_from(places).ok()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            let minus = self.word(b"-").is_some();
            if !minus {
                let _ = self.word(b"+");
            }
            let mut power = 0u64;
            let places = self.digits(&mut power);
            if places == 0 || places > 4 {
                return None;
            }
            let power = i32::try_from(power).ok()?;
            exponent += if minus { -power } else { power };
        }
        if whole && digits <= DIGITS {
            // Zero with a sign is a float to the general reader.
            if !negative {
                return Some(Number::Positive(mantissa));
            }
            if mantissa != 0
                && let Ok(value) = i64::try_from(mantissa)
            {
                return Some(Number::Negative(-value));
            }
        }
        let digits_of = |cursor: &Self| cursor.text.get(start..cursor.at);
        if whole && digits > DIGITS {
            // Twenty digits may still fit, unsigned.
            if let Ok(value) = digits_of(self)?.parse() {
                return Some(Number::Positive(value));
            }
        }
        let value = match EXACT.get(exponent.unsigned_abs() as usize) {
            Some(power) if digits <= DIGITS && mantissa < 1 << 53 => {
                let value = mantissa as f64;
                let value = if exponent < 0 {
                    value / power
                } else {
                    value * power
                };
                if negative { -value } else { value }
            }
            _ => digits_of(self)?.parse().ok()?,
        };
        Some(Number::Float(value))
    }

    fn request(&mut self, context: &Context<'_>) -> Option<(InferRequest, Tensors)> {
        let mut request = InferRequest::default();
        let (mut tensors, mut outputs, mut all_binary) = (None, None, None);
        self.take(b'{')?;
        let mut first = true;
        while self.next(&mut first, b'}')? {
            match self.key()? {
                "id" if request.id.is_none() => request.id = Some(self.string()?.to_owned()),
                "inputs" if tensors.is_none() => tensors = Some(self.tensors(context)?),
                "outputs" if outputs.is_none() => outputs = Some(self.outputs(context)?),
                "parameters" if all_binary.is_none() => {
                    all_binary = Some(self.only(ALL_BINARY, Self::flag)?);
                }
                // KServe's client repeats the name of the path.
                "model_name" => drop(self.string()?),
                _ => return None,
            }
        }
        request.outputs = outputs.unwrap_or_default();
        request.binary_default = all_binary.unwrap_or(false);
        Some((
            request,
            tensors.filter(|tensors| !tensors.tensors.is_empty())?,
        ))
    }

    /// An object with this key and no other.
    fn only<T>(&mut self, key: &str, value: fn(&mut Self) -> Option<T>) -> Option<T> {
        self.take(b'{')?;
        if self.key()? != key {
            return None;
        }
        let value = value(self)?;
        self.take(b'}')?;
        Some(value)
    }

    fn outputs(&mut self, context: &Context<'_>) -> Option<Vec<RequestedOutput>> {
        let mut outputs = Vec::new();
        self.take(b'[')?;
        let mut first = true;
        while self.next(&mut first, b']')? {
            let (mut name, mut binary) = (None, None);
            self.take(b'{')?;
            let mut first = true;
            while self.next(&mut first, b'}')? {
                match self.key()? {
                    "name" if name.is_none() => name = Some(self.string()?.to_owned()),
                    "parameters" if binary.is_none() => {
                        binary = Some(self.only(BINARY, Self::flag)?);
                    }
                    _ => return None,
                }
            }
            if outputs.len() == context.limits.tensors {
                return None;
            }
            outputs.push(RequestedOutput {
                name: name?,
                binary,
                classes: 0,
                parameters: Parameters::new(),
            });
        }
        Some(outputs)
    }

    fn tensors(&mut self, context: &Context<'_>) -> Option<Tensors> {
        let mut tensors = Tensors::new();
        self.take(b'[')?;
        let mut first = true;
        while self.next(&mut first, b']')? {
            if tensors.tensors.len() == context.limits.tensors {
                return None;
            }
            tensors.push(self.tensor(context)?);
        }
        Some(tensors)
    }

    fn tensor(&mut self, context: &Context<'_>) -> Option<Parsed> {
        let (mut name, mut shape, mut datatype, mut data, mut size) =
            (None, None, None, None, None);
        self.take(b'{')?;
        let mut first = true;
        while self.next(&mut first, b'}')? {
            match self.key()? {
                "name" if name.is_none() => name = Some(self.string()?),
                "shape" if shape.is_none() => shape = Some(self.shape(context)?),
                "datatype" if datatype.is_none() => {
                    datatype = Some(known(self.string()?)?);
                }
                "data" if data.is_none() => {
                    let due = product(shape.as_deref()?).ok()?;
                    data = Some(self.data(datatype?, due, context)?);
                }
                "parameters" if size.is_none() => size = Some(self.only(SIZE, Self::size)?),
                _ => return None,
            }
        }
        let shape: Vec<usize> = shape?;
        context.limits.check_shape(&shape).ok()?;
        let data = match (data, size) {
            (Some(data), None) => data,
            (None, Some(_)) => TensorData::with_capacity(datatype?, 0),
            _ => return None,
        };
        let tensor = Tensor {
            name: name.filter(|name| !name.is_empty())?.to_owned(),
            shape,
            data,
        };
        product(&tensor.shape).ok()?;
        Some(Parsed {
            tensor,
            parameters: Parameters::new(),
            binary: size,
        })
    }

    fn size(&mut self) -> Option<usize> {
        self.space();
        match self.number()? {
            Number::Positive(value) => usize::try_from(value).ok(),
            _ => None,
        }
    }

    fn shape(&mut self, context: &Context<'_>) -> Option<Vec<usize>> {
        let mut shape = Vec::with_capacity(2);
        self.take(b'[')?;
        let mut first = true;
        while self.next(&mut first, b']')? {
            if shape.len() == context.limits.dimensions {
                return None;
            }
            shape.push(self.size()?);
        }
        Some(shape)
    }

    fn data(
        &mut self,
        datatype: Datatype,
        due: usize,
        context: &Context<'_>,
    ) -> Option<TensorData> {
        if due > context.elements_left() {
            return None;
        }
        macro_rules! read {
            ($($kind:ident),*) => {
                match datatype {
                    $(Datatype::$kind => {
                        TensorData::$kind(self.elements::<element::$kind>(due, context)?)
                    })*
                }
            };
        }
        let data = read!(
            Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp16, Bf16, Fp32, Fp64,
            Bytes
        );
        context.count(due).ok()?;
        Some(data)
    }

    /// As many flat elements as the shape says.
    fn elements<E: Element>(&mut self, due: usize, context: &Context<'_>) -> Option<Vec<E::Value>> {
        let mut values = Vec::with_capacity(context.reserve(due));
        self.take(b'[')?;
        let mut first = true;
        while self.next(&mut first, b']')? {
            if values.len() == due {
                return None;
            }
            let value = match self.peek()? {
                b'"' => E::from_text(self.string()?),
                b't' | b'f' => E::from_bool(self.flag()?),
                b'n' => self.word(b"null").and_then(|()| E::from_null()),
                _ => match self.number()? {
                    Number::Positive(value) => E::from_u64(value),
                    Number::Negative(value) => E::from_i64(value),
                    Number::Float(value) => E::from_f64(value),
                },
            };
            values.push(value?);
        }
        (values.len() == due).then_some(values)
    }
}
