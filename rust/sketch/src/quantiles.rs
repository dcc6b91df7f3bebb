//! Order statistics: exact while every value is kept, then with a bound on the rank that is
//! proven, not probable.

use serde::{Deserialize, Serialize};

use crate::order::{interpolate, select};
use crate::{Error, Result, document};

/// Values kept as they are (8 MB). Up to here quantiles are exact.
pub const EXACT_LIMIT: usize = 1_000_000;
/// Values a level holds once values are thinned; the error is inverse to it.
pub const LEVEL_LIMIT: usize = 32_768;
/// Up to so many quantiles are sought one by one, instead of sorting all values.
const SELECTED: usize = 8;
/// Values looked at before they are copied: they stay in the first cache.
const PART: usize = 1024;
/// Levels double their weight, so 64-bit counts cannot need more.
const MAX_LEVELS: usize = 48;

/// Quantiles of a stream of floats.
///
/// Up to [`EXACT_LIMIT`] values are kept and quantiles are those of `numpy.quantile` (linear
/// interpolation); merging is then exact in any order. Beyond, values are thinned as in MRL and
/// KLL sketches (Manku, Rajagopalan, Lindsay 1998; Karnin, Lang, Liberty 2016): a full level is
/// sorted, every other value moves up and counts twice. Which of the two survives alternates
/// instead of being drawn, so results repeat, and the error is counted instead of estimated:
/// thinning a level of weight *w* moves no rank by more than *w*, so ranks are off by at most
/// [`Quantiles::rank_error`] of all values, below 0.05 % for 10⁹ values in one stream.
///
/// NaN is missing and counted. −∞ and +∞ are counted apart and enter no quantile.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Quantiles {
    /// Values of level `i` count `2^i` times.
    levels: Vec<Vec<f64>>,
    /// Which of each pair survives the next thinning of a level.
    odd: Vec<bool>,
    count: u64,
    missing: u64,
    negative_infinite: u64,
    positive_infinite: u64,
    /// The most that any rank can be off.
    error: u64,
    min: f64,
    max: f64,
    exact_limit: usize,
    level_limit: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    error: u64,
    exact_limit: usize,
    level_limit: usize,
    levels: Vec<Vec<f64>>,
    max: Option<f64>,
    min: Option<f64>,
    missing: u64,
    negative_infinite: u64,
    odd: Vec<bool>,
    positive_infinite: u64,
    version: u32,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self::new()
    }
}

