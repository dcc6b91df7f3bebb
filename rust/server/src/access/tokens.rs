//! JSON Web Tokens (RFC 7519), signed (RFC 7515) by a key of a JSON Web Key Set.
//!
//! Only compact serialisation and public keys. The key decides which algorithm its tokens have: what
//! a token says of itself must agree with that, and nothing in a token is believed before its
//! signature is verified, except the name of its key.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tidegate_schema::{Error, ErrorKind, Result};

use super::admit::Caller;
use super::keyset::{Algorithm, Key, decoded};
use super::role::Grant;

/// Longest token that is looked at.
const MOST_BYTES: usize = 8 * 1024;
/// Most verified tokens that are remembered: verifying one costs more than a prediction.
const MOST_REMEMBERED: usize = 4096;
/// Longest name of a caller.
const MOST_NAME: usize = 256;

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who must have issued it.
    pub issuer: String,
    /// Whom it must be meant for.
    pub audience: String,
    /// The algorithms that are allowed, by name.
    pub algorithms: Vec<String>,
    /// The claim that holds grants: a list of texts, or one text with spaces between.
    pub claim: String,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
}

/// The public keys of an issuer, and what its tokens must say.
#[derive(Debug)]
pub struct Tokens {
    rules: Rules,
    keys: Vec<Key>,
    /// By digest, until they expire (without leeway): who is found here is not verified again.
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
}

/// A token that was verified.
#[derive(Debug)]
struct Remembered {
    caller: Arc<Caller>,
    /// The names of the claims that were looked for.
    kept: Arc<BTreeSet<String>>,
    until: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Tokens {
    /// Takes the keys of a JSON Web Key Set; those of other kinds are passed over.
    ///
    /// # Errors
    /// `State` if the text is no set or none of its keys can be used, `InvalidInput` if the rules
    /// allow no algorithm or an unknown one, or name no issuer, audience or claim.
    pub fn new(rules: Rules, keys: &str) -> Result<Self> {
        for (what, value) in [
            ("issuer", &rules.issuer),
            ("audience", &rules.audience),
            ("claim", &rules.claim),
        ] {
            if value.is_empty() {
                return Err(Error::invalid(format!(
                    "tokens have no {what} to be checked: set access.{what}"
                )));
            }
        }
        let known = |name: &String| Algorithm::ALL.iter().any(|known| known.name() == name);
        if rules.algorithms.is_empty() || !rules.algorithms.iter().all(known) {
            return Err(Error::invalid(format!(
                "the algorithms of tokens are {:?}: set access.algorithms to some of RS256, ES256 and EdDSA",
                rules.algorithms
            )));
        }
        let keys = read(&rules, keys)?;
        Ok(Self {
            rules,
            keys,
            remembered: Mutex::default(),
        })
    }

    /// Whose token this is, with these of its claims.
    ///
    /// # Errors
    /// [`Wrong::UnknownKey`] if it names a key that is not in the set, else what is wrong with it.
    pub fn find(
        &self,
        token: &str,
        kept: &Arc<BTreeSet<String>>,
        now: u64,
    ) -> std::result::Result<Arc<Caller>, Wrong> {
        if token.len() > MOST_BYTES {
            return Err(Wrong::Because("it is too long"));
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        {
            let remembered = self
                .remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = remembered.get(&digest)
                && now < known.until
                && known.kept == *kept
            {
                return Ok(Arc::clone(&known.caller));
            }
        }
        let claims = self.verified(token)?;
        let until = self.check(&claims, now)?;
        let caller = Arc::new(self.caller(&claims)?.with_claims(texts(&claims, kept)));
        self.remember(digest, &caller, kept, until, now);
        Ok(caller)
    }

    /// The claims of a token whose signature is right.
    fn verified(&self, token: &str) -> std::result::Result<Value, Wrong> {
        const NONE: Wrong = Wrong::Because("it is no JSON Web Token");
        let (message, signature) = token.rsplit_once('.').ok_or(NONE)?;
        let (header, claims) = message.split_once('.').ok_or(NONE)?;
        let header: Header = json(header).ok_or(NONE)?;
        if header.crit.is_some() {
            return Err(Wrong::Because("it has critical extensions"));
        }
        let named = |key: &&Key| header.kid.is_none() || key.id == header.kid;
        if !self.keys.iter().any(|key| named(&key)) {
            return Err(Wrong::UnknownKey);
        }
        let fitting: Vec<&Key> = self
            .keys
            .iter()
            .filter(named)
            .filter(|key| key.algorithm.name() == header.alg)
            .collect();
        if fitting.is_empty() {
            return Err(Wrong::Because("its algorithm is not allowed for its key"));
        }
        let signature = decoded(signature).ok_or(NONE)?;
        if !fitting
            .iter()
            .any(|key| key.verifies(message.as_bytes(), &signature))
        {
            return Err(Wrong::Because("its signature does not match"));
        }
        json(claims).ok_or(NONE)
    }

    /// Holds the registered claims against the rules; gives when the token ends.
    fn check(&self, claims: &Value, now: u64) -> std::result::Result<u64, Wrong> {
        const LACKS: Wrong = Wrong::Because("it lacks one of exp, iss, aud and sub");
        let (now, leeway) = (now as f64, self.rules.leeway as f64);
        let expires = claims.get("exp").and_then(Value::as_f64).ok_or(LACKS)?;
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(LACKS)?;
        let audience = claims.get("aud").ok_or(LACKS)?;
        claims.get("sub").and_then(Value::as_str).ok_or(LACKS)?;
        if now >= expires + leeway {
            return Err(Wrong::Because("it has expired"));
        }
        match claims.get("nbf").map(Value::as_f64) {
            Some(None) => return Err(Wrong::Because("its nbf is no time")),
            Some(Some(begins)) if now + leeway < begins => {
                return Err(Wrong::Because("it is not valid yet"));
            }
            _ => {}
        }
        if issuer != self.rules.issuer {
            return Err(Wrong::Because("another issuer made it"));
        }
        let meant = |value: &Value| value.as_str() == Some(&self.rules.audience);
        let for_us = meant(audience)
            || audience
                .as_array()
                .is_some_and(|several| several.iter().any(meant));
        if !for_us {
            return Err(Wrong::Because("it is meant for another audience"));
        }
        // Cut to its range by the conversion.
        Ok(expires as u64)
    }

    fn caller(&self, claims: &Value) -> std::result::Result<Caller, Wrong> {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or("");
        let printable = |byte: u8| (0x21..0x7f).contains(&byte);
        if subject.is_empty() || subject.len() > MOST_NAME || !subject.bytes().all(printable) {
            return Err(Wrong::Because("its subject cannot name a caller"));
        }
        let texts: Vec<&str> = match claims.get(&self.rules.claim) {
            Some(Value::String(text)) => text.split(' ').collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        // Issuers put scopes of other services there too: what is no grant is not for us.
        let grants = texts
            .into_iter()
            .filter_map(|text| Grant::parse(text).ok())
            .collect();
        Ok(Caller::new(format!("token:{subject}"), grants))
    }

    fn remember(
        &self,
        digest: [u8; 32],
        caller: &Arc<Caller>,
        kept: &Arc<BTreeSet<String>>,
        until: u64,
        now: u64,
    ) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, known| now < known.until);
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
        }
        let known = Remembered {
            caller: Arc::clone(caller),
            kept: Arc::clone(kept),
            until,
        };
        remembered.insert(digest, known);
    }
}

