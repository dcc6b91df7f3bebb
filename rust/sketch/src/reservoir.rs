//! A uniform sample of the rows of a stream.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, SplitMix64, document};

/// Most numbers that a sample may hold, rows times columns (8 MB).
pub const MAX_SAMPLED: usize = 1_000_000;

/// A uniform sample without replacement of `capacity` rows of `width` numbers.
///
/// Every row draws a key from (0, 1), and the rows with the least keys stay. Which row is the next to
/// stay is drawn at once, and the rows in between are passed over (algorithm L; Li 1994, after
/// Vitter 1985), so that a long stream costs `capacity · ln(n / capacity)` draws. The keys are kept:
/// merging keeps the least keys of both, so a sample of merged streams is one of the whole, each stream
/// taking part by its count, and merging is exact in any order.
///
/// Draws come from the seed, so a sample repeats. Give samples that will be merged seeds of their
/// own. Rows are kept as they are, with their NaN and infinite values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Reservoir {
    capacity: usize,
    width: usize,
    count: u64,
    random: SplitMix64,
    /// Rows still to be passed over; meaningless until the sample is full.
    skip: u64,
    /// The greatest key on top.
    kept: BinaryHeap<Kept>,
}

/// A row that stays, and its key.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    key: f64,
    row: Box<[f64]>,
}

impl Eq for Kept {}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        // Rows decide between equal keys, so that merging does not depend on order.
        self.key.total_cmp(&other.key).then_with(|| {
            let pairs = self.row.iter().zip(&other.row);
            pairs
                .map(|(a, b)| a.total_cmp(b))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A number in JSON, which knows neither NaN nor infinities.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(Special),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Special {
    #[serde(rename = "nan")]
    Nan,
    #[serde(rename = "inf")]
    Infinite,
    #[serde(rename = "-inf")]
    NegativeInfinite,
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Self::Finite(value)
        } else if value.is_nan() {
            Self::Other(Special::Nan)
        } else if value > 0.0 {
            Self::Other(Special::Infinite)
        } else {
            Self::Other(Special::NegativeInfinite)
        }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        match number {
            Number::Finite(value) => value,
            Number::Other(Special::Nan) => Self::NAN,
            Number::Other(Special::Infinite) => Self::INFINITY,
            Number::Other(Special::NegativeInfinite) => Self::NEG_INFINITY,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    capacity: usize,
    count: u64,
    keys: Vec<f64>,
    random: u64,
    rows: Vec<Vec<Number>>,
    skip: u64,
    version: u32,
    width: usize,
}

impl Reservoir {
    /// An empty sample of at most `capacity` rows of `width` numbers.
    pub fn new(capacity: usize, width: usize, seed: u64) -> Result<Self> {
        let size = capacity.saturating_mul(width);
        if size == 0 || size > MAX_SAMPLED {
            return Err(Error::argument(format!(
                "a sample of {capacity} rows of {width} numbers: use at least one of each and at most {MAX_SAMPLED} numbers"
            )));
        }
        Ok(Self {
            capacity,
            width,
            count: 0,
            random: SplitMix64::new(seed),
            skip: 0,
            kept: BinaryHeap::new(),
        })
    }

    /// Takes in one row.
    pub fn update(&mut self, row: &[f64]) -> Result<()> {
        self.update_many(row)
    }

    /// Takes in many rows, one after the other; their length is a multiple of the width.
    pub fn update_many(&mut self, rows: &[f64]) -> Result<()> {
        if !rows.len().is_multiple_of(self.width) {
            return Err(Error::argument(format!(
                "{} numbers are no rows of {}: pass whole rows",
                rows.len(),
                self.width
            )));
        }
        let (all, mut at) = (rows.len() / self.width, 0);
        self.count += all as u64;
        let width = self.width;
        let row = |at: usize| Box::from(&rows[at * width..][..width]);
        while at < all {
            if self.kept.len() < self.capacity {
                let key = self.random.unit();
                self.kept.push(Kept { key, row: row(at) });
                at += 1;
                if self.kept.len() == self.capacity {
                    self.draw_gap();
                }
                continue;
            }
            let left = (all - at) as u64;
            if self.skip >= left {
                self.skip -= left;
                return Ok(());
            }
            at += self.skip as usize;
            let key = self.random.unit() * self.threshold();
            self.kept.pop();
            self.kept.push(Kept { key, row: row(at) });
            at += 1;
            self.draw_gap();
        }
        Ok(())
    }

    /// Draws how many rows are passed over before the next one stays.
    fn draw_gap(&mut self) {
        let threshold = self.threshold();
        self.skip = gap(&mut self.random, threshold);
    }

    /// The greatest key that stays.
    fn threshold(&self) -> f64 {
        self.kept.peek().map_or(1.0, |kept| kept.key)
    }

    /// Takes in the sample of another stream; both are as large and as wide.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if (self.capacity, self.width) != (other.capacity, other.width) {
            return Err(Error::argument(format!(
                "samples of {} × {} and {} × {} numbers do not merge: make both alike",
                self.capacity, self.width, other.capacity, other.width
            )));
        }
        self.count += other.count;
        self.kept.extend(other.kept.iter().cloned());
        while self.kept.len() > self.capacity {
            self.kept.pop();
        }
        if self.kept.len() == self.capacity {
            // The gap has no memory, so it may be drawn anew under the new threshold.
            self.draw_gap();
        }
        Ok(())
    }

    /// The sampled rows, by rising key: any beginning of them is itself a uniform sample.
    #[must_use]
    pub fn rows(&self) -> Vec<&[f64]> {
        let mut kept: Vec<&Kept> = self.kept.iter().collect();
        kept.sort_unstable();
        kept.into_iter().map(|kept| &*kept.row).collect()
    }

    /// Rows seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Most rows of the sample.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Numbers of a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Reservoir::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("a sample", text)
    }
}

