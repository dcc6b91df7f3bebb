//! A calendar of one's own: is a time on one of its days, and how many days is it to the next?
//! Missing in, missing out; after the last day there is no next one, which is missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::dt::MICROS_PER_DAY;
use crate::calendar::parse;
use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::{Type, floor};

/// Most days of a calendar.
const MAX_DATES: usize = 100_000;

/// Days as texts, `2013-12-25`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Dates(Vec<String>);

impl Dates {
    fn check(&self) -> Result<()> {
        if self.0.is_empty() || self.0.len() > MAX_DATES {
            return Err(Error::invalid(format!(
                "{} dates: give 1 to {MAX_DATES}",
                self.0.len()
            )));
        }
        self.days().map(|_| ())
    }

    /// Days since 1970, rising.
    fn days(&self) -> Result<Vec<i64>> {
        let day = |text: &String| {
            parse(text).ok_or_else(|| {
                Error::invalid(format!("{text:?} is no date: write it as \"2013-12-25\""))
            })
        };
        let mut days: Vec<i64> = self.0.iter().map(day).collect::<Result<_>>()?;
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }
}

fn of_timestamp(inputs: &[Type], kind: Type) -> Result<Type> {
    match inputs {
        [Type::Timestamp] => Ok(kind),
        [found] => Err(takes("a timestamp", *found)),
        _ => Err(Error::internal("a calendar takes one input")),
    }
}

/// A kernel of the days from a time to the next day of a calendar.
fn to_next(days: Vec<i64>, result: impl Fn(Option<i64>) -> f64 + Send + Sync + 'static) -> Kernel {
    Kernel::map(move |micros| {
        if micros.is_nan() {
            return micros;
        }
        let day = floor(micros / MICROS_PER_DAY) as i64;
        let next = days.get(days.partition_point(|known| *known < day));
        result(next.map(|next| next - day))
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IsHoliday {
    dates: Dates,
}

impl Expression for IsHoliday {
    const NAME: &'static str = "is_holiday";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        self.dates.check()
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        of_timestamp(inputs, Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let days = self.dates.days()?;
        Ok(to_next(days, |next| f64::from(next == Some(0))))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_is_holiday", inputs.first().copied().unwrap_or_default())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DaysToHoliday {
    dates: Dates,
}

impl Expression for DaysToHoliday {
    const NAME: &'static str = "days_to_holiday";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        self.dates.check()
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        of_timestamp(inputs, Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let days = self.dates.days()?;
        Ok(to_next(days, |next| {
            next.map_or(f64::NAN, |days| days as f64)
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_days_to_holiday")
    }
}

pub(super) const IS_HOLIDAY: Entry = Entry::of::<IsHoliday>(&[
    r#"{"op":"is_holiday","dates":["2013-12-25","1970-01-01"],"input":{"op":"col","name":"t"}}"#,
]);
pub(super) const DAYS_TO_HOLIDAY: Entry = Entry::of::<DaysToHoliday>(&[
    r#"{"op":"days_to_holiday","dates":["2013-12-25","1970-01-01","2200-02-28"],"input":{"op":"in_zone","zone":"Europe/Berlin","input":{"op":"col","name":"t"}}}"#,
]);
