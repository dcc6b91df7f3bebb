//! Admission: who asks, may they, and not too often.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use tidegate_schema::{Error, ErrorKind};

use super::action::Action;
use super::credentials::Credentials;
use super::keys::Keys;
use super::rate::{Allowance, Limiter, Rate, Rates};
use super::role::{Grant, Role};
use super::tokens::{Tokens, Wrong};

/// Somebody who is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    grants: Vec<Grant>,
    claims: Vec<(String, String)>,
}

impl Caller {
    /// A caller with these grants. The name says what established it: `key:ci`, `token:alice`.
    #[must_use]
    pub fn new(name: String, grants: Vec<Grant>) -> Self {
        Self {
            name: name.into(),
            grants,
            claims: Vec::new(),
        }
    }

    /// The same with these claims of the token.
    #[must_use]
    pub fn with_claims(mut self, claims: Vec<(String, String)>) -> Self {
        self.claims = claims;
        self
    }

    /// A claim of the token, if somebody wanted it kept.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        let claim = self.claims.iter().find(|(known, _)| known == name);
        claim.map(|(_, text)| text.as_str())
    }

    /// The name, which may stand in a header.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, to be kept.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The grants as `role:pattern`, with commas between.
    #[must_use]
    pub fn grants(&self) -> String {
        let texts: Vec<String> = self
            .grants
            .iter()
            .map(|grant| format!("{}:{}", grant.role.name(), grant.models))
            .collect();
        texts.join(",")
    }

    /// Does one of the grants allow this role's work on this model?
    #[must_use]
    pub fn may(&self, role: Role, model: Option<&str>) -> bool {
        self.grants.iter().any(|grant| grant.allows(role, model))
    }
}

/// A request that is let in.
#[derive(Debug, Default)]
pub struct Pass {
    /// Who asks; `None` where nobody has to say.
    pub caller: Option<Arc<Caller>>,
    /// What is left of the tightest rate limit.
    pub allowance: Option<Allowance>,
}

/// A request that is not.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// What is left of the rate limit that refused it.
    pub allowance: Option<Allowance>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            allowance: None,
        }
    }
}

/// What admission goes by at a time; replaced as a whole.
#[derive(Debug, Default)]
struct Policy {
    keys: Option<Arc<Keys>>,
    tokens: Option<Arc<Tokens>>,
    rates: Rates,
    caller: Option<Arc<Limiter>>,
    model: Option<Arc<Limiter>>,
    caller_and_model: Option<Arc<Limiter>>,
}

/// Says which claims of tokens are kept.
struct Kept(Box<dyn Fn() -> Arc<BTreeSet<String>> + Send + Sync>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (self.0)().fmt(f)
    }
}

/// Decides who is let in. Shared by all listeners of a server; what it goes by can be replaced
/// while requests are checked.
#[derive(Debug, Default)]
pub struct Access {
    policy: ArcSwap<Policy>,
    replacing: Mutex<()>,
    /// Which claims of tokens are kept.
    kept: ArcSwapOption<Kept>,
    /// Has a token named an unknown key since somebody last waited for that?
    unknown_key: Mutex<bool>,
    noticed: Condvar,
}

impl Access {
    fn replace(&self, change: impl FnOnce(&Policy) -> Policy) {
        let _one = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = self.policy.load();
        self.policy.store(Arc::new(change(&before)));
    }

    /// Takes these API keys in place of those before; `None` for no such keys.
    pub fn set_keys(&self, keys: Option<Keys>) {
        let keys = keys.map(Arc::new);
        self.replace(|before| Policy {
            keys: keys.clone(),
            ..before.copy()
        });
    }

    /// Takes these tokens in place of those before; `None` for no tokens.
    pub fn set_tokens(&self, tokens: Option<Tokens>) {
        let tokens = tokens.map(Arc::new);
        self.replace(|before| Policy {
            tokens: tokens.clone(),
            ..before.copy()
        });
    }

