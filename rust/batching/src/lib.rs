//! When to cut a batch: a pure policy, and a queue with one owner.