impl Quantiles {
    /// The quantiles of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            levels: vec![Vec::new()],
            odd: vec![false],
            count: 0,
            missing: 0,
            negative_infinite: 0,
            positive_infinite: 0,
            error: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            exact_limit: EXACT_LIMIT,
            level_limit: LEVEL_LIMIT,
        }
    }

    /// Smaller bounds, for less memory: exact up to `exact_limit` values, then levels of
    /// `level_limit` (at least 8, at most `exact_limit`).
    pub fn with_limits(exact_limit: usize, level_limit: usize) -> Result<Self> {
        if exact_limit > EXACT_LIMIT || level_limit < 8 || level_limit > exact_limit {
            return Err(Error::argument(format!(
                "limits of {exact_limit} exact values and {level_limit} a level: use 8 ≤ level ≤ exact ≤ {EXACT_LIMIT}"
            )));
        }
        Ok(Self {
            exact_limit,
            level_limit,
            ..Self::new()
        })
    }

    /// Takes in one value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if !value.is_finite() {
            if value.is_nan() {
                self.missing += 1;
            } else if value > 0.0 {
                self.positive_infinite += 1;
            } else {
                self.negative_infinite += 1;
            }
            return;
        }
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let full = if self.is_exact() {
            self.exact_limit
        } else {
            self.level_limit
        };
        if let Some(level) = self.levels.first_mut() {
            level.push(value);
            if level.len() > full {
                self.thin();
            }
        }
    }

    /// Takes in many values, several times as fast as one by one: finite ones are copied as far as
    /// a level has room.
    pub fn update_many(&mut self, values: &[f64]) {
        let mut rest = values;
        while !rest.is_empty() {
            let full = if self.is_exact() {
                self.exact_limit
            } else {
                self.level_limit
            };
            let kept = self.levels.first().map_or(0, Vec::len);
            // A level is thinned when it holds one more than fits.
            let room = (full + 1).saturating_sub(kept).clamp(1, PART);
            let (part, later) = rest.split_at(room.min(rest.len()));
            rest = later;
            let (mut min, mut max, mut finite) = (self.min, self.max, true);
            for &value in part {
                finite &= value.is_finite();
                min = if value < min { value } else { min };
                max = if value > max { value } else { max };
            }
            let Some(level) = self.levels.first_mut().filter(|_| finite) else {
                part.iter().for_each(|&value| self.update(value));
                continue;
            };
            level.extend_from_slice(part);
            let over = level.len() > full;
            (self.min, self.max) = (min, max);
            self.count += part.len() as u64;
            if over {
                self.thin();
            }
        }
    }

    /// Takes in `count` missing values.
    pub fn update_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Takes in all that another has seen; exact while both are and the sum fits.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.missing += other.missing;
        self.negative_infinite += other.negative_infinite;
        self.positive_infinite += other.positive_infinite;
        self.error += other.error;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        for (height, values) in other.levels.iter().enumerate() {
            self.level(height).extend_from_slice(values);
        }
        let kept = self.levels.first().map_or(0, Vec::len);
        if !self.is_exact() || kept > self.exact_limit {
            self.thin();
        }
    }

    /// The level at a height, made when it is not there.
    fn level(&mut self, height: usize) -> &mut Vec<f64> {
        while self.levels.len() <= height {
            self.levels.push(Vec::new());
            self.odd.push(false);
        }
        &mut self.levels[height]
    }

    /// Halves every level that is over its bound, from the bottom up.
    fn thin(&mut self) {
        let mut height = 0;
        while height < self.levels.len() {
            if self.levels[height].len() > self.level_limit {
                let mut values = std::mem::take(&mut self.levels[height]);
                if height == 0 {
                    values.sort_unstable_by(f64::total_cmp);
                } else {
                    // What came up from below lies in sorted runs, which this sort finds and joins.
                    values.sort_by(f64::total_cmp);
                }
                if values.len() % 2 == 1 {
                    self.levels[height].extend(values.pop());
                }
                let first = usize::from(self.odd[height]);
                self.odd[height] = !self.odd[height];
                self.error += 1 << height.min(MAX_LEVELS);
                let above = self.level(height + 1);
                above.extend(values.iter().skip(first).step_by(2));
            }
            height += 1;
        }
    }

    /// Is every value kept?
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.levels.len() == 1
    }

    /// Finite values seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
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

    /// The least finite value, always exact; `None` without any.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest finite value, always exact; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// The most that the rank of a quantile can be off, as a share of the count; 0 while exact.
    #[must_use]
    pub fn rank_error(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.error as f64 / self.count as f64
    }

    /// The kept values in rising order with their weights, whose sum is the count.
    #[must_use]
    pub fn kept(&self) -> Vec<(f64, u64)> {
        let mut kept: Vec<(f64, u64)> = self
            .levels
            .iter()
            .enumerate()
            .flat_map(|(height, values)| values.iter().map(move |&x| (x, 1u64 << height)))
            .collect();
        kept.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        kept
    }

    /// The quantiles of the same values after a function that never falls; ranks stay as they are.
    pub fn mapped(&self, rising: impl Fn(f64) -> f64) -> Result<Self> {
        let mut mapped = self.clone();
        for value in mapped.levels.iter_mut().flatten() {
            *value = rising(*value);
            if !value.is_finite() {
                return Err(Error::argument(
                    "a mapped value is not finite: use a function that keeps values finite",
                ));
            }
        }
        if self.count > 0 {
            (mapped.min, mapped.max) = (rising(self.min), rising(self.max));
        }
        Ok(mapped)
    }

    /// The value below which a share `q` of the values lies; `None` without values.
    pub fn quantile(&self, q: f64) -> Result<Option<f64>> {
        Ok(self.quantiles(&[q])?.map(|values| values[0]))
    }

    /// Many quantiles for one sort; `None` without values. Each share is within 0 and 1.
    pub fn quantiles(&self, shares: &[f64]) -> Result<Option<Vec<f64>>> {
        if let Some(q) = shares.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            return Err(Error::argument(format!(
                "quantile {q} is outside 0 to 1: give shares, not percentages"
            )));
        }
        if self.count == 0 {
            return Ok(None);
        }
        if let [level] = self.levels.as_slice() {
            let mut values = level.clone();
            if shares.len() <= SELECTED {
                select(&mut values, shares);
            } else {
                values.sort_unstable_by(f64::total_cmp);
            }
            return Ok(Some(
                shares.iter().map(|&q| interpolate(&values, q)).collect(),
            ));
        }
        let kept = self.kept();
        let mut ends = Vec::with_capacity(kept.len());
        let mut end = 0;
        for (_, weight) in &kept {
            end += weight;
            ends.push(end);
        }
        let at = |q: f64| {
            if q == 0.0 {
                return self.min;
            }
            if q == 1.0 {
                return self.max;
            }
            let rank = q * (self.count - 1) as f64;
            let place = ends.partition_point(|&end| end as f64 <= rank);
            kept.get(place).map_or(self.max, |pair| pair.0)
        };
        Ok(Some(shares.iter().map(|&q| at(q)).collect()))
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Quantiles::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("quantiles", text)
    }
}

