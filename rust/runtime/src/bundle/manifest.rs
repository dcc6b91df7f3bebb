//! The manifest of a bundle: what belongs to it, and what each file must be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

/// The newest format that is read.
pub const VERSION: u32 = 2;
/// The manifest's file name.
pub const FILE: &str = "manifest.json";
/// Most bytes of a manifest: a bound on what is read before anything is known.
pub const MAX_BYTES: u64 = 16 << 20;
/// Most files that a bundle may have.
pub const MAX_FILES: usize = 1_000;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    pub version_of_format: u32,
    /// The model's name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// When it was built, RFC 3339.
    pub created: String,
    /// Every file but the manifest itself.
    pub files: BTreeMap<String, FileEntry>,
    /// The fingerprint of `schema.json`; `None` for a model without a feature set.
    pub schema_fingerprint: Option<String>,
    /// What the model is.
    pub model: ModelEntry,
    /// How the golden rows are compared; `None` without golden rows.
    pub golden: Option<GoldenEntry>,
    /// Where it came from: free.
    pub lineage: serde_json::Value,
    /// What was measured when it was trained: free.
    pub metrics: serde_json::Value,
    /// How it is watched where nothing else is said; since format 2. Whoever loads the bundle says so
    /// in [`crate::LoadOptions`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watching: Option<serde_json::Value>,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// What kind of model a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Labels and a probability for each class.
    Classifier,
    /// One number a row.
    Regressor,
    /// Any ONNX model: tensors in, tensors out.
    Tensors,
}

/// What the model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// What kind.
    pub kind: Kind,
    /// A classifier's classes in the order of its probabilities.
    pub classes: Option<Vec<serde_json::Value>>,
}

/// How golden rows are compared: `|found - expected| <= atol + rtol * |expected|`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenEntry {
    /// How many there are.
    pub rows: usize,
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// The ONNX Runtime that computed them.
    pub onnxruntime: String,
}

impl Manifest {
    /// Reads a manifest of this or an earlier version of the format.
    ///
    /// # Errors
    /// `State`: not a manifest, of a newer format, or with files that cannot be a bundle's.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        /// Read first: a newer manifest may have fields that are unknown here.
        #[derive(Deserialize)]
        struct Tag {
            version_of_format: u32,
        }
        let broken = |error| Error::state(format!("{FILE} is not a manifest: {error}"));
        let tag: Tag = serde_json::from_slice(bytes).map_err(broken)?;
        if tag.version_of_format > VERSION {
            return Err(Error::state(format!(
                "{FILE} has format {}, newer than {VERSION}, the newest that this tidegate reads: upgrade tidegate",
                tag.version_of_format
            )));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(broken)?;
        manifest.validate()?;
        Ok(manifest)
    }

    fn validate(&self) -> Result<()> {
        if self.files.len() > MAX_FILES {
            return Err(Error::state(format!(
                "{FILE} names {} files, more than {MAX_FILES}",
                self.files.len()
            )));
        }
        for name in self.files.keys() {
            // A name must stay inside the folder, on every system.
            let plain = !name.is_empty()
                && !name.starts_with('.')
                && !name.contains(['/', '\\', '\0', ':'])
                && name != FILE;
            if !plain {
                return Err(Error::state(format!(
                    "{FILE} names a file {name:?}: names must be plain, without folders"
                )));
            }
        }
        let mut due = vec!["model.onnx"];
        if self.schema_fingerprint.is_some() {
            due.extend(["schema.json", "features.json"]);
        }
        if self.golden.is_some() {
            due.push("golden.arrow");
        }
        for name in due {
            if !self.files.contains_key(name) {
                return Err(Error::state(format!(
                    "{FILE} does not name {name}: build the bundle again"
                )));
            }
        }
        if let Some(golden) = &self.golden
            && !(golden.rtol >= 0.0 && golden.atol >= 0.0 && golden.rows > 0)
        {
            return Err(Error::state(format!(
                "{FILE} has golden rows with rows {}, rtol {} and atol {}: tolerances must not be negative, and there must be a row",
                golden.rows, golden.rtol, golden.atol
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> serde_json::Value {
        json!({
            "version_of_format": 1, "name": "m", "version": "1.0.0",
            "created": "2026-01-01T00:00:00Z",
            "files": {"model.onnx": {"sha256": "00", "size": 1}},
            "schema_fingerprint": null,
            "model": {"kind": "tensors", "classes": null},
            "golden": null, "lineage": {}, "metrics": {},
        })
    }

    fn refusal(change: impl Fn(&mut serde_json::Value)) -> String {
        let mut document = document();
        change(&mut document);
        Manifest::parse(document.to_string().as_bytes())
            .unwrap_err()
            .message
    }

    #[test]
    fn a_manifest_is_read() {
        let manifest = Manifest::parse(document().to_string().as_bytes()).unwrap();
        assert_eq!(manifest.model.kind, Kind::Tensors);
    }

    #[test]
    fn bad_manifests_are_refused_with_the_reason() {
        let newer = refusal(|d| {
            d["version_of_format"] = json!(3);
            d["unheard_of"] = json!(true);
        });
        assert!(newer.contains("upgrade tidegate"), "{newer}");
        assert!(refusal(|d| d["unheard_of"] = json!(1)).contains("unheard_of"));
        for name in ["../x", "a/b", "", ".hidden", "c:x", "manifest.json"] {
            let message = refusal(|d| d["files"][name] = json!({"sha256": "", "size": 0}));
            assert!(message.contains("plain"), "{message}");
        }
        assert!(refusal(|d| d["files"] = json!({})).contains("model.onnx"));
        assert!(refusal(|d| d["schema_fingerprint"] = json!("x")).contains("schema.json"));
        assert!(Manifest::parse(b"{").is_err());
    }
}
