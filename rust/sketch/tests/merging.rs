//! Every summary merges: in any order, in any grouping, and to what one pass over everything gives.
//!
//! Most are exact, so their written forms are compared. Where sums of floats are rounded or values are
//! thinned, the figures are compared within the stated bound.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use proptest::prelude::*;
use tidegate_sketch::{
    Covariance, Distinct, Frequencies, FrequentItems, Histogram, Moments, Quantiles,
    RelativeQuantiles, Reservoir,
};

/// A stream in three parts, with whatever a stream may hold.
fn parts() -> impl Strategy<Value = [Vec<f64>; 3]> {
    let value = prop_oneof![
        8 => -9.0..9.0f64,
        2 => (0u8..5).prop_map(f64::from),
        2 => (-12.0..12.0f64).prop_map(|x| 10f64.powf(x)),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ];
    let part = prop::collection::vec(value, 0..200);
    [part.clone(), part.clone(), part]
}

/// The whole in one pass, then (a b) c, a (b c), and c a b.
fn merged<S: Clone>(
    parts: &[Vec<f64>; 3],
    empty: &S,
    update: impl Fn(&mut S, &[f64]),
    merge: impl Fn(&mut S, &S),
) -> [S; 4] {
    let of = |values: &[f64]| {
        let mut summary = empty.clone();
        update(&mut summary, values);
        summary
    };
    let whole = of(&parts.concat());
    let [a, b, c] = parts.each_ref().map(|values| of(values));
    let join = |left: &S, right: &S| {
        let mut joined = left.clone();
        merge(&mut joined, right);
        joined
    };
    [
        whole,
        join(&join(&a, &b), &c),
        join(&a, &join(&b, &c)),
        join(&c, &join(&a, &b)),
    ]
}

fn texts(values: &[f64]) -> Vec<Option<String>> {
    let text = |x: &f64| (!x.is_nan()).then(|| format!("{:.0}", x.clamp(-30.0, 30.0)));
    values.iter().map(text).collect()
}

