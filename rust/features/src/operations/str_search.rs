//! Does a text contain, begin with or end with another? 1 or 0, by bytes; missing stays missing.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::str_matches::check_pattern;
use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

/// Where a text is looked for.
trait Place: Send + Sync + 'static {
    const NAME: &'static str;
    /// What is put behind the name of the input.
    const SUFFIX: &'static str;
    fn has(text: &str, part: &str) -> bool;
}

macro_rules! places {
    ($($type:ident $name:literal $method:ident;)*) => {
        $(struct $type;
        impl Place for $type {
            const NAME: &'static str = $name;
            const SUFFIX: &'static str = stringify!($method);
            #[inline]
            fn has(text: &str, part: &str) -> bool {
                text.$method(part)
            }
        })*
    };
}

places! {
    Contains "str_contains" contains;
    StartsWith "str_starts_with" starts_with;
    EndsWith "str_ends_with" ends_with;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Search<P> {
    /// What is looked for, as it is: no pattern.
    text: String,
    #[serde(skip)]
    place: PhantomData<P>,
}

impl<P: Place> Expression for Search<P> {
    const NAME: &'static str = P::NAME;
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        check_pattern(&self.text)
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let part = self.text.clone();
        Ok(Kernel::read(move |text| {
            text.map_or(f64::NAN, |text| f64::from(P::has(text, &part)))
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_{}_{}", P::SUFFIX, self.text)
    }
}

pub(super) const CONTAINS: Entry = Entry::of::<Search<Contains>>(&[
    r#"{"op":"str_contains","text":"e","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"str_contains","text":"","input":{"op":"col","name":"k"}}"#,
]);
pub(super) const STARTS_WITH: Entry = Entry::of::<Search<StartsWith>>(&[
    r#"{"op":"str_starts_with","text":"more","input":{"op":"col","name":"s"}}"#,
]);
pub(super) const ENDS_WITH: Entry = Entry::of::<Search<EndsWith>>(&[
    r#"{"op":"str_ends_with","text":"é","input":{"op":"col","name":"s"}}"#,
]);
