//! Two samples as counts of the values that occur in either.

use tidegate_sketch::Quantiles;

/// Two samples over the values that occur in them: cells of one value each, in rising order.
///
/// NaN is missing and left out; the infinities are values like others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pooled {
    /// The distinct values, rising.
    pub values: Vec<f64>,
    /// How often each occurs in the baseline.
    pub baseline: Vec<u64>,
    /// How often each occurs in the live sample.
    pub live: Vec<u64>,
}

impl Pooled {
    /// Of raw values, in any order.
    #[must_use]
    pub fn of_values(baseline: &[f64], live: &[f64]) -> Self {
        let sorted = |values: &[f64]| {
            let mut sorted: Vec<(f64, u64)> = values
                .iter()
                .filter(|x| !x.is_nan())
                .map(|&x| (x + 0.0, 1))
                .collect();
            sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            sorted
        };
        Self::of_sorted(&sorted(baseline), &sorted(live))
    }

    /// Of quantile sketches: exact while they are, then within their rank errors. Infinite values,
    /// which the sketches count apart, are put back at the ends.
    #[must_use]
    pub fn of_quantiles(baseline: &Quantiles, live: &Quantiles) -> Self {
        let whole = |quantiles: &Quantiles| {
            let (below, above) = quantiles.infinite();
            let mut kept = quantiles.kept();
            if below > 0 {
                kept.insert(0, (f64::NEG_INFINITY, below));
            }
            if above > 0 {
                kept.push((f64::INFINITY, above));
            }
            kept
        };
        Self::of_sorted(&whole(baseline), &whole(live))
    }

    /// Of rising values with their counts.
    fn of_sorted(baseline: &[(f64, u64)], live: &[(f64, u64)]) -> Self {
        let mut pooled = Self::default();
        let (mut i, mut j) = (0, 0);
        while i < baseline.len() || j < live.len() {
            let next = |list: &[(f64, u64)], at: usize| list.get(at).map(|pair| pair.0);
            let value = match (next(baseline, i), next(live, j)) {
                (Some(a), Some(b)) => a.min(b),
                (Some(a), None) => a,
                (None, b) => b.unwrap_or_default(),
            };
            let take = |list: &[(f64, u64)], at: &mut usize| {
                let mut count = 0;
                while let Some(pair) = list.get(*at).filter(|pair| pair.0 <= value) {
                    count += pair.1;
                    *at += 1;
                }
                count
            };
            pooled.values.push(value);
            pooled.baseline.push(take(baseline, &mut i));
            pooled.live.push(take(live, &mut j));
        }
        pooled
    }
}
