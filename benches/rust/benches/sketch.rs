//! Nanoseconds a value of the summaries. Values differ from call to call only in their place, so
//! the figures are those of data in cache.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_sketch::{Frequencies, Histogram, Moments, Quantiles};

fn main() {
    divan::main();
}

/// Floats from a linear congruence, one in 64 missing.
fn values(count: usize) -> Vec<f64> {
    let mut state = 1u64;
    (0..count)
        .map(|i| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if i % 64 == 63 {
                f64::NAN
            } else {
                (state >> 33) as f64 / 1e6
            }
        })
        .collect()
}

const SIZES: [usize; 3] = [1, 32, 10_000];

#[divan::bench(args = SIZES)]
fn moments(bencher: Bencher, count: usize) {
    let values = values(count);
    let mut moments = Moments::new();
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| moments.update_many(black_box(&values)));
}

#[divan::bench(args = SIZES)]
fn histogram_of_ten_bins(bencher: Bencher, count: usize) {
    let values = values(count);
    let edges = (0..=10).map(|i| f64::from(i) * 200.0).collect();
    let Ok(mut histogram) = Histogram::new(edges) else {
        return;
    };
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| histogram.update_many(black_box(&values)));
}

#[divan::bench(args = [100_000, 4_000_000])]
fn quantiles(bencher: Bencher, count: usize) {
    let values = values(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let mut quantiles = Quantiles::new();
        quantiles.update_many(black_box(&values));
        quantiles
    });
}

#[divan::bench(args = [16, 4_000])]
fn frequencies(bencher: Bencher, distinct: usize) {
    let texts: Vec<String> = (0..10_000)
        .map(|i| format!("N{:05}", i * 7919 % distinct))
        .collect();
    let mut frequencies = Frequencies::default();
    bencher
        .counter(ItemsCount::new(texts.len()))
        .bench_local(|| {
            for text in black_box(&texts) {
                let _ = frequencies.update(text);
            }
        });
}
