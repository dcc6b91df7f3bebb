//! One backend in virtual time: requests come when they come, a batch takes what a recorded curve
//! says, and no thread and no clock runs.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tidegate_batching::{Limits, Queue, Refused, Work};

/// The begin of virtual time.
pub fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

pub fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// So many microseconds after the begin.
pub fn at(count: u64) -> Instant {
    base() + micros(count)
}

/// A work that is nothing but what the queue asks of it.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: usize,
    pub rows: usize,
    pub bytes: usize,
    pub kind: u8,
    pub priority: u32,
    pub arrived: Instant,
    pub waited: Duration,
    pub deadline: Option<Instant>,
    pub abandoned: bool,
}

impl Item {
    pub fn new(id: usize, rows: usize, arrived: Instant) -> Self {
        Self {
            id,
            rows,
            bytes: rows * 8,
            kind: 0,
            priority: 0,
            arrived,
            waited: Duration::ZERO,
            deadline: None,
            abandoned: false,
        }
    }
}

impl Work for Item {
    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn waited(&self) -> Duration {
        self.waited
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn priority(&self) -> u32 {
        self.priority
    }

    fn compatible(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    fn abandoned(&self) -> bool {
        self.abandoned
    }

    fn refuse(_: Refused<Self>) {}
}

/// Random numbers that are the same in every run (splitmix64).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not with, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What batches of some sizes take, in microseconds.
pub type Recorded = &'static [(usize, f64)];

/// ONNX Runtime on one thread, fresh rows in each call: a LightGBM of 200 trees with 31 leaves on
/// 20 inputs.
pub const TREES: Recorded = &[
    (1, 13.8),
    (8, 60.8),
    (32, 192.0),
    (100, 540.0),
    (128, 672.0),
];
/// The same for a network of 64 and 32 units.
pub const NETWORK: Recorded = &[(1, 10.4), (32, 16.64)];
/// Not recorded: a kernel that changes its strategy and is at its best with 48 rows.
pub const STEP: Recorded = &[(1, 20.0), (48, 96.0), (49, 196.0), (256, 1_024.0)];

/// The time of a batch: straight between the recorded sizes, and beyond the last as much a row as
/// there, since nothing was recorded that would say otherwise.
pub fn cost(recorded: Recorded, rows: usize) -> f64 {
    let size = rows as f64;
    let next = recorded.iter().position(|(at, _)| *at >= rows);
    match next {
        Some(0) => recorded[0].1,
        Some(next) => {
            let ((a, low), (b, high)) = (recorded[next - 1], recorded[next]);
            low + (high - low) * (size - a as f64) / (b - a) as f64
        }
        None => {
            let (rows, time) = recorded[recorded.len() - 1];
            time * size / rows as f64
        }
    }
}

/// A stream of requests: (microseconds, rows), Poisson.
pub fn poisson(requests: usize, each_second: f64, rows: usize, seed: u64) -> Vec<(f64, usize)> {
    let mut random = Random(seed);
    let mut now = 0.0;
    let mean = 1e6 / each_second;
    (0..requests)
        .map(|_| {
            now -= mean * (1.0 - random.unit()).ln();
            (now, rows)
        })
        .collect()
}

/// What became of a stream.
#[derive(Default)]
pub struct Outcome {
    /// Microseconds from arrival to answer, of those that were answered.
    pub latencies: Vec<f64>,
    pub refused: usize,
    /// Rows answered within the objective.
    pub good_rows: usize,
    /// When the last answer was given.
    pub end: f64,
    pub batches: Vec<usize>,
}

impl Outcome {
    /// The latency that a share of the answered requests kept.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.latencies.sort_by(f64::total_cmp);
        let last = self.latencies.len().saturating_sub(1);
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index.min(last)).copied().unwrap_or(0.0)
    }

