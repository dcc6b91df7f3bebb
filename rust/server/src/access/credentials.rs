//! What a request shows of its sender.

/// How the text of an API key begins; anything else after `Bearer` is a token.
pub const KEY_PREFIX: &str = "tg_";

/// An API key or a token, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing was shown.
    None,
    /// An API key.
    Key(&'a str),
    /// A JSON Web Token.
    Token(&'a str),
    /// Something that cannot be read.
    Malformed,
}

impl<'a> Credentials<'a> {
    /// Finds them among headers, or the metadata of a gRPC call. Names are in lower case, as both
    /// kinds of HTTP library give them. `Authorization: Bearer …` goes before `X-API-Key: …`.
    pub fn find(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut key = Self::None;
        for (name, value) in headers {
            match name {
                "authorization" => {
                    return match std::str::from_utf8(value).map(bearer) {
                        Ok(Some(text)) if text.starts_with(KEY_PREFIX) => Self::Key(text),
                        Ok(Some(text)) => Self::Token(text),
                        Ok(None) | Err(_) => Self::Malformed,
                    };
                }
                "x-api-key" => {
                    key = std::str::from_utf8(value)
                        .map_or(Self::Malformed, |text| Self::Key(text.trim()));
                }
                _ => {}
            }
        }
        key
    }

    /// The same for a map of headers.
    #[must_use]
    pub fn of(headers: &'a http::HeaderMap) -> Self {
        Self::find(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        )
    }
}

/// What stands behind the scheme `Bearer`, whose letters may be of any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, text) = value.trim().split_once(' ')?;
    let text = text.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_where_they_are_shown() {
        let find = |headers: &[(&'static str, &'static str)]| {
            Credentials::find(headers.iter().map(|(n, v)| (*n, v.as_bytes())))
        };
        assert_eq!(find(&[("accept", "*/*")]), Credentials::None);
        assert_eq!(
            find(&[("x-api-key", " tg_a_b ")]),
            Credentials::Key("tg_a_b")
        );
        let both = [("x-api-key", "tg_a_b"), ("authorization", "bearer  tg_c_d")];
        assert_eq!(find(&both), Credentials::Key("tg_c_d"));
        let token = [("authorization", "Bearer a.b.c")];
        assert_eq!(find(&token), Credentials::Token("a.b.c"));
        for wrong in ["Basic dXNlcg==", "Bearer", "Bearer ", "tg_a_b", ""] {
            assert_eq!(
                find(&[("authorization", wrong)]),
                Credentials::Malformed,
                "{wrong}"
            );
        }
        assert_eq!(
            Credentials::find([("authorization", &b"Bearer \xff"[..])]),
            Credentials::Malformed
        );
    }
}
