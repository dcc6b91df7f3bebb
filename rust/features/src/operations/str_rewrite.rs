//! A text in lower case, in upper case, or without white space at its ends, by Unicode's rules.
//! Missing in, missing out.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

/// One way to write a text anew.
trait Rewrite: Send + Sync + 'static {
    const NAME: &'static str;
    fn write(text: &str, out: &mut String);
}

struct Lower;
struct Upper;
struct Strip;

impl Rewrite for Lower {
    const NAME: &'static str = "str_to_lowercase";

    fn write(text: &str, out: &mut String) {
        if text.is_ascii() {
            let start = out.len();
            out.push_str(text);
            out[start..].make_ascii_lowercase();
        } else {
            out.push_str(&text.to_lowercase());
        }
    }
}

impl Rewrite for Upper {
    const NAME: &'static str = "str_to_uppercase";

    fn write(text: &str, out: &mut String) {
        if text.is_ascii() {
            let start = out.len();
            out.push_str(text);
            out[start..].make_ascii_uppercase();
        } else {
            out.push_str(&text.to_uppercase());
        }
    }
}

impl Rewrite for Strip {
    const NAME: &'static str = "str_strip";

    fn write(text: &str, out: &mut String) {
        out.push_str(text.trim());
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Rewritten<R> {
    #[serde(skip)]
    rewrite: PhantomData<R>,
}

impl<R: Rewrite> Expression for Rewritten<R> {
    const NAME: &'static str = R::NAME;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Text)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::rewrite(|text, out| R::write(text, out)))
    }
}

pub(super) const LOWER: Entry = Entry::of::<Rewritten<Lower>>(&[
    r#"{"op":"ordinal","input":{"op":"str_to_lowercase","input":{"op":"col","name":"s"}}}"#,
]);
pub(super) const UPPER: Entry = Entry::of::<Rewritten<Upper>>(&[
    r#"{"op":"one_hot","input":{"op":"str_to_uppercase","input":{"op":"col","name":"k"}}}"#,
]);
pub(super) const STRIP: Entry = Entry::of::<Rewritten<Strip>>(&[
    r#"{"op":"str_len_chars","input":{"op":"str_strip","input":{"op":"col","name":"s"}}}"#,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_unicode() {
        let written = |write: fn(&str, &mut String), text| {
            let mut out = String::from("kept ");
            write(text, &mut out);
            out.split_off(5)
        };
        assert_eq!(written(Lower::write, "ÉWR Ab"), "éwr ab");
        assert_eq!(written(Lower::write, "Ab"), "ab");
        assert_eq!(written(Upper::write, "straße"), "STRASSE");
        assert_eq!(written(Upper::write, "ab1"), "AB1");
        assert_eq!(written(Strip::write, "\u{3000} a b\n"), "a b");
    }
}
