//! How long a text is: in characters (Unicode scalar values, as Python's `len`), in bytes of UTF-8,
//! or in words (runs without Unicode white space, as `len(text.split())`). Missing in, missing out.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

/// One way to measure a text.
trait Measure: Send + Sync + 'static {
    const NAME: &'static str;
    /// What is put behind the name of the input.
    const SUFFIX: &'static str;
    fn of(text: &str) -> usize;
}

macro_rules! measures {
    ($($type:ident $name:literal $suffix:literal $text:ident => $length:expr;)*) => {
        $(struct $type;
        impl Measure for $type {
            const NAME: &'static str = $name;
            const SUFFIX: &'static str = $suffix;
            #[inline]
            fn of($text: &str) -> usize {
                $length
            }
        })*
    };
}

measures! {
    Chars "str_len_chars" "len_chars" text => text.chars().count();
    Bytes "str_len_bytes" "len_bytes" text => text.len();
    Tokens "str_token_count" "token_count" text => text.split_whitespace().count();
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Length<M> {
    #[serde(skip)]
    measure: PhantomData<M>,
}

impl<M: Measure> Expression for Length<M> {
    const NAME: &'static str = M::NAME;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::read(|text| {
            text.map_or(f64::NAN, |text| M::of(text) as f64)
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!(
            "{}_{}",
            inputs.first().copied().unwrap_or_default(),
            M::SUFFIX
        )
    }
}

pub(super) const LEN_CHARS: Entry =
    Entry::of::<Length<Chars>>(&[r#"{"op":"str_len_chars","input":{"op":"col","name":"s"}}"#]);
pub(super) const LEN_BYTES: Entry =
    Entry::of::<Length<Bytes>>(&[r#"{"op":"str_len_bytes","input":{"op":"col","name":"s"}}"#]);
pub(super) const TOKEN_COUNT: Entry =
    Entry::of::<Length<Tokens>>(&[r#"{"op":"str_token_count","input":{"op":"col","name":"s"}}"#]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_texts() {
        for (text, chars, bytes, tokens) in [
            ("", 0, 0, 0),
            ("more than one", 13, 13, 3),
            (" é\u{a0}\u{1f600}\n", 5, 10, 2),
        ] {
            assert_eq!(
                (Chars::of(text), Bytes::of(text), Tokens::of(text)),
                (chars, bytes, tokens),
                "{text:?}"
            );
        }
    }
}
