//! The types a raw column can have.

use serde::{Deserialize, Serialize};

/// The type of a raw column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// True or false.
    Bool,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit IEEE float; NaN is missing.
    Float64,
    /// UTF-8 text.
    String,
    /// Microseconds since 1970-01-01T00:00:00 UTC.
    Timestamp,
}

impl DType {
    /// Every dtype, for exhaustive tests.
    pub const ALL: [Self; 5] = [
        Self::Bool,
        Self::Int64,
        Self::Float64,
        Self::String,
        Self::Timestamp,
    ];

    /// The name used in schemas, messages and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Timestamp => "timestamp",
        }
    }

    /// What a caller has to send for it, for messages.
    #[must_use]
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int64 => "a whole number of 64 bits",
            Self::Float64 => "a number",
            Self::String => "a text",
            Self::Timestamp => "a date and time",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
