//! How often each arm was chosen, and why: counters that cost a few nanoseconds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::choice::By;

/// Choices of one version under one name, whatever the revision. Relaxed: they order nothing.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    counts: [AtomicU64; By::ALL.len()],
}

impl Chosen {
    pub fn add(&self, by: By) {
        if let Some(count) = self.counts.get(by as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub fn get(&self, by: By) -> u64 {
        let count = self.counts.get(by as usize);
        count.map_or(0, |count| count.load(Relaxed))
    }
}