/// How many rows draw a key above the threshold before one draws a key below it.
fn gap(random: &mut SplitMix64, threshold: f64) -> u64 {
    // A threshold of 1 lets the next row in: the logarithm of 0 divides to 0.
    (random.unit().ln() / (-threshold).ln_1p()).floor() as u64
}

impl PartialEq for Reservoir {
    /// Equal when the same rows are kept of as many.
    fn eq(&self, other: &Self) -> bool {
        (self.capacity, self.width, self.count) == (other.capacity, other.width, other.count)
            && self
                .kept
                .clone()
                .into_sorted_vec()
                .iter()
                .map(bits)
                .eq(other.kept.clone().into_sorted_vec().iter().map(bits))
    }
}

/// A row's numbers as bits, in which NaN equals itself.
fn bits(kept: &Kept) -> Vec<u64> {
    let row = kept.row.iter().map(|x| x.to_bits());
    std::iter::once(kept.key.to_bits()).chain(row).collect()
}

impl From<Reservoir> for Document {
    fn from(reservoir: Reservoir) -> Self {
        let kept = reservoir.kept.into_sorted_vec();
        Self {
            capacity: reservoir.capacity,
            count: reservoir.count,
            keys: kept.iter().map(|kept| kept.key).collect(),
            random: reservoir.random.state(),
            rows: kept
                .iter()
                .map(|kept| kept.row.iter().map(|&x| x.into()).collect())
                .collect(),
            skip: reservoir.skip,
            version: document::VERSION,
            width: reservoir.width,
        }
    }
}

impl TryFrom<Document> for Reservoir {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("a sample", document.version)?;
        let mut reservoir = Self::new(document.capacity, document.width, document.random)?;
        let (rows, keys) = (&document.rows, &document.keys);
        if rows.len() != keys.len()
            || rows.len() as u64 != document.count.min(document.capacity as u64)
            || rows.iter().any(|row| row.len() != document.width)
            || keys.iter().any(|key| !(0.0..=1.0).contains(key))
        {
            return Err(Error::state("a sample whose rows contradict its size"));
        }
        reservoir.count = document.count;
        reservoir.skip = document.skip;
        reservoir.kept = document
            .keys
            .into_iter()
            .zip(document.rows)
            .map(|(key, row)| Kept {
                key,
                row: row.into_iter().map(f64::from).collect(),
            })
            .collect();
        Ok(reservoir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: std::ops::Range<u32>, capacity: usize, seed: u64) -> Reservoir {
        let mut reservoir = Reservoir::new(capacity, 1, seed).unwrap();
        let values: Vec<f64> = values.map(f64::from).collect();
        reservoir.update_many(&values).unwrap();
        reservoir
    }

