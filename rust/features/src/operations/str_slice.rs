//! A part of a text by places of its characters: `length` of them from `start`, all that follow
//! without a length; a negative start counts from the end. Places outside give less, down to the
//! empty text. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slice {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<u32>,
    start: i32,
}

/// Where the character at a place begins; the end where there are fewer.
fn place(text: &str, characters: usize) -> usize {
    if text.is_ascii() {
        return characters.min(text.len());
    }
    text.char_indices()
        .nth(characters)
        .map_or(text.len(), |(place, _)| place)
}

fn slice(text: &str, start: i32, length: Option<u32>) -> &str {
    // From the end a start before the first character is moved, and what it skips is not given.
    let (skipped, length) = if start >= 0 {
        (start as usize, length.map(|length| length as usize))
    } else {
        let back = start.unsigned_abs() as usize;
        let total = text.chars().count();
        let before = back.saturating_sub(total);
        let length = length.map(|length| (length as usize).saturating_sub(before));
        (total.saturating_sub(back), length)
    };
    let rest = &text[place(text, skipped)..];
    length.map_or(rest, |length| &rest[..place(rest, length)])
}

impl Expression for Slice {
    const NAME: &'static str = "str_slice";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Text)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let (start, length) = (self.start, self.length);
        Ok(Kernel::rewrite(move |text, out| {
            out.push_str(slice(text, start, length));
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        // As Python writes it; from the end there is no end but the text's.
        let end = self
            .length
            .map(|length| i64::from(self.start) + i64::from(length));
        match end.filter(|end| (self.start < 0) == (*end < 0)) {
            Some(end) => format!("{input}[{}:{end}]", self.start),
            None => format!("{input}[{}:]", self.start),
        }
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Slice>(&[
    r#"{"op":"ordinal","input":{"op":"str_slice","start":0,"length":4,"input":{"op":"col","name":"s"}}}"#,
    r#"{"op":"ordinal","input":{"op":"str_slice","start":-2,"input":{"op":"col","name":"s"}}}"#,
]);

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn places_are_characters_and_lie_where_they_are() {
        let text = "naïve 😀";
        for (start, length, due) in [
            (0, Some(3), "naï"),
            (2, None, "ïve 😀"),
            (-2, None, " 😀"),
            (-2, Some(1), " "),
            (-9, Some(3), "n"),
            (-9, None, text),
            (7, None, ""),
            (i32::MAX, Some(u32::MAX), ""),
            (i32::MIN, Some(u32::MAX), text),
            (1, Some(0), ""),
        ] {
            assert_eq!(slice(text, start, length), due, "{start} {length:?}");
        }
        assert_eq!(slice("", -1, Some(1)), "");
        assert_eq!(slice("abc", -2, Some(1)), "b");
    }
}
