//! Reading a bundle's folder and holding every byte of it against the manifest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tidegate_schema::{Error, ErrorKind, Result};

use super::manifest::{self, Manifest};

/// A bundle whose bytes are those of its manifest.
///
/// The files are read once: what was verified is what is used, whatever happens to the folder
/// afterwards.
#[derive(Debug)]
pub struct Bundle {
    manifest: Manifest,
    digest: String,
    verified: bool,
    files: BTreeMap<String, Vec<u8>>,
}

/// `sha256:` and the hexadecimal digest of these bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex_digest(bytes))
}

fn hex_digest(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn damaged(message: String) -> Error {
    Error::new(ErrorKind::Integrity, message)
}

/// Reads and verifies the bundle in a folder. `digest` is the one that the registry holds for it;
/// without one the manifest itself is taken on trust, which [`Bundle::is_verified`] tells.
///
/// # Errors
/// `NotFound` without the folder or its manifest; `Integrity` where the manifest is not the one of
/// the digest, or a file is missing, beyond the manifest, truncated or changed; `State` where the
/// manifest cannot be read.
pub fn open(dir: &Path, digest: Option<&str>) -> Result<Bundle> {
    let bytes = read(dir, manifest::FILE, None, manifest::MAX_BYTES)?;
    let found = digest_of(&bytes);
    if let Some(expected) = digest
        && expected != found
    {
        return Err(damaged(format!(
            "{} in {} has digest {found} where {expected} is registered: the bundle was changed after it was published; fetch it again",
            manifest::FILE,
            dir.display()
        )));
    }
    let manifest = Manifest::parse(&bytes).map_err(|error| error.at(dir.display()))?;
    refuse_strangers(dir, &manifest)?;
    let mut files = BTreeMap::new();
    for (name, entry) in &manifest.files {
        let bytes = read(dir, name, Some(entry.size), u64::MAX)?;
        let sha256 = hex_digest(&bytes);
        if sha256 != entry.sha256 {
            return Err(damaged(format!(
                "{name} in {} has sha256 {sha256} where the manifest says {}: the file was changed; fetch the bundle again",
                dir.display(),
                entry.sha256
            )));
        }
        files.insert(name.clone(), bytes);
    }
    Ok(Bundle {
        manifest,
        digest: found,
        verified: digest.is_some(),
        files,
    })
}

/// Every file of the folder must be the manifest's: what nobody signed for may not lie there and
/// be taken for a part of the bundle.
fn refuse_strangers(dir: &Path, manifest: &Manifest) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, "", &error))?;
    for entry in entries {
        let name = entry
            .map_err(|error| unreadable(dir, "", &error))?
            .file_name();
        let name = name.to_string_lossy();
        if name != manifest::FILE && !manifest.files.contains_key(name.as_ref()) {
            return Err(damaged(format!(
                "{name:?} in {} is not in the manifest: take it out of the bundle's folder",
                dir.display()
            )));
        }
    }
    Ok(())
}

fn unreadable(dir: &Path, name: &str, error: &std::io::Error) -> Error {
    let path: PathBuf = dir.join(name);
    if error.kind() != std::io::ErrorKind::NotFound {
        return Error::new(
            ErrorKind::Integrity,
            format!("{} cannot be read: {error}", path.display()),
        );
    }
    if name.is_empty() || name == manifest::FILE {
        return Error::not_found(format!(
            "there is no bundle in {}: its {} is missing",
            dir.display(),
            manifest::FILE
        ));
    }
    damaged(format!(
        "{name} is missing from {}: fetch the bundle again",
        dir.display()
    ))
}

/// Reads a file whose size is known (or bounded) before memory is taken for it.
fn read(dir: &Path, name: &str, size: Option<u64>, limit: u64) -> Result<Vec<u8>> {
    let fail = |error: std::io::Error| unreadable(dir, name, &error);
    let file = File::open(dir.join(name)).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(damaged(format!(
            "{name} in {} is not a file",
            dir.display()
        )));
    }
    let found = metadata.len();
    if let Some(size) = size
        && found != size
    {
        let what = if found < size { "truncated" } else { "changed" };
        return Err(damaged(format!(
            "{name} in {} has {found} bytes where the manifest says {size}: the file was {what}; fetch the bundle again",
            dir.display()
        )));
    }
    if found > limit {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "{name} in {} has {found} bytes, more than {limit}",
                dir.display()
            ),
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found).unwrap_or(0));
    // One byte more than expected shows that the file grew meanwhile.
    file.take(found + 1).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

impl Bundle {
    /// What the manifest says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The digest of the manifest, which is the bundle's.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Was the manifest held against a digest from outside? Otherwise the files are only
    /// consistent with each other.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.verified
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// `State` when the bundle has no such file.
    pub fn file(&self, name: &str) -> Result<&[u8]> {
        self.files.get(name).map(Vec::as_slice).ok_or_else(|| {
            Error::state(format!(
                "the bundle has no {name}: build it again with this version of tidegate"
            ))
        })
    }

    /// The text of a file.
    ///
    /// # Errors
    /// `State` when the bundle has no such file, or it is no UTF-8.
    pub fn text(&self, name: &str) -> Result<&str> {
        std::str::from_utf8(self.file(name)?)
            .map_err(|error| Error::state(format!("{name} is not text: {error}")))
    }

    /// Does the bundle have this file?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }
}
