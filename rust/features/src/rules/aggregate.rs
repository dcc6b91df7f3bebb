//! One number of a whole table.

use tidegate_schema::{Column, Primitive, Result};
use tidegate_sketch::{Moments, Quantiles};

use super::distinct::Distinct;
use super::keys::row_keys;
use super::spec::Aggregate;
use crate::expression::sketch;
use crate::value::Values;

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// What is gathered for an aggregate.
pub(super) struct Tally {
    aggregate: Aggregate,
    at: f64,
    rows: u64,
    missing: u64,
    summary: Summary,
}

// There are as many as there are rules; their size does not matter.
#[allow(clippy::large_enum_variant)]
enum Summary {
    /// Counts are enough.
    Counts,
    Moments(Moments),
    Quantiles(Quantiles),
    Distinct {
        distinct: Distinct,
        keys: Vec<[u64; 2]>,
    },
}

/// What the end says.
pub(super) struct Computed {
    /// `None` where there is no value to compute it of.
    pub value: Option<f64>,
    pub missing: u64,
    pub exact: bool,
}

impl Aggregate {
    /// Whether a row of this value is to blame that the number lies beyond its bounds. Single rows
    /// are only where a least value is too small or a greatest one too large; `None` elsewhere.
    pub(super) fn to_blame(
        self,
        min: Option<f64>,
        max: Option<f64>,
    ) -> Option<impl Fn(f64) -> bool> {
        let (low, high) = match self {
            Self::Min => (min?, f64::INFINITY),
            Self::Max => (f64::NEG_INFINITY, max?),
            _ => return None,
        };
        Some(move |value| value < low || value > high)
    }
}

impl Tally {
    pub fn new(aggregate: Aggregate, at: Option<f64>, bytes: usize) -> Self {
        let summary = match aggregate {
            Aggregate::Rows | Aggregate::Count | Aggregate::MissingShare => Summary::Counts,
            Aggregate::Mean
            | Aggregate::Std
            | Aggregate::Sum
            | Aggregate::Min
            | Aggregate::Max
            | Aggregate::Age => Summary::Moments(Moments::new()),
            Aggregate::Median | Aggregate::Quantile => Summary::Quantiles(Quantiles::new()),
            Aggregate::Distinct => Summary::Distinct {
                distinct: Distinct::new(0, bytes),
                keys: Vec::new(),
            },
        };
        Self {
            aggregate,
            at: at.unwrap_or(0.5),
            rows: 0,
            missing: 0,
            summary,
        }
    }

