//! The size of batches while costs scatter, in virtual time: what is equally fast is not split, and
//! what has a sweet spot is run in it.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod simulator;

use simulator::{Item, NETWORK, Random, Recorded, STEP, TREES, cost, instant};
use tidegate_batching::{Limits, Queue};

/// What a batch takes that would take so long undisturbed; the second number counts batches.
type Noise = fn(&mut Random, f64, usize) -> f64;

fn uniform(random: &mut Random, time: f64, _: usize) -> f64 {
    time * (0.8 + 0.4 * random.unit())
}

/// The thread loses the core for a time slice; the longer a batch, the more likely.
fn descheduled(random: &mut Random, time: f64, _: usize) -> f64 {
    let lost = random.unit() < time / 4_000.0;
    time * (0.95 + 0.1 * random.unit()) + if lost { 4_000.0 * random.unit() } else { 0.0 }
}

/// Somebody else has half of the core for some hundred batches, then not.
fn in_turns(random: &mut Random, time: f64, batch: usize) -> f64 {
    let factor = if (batch / 400).is_multiple_of(2) {
        1.0
    } else {
        2.0
    };
    factor * time * (0.95 + 0.1 * random.unit())
}

/// All of it.
fn all_at_once(random: &mut Random, time: f64, batch: usize) -> f64 {
    let time = in_turns(random, time, batch);
    let time = uniform(random, time, batch);
    descheduled(random, time, batch)
}

const NOISES: [(&str, Noise); 4] = [
    ("uniform", uniform),
    ("descheduled", descheduled),
    ("in turns", in_turns),
    ("all at once", all_at_once),
];

/// So many clients ask again as soon as all are answered. Gives the throughput as a share of that
/// of the best size, and the rows of a batch; both as undisturbed batches would have them.
fn closed_loop(recorded: Recorded, clients: usize, noise: Noise, seed: u64) -> (f64, f64) {
    const BATCHES: usize = 6_000;
    let mut queue = Queue::new(Limits::default(), 1);
    let mut random = Random(seed);
    let (mut now, mut spent, mut rows, mut batches) = (0.0, 0.0, 0, 0);
    while batches < BATCHES {
        for id in 0..clients {
            queue.push(Item::new(id, 1, instant(now))).unwrap();
        }
        while let Some(taken) = queue.take(0, instant(now)) {
            let undisturbed = cost(recorded, taken.rows);
            let end = now + noise(&mut random, undisturbed, batches);
            queue.done(0, instant(now), instant(end), Some(taken.rows));
            now = end;
            batches += 1;
            if batches > BATCHES / 10 {
                spent += undisturbed;
                rows += taken.rows;
            }
        }
    }
    let of_size = |size: usize| {
        let rest = clients % size;
        let rest = if rest > 0 { cost(recorded, rest) } else { 0.0 };
        (clients / size) as f64 * cost(recorded, size) + rest
    };
    let best = (1..=clients).map(of_size).fold(f64::INFINITY, f64::min);
    let best = clients as f64 / best;
    let counted = (BATCHES - BATCHES / 10) as f64;
    (rows as f64 / spent / best, rows as f64 / counted)
}

/// The least of some runs: throughput, and rows of a batch as a share of the clients.
fn least(recorded: Recorded, noise: Noise, clients: &[usize]) -> (f64, f64) {
    let runs = clients.iter().flat_map(|clients| {
        (0..3).map(|seed| {
            let (share, mean) = closed_loop(recorded, *clients, noise, seed);
            (share, mean / *clients as f64)
        })
    });
    runs.fold((1.0, 1.0), |a, b| (a.0.min(b.0), a.1.min(b.1)))
}

#[test]
fn what_is_as_fast_in_one_batch_is_not_split() {
    for (kind, noise) in NOISES {
        for (name, recorded) in [("trees", TREES), ("network", NETWORK)] {
            let (share, mean) = least(recorded, noise, &[32, 128, 200]);
            assert!(share >= 0.97, "{name}, {kind}: {share} of the best");
            assert!(mean >= 0.5, "{name}, {kind}: {mean} of the waiting rows");
        }
    }
}

#[test]
fn what_has_a_sweet_spot_is_run_in_it() {
    for (kind, noise) in NOISES {
        let (share, _) = least(STEP, noise, &[96, 128, 200]);
        // A machine whose speed doubles every few hundred batches hides what sizes differ by.
        let goal = match kind {
            "uniform" | "descheduled" => 0.97,
            _ => 0.85,
        };
        assert!(share >= goal, "{kind}: {share} of the best");
    }
}
