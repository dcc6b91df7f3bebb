//! Typed columns, schemas with fingerprints, tensors, and the shared error kind.
//!
//! A [`Table`] borrows its [`Column`]s from whoever produced them: an Arrow table, a decoded
//! request body, a row from a dict. Everything above this crate computes on tables and never
//! knows where they came from, which is why a row and a training table take the same code path.

#[cfg(feature = "arrow")]
pub mod arrow;
mod buffer;
mod column;
mod dtype;
mod error;
mod lists;
mod schema;
mod strings;
mod table;
mod tensor;

pub use buffer::{ColumnBuf, MAX_DAYS, TableBuf, Values};
pub use column::{Column, Primitive, Validity};
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use lists::{Lists, NumberLists, TextLists};
pub use schema::{Field, MAX_FIELDS, Schema};
pub use strings::{LONG_TEXT, MISSING_TEXT, MISSING_VIEW, Strings};
pub use table::Table;
pub use tensor::{Datatype, Tensor, TensorData};
