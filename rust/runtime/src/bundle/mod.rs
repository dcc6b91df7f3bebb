//! Bundles: the immutable folders that models are published in.
//!
//! `docs/bundle.md` describes the format.

mod evidence;
mod folder;
mod golden;
mod manifest;
mod parts;

pub use evidence::{DEFAULT_ATOL, DEFAULT_RTOL, Evidence, GoldenRows, write_evidence};
pub use folder::{Bundle, digest_of, open};
pub use manifest::{FileEntry, GoldenEntry, Kind, Manifest, ModelEntry, VERSION};

pub(crate) use golden::replay;
pub(crate) use parts::Parts;