impl PartialEq for Quantiles {
    /// Equal when the same values are kept, in whatever order they came.
    fn eq(&self, other: &Self) -> bool {
        self.kept() == other.kept()
            && (self.count, self.missing, self.error) == (other.count, other.missing, other.error)
            && self.infinite() == other.infinite()
    }
}

impl From<Quantiles> for Document {
    fn from(mut quantiles: Quantiles) -> Self {
        for level in &mut quantiles.levels {
            level.sort_unstable_by(f64::total_cmp);
        }
        Self {
            error: quantiles.error,
            exact_limit: quantiles.exact_limit,
            level_limit: quantiles.level_limit,
            max: quantiles.max(),
            min: quantiles.min(),
            levels: quantiles.levels,
            missing: quantiles.missing,
            negative_infinite: quantiles.negative_infinite,
            odd: quantiles.odd,
            positive_infinite: quantiles.positive_infinite,
            version: document::VERSION,
        }
    }
}

impl TryFrom<Document> for Quantiles {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("quantiles", document.version)?;
        let mut quantiles = Self::with_limits(document.exact_limit, document.level_limit)?;
        let heights = document.levels.len();
        if heights == 0 || heights > MAX_LEVELS || heights != document.odd.len() {
            return Err(Error::state(format!("quantiles with {heights} levels")));
        }
        let full = if heights == 1 {
            document.exact_limit
        } else {
            document.level_limit
        };
        let mut count = 0u64;
        for (height, values) in document.levels.iter().enumerate() {
            if values.len() > full || values.iter().any(|x| !x.is_finite()) {
                return Err(Error::state(format!(
                    "level {height} of quantiles is damaged"
                )));
            }
            count += (values.len() as u64) << height;
        }
        match (document.min, document.max) {
            (Some(min), Some(max)) if count > 0 && min <= max => {
                (quantiles.min, quantiles.max) = (min, max);
            }
            (None, None) if count == 0 => {}
            _ => {
                return Err(Error::state(
                    "quantiles whose range contradicts their values",
                ));
            }
        }
        quantiles.levels = document.levels;
        quantiles.odd = document.odd;
        quantiles.count = count;
        quantiles.missing = document.missing;
        quantiles.negative_infinite = document.negative_infinite;
        quantiles.positive_infinite = document.positive_infinite;
        quantiles.error = document.error;
        Ok(quantiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_at_once_are_as_one_by_one() {
        let mut values: Vec<f64> = (0..3000).map(|i| f64::from(i * 7919 % 1009)).collect();
        for (at, value) in [(5, f64::NAN), (6, f64::INFINITY), (2500, f64::NEG_INFINITY)] {
            values[at] = value;
        }
        for limits in [(5000, 100), (2048, 100), (1500, 64)] {
            let mut one_by_one = Quantiles::with_limits(limits.0, limits.1).unwrap();
            values.iter().for_each(|&value| one_by_one.update(value));
            let mut many = Quantiles::with_limits(limits.0, limits.1).unwrap();
            values.chunks(512).for_each(|chunk| many.update_many(chunk));
            assert_eq!(many, one_by_one);
            assert_eq!(
                (many.min(), many.max()),
                (one_by_one.min(), one_by_one.max())
            );
            assert_eq!(many.missing(), 1);
        }
    }

    fn of(values: &[f64], limits: (usize, usize)) -> Quantiles {
        let mut quantiles = Quantiles::with_limits(limits.0, limits.1).unwrap();
        quantiles.update_many(values);
        quantiles
    }

    /// A full cycle of a linear congruence: each of `0..n` once, well mixed (`n` a power of two).
    fn mixed(n: u32) -> Vec<f64> {
        let mut x = 12_345u32;
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % n;
                f64::from(x)
            })
            .collect()
    }

    /// How far the rank of an answer lies from the rank asked for, as a share.
    fn off(sorted: &[f64], answer: f64, q: f64) -> f64 {
        let n = sorted.len() as f64;
        let low = sorted.partition_point(|&x| x < answer) as f64 / n;
        let high = sorted.partition_point(|&x| x <= answer) as f64 / n;
        (low - q).max(q - high).max(0.0)
    }

    #[test]
    fn exact_quantiles_are_numpys() {
        // numpy.quantile([7, 1, 3.5, 2], [0, 0.1, 0.25, 0.5, 0.9, 1])
        let quantiles = of(&[7.0, 1.0, 3.5, 2.0, f64::NAN, f64::INFINITY], (1000, 8));
        let found = quantiles
            .quantiles(&[0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
            .unwrap()
            .unwrap();
        let due = [1.0, 1.3, 1.75, 2.75, 5.95, 7.0];
        for (a, b) in found.iter().zip(due) {
            assert!((a - b).abs() < 1e-15, "{a} {b}");
        }
        assert_eq!((quantiles.missing(), quantiles.infinite()), (1, (0, 1)));
        assert!(quantiles.quantile(1.5).is_err());
        assert!(quantiles.quantile(f64::NAN).is_err());
        assert_eq!(Quantiles::new().quantile(0.5).unwrap(), None);
    }

    proptest! {
        #[test]
        fn merged_pieces_equal_the_whole(values in prop::collection::vec(-9.0..9.0f64, 0..300), cut in 0.0..1.0f64) {
            let cut = (values.len() as f64 * cut) as usize;
            let whole = of(&values, (1000, 8));
            let (left, right) = (of(&values[..cut], (1000, 8)), of(&values[cut..], (1000, 8)));
            for (a, b) in [(&left, &right), (&right, &left)] {
                let mut merged = a.clone();
                merged.merge(b);
                prop_assert_eq!(&merged, &whole);
                prop_assert_eq!(merged.to_json(), whole.to_json());
            }
            prop_assert_eq!(&Quantiles::from_json(&whole.to_json()).unwrap(), &whole);
        }

        #[test]
        fn thinned_ranks_stay_within_the_bound(
            values in prop::collection::vec(prop_oneof![-9.0..9.0f64, Just(1.0)], 1..4000),
            cut in 0.0..1.0f64,
            merge in any::<bool>(),
        ) {
            let cut = (values.len() as f64 * cut) as usize;
            let mut sketch = of(&values[..cut], (64, 32));
            if merge {
                sketch.merge(&of(&values[cut..], (64, 32)));
            } else {
                sketch.update_many(&values[cut..]);
            }
            prop_assert_eq!(sketch.count(), values.len() as u64);
            prop_assert_eq!(sketch.kept().iter().map(|pair| pair.1).sum::<u64>(), sketch.count());
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let bound = sketch.rank_error() + 1.0 / values.len() as f64 + 1e-12;
            for i in 0..=20 {
                let q = f64::from(i) / 20.0;
                let answer = sketch.quantile(q).unwrap().unwrap();
                prop_assert!(off(&sorted, answer, q) <= bound, "{} {} {}", q, answer, bound);
            }
            let again = Quantiles::from_json(&sketch.to_json()).unwrap();
            prop_assert_eq!(again.to_json(), sketch.to_json());
        }
    }

    #[test]
    fn above_the_limit_the_error_is_small_and_stated() {
        let values = mixed(1 << 22);
        let mut sketch = Quantiles::new();
        sketch.update_many(&values);
        assert!(!sketch.is_exact());
        assert!(sketch.rank_error() < 5e-4, "{}", sketch.rank_error());
        assert!(sketch.kept().len() < 10 * LEVEL_LIMIT);
        for i in 1..100 {
            let q = f64::from(i) / 100.0;
            let rank = sketch.quantile(q).unwrap().unwrap() / values.len() as f64;
            assert!((rank - q).abs() <= sketch.rank_error() + 1e-6, "{q} {rank}");
        }
        let half: Vec<f64> = values[..900_000].to_vec();
        let exact = of(&half, (EXACT_LIMIT, LEVEL_LIMIT));
        assert!(exact.is_exact() && exact.rank_error() == 0.0);
    }

    #[test]
    fn damaged_state_is_refused() {
        let good = of(&[1.0, 2.0], (100, 8)).to_json();
        assert!(Quantiles::from_json(&good).is_ok());
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("[1.0,2.0]", "[1.0,null]"),
            ("\"max\":2.0", "\"max\":null"),
            ("\"odd\":[false]", "\"odd\":[]"),
            ("\"exact_limit\":100", "\"exact_limit\":1"),
        ] {
            assert!(good.contains(from), "{good}");
            assert!(
                Quantiles::from_json(&good.replace(from, to)).is_err(),
                "{to}"
            );
        }
    }
}
