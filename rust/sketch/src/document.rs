//! The one way in which a summary becomes JSON and is read back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The version written into every serialised summary.
pub(crate) const VERSION: u32 = 1;

/// Canonical JSON: sorted keys, no white space.
pub(crate) fn write<T: Serialize>(summary: &T) -> String {
    // `Value` keeps its keys sorted, which makes the text canonical.
    serde_json::to_value(summary)
        .map(|value| value.to_string())
        .unwrap_or_default()
}

/// Reads what [`write`] wrote.
pub(crate) fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::state(format!("not {what}: {error}")))
}

/// Refuses the documents of a later tidegate.
pub(crate) fn check_version(what: &str, version: u32) -> Result<()> {
    if version == 0 || version > VERSION {
        return Err(Error::state(format!(
            "{what} of version {version} where {VERSION} is the newest this tidegate reads: upgrade tidegate"
        )));
    }
    Ok(())
}
