//! What flows between expressions: types, numbers and texts of one morsel.

use std::fmt;

use smallvec::SmallVec;
use tidegate_schema::{DType, NumberLists, Strings, TextLists, Validity};

/// Bytes of text that a scratch buffer keeps between calls; what a morsel of giants took is freed.
const KEPT_TEXT_BYTES: usize = 1 << 20;

/// The type of an expression's values.
///
/// All but texts are computed as `f64` with NaN for missing: bools are 0 and 1, whole numbers are
/// exact up to 2^53 in size, timestamps are microseconds and so exact from 1684 to 2255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// 0 or 1.
    Bool,
    /// A number.
    Number,
    /// Text.
    Text,
    /// Microseconds since 1970 UTC; of a date at midnight.
    Timestamp,
    /// Several numbers.
    NumberList,
    /// Several texts.
    TextList,
    /// Several columns of the output: the end of a chain.
    Columns,
}

impl Type {
    /// Is this computed with as a number? Bools are: true is 1.
    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Self::Bool | Self::Number)
    }

    /// Can the values be categories?
    pub(crate) const fn is_category(self) -> bool {
        matches!(self, Self::Bool | Self::Number | Self::Text)
    }

    /// Is this held as `f64`?
    pub(crate) const fn is_numeric(self) -> bool {
        matches!(self, Self::Bool | Self::Number | Self::Timestamp)
    }
}

impl From<DType> for Type {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::Bool => Self::Bool,
            // Time spans are numbers of seconds, as differences of timestamps are.
            DType::Int64 | DType::Float64 | DType::Duration => Self::Number,
            DType::String => Self::Text,
            DType::Timestamp | DType::Date => Self::Timestamp,
            DType::NumberList => Self::NumberList,
            DType::TextList => Self::TextList,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "a bool",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Timestamp => "a timestamp",
            Self::NumberList => "a list of numbers",
            Self::TextList => "a list of strings",
            Self::Columns => "several columns",
        })
    }
}

/// The values of one input for one morsel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    /// One number a row; NaN is missing.
    Numbers(&'a [f64]),
    /// One text a row.
    Texts(Strings<'a>),
    /// One list of numbers a row.
    NumberLists(NumberLists<'a>),
    /// One list of texts a row.
    TextLists(TextLists<'a>),
}

impl<'a> Values<'a> {
    /// Nothing: what stands in unused places.
    pub(crate) const NONE: Self = Self::Numbers(&[]);

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
            Self::NumberLists(lists) => lists.len(),
            Self::TextLists(lists) => lists.len(),
        }
    }

    /// Calls `each` for every row in turn with whether its value is missing.
    pub(crate) fn for_each_missing(&self, mut each: impl FnMut(bool)) {
        match self {
            Self::Numbers(numbers) => numbers.iter().for_each(|value| each(value.is_nan())),
            Self::Texts(texts) => texts.for_each(|text| each(text.is_none())),
            Self::NumberLists(lists) => {
                (0..lists.len()).for_each(|row| each(lists.range(row).is_none()));
            }
            Self::TextLists(lists) => {
                (0..lists.len()).for_each(|row| each(lists.range(row).is_none()));
            }
        }
    }

    /// The numbers; types are checked when a plan is built, so texts never come here.
    pub(crate) fn numbers(&self) -> &'a [f64] {
        match self {
            Self::Numbers(values) => values,
            _ => {
                debug_assert!(false, "numbers are due");
                &[]
            }
        }
    }

    /// The texts; types are checked when a plan is built, so numbers never come here.
    pub(crate) fn texts(&self) -> Strings<'a> {
        match self {
            Self::Texts(values) => *values,
            _ => {
                debug_assert!(false, "texts are due");
                Strings::slices(&[], Validity::ALL)
            }
        }
    }
}

/// The inputs of one expression for one morsel. Up to so many are held without allocating.
pub(crate) type Operands<'a> = SmallVec<[Values<'a>; 32]>;

/// Texts that an expression computes: one buffer for all rows of a morsel, reused.
#[derive(Debug, Default)]
pub(crate) struct TextBuf {
    offsets: Vec<i64>,
    text: String,
    validity: Vec<u8>,
    rows: usize,
}

impl TextBuf {
    /// Forgets all rows but keeps the memory, up to a bound.
    pub(crate) fn clear(&mut self) {
        self.offsets.clear();
        self.offsets.push(0);
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT_BYTES);
        self.validity.clear();
        self.rows = 0;
    }

    /// Appends a text, or a missing one.
    pub(crate) fn push(&mut self, value: Option<&str>) {
        if let Some(value) = value {
            self.text.push_str(value);
        }
        self.close(value.is_some());
    }

    /// Appends a text that `write` builds in place; missing where it says `false`.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut String) -> bool) {
        let before = self.text.len();
        let valid = write(&mut self.text);
        if !valid {
            self.text.truncate(before);
        }
        self.close(valid);
    }

    fn close(&mut self, valid: bool) {
        self.offsets.push(self.text.len() as i64);
        if self.rows & 7 == 0 {
            self.validity.push(0);
        }
        if let Some(last) = self.validity.last_mut() {
            *last |= u8::from(valid) << (self.rows & 7);
        }
        self.rows += 1;
    }

    /// The texts as a borrowed column.
    pub(crate) fn view(&self) -> Strings<'_> {
        Strings::offsets64(
            &self.offsets,
            &self.text,
            Validity::bitmap(&self.validity, 0),
        )
    }
}

