//! JSON Web Keys (RFC 7517): public keys, each for the one algorithm that it can have.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a coordinate of P-256, and of a point of Ed25519.
const COORDINATE: usize = 32;

/// A way to sign. Public keys only: a secret that both sides hold would let this server sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS#1 v1.5 and SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name in headers of tokens (RFC 7518, RFC 8037).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// One public key.
#[derive(Debug)]
pub struct Key {
    /// What tokens call it.
    pub id: Option<String>,
    /// The one algorithm of its tokens.
    pub algorithm: Algorithm,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Point(Vec<u8>),
}

/// The members of a key that matter here; others are passed over, as the standard asks.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// One key of a set; `None` for a key of another kind, for another use, or malformed.
    #[must_use]
    pub fn parse(value: &Value) -> Option<Self> {
        let jwk = Jwk::deserialize(value).ok()?;
        let signs = jwk.usage.as_ref().is_none_or(|usage| usage == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !signs {
            return None;
        }
        let point =
            |text: Option<String>| decoded(&text?).filter(|bytes| bytes.len() == COORDINATE);
        let (algorithm, material) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (decoded(&jwk.n?)?, decoded(&jwk.e?)?);
                (
                    Algorithm::Rs256,
                    Material::Rsa(RsaPublicKeyComponents { n, e }),
                )
            }
            ("EC", Some("P-256")) => {
                // An uncompressed point (SEC 1, 2.3.3).
                let bytes = [vec![4], point(jwk.x)?, point(jwk.y)?].concat();
                (Algorithm::Es256, Material::Point(bytes))
            }
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, Material::Point(point(jwk.x)?)),
            _ => return None,
        };
        let declared = jwk.alg.as_ref().is_none_or(|name| name == algorithm.name());
        declared.then_some(Self {
            id: jwk.kid,
            algorithm,
            material,
        })
    }

    /// Is this the key's signature of the message?
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match (&self.material, self.algorithm) {
            (Material::Rsa(key), _) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            (Material::Point(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Material::Point(point), _) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

/// The bytes of a text in base64url without padding; `None` for anything else.
#[must_use]
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
