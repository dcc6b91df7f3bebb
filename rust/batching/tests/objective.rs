//! The goals of the policy, in virtual time on recorded cost curves.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod simulator;

use std::time::Duration;

use simulator::{NETWORK, Outcome, Recorded, STEP, TREES, cost, fixed, learned, poisson};
use tidegate_batching::Limits;

const OBJECTIVE: f64 = 5_000.0;
/// Long enough that what fits into the queue at the end does not count.
const SECONDS: f64 = 0.3;

fn limits() -> Limits {
    Limits {
        objective: Some(Duration::from_millis(5)),
        ..Limits::default()
    }
}

/// The most rows a second of any size of batch.
fn capacity(recorded: Recorded) -> f64 {
    let rate = |rows| rows as f64 / cost(recorded, rows) * 1e6;
    (1..=256).map(rate).fold(0.0, f64::max)
}

/// The highest load above `least`, as a share of the capacity, at which 99 of 100 requests are in
/// time; nothing when there is none.
fn sustained(
    recorded: Recorded,
    least: f64,
    serve: impl Fn(&[(f64, usize)]) -> Outcome,
) -> Option<f64> {
    let keeps = |share: f64| {
        let rate = share * capacity(recorded);
        let arrivals = poisson((rate * SECONDS) as usize, rate, 1, 1);
        serve(&arrivals).keeps(OBJECTIVE)
    };
    let (mut low, mut high) = (least, 1.1);
    if !keeps(low) {
        return None;
    }
    while high - low > 0.004 {
        let middle = (low + high) / 2.0;
        if keeps(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

fn equals_the_best_of_two_knobs(recorded: Recorded) {
    let mut best = (0.5, 0, 0.0);
    for size in [16, 32, 48, 64, 128, 256, 512] {
        for delay in [0.0, 200.0, 500.0, 1_000.0, 2_000.0] {
            let serve = |arrivals: &[_]| fixed(recorded, arrivals, size, delay, OBJECTIVE);
            if let Some(share) = sustained(recorded, best.0 + 0.004, serve) {
                best = (share, size, delay);
            }
        }
    }
    // Who cannot foresee a time has to leave room for it.
    for (noise, goal) in [(0.0, 0.97), (0.2, 0.94)] {
        let serve = |arrivals: &[_]| learned(recorded, arrivals, limits(), OBJECTIVE, noise);
        let own = sustained(recorded, 0.5, serve).unwrap();
        assert!(own >= goal * best.0, "noise {noise}: {own} of {best:?}");
    }
}

#[test]
fn throughput_of_trees_equals_the_best_of_two_knobs() {
    equals_the_best_of_two_knobs(TREES);
}

#[test]
fn throughput_of_a_network_equals_the_best_of_two_knobs() {
    equals_the_best_of_two_knobs(NETWORK);
}

#[test]
fn throughput_of_a_kernel_with_a_step_equals_the_best_of_two_knobs() {
    equals_the_best_of_two_knobs(STEP);
}

#[test]
fn goodput_holds_at_three_times_the_capacity() {
    for (name, recorded) in [("trees", TREES), ("network", NETWORK), ("step", STEP)] {
        for noise in [0.0, 0.2] {
            let serve = |share: f64| {
                let rate = share * capacity(recorded) / 100.0;
                let arrivals = poisson(20_000, rate, 100, 3);
                learned(recorded, &arrivals, limits(), OBJECTIVE, noise)
            };
            let loads = [0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3];
            let peak = loads.map(|share| serve(share).goodput());
            let peak = peak.into_iter().fold(0.0, f64::max);
            let mut over = serve(3.0);
            let (share, p99) = (over.goodput() / peak, over.quantile(0.99));
            assert!(share >= 0.95, "{name}, noise {noise}: {share}");
            assert!(p99 <= OBJECTIVE, "{name}, noise {noise}: {p99}");
            assert!(over.refused > 10_000);
        }
    }
}

/// Before it knows anything it must not refuse, and what it learns must not depend on luck.
#[test]
fn a_slow_start_and_a_change_of_speed_are_survived() {
    const SLOW: Recorded = &[(1, 400.0), (128, 6_720.0)];
    let arrivals = poisson(20_000, 0.5 * capacity(TREES), 1, 5);
    let fast = learned(TREES, &arrivals, limits(), OBJECTIVE, 0.1);
    assert!(fast.keeps(OBJECTIVE));
    let mut slow = learned(SLOW, &arrivals, limits(), OBJECTIVE, 0.1);
    assert!(slow.refused > 0);
    assert!(slow.quantile(0.99) <= OBJECTIVE, "{}", slow.quantile(0.99));
    // A batch of 42 rows takes half of the objective: the other half passes while one waits.
    let possible = 42.0 / cost(SLOW, 42) * 1e6;
    assert!(slow.goodput() > 0.93 * possible, "{}", slow.goodput());
}
