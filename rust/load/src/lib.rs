//! Load generator for benchmarks: open and closed loop, every answer checked.
