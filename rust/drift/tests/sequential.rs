//! The face of the sequential tests: intervals agree with e-values, states merge and round-trip.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use proptest::prelude::*;
use tidegate_drift::sequential::{
    Difference, Harmless, Mean, Proportion, Quantile, Starts, Stream,
};

const LEVEL: f64 = 3.0;

/// What holds for every figure: the ends of the interval are where the evidence is.
fn contract(stream: &impl Stream) {
    let interval = stream.interval(LEVEL);
    assert!(interval.lower <= interval.upper, "{interval:?}");
    if let Some(estimate) = stream.estimate() {
        assert!(interval.lower <= estimate + 1e-9 && estimate <= interval.upper + 1e-9);
    }
    let step = 1e-6;
    if interval.lower.is_finite() {
        assert!(
            stream.log_e_above(interval.lower - step, 1.0) >= LEVEL - 1e-6
                || interval.lower <= stream.bounds().0
        );
        assert!(stream.log_e_above(interval.lower + step, 1.0) < LEVEL);
    }
    if interval.upper.is_finite() {
        assert!(
            stream.log_e_below(interval.upper + step, 1.0) >= LEVEL - 1e-6
                || interval.upper >= stream.bounds().1
        );
        assert!(stream.log_e_below(interval.upper - step, 1.0) < LEVEL);
    }
    assert!(
        interval.lower > interval.upper - 1e-12
            || stream.log_e(Harmless::Between(interval.lower, interval.upper)) <= LEVEL + 1e-6
    );
}

fn mean(values: &[f64]) -> Mean {
    let mut mean = Mean::new(-1.0, 3.0).unwrap();
    mean.update_many(values);
    mean
}

fn quantile(values: &[f64]) -> Quantile {
    let mut quantile = Quantile::new(0.9).unwrap();
    quantile.update_many(values);
    quantile
}

fn proportion(values: &[f64]) -> Proportion {
    let mut proportion = Proportion::new();
    for value in values {
        proportion.update(u64::from(*value > 1.0), 1);
    }
    proportion
}

proptest! {
    #[test]
    fn intervals_agree_with_evidence(
        values in prop::collection::vec(-1.0..3.0f64, 0..400),
        others in prop::collection::vec(-1.0..3.0f64, 0..400),
    ) {
        contract(&mean(&values));
        contract(&proportion(&values));
        contract(&quantile(&values));
        contract(&Difference::new(mean(&others), mean(&values)));
        contract(&Difference::new(proportion(&others), proportion(&values)));
    }

    #[test]
    fn states_merge_and_round_trip(
        values in prop::collection::vec(-2.0..4.0f64, 0..300),
        at in 0.0..1.0f64,
    ) {
        let (left, right) = values.split_at((at * values.len() as f64) as usize);
        let mut merged = proportion(left);
        merged.merge(&proportion(right));
        prop_assert_eq!(merged, proportion(&values));
        prop_assert_eq!(Proportion::from_json(&merged.to_json()).unwrap(), merged);

        let mut merged = quantile(left);
        merged.merge(&quantile(right)).unwrap();
        prop_assert_eq!(merged.interval(LEVEL), quantile(&values).interval(LEVEL));
        prop_assert_eq!(Quantile::from_json(&merged.to_json()).unwrap().interval(LEVEL), merged.interval(LEVEL));

        // A mean's merge adds its sums: the same in any order, and no less honest.
        let (mut there, mut back) = (mean(left), mean(right));
        there.merge(&mean(right)).unwrap();
        back.merge(&mean(left)).unwrap();
        prop_assert_eq!(there.rows(), values.len() as u64);
        let (x, y) = (there.interval(LEVEL), back.interval(LEVEL));
        prop_assert!((x.lower - y.lower).abs() < 1e-6 && (x.upper - y.upper).abs() < 1e-6);
        prop_assert_eq!(Mean::from_json(&there.to_json()).unwrap(), there.clone());
        let pair = Difference::new(there.clone(), back);
        prop_assert_eq!(Difference::<Mean>::from_json(&pair.to_json()).unwrap(), pair);
    }
}

