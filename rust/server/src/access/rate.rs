//! Rate limits by the generic cell rate algorithm: one number a key, no timer, no queue.
//!
//! Each key keeps its theoretical arrival time (TAT): when its bucket would be full again. A request
//! is let in if that is no further away than the whole burst takes (ITU-T I.371, as a leaky bucket).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tidegate_schema::{Error, Result};

/// Most keys that one limit keeps apart. Keys that have not asked for a while are forgotten; if
/// that frees nothing, new keys share one allowance.
pub const MOST_KEYS: usize = 65_536;
/// Parts of the table, each with a lock of its own.
const SHARDS: usize = 16;
/// The allowance that keys share for which there is no room.
const SHARED: u64 = 0;
/// Nanoseconds between two searches for idle keys in one part.
const BETWEEN_SWEEPS: u64 = 1_000_000_000;

/// How often: so many requests in a time, all of them at once if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    /// Nanoseconds that earn one request.
    each: u64,
}

/// What a decision leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Most requests at once.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// When all of them are back.
    pub reset: Duration,
    /// When the next one is let in; zero for a request that was.
    pub wait: Duration,
}

impl Rate {
    /// Reads `100/s`, `6000/m` or `10000/h`.
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let requests: u32 = count.trim().parse().ok().filter(|count| *count > 0)?;
            let seconds = match unit.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            let each = seconds * 1_000_000_000 / u64::from(requests);
            (each > 0).then_some(Self { requests, each })
        };
        read().ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no rate: write a whole number and a time, such as 100/s, 6000/m or 10000/h"
            ))
        })
    }

    /// Decides on a request at `now`, in nanoseconds from any beginning. Gives what is left, and
    /// the next arrival time if the request is let in.
    #[must_use]
    pub fn decide(self, arrival: u64, now: u64) -> (Allowance, Option<u64>) {
        let whole = self.each * u64::from(self.requests);
        let next = arrival.max(now) + self.each;
        let used = next - now;
        let allowance = |used: u64, wait: u64| Allowance {
            limit: self.requests,
            remaining: u32::try_from((whole - used.min(whole)) / self.each).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(used),
            wait: Duration::from_nanos(wait),
        };
        if used > whole {
            (allowance(used - self.each, used - whole), None)
        } else {
            (allowance(used, 0), Some(next))
        }
    }
}

impl Allowance {
    /// `RateLimit-Limit`, `-Remaining` and `-Reset`, as the IETF's drafts up to 07 name them.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, HeaderValue); 3] {
        let seconds = self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0);
        [
            ("ratelimit-limit", HeaderValue::from(self.limit)),
            ("ratelimit-remaining", HeaderValue::from(self.remaining)),
            ("ratelimit-reset", HeaderValue::from(seconds)),
        ]
    }
}

/// The rates of a server; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of each caller, whatever it asks for.
    pub caller: Option<Rate>,
    /// Of predictions by each model, whoever asks.
    pub model: Option<Rate>,
    /// Of predictions of each caller by each model.
    pub caller_and_model: Option<Rate>,
}

/// One rate for many keys.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    begin: Instant,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

/// A part of the table.
#[derive(Debug, Default)]
struct Shard {
    arrivals: HashMap<u64, u64>,
    /// When idle keys may be looked for again: looking costs as much as there are keys.
    sweep: u64,
}

impl Shard {
    /// Is there room for this key, if need be after idle ones are forgotten?
    fn has_room(&mut self, key: u64, now: u64) -> bool {
        let full = |shard: &Self| shard.arrivals.len() >= MOST_KEYS / SHARDS;
        if !full(self) || self.arrivals.contains_key(&key) {
            return true;
        }
        if now >= self.sweep {
            self.sweep = now + BETWEEN_SWEEPS;
            // A bucket that is full again is the same as one that was never used.
            self.arrivals.retain(|_, arrival| *arrival > now);
        }
        !full(self)
    }
}

impl Limiter {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            begin: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts a request of a key, if it is let in.
    pub fn count(&self, key: impl std::hash::Hash) -> Allowance {
        let now = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        // The hash is keyed at random: nobody can choose names that share an allowance.
        self.count_at(self.hasher.hash_one(key), now)
    }

    fn count_at(&self, key: u64, now: u64) -> Allowance {
        let shard = &self.shards[(key % SHARDS as u64) as usize];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if shard.has_room(key, now) {
            key
        } else {
            SHARED
        };
        let arrival = shard.arrivals.get(&key).copied().unwrap_or(now);
        let (allowance, next) = self.rate.decide(arrival, now);
        if let Some(next) = next {
            shard.arrivals.insert(key, next);
        }
        allowance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A token bucket as textbooks draw it: the reference, in exact numbers.
    struct Bucket {
        rate: Rate,
        /// In nanoseconds' worth of tokens.
        level: u64,
        at: u64,
    }

    impl Bucket {
        fn take(&mut self, now: u64) -> Option<u32> {
            let whole = self.rate.each * u64::from(self.rate.requests);
            self.level = (self.level + (now - self.at)).min(whole);
            self.at = now;
            let left = self.level.checked_sub(self.rate.each)?;
            self.level = left;
            Some(u32::try_from(left / self.rate.each).unwrap())
        }
    }

    proptest! {
        #[test]
        fn the_algorithm_equals_a_token_bucket(
            requests in 1u32..50,
            unit in prop::sample::select(vec!["s", "m", "h"]),
            pauses in prop::collection::vec(0u64..2_000_000_000, 1..200),
        ) {
            let rate = Rate::parse(&format!("{requests}/{unit}")).unwrap();
            let limiter = Limiter::new(rate);
            let mut bucket = Bucket { rate, level: rate.each * u64::from(requests), at: 0 };
            let mut now = 0;
            for pause in pauses {
                now += pause;
                let allowance = limiter.count_at(1, now);
                let expected = bucket.take(now);
                prop_assert_eq!(allowance.wait.is_zero(), expected.is_some());
                prop_assert_eq!(allowance.remaining, expected.unwrap_or(0));
                if expected.is_none() {
                    // Just before it is refused again, at that time let in.
                    let wait = u64::try_from(allowance.wait.as_nanos()).unwrap();
                    let arrival = bucket.at + rate.each * u64::from(requests) - bucket.level;
                    prop_assert!(rate.decide(arrival, now + wait - 1).1.is_none());
                    prop_assert!(rate.decide(arrival, now + wait).1.is_some());
                }
            }
        }
    }

    #[test]
    fn keys_are_bounded_and_idle_ones_are_forgotten() {
        let limiter = Limiter::new(Rate::parse("2/s").unwrap());
        let keys = 4 * MOST_KEYS as u64;
        let refused = (1..=keys)
            .filter(|key| !limiter.count_at(*key, 0).wait.is_zero())
            .count();
        assert!(refused > 0, "keys without room share one allowance");
        let kept = || -> usize {
            limiter
                .shards
                .iter()
                .map(|shard| shard.lock().unwrap().arrivals.len())
                .sum()
        };
        assert!(kept() <= MOST_KEYS + SHARDS);
        // Two seconds later all of them may ask again, and there is room.
        assert!((1..=1000).all(|key| limiter.count_at(keys + key, 2_000_000_000).wait.is_zero()));
        assert!(kept() <= MOST_KEYS);
    }

    #[test]
    fn what_is_no_rate_is_an_error() {
        for text in [
            "",
            "100",
            "0/s",
            "-1/s",
            "1.5/s",
            "10/d",
            "/s",
            "4000000000/s",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
        assert_eq!(Rate::parse("60/m").unwrap().each, 1_000_000_000);
    }
}
