//! The one way in which the state of a test becomes JSON and is read back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

/// The version written into serialised states.
const VERSION: u32 = 1;

/// A state that is written with a version.
pub(crate) trait Versioned: Serialize + DeserializeOwned {
    /// What it is, with its article, for errors.
    const WHAT: &'static str;

    /// Can a stream have led to this state?
    fn is_sound(&self) -> bool;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    state: T,
    version: u32,
}

/// Canonical JSON: sorted keys, no white space.
pub(crate) fn write<T: Versioned>(state: &T) -> String {
    let document = Document {
        state,
        version: VERSION,
    };
    serde_json::to_value(&document)
        .map(|value| value.to_string())
        .unwrap_or_default()
}

/// Reads what [`write`] wrote.
pub(crate) fn read<T: Versioned>(text: &str) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let unreadable = |error| Error::state(format!("not {}: {error}", T::WHAT));
    let Version { version } = serde_json::from_str(text).map_err(unreadable)?;
    if version > VERSION {
        return Err(Error::state(format!(
            "{} of version {version} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate",
            T::WHAT
        )));
    }
    let document: Document<T> = serde_json::from_str(text).map_err(unreadable)?;
    if !document.state.is_sound() {
        return Err(Error::state(format!(
            "{} whose sums contradict each other: it was damaged or edited, begin a new one",
            T::WHAT
        )));
    }
    Ok(document.state)
}
