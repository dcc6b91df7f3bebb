//! Quantiles of values that lie in memory.

/// Brings the values that [`interpolate`] reads for these shares to where they are when all are
/// sorted; a fraction of the work.
pub(crate) fn select(values: &mut [f64], shares: &[f64]) {
    let last = values.len() - 1;
    let mut places: Vec<usize> = shares
        .iter()
        .map(|share| (share * last as f64).floor() as usize)
        .flat_map(|low| [low.min(last), (low + 1).min(last)])
        .collect();
    places.sort_unstable();
    places.dedup();
    let mut from = 0;
    for place in places {
        values[from..].select_nth_unstable_by(place - from, f64::total_cmp);
        from = place + 1;
    }
}

/// `numpy.quantile` of sorted values, which are not empty, to the last bit.
pub(crate) fn interpolate(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let low = place.floor();
    let share = place - low;
    let below = sorted[low as usize];
    let above = sorted[(low as usize + 1).min(sorted.len() - 1)];
    let step = above - below;
    if share < 0.5 {
        below + step * share
    } else {
        above - step * (1.0 - share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_quantiles_are_those_of_sorted_values() {
        let mut state = 1u64;
        for rows in [1, 2, 3, 10, 1000, 4321] {
            let values: Vec<f64> = (0..rows)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    f64::from((state >> 40) as i32 % 97) * 0.37 - 0.0
                })
                .collect();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let shares = [0.0, 0.01, 0.25, 0.5, 0.500_1, 0.75, 0.999, 1.0];
            let mut selected = values;
            select(&mut selected, &shares);
            let found: Vec<f64> = shares.iter().map(|&q| interpolate(&selected, q)).collect();
            let due: Vec<f64> = shares.iter().map(|&q| interpolate(&sorted, q)).collect();
            assert_eq!(found, due);
        }
    }
}
