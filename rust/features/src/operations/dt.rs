//! Parts of a time, in UTC and the Gregorian calendar. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::calendar::{civil, day_of_year, days_in_month, iso_week, leap, weekday};
use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::{Type, floor};

const MICROS_PER_SECOND: f64 = 1e6;
pub(super) const MICROS_PER_DAY: f64 = 86_400.0 * MICROS_PER_SECOND;

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
    /// Of ISO 8601, 1 to 53.
    Week,
    /// The year that the week of ISO 8601 belongs to.
    IsoYear,
    /// 28 to 31.
    DaysInMonth,
    /// Whole milliseconds of the second, 0 to 999.
    Millisecond,
    /// Microseconds of the second, 0 to 999,999.
    Microsecond,
    /// Saturday or Sunday?
    IsWeekend,
    /// The first day of a month?
    IsMonthStart,
    /// The last day of a month?
    IsMonthEnd,
    /// A year with a 29th of February?
    IsLeapYear,
}

impl Part {
    /// Is the answer yes or no?
    const fn is_question(self) -> bool {
        matches!(
            self,
            Self::IsWeekend | Self::IsMonthStart | Self::IsMonthEnd | Self::IsLeapYear
        )
    }

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
            Self::Week => "week",
            Self::IsoYear => "iso_year",
            Self::DaysInMonth => "days_in_month",
            Self::Millisecond => "millisecond",
            Self::Microsecond => "microsecond",
            Self::IsWeekend => "is_weekend",
            Self::IsMonthStart => "is_month_start",
            Self::IsMonthEnd => "is_month_end",
            Self::IsLeapYear => "is_leap_year",
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
        f(floor(micros / MICROS_PER_DAY) as i64)
    })
}

/// A kernel of a part of the day: how many `unit`s have passed since the last multiple of `of`.
fn within(unit: f64, of: f64) -> Kernel {
    let units = of / unit;
    Kernel::map(move |micros| {
        let passed = floor(micros / unit);
        passed - floor(passed / units) * units
    })
}

impl Expression for Dt {
    const NAME: &'static str = "dt";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::Timestamp] if self.part.is_question() => Ok(Type::Bool),
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
            Part::Weekday => of_days(|days| weekday(days) as f64),
            Part::Week => of_days(|days| f64::from(iso_week(days).1)),
            Part::IsoYear => of_days(|days| iso_week(days).0 as f64),
            Part::DaysInMonth => of_days(|days| {
                let (year, month, _) = civil(days);
                f64::from(days_in_month(year, month))
            }),
            Part::IsWeekend => of_days(|days| f64::from(weekday(days) >= 5)),
            Part::IsMonthStart => of_days(|days| f64::from(civil(days).2 == 1)),
            Part::IsMonthEnd => of_days(|days| {
                let (year, month, day) = civil(days);
                f64::from(day == days_in_month(year, month))
            }),
            Part::IsLeapYear => of_days(|days| f64::from(leap(civil(days).0))),
            Part::Millisecond => within(1e3, MICROS_PER_SECOND),
            Part::Microsecond => within(1.0, MICROS_PER_SECOND),
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
    r#"{"op":"dt","part":"week","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"iso_year","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"days_in_month","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"millisecond","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"microsecond","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"is_weekend","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"is_month_start","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"is_month_end","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"is_leap_year","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"dt","part":"weekday","input":{"op":"col","name":"d"}}"#,
    r#"{"op":"sub","left":{"op":"col","name":"t"},"right":{"op":"col","name":"d"}}"#,
    r#"{"op":"clip","low":0,"input":{"op":"col","name":"e"}}"#,
]);
