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
    /// Days since 1970-01-01.
    Date,
    /// Microseconds between two times.
    Duration,
    /// Several 64-bit floats.
    #[serde(rename = "list[float64]")]
    NumberList,
    /// Several texts.
    #[serde(rename = "list[string]")]
    TextList,
}

impl DType {
    /// Every dtype, for exhaustive tests.
    pub const ALL: [Self; 9] = [
        Self::Bool,
        Self::Int64,
        Self::Float64,
        Self::String,
        Self::Timestamp,
        Self::Date,
        Self::Duration,
        Self::NumberList,
        Self::TextList,
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
            Self::Date => "date",
            Self::Duration => "duration",
            Self::NumberList => "list[float64]",
            Self::TextList => "list[string]",
        }
    }

    /// Does a value of it consist of several items?
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::NumberList | Self::TextList)
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
            Self::Date => "a date",
            Self::Duration => "a time span",
            Self::NumberList => "a list of numbers",
            Self::TextList => "a list of texts",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
