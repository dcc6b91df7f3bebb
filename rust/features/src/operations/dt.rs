//! Parts of a time, in UTC and the Gregorian calendar. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::calendar::{civil, day_of_year};
use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;

const MICROS_PER_SECOND: f64 = 1e6;
const MICROS_PER_DAY: f64 = 86_400.0 * MICROS_PER_SECOND;

/// A part of a time.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Year,
    /// 1 to 4.
    Quarter,
    /// 1 to 12.
    Month,
    /// Of the month, 1 to 31.
    Day,
    /// 1 to 366.
    DayOfYear,
    /// Monday is 0.
    Weekday,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// Whole seconds, 0 to 59.
    Second,
    /// Seconds since 1970, with their fraction.
    Epoch,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Day => "day",
            Self::DayOfYear => "day_of_year",
            Self::Weekday => "weekday",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Epoch => "epoch",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dt {
    part: Part,
}

/// A kernel of a part that the days since 1970 decide.
fn of_days(f: impl Fn(i64) -> f64 + Send + Sync + 'static) -> Kernel {
    Kernel::map(move |micros| {
        if micros.is_nan() {
            return f64::NAN;
        }
        f((micros / MICROS_PER_DAY).floor() as i64)
    })
}

/// A kernel of a part of the day: how many `unit`s have passed since the last multiple of `of`.
fn within(unit: f64, of: f64) -> Kernel {
    let units = of / unit;
    Kernel::map(move |micros| {
        let passed = (micros / unit).floor();
        passed - (passed / units).floor() * units
    })
}

impl Expression for Dt {
    const NAME: &'static str = "dt";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::Timestamp] => Ok(Type::Number),
            [kind] => Err(takes("a timestamp", *kind)),
            _ => Err(takes("one timestamp", Type::Columns)),
        }
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        const MINUTE: f64 = 60.0 * MICROS_PER_SECOND;
        const HOUR: f64 = 60.0 * MINUTE;
        Ok(match self.part {
            Part::Year => of_days(|days| civil(days).0 as f64),
            Part::Quarter => of_days(|days| f64::from((civil(days).1 - 1) / 3 + 1)),
            Part::Month => of_days(|days| f64::from(civil(days).1)),
            Part::Day => of_days(|days| f64::from(civil(days).2)),
            Part::DayOfYear => of_days(|days| f64::from(day_of_year(days))),
            // 1970 began on a Thursday.
            Part::Weekday => of_days(|days| (days + 3).rem_euclid(7) as f64),
            Part::Hour => within(HOUR, MICROS_PER_DAY),
            Part::Minute => within(MINUTE, HOUR),
            Part::Second => within(MICROS_PER_SECOND, MINUTE),
            Part::Epoch => Kernel::map(|micros| micros / MICROS_PER_SECOND),
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_{}", self.part.name())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Dt>(&[
    r#"{"op":"dt","part":"year","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"quarter","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"month","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"day","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"day_of_year","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"weekday","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"hour","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"minute","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"second","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"epoch","input":{"op":"col","name":"t"}}"#,
]);
