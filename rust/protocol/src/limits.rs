//! What a request may make us allocate, each limit checked before the memory is taken.

use tidegate_schema::{Error, ErrorKind, MAX_FIELDS, Result};

/// Most rows of a request by default.
pub const MAX_ROWS: usize = 1 << 20;
/// Most tensors of a request by default: every column of the widest schema with its `.is_null`.
pub const MAX_TENSORS: usize = 2 * MAX_FIELDS;
/// Most elements of a request, all tensors together, by default: 64 MiB of FP32.
pub const MAX_ELEMENTS: usize = 1 << 24;
/// Most dimensions of a tensor by default.
pub const MAX_DIMENSIONS: usize = 32;
/// Most parameters of one object by default.
pub const MAX_PARAMETERS: usize = 256;
/// Deepest nesting of JSON objects and arrays by default, the same as Triton's.
pub const MAX_DEPTH: usize = 100;

/// Bounds on a request. The size of the body is bounded by whoever reads it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most rows: the first dimension of each tensor, or the length of `instances`.
    pub rows: usize,
    /// Most input tensors, and most requested outputs.
    pub tensors: usize,
    /// Most elements, all tensors (or all rows times columns) together.
    pub elements: usize,
    /// Most dimensions of a tensor.
    pub dimensions: usize,
    /// Most parameters of one object.
    pub parameters: usize,
    /// Deepest nesting of JSON objects and arrays, the body itself being the first. At most
    /// [`MAX_DEPTH`] has an effect: the JSON reader itself stops soon after it.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: MAX_ROWS,
            tensors: MAX_TENSORS,
            elements: MAX_ELEMENTS,
            dimensions: MAX_DIMENSIONS,
            parameters: MAX_PARAMETERS,
            depth: MAX_DEPTH,
        }
    }
}

/// The error for a number of things above its limit.
pub(crate) fn too_many(what: &str, found: impl std::fmt::Display, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("{found} {what} exceed the limit of {limit}: send less in one request"),
    )
}

impl Limits {
    pub(crate) fn check_rows(&self, rows: usize) -> Result<()> {
        if rows > self.rows {
            return Err(too_many("rows", rows, self.rows));
        }
        Ok(())
    }

    pub(crate) fn check_shape(&self, shape: &[usize]) -> Result<()> {
        if shape.len() > self.dimensions {
            return Err(too_many("dimensions", shape.len(), self.dimensions));
        }
        self.check_rows(shape.first().copied().unwrap_or(1))
    }
}

/// The number of elements of a shape; an error where it overflows.
pub(crate) fn product(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::TooLarge,
                format!("shape {shape:?} has more elements than can be counted: send fewer rows"),
            )
        })
}
