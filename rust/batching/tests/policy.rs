//! The policy and the queue in virtual time: no thread and no clock runs here.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tidegate_batching::policy::{Cutter, Fate, INLINE_LIMIT, Place, place};
use tidegate_batching::{Limits, Queue, Reason, Work};

#[derive(Clone, Debug, PartialEq)]
struct Item {
    id: usize,
    rows: usize,
    kind: u8,
    abandoned: bool,
}

impl Work for Item {
    fn rows(&self) -> usize {
        self.rows
    }

    fn compatible(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    fn abandoned(&self) -> bool {
        self.abandoned
    }
}

fn limits(max_batch_rows: usize, max_queue_rows: usize) -> Limits {
    Limits {
        max_batch_rows,
        max_queue_rows,
    }
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let one = (0_usize..40, 0_u8..2, prop::bool::weighted(0.2));
    prop::collection::vec(one, 0..60).prop_map(|raw| {
        let make = |(id, (rows, kind, abandoned))| Item {
            id,
            rows,
            kind,
            abandoned,
        };
        raw.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #[test]
    fn batches_keep_order_lose_nothing_and_respect_the_limit(items in items(), max in 1_usize..30) {
        let mut queue = Queue::new(limits(max, 1_000_000));
        for item in &items {
            queue.push(item.clone()).unwrap();
        }
        let mut executed = Vec::new();
        let mut discarded = Vec::new();
        while let Some(taken) = queue.take() {
            let rows: usize = taken.batch.iter().map(|item| item.rows).sum();
            prop_assert_eq!(rows, taken.rows);
            prop_assert!(rows <= max || taken.batch.len() == 1);
            prop_assert!(taken.batch.windows(2).all(|pair| pair[0].kind == pair[1].kind));
            executed.extend(taken.batch);
            discarded.extend(taken.discarded);
        }
        let (gone, live): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|i| i.abandoned);
        prop_assert_eq!(executed, live);
        prop_assert_eq!(discarded, gone);
        prop_assert_eq!(queue.rows(), 0);
        prop_assert_eq!(queue.next_rows(), 0);
    }

    #[test]
    fn a_batch_is_as_large_as_it_may_be(items in items(), max in 1_usize..30) {
        let mut queue = Queue::new(limits(max, 1_000_000));
        for item in items {
            queue.push(item).unwrap();
        }
        let mut before: Option<(usize, u8)> = None;
        while let Some(taken) = queue.take() {
            let Some(first) = taken.batch.first() else { continue };
            if let Some((rows, kind)) = before {
                prop_assert!(rows + first.rows > max || kind != first.kind);
            }
            before = Some((taken.rows, first.kind));
        }
    }

    #[test]
    fn the_bound_on_the_next_batch_holds(items in items(), max in 1_usize..30) {
        let mut queue = Queue::new(limits(max, 1_000_000));
        for item in items.into_iter().filter(|item| !item.abandoned) {
            queue.push(item).unwrap();
        }
        loop {
            let bound = queue.next_rows();
            let Some(taken) = queue.take() else { break };
            prop_assert!(taken.rows <= bound);
        }
    }

    #[test]
    fn the_queue_is_bounded(items in items(), bound in 1_usize..50) {
        let mut queue = Queue::new(limits(8, bound));
        for item in items {
            let rows = item.rows;
            if let Err(refused) = queue.push(item) {
                let expected = if rows > bound { Reason::TooLarge } else { Reason::Full };
                prop_assert_eq!(refused.reason, expected);
                prop_assert_eq!(refused.work.rows, rows);
            }
            prop_assert!(queue.rows() <= bound);
        }
    }

    /// One backend, Poisson-like arrivals, a batch of n rows takes `fixed + each × n`.
    #[test]
    fn an_idle_backend_never_leaves_work_waiting(
        gaps in prop::collection::vec(0_u64..300, 1..200),
        fixed in 1_u64..200,
        each in 0_u64..50,
        max in 1_usize..64,
    ) {
        let mut arrivals: VecDeque<u64> = gaps
            .iter()
            .scan(0, |now, gap| { *now += gap; Some(*now) })
            .collect();
        let mut queue = Queue::new(limits(max, 1_000_000));
        let mut free_at = 0_u64;
        let mut last_end = 0_u64;
        let mut answered = 0;
        let mut waited = 0_u64;
        while answered < gaps.len() {
            // The backend becomes free, or the next work arrives at an idle one.
            let now = if queue.is_empty() {
                free_at.max(*arrivals.front().unwrap())
            } else {
                free_at
            };
            while arrivals.front().is_some_and(|at| *at <= now) {
                let id = arrivals.pop_front().unwrap() as usize;
                queue.push(Item { id, rows: 1, kind: 0, abandoned: false }).unwrap();
            }
            let taken = queue.take().unwrap();
            for item in &taken.batch {
                // Nobody waits longer than for the batch that ran on arrival, and those that
                // the works before it fill.
                waited = waited.max(now - item.id as u64);
            }
            prop_assert!(now == last_end || queue.is_empty() || taken.batch.len() == max);
            answered += taken.batch.len();
            free_at = now + fixed + each * taken.rows as u64;
            last_end = free_at;
        }
        prop_assert_eq!(answered, gaps.len());
        if gaps.iter().skip(1).all(|gap| *gap > fixed + each) {
            prop_assert_eq!(waited, 0, "an idle backend waits for nobody");
        }
    }
}

/// 32 clients, each sends its next request when it has its answer: the closed loop of a benchmark.
/// Without any timer the batches grow to what the cost of a batch lets gather.
#[test]
fn company_gathers_without_a_timer() {
    let mut queue = Queue::new(limits(256, 1_000_000));
    let think = 150_u64;
    let mut arrivals: VecDeque<u64> = (0..32).map(|i| i * 5).collect();
    let (mut now, mut batches, mut rows) = (0_u64, 0_u64, 0_u64);
    while batches < 1_000 {
        if queue.is_empty() {
            now = now.max(*arrivals.front().unwrap());
        }
        while arrivals.front().is_some_and(|at| *at <= now) {
            let id = arrivals.pop_front().unwrap() as usize;
            let item = Item {
                id,
                rows: 1,
                kind: 0,
                abandoned: false,
            };
            queue.push(item).unwrap();
        }
        let taken = queue.take().unwrap();
        now += 10 + 4 * taken.rows as u64;
        batches += 1;
        rows += taken.rows as u64;
        for i in 0..taken.rows as u64 {
            arrivals.push_back(now + think + i);
        }
    }
    let mean = rows as f64 / batches as f64;
    assert!(mean > 4.0, "mean batch {mean}");
}

#[test]
fn an_oversized_work_runs_alone() {
    let mut cutter = Cutter::new(8);
    assert_eq!(cutter.consider(100, false, true), Fate::Take);
    assert_eq!(cutter.consider(1, false, true), Fate::Stop);
    let mut cutter = Cutter::new(8);
    assert_eq!(cutter.consider(1, false, true), Fate::Take);
    assert_eq!(cutter.consider(100, false, true), Fate::Stop);
    assert_eq!(cutter.consider(100, true, false), Fate::Discard);
}

#[test]
fn only_batches_known_to_be_cheap_run_in_the_event_loop() {
    let (zero, half) = (Duration::ZERO, INLINE_LIMIT / 2);
    assert_eq!(place(zero, None), Place::Executor);
    assert_eq!(place(zero, Some(half)), Place::Here);
    assert_eq!(place(half, Some(half)), Place::Executor);
    assert_eq!(place(zero, Some(Duration::MAX)), Place::Executor);
    assert_eq!(place(Duration::MAX, Some(zero)), Place::Executor);
}
