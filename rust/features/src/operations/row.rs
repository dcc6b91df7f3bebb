//! Aggregates over the columns of one row. Missing values are left out; a row without any value
//! gives missing.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::same_type;
use crate::expression::{Entry, Expression, Inputs, MAX_INPUTS, Nothing, number, takes};
use crate::kernel::Kernel;
use crate::value::{Type, Values, finite};

/// Rows that are summed side by side: their sums and counts stay in the first cache.
const BLOCK: usize = 32;

/// How one aggregate runs over the columns.
trait Aggregate: Send + Sync + 'static {
    const NAME: &'static str;
    /// Does the result stand among the inputs, so that it has their type?
    const CHOOSES: bool = false;
    fn run(inputs: &[Values<'_>], out: &mut [f64]);
}

/// Takes each column into `out`, which starts as the first of them, value by value.
#[inline]
fn fold(inputs: &[Values<'_>], out: &mut [f64], f: impl Fn(f64, f64) -> f64) {
    let Some((first, others)) = inputs.split_first() else {
        return;
    };
    out.copy_from_slice(first.numbers());
    for other in others {
        for (out, &value) in out.iter_mut().zip(other.numbers()) {
            let both = f(*out, value);
            *out = if out.is_nan() {
                value
            } else if value.is_nan() {
                *out
            } else {
                both
            };
        }
    }
}

struct Sum;

impl Aggregate for Sum {
    const NAME: &'static str = "row_sum";

    fn run(inputs: &[Values<'_>], out: &mut [f64]) {
        fold(inputs, out, |sum, value| sum + value);
        out.iter_mut().for_each(|out| *out = finite(*out));
    }
}

struct Min;

impl Aggregate for Min {
    const NAME: &'static str = "row_min";
    const CHOOSES: bool = true;

    fn run(inputs: &[Values<'_>], out: &mut [f64]) {
        fold(
            inputs,
            out,
            |least, value| if value < least { value } else { least },
        );
    }
}

struct Max;

impl Aggregate for Max {
    const NAME: &'static str = "row_max";
    const CHOOSES: bool = true;

    fn run(inputs: &[Values<'_>], out: &mut [f64]) {
        fold(
            inputs,
            out,
            |most, value| if value > most { value } else { most },
        );
    }
}

/// Calls `each` with the start of a block, and the sums and counts of its rows.
fn sums(
    inputs: &[Values<'_>],
    out: &mut [f64],
    mut each: impl FnMut(usize, &mut [f64], &[f64], &[f64]),
) {
    for (place, out) in out.chunks_mut(BLOCK).enumerate() {
        let start = place * BLOCK;
        let (mut sums, mut counts) = ([0.0; BLOCK], [0.0; BLOCK]);
        for input in inputs {
            let values = input.numbers().iter().skip(start);
            for ((sum, count), &value) in sums.iter_mut().zip(&mut counts).zip(values) {
                let missing = value.is_nan();
                *sum += if missing { 0.0 } else { value };
                *count += if missing { 0.0 } else { 1.0 };
            }
        }
        each(start, out, &sums, &counts);
    }
}

struct Mean;

impl Aggregate for Mean {
    const NAME: &'static str = "row_mean";

    fn run(inputs: &[Values<'_>], out: &mut [f64]) {
        sums(inputs, out, |_, out, sums, counts| {
            for (out, (sum, count)) in out.iter_mut().zip(sums.iter().zip(counts)) {
                // Without a value it is 0 / 0.
                *out = finite(sum / count);
            }
        });
    }
}

struct Median;

impl Aggregate for Median {
    const NAME: &'static str = "row_median";

    fn run(inputs: &[Values<'_>], out: &mut [f64]) {
        let mut kept = [0.0; MAX_INPUTS];
        for (row, out) in out.iter_mut().enumerate() {
            let mut count = 0;
            for input in inputs {
                if let (Some(&value), Some(place)) = (input.numbers().get(row), kept.get_mut(count))
                    && !value.is_nan()
                {
                    *place = value;
                    count += 1;
                }
            }
            let kept = &mut kept[..count];
            kept.sort_unstable_by(f64::total_cmp);
            *out = match (kept.get(count.saturating_sub(1) / 2), kept.get(count / 2)) {
                (Some(low), Some(high)) if count % 2 == 0 => finite((low + high) / 2.0),
                (Some(middle), _) => *middle,
                _ => f64::NAN,
            };
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Row<A> {
    #[serde(skip)]
    aggregate: PhantomData<A>,
}

/// The name of an aggregate over several columns.
pub(super) fn label(op: &str, inputs: &[&str]) -> String {
    format!("{op}({})", inputs.join(", "))
}

impl<A: Aggregate> Expression for Row<A> {
    const NAME: &'static str = A::NAME;
    const INPUTS: Inputs = Inputs::List(1);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        if !A::CHOOSES {
            return number(inputs).map(|()| Type::Number);
        }
        match same_type(inputs)? {
            kind if kind.is_numeric() => Ok(kind),
            kind => Err(takes("numbers or timestamps", kind)),
        }
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::Numbers(Box::new(A::run)))
    }

    fn name(&self, inputs: &[&str]) -> String {
        label(A::NAME, inputs)
    }
}

/// The standard deviation; with as many values as `ddof` or fewer it is missing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Std {
    /// 1 for the deviation of a sample, 0 for that of a population.
    #[serde(default = "sample")]
    ddof: u8,
}

const fn sample() -> u8 {
    1
}

impl Expression for Std {
    const NAME: &'static str = "row_std";
    const INPUTS: Inputs = Inputs::List(1);
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        if self.ddof <= 1 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "ddof is {}: use 1 for a sample or 0 for a population",
            self.ddof
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let ddof = f64::from(self.ddof);
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            sums(inputs, out, |start, out, sums, counts| {
                let mut squares = [0.0; BLOCK];
                for input in inputs {
                    let means = sums.iter().zip(counts);
                    let values = input.numbers().iter().skip(start);
                    for ((square, (sum, count)), &value) in
                        squares.iter_mut().zip(means).zip(values)
                    {
                        let difference = value - sum / count;
                        *square += if value.is_nan() {
                            0.0
                        } else {
                            difference * difference
                        };
                    }
                }
                for (out, (square, count)) in out.iter_mut().zip(squares.iter().zip(counts)) {
                    let free = count - ddof;
                    *out = if free > 0.0 {
                        finite((square / free).sqrt())
                    } else {
                        f64::NAN
                    };
                }
            });
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        label("row_std", inputs)
    }
}

macro_rules! example {
    ($name:literal) => {
        concat!(
            r#"{"op":""#,
            $name,
            r#"","inputs":[{"op":"col","name":"x"},{"op":"col","name":"n"},{"op":"col","name":"b"},{"op":"literal","value":2.5}]}"#
        )
    };
}

pub(super) const SUM: Entry = Entry::of::<Row<Sum>>(&[
    example!("row_sum"),
    r#"{"op":"row_sum","inputs":[{"op":"col","name":"x"},{"op":"col","name":"n"}]}"#,
]);
pub(super) const MEAN: Entry = Entry::of::<Row<Mean>>(&[
    example!("row_mean"),
    r#"{"op":"row_mean","inputs":[{"op":"col","name":"x"}]}"#,
]);
pub(super) const MIN: Entry = Entry::of::<Row<Min>>(&[
    example!("row_min"),
    r#"{"op":"dt","part":"day","input":{"op":"row_min","inputs":[{"op":"col","name":"t"},{"op":"col","name":"u"}]}}"#,
]);
pub(super) const MAX: Entry = Entry::of::<Row<Max>>(&[
    example!("row_max"),
    r#"{"op":"row_max","inputs":[{"op":"col","name":"n"},{"op":"col","name":"x"}]}"#,
]);
pub(super) const MEDIAN: Entry = Entry::of::<Row<Median>>(&[
    example!("row_median"),
    r#"{"op":"row_median","inputs":[{"op":"col","name":"n"},{"op":"col","name":"x"},{"op":"col","name":"b"}]}"#,
]);
pub(super) const STD: Entry = Entry::of::<Std>(&[
    example!("row_std"),
    r#"{"op":"row_std","ddof":0,"inputs":[{"op":"col","name":"n"},{"op":"col","name":"x"}]}"#,
]);
