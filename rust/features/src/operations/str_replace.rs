//! Every occurrence of a text, or of what a regular expression matches, replaced by another text.
//! With a regular expression `$1` and `${name}` stand for its groups, and `$$` for a dollar.
//! Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::str_matches::{check_pattern, compile};
use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    /// What is looked for.
    pattern: String,
    /// Is it a regular expression, or a text as it is?
    #[serde(default)]
    regex: bool,
    /// What is put in its place.
    value: String,
}

impl Expression for Replace {
    const NAME: &'static str = "str_replace";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        check_pattern(&self.value)?;
        if self.regex {
            compile(&self.pattern).map(|_| ())
        } else {
            check_pattern(&self.pattern)
        }
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Text)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let (from, to) = (self.pattern.clone(), self.value.clone());
        if self.regex {
            let pattern = compile(&from)?;
            return Ok(Kernel::rewrite(move |text, out| {
                out.push_str(&pattern.replace_all(text, to.as_str()));
            }));
        }
        Ok(Kernel::rewrite(move |text, out| {
            let mut end = 0;
            for (start, found) in text.match_indices(&from) {
                out.push_str(&text[end..start]);
                out.push_str(&to);
                end = start + found.len();
            }
            out.push_str(&text[end..]);
        }))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Replace>(&[
    r#"{"op":"ordinal","input":{"op":"str_replace","pattern":"e","value":"","input":{"op":"col","name":"s"}}}"#,
    r#"{"op":"ordinal","input":{"op":"str_replace","pattern":"","value":"é","input":{"op":"col","name":"s"}}}"#,
    r#"{"op":"one_hot","input":{"op":"str_replace","pattern":"^([a-z])$","regex":true,"value":"<$1>","input":{"op":"col","name":"k"}}}"#,
]);
