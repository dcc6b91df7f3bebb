//! Quantiles whose values, not ranks, are off by a bounded share: for latencies.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, document};

/// The accuracy of [`RelativeQuantiles::new`]: answers are off by at most 1 %.
pub const RELATIVE_ACCURACY: f64 = 0.01;
/// Cells on each side of zero that [`RelativeQuantiles::new`] keeps: enough at 1 % for numbers from
/// nanoseconds to years (16 kB when all are used).
pub const RELATIVE_CELLS: usize = 2048;
/// Most cells on a side.
pub const MAX_RELATIVE_CELLS: usize = 65_536;

/// Quantiles with a bounded *relative* error (`DDSketch`; Masson, Rim and Lee 2019).
///
/// A cell holds the values within a factor of `(1 + a) / (1 − a)` of each other, so that its middle is
/// within a share `a` of each of them: a p99 of 80 ms is between 79.2 and 80.8 ms, whatever lies
/// above. The logarithm is interpolated by a cubic in the mantissa, which costs 1 % more cells and gives
/// the same cells on every machine. Values nearer to zero than 2.2e-308 count as zero.
///
/// On each side of zero only the `limit` cells of greatest magnitude are kept, smaller ones are
/// gathered in the least of them; [`RelativeQuantiles::gathered`] says how many values lie there and
/// have lost the bound. Merging adds cells, so it is exact in any order and grouping.
///
/// NaN is missing and counted. −∞ and +∞ are counted apart and enter no quantile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct RelativeQuantiles {
    accuracy: f64,
    /// Cells for each unit of the interpolated binary logarithm.
    scale: f64,
    limit: usize,
    negative: Side,
    positive: Side,
    zero: u64,
    missing: u64,
    negative_infinite: u64,
    positive_infinite: u64,
    min: f64,
    max: f64,
}

/// Counts of consecutive cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    cells: Vec<u64>,
    /// The index of the first cell.
    first: i32,
    /// Values that were moved up into the least cell.
    gathered: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    accuracy: f64,
    limit: usize,
    max: Option<f64>,
    min: Option<f64>,
    missing: u64,
    negative: Side,
    negative_infinite: u64,
    positive: Side,
    positive_infinite: u64,
    version: u32,
    zero: u64,
}

/// Coefficients of the cubic: its slope in the logarithm is at least 1 / 0.7 everywhere.
const CUBIC: [f64; 3] = [6.0 / 35.0, -3.0 / 5.0, 10.0 / 7.0];
const STEEPEST: f64 = 0.7;

/// A rising stand-in for the binary logarithm of a normal positive number.
#[inline]
fn logarithm(value: f64) -> f64 {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let s = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000) - 1.0;
    exponent as f64 + s * (CUBIC[2] + s * (CUBIC[1] + s * CUBIC[0]))
}

/// The number whose [`logarithm`] this is.
fn power(logarithm: f64) -> f64 {
    let exponent = logarithm.floor();
    let due = logarithm - exponent;
    // The cubic rises, so halving finds its inverse to the last bit but one.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..54 {
        let s: f64 = f64::midpoint(low, high);
        if s * (CUBIC[2] + s * (CUBIC[1] + s * CUBIC[0])) < due {
            low = s;
        } else {
            high = s;
        }
    }
    (1.0 + high) * 2f64.powi(exponent as i32)
}

impl Side {
    #[inline]
    fn add(&mut self, index: i32, count: u64, limit: usize) {
        let at = i64::from(index) - i64::from(self.first);
        if at >= 0
            && let Some(cell) = self.cells.get_mut(at as usize)
        {
            *cell += count;
            return;
        }
        self.grow(index, count, limit);
    }

    /// Adds to a cell that is not there yet.
    fn grow(&mut self, index: i32, count: u64, limit: usize) {
        if self.cells.is_empty() {
            self.first = index;
            self.cells.push(count);
            return;
        }
        let last = self.first + self.cells.len() as i32 - 1;
        if index > last {
            let cells = self.cells.len() + (index - last) as usize;
            if cells > limit {
                self.gather(index - limit as i32 + 1);
            }
            self.cells.resize((index - self.first) as usize + 1, 0);
        } else if index < self.first {
            let least = last - limit as i32 + 1;
            if index < least {
                self.gathered += count;
            }
            let lowest = index.max(least);
            let new = (self.first - lowest) as usize;
            self.cells.splice(0..0, std::iter::repeat_n(0, new));
            self.first = lowest;
        }
        let at = index.max(self.first) - self.first;
        self.cells[at as usize] += count;
    }

