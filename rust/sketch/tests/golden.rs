//! The written form of each summary, byte for byte: what one version writes every later one reads.
//!
//! `TIDEGATE_BLESS=1 cargo test -p tidegate-sketch --test golden` writes the files; do that only
//! for a new form, never to make a changed one pass.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use tidegate_sketch::{Frequencies, Histogram, Moments, Overflow, Quantiles};

fn golden(name: &str, found: &str) -> String {
    let path = format!(
        "{}/../../tests/golden/sketch/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, found, "{name}");
    text
}

const VALUES: [f64; 7] = [3.0, -1.5, 0.25, f64::NAN, 8.0, f64::INFINITY, 0.1];

#[test]
fn moments() {
    let mut moments = Moments::new();
    moments.update_many(&VALUES);
    let text = golden("moments-1.json", &moments.to_json());
    assert_eq!(Moments::from_json(&text).unwrap(), moments);
    let text = golden("moments-empty-1.json", &Moments::new().to_json());
    assert_eq!(Moments::from_json(&text).unwrap(), Moments::new());
}

#[test]
fn histogram() {
    let mut histogram = Histogram::new(vec![0.0, 1.0, 3.0]).unwrap();
    histogram.update_many(&VALUES);
    let text = golden("histogram-1.json", &histogram.to_json());
    assert_eq!(Histogram::from_json(&text).unwrap(), histogram);
}

#[test]
fn frequencies() {
    let mut frequencies = Frequencies::new(3, Overflow::Other).unwrap();
    for text in ["UA", "", "UA", "Zürich \"x\"", "late"] {
        frequencies.update(text).unwrap();
    }
    frequencies.update_missing(2);
    let text = golden("frequencies-1.json", &frequencies.to_json());
    assert_eq!(Frequencies::from_json(&text).unwrap(), frequencies);
}

#[test]
fn quantiles() {
    let mut quantiles = Quantiles::with_limits(16, 8).unwrap();
    quantiles.update_many(&VALUES);
    let text = golden("quantiles-exact-1.json", &quantiles.to_json());
    assert_eq!(Quantiles::from_json(&text).unwrap(), quantiles);
    for i in 0..60 {
        quantiles.update(f64::from(i * 37 % 60));
    }
    let text = golden("quantiles-thinned-1.json", &quantiles.to_json());
    assert_eq!(Quantiles::from_json(&text).unwrap(), quantiles);
}