    /// Takes these rates. A rate that stays the same goes on counting.
    pub fn set_rates(&self, rates: Rates) {
        let limiter = |now: Option<Rate>, before: Option<Rate>, kept: &Option<Arc<Limiter>>| {
            if now == before {
                kept.clone()
            } else {
                now.map(|rate| Arc::new(Limiter::new(rate)))
            }
        };
        self.replace(|before| Policy {
            caller: limiter(rates.caller, before.rates.caller, &before.caller),
            model: limiter(rates.model, before.rates.model, &before.model),
            caller_and_model: limiter(
                rates.caller_and_model,
                before.rates.caller_and_model,
                &before.caller_and_model,
            ),
            rates,
            ..before.copy()
        });
    }

    /// Keeps the claims of tokens that this says, by name; none are kept before it is called.
    pub fn keep_claims(&self, kept: impl Fn() -> Arc<BTreeSet<String>> + Send + Sync + 'static) {
        self.kept.store(Some(Arc::new(Kept(Box::new(kept)))));
    }

    /// Must callers say who they are?
    #[must_use]
    pub fn required(&self) -> bool {
        self.policy.load().required()
    }

    /// Waits until a token names an unknown key, at most for this time. True if one has, also
    /// since the last call.
    pub fn wait_for_unknown_key(&self, time: Duration) -> bool {
        let guard = self
            .unknown_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (mut unknown, _) = self
            .noticed
            .wait_timeout_while(guard, time, |unknown| !*unknown)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *unknown)
    }

    /// Ends such a wait, as if a token had named an unknown key.
    pub fn interrupt(&self) {
        *self
            .unknown_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.noticed.notify_all();
    }

    /// Does somebody known show these credentials, where callers must say who they are? For a
    /// listener that learns only from the message what is asked for, so that it reads nobody's.
    /// Says nothing of roles and counts nothing: that is [`Access::admit`]'s.
    ///
    /// # Errors
    /// `Unauthenticated` if nobody known asks.
    pub fn identify(&self, credentials: Credentials<'_>) -> Result<(), Error> {
        let policy = self.policy.load();
        if policy.required() {
            self.known(&policy, credentials)?;
        }
        Ok(())
    }

    /// Lets a request in or refuses it.
    ///
    /// # Errors
    /// `Unauthenticated` if nobody known asks, `Forbidden` if they may not, `RateLimited` if they
    /// have asked too often.
    pub fn admit(
        &self,
        credentials: Credentials<'_>,
        peer: IpAddr,
        action: Action,
        model: Option<&str>,
    ) -> Result<Pass, Refusal> {
        if action == Action::Open {
            return Ok(Pass::default());
        }
        let policy = self.policy.load();
        let caller = if policy.required() {
            Some(self.known(&policy, credentials)?)
        } else {
            None
        };
        if let (Action::Needs(role), Some(caller)) = (action, &caller)
            && !caller.may(role, model)
        {
            return Err(forbidden(caller, action, role, model).into());
        }
        let allowance = policy.count(caller.as_deref(), peer, action, model)?;
        Ok(Pass { caller, allowance })
    }

    fn known(&self, policy: &Policy, credentials: Credentials<'_>) -> Result<Arc<Caller>, Error> {
        let refuse = |message| Error::new(ErrorKind::Unauthenticated, message);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(u64::MAX, |since| since.as_secs());
        match (credentials, &policy.keys, &policy.tokens) {
            (Credentials::Key(key), Some(keys), _) => keys.find(key, now).ok_or_else(|| {
                refuse("the API key is unknown, revoked or has expired: ask for another")
            }),
            (Credentials::Token(token), _, Some(tokens)) => {
                let kept = self.kept.load();
                let kept = kept.as_ref().map_or_else(Arc::default, |kept| (kept.0)());
                tokens.find(token, &kept, now).map_err(|wrong| {
                    if wrong == Wrong::UnknownKey {
                        self.interrupt();
                    }
                    wrong.error()
                })
            }
            (Credentials::Key(_), None, _) => Err(refuse(
                "this server takes no API keys: send a token as Authorization: Bearer …",
            )),
            (Credentials::Token(_), _, None) => Err(refuse(
                "this server takes no tokens: send an API key as Authorization: Bearer … or X-API-Key: …",
            )),
            (Credentials::Malformed, ..) => Err(refuse(
                "the credentials cannot be read: send Authorization: Bearer … or X-API-Key: …",
            )),
            (Credentials::None, ..) => Err(refuse(
                "this server wants to know who asks: send Authorization: Bearer … or X-API-Key: …",
            )),
        }
    }
}

