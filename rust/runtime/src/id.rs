//! Names of predictions and requests.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_predictionlog::PredictionId;

/// Makes names that no other process and no later one makes: 64 random bits of this runtime, and
/// a counter.
#[derive(Debug)]
pub struct Ids {
    prefix: u64,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

impl Ids {
    /// Names with a beginning of their own.
    #[must_use]
    pub fn new() -> Self {
        // The standard hasher's keys are random bits of the system; process and time tell apart
        // the children of one parent, which inherit its keys.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        hasher.write_u128(since.map_or(0, |since| since.as_nanos()));
        Self {
            prefix: hasher.finish(),
            next: AtomicU64::new(0),
        }
    }

    /// The next name.
    #[must_use]
    pub fn next(&self) -> PredictionId {
        PredictionId {
            prefix: self.prefix,
            count: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_keep_their_prefix() {
        let ids = Ids::new();
        let (first, second) = (ids.next().text(), ids.next().text());
        assert_eq!(first.len(), 24);
        assert_eq!(first[..16], second[..16]);
        assert_eq!((&first[16..], &second[16..]), ("00000000", "00000001"));
        ids.next.store(0x1_2345_6789, Ordering::Relaxed);
        assert_eq!(&ids.next().text()[16..], "123456789");
        assert_ne!(Ids::new().prefix, ids.prefix);
    }
}
