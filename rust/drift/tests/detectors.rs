//! Detectors decide as river does, go on from their written form, and bear what a stream brings.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use tidegate_drift::{Detector, Signal};

const METHODS: [&str; 7] = [
    "adwin",
    "page_hinkley",
    "cusum",
    "ddm",
    "hddm_a",
    "hddm_w",
    "kswin",
];

#[derive(Deserialize)]
struct Recorded {
    river: String,
    streams: BTreeMap<String, Vec<f64>>,
    cases: Vec<Case>,
    kswin: Vec<usize>,
}

#[derive(Deserialize)]
struct Case {
    method: String,
    parameters: serde_json::Value,
    stream: String,
    drifts: Vec<usize>,
    warnings: Vec<usize>,
}

fn recorded() -> Recorded {
    let path = format!(
        "{}/../../tests/golden/drift/decisions.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn detector(method: &str, parameters: &str) -> Detector {
    Detector::from_parameters(method, parameters).unwrap()
}

/// Errors with a change in the middle, which every method can read.
fn errors() -> Vec<f64> {
    recorded().streams["errors"].clone()
}

#[test]
fn decisions_are_rivers() {
    let recorded = recorded();
    assert_eq!(recorded.river, "0.26.1");
    let mut drifts = 0;
    for case in &recorded.cases {
        let place = format!("{} {} on {}", case.method, case.parameters, case.stream);
        let stream = &recorded.streams[&case.stream];
        let mut one_by_one = detector(&case.method, &case.parameters.to_string());
        let (mut found, mut warned) = (Vec::new(), Vec::new());
        for (at, &value) in stream.iter().enumerate() {
            match one_by_one.update(value).unwrap() {
                Signal::Drift => found.push(at),
                Signal::Warning => warned.push(at),
                Signal::Steady => {}
            }
        }
        assert_eq!(found, case.drifts, "{place}");
        assert_eq!(warned, case.warnings, "{place}");
        let mut at_once = detector(&case.method, &case.parameters.to_string());
        let changes = at_once.update_many(stream).unwrap();
        assert_eq!(changes.drifts, case.drifts, "{place}");
        assert!(changes.warnings.iter().all(|at| case.warnings.contains(at)));
        assert_eq!(at_once, one_by_one, "{place}");
        drifts += found.len();
    }
    assert!(drifts > 40, "{drifts}");
}

#[test]
fn cusum_decides_as_rivers_main_branch() {
    let changes = detector("cusum", "{}")
        .update_many(&recorded().streams["cusum"])
        .unwrap();
    assert_eq!(changes.drifts, [201, 251]);
}

/// Other draws than river's, so the positions over 200 seeds are compared as distributions.
#[test]
fn kswin_decides_as_river_in_distribution() {
    let recorded = recorded();
    let stream = &recorded.streams["test_1"];
    let mut ours: Vec<usize> = (0..recorded.kswin.len())
        .map(|seed| {
            let parameters = format!("{{\"alpha\":0.0001,\"seed\":{}}}", seed * 7919);
            let changes = detector("kswin", &parameters).update_many(stream).unwrap();
            changes.drifts.first().copied().unwrap_or(stream.len())
        })
        .collect();
    let mut theirs = recorded.kswin;
    ours.sort_unstable();
    theirs.sort_unstable();
    let share = |values: &[usize], at: usize| {
        values.partition_point(|&x| x <= at) as f64 / values.len() as f64
    };
    let apart = (0..stream.len())
        .map(|at| (share(&ours, at) - share(&theirs, at)).abs())
        .fold(0.0, f64::max);
    // The Kolmogorov–Smirnov distance of two samples of 200 exceeds this once in a thousand times.
    assert!(apart < 0.195, "{apart}");
}

#[test]
fn a_known_reference_needs_no_values() {
    let mut known = detector("cusum", r#"{"mean":0,"std":1,"direction":"down"}"#);
    assert!(known.update_many(&[9.0; 5]).unwrap().drifts.is_empty());
    assert_eq!(known.update_many(&[-3.0; 5]).unwrap().drifts, [2]);
}

#[test]
fn a_kept_window_outlives_the_change() {
    let stream = &recorded().streams["steps"];
    let widths = ["{}", r#"{"keep_window":true}"#].map(|parameters| {
        let mut adwin = detector("adwin", parameters);
        let at = adwin.update_many(stream).unwrap().drifts[0];
        let mut adwin = detector("adwin", parameters);
        adwin.update_many(&stream[..=at]).unwrap();
        let before = adwin.figures()[0].1;
        adwin.update(5.0).unwrap();
        (before, adwin.figures()[0].1)
    });
    assert!(widths[0].0 > 10.0 && (widths[0].1 - 1.0).abs() < 1e-12);
    assert!((widths[1].1 - widths[1].0 - 1.0).abs() < 1e-12);
}

#[test]
fn what_is_no_number_is_counted_and_not_seen() {
    let stream = errors();
    for method in METHODS {
        let (mut clean, mut holed) = (detector(method, "{}"), detector(method, "{}"));
        let mut signals = Vec::new();
        for &value in &stream {
            let signal = clean.update(value).unwrap();
            assert_eq!(holed.update(value).unwrap(), signal, "{method}");
            signals.push(signal);
            for hole in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e200] {
                // HDDM and DDM refuse what is finite and no share.
                if hole.is_finite() && holed.update(hole).is_err() {
                    continue;
                }
                let after = holed.update(f64::NAN).unwrap();
                assert_ne!(after, Signal::Drift, "{method}");
            }
        }
        assert!(signals.contains(&Signal::Drift), "{method}");
        assert_eq!(holed.count(), stream.len() as u64);
        assert_eq!(holed.drifts(), clean.drifts());
        assert!(holed.missing() > 0);
    }
}

