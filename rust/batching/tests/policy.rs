//! The policy and the queue in virtual time: no thread and no clock runs here.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod simulator;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use simulator::{Item, at, micros};
use tidegate_batching::policy::{Cutter, Fate, INLINE_LIMIT, MAX_PASSED_OVER, Place, place, share};
use tidegate_batching::{AGEING, Limits, PROBE_AFTER, PROBE_AT_MOST_AFTER, Queue, Reason, Refusal};

fn limits(max_batch_rows: usize, max_queue_rows: usize) -> Limits {
    Limits {
        max_batch_rows,
        max_queue_rows,
        ..Limits::default()
    }
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let due = prop::option::of(0_u64..50_000);
    let one = (
        0_usize..40,
        0_u8..3,
        prop::bool::weighted(0.2),
        0_u32..4,
        due,
    );
    prop::collection::vec(one, 0..60).prop_map(|raw| {
        let make = |(id, (rows, kind, abandoned, priority, due))| Item {
            kind,
            abandoned,
            priority,
            deadline: Option::map(due, |due| at(100_000 + due)),
            ..Item::new(id, rows, at(id as u64))
        };
        raw.into_iter().enumerate().map(make).collect()
    })
}

/// Priority first, then the deadline, then arrival.
fn urgency(item: &Item) -> (u32, Instant, usize) {
    let rank = if item.priority == 0 { 8 } else { item.priority };
    (rank, item.deadline.unwrap_or(at(900_000)), item.id)
}

proptest! {
    #[test]
    fn batches_lose_nothing_mix_nothing_and_respect_the_limit(items in items(), max in 1_usize..30) {
        let mut queue = Queue::new(limits(max, 1_000_000), 1);
        for item in &items {
            queue.push(item.clone()).unwrap();
        }
        let mut fates = HashMap::new();
        while let Some(taken) = queue.take(0, at(1_000)) {
            let rows: usize = taken.batch.iter().map(|item| item.rows).sum();
            prop_assert_eq!(rows, taken.rows);
            prop_assert!(rows <= max || taken.batch.len() == 1);
            prop_assert!(taken.batch.windows(2).all(|pair| pair[0].kind == pair[1].kind));
            prop_assert!(taken.batch.windows(2).all(|p| urgency(&p[0]) < urgency(&p[1])));
            for item in taken.batch {
                prop_assert!(fates.insert(item.id, false).is_none());
            }
            for refused in taken.refused {
                prop_assert_eq!(refused.refusal.reason, Reason::Abandoned);
                prop_assert!(fates.insert(refused.work.id, true).is_none());
            }
        }
        prop_assert_eq!(fates.len(), items.len());
        prop_assert!(items.iter().all(|item| fates[&item.id] == item.abandoned));
        prop_assert_eq!((queue.rows(), queue.bytes(), queue.is_timed()), (0, 0, false));
    }

    #[test]
    fn the_most_urgent_leads_each_batch(items in items(), max in 1_usize..30) {
        let mut left: Vec<Item> = items.into_iter().filter(|item| !item.abandoned).collect();
        let mut queue = Queue::new(limits(max, 1_000_000), 1);
        for item in &left {
            queue.push(item.clone()).unwrap();
        }
        while let Some(taken) = queue.take(0, at(1_000)) {
            let first = left.iter().min_by_key(|item| urgency(item)).unwrap();
            prop_assert_eq!(taken.batch[0].id, first.id);
            left.retain(|item| taken.batch.iter().all(|run| run.id != item.id));
        }
        prop_assert!(left.is_empty());
    }

    #[test]
    fn the_queue_is_bounded_in_rows_and_bytes(
        items in items(),
        rows in 1_usize..50,
        bytes in 1_usize..400,
    ) {
        let limits = Limits { max_queue_bytes: bytes, ..limits(8, rows) };
        let mut queue = Queue::new(limits, 1);
        // Works without rows weigh one each.
        let mut weight = 0;
        for item in items {
            let (own, held) = (item.rows, item.bytes);
            weight += own.max(1);
            if let Err(refused) = queue.push(item) {
                let expected = if own > rows || held > bytes {
                    Reason::TooLarge
                } else if weight > rows {
                    Reason::Rows
                } else {
                    Reason::Bytes
                };
                weight -= own.max(1);
                prop_assert_eq!(refused.refusal.reason, expected);
                prop_assert_eq!(refused.work.rows, own);
            }
            prop_assert!(queue.rows() <= rows && queue.bytes() <= bytes);
        }
    }

    /// One backend, random arrivals, a batch of n rows takes `fixed + each × n`: whoever waits
    /// does so only while a batch runs that began before it came.
    #[test]
    fn an_idle_backend_never_leaves_work_waiting(
        gaps in prop::collection::vec(0_u64..300, 1..200),
        fixed in 1_u64..200,
        each in 0_u64..50,
    ) {
        let mut now = 0;
        let arrivals = gaps.iter().map(|gap| { now += gap; now });
        let mut arrivals = arrivals.enumerate().peekable();
        let mut queue = Queue::new(limits(64, 1_000_000), 1);
        let (mut free, mut answered) = (0_u64, 0);
        while answered < gaps.len() {
            let next = arrivals.peek().map_or(u64::MAX, |(_, at)| *at);
            let now = if queue.is_empty() { free.max(next) } else { free };
            while let Some((id, came)) = arrivals.next_if(|(_, came)| *came <= now) {
                queue.push(Item::new(id, 1, at(came))).unwrap();
            }
            let taken = queue.take(0, at(now)).unwrap();
            let idle_since = free;
            for item in &taken.batch {
                prop_assert!(now == idle_since || item.arrived == at(now));
            }
            answered += taken.batch.len();
            free = now + fixed + each * taken.rows as u64;
            queue.done(0, at(now), at(free), Some(taken.rows));
        }
    }
}

