//! The weight of evidence of a category for a target of 0 and 1: the logarithm of its share of the
//! ones over its share of the zeros, each count made `regularization` larger so that none is empty
//! (as category_encoders' `WOEEncoder`). Unseen categories weigh 0. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::category;
use super::sums::Stat;
use super::target::{Encode, Encoded, Folds, Learn};
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::Type;

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
    type Fit = Learn<Weight>;

    fn check(&self) -> Result<()> {
        self.folds.check()?;
        if self.regularization.is_finite() && self.regularization > 0.0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "regularization {}: use a number above 0",
            self.regularization
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Number)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Learn<Weight>> {
        let weight = Weight {
            regularization: self.regularization,
        };
        let kind = inputs.first().copied()?;
        Some(Learn::new(kind, weight, self.folds, self.seed))
    }

    fn kernel(&self, state: Encoded, inputs: &[Type]) -> Result<Kernel> {
        state.kernel(inputs.first().copied().unwrap_or(Type::Text))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_weight_of_evidence")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<WeightOfEvidence>(&[
    r#"{"op":"weight_of_evidence","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"weight_of_evidence","regularization":0.5,"folds":3,"input":{"op":"col","name":"n"}}"#,
]);
