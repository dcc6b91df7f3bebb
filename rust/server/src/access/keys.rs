//! API keys: random texts of which only the digest is kept.
//!
//! A key holds 256 random bits, so nobody can guess it from its digest, and one round of SHA-256 is
//! enough: slow hashes protect passwords, which people choose. The key names its own record, which
//! is then compared in constant time.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tidegate_schema::{Error, Result};

use super::admit::Caller;
use super::credentials::KEY_PREFIX;
use super::role::Grant;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// The keys of a file.
#[derive(Debug, Default)]
pub struct Keys {
    by_id: HashMap<String, Record>,
}

#[derive(Debug)]
struct Record {
    digest: [u8; 32],
    expires: Option<u64>,
    caller: Arc<Caller>,
}

#[derive(Deserialize)]
struct File {
    format: u32,
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    sha256: String,
    grants: Vec<String>,
    /// For people.
    #[serde(rename = "created")]
    _created: String,
    #[serde(default)]
    expires: Option<u64>,
}

impl Keys {
    /// Reads a file that `tidegate keys` has written.
    ///
    /// # Errors
    /// `State` if it is no such file or of a later format, or an entry is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = serde_json::from_str(text).map_err(|error| {
            Error::state(format!(
                "the keys file cannot be read ({error}): write it with tidegate keys"
            ))
        })?;
        if file.format != FORMAT {
            return Err(Error::state(format!(
                "the keys file is of format {}, this version reads {FORMAT}: use a later tidegate",
                file.format
            )));
        }
        let mut by_id = HashMap::with_capacity(file.keys.len());
        for entry in file.keys {
            let place = format!("key {:?} of the keys file", entry.name);
            let wrong = |what: &str| {
                Error::state(format!(
                    "{place}: {what}: revoke it and make another with tidegate keys"
                ))
            };
            if !is_name(&entry.name) {
                return Err(wrong(
                    "its name may hold letters, digits, '.', '_' and '-' only",
                ));
            }
            let digest = digest_of(&entry.sha256).ok_or_else(|| wrong("sha256 is no digest"))?;
            let grants = entry
                .grants
                .iter()
                .map(|grant| Grant::parse(grant).map_err(|error| error.at(&place)))
                .collect::<Result<Vec<_>>>()?;
            let record = Record {
                digest,
                expires: entry.expires,
                caller: Arc::new(Caller::new(format!("key:{}", entry.name), grants)),
            };
            if by_id.insert(entry.id, record).is_some() {
                return Err(wrong("its id is there twice"));
            }
        }
        Ok(Self { by_id })
    }

    /// Whose key this is; `None` for a key that is unknown, wrong or has expired.
    #[must_use]
    pub fn find(&self, key: &str, now: u64) -> Option<Arc<Caller>> {
        let (id, _) = key.strip_prefix(KEY_PREFIX)?.split_once('_')?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        let record = self.by_id.get(id)?;
        let same: bool = record.digest.ct_eq(&digest).into();
        let valid = record.expires.is_none_or(|end| now < end);
        (same && valid).then(|| Arc::clone(&record.caller))
    }
}

/// Names go into headers and logs.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.bytes().all(plain)
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::role::Role;

    /// Written by `tidegate keys`; every later version must read it.
    const GOLDEN: &str = include_str!("../../../../tests/golden/access/keys.json");
    const KEY: &str = "tg_00112233aabbccdd_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    #[test]
    fn the_golden_file_is_read() {
        let keys = Keys::parse(GOLDEN).unwrap();
        let caller = keys.find(KEY, 0).unwrap();
        assert_eq!(caller.name(), "key:ci");
        assert!(caller.may(Role::Predictor, Some("flight-delay")));
        assert!(!caller.may(Role::Predictor, Some("fraud")));
        assert!(keys.find(KEY, 2_000_000_000).is_none(), "it has expired");
    }

    #[test]
    fn any_other_text_is_nobodys() {
        let keys = Keys::parse(GOLDEN).unwrap();
        for place in 0..KEY.len() {
            let mut wrong = KEY.as_bytes().to_vec();
            wrong[place] ^= 1;
            assert!(keys.find(std::str::from_utf8(&wrong).unwrap(), 0).is_none());
        }
        for wrong in ["", "tg_", "tg_00112233aabbccdd", "tg_00112233aabbccdd_"] {
            assert!(keys.find(wrong, 0).is_none());
        }
    }

    #[test]
    fn a_file_that_is_wrong_is_refused() {
        for (from, to) in [
            ("\"format\": 1", "\"format\": 2"),
            ("predictor:", "emperor:"),
            ("\"name\": \"ci\"", "\"name\": \"c\\ni\""),
            ("\"sha256\": \"", "\"sha256\": \"é"),
            ("\"grants\"", "\"rights\""),
            ("{", ""),
        ] {
            let text = GOLDEN.replacen(from, to, 1);
            assert_ne!(text, GOLDEN, "{from}");
            assert!(Keys::parse(&text).is_err(), "{from}");
        }
    }
}
