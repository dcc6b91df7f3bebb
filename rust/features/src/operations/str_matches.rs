//! Does a regular expression match anywhere in a text? 1 or 0; missing stays missing. The syntax is
//! that of the `regex` crate: no look-around and no back-references, and in return the time is
//! linear in the text, whatever the pattern.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

/// Longest pattern, and longest text to look for or to put in its place.
const MAX_PATTERN_BYTES: usize = 4096;
/// Most bytes that a compiled pattern may take: what bounds counted repetitions.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// Checks the length of a pattern.
pub(super) fn check_pattern(pattern: &str) -> Result<()> {
    if pattern.len() <= MAX_PATTERN_BYTES {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a pattern of {} bytes: use {MAX_PATTERN_BYTES} at most",
        pattern.len()
    )))
}

/// Compiles a pattern within the bounds.
pub(crate) fn compile(pattern: &str) -> Result<Regex> {
    check_pattern(pattern)?;
    RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| {
            // The library draws the pattern over several lines; the last one says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            Error::invalid(format!("the pattern {pattern:?} cannot be used: {reason}"))
        })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matches {
    pattern: String,
}

impl Expression for Matches {
    const NAME: &'static str = "str_matches";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        compile(&self.pattern).map(|_| ())
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let pattern = compile(&self.pattern)?;
        Ok(Kernel::read(move |text| {
            text.map_or(f64::NAN, |text| f64::from(pattern.is_match(text)))
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_matches_{}", self.pattern)
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Matches>(&[
    r#"{"op":"str_matches","pattern":"^[a-c]$","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"str_matches","pattern":"(?i)THAN\\s+\\w+","input":{"op":"col","name":"k"}}"#,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded_and_errors_are_one_line() {
        let message = |pattern: &str| compile(pattern).unwrap_err().message;
        assert_eq!(
            message("(a"),
            "the pattern \"(a\" cannot be used: unclosed group"
        );
        assert!(message(r"(?<=a)b").contains("look-around"));
        assert!(message(r"\w{5000}").contains("size limit"));
        assert!(message(&"a".repeat(MAX_PATTERN_BYTES + 1)).contains("4096 at most"));
        assert!(compile(r"^\d{3}-\d{4}$").unwrap().is_match("555-0199"));
    }
}