fn known(limits: Limits, each: u64) -> Queue<Item> {
    let mut queue = Queue::new(limits, 1);
    // Often enough to be sure of it.
    for _ in 0..60 {
        for rows in [1, 8, 64, 256] {
            queue.done(0, at(0), at(each * rows as u64), Some(rows));
        }
    }
    queue
}

#[test]
fn what_cannot_be_in_time_is_refused_at_the_door() {
    let mut queue = known(limits(8, 1_000), 100);
    let due = |id, rows, time| Item {
        deadline: Some(at(time)),
        ..Item::new(id, rows, at(0))
    };
    queue.push(Item::new(0, 8, at(0))).unwrap();
    queue.take(0, at(0)).unwrap();
    // 800 µs are left of what runs.
    queue.push(due(1, 4, 1_300)).unwrap();
    let refused = queue.push(due(2, 6, 1_350)).unwrap_err();
    assert_eq!(refused.refusal.reason, Reason::Deadline);
    let wait = refused.refusal.retry_after.unwrap();
    assert!(wait > micros(0) && wait < micros(900), "{wait:?}");
    // A more important one goes first, and without a deadline nothing is refused.
    let urgent = Item {
        priority: 1,
        ..due(3, 4, 1_300)
    };
    queue.push(urgent).unwrap();
    queue.push(Item::new(4, 100, at(0))).unwrap();
    queue.done(0, at(0), at(800), Some(8));
    // The one that has been overtaken cannot make it any more.
    let taken = queue.take(0, at(800)).unwrap();
    assert_eq!(taken.batch[0].id, 3);
    let late: Vec<_> = taken
        .refused
        .iter()
        .map(|r| (r.work.id, r.refusal.reason))
        .collect();
    assert!(late.is_empty() || late == [(1, Reason::Deadline)]);
    let rest = queue.take(0, at(1_300)).unwrap();
    assert_eq!(rest.batch[0].id, 4);
}

#[test]
fn the_objective_is_the_deadline_of_all() {
    let limits = Limits {
        objective: Some(micros(1_000)),
        ..limits(256, 100_000)
    };
    let mut queue = known(limits, 10);
    let accepted = (0..1_000).take_while(|id| queue.push(Item::new(*id, 1, at(0))).is_ok());
    let accepted = accepted.count();
    assert!(
        (40..=100).contains(&accepted),
        "{accepted} in 1000 µs at 10 µs each"
    );
    let mut now = 0;
    let mut in_time = 0;
    while let Some(taken) = queue.take(0, at(now)) {
        now += 10 * taken.rows as u64;
        in_time += taken.rows;
        assert!(now <= 1_000);
        assert!(taken.refused.is_empty());
    }
    assert_eq!(in_time, accepted);
}

