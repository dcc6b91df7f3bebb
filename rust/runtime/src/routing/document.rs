//! Reading a routing document: what is wrong with one is said in one sentence, and nothing of it is
//! taken.

use std::collections::BTreeSet;

use tidegate_drift::tally::Observe;
use tidegate_schema::{Error, Result};

use super::plan::{
    ArmPlan, Experiment, MAX_ARMS, MAX_RULES, MAX_VALUES, Origin, Plan, Role, WHOLE,
};

/// Most bytes of a document.
const MAX_BYTES: usize = 1 << 20;
/// Most bytes of a name, a version or a value.
const MAX_TEXT: usize = 256;

impl Plan {
    /// The plan of one version that gets everything.
    #[must_use]
    pub fn single(version: &str, digest: Option<&str>) -> Self {
        Self {
            arms: vec![ArmPlan {
                version: version.to_owned(),
                digest: digest.map(str::to_owned),
                weight: WHOLE,
                role: Role::Stable,
            }],
            shadow: None,
            key: super::KeyPlan::default(),
            rules: Vec::new(),
            experiment: None,
            observe: None,
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `InvalidInput` that says what does not fit: no JSON, unknown fields, weights that do not
    /// add up, a version twice, a rule for a version that is no arm, a span of no keys.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(wrong(format!(
                "has {} bytes: at most {MAX_BYTES} are read",
                text.len()
            )));
        }
        let plan: Self = serde_json::from_str(text)
            .map_err(|error| wrong(format!("cannot be read ({error}): see docs/traffic.md")))?;
        plan.check()?;
        Ok(plan)
    }

    /// The document of this plan, with every field.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts and finite numbers: there is nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The place of the stable arm.
    #[must_use]
    pub fn stable(&self) -> usize {
        let stable = self.arms.iter().position(|arm| arm.role == Role::Stable);
        stable.unwrap_or_default()
    }

    /// The place of the arm of a version.
    #[must_use]
    pub fn arm(&self, version: &str) -> Option<usize> {
        self.arms.iter().position(|arm| arm.version == version)
    }

    /// The names of the claims that it chooses by.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let key = (self.key.from == Origin::Claim).then_some(self.key.name.as_deref());
        let rules = self.rules.iter().filter(|rule| rule.from == Origin::Claim);
        rules.map(|rule| rule.name.as_str()).chain(key.flatten())
    }

    fn check(&self) -> Result<()> {
        self.check_arms()?;
        self.check_shadow()?;
        match (self.key.from, &self.key.name) {
            (Origin::Request, Some(name)) => {
                return Err(wrong(format!(
                    "names {name:?} for a key that is the request's id: say header, claim or column, or leave the name out"
                )));
            }
            (Origin::Request, None) => {}
            (from, None) => {
                return Err(wrong(format!(
                    "has a key from a {} without a name: name it",
                    from.name()
                )));
            }
            (from, Some(name)) => check_source("key", from, name)?,
        }
        self.check_rules()?;
        if let Some(experiment) = &self.experiment {
            check_experiment(experiment)?;
        }
        self.observe.as_ref().map_or(Ok(()), check_observe)
    }

    fn check_arms(&self) -> Result<()> {
        if self.arms.is_empty() || self.arms.len() > MAX_ARMS {
            return Err(wrong(format!(
                "has {} arms: give 1 to {MAX_ARMS}",
                self.arms.len()
            )));
        }
        let mut known = BTreeSet::new();
        for arm in &self.arms {
            check_text("the version of an arm", &arm.version)?;
            if !known.insert(arm.version.as_str()) {
                return Err(wrong(format!(
                    "has version {:?} twice: give each version one arm",
                    arm.version
                )));
            }
        }
        let sum: u64 = self.arms.iter().map(|arm| u64::from(arm.weight)).sum();
        if sum != u64::from(WHOLE) {
            let weights: Vec<String> = self
                .arms
                .iter()
                .map(|arm| format!("{} {}", arm.version, arm.weight))
                .collect();
            return Err(wrong(format!(
                "has weights that add up to {sum} ({}): they must add up to {WHOLE} basis points",
                weights.join(", ")
            )));
        }
        let stable = self.arms.iter().filter(|arm| arm.role == Role::Stable);
        match stable.count() {
            1 => Ok(()),
            count => Err(wrong(format!(
                "has {count} arms of role stable: exactly one is what the others are held against"
            ))),
        }
    }

    fn check_shadow(&self) -> Result<()> {
        let Some(shadow) = &self.shadow else {
            return Ok(());
        };
        check_text("the version of the shadow", &shadow.version)?;
        if self.arm(&shadow.version).is_some() {
            return Err(wrong(format!(
                "has version {:?} as an arm and as the shadow: a shadow gets copies only",
                shadow.version
            )));
        }
        if shadow.share == 0 || shadow.share > WHOLE {
            return Err(wrong(format!(
                "copies a share of {} to the shadow: give 1 to {WHOLE} basis points",
                shadow.share
            )));
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<()> {
        if self.rules.len() > MAX_RULES {
            return Err(wrong(format!(
                "has {} rules: at most {MAX_RULES} are kept",
                self.rules.len()
            )));
        }
        for rule in &self.rules {
            check_source("rule", rule.from, &rule.name)?;
            if self.arm(&rule.version).is_none() {
                return Err(wrong(format!(
                    "has a rule by {} {:?} for version {:?}, which is no arm: name one of {}",
                    rule.from.name(),
                    rule.name,
                    rule.version,
                    self.versions()
                )));
            }
            if rule.values.is_empty() || rule.values.len() > MAX_VALUES {
                return Err(wrong(format!(
                    "has a rule by {} {:?} with {} values: give 1 to {MAX_VALUES}",
                    rule.from.name(),
                    rule.name,
                    rule.values.len()
                )));
            }
            for value in &rule.values {
                check_text("a value of a rule", value)?;
            }
        }
        Ok(())
    }

    fn versions(&self) -> String {
        let versions: Vec<&str> = self.arms.iter().map(|arm| arm.version.as_str()).collect();
        versions.join(", ")
    }
}

fn wrong(what: impl AsRef<str>) -> Error {
    Error::invalid(format!("the routing document {}", what.as_ref()))
}

fn check_text(what: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(wrong(format!(
            "has {text:?} as {what}: give 1 to {MAX_TEXT} bytes without control characters"
        )));
    }
    Ok(())
}

