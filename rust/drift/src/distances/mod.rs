//! How far two samples are apart.
//!
//! A distance takes two sets of counts over the same cells, one file each. Cells are those of a baseline
//! (bins, frequent values), or, with [`Pooled`], the values themselves: then the figures are SciPy's on raw
//! data. None of them is a test, and some grow when samples shrink with no drift at all; [`psi_noise`]
//! says how much of a PSI chance alone explains, and [`maximum_mean_discrepancy`], which compares whole
//! rows, comes with the chance that it has without drift.

mod anderson_darling;
mod chi_square;
mod cramer_von_mises;
mod hellinger;
mod jensen_shannon;
mod kolmogorov_smirnov;
mod maximum_mean_discrepancy;
mod noise;
mod pooled;
mod psi;
mod shares;
mod total_variation;
mod wasserstein;

pub use anderson_darling::anderson_darling;
pub use chi_square::chi_square;
pub use cramer_von_mises::cramer_von_mises;
pub use hellinger::hellinger;
pub use jensen_shannon::jensen_shannon;
pub use kolmogorov_smirnov::{kolmogorov_p, kolmogorov_smirnov, kolmogorov_smirnov_bounds};
pub use maximum_mean_discrepancy::{
    Discrepancy, Kernels, MAX_COMPARED_ROWS, maximum_mean_discrepancy,
};
pub use noise::{jensen_shannon_noise, kolmogorov_smirnov_noise, total_variation_noise};
pub use pooled::Pooled;
pub use psi::{FLOOR, psi, psi_noise};
pub use total_variation::total_variation;
pub use wasserstein::{wasserstein, wasserstein_bounds};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_sketch::{Histogram, Quantiles};

    type Distance = fn(&[u64], &[u64]) -> Option<f64>;

    fn sample() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![3 => -9.0..9.0f64, 1 => (-4i8..4).prop_map(f64::from)];
        prop::collection::vec(value, 1..300)
    }

    proptest! {
        #[test]
        fn distances_are_distances(pairs in prop::collection::vec((0u64..1000, 0u64..1000), 1..20)) {
            let (p, q): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            prop_assume!(p.iter().sum::<u64>() > 0 && q.iter().sum::<u64>() > 0);
            let all: [Distance; 5] =
                [psi, jensen_shannon, hellinger, total_variation, kolmogorov_smirnov];
            for distance in all {
                prop_assert!(distance(&p, &p).unwrap().abs() < 1e-7);
                let (there, back) = (distance(&p, &q).unwrap(), distance(&q, &p).unwrap());
                prop_assert!(there >= 0.0 && (there - back).abs() < 1e-9);
            }
            for distance in &all[1..] {
                prop_assert!(distance(&p, &q).unwrap() <= 1.0);
            }
            // Le Cam: H² ≤ TV ≤ H √2; and no set of cells differs by more than all sets do.
            let (h, tv) = (hellinger(&p, &q).unwrap(), total_variation(&p, &q).unwrap());
            prop_assert!(h * h <= tv + 1e-12 && tv <= h * 2f64.sqrt() + 1e-12);
            prop_assert!(kolmogorov_smirnov(&p, &q).unwrap() <= tv + 1e-12);
            let statistics: [Distance; 2] = [cramer_von_mises, anderson_darling];
            for statistic in statistics {
                if let (Some(there), Some(back)) = (statistic(&p, &q), statistic(&q, &p)) {
                    prop_assert!((there - back).abs() < 1e-6 * there.abs().max(1.0));
                }
            }
        }

        /// Cells of any bins enclose the distance of the values that fell into them.
        #[test]
        fn bounds_from_cells_hold(a in sample(), b in sample(), cuts in prop::collection::btree_set(-8i8..9, 2..8)) {
            let edges: Vec<f64> = cuts.into_iter().map(f64::from).collect();
            let mut counts = [Histogram::new(edges.clone()).unwrap(), Histogram::new(edges.clone()).unwrap()];
            counts[0].update_many(&a);
            counts[1].update_many(&b);
            // Without the cell of the missing; the last bin is closed, so raw values on its upper edge
            // belong to it and not to the cell above.
            let [p, q] = counts.each_ref().map(|histogram| &histogram.cells()[..edges.len() + 1]);
            let pooled = Pooled::of_values(&a, &b);
            let exact = kolmogorov_smirnov(&pooled.baseline, &pooled.live).unwrap();
            let (least, most) = kolmogorov_smirnov_bounds(p, q).unwrap();
            prop_assert!(least <= exact + 1e-12 && exact <= most + 1e-12, "{} {} {}", least, exact, most);
            let exact = wasserstein(&pooled.values, &pooled.baseline, &pooled.live).unwrap();
            let mut ends = vec![-9.0];
            ends.extend(&edges);
            ends.push(9.0);
            let (least, most) = wasserstein_bounds(&ends, p, q).unwrap();
            prop_assert!(least <= exact + 1e-9 && exact <= most + 1e-9, "{} {} {}", least, exact, most);
        }

        /// A thinned quantile sketch moves no rank by more than it says.
        #[test]
        fn bounds_from_quantiles_hold(a in sample(), b in sample()) {
            let of = |values: &[f64]| {
                let mut quantiles = Quantiles::with_limits(16, 8).unwrap();
                quantiles.update_many(values);
                quantiles
            };
            let (left, right) = (of(&a), of(&b));
            let (exact, rough) = (Pooled::of_values(&a, &b), Pooled::of_quantiles(&left, &right));
            let error = left.rank_error() + right.rank_error() + 1e-12;
            let distance = |pooled: &Pooled| kolmogorov_smirnov(&pooled.baseline, &pooled.live).unwrap();
            prop_assert!((distance(&exact) - distance(&rough)).abs() <= error);
            let moved = |pooled: &Pooled| wasserstein(&pooled.values, &pooled.baseline, &pooled.live).unwrap();
            prop_assert!((moved(&exact) - moved(&rough)).abs() <= error * 18.0);
        }
    }

    #[test]
    fn pooling_counts_values() {
        let pooled = Pooled::of_values(&[2.0, f64::NAN, -0.0, 2.0], &[f64::INFINITY, 0.0, 2.0]);
        assert_eq!(pooled.values, [0.0, 2.0, f64::INFINITY]);
        assert_eq!(
            (pooled.baseline, pooled.live),
            (vec![1, 2, 0], vec![1, 1, 1])
        );
        let mut quantiles = Quantiles::new();
        quantiles.update_many(&[f64::INFINITY, f64::NEG_INFINITY, 3.0]);
        let pooled = Pooled::of_quantiles(&quantiles, &Quantiles::new());
        assert_eq!(pooled.values, [f64::NEG_INFINITY, 3.0, f64::INFINITY]);
        assert_eq!(pooled.live, [0; 3]);
    }
}