/// Those claims that are texts, numbers or bools, as texts.
fn texts(claims: &Value, kept: &BTreeSet<String>) -> Vec<(String, String)> {
    let text = |name: &String| match claims.get(name)? {
        Value::String(text) => Some(text.clone()),
        other @ (Value::Number(_) | Value::Bool(_)) => Some(other.to_string()),
        _ => None,
    };
    let found = kept.iter();
    found
        .filter_map(|name| Some((name.clone(), text(name)?)))
        .collect()
}

/// The keys of a set that may sign tokens.
fn read(rules: &Rules, text: &str) -> Result<Vec<Key>> {
    let wrong = |why: &str| {
        Error::state(format!(
            "the JSON Web Key Set {why}: it must be an object with a list `keys` that holds a public key for one of {}",
            rules.algorithms.join(", ")
        ))
    };
    let set: Value =
        serde_json::from_str(text).map_err(|error| wrong(&format!("is not JSON ({error})")))?;
    let listed = set
        .get("keys")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("has no list of keys"))?;
    let allowed = |key: &Key| {
        rules
            .algorithms
            .iter()
            .any(|name| name == key.algorithm.name())
    };
    let keys: Vec<Key> = listed
        .iter()
        .filter_map(Key::parse)
        .filter(allowed)
        .collect();
    if keys.is_empty() {
        return Err(wrong("holds no key that can be used"));
    }
    Ok(keys)
}

/// A part of a token: an object in base64url.
fn json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&decoded(part)?).ok()
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It names a key that is not in the set: the issuer may have changed its keys.
    UnknownKey,
    /// Anything else, for people.
    Because(&'static str),
}

