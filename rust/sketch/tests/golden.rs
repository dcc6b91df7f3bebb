//! The written form of each summary, byte for byte: what one version writes every later one reads.
//!
//! `TIDEGATE_BLESS=1 cargo test -p tidegate-sketch --test golden` writes the files; do that only
//! for a new form, never to make a changed one pass.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use tidegate_sketch::{
    Covariance, Distinct, Frequencies, FrequentItems, Histogram, Moments, Overflow, Quantiles,
    RelativeQuantiles, Reservoir,
};

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

#[test]
fn relative_quantiles() {
    let mut quantiles = RelativeQuantiles::with_accuracy(0.05, 40).unwrap();
    quantiles.update_many(&VALUES);
    quantiles.update_many(&[0.0, 1e-9, 250.0]);
    let text = golden("relative-quantiles-1.json", &quantiles.to_json());
    assert_eq!(RelativeQuantiles::from_json(&text).unwrap(), quantiles);
}

#[test]
fn distinct() {
    let mut distinct = Distinct::with_precision(5).unwrap();
    distinct.update_many(&VALUES);
    distinct.update_text("UA");
    let text = golden("distinct-sparse-1.json", &distinct.to_json());
    assert_eq!(Distinct::from_json(&text).unwrap(), distinct);
    for i in 0..500 {
        distinct.update_text(&i.to_string());
        distinct.update_integers(&[i, i << 50]);
    }
    let text = golden("distinct-dense-1.json", &distinct.to_json());
    assert_eq!(Distinct::from_json(&text).unwrap(), distinct);
}

#[test]
fn frequent_items() {
    let mut items = FrequentItems::new(2).unwrap();
    let texts = ["UA", "", "UA", "Zürich \"x\"", "late", "B6", "UA"];
    items.update_many(texts.map(Some).into_iter().chain([None]));
    let text = golden("frequent-items-1.json", &items.to_json());
    assert_eq!(FrequentItems::from_json(&text).unwrap(), items);
}

#[test]
fn reservoir() {
    let mut reservoir = Reservoir::new(3, 2, 7).unwrap();
    reservoir.update_many(&VALUES[..6]).unwrap();
    reservoir.update_many(&[1.0; 40]).unwrap();
    let text = golden("reservoir-1.json", &reservoir.to_json());
    assert_eq!(Reservoir::from_json(&text).unwrap(), reservoir);
}

#[test]
fn covariance() {
    let mut covariance = Covariance::new(3).unwrap();
    covariance
        .update_many(&[1.0, 2.0, 0.5, f64::NAN, 1.0, 1.0, 3.0, 1.0, 0.25])
        .unwrap();
    let text = golden("covariance-1.json", &covariance.to_json());
    assert_eq!(Covariance::from_json(&text).unwrap(), covariance);
}