    /// How often each of 200 values is in the sample over many seeds, against what is due: χ² of
    /// 199 degrees of freedom, which exceeds 285 once in ten thousand times.
    fn chi_square(sample: impl Fn(u64) -> Reservoir) -> f64 {
        let (streams, mut hits) = (3000, vec![0.0f64; 200]);
        for seed in 0..streams {
            for row in sample(seed).rows() {
                hits[row[0] as usize] += 1.0;
            }
        }
        let due = f64::from(streams as u32) * 20.0 / 200.0;
        hits.iter()
            .map(|hit| (hit - due).powi(2) / (due * 0.9))
            .sum()
    }

    #[test]
    fn every_row_is_as_likely() {
        let whole = chi_square(|seed| of(0..200, 20, seed));
        assert!(whole < 285.0, "{whole}");
        // Streams of 150, 45 and 5 rows, one of them going on after it was merged.
        let merged = chi_square(|seed| {
            let mut left = of(0..120, 20, 3 * seed);
            left.merge(&of(120..165, 20, 3 * seed + 1)).unwrap();
            let rest: Vec<f64> = (165..195).map(f64::from).collect();
            left.update_many(&rest).unwrap();
            left.merge(&of(195..200, 20, 3 * seed + 2)).unwrap();
            left
        });
        assert!(merged < 285.0, "{merged}");
    }

    #[test]
    fn merging_is_exact_in_any_order() {
        for seed in 0..20 {
            let parts = [
                of(0..70, 16, seed),
                of(70..80, 16, seed + 100),
                of(80..400, 16, seed + 200),
            ];
            let merge = |order: [usize; 3]| {
                let mut merged = parts[order[0]].clone();
                merged.merge(&parts[order[1]]).unwrap();
                merged.merge(&parts[order[2]]).unwrap();
                merged
            };
            let due = merge([0, 1, 2]);
            let mut grouped = parts[1].clone();
            grouped.merge(&parts[2]).unwrap();
            let mut left = parts[0].clone();
            left.merge(&grouped).unwrap();
            for found in [merge([2, 0, 1]), merge([1, 2, 0]), left] {
                assert_eq!(found, due);
            }
        }
    }

    #[test]
    fn slices_sample_as_single_rows_do() {
        let mut single = Reservoir::new(10, 2, 3).unwrap();
        let mut sliced = single.clone();
        let values: Vec<f64> = (0..2000).map(f64::from).collect();
        for row in values.chunks(2) {
            single.update(row).unwrap();
        }
        for part in values.chunks(322) {
            sliced.update_many(part).unwrap();
        }
        assert_eq!(single, sliced);
        assert_eq!(single.to_json(), sliced.to_json());
        assert!(single.update(&[1.0]).is_err());
        assert!(Reservoir::new(0, 1, 0).is_err());
        assert!(Reservoir::new(2000, 2000, 0).is_err());
        assert!(single.merge(&Reservoir::new(10, 3, 0).unwrap()).is_err());
    }

    #[test]
    fn every_number_survives_writing() {
        let mut reservoir = Reservoir::new(3, 2, 9).unwrap();
        reservoir
            .update_many(&[f64::NAN, 1.5, f64::INFINITY, -0.0, f64::NEG_INFINITY, 1e300])
            .unwrap();
        let text = reservoir.to_json();
        assert_eq!(Reservoir::from_json(&text).unwrap(), reservoir);
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"count\":3", "\"count\":2"),
            ("\"width\":2", "\"width\":3"),
            ("\"nan\"", "\"none\""),
        ] {
            assert!(text.contains(from), "{text}");
            assert!(
                Reservoir::from_json(&text.replace(from, to)).is_err(),
                "{to}"
            );
        }
    }
}
