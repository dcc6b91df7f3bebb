//! The weight of evidence of a category for a target of 0 and 1: the logarithm of its share of the
//! ones over its share of the zeros, each count made `regularization` larger so that none is empty
//! (as category_encoders' `WOEEncoder`). Unseen categories weigh 0. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::category;
use super::sums::Stat;
use super::target::{Encode, Encoded, Folds};
use super::target_classes::{self, LearnTarget};
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::Type;

/// Largest regularization: beyond, all weights are 0 but for rounding.
const MOST: f64 = 1e15;

#[derive(Clone, Copy)]
struct Weight {
    regularization: f64,
}

impl Encode for Weight {
    fn check(&self, target: f64) -> Result<()> {
        if target == 0.0 || target == 1.0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the target is {target} where 0 or 1 is due: compare it with something, or use target_mean"
        )))
    }

    fn value(&self, category: &Stat, all: &Stat) -> f64 {
        if category.count == 0 {
            return 0.0;
        }
        let share = |part: f64, whole: f64| {
            (part + self.regularization) / (whole + 2.0 * self.regularization)
        };
        let ones = share(category.sum(), all.sum());
        let zeros = share(
            category.count as f64 - category.sum(),
            all.count as f64 - all.sum(),
        );
        (ones / zeros).ln()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightOfEvidence {
    /// Is there a column for each class of the target?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    classes: bool,
    #[serde(default)]
    folds: Folds,
    #[serde(default = "one")]
    regularization: f64,
    #[serde(default)]
    seed: u64,
}

const fn one() -> f64 {
    1.0
}

impl Expression for WeightOfEvidence {
    const NAME: &'static str = "weight_of_evidence";
    const SUPERVISED: bool = true;
    type Fit = LearnTarget<Weight>;

    fn check(&self) -> Result<()> {
        self.folds.check()?;
        if self.regularization > 0.0 && self.regularization <= MOST {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "regularization {}: use a number above 0, up to {MOST}",
            self.regularization
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        let kind = if self.classes {
            Type::Columns
        } else {
            Type::Number
        };
        category(inputs).map(|()| kind)
    }

    fn fit(&self, inputs: &[Type]) -> Option<LearnTarget<Weight>> {
        let weight = Weight {
            regularization: self.regularization,
        };
        LearnTarget::new(inputs, self.classes, weight, self.folds, self.seed)
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
        format!("{input}_weight_of_evidence")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<WeightOfEvidence>(&[
    r#"{"op":"weight_of_evidence","classes":true,"input":{"op":"col","name":"k"}}"#,
    r#"{"op":"weight_of_evidence","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"weight_of_evidence","regularization":0.5,"folds":3,"input":{"op":"col","name":"n"}}"#,
]);
