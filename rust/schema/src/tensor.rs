//! Tensors as the Open Inference Protocol names them: what models take and give.

use crate::{Error, Result};

/// The datatype of a tensor's elements, by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// Every datatype, for exhaustive tests.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The datatype of a name on the wire.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|datatype| datatype.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|datatype| datatype.name()).collect();
                Error::invalid(format!(
                    "unknown datatype {name:?}: use one of {}",
                    names.join(", ")
                ))
            })
    }

    /// Bytes of one element; `None` for BYTES, whose elements differ in length.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }
}

impl std::fmt::Display for Datatype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The elements of a tensor, row-major. FP16 and BF16 are kept as their bits.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum TensorData {
    Bool(Vec<u8>),
    Uint8(Vec<u8>),
    Uint16(Vec<u16>),
    Uint32(Vec<u32>),
    Uint64(Vec<u64>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp16(Vec<u16>),
    Bf16(Vec<u16>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(Vec<Vec<u8>>),
}

/// Runs one expression over whichever vector a [`TensorData`] holds.
macro_rules! each {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            TensorData::Bool($values) => $body,
            TensorData::Uint8($values) => $body,
            TensorData::Uint16($values) => $body,
            TensorData::Uint32($values) => $body,
            TensorData::Uint64($values) => $body,
            TensorData::Int8($values) => $body,
            TensorData::Int16($values) => $body,
            TensorData::Int32($values) => $body,
            TensorData::Int64($values) => $body,
            TensorData::Fp16($values) => $body,
            TensorData::Bf16($values) => $body,
            TensorData::Fp32($values) => $body,
            TensorData::Fp64($values) => $body,
            TensorData::Bytes($values) => $body,
        }
    };
}

impl TensorData {
    /// No elements of this datatype, with room for `elements`.
    #[must_use]
    pub fn with_capacity(datatype: Datatype, elements: usize) -> Self {
        match datatype {
            Datatype::Bool => Self::Bool(Vec::with_capacity(elements)),
            Datatype::Uint8 => Self::Uint8(Vec::with_capacity(elements)),
            Datatype::Uint16 => Self::Uint16(Vec::with_capacity(elements)),
            Datatype::Uint32 => Self::Uint32(Vec::with_capacity(elements)),
            Datatype::Uint64 => Self::Uint64(Vec::with_capacity(elements)),
            Datatype::Int8 => Self::Int8(Vec::with_capacity(elements)),
            Datatype::Int16 => Self::Int16(Vec::with_capacity(elements)),
            Datatype::Int32 => Self::Int32(Vec::with_capacity(elements)),
            Datatype::Int64 => Self::Int64(Vec::with_capacity(elements)),
            Datatype::Fp16 => Self::Fp16(Vec::with_capacity(elements)),
            Datatype::Bf16 => Self::Bf16(Vec::with_capacity(elements)),
            Datatype::Fp32 => Self::Fp32(Vec::with_capacity(elements)),
            Datatype::Fp64 => Self::Fp64(Vec::with_capacity(elements)),
            Datatype::Bytes => Self::Bytes(Vec::with_capacity(elements)),
        }
    }

    /// The datatype of the elements.
    #[must_use]
    pub const fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Uint16(_) => Datatype::Uint16,
            Self::Uint32(_) => Datatype::Uint32,
            Self::Uint64(_) => Datatype::Uint64,
            Self::Int8(_) => Datatype::Int8,
            Self::Int16(_) => Datatype::Int16,
            Self::Int32(_) => Datatype::Int32,
            Self::Int64(_) => Datatype::Int64,
            Self::Fp16(_) => Datatype::Fp16,
            Self::Bf16(_) => Datatype::Bf16,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Fp64(_) => Datatype::Fp64,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// True without elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that the elements take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Bytes(values) => {
                let texts: usize = values.iter().map(Vec::len).sum();
                texts + size_of_val(values.as_slice())
            }
            other => each!(other, values => size_of_val(values.as_slice())),
        }
    }

    /// The elements `start .. start + count`, copied.
    #[must_use]
    pub fn slice(&self, start: usize, count: usize) -> Self {
        let mut out = Self::with_capacity(self.datatype(), count);
        // The datatypes are equal by construction, so this cannot fail.
        let _ = out.extend_from(self, start, count);
        out
    }

    /// Appends the elements `start .. start + count` of another tensor of the same datatype.
    pub fn extend_from(&mut self, other: &Self, start: usize, count: usize) -> Result<()> {
        macro_rules! pairs {
            ($($variant:ident),*) => {
                match (self, other) {
                    $((Self::$variant(to), Self::$variant(from)) => {
                        to.extend_from_slice(&from[start..start + count]);
                        Ok(())
                    })*
                    (to, from) => Err(Error::internal(format!(
                        "cannot append {} to {}", from.datatype(), to.datatype()
                    ))),
                }
            };
        }
        pairs!(
            Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp16, Bf16, Fp32, Fp64,
            Bytes
        )
    }
}

/// A named tensor. The first dimension is the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name of the model's input or output.
    pub name: String,
    /// The extent of each dimension.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of the shape.
    pub data: TensorData,
}

impl Tensor {
    /// A tensor; an error if the elements are not as many as the shape says.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, data: TensorData) -> Result<Self> {
        let name = name.into();
        let due = shape
            .iter()
            .try_fold(1usize, |product, &n| product.checked_mul(n));
        if due != Some(data.len()) {
            return Err(Error::invalid(format!(
                "tensor {name:?} of shape {shape:?} needs {} elements but has {}",
                due.map_or_else(|| "too many".to_owned(), |n| n.to_string()),
                data.len()
            )));
        }
        Ok(Self { name, shape, data })
    }

    /// The extent of the first dimension; 1 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements of one row.
    #[must_use]
    pub fn row_width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The rows `start .. start + rows` as a tensor of their own.
    #[must_use]
    pub fn slice_rows(&self, start: usize, rows: usize) -> Self {
        let width = self.row_width();
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows;
        }
        let data = self.data.slice(start * width, rows * width);
        Self {
            name: self.name.clone(),
            shape,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for datatype in Datatype::ALL {
            assert_eq!(Datatype::parse(datatype.name()).unwrap(), datatype);
            assert_eq!(TensorData::with_capacity(datatype, 0).datatype(), datatype);
        }
        assert!(Datatype::parse("fp32").is_err());
    }

    #[test]
    fn rows_are_sliced() {
        let data = TensorData::Fp32((0..6).map(|i| i as f32).collect());
        let tensor = Tensor::new("x", vec![3, 2], data).unwrap();
        let tail = tensor.slice_rows(1, 2);
        assert_eq!(tail.shape, [2, 2]);
        assert_eq!(tail.data, TensorData::Fp32(vec![2.0, 3.0, 4.0, 5.0]));
    }

    #[test]
    fn element_count_is_checked_without_overflow() {
        assert!(Tensor::new("x", vec![2, 2], TensorData::Fp32(vec![0.0])).is_err());
        assert!(Tensor::new("x", vec![usize::MAX, 2], TensorData::Fp32(vec![])).is_err());
    }
}
