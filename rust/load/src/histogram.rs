//! Latencies in bounded memory: logarithmic buckets, each divided into 256 equal parts, after
//! HdrHistogram (Gil Tene). A quantile is off by at most one part in 256.

/// Bits of the linear part.
const BITS: u32 = 8;
const PARTS: usize = 1 << BITS;

/// The largest exponent kept apart: 2^42 ns is more than an hour, the longest run.
const MAX_EXPONENT: u32 = 42;
const CELLS: usize = PARTS * (MAX_EXPONENT - BITS + 2) as usize;

/// Counts of durations in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    cells: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            cells: vec![0; CELLS],
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }
}

fn cell(value: u64) -> usize {
    let exponent = value.max(1).ilog2().min(MAX_EXPONENT);
    if exponent < BITS {
        return value as usize;
    }
    let shift = exponent - BITS;
    let within = ((value >> shift) as usize).min(2 * PARTS - 1) - PARTS;
    PARTS * (shift as usize + 1) + within
}

/// The middle of a cell.
fn value(cell: usize) -> u64 {
    if cell < PARTS {
        return cell as u64;
    }
    let shift = (cell / PARTS - 1) as u32;
    let low = ((PARTS + cell % PARTS) as u64) << shift;
    low + (1_u64 << shift) / 2
}

impl Histogram {
    /// Counts one duration. Those above an hour fall into the last cell; `max` stays exact.
    pub fn record(&mut self, nanoseconds: u64) {
        if let Some(cell) = self.cells.get_mut(cell(nanoseconds)) {
            *cell += 1;
        }
        self.count += 1;
        self.sum += u128::from(nanoseconds);
        self.min = self.min.min(nanoseconds);
        self.max = self.max.max(nanoseconds);
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The least and the greatest duration, exactly; nothing while none is counted.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        (self.count > 0).then_some((self.min, self.max))
    }

    /// The mean, exactly; nothing while none is counted.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The smallest duration that at least the share `q` of all do not exceed (nearest rank).
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let (min, max) = self.range()?;
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.cells.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        Some(found.map_or(max, |cell| value(cell).clamp(min, max)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cell_holds_its_value(v in 0_u64..(1 << 43) - 1) {
            let middle = value(cell(v)) as f64;
            prop_assert!((middle - v as f64).abs() <= v as f64 / 256.0 + 0.5);
        }

        #[test]
        fn quantiles_are_within_a_part(mut values in prop::collection::vec(1_u64..1_000_000_000, 1..500)) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|v| histogram.record(*v));
            values.sort_unstable();
            for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                let got = histogram.quantile(q).unwrap() as f64;
                prop_assert!((got - exact).abs() <= exact / 256.0 + 1.0, "{} {} {}", q, got, exact);
            }
        }
    }

    #[test]
    fn two_together_are_one() {
        let (mut all, mut one, mut other) = (
            Histogram::default(),
            Histogram::default(),
            Histogram::default(),
        );
        for v in [3, 70_000, 9_000_000] {
            one.record(v);
            all.record(v);
        }
        for v in [1, 400] {
            other.record(v);
            all.record(v);
        }
        one.merge(&other);
        one.merge(&Histogram::default());
        assert_eq!(
            (one.count(), one.range(), one.mean()),
            (all.count(), all.range(), all.mean())
        );
        assert_eq!(one.quantile(0.5), all.quantile(0.5));
    }

    #[test]
    fn nothing_is_nothing() {
        let empty = Histogram::default();
        assert_eq!(
            (empty.quantile(0.5), empty.mean(), empty.range()),
            (None, None, None)
        );
    }

    #[test]
    fn the_longest_are_kept() {
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert_eq!(histogram.quantile(1.0), Some(u64::MAX));
    }
}
