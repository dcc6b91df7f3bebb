//! A number of a list: how many items it has, or the mean, smallest, largest or sum of its numbers.
//! Items that are missing count, but are not computed with; of no numbers the sum is 0 and the
//! others are missing. Missing in, missing out.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::{Type, Values, finite};

/// One way to make a number of a list of numbers.
trait Aggregate: Send + Sync + 'static {
    const NAME: &'static str;
    /// What is put behind the name of the input.
    const SUFFIX: &'static str;
    /// Does it take lists of texts as well, of which it only sees how many there are?
    const COUNTS: bool = false;
    fn of(items: &[f64]) -> f64;
}

fn there(items: &[f64]) -> impl Iterator<Item = f64> {
    items.iter().copied().filter(|item| !item.is_nan())
}

macro_rules! aggregates {
    ($($type:ident $name:literal $suffix:literal $items:ident => $number:expr;)*) => {
        $(struct $type;
        impl Aggregate for $type {
            const NAME: &'static str = $name;
            const SUFFIX: &'static str = $suffix;
            fn of($items: &[f64]) -> f64 {
                $number
            }
        })*
    };
}

aggregates! {
    Mean "list_mean" "mean" items => {
        let (sum, count) = there(items).fold((0.0, 0.0), |(sum, count), item| (sum + item, count + 1.0));
        sum / count
    };
    Min "list_min" "min" items => there(items).fold(f64::NAN, f64::min);
    Max "list_max" "max" items => there(items).fold(f64::NAN, f64::max);
    Sum "list_sum" "sum" items => there(items).sum::<f64>() + 0.0;
}

struct Len;

impl Aggregate for Len {
    const NAME: &'static str = "list_len";
    const SUFFIX: &'static str = "len";
    const COUNTS: bool = true;

    fn of(items: &[f64]) -> f64 {
        items.len() as f64
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct ListNumber<A> {
    #[serde(skip)]
    aggregate: PhantomData<A>,
}

impl<A: Aggregate> Expression for ListNumber<A> {
    const NAME: &'static str = A::NAME;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::NumberList] => Ok(Type::Number),
            [Type::TextList] if A::COUNTS => Ok(Type::Number),
            [kind, ..] if A::COUNTS => Err(takes("a list", *kind)),
            kinds => Err(takes(
                "a list of numbers",
                kinds.first().copied().unwrap_or(Type::Number),
            )),
        }
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::Numbers(Box::new(|inputs, out| match inputs[0] {
            Values::NumberLists(lists) => {
                for (row, out) in out.iter_mut().enumerate() {
                    *out = lists
                        .get(row)
                        .map_or(f64::NAN, |items| finite(A::of(items)));
                }
            }
            Values::TextLists(lists) => {
                for (row, out) in out.iter_mut().enumerate() {
                    *out = lists
                        .range(row)
                        .map_or(f64::NAN, |items| items.len() as f64);
                }
            }
            Values::Numbers(_) | Values::Texts(_) => out.fill(f64::NAN),
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_{}", A::SUFFIX)
    }
}

pub(super) const LEN: Entry = Entry::of::<ListNumber<Len>>(&[
    r#"{"op":"list_len","input":{"op":"col","name":"l"}}"#,
    r#"{"op":"list_len","input":{"op":"col","name":"w"}}"#,
]);
pub(super) const MEAN: Entry =
    Entry::of::<ListNumber<Mean>>(&[r#"{"op":"list_mean","input":{"op":"col","name":"l"}}"#]);
pub(super) const MIN: Entry =
    Entry::of::<ListNumber<Min>>(&[r#"{"op":"list_min","input":{"op":"col","name":"l"}}"#]);
pub(super) const MAX: Entry =
    Entry::of::<ListNumber<Max>>(&[r#"{"op":"list_max","input":{"op":"col","name":"l"}}"#]);
pub(super) const SUM: Entry = Entry::of::<ListNumber<Sum>>(&[
    r#"{"op":"list_sum","input":{"op":"col","name":"l"}}"#,
    r#"{"op":"standardize","input":{"op":"list_sum","input":{"op":"col","name":"l"}}}"#,
]);
