//! A time as the clocks of a zone show it, for its parts. What follows computes with it as with a
//! time of UTC: the difference of two is one of clocks, not of instants. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;
use crate::zone::{NOWHERE, Zone, database};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InZone {
    zone: String,
    /// The version of the database of zones with which the expression was made: rules of countries
    /// change, and what was written says which ones it means.
    #[serde(default = "database")]
    database: String,
}

impl Expression for InZone {
    const NAME: &'static str = "in_zone";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        Zone::check(&self.zone)
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::Timestamp] => Ok(Type::Timestamp),
            [kind] => Err(takes("a timestamp", *kind)),
            _ => Err(Error::internal("in_zone has one input")),
        }
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let zone = Zone::new(&self.zone)?;
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            // Times of one table lie together: most are in the stretch of the one before.
            let (mut from, mut until, mut offset) = NOWHERE;
            for (out, &micros) in out.iter_mut().zip(inputs[0].numbers()) {
                let inside = from <= micros && micros < until;
                if !inside && !micros.is_nan() {
                    (from, until, offset) = zone.span(micros);
                }
                *out = micros + offset;
            }
        })))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<InZone>(&[
    r#"{"op":"dt","part":"hour","input":{"op":"in_zone","zone":"America/New_York","input":{"op":"col","name":"t"}}}"#,
    r#"{"op":"dt","part":"day","input":{"op":"in_zone","zone":"Asia/Kolkata","database":"2020a","input":{"op":"col","name":"u"}}}"#,
]);