impl Wrong {
    /// The error for the caller.
    #[must_use]
    pub fn error(self) -> Error {
        let why = match self {
            Self::UnknownKey => "its key is unknown",
            Self::Because(why) => why,
        };
        Error::new(
            ErrorKind::Unauthenticated,
            format!("the token does not count, since {why}: get another from its issuer"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = include_str!("../../../../tests/golden/access/jwks.json");
    /// Signed by another implementation.
    const TOKENS: &str = include_str!("../../../../tests/golden/access/tokens.json");
    const NOW: u64 = 1_700_000_100;

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        token: String,
        grants: Option<String>,
        wrong: Option<String>,
        #[serde(default)]
        unknown: bool,
    }

    fn rules() -> Rules {
        Rules {
            issuer: "https://login".to_owned(),
            audience: "tidegate".to_owned(),
            algorithms: ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec(),
            claim: "tidegate".to_owned(),
            leeway: 5,
        }
    }

    #[test]
    fn golden_tokens_count_or_do_not() {
        let tokens = Tokens::new(rules(), KEYS).unwrap();
        let cases: Vec<Case> = serde_json::from_str(TOKENS).unwrap();
        for case in cases {
            // The second time from memory, if it counts.
            for _ in 0..2 {
                match (tokens.find(&case.token, &Arc::default(), NOW), &case.grants) {
                    (Ok(caller), Some(grants)) => {
                        assert_eq!(caller.name(), "token:alice", "{}", case.name);
                        assert_eq!(&caller.grants(), grants, "{}", case.name);
                    }
                    (Err(Wrong::UnknownKey), None) => assert!(case.unknown, "{}", case.name),
                    (Err(Wrong::Because(why)), None) => {
                        assert_eq!(Some(why), case.wrong.as_deref(), "{}", case.name);
                    }
                    (outcome, _) => panic!("{}: {outcome:?}", case.name),
                }
            }
        }
    }

    #[test]
    fn every_change_of_a_token_is_noticed() {
        let tokens = Tokens::new(rules(), KEYS).unwrap();
        let cases: Vec<Case> = serde_json::from_str(TOKENS).unwrap();
        for case in cases.iter().filter(|case| case.grants.is_some()) {
            // The last digit of a signature has bits that do not count.
            for place in 0..case.token.len() - 1 {
                let mut wrong = case.token.as_bytes().to_vec();
                wrong[place] = if wrong[place] == b'A' { b'B' } else { b'A' };
                let wrong = String::from_utf8(wrong).unwrap();
                assert!(
                    tokens.find(&wrong, &Arc::default(), NOW).is_err(),
                    "{} at {place}",
                    case.name
                );
            }
        }
        for token in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", &"a".repeat(9000)] {
            assert!(tokens.find(token, &Arc::default(), NOW).is_err());
        }
    }

    #[test]
    fn what_is_remembered_ends_with_the_token() {
        let tokens = Tokens::new(rules(), KEYS).unwrap();
        let caller = Arc::new(Caller::new("token:x".to_owned(), Vec::new()));
        let digest = Sha256::digest("t").into();
        let none = Arc::default();
        tokens.remember(digest, &caller, &none, NOW + 1, NOW);
        assert!(tokens.find("t", &none, NOW).is_ok());
        assert!(tokens.find("t", &none, NOW + 1).is_err());
        // What was not looked for then is not known now.
        let more = Arc::new(BTreeSet::from(["tenant".to_owned()]));
        assert!(tokens.find("t", &more, NOW).is_err());
        for number in 0..=MOST_REMEMBERED as u64 {
            tokens.remember(
                Sha256::digest(number.to_le_bytes()).into(),
                &caller,
                &none,
                NOW + 1,
                NOW,
            );
        }
        assert!(tokens.remembered.lock().unwrap().len() <= MOST_REMEMBERED);
    }

    #[test]
    fn rules_and_sets_that_are_wrong_are_refused() {
        let allowed = |names: &[&str]| Rules {
            algorithms: names.iter().map(|name| (*name).to_owned()).collect(),
            ..rules()
        };
        for algorithms in [&["HS256"][..], &["none"], &[]] {
            assert!(Tokens::new(allowed(algorithms), KEYS).is_err());
        }
        let rsa_only = Tokens::new(allowed(&["RS256"]), KEYS).unwrap();
        assert_eq!(rsa_only.keys.len(), 1);
        let nameless = Rules {
            issuer: String::new(),
            ..rules()
        };
        assert!(Tokens::new(nameless, KEYS).is_err());
        for text in [
            "",
            "[]",
            "{}",
            "{\"keys\":[]}",
            "{\"keys\":[{\"kty\":\"oct\",\"k\":\"YQ\"}]}",
        ] {
            let error = Tokens::new(rules(), text).unwrap_err();
            assert!(error.message.contains("list `keys`"), "{text}");
        }
    }
}
