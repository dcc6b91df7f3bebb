//! The `data` of a tensor: nested or flat JSON, read straight into the typed vector.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, SeqAccess, Visitor};
use tidegate_schema::{Datatype, Error, TensorData};

use crate::json::{Context, Result, quote};

/// How one datatype's elements are made from JSON scalars; `None` where they cannot be.
///
/// Numbers stay numbers: a whole float is an integer where an integer is due, an integer is a
/// float where a float is due, both only within range. Nothing else is converted.
pub(crate) trait Element {
    type Value;
    const DATATYPE: Datatype;

    fn from_bool(_: bool) -> Option<Self::Value> {
        None
    }
    fn from_i64(_: i64) -> Option<Self::Value> {
        None
    }
    fn from_u64(_: u64) -> Option<Self::Value> {
        None
    }
    fn from_f64(_: f64) -> Option<Self::Value> {
        None
    }
    fn from_text(_: &str) -> Option<Self::Value> {
        None
    }
    fn from_null() -> Option<Self::Value> {
        None
    }
}

pub(crate) struct Bool;

impl Element for Bool {
    type Value = u8;
    const DATATYPE: Datatype = Datatype::Bool;

    fn from_bool(value: bool) -> Option<u8> {
        Some(u8::from(value))
    }
}

pub(crate) struct Bytes;

impl Element for Bytes {
    type Value = Vec<u8>;
    const DATATYPE: Datatype = Datatype::Bytes;

    fn from_text(value: &str) -> Option<Vec<u8>> {
        Some(value.as_bytes().to_vec())
    }
}

macro_rules! integers {
    ($($name:ident: $value:ty),*) => {$(
        pub(crate) struct $name;

        impl Element for $name {
            type Value = $value;
            const DATATYPE: Datatype = Datatype::$name;

            fn from_i64(value: i64) -> Option<$value> {
                value.try_into().ok()
            }
            fn from_u64(value: u64) -> Option<$value> {
                value.try_into().ok()
            }
            fn from_f64(value: f64) -> Option<$value> {
                // Through 128 bits: every float that is a whole 64-bit number is exact there.
                (value.fract() == 0.0 && value.abs() < 1e20)
                    .then_some(value as i128)
                    .and_then(|value| value.try_into().ok())
            }
        }
    )*};
}
integers!(
    Uint8: u8, Uint16: u16, Uint32: u32, Uint64: u64, Int8: i8, Int16: i16, Int32: i32, Int64: i64
);

macro_rules! floats {
    ($($name:ident: $value:ty, $nan:expr, $convert:expr;)*) => {$(
        pub(crate) struct $name;

        impl Element for $name {
            type Value = $value;
            const DATATYPE: Datatype = Datatype::$name;

            fn from_i64(value: i64) -> Option<$value> {
                Self::from_f64(value as f64)
            }
            fn from_u64(value: u64) -> Option<$value> {
                Self::from_f64(value as f64)
            }
            /// The nearest float; none where that would be an infinity, which JSON cannot mean.
            fn from_f64(value: f64) -> Option<$value> {
                let convert: fn(f64) -> ($value, bool) = $convert;
                let (value, finite) = convert(value);
                finite.then_some(value)
            }
            /// Null is missing, and missing is NaN.
            fn from_null() -> Option<$value> {
                Some($nan)
            }
        }
    )*};
}
floats!(
    Fp16: u16, half::f16::NAN.to_bits(), |value| {
        let value = half::f16::from_f64(value);
        (value.to_bits(), value.is_finite())
    };
    Bf16: u16, half::bf16::NAN.to_bits(), |value| {
        let value = half::bf16::from_f64(value);
        (value.to_bits(), value.is_finite())
    };
    Fp32: f32, f32::NAN, |value| (value as f32, (value as f32).is_finite());
    Fp64: f64, f64::NAN, |value| (value, value.is_finite());
);

/// What the readers of one `data` share.
struct Shape {
    /// Extent and kind of each level of nesting, the outermost first; only levels below the
    /// first are here, so that flat data allocates nothing.
    levels: Vec<Option<Level>>,
    first: usize,
    /// Most elements this tensor may have.
    most: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Level {
    extent: usize,
    leaf: bool,
}

/// Elements with the extents that their nesting showed.
pub(crate) struct Data {
    pub values: TensorData,
    shape: Shape,
}

impl Data {
    /// Nested data must be nested like the shape says; flat data fits any shape.
    pub(crate) fn check_nesting(&self, shape: &[usize]) -> Result<()> {
        let inner = self.shape.levels.iter().flatten();
        let inner = inner.map(|level| level.extent);
        let extents = || std::iter::once(self.shape.first).chain(inner.clone());
        if self.shape.levels.is_empty() || extents().eq(shape.iter().copied()) {
            return Ok(());
        }
        let extents: Vec<usize> = extents().collect();
        Err(Error::invalid(format!(
            "data is nested as {extents:?} where the shape says {shape:?}: nest it like the \
             shape, or send it flat"
        )))
    }
}

/// Reads an array of elements of a known datatype.
pub(crate) struct DataSeed<'c> {
    pub context: &'c Context<'c>,
    pub datatype: Datatype,
    /// How many elements the shape says, where it is known.
    pub due: Option<usize>,
    /// How many containers the array lies in.
    pub depth: usize,
}

impl<'de> DeserializeSeed<'de> for DataSeed<'_> {
    type Value = Data;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Data, D::Error> {
        macro_rules! read {
            ($($kind:ident),*) => {
                match self.datatype {
                    $(Datatype::$kind => {
                        let (values, shape) = self.read::<$kind, D>(reader)?;
                        Ok(Data { values: TensorData::$kind(values), shape })
                    })*
                }
            };
        }
        read!(
            Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp16, Bf16, Fp32, Fp64,
            Bytes
        )
    }
}