    /// Are 99 of 100 requests answered in time, refused ones counted as not?
    pub fn keeps(&self, objective: f64) -> bool {
        let good = self.latencies.iter().filter(|l| **l <= objective).count();
        good as f64 >= 0.99 * (self.latencies.len() + self.refused) as f64
    }

    /// Rows a second that were answered in time.
    pub fn goodput(&self) -> f64 {
        self.good_rows as f64 / self.end * 1e6
    }

    fn answer(&mut self, arrived: f64, now: f64, rows: usize, objective: f64) {
        self.latencies.push(now - arrived);
        if now - arrived <= objective {
            self.good_rows += rows;
        }
        self.end = self.end.max(now);
    }
}

/// So many microseconds after the begin.
pub fn instant(micros: f64) -> Instant {
    base() + Duration::from_secs_f64(micros / 1e6)
}

/// The queue under test serves a stream; the time of each batch is off by up to `noise` of itself.
pub fn learned(
    recorded: Recorded,
    arrivals: &[(f64, usize)],
    limits: Limits,
    objective: f64,
    noise: f64,
) -> Outcome {
    let mut queue = Queue::new(limits, 1);
    let mut outcome = Outcome::default();
    let mut random = Random(7);
    let (mut next, mut now) = (0, 0.0_f64);
    loop {
        if queue.is_empty() {
            match arrivals.get(next) {
                Some((arrival, _)) => now = now.max(*arrival),
                None => return outcome,
            }
        }
        while let Some(&(arrival, rows)) = arrivals.get(next)
            && arrival <= now
        {
            let item = Item::new(next, rows, instant(arrival));
            outcome.refused += usize::from(queue.push(item).is_err());
            next += 1;
        }
        let begin = instant(now);
        let Some(taken) = queue.take(0, begin) else {
            continue;
        };
        outcome.refused += taken.refused.len();
        if taken.batch.is_empty() {
            continue;
        }
        let factor = 1.0 + noise * (2.0 * random.unit() - 1.0);
        let end = now + cost(recorded, taken.rows) * factor;
        // While the batch runs, the door is open and the queue knows what runs.
        while let Some(&(arrival, rows)) = arrivals.get(next)
            && arrival <= end
        {
            let item = Item::new(next, rows, instant(arrival));
            outcome.refused += usize::from(queue.push(item).is_err());
            next += 1;
        }
        now = end;
        queue.done(0, begin, instant(end), Some(taken.rows));
        outcome.batches.push(taken.rows);
        for item in taken.batch {
            outcome.answer(arrivals[item.id].0, now, item.rows, objective);
        }
    }
}

/// What servers with two knobs do: a batch leaves when it has `size` rows, or when its first
/// request has waited for `delay`.
pub fn fixed(
    recorded: Recorded,
    arrivals: &[(f64, usize)],
    size: usize,
    delay: f64,
    objective: f64,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut queue: VecDeque<(f64, usize)> = VecDeque::new();
    let mut queued = 0;
    let (mut next, mut now) = (0, 0.0_f64);
    loop {
        while let Some(&(arrival, rows)) = arrivals.get(next)
            && arrival <= now
        {
            queue.push_back((arrival, rows));
            queued += rows;
            next += 1;
        }
        let arrival = arrivals.get(next).map_or(f64::INFINITY, |a| a.0);
        let Some(&(first, _)) = queue.front() else {
            if arrival.is_infinite() {
                return outcome;
            }
            now = arrival;
            continue;
        };
        if queued < size && now < first + delay && arrival.is_finite() {
            now = arrival.min(first + delay);
            continue;
        }
        let (mut batch, mut taken) = (Vec::new(), 0);
        while let Some(&(arrived, rows)) = queue.front()
            && (taken == 0 || taken + rows <= size)
        {
            queue.pop_front();
            taken += rows;
            batch.push((arrived, rows));
        }
        queued -= taken;
        now += cost(recorded, taken);
        outcome.batches.push(taken);
        for (arrived, rows) in batch {
            outcome.answer(arrived, now, rows, objective);
        }
    }
}
