//! The bucket of a value's text: `abs(h) % buckets` of `MurmurHash3` (x86, 32 bits, seed 0), which is
//! the column that scikit-learn's `FeatureHasher(input_type="string")` would use. Numbers are
//! hashed by their shortest text, bools as `true` and `false`. Missing in, missing out; there are
//! no unseen categories, only collisions.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::category;
use crate::expression::{Entry, Expression, Nothing};
use crate::kernel::Kernel;
use crate::murmur::bucket;
use crate::value::{Type, write_key};

/// Most buckets: every bucket below is exact as a 32-bit float.
const MAX_BUCKETS: u32 = 1 << 24;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    buckets: u32,
}

impl Expression for Hash {
    const NAME: &'static str = "hash";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        if (1..=MAX_BUCKETS).contains(&self.buckets) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} buckets: use 1 to {MAX_BUCKETS}",
            self.buckets
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        let buckets = self.buckets;
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        if kind == Type::Text {
            return Ok(Kernel::read(move |text| {
                text.map_or(f64::NAN, |text| f64::from(bucket(text, buckets)))
            }));
        }
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            let mut key = String::with_capacity(24);
            for (out, &value) in out.iter_mut().zip(inputs[0].numbers()) {
                key.clear();
                *out = if write_key(kind, value, &mut key) {
                    f64::from(bucket(&key, buckets))
                } else {
                    f64::NAN
                };
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_hash", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Hash>(&[
    r#"{"op":"hash","buckets":32,"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"hash","buckets":5,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"hash","buckets":5,"input":{"op":"col","name":"b"}}"#,
    r#"{"op":"hash","buckets":1024,"input":{"op":"cross","left":{"op":"col","name":"s"},"right":{"op":"col","name":"k"}}}"#,
]);
