//! The one way in which the state of a test becomes JSON and is read back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
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

/// A state as a part of another document; as a text it is canonical.
pub(crate) fn value<T: Versioned>(state: &T) -> Value {
    let document = Document {
        state,
        version: VERSION,
    };
    // `Value` keeps its keys sorted.
    serde_json::to_value(&document).unwrap_or_default()
}

/// Canonical JSON: sorted keys, no white space.
pub(crate) fn write<T: Versioned>(state: &T) -> String {
    match value(state) {
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

fn check<T: Versioned>(Version { version }: &Version) -> Result<()> {
    if *version > VERSION {
        return Err(Error::state(format!(
            "{} of version {version} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate",
            T::WHAT
        )));
    }
    Ok(())
}

/// Reads what [`write`] wrote.
pub(crate) fn read<T: Versioned>(text: &str) -> Result<T> {
    let unreadable = |error| Error::state(format!("not {}: {error}", T::WHAT));
    check::<T>(&serde_json::from_str(text).map_err(unreadable)?)?;
    sound(serde_json::from_str(text).map_err(unreadable)?)
}

/// Reads what [`value`] gave.
pub(crate) fn read_value<T: Versioned>(value: Value) -> Result<T> {
    let unreadable = |error| Error::state(format!("not {}: {error}", T::WHAT));
    check::<T>(&Version::deserialize(&value).map_err(unreadable)?)?;
    sound(serde_json::from_value(value).map_err(unreadable)?)
}

fn sound<T: Versioned>(document: Document<T>) -> Result<T> {
    if !document.state.is_sound() {
        return Err(Error::state(format!(
            "{} whose sums contradict each other: it was damaged or edited, begin a new one",
            T::WHAT
        )));
    }
    Ok(document.state)
}