fn near(a: Option<f64>, b: Option<f64>, scale: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * scale.max(f64::MIN_POSITIVE),
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn exact_summaries(parts in parts()) {
        let histogram = Histogram::new(vec![-3.0, 0.0, 1.0, 1.0]).unwrap();
        let merge = |a: &mut Histogram, b: &Histogram| a.merge(b).unwrap();
        let [whole, rest @ ..] = merged(&parts, &histogram, Histogram::update_many, merge);
        rest.iter().for_each(|other| assert_eq!(other.to_json(), whole.to_json()));

        let frequencies = Frequencies::default();
        let update = |all: &mut Frequencies, values: &[f64]| {
            all.update_many(texts(values).iter().map(Option::as_deref)).unwrap();
        };
        let merge = |a: &mut Frequencies, b: &Frequencies| a.merge(b).unwrap();
        let [whole, rest @ ..] = merged(&parts, &frequencies, update, merge);
        rest.iter().for_each(|other| assert_eq!(other.to_json(), whole.to_json()));

        let [whole, rest @ ..] = merged(&parts, &Quantiles::new(), Quantiles::update_many, Quantiles::merge);
        rest.iter().for_each(|other| assert_eq!(other.to_json(), whole.to_json()));

        // Wide enough, or so narrow that most values are gathered.
        for limit in [4096, 7] {
            let relative = RelativeQuantiles::with_accuracy(0.01, limit).unwrap();
            let merge = |a: &mut RelativeQuantiles, b: &RelativeQuantiles| a.merge(b).unwrap();
            let [whole, rest @ ..] = merged(&parts, &relative, RelativeQuantiles::update_many, merge);
            rest.iter().for_each(|other| assert_eq!(other.to_json(), whole.to_json()));
        }

        // Small enough that both forms occur.
        for precision in [4, 9] {
            let distinct = Distinct::with_precision(precision).unwrap();
            let merge = |a: &mut Distinct, b: &Distinct| a.merge(b).unwrap();
            let [whole, rest @ ..] = merged(&parts, &distinct, Distinct::update_many, merge);
            rest.iter().for_each(|other| {
                assert_eq!(other.to_json(), whole.to_json());
                assert_eq!(other.estimate().to_bits(), whole.estimate().to_bits());
            });
        }
    }

    #[test]
    fn moments_and_covariances(parts in parts()) {
        let [whole, rest @ ..] = merged(&parts, &Moments::new(), Moments::update_many, Moments::merge);
        let scale = whole.max().unwrap_or(0.0).abs().max(whole.min().unwrap_or(0.0).abs());
        for other in rest {
            prop_assert_eq!(
                (other.count(), other.missing(), other.infinite(), other.min(), other.max()),
                (whole.count(), whole.missing(), whole.infinite(), whole.min(), whole.max())
            );
            prop_assert!(near(other.mean(), whole.mean(), scale));
            prop_assert!(near(other.std(0), whole.std(0), scale));
        }

        // Columns: the value, one that follows it, and one that does not.
        let rows = |values: &[f64]| -> Vec<f64> {
            let row = |(i, x): (usize, &f64)| [*x, x * 0.5 - 1.0, (i % 7) as f64];
            values.iter().enumerate().flat_map(row).collect()
        };
        let update = |all: &mut Covariance, values: &[f64]| all.update_many(values).unwrap();
        let merge = |a: &mut Covariance, b: &Covariance| a.merge(b).unwrap();
        let tabled = parts.each_ref().map(|part| rows(part));
        let [whole, rest @ ..] = merged(&tabled, &Covariance::new(3).unwrap(), update, merge);
        prop_assert_eq!(whole.count() + whole.incomplete(), tabled.concat().len() as u64 / 3);
        for other in rest {
            prop_assert_eq!((other.count(), other.incomplete()), (whole.count(), whole.incomplete()));
            let (Some(theirs), Some(mine)) = (other.matrix(0), whole.matrix(0)) else { continue };
            for (at, (a, b)) in theirs.iter().zip(&mine).enumerate() {
                let spread = (mine[at / 3 * 4] * mine[at % 3 * 4]).sqrt();
                // Deviations are as exact as the values that they are taken from.
                let scale = spread + scale * f64::EPSILON * scale.max(9.0);
                prop_assert!((a - b).abs() <= 1e-11 * scale, "{} {} {}", a, b, scale);
            }
        }
    }

    #[test]
    fn thinned_quantiles_stay_within_their_bound(parts in parts()) {
        let small = Quantiles::with_limits(40, 16).unwrap();
        let all = merged(&parts, &small, Quantiles::update_many, Quantiles::merge);
        let mut sorted: Vec<f64> = parts.concat().into_iter().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        for summary in all {
            prop_assert_eq!(summary.count(), sorted.len() as u64);
            prop_assert_eq!(summary.kept().iter().map(|pair| pair.1).sum::<u64>(), summary.count());
            for i in 0..=10 {
                let q = f64::from(i) / 10.0;
                let Some(found) = summary.quantile(q).unwrap() else { continue };
                let low = sorted.partition_point(|&x| x < found) as f64 / n;
                let high = sorted.partition_point(|&x| x <= found) as f64 / n;
                let off = (low - q).max(q - high).max(0.0);
                prop_assert!(off <= summary.rank_error() + 1.0 / n + 1e-12);
            }
        }
    }

    #[test]
    fn frequent_items_stay_within_their_bound(parts in parts(), limit in 1usize..12) {
        let update = |all: &mut FrequentItems, values: &[f64]| {
            all.update_many(texts(values).iter().map(Option::as_deref));
        };
        let merge = |a: &mut FrequentItems, b: &FrequentItems| a.merge(b).unwrap();
        let all = merged(&parts, &FrequentItems::new(limit).unwrap(), update, merge);
        let seen = texts(&parts.concat());
        for items in all {
            let total = seen.iter().flatten().count() as u64;
            prop_assert_eq!((items.count(), items.missing()), (total, seen.len() as u64 - total));
            prop_assert!(items.error() * (limit as u64 + 1) <= total);
            for number in -30..=30 {
                let text = number.to_string();
                let due = seen.iter().flatten().filter(|&x| *x == text).count() as u64;
                let (low, high) = items.get(&text);
                prop_assert!(low <= due && due <= high);
            }
        }
    }

    #[test]
    fn samples_hold_rows_of_the_whole(parts in parts(), capacity in 1usize..30) {
        let empty = Reservoir::new(capacity, 1, 5).unwrap();
        let update = |all: &mut Reservoir, values: &[f64]| all.update_many(values).unwrap();
        let merge = |a: &mut Reservoir, b: &Reservoir| a.merge(b).unwrap();
        let [_, rest @ ..] = merged(&parts, &empty, update, merge);
        let whole = parts.concat();
        prop_assert_eq!(&rest[0], &rest[1]);
        prop_assert_eq!(&rest[0], &rest[2]);
        prop_assert_eq!(rest[0].rows().len(), capacity.min(whole.len()));
        let times = |list: &[f64], x: f64| list.iter().filter(|y| y.to_bits() == x.to_bits()).count();
        let sampled: Vec<f64> = rest[0].rows().iter().map(|row| row[0]).collect();
        for &x in &sampled {
            prop_assert!(times(&sampled, x) <= times(&whole, x));
        }
    }
}