#[test]
fn a_wrong_estimate_does_not_refuse_for_ever() {
    let limits = Limits {
        objective: Some(micros(1_000)),
        ..limits(256, 100_000)
    };
    let mut queue = known(limits, 5_000);
    let learned = at(5_000 * 256);
    let refused = queue.push(Item::new(0, 1, learned)).unwrap_err();
    assert_eq!(refused.refusal.reason, Reason::Deadline);
    let later = learned + PROBE_AFTER;
    let early = Item::new(0, 1, later - micros(1));
    assert!(queue.push(early).is_err());
    queue.push(Item::new(1, 1, later)).unwrap();
    assert!(queue.push(Item::new(2, 1, later)).is_err(), "one is enough");
    let taken = queue.take(0, later).unwrap();
    assert_eq!(taken.batch.len(), 1);
    // It was right: the next one comes after twice the time, and at last after a second.
    let mut learned = later + micros(5_000);
    let mut pauses = Vec::new();
    for id in 3..20 {
        queue.done(0, learned - micros(5_000), learned, Some(1));
        let pause = (1..).map(Duration::from_millis).find(|pause| {
            let item = Item::new(id, 1, learned + *pause);
            queue.push(item).is_ok()
        });
        pauses.extend(pause);
        learned += pauses[pauses.len() - 1];
        queue.take(0, learned).unwrap();
        learned += micros(5_000);
    }
    assert_eq!(pauses[0], 2 * PROBE_AFTER);
    assert_eq!(pauses[1], 4 * PROBE_AFTER);
    assert_eq!(pauses[pauses.len() - 1], PROBE_AT_MOST_AFTER);
}

#[test]
fn what_was_waited_unseen_counts_towards_the_objective() {
    let limits = Limits {
        objective: Some(micros(1_000)),
        ..limits(256, 100_000)
    };
    let item = |waited| Item {
        waited: micros(waited),
        ..Item::new(0, 1, at(3_000))
    };
    for (waited, most) in [(0, 100), (300, 70), (500, 50), (1_000, 0), (5_000, 0)] {
        let mut queue = known(limits, 10);
        let accepted = (0..200).take_while(|_| queue.push(item(waited)).is_ok());
        let accepted = accepted.count();
        assert!(
            (most * 4 / 10..=most).contains(&accepted),
            "{accepted} after {waited}"
        );
    }
}

#[test]
fn a_longest_delay_bounds_the_wait_and_not_the_run() {
    let limits = Limits {
        max_delay: Some(micros(1_000)),
        ..limits(8, 100_000)
    };
    let mut queue = known(limits, 500);
    queue.push(Item::new(0, 8, at(0))).unwrap();
    queue.take(0, at(0)).unwrap();
    let refused = queue.push(Item::new(1, 1, at(0))).unwrap_err();
    assert_eq!(refused.refusal.reason, Reason::Delay);
    queue.push(Item::new(2, 1, at(3_500))).unwrap();
    let taken = queue.take(0, at(4_501)).unwrap();
    assert_eq!(taken.refused[0].refusal.reason, Reason::Delay);
    assert!(taken.batch.is_empty());
}

#[test]
fn nothing_starves() {
    let mut queue = Queue::new(limits(1, 100_000), 1);
    let last = Item {
        priority: 16,
        ..Item::new(usize::MAX, 1, at(0))
    };
    queue.push(last).unwrap();
    // Important work comes as fast as it can be served.
    for step in 0.. {
        let now = at(1_000 * step);
        let first = Item {
            priority: 1,
            deadline: Some(now + micros(10_000)),
            ..Item::new(step as usize, 1, now)
        };
        queue.push(first).unwrap();
        let taken = queue.take(0, now).unwrap();
        let waited = now - at(0);
        if taken.batch[0].id == usize::MAX {
            assert!(waited >= AGEING * 15, "overtaken too soon: {waited:?}");
            break;
        }
        assert!(waited < AGEING * 16, "starved");
    }
    // Nor does a work without a deadline behind those that have one.
    let mut queue = Queue::new(limits(1, 100_000), 1);
    queue.push(Item::new(usize::MAX, 1, at(0))).unwrap();
    for step in 0.. {
        let now = at(1_000 * step);
        let near = Item {
            deadline: Some(now + micros(500)),
            ..Item::new(step as usize, 1, now)
        };
        queue.push(near).unwrap();
        let taken = queue.take(0, now).unwrap();
        if taken.batch[0].id == usize::MAX {
            break;
        }
        assert!(now - at(0) < Duration::from_secs(2), "starved");
    }
}

#[test]
fn kinds_that_alternate_still_form_batches() {
    let mut queue = Queue::new(limits(64, 100_000), 1);
    for id in 0..64 {
        let item = Item {
            kind: (id % 2) as u8,
            ..Item::new(id, 1, at(id as u64))
        };
        queue.push(item).unwrap();
    }
    for kind in 0..2 {
        let taken = queue.take(0, at(100)).unwrap();
        let ids: Vec<usize> = taken.batch.iter().map(|item| item.id).collect();
        assert_eq!(ids, (kind..64).step_by(2).collect::<Vec<_>>());
    }
    assert!(queue.is_empty());
}