#[test]
fn intervals_narrow_and_evidence_is_forecast() {
    let values: Vec<f64> = (0..20_000)
        .map(|i| f64::from(i * 7_919 % 1_000) / 1_000.0)
        .collect();
    let mut width = f64::INFINITY;
    for rows in [100, 1_000, 10_000] {
        let interval = mean(&values[..rows]).interval(LEVEL);
        assert!(interval.lower <= 0.4995 && interval.upper >= 0.4995);
        assert!(interval.upper - interval.lower < 0.6 * width);
        width = interval.upper - interval.lower;
    }
    assert!(width < 0.03, "{width}");
    // Half of the values are above ½: how many rows until that is more than 0.4 of them?
    let mut share = Proportion::new();
    share.update(50, 100);
    let due = share.rows_to_go(Harmless::AtMost(0.4), 20f64.ln()).unwrap();
    assert!((50..2_000).contains(&due), "{due}");
    share.update(due.div_ceil(2), due);
    assert!(share.log_e(Harmless::AtMost(0.4)) >= 20f64.ln() - 0.1);
    assert_eq!(share.rows_to_go(Harmless::AtMost(0.5), 20f64.ln()), None);
}

#[test]
fn non_inferiority_with_a_margin_and_latency() {
    // The new version is 20 ms slower at the median; a margin of 50 ms is met, one of 10 is not.
    let (mut old, mut new) = (Quantile::new(0.5).unwrap(), Quantile::new(0.5).unwrap());
    for i in 0..20_000 {
        let base = f64::from(i * 7_919 % 1_000) / 10.0;
        old.update(base);
        new.update(base + 20.0);
    }
    let slower = Difference::new(old, new);
    assert!((slower.estimate().unwrap() - 20.0).abs() < 0.2);
    assert!(slower.log_e(Harmless::AtLeast(50.0)) > 10.0);
    assert!(slower.log_e(Harmless::AtMost(10.0)) > 10.0);
    assert!(slower.log_e(Harmless::Between(15.0, 25.0)) < 1.0);
    let interval = slower.interval(LEVEL);
    assert!(
        interval.lower > 14.0 && interval.upper < 26.0,
        "{interval:?}"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    for (low, high) in [
        (1.0, 1.0),
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
        (-1e308, 1e308),
    ] {
        assert!(Mean::new(low, high).is_err());
    }
    for level in [0.0, 1.0, f64::NAN, 99.0] {
        assert!(Quantile::new(level).is_err());
    }
    let mut means = mean(&[0.5, f64::NAN, f64::INFINITY, -7.0]);
    assert_eq!((means.rows(), means.clipped()), (3, 2));
    assert!(means.merge(&Mean::new(0.0, 1.0).unwrap()).is_err());
    assert!(
        quantile(&[1.0])
            .merge(&Quantile::new(0.5).unwrap())
            .is_err()
    );
    assert_eq!(quantile(&[f64::NAN]).rows(), 0);
    let state = means.to_json();
    for (from, to) in [
        (r#""version":1"#, r#""version":2"#),
        (r#""version":1"#, r#""version":-1"#),
        (r#""count":3"#, r#""count":1"#),
        ("{", ""),
    ] {
        let error = Mean::from_json(&state.replacen(from, to, 1)).unwrap_err();
        assert!(
            error.message.contains("a sequential mean"),
            "{}",
            error.message
        );
    }
    // Nothing seen: no evidence, and every figure is possible.
    let nothing = Proportion::new();
    assert_eq!(nothing.log_e(Harmless::AtMost(0.1)), 0.0);
    assert_eq!(
        (nothing.interval(LEVEL).lower, nothing.interval(LEVEL).upper),
        (0.0, 1.0)
    );
    assert_eq!(Starts::new().looks(), 0);
}

/// States are kept by others for long: what was written once is read by every later release.
#[test]
fn states_of_version_1() {
    let values: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50) / 50.0).collect();
    let (mean, quantile, share) = (mean(&values), quantile(&values), proportion(&values));
    let golden = |name: &str, found: String| {
        let path = format!(
            "{}/../../tests/golden/drift/{name}-1.json",
            env!("CARGO_MANIFEST_DIR")
        );
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, found, "{name}");
        text
    };
    let read = Mean::from_json(&golden("sequential-mean", mean.to_json()));
    assert_eq!(read.unwrap(), mean);
    let read = Proportion::from_json(&golden("sequential-proportion", share.to_json()));
    assert_eq!(read.unwrap(), share);
    let read = Quantile::from_json(&golden("sequential-quantile", quantile.to_json()));
    assert_eq!(read.unwrap().interval(LEVEL), quantile.interval(LEVEL));
}
