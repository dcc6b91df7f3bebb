//! The mean of the target where the category is this one, drawn towards the mean of all rows the
//! more, the fewer rows it stands on (Micci-Barreca 2001; scikit-learn's `TargetEncoder`). Unseen
//! categories get the mean of all rows. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::category;
use super::sums::Stat;
use super::target::{Encode, Encoded, Folds};
use super::target_classes::{self, LearnTarget};
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::Type;

/// How much the mean of all rows weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    /// As the variances within the category and over all rows say (empirical Bayes).
    #[default]
    Auto,
}

/// A weight in rows, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Smooth {
    Rows(f64),
    By(Strategy),
}

impl Default for Smooth {
    fn default() -> Self {
        Self::By(Strategy::Auto)
    }
}

impl Encode for Smooth {
    fn value(&self, category: &Stat, all: &Stat) -> f64 {
        let mean = all.mean();
        if category.count == 0 {
            return mean;
        }
        let count = category.count as f64;
        match self {
            Self::Rows(rows) => (category.sum() + rows * mean) / (count + rows),
            Self::By(Strategy::Auto) => {
                let spread = all.variance() * count;
                let share = spread / (spread + category.variance());
                if share.is_nan() {
                    // Neither varies: the two means are one.
                    return mean;
                }
                share * category.mean() + (1.0 - share) * mean
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetMean {
    /// Is there a column for each class of the target?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    classes: bool,
    #[serde(default)]
    folds: Folds,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    smooth: Smooth,
}

impl Expression for TargetMean {
    const NAME: &'static str = "target_mean";
    const SUPERVISED: bool = true;
    type Fit = LearnTarget<Smooth>;

    fn check(&self) -> Result<()> {
        self.folds.check()?;
        match self.smooth {
            Smooth::Rows(rows) if !(rows.is_finite() && rows >= 0.0) => Err(Error::invalid(
                format!("smooth {rows}: use \"auto\", or a number of rows from 0"),
            )),
            _ => Ok(()),
        }
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        let kind = if self.classes {
            Type::Columns
        } else {
            Type::Number
        };
        category(inputs).map(|()| kind)
    }

    fn fit(&self, inputs: &[Type]) -> Option<LearnTarget<Smooth>> {
        LearnTarget::new(inputs, self.classes, self.smooth, self.folds, self.seed)
    }

    fn kernel(&self, state: Encoded, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        if self.classes {
            return target_classes::kernel(state, kind);
        }
        state.kernel(kind)
    }

    fn learns_classes(&self) -> bool {
        self.classes
    }

    fn suffixes(&self, state: &Encoded) -> Vec<String> {
        let classes = state.classes.iter();
        classes.map(|class| format!("={class}")).collect()
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_target_mean")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<TargetMean>(&[
    r#"{"op":"target_mean","classes":true,"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"target_mean","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"target_mean","smooth":10,"folds":2,"seed":7,"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"target_mean","smooth":0,"input":{"op":"col","name":"b"}}"#,
    r#"{"op":"standardize","input":{"op":"target_mean","input":{"op":"cross","left":{"op":"col","name":"s"},"right":{"op":"col","name":"k"}}}}"#,
]);
