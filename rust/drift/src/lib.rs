//! Baselines, windows of live observations, and the distances between them.
