//! A number on a circle: sine and cosine of its share of a period, so that hour 23 lies beside
//! hour 0. Two columns; missing in, both missing.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Nothing, number};
use crate::kernel::Kernel;
use crate::value::Type;

/// Whole numbers in whole periods up to this are looked up, not computed.
const TABLE_LIMIT: f64 = 4096.0;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cyclical {
    period: f64,
}

/// Sine and cosine of a number that lies within the period.
fn point(value: f64, period: f64) -> (f64, f64) {
    let (sin, cos) = (value / period * TAU).sin_cos();
    (sin, cos)
}

impl Expression for Cyclical {
    const NAME: &'static str = "cyclical";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        if self.period > 0.0 && self.period.is_finite() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "period {} is not above 0: give the length of a turn, as 24 for hours",
            self.period
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Columns)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let period = self.period;
        let whole = period.fract() == 0.0 && period <= TABLE_LIMIT;
        let table: Box<[(f64, f64)]> = if whole {
            (0..period as u32)
                .map(|value| point(f64::from(value), period))
                .collect()
        } else {
            Box::default()
        };
        Ok(Kernel::Columns {
            count: 2,
            run: Box::new(move |inputs, mut columns| {
                for (row, &value) in inputs[0].numbers().iter().enumerate() {
                    let turned = value.rem_euclid(period);
                    let (sin, cos) = match table.get(turned as usize) {
                        Some(known) if turned.fract() == 0.0 => *known,
                        _ => point(turned, period),
                    };
                    columns.set(row, 0, sin);
                    columns.set(row, 1, cos);
                }
            }),
        })
    }

    fn suffixes(&self, (): &()) -> Vec<String> {
        vec!["_sin".to_owned(), "_cos".to_owned()]
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Cyclical>(&[
    r#"{"op":"cyclical","period":24,"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"cyclical","period":2.5,"input":{"op":"col","name":"x"}}"#,
]);