#[test]
fn constants_and_nothing_are_borne() {
    for method in METHODS {
        let mut steady = detector(method, "{}");
        assert!(steady.update_many(&[]).unwrap().drifts.is_empty());
        let found = steady.update_many(&[1.0; 5000]).unwrap().drifts;
        assert!(found.is_empty(), "{method} {found:?}");
        let mut vast = detector(method, "{}");
        if vast.update(1e140).is_ok() {
            let values: Vec<f64> = (0..2000)
                .map(|i| if i % 2 == 0 { 1e140 } else { -1e140 })
                .collect();
            vast.update_many(&values).unwrap();
            Detector::from_json(&vast.to_json()).unwrap();
        }
    }
}

#[test]
fn bad_parameters_and_values_are_refused() {
    for (method, parameters) in [
        ("adwin", r#"{"delta":0}"#),
        ("adwin", r#"{"clock":0}"#),
        ("adwin", r#"{"max_buckets":1}"#),
        ("adwin", r#"{"dleta":0.1}"#),
        ("page_hinkley", r#"{"threshold":-1}"#),
        ("page_hinkley", r#"{"direction":"sideways"}"#),
        ("cusum", r#"{"mean":1}"#),
        ("cusum", r#"{"min_count":0}"#),
        ("ddm", r#"{"warning":4}"#),
        ("hddm_a", r#"{"drift":1}"#),
        ("hddm_w", r#"{"weight":0}"#),
        ("kswin", r#"{"recent":60}"#),
        ("kswin", r#"{"window":20000}"#),
        ("kswin", r#"{"alpha":2}"#),
        ("eddm", "{}"),
        ("adwin", "[1"),
    ] {
        let error = Detector::from_parameters(method, parameters).unwrap_err();
        assert!(!error.to_string().is_empty(), "{method} {parameters}");
    }
    for method in ["ddm", "hddm_a", "hddm_w"] {
        let mut strict = detector(method, "{}");
        assert!(strict.update_many(&[0.0, 1.5]).is_err());
        assert_eq!(strict, detector(method, "{}"), "{method}");
    }
}

#[test]
fn damaged_states_are_refused() {
    let mut adwin = detector("adwin", "{}");
    adwin.update_many(&[1.0, 2.0, 4.0]).unwrap();
    let good = adwin.to_json();
    assert_eq!(Detector::from_json(&good).unwrap(), adwin);
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"width\":3", "\"width\":4"),
        ("\"delta\":0.002", "\"delta\":7"),
        ("\"adwin\"", "\"adwim\""),
        ("\"signal\":\"steady\"", "\"signal\":\"loud\""),
    ] {
        assert!(good.contains(from), "{good}");
        assert!(
            Detector::from_json(&good.replace(from, to)).is_err(),
            "{to}"
        );
    }
}

/// What one version writes every later one reads: `TIDEGATE_BLESS=1` writes the file anew.
#[test]
fn the_written_form_is_golden() {
    let stream = errors();
    let mut lines = String::new();
    for method in METHODS {
        let mut detector = detector(method, "{}");
        detector.update_many(&stream[..1200]).unwrap();
        detector.update(f64::NAN).unwrap();
        lines.push_str(&detector.to_json());
        lines.push('\n');
    }
    let path = format!(
        "{}/../../tests/golden/drift/detectors-1.jsonl",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, &lines).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, lines);
    for (method, line) in METHODS.iter().zip(text.lines()) {
        let mut read = Detector::from_json(line).unwrap();
        let mut whole = detector(method, "{}");
        whole.update_many(&stream[..1200]).unwrap();
        let due = whole.update_many(&stream[1200..]).unwrap();
        assert_eq!(read.update_many(&stream[1200..]).unwrap(), due, "{method}");
    }
}

proptest! {
    #[test]
    fn a_stream_may_be_cut_anywhere(
        values in prop::collection::vec(prop_oneof![9 => 0.0..1.0f64, 1 => Just(f64::NAN), 2 => Just(1.0)], 0..800),
        cut in 0.0..1.0f64,
        method in 0..METHODS.len(),
    ) {
        let method = METHODS[method];
        let cut = (values.len() as f64 * cut) as usize;
        let mut whole = detector(method, "{}");
        let due = whole.update_many(&values).unwrap();
        let mut first = detector(method, "{}");
        let mut found = first.update_many(&values[..cut]).unwrap();
        let mut rest = Detector::from_json(&first.to_json()).unwrap();
        prop_assert_eq!(&rest, &first);
        let more = rest.update_many(&values[cut..]).unwrap();
        found.drifts.extend(more.drifts.iter().map(|at| at + cut));
        found.warnings.extend(more.warnings.iter().map(|at| at + cut));
        prop_assert_eq!(found, due);
        prop_assert_eq!(rest.to_json(), whole.to_json());
    }
}
