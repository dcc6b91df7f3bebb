//! Missing values replaced: by a constant, or by the mean, median or most frequent value seen by
//! `fit`. Missing values are not learned from; the result is never missing.
//!
//! Of equally frequent values the smallest is taken, as scikit-learn's `SimpleImputer` does. The
//! median is exact up to a million values and within the stated rank error of the summary above.

use serde::{Deserialize, Serialize};
use tidegate_schema::{DType, Error, Result};
use tidegate_sketch::{DISTINCT_LIMIT, Frequencies, Moments, Overflow, Quantiles};

use super::learn::figure;
use super::literal::Constant;
use crate::expression::{Entry, Expression, Fit, number, sketch, takes};
use crate::kernel::Kernel;
use crate::value::{Type, Values, each_key, read_key};

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    Mean,
    Median,
    MostFrequent,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FillNull {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Constant>,
    /// Says that the value is a time in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<DType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
}

/// What missing values become; `None` with a constant.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    value: Option<Constant>,
}

enum Learn {
    Mean(Moments),
    Median(Quantiles),
    Frequent {
        kind: Type,
        counts: Frequencies,
        key: String,
    },
}

impl Fit for Learn {
    type State = State;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        match self {
            Self::Mean(moments) => moments.update_many(inputs[0].numbers()),
            Self::Median(quantiles) => quantiles.update_many(inputs[0].numbers()),
            Self::Frequent { kind, counts, key } => {
                let mut outcome = Ok(());
                each_key(*kind, &inputs[0], key, |key| {
                    if let (Some(key), Ok(())) = (key, &outcome) {
                        outcome = counts.update(key);
                    }
                });
                outcome.map_err(sketch)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::Mean(left), Self::Mean(right)) => left.merge(&right),
            (Self::Median(left), Self::Median(right)) => left.merge(&right),
            (Self::Frequent { counts, .. }, Self::Frequent { counts: other, .. }) => {
                counts.merge(&other).map_err(sketch)?;
            }
            _ => return Err(Error::internal("two strategies of fill_null met")),
        }
        Ok(())
    }

    fn finish(self) -> Result<State> {
        let value = match self {
            Self::Mean(moments) => {
                let mean = moments.mean().map(|mean| figure(mean, "mean"));
                mean.transpose()?.map(Constant::Number)
            }
            Self::Median(quantiles) => quantiles
                .quantile(0.5)
                .map_err(sketch)?
                .map(Constant::Number),
            Self::Frequent { kind, counts, .. } => most_frequent(kind, &counts),
        };
        if value.is_none() {
            return Err(Error::invalid(
                "saw only missing values: fill with a constant, or leave the column out",
            ));
        }
        Ok(State { value })
    }
}

fn most_frequent(kind: Type, counts: &Frequencies) -> Option<Constant> {
    let sorted = counts.sorted();
    let most = sorted.first()?.1;
    let mut best = sorted
        .iter()
        .take_while(|(_, count)| *count == most)
        .map(|(key, _)| *key);
    if kind == Type::Text {
        return best.next().map(|key| Constant::Text(key.to_owned()));
    }
    let least = best
        .filter_map(|key| read_key(kind, key))
        .min_by(f64::total_cmp)?;
    Some(if kind == Type::Bool {
        Constant::Bool(least != 0.0)
    } else {
        Constant::Number(least)
    })
}

impl FillNull {
    /// The type of the constant.
    fn kind(&self, constant: &Constant) -> Type {
        match self.dtype {
            Some(DType::Timestamp) => Type::Timestamp,
            _ => constant.kind(),
        }
    }
}

impl Expression for FillNull {
    const NAME: &'static str = "fill_null";
    type Fit = Learn;

    fn check(&self) -> Result<()> {
        match (&self.value, self.dtype) {
            (_, None) | (Some(Constant::Number(_)), Some(DType::Timestamp)) => {}
            (_, Some(dtype)) => {
                return Err(Error::invalid(format!(
                    "dtype is {dtype}: leave it out, or say that a number is a timestamp"
                )));
            }
        }
        if self.value.is_some() != self.strategy.is_some() {
            return Ok(());
        }
        Err(Error::invalid(
            "takes either a value or a strategy: mean, median or most_frequent",
        ))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        let kind = inputs.first().copied().unwrap_or(Type::Number);
        if matches!(kind, Type::Columns | Type::NumberList | Type::TextList) {
            return Err(takes("a number, string, bool or time", kind));
        }
        if let Some(value) = &self.value {
            let found = self.kind(value);
            return if found == kind {
                Ok(kind)
            } else {
                Err(Error::invalid(format!(
                    "fills {kind} with {found}: give a value of the column's type"
                )))
            };
        }
        if kind == Type::Timestamp {
            return Err(takes("a number, string or bool to learn from", kind));
        }
        if self.strategy == Some(Strategy::MostFrequent) {
            return Ok(kind);
        }
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Learn> {
        Some(match self.strategy? {
            Strategy::Mean => Learn::Mean(Moments::new()),
            Strategy::Median => Learn::Median(Quantiles::new()),
            Strategy::MostFrequent => Learn::Frequent {
                kind: inputs.first().copied()?,
                counts: Frequencies::new(DISTINCT_LIMIT, Overflow::Refuse).ok()?,
                key: String::new(),
            },
        })
    }

    fn kernel(&self, state: State, inputs: &[Type]) -> Result<Kernel> {
        let value = self.value.clone().or(state.value);
        let text = inputs.first() == Some(&Type::Text);
        match value {
            Some(Constant::Text(fill)) if text => {
                Ok(Kernel::Texts(Box::new(move |inputs, _, out| {
                    inputs[0]
                        .texts()
                        .for_each(|text| out.push(text.or(Some(&fill))));
                })))
            }
            Some(fill) if !text && fill.number().is_some() => {
                let fill = fill.number().unwrap_or(f64::NAN);
                Ok(Kernel::map(
                    move |value| {
                        if value.is_nan() { fill } else { value }
                    },
                ))
            }
            _ => Err(Error::state(
                "fill_null: the learned value does not fit the column",
            )),
        }
    }
}

pub(super) const ENTRY: Entry = Entry::of::<FillNull>(&[
    r#"{"op":"fill_null","value":-1,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"fill_null","strategy":"mean","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"fill_null","strategy":"median","input":{"op":"col","name":"n"}}"#,
    r#"{"op":"fill_null","strategy":"most_frequent","input":{"op":"col","name":"n"}}"#,
    r#"{"op":"fill_null","strategy":"most_frequent","input":{"op":"col","name":"b"}}"#,
    r#"{"op":"one_hot","input":{"op":"fill_null","strategy":"most_frequent","input":{"op":"col","name":"s"}}}"#,
    r#"{"op":"dt","part":"hour","input":{"op":"fill_null","value":-1,"dtype":"timestamp","input":{"op":"col","name":"t"}}}"#,
    r#"{"op":"fill_null","value":true,"input":{"op":"col","name":"b"}}"#,
    r#"{"op":"ordinal","input":{"op":"fill_null","value":"none","input":{"op":"col","name":"k"}}}"#,
]);