/// A result, or missing where it is no finite number.
#[inline]
pub(crate) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

/// From here on every float is whole.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// The nearest whole number, halves to the even one. The baseline of x86-64 has no instruction for
/// it, and a call for each value costs ten times as much as this, which the compiler makes vectors
/// of: the sum with [`WHOLE`] has no place for a fraction.
#[inline]
pub(crate) fn round_even(value: f64) -> f64 {
    let size = value.abs();
    let rounded = if size < WHOLE {
        (size + WHOLE) - WHOLE
    } else {
        size
    };
    rounded.copysign(value)
}

/// The largest whole number that is not above a value.
#[inline]
pub(crate) fn floor(value: f64) -> f64 {
    let near = round_even(value);
    if near > value { near - 1.0 } else { near }
}

/// The smallest whole number that is not below a value.
#[inline]
pub(crate) fn ceil(value: f64) -> f64 {
    let near = round_even(value);
    if near < value { near + 1.0 } else { near }
}

/// Appends the text by which a value is known as a category: whole numbers without a point, other
/// numbers in their shortest form, `true` and `false`. False where the value is missing.
pub(crate) fn write_key(kind: Type, value: f64, text: &mut String) -> bool {
    use std::fmt::Write;
    /// From here on not every whole number is an `f64`, and `i64` would no longer do.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        return false;
    }
    let written = if kind == Type::Bool {
        text.write_str(if value == 0.0 { "false" } else { "true" })
    } else if value.fract() == 0.0 && value.abs() < WHOLE {
        write!(text, "{}", value as i64)
    } else {
        write!(text, "{value}")
    };
    written.is_ok()
}

/// Reads what [`write_key`] wrote.
pub(crate) fn read_key(kind: Type, text: &str) -> Option<f64> {
    match (kind, text) {
        (Type::Bool, "true") => Some(1.0),
        (Type::Bool, "false") => Some(0.0),
        (Type::Bool, _) => None,
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Calls `each` with the category text of every row, `None` where missing. Texts are lent, numbers
/// are written into `text`.
pub(crate) fn each_key(
    kind: Type,
    values: &Values<'_>,
    text: &mut String,
    mut each: impl FnMut(Option<&str>),
) {
    match values {
        Values::Texts(strings) => strings.for_each(each),
        Values::Numbers(numbers) => {
            for &number in *numbers {
                text.clear();
                let valid = write_key(kind, number, text);
                each(valid.then_some(text.as_str()));
            }
        }
        // Types are checked when a plan is built: lists are no categories.
        Values::NumberLists(_) | Values::TextLists(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        let mut bits = 0x2545_f491_4f6c_dd1d_u64;
        let near = [
            0.0,
            0.5,
            1.5,
            2.5,
            0.499_999_999_999_999_94,
            1e15 + 0.5,
            WHOLE,
            WHOLE - 0.5,
            1e300,
            5e-324,
        ];
        let random = (0..20_000).map(|_| {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            (bits >> 11) as f64 / 2f64.powi((bits & 63) as i32)
        });
        for value in near.into_iter().chain(random).flat_map(|x| [x, -x]) {
            assert_eq!(round_even(value), value.round_ties_even(), "{value}");
            assert_eq!(floor(value), value.floor(), "{value}");
            assert_eq!(ceil(value), value.ceil(), "{value}");
        }
        assert!(floor(f64::NAN).is_nan() && ceil(f64::NAN).is_nan());
    }

    #[test]
    fn keys_round_trip() {
        for (kind, value, text) in [
            (Type::Number, 3.0, "3"),
            (Type::Number, -0.0, "0"),
            (Type::Number, 0.1, "0.1"),
            (Type::Bool, 1.0, "true"),
            (Type::Number, 1e300, &format!("{}", 1e300)),
        ] {
            let mut key = String::new();
            assert!(write_key(kind, value, &mut key));
            assert_eq!(key, text);
            assert_eq!(read_key(kind, &key), Some(value + 0.0));
        }
        assert!(!write_key(Type::Number, f64::NAN, &mut String::new()));
    }

    #[test]
    fn computed_texts_keep_missing_apart_from_empty() {
        let mut texts = TextBuf::default();
        texts.clear();
        for row in 0..20 {
            match row % 3 {
                0 => texts.push(None),
                1 => texts.push(Some("")),
                _ => texts.push_with(|text| {
                    text.push('x');
                    true
                }),
            }
        }
        let view = texts.view();
        assert_eq!(view.len(), 20);
        assert_eq!(
            (view.get(0), view.get(1), view.get(17)),
            (None, Some(""), Some("x"))
        );
    }

    #[test]
    fn nothing_infinite_is_computed() {
        assert!(finite(1.0 / 0.0).is_nan());
    }
}
