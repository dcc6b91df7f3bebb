//! A label as it was sent, before it is known what it is a label of.

/// What came as the label of one prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Label<'a> {
    /// Null or NaN: nobody knows it.
    Missing,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number; NaN is missing.
    Float(f64),
    /// A text.
    Text(&'a str),
}

/// Why a label cannot be one of this model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is missing.
    Missing,
    /// A text where a number is due, a number where a text is, an infinity.
    Type,
    /// None of the classes that the model knows.
    UnknownClass,
}