impl DataSeed<'_> {
    fn read<'de, E: Element, D: de::Deserializer<'de>>(
        self,
        reader: D,
    ) -> Result<(Vec<E::Value>, Shape), D::Error> {
        let left = self.context.elements_left();
        let mut values = Vec::with_capacity(self.context.reserve(self.due.unwrap_or(1)));
        let mut shape = Shape {
            levels: Vec::new(),
            first: 0,
            most: left.min(self.due.unwrap_or(left)),
        };
        reader.deserialize_seq(Array::<E> {
            context: self.context,
            values: &mut values,
            shape: &mut shape,
            level: 0,
            depth: self.depth + 1,
            kind: PhantomData,
        })?;
        if let Err(error) = self.context.count(values.len()) {
            return Err(self.context.fail(error));
        }
        Ok((values, shape))
    }
}

struct Array<'a, E: Element> {
    context: &'a Context<'a>,
    values: &'a mut Vec<E::Value>,
    shape: &'a mut Shape,
    level: usize,
    depth: usize,
    kind: PhantomData<E>,
}

impl<'de, E: Element> Visitor<'de> for Array<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data as an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.context.deep(self.depth)?;
        let (mut scalars, mut arrays) = (0usize, 0usize);
        loop {
            let item = Item::<E> {
                context: self.context,
                values: self.values,
                shape: self.shape,
                level: self.level,
                depth: self.depth,
                kind: PhantomData,
            };
            match items.next_element_seed(item)? {
                None => break,
                Some(true) => arrays += 1,
                Some(false) => scalars += 1,
            }
        }
        let seen = Level {
            extent: scalars + arrays,
            leaf: arrays == 0,
        };
        let even = match self.level.checked_sub(1) {
            None => {
                self.shape.first = seen.extent;
                true
            }
            Some(level) => {
                if self.shape.levels.len() <= level {
                    self.shape.levels.resize(level + 1, None);
                }
                match self.shape.levels.get_mut(level) {
                    Some(Some(before)) => *before == seen,
                    Some(slot) => {
                        *slot = Some(seen);
                        true
                    }
                    None => true,
                }
            }
        };
        if !even || (scalars > 0 && arrays > 0) {
            let message = "data is nested unevenly: give every array at one level the same length";
            return Err(self.context.fail(Error::invalid(message)));
        }
        Ok(())
    }
}

/// One item of an array: a scalar, or an array again (then true).
struct Item<'a, E: Element> {
    context: &'a Context<'a>,
    values: &'a mut Vec<E::Value>,
    shape: &'a mut Shape,
    level: usize,
    depth: usize,
    kind: PhantomData<E>,
}

impl<E: Element> Item<'_, E> {
    #[inline]
    fn keep<R: de::Error>(
        self,
        value: Option<E::Value>,
        shown: impl FnOnce() -> String,
    ) -> Result<bool, R> {
        let Some(value) = value else {
            return Err(self.refuse(&shown()));
        };
        if self.values.len() >= self.shape.most {
            return Err(self.overfull());
        }
        self.values.push(value);
        Ok(false)
    }

    #[cold]
    fn refuse<R: de::Error>(&self, shown: &str) -> R {
        let place = self.values.len();
        let mend = match shown {
            "null" => "send a value, or flag it in a BOOL tensor <column>.is_null",
            _ => "send a value of that datatype and within its range",
        };
        let message = format!(
            "element {place} is {shown} where {} is due: {mend}",
            E::DATATYPE
        );
        // The tensor says which column it is.
        self.context.fail(Error::invalid(message).mistyped(""))
    }

    #[cold]
    fn overfull<R: de::Error>(&self) -> R {
        let most = self.shape.most;
        self.context.fail(if most == self.context.elements_left() {
            self.context.too_many_elements()
        } else {
            Error::invalid(format!(
                "data has more than the {most} elements of the shape: send as many as the shape says"
            ))
        })
    }
}

impl<'de, E: Element> DeserializeSeed<'de> for Item<'_, E> {
    type Value = bool;
    #[inline]
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, E: Element> Visitor<'de> for Item<'_, E> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements", E::DATATYPE)
    }

    fn visit_bool<R: de::Error>(self, value: bool) -> Result<bool, R> {
        self.keep(E::from_bool(value), || value.to_string())
    }

    #[inline]
    fn visit_i64<R: de::Error>(self, value: i64) -> Result<bool, R> {
        self.keep(E::from_i64(value), || value.to_string())
    }

    #[inline]
    fn visit_u64<R: de::Error>(self, value: u64) -> Result<bool, R> {
        self.keep(E::from_u64(value), || value.to_string())
    }

    #[inline]
    fn visit_f64<R: de::Error>(self, value: f64) -> Result<bool, R> {
        self.keep(E::from_f64(value), || format!("{value:e}"))
    }

    fn visit_str<R: de::Error>(self, value: &str) -> Result<bool, R> {
        self.keep(E::from_text(value), || {
            format!("the string {}", quote(value))
        })
    }

    fn visit_unit<R: de::Error>(self) -> Result<bool, R> {
        self.keep(E::from_null(), || "null".to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<bool, A::Error> {
        let array = Array::<E> {
            context: self.context,
            values: self.values,
            shape: self.shape,
            level: self.level + 1,
            depth: self.depth + 1,
            kind: PhantomData,
        };
        array.visit_seq(items).map(|()| true)
    }
}