#[test]
fn full_queues_are_swept_once_between_batches() {
    let mut queue = Queue::new(limits(4, 8), 1);
    for id in 0..8 {
        let item = Item {
            abandoned: id % 2 == 1,
            ..Item::new(id, 1, at(0))
        };
        queue.push(item).unwrap();
    }
    let refused = queue.push(Item::new(8, 1, at(1))).unwrap_err();
    assert!(refused.refusal.is_full());
    let swept: Vec<usize> = queue.sweep(at(1)).iter().map(|r| r.work.id).collect();
    assert_eq!(swept, [1, 3, 5, 7]);
    assert_eq!(queue.rows(), 4);
    let taken = queue.take(0, at(2)).unwrap();
    let ids: Vec<usize> = taken.batch.iter().map(|item| item.id).collect();
    assert_eq!(ids, [0, 2, 4, 6]);
}

#[test]
fn idle_instances_share_what_is_dear() {
    let cost = |time| Some(micros(time));
    assert_eq!(share(64, 1, cost(1_000)), 32);
    assert_eq!(share(64, 1, cost(100)), 64);
    assert_eq!(share(64, 0, cost(1_000)), 64);
    assert_eq!(share(64, 3, None), 64);
    let mut queue = Queue::new(limits(64, 1_000), 2);
    for instance in 0..2 {
        for _ in 0..60 {
            queue.done(instance, at(0), at(1_000), Some(64));
        }
    }
    for id in 0..64 {
        queue.push(Item::new(id, 1, at(0))).unwrap();
    }
    assert_eq!(queue.take(0, at(0)).unwrap().rows, 32);
    assert_eq!(queue.take(1, at(0)).unwrap().rows, 32);
}

#[test]
fn the_first_work_is_always_taken() {
    let mut cutter = Cutter::new(8);
    assert_eq!(cutter.consider(100, true, 50), Fate::Take);
    assert!(cutter.is_full());
    assert_eq!(cutter.consider(1, true, 50), Fate::Stop);
    let mut cutter = Cutter::new(8);
    assert_eq!(cutter.consider(1, true, usize::MAX), Fate::Take);
    assert_eq!(cutter.consider(100, true, usize::MAX), Fate::Stop);
    for _ in 0..MAX_PASSED_OVER {
        assert_eq!(cutter.consider(1, false, usize::MAX), Fate::PassOver);
    }
    assert_eq!(cutter.consider(1, false, usize::MAX), Fate::Stop);
}

#[test]
fn a_refusal_says_whether_room_would_help() {
    for reason in Reason::ALL {
        let full = matches!(reason, Reason::Rows | Reason::Bytes);
        assert_eq!(Refusal::from(reason).is_full(), full, "{}", reason.name());
    }
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

proptest! {
    /// Whatever waits: at its time it is refused, wherever it stands, and nothing else is.
    #[test]
    fn what_is_due_is_refused_and_the_rest_keeps_its_order(
        items in items(),
        now in 100_000_u64..160_000,
    ) {
        let mut queue = Queue::new(limits(1_000_000, 1_000_000), 1);
        for item in &items {
            queue.push(item.clone()).unwrap();
        }
        let earliest = items.iter().filter_map(|item| item.deadline).min();
        prop_assert_eq!(queue.due(), earliest);
        let own = items.iter().any(|item| item.deadline.is_some());
        prop_assert_eq!(queue.has_own_deadlines(), own);
        let unwanted = |item: &Item| item.abandoned || item.deadline.is_some_and(|due| due <= at(now));
        let refused = queue.expire(at(now));
        prop_assert!(refused.iter().all(|refused| unwanted(&refused.work)));
        prop_assert_eq!(refused.len(), items.iter().filter(|item| unwanted(item)).count());
        let mut left: Vec<&Item> = items.iter().filter(|item| !unwanted(item)).collect();
        prop_assert_eq!(queue.due(), left.iter().filter_map(|item| item.deadline).min());
        prop_assert_eq!(queue.rows(), left.iter().map(|item| item.rows).sum::<usize>());
        // None has aged beyond another: the same order as without the others.
        left.sort_by_key(|item| (item.kind, urgency(item)));
        let mut taken = Vec::new();
        while let Some(batch) = queue.take(0, at(items.len() as u64)) {
            taken.extend(batch.batch);
        }
        taken.sort_by_key(|item| item.kind);
        let taken: Vec<usize> = taken.iter().map(|item| item.id).collect();
        let left: Vec<usize> = left.iter().map(|item| item.id).collect();
        prop_assert_eq!(taken, left);
    }
}