    /// Moves everything below a cell into it.
    fn gather(&mut self, least: i32) {
        if least <= self.first {
            return;
        }
        let below = ((least - self.first) as usize).min(self.cells.len());
        let moved: u64 = self.cells.drain(..below).sum();
        // What the least cell so far had gathered moves with it and is counted once.
        self.gathered = moved;
        self.first = least;
        if self.cells.is_empty() {
            self.cells.push(0);
        }
        self.cells[0] += moved;
    }

    fn merge(&mut self, other: &Self, limit: usize) {
        // The greatest first, so that this side is cut once.
        for (at, &count) in other.cells.iter().enumerate().rev() {
            if count > 0 {
                self.add(other.first + at as i32, count, limit);
            }
        }
        // What lies in the least cell of the other is itself only known to lie below.
        let kept = self.first <= other.first;
        self.gathered += if kept { other.gathered } else { 0 };
    }

    fn count(&self) -> u64 {
        self.cells.iter().sum()
    }
}

impl Default for RelativeQuantiles {
    fn default() -> Self {
        Self::empty(RELATIVE_ACCURACY, RELATIVE_CELLS)
    }
}

impl RelativeQuantiles {
    /// The quantiles of nothing, at the usual accuracy and limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another accuracy, 0.0001 to 0.5, and another number of cells on each side of zero.
    pub fn with_accuracy(accuracy: f64, limit: usize) -> Result<Self> {
        if !(1e-4..=0.5).contains(&accuracy) || !(1..=MAX_RELATIVE_CELLS).contains(&limit) {
            return Err(Error::argument(format!(
                "an accuracy of {accuracy} with {limit} cells: use 0.0001 to 0.5 and 1 to {MAX_RELATIVE_CELLS}"
            )));
        }
        Ok(Self::empty(accuracy, limit))
    }

    fn empty(accuracy: f64, limit: usize) -> Self {
        // ln((1 + a) / (1 − a)) = 2 (a + a³/3 + a⁵/5 …), by operations that round alike everywhere.
        let (mut sum, mut term, mut odd) = (0.0, accuracy, 1.0);
        while term > 1e-18 {
            sum += term / odd;
            term *= accuracy * accuracy;
            odd += 2.0;
        }
        Self {
            accuracy,
            scale: STEEPEST / (2.0 * sum),
            limit,
            negative: Side::default(),
            positive: Side::default(),
            zero: 0,
            missing: 0,
            negative_infinite: 0,
            positive_infinite: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Takes in one value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        let size = value.abs();
        if (f64::MIN_POSITIVE..f64::INFINITY).contains(&size) {
            let index = (logarithm(size) * self.scale).floor() as i32;
            let side = if value > 0.0 {
                &mut self.positive
            } else {
                &mut self.negative
            };
            side.add(index, 1, self.limit);
        } else if size < f64::MIN_POSITIVE {
            self.zero += 1;
        } else if value.is_nan() {
            self.missing += 1;
            return;
        } else if value > 0.0 {
            self.positive_infinite += 1;
            return;
        } else {
            self.negative_infinite += 1;
            return;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Takes in many values.
    pub fn update_many(&mut self, values: &[f64]) {
        values.iter().for_each(|&value| self.update(value));
    }

    /// Takes in `count` missing values.
    pub fn update_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Takes in all that another of the same accuracy and limit has seen; exact in any order.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.accuracy.to_bits() != other.accuracy.to_bits() || self.limit != other.limit {
            return Err(Error::argument(format!(
                "quantiles of accuracy {} with {} cells do not merge with accuracy {} and {} cells: make both alike",
                self.accuracy, self.limit, other.accuracy, other.limit
            )));
        }
        self.negative.merge(&other.negative, self.limit);
        self.positive.merge(&other.positive, self.limit);
        self.zero += other.zero;
        self.missing += other.missing;
        self.negative_infinite += other.negative_infinite;
        self.positive_infinite += other.positive_infinite;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        Ok(())
    }

    /// Finite values seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.negative.count() + self.zero + self.positive.count()
    }

    /// Missing values seen.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Sightings of −∞ and of +∞.
    #[must_use]
    pub const fn infinite(&self) -> (u64, u64) {
        (self.negative_infinite, self.positive_infinite)
    }

    /// The bound on the relative error of an answer.
    #[must_use]
    pub const fn accuracy(&self) -> f64 {
        self.accuracy
    }

    /// Values too small beside the greatest to keep the bound, since cells are limited.
    #[must_use]
    pub const fn gathered(&self) -> u64 {
        self.negative.gathered + self.positive.gathered
    }

    /// The least finite value, always exact; `None` without any.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.min)
    }