    /// Takes in the values of some rows; none are needed where rows are counted.
    pub fn update(&mut self, rows: usize, values: Option<Values<'_>>) -> Result<()> {
        self.rows += rows as u64;
        let Some(values) = values else {
            return Ok(());
        };
        let missing = |row: usize| match &values {
            Values::Numbers(numbers) => numbers.get(row).is_none_or(|value| value.is_nan()),
            Values::Texts(texts) => texts.get(row).is_none(),
            Values::NumberLists(lists) => lists.range(row).is_none(),
            Values::TextLists(lists) => lists.range(row).is_none(),
        };
        self.missing += (0..rows).filter(|&row| missing(row)).count() as u64;
        match (&mut self.summary, values) {
            (Summary::Moments(moments), Values::Numbers(numbers)) => moments.update_many(numbers),
            (Summary::Quantiles(quantiles), Values::Numbers(numbers)) => {
                quantiles.update_many(numbers);
            }
            (Summary::Distinct { distinct, keys }, values) => {
                let column = match values {
                    Values::Numbers(numbers) => Column::Float64(Primitive::all(numbers)),
                    Values::Texts(texts) => Column::String(texts),
                    Values::NumberLists(lists) => Column::NumberList(lists),
                    Values::TextLists(lists) => Column::TextList(lists),
                };
                row_keys(&[column], rows, keys);
                let mut row = 0;
                keys.retain(|_| {
                    row += 1;
                    !missing(row - 1)
                });
                distinct.update(keys, |_| {})?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in what another has gathered from other rows.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.rows += other.rows;
        self.missing += other.missing;
        match (&mut self.summary, other.summary) {
            (Summary::Moments(left), Summary::Moments(right)) => left.merge(&right),
            (Summary::Quantiles(left), Summary::Quantiles(right)) => left.merge(&right),
            (Summary::Distinct { distinct: left, .. }, Summary::Distinct { distinct, .. }) => {
                left.merge(distinct)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The number. `now` is in seconds since 1970.
    pub fn finish(self, now: f64) -> Result<Computed> {
        let there = self.rows - self.missing;
        let mut exact = true;
        let value = match (self.aggregate, self.summary) {
            (Aggregate::Rows, _) => Some(self.rows as f64),
            (Aggregate::Count, _) => Some(there as f64),
            (Aggregate::MissingShare, _) => {
                (self.rows > 0).then(|| self.missing as f64 / self.rows as f64)
            }
            (aggregate, Summary::Moments(moments)) => match aggregate {
                Aggregate::Mean => moments.mean(),
                Aggregate::Std => moments.std(0),
                Aggregate::Sum => moments.mean().map(|mean| mean * moments.count() as f64),
                Aggregate::Min => moments.min(),
                Aggregate::Max => moments.max(),
                _ => moments.max().map(|latest| now - latest / MICROS),
            },
            (_, Summary::Quantiles(quantiles)) => {
                exact = quantiles.is_exact();
                quantiles.quantile(self.at).map_err(sketch)?
            }
            (_, Summary::Distinct { distinct, .. }) => Some(distinct.finish(0)?.distinct as f64),
            (_, Summary::Counts) => None,
        };
        Ok(Computed {
            value,
            missing: self.missing,
            exact,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(aggregate: Aggregate, at: Option<f64>, values: &[f64]) -> Option<f64> {
        let mut tally = Tally::new(aggregate, at, 1 << 20);
        tally
            .update(values.len(), Some(Values::Numbers(values)))
            .unwrap();
        let whole = tally.finish(10.0).unwrap().value;
        for cut in 0..=values.len() {
            let mut left = Tally::new(aggregate, at, 1 << 20);
            let mut right = Tally::new(aggregate, at, 1 << 20);
            left.update(cut, Some(Values::Numbers(&values[..cut])))
                .unwrap();
            right
                .update(values.len() - cut, Some(Values::Numbers(&values[cut..])))
                .unwrap();
            left.merge(right).unwrap();
            let merged = left.finish(10.0).unwrap().value;
            match (merged, whole) {
                (Some(merged), Some(whole)) => assert!((merged - whole).abs() < 1e-9),
                _ => assert_eq!(merged, whole),
            }
        }
        whole
    }

    #[test]
    fn numbers_are_those_of_the_values_that_are_there() {
        let values = [1.0, f64::NAN, 3.0, 3.0, 9.0];
        for (aggregate, at, expected) in [
            (Aggregate::Rows, None, 5.0),
            (Aggregate::Count, None, 4.0),
            (Aggregate::MissingShare, None, 0.2),
            (Aggregate::Distinct, None, 3.0),
            (Aggregate::Mean, None, 4.0),
            (Aggregate::Std, None, 3.0),
            (Aggregate::Sum, None, 16.0),
            (Aggregate::Min, None, 1.0),
            (Aggregate::Max, None, 9.0),
            (Aggregate::Median, None, 3.0),
            (Aggregate::Quantile, Some(1.0), 9.0),
            (Aggregate::Age, None, 10.0 - 9e-6),
        ] {
            let found = number(aggregate, at, &values).unwrap();
            assert!((found - expected).abs() < 1e-9, "{aggregate:?}: {found}");
        }
    }

    #[test]
    fn without_values_most_numbers_are_none() {
        for aggregate in [
            Aggregate::Mean,
            Aggregate::Max,
            Aggregate::Median,
            Aggregate::Age,
        ] {
            assert_eq!(number(aggregate, None, &[f64::NAN]), None, "{aggregate:?}");
            assert_eq!(number(aggregate, None, &[]), None, "{aggregate:?}");
        }
        assert_eq!(number(Aggregate::Distinct, None, &[f64::NAN]), Some(0.0));
        assert_eq!(number(Aggregate::MissingShare, None, &[]), None);
    }
}