fn check_source(what: &str, from: Origin, name: &str) -> Result<()> {
    check_text(&format!("the name of a {what}"), name)?;
    match from {
        Origin::Request if what == "rule" => Err(wrong(
            "has a rule by the request's id, which nobody knows before: use header, claim or column",
        )),
        Origin::Header if !name.bytes().all(is_token) => Err(wrong(format!(
            "has a {what} by header {name:?}, which no header is named: use letters, digits and -"
        ))),
        _ => Ok(()),
    }
}

/// A byte of a header's name (RFC 9110).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn check_experiment(experiment: &Experiment) -> Result<()> {
    check_text("the name of the experiment", &experiment.name)?;
    if let Some(group) = &experiment.group {
        check_text("the group of the experiment", group)?;
    }
    if experiment.from >= experiment.to || experiment.to > WHOLE {
        return Err(wrong(format!(
            "has experiment {:?} for keys from {} to {}: give from below to, within 0 and {WHOLE}",
            experiment.name, experiment.from, experiment.to
        )));
    }
    Ok(())
}

fn check_observe(observe: &Observe) -> Result<()> {
    if let Some(segment) = &observe.segment {
        check_text("the column of segments", segment)?;
    }
    observe
        .check()
        .map_err(|error| error.at("the routing document"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({
            "arms": [
                {"version": "1.0.0", "digest": null, "weight": 9_500, "role": "stable"},
                {"version": "1.1.0", "digest": "sha256:aa", "weight": 500, "role": "candidate"},
            ],
            "shadow": {"version": "1.2.0", "digest": null, "share": 10_000},
            "key": {"from": "header", "name": "x-user"},
            "rules": [{"from": "column", "name": "origin", "in": ["EWR"], "version": "1.1.0"}],
            "experiment": {"name": "button", "group": "checkout", "from": 0, "to": 5_000},
            "observe": {
                "quantiles": [0.5, 0.99], "segment": "origin", "features": true, "tolerance": 0.0,
                "metrics": [{"name": "revenue", "low": 0.0, "high": 100.0}],
            },
        })
    }

    #[test]
    fn a_document_is_read_and_written() {
        let plan = Plan::from_json(&good().to_string()).unwrap();
        assert_eq!(plan.stable(), 0);
        assert_eq!(plan.arm("1.1.0"), Some(1));
        let again: Value = serde_json::from_str(&plan.to_json()).unwrap();
        assert_eq!(again, good());
        let least = r#"{"arms":[{"version":"1","weight":10000,"role":"stable"}]}"#;
        assert_eq!(Plan::from_json(least).unwrap(), Plan::single("1", None));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        let cases: [(&str, Value, &str); 25] = [
            ("/arms", json!([]), "0 arms"),
            (
                "/arms/0/weight",
                json!(9_499),
                "add up to 9999 (1.0.0 9499, 1.1.0 500)",
            ),
            ("/arms/0/weight", json!(9_500.5), "cannot be read"),
            ("/arms/0/weight", json!(-1), "cannot be read"),
            ("/arms/0/role", json!("main"), "unknown variant `main`"),
            ("/arms/1/role", json!("stable"), "2 arms of role stable"),
            ("/arms/0/role", json!("arm"), "0 arms of role stable"),
            ("/arms/1/version", json!("1.0.0"), "\"1.0.0\" twice"),
            ("/arms/1/version", json!(""), "the version of an arm"),
            (
                "/shadow/version",
                json!("1.1.0"),
                "as an arm and as the shadow",
            ),
            ("/shadow/share", json!(0), "share of 0"),
            ("/key", json!({"from": "header"}), "without a name"),
            (
                "/key",
                json!({"from": "request", "name": "x"}),
                "leave the name out",
            ),
            (
                "/key",
                json!({"from": "cookie", "name": "x"}),
                "unknown variant `cookie`",
            ),
            ("/key/name", json!("x user"), "which no header is named"),
            (
                "/rules/0/version",
                json!("1.2.0"),
                "which is no arm: name one of 1.0.0, 1.1.0",
            ),
            ("/rules/0/in", json!([]), "0 values"),
            ("/rules/0/in", json!([1]), "cannot be read"),
            (
                "/rules/0/from",
                json!("request"),
                "which nobody knows before",
            ),
            ("/experiment/from", json!(5_000), "from below to"),
            ("/experiment/to", json!(10_001), "from below to"),
            ("/observe/quantiles", json!([1.0]), "a quantile of level 1"),
            ("/observe/metrics/0/low", json!(100.0), "low end is below"),
            ("/observe/tolerance", json!(-1.0), "tolerance"),
            ("/observe/shap", json!(true), "unknown field `shap`"),
        ];
        for (place, value, said) in cases {
            let mut document = good();
            let (parent, name) = place.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[match name.parse::<usize>() {
                Ok(_) => unreachable!("cases change fields"),
                Err(_) => name,
            }] = value;
            let error = Plan::from_json(&document.to_string()).unwrap_err();
            assert!(error.message.contains(said), "{place}: {error}");
        }
        assert!(Plan::from_json("{").is_err());
        let long = " ".repeat(MAX_BYTES + 1);
        assert!(
            Plan::from_json(&long)
                .unwrap_err()
                .message
                .contains("bytes")
        );
    }
}