fn forbidden(caller: &Caller, action: Action, role: Role, model: Option<&str>) -> Error {
    let what = model.map_or_else(
        || "all models".to_owned(),
        |model| format!("model {model:?}"),
    );
    Error::new(
        ErrorKind::Forbidden,
        format!(
            "{} may not {} {what}: it needs the role {} there",
            caller.name(),
            action.name(),
            role.name()
        ),
    )
}

impl Policy {
    const fn required(&self) -> bool {
        self.keys.is_some() || self.tokens.is_some()
    }

    fn copy(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            tokens: self.tokens.clone(),
            rates: self.rates,
            caller: self.caller.clone(),
            model: self.model.clone(),
            caller_and_model: self.caller_and_model.clone(),
        }
    }

    /// Counts the request at each limit that it falls under, until one refuses it.
    fn count(
        &self,
        caller: Option<&Caller>,
        peer: IpAddr,
        action: Action,
        model: Option<&str>,
    ) -> Result<Option<Allowance>, Refusal> {
        // Whoever is not known is told apart by address.
        let who = (caller.map(Caller::name), caller.is_none().then_some(peer));
        let model = model.filter(|_| action == Action::Needs(Role::Predictor));
        let by_caller = || Some(self.caller.as_ref()?.count(who));
        let by_both = || Some(self.caller_and_model.as_ref()?.count((who, model?)));
        let by_model = || Some(self.model.as_ref()?.count(model?));
        let limits: [(&str, &dyn Fn() -> Option<Allowance>); 3] = [
            ("caller", &by_caller),
            ("caller_and_model", &by_both),
            ("model", &by_model),
        ];
        let mut tightest: Option<Allowance> = None;
        for (name, count) in limits {
            let Some(allowance) = count() else { continue };
            if !allowance.wait.is_zero() {
                return Err(Refusal {
                    error: Error::new(
                        ErrorKind::RateLimited,
                        format!(
                            "the rate limit {name} of {} requests is used up: try again in {:.3} s",
                            allowance.limit,
                            allowance.wait.as_secs_f64()
                        ),
                    )
                    .retry_after(allowance.wait),
                    allowance: Some(allowance),
                });
            }
            if tightest.is_none_or(|before| allowance.remaining < before.remaining) {
                tightest = Some(allowance);
            }
        }
        Ok(tightest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const KEY: &str = "tg_00112233aabbccdd_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const PREDICT: Action = Action::Needs(Role::Predictor);

    fn guarded() -> Access {
        let access = Access::default();
        let keys = include_str!("../../../../tests/golden/access/keys.json");
        access.set_keys(Some(Keys::parse(keys).unwrap()));
        access
    }

    fn rate(text: &str) -> Option<Rate> {
        Some(Rate::parse(text).unwrap())
    }

    #[test]
    fn by_default_everybody_is_let_in() {
        let access = Access::default();
        assert!(!access.required());
        let admin = Action::Needs(Role::Admin);
        let pass = access
            .admit(Credentials::Malformed, PEER, admin, None)
            .unwrap();
        assert!(pass.caller.is_none() && pass.allowance.is_none());
    }

    #[test]
    fn who_is_not_known_may_only_probe() {
        let access = guarded();
        assert!(
            access
                .admit(Credentials::None, PEER, Action::Open, None)
                .is_ok()
        );
        for credentials in [
            Credentials::None,
            Credentials::Malformed,
            Credentials::Key("tg_00112233aabbccdd_x"),
            Credentials::Token("a.b.c"),
        ] {
            let refused = access
                .admit(credentials, PEER, Action::Known, None)
                .unwrap_err();
            assert_eq!(refused.error.kind, ErrorKind::Unauthenticated);
            let error = access.identify(credentials).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unauthenticated);
        }
        assert!(access.identify(Credentials::Key(KEY)).is_ok());
        assert!(Access::default().identify(Credentials::None).is_ok());
    }

    #[test]
    fn a_caller_may_what_its_grants_say() {
        let access = guarded();
        let ask = |action, model| access.admit(Credentials::Key(KEY), PEER, action, model);
        assert_eq!(
            ask(PREDICT, Some("flight-delay"))
                .unwrap()
                .caller
                .unwrap()
                .name(),
            "key:ci"
        );
        assert!(ask(Action::Known, None).is_ok());
        for (action, model) in [
            (PREDICT, Some("fraud")),
            (Action::Needs(Role::Operator), Some("flight-delay")),
            (Action::Needs(Role::Viewer), None),
        ] {
            let refused = ask(action, model).unwrap_err();
            assert_eq!(
                refused.error.kind,
                ErrorKind::Forbidden,
                "{}",
                refused.error
            );
        }
        access.set_keys(Some(Keys::default()));
        assert!(access.required(), "a file without keys lets nobody in");
        assert!(
            access
                .admit(Credentials::Key(KEY), PEER, Action::Known, None)
                .is_err()
        );
    }

    #[test]
    fn rates_are_kept_by_caller_and_by_model() {
        let access = guarded();
        let rates = Rates {
            caller: rate("4/h"),
            model: rate("3/h"),
            caller_and_model: rate("2/h"),
        };
        access.set_rates(rates);
        let ask = |model| access.admit(Credentials::Key(KEY), PEER, PREDICT, Some(model));
        assert_eq!(ask("flight-a").unwrap().allowance.unwrap().remaining, 1);
        assert_eq!(ask("flight-a").unwrap().allowance.unwrap().remaining, 0);
        let refused = ask("flight-a").unwrap_err();
        assert_eq!(refused.error.kind, ErrorKind::RateLimited);
        assert!(refused.error.message.contains("caller_and_model"));
        assert_eq!(
            refused.error.retry_after.unwrap(),
            refused.allowance.unwrap().wait
        );
        // The refusal was the caller's third request, this is the fourth.
        assert_eq!(ask("flight-b").unwrap().allowance.unwrap().remaining, 0);
        let refused = ask("flight-b").unwrap_err();
        assert!(refused.error.message.contains("limit caller of"));
        // The same rates go on counting, others begin anew.
        access.set_rates(rates);
        assert!(ask("flight-b").is_err());
        access.set_rates(Rates {
            model: rate("1/h"),
            ..Rates::default()
        });
        assert!(ask("flight-a").is_ok());
        assert!(ask("flight-a").is_err());
        let viewer = Action::Needs(Role::Viewer);
        let refused = access.admit(Credentials::Key(KEY), PEER, viewer, Some("flight-a"));
        assert!(refused.is_ok(), "only predictions count by model");
    }

    #[test]
    fn a_token_with_an_unknown_key_wakes_who_waits_for_it() {
        let access = Access::default();
        assert!(!access.wait_for_unknown_key(Duration::ZERO));
        access.interrupt();
        assert!(access.wait_for_unknown_key(Duration::from_secs(60)));
        assert!(!access.wait_for_unknown_key(Duration::ZERO), "once each");
    }
}