    /// The greatest finite value, always exact; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.max)
    }

    /// The middle of a cell: off by the same share from both its ends.
    fn middle(&self, index: i32) -> f64 {
        let low = power(f64::from(index) / self.scale);
        let high = power((f64::from(index) + 1.0) / self.scale);
        2.0 / (1.0 / low + 1.0 / high)
    }

    /// The value below which a share `q` of the values lies; `None` without values.
    pub fn quantile(&self, q: f64) -> Result<Option<f64>> {
        Ok(self.quantiles(&[q])?.map(|values| values[0]))
    }

    /// For each share the value of rank `⌊q (n − 1)⌋` (`numpy.quantile` with `method="lower"`), off by at
    /// most the accuracy; `None` without values. Each share is within 0 and 1.
    pub fn quantiles(&self, shares: &[f64]) -> Result<Option<Vec<f64>>> {
        if let Some(q) = shares.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            return Err(Error::argument(format!(
                "quantile {q} is outside 0 to 1: give shares, not percentages"
            )));
        }
        let count = self.count();
        if count == 0 {
            return Ok(None);
        }
        Ok(Some(
            shares
                .iter()
                .map(|&q| self.at((q * (count - 1) as f64).floor() as u64))
                .collect(),
        ))
    }

    /// The value of a rank, counted from 0.
    fn at(&self, rank: u64) -> f64 {
        let mut before = 0;
        let mut reached = |count: u64| {
            before += count;
            before > rank
        };
        for (at, &count) in self.negative.cells.iter().enumerate().rev() {
            if reached(count) {
                let value = -self.middle(self.negative.first + at as i32);
                return value.clamp(self.min, self.max);
            }
        }
        if reached(self.zero) {
            return 0.0;
        }
        for (at, &count) in self.positive.cells.iter().enumerate() {
            if reached(count) {
                let value = self.middle(self.positive.first + at as i32);
                return value.clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`RelativeQuantiles::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("relative quantiles", text)
    }
}

impl From<RelativeQuantiles> for Document {
    fn from(quantiles: RelativeQuantiles) -> Self {
        Self {
            accuracy: quantiles.accuracy,
            limit: quantiles.limit,
            max: quantiles.max(),
            min: quantiles.min(),
            missing: quantiles.missing,
            negative: quantiles.negative,
            negative_infinite: quantiles.negative_infinite,
            positive: quantiles.positive,
            positive_infinite: quantiles.positive_infinite,
            version: document::VERSION,
            zero: quantiles.zero,
        }
    }
}

impl TryFrom<Document> for RelativeQuantiles {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("relative quantiles", document.version)?;
        let mut quantiles = Self::with_accuracy(document.accuracy, document.limit)?;
        let furthest = (1024.0 * quantiles.scale) as i32 + 1;
        let mut count = document.zero;
        for side in [&document.negative, &document.positive] {
            if side.cells.len() > document.limit
                || side.cells.first().is_some_and(|&cell| cell == 0)
                || side.cells.last().is_some_and(|&cell| cell == 0)
                || side.first.unsigned_abs() > furthest.unsigned_abs()
                || side.gathered > side.cells.first().copied().unwrap_or(0)
            {
                return Err(Error::state("relative quantiles with damaged cells"));
            }
            for &cell in &side.cells {
                count = count.checked_add(cell).ok_or_else(|| {
                    Error::state("relative quantiles whose counts overflow 64 bits")
                })?;
            }
        }
        match (document.min, document.max) {
            (Some(min), Some(max)) if count > 0 && min <= max => {
                (quantiles.min, quantiles.max) = (min, max);
            }
            (None, None) if count == 0 => {}
            _ => {
                return Err(Error::state(
                    "relative quantiles whose range contradicts their counts",
                ));
            }
        }
        quantiles.negative = document.negative;
        quantiles.positive = document.positive;
        quantiles.zero = document.zero;
        quantiles.missing = document.missing;
        quantiles.negative_infinite = document.negative_infinite;
        quantiles.positive_infinite = document.positive_infinite;
        Ok(quantiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = f64> {
        (any::<bool>(), -20.0..20.0f64).prop_map(|(sign, exponent)| {
            let size = 10f64.powf(exponent);
            if sign { size } else { -size }
        })
    }

    #[test]
    fn the_logarithm_rises_and_turns_back() {
        let mut last = f64::NEG_INFINITY;
        for i in -4000..4000 {
            let value = 1.17f64.powi(i);
            if !value.is_normal() {
                continue;
            }
            let found = logarithm(value);
            assert!(found > last);
            last = found;
            let back = power(found);
            assert!((back / value - 1.0).abs() < 1e-12, "{value} {back}");
        }
    }

    proptest! {
        #[test]
        fn answers_are_within_the_accuracy(
            values in prop::collection::vec(prop_oneof![9 => number(), 1 => Just(0.0)], 1..400),
            accuracy in 0.001..0.3f64,
        ) {
            let mut sketch = RelativeQuantiles::with_accuracy(accuracy, MAX_RELATIVE_CELLS).unwrap();
            sketch.update_many(&values);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            for i in 0..=20 {
                let q = f64::from(i) / 20.0;
                let due = sorted[(q * (sorted.len() - 1) as f64).floor() as usize];
                let found = sketch.quantile(q).unwrap().unwrap();
                prop_assert!((found - due).abs() <= accuracy * due.abs() * (1.0 + 1e-9), "{} {} {}", q, due, found);
            }
            prop_assert_eq!(sketch.gathered(), 0);
        }

        #[test]
        fn what_is_gathered_loses_the_bound_and_nothing_else(
            values in prop::collection::vec(number(), 1..300),
            limit in 1usize..200,
        ) {
            let mut sketch = RelativeQuantiles::with_accuracy(0.02, limit).unwrap();
            sketch.update_many(&values);
            prop_assert_eq!(sketch.count(), values.len() as u64);
            prop_assert!(sketch.negative.cells.len() <= limit && sketch.positive.cells.len() <= limit);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (below, all) = (sketch.negative.count(), sorted.len() as u64);
            // Ranks of the cells around zero, where small magnitudes are gathered.
            let unsure = below - sketch.negative.gathered..below + sketch.positive.gathered;
            for rank in (0..all).filter(|rank| !unsure.contains(rank)) {
                let (due, found) = (sorted[rank as usize], sketch.at(rank));
                prop_assert!((found - due).abs() <= 0.02 * due.abs() * (1.0 + 1e-9), "{} {}", due, found);
            }
        }
    }

    #[test]
    fn extremes_have_cells() {
        let mut sketch = RelativeQuantiles::new();
        let values = [
            f64::MAX,
            -f64::MAX,
            f64::MIN_POSITIVE,
            1e-320,
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        sketch.update_many(&values);
        assert_eq!((sketch.count(), sketch.missing()), (6, 1));
        assert_eq!(sketch.infinite(), (1, 1));
        for q in [0.0, 1.0] {
            let found = sketch.quantile(q).unwrap().unwrap();
            assert!((found.abs() / f64::MAX - 1.0).abs() <= 0.01, "{found}");
        }
        assert_eq!(RelativeQuantiles::new().quantile(0.5).unwrap(), None);
        assert!(sketch.quantile(2.0).is_err());
        assert!(RelativeQuantiles::with_accuracy(0.0, 10).is_err());
        assert!(RelativeQuantiles::with_accuracy(0.01, 0).is_err());
        let other = RelativeQuantiles::with_accuracy(0.02, RELATIVE_CELLS).unwrap();
        assert!(sketch.merge(&other).is_err());
    }

    #[test]
    fn damaged_state_is_refused() {
        let mut sketch = RelativeQuantiles::new();
        sketch.update_many(&[1.0, 2.0]);
        let good = sketch.to_json();
        assert_eq!(RelativeQuantiles::from_json(&good).unwrap(), sketch);
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"accuracy\":0.01", "\"accuracy\":0"),
            ("\"limit\":2048", "\"limit\":2"),
            ("\"max\":2.0", "\"max\":null"),
            ("\"first\":0", "\"first\":-2147483648"),
        ] {
            assert!(good.contains(from), "{good}");
            assert!(
                RelativeQuantiles::from_json(&good.replace(from, to)).is_err(),
                "{to}"
            );
        }
    }
}
