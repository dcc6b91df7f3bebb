//! Mergeable one-pass summaries of streams of values.
