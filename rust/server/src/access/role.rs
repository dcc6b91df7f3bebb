//! Roles, and the models that they are bound to.

use tidegate_schema::{Error, Result};

/// What somebody may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read metadata, statistics, metrics and drift.
    Viewer,
    /// Ask for predictions, and say how they came out.
    Predictor,
    /// Load and unload models, close windows.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Predictor, Self::Operator, Self::Admin];

    /// The name in files, tokens and headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Predictor => "predictor",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A role on the models whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// With which models; `*` stands for any characters.
    pub models: String,
}

impl Grant {
    /// Reads `predictor` (all models) or `predictor:flight-*`.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown role or an empty pattern.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, models) = text.split_once(':').unwrap_or((text, "*"));
        // Grants are told to the control plane with commas between.
        let separates = |c: char| c == ',' || c.is_whitespace() || c.is_control();
        let role = Role::ALL.into_iter().find(|role| role.name() == name);
        match role {
            Some(role) if !models.is_empty() && !models.contains(separates) => Ok(Self {
                role,
                models: models.to_owned(),
            }),
            _ => Err(Error::invalid(format!(
                "{text:?} is no grant: write ROLE or ROLE:PATTERN with viewer, predictor, operator or admin, such as predictor:flight-*"
            ))),
        }
    }

    /// Does it allow this role's work on this model? What concerns the whole server, `None`, is
    /// allowed by a grant on all models only.
    #[must_use]
    pub fn allows(&self, role: Role, model: Option<&str>) -> bool {
        self.role >= role
            && match model {
                Some(model) => matches(&self.models, model),
                None => self.models.bytes().all(|byte| byte == b'*'),
            }
    }
}

/// Does the text match a pattern in which `*` stands for any characters, also none?
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last star must take one byte more.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match again {
                Some((after, from)) => {
                    again = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by its definition: slow, and plain to read.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| by_definition(rest, &text[n..])),
            Some((byte, rest)) => text.first() == Some(byte) && by_definition(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_by_their_definition(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            prop_assert_eq!(
                matches(&pattern, &text),
                by_definition(pattern.as_bytes(), text.as_bytes())
            );
        }
    }

    #[test]
    fn each_role_may_what_those_before_it_may() {
        for (place, role) in Role::ALL.into_iter().enumerate() {
            let grant = Grant::parse(&format!("{}:flight-*", role.name())).unwrap();
            for (other, wanted) in Role::ALL.into_iter().enumerate() {
                assert_eq!(grant.allows(wanted, Some("flight-delay")), other <= place);
                assert!(!grant.allows(wanted, Some("fraud")));
                assert!(!grant.allows(wanted, None));
            }
        }
        assert!(Grant::parse("admin").unwrap().allows(Role::Viewer, None));
        assert!(
            Grant::parse("viewer:**")
                .unwrap()
                .allows(Role::Viewer, None)
        );
    }

    #[test]
    fn what_is_no_grant_is_an_error() {
        for text in [
            "",
            "root",
            "viewer:",
            "Viewer",
            ":m",
            "viewer :m",
            "viewer:a,admin:*",
            "viewer:a b",
        ] {
            let error = Grant::parse(text).unwrap_err();
            assert!(error.message.contains("predictor:flight-*"), "{text}");
        }
    }
}
