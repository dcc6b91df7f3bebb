//! The Python extension tidegate._core: converts, calls, converts.
