//! The rules of a bundle before its model: what breaks them is refused, repaired or only counted.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use tidegate_features::rules::{Guard, Policy, RuleSet};
use tidegate_schema::{Error, Result, Schema, Table, TableBuf};

/// A model's guard with its counters.
pub(crate) struct ModelGuard {
    guard: Guard,
    policy: AtomicU8,
    /// Rows that broke each rule.
    broken: Vec<AtomicU64>,
    rejected: AtomicU64,
    repaired: AtomicU64,
}

/// What a guard has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Rows that broke each rule, by its name.
    pub broken: Vec<(String, u64)>,
    /// Requests that were refused.
    pub rejected: u64,
    /// Requests that were repaired.
    pub repaired: u64,
}

impl ModelGuard {
    /// The guard of `rules.json`; `None` if none of its rules is about single rows.
    ///
    /// # Errors
    /// `State` for rules that cannot be read; `InvalidInput` for a rule that does not fit the
    /// columns of the model.
    pub fn new(rules: &str, schema: &Schema) -> Result<Option<Self>> {
        let guard = RuleSet::from_json(rules)
            .and_then(|rules| Guard::new(&rules, schema))
            .map_err(|error| error.at("rules.json"))?;
        Ok(guard.map(|guard| Self {
            broken: guard.names().iter().map(|_| AtomicU64::new(0)).collect(),
            guard,
            policy: AtomicU8::new(Policy::default() as u8),
            rejected: AtomicU64::new(0),
            repaired: AtomicU64::new(0),
        }))
    }

    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(policy as u8, Relaxed);
    }

    fn policy(&self) -> Policy {
        let stored = self.policy.load(Relaxed);
        [Policy::Reject, Policy::Repair, Policy::Count]
            .into_iter()
            .find(|policy| *policy as u8 == stored)
            .unwrap_or_default()
    }

    /// Looks at a request that fits the model's schema; gives what is to be computed instead, if
    /// it was repaired. `broken` is called where a row breaks a rule.
    pub fn check(&self, table: &Table<'_>, broken: impl FnOnce()) -> Result<Option<TableBuf>> {
        let verdict = self.guard.check(table, self.policy())?;
        if !verdict.broken.is_empty() {
            broken();
        }
        for (rule, rows) in &verdict.broken {
            if let Some(counter) = self.broken.get(*rule) {
                counter.fetch_add(*rows, Relaxed);
            }
        }
        if let Some(error) = verdict.refusal {
            self.rejected.fetch_add(1, Relaxed);
            return Err(error);
        }
        if verdict.repaired.is_some() {
            self.repaired.fetch_add(1, Relaxed);
        }
        Ok(verdict.repaired)
    }

    /// The first row that breaks a rule, and which one: found by halves, so that it costs about what
    /// the check did.
    pub fn example(&self, table: &Table<'_>) -> Option<(usize, String)> {
        let first = |start, rows| -> Option<usize> {
            let part = table.slice(start, rows);
            let verdict = self.guard.check(&part, Policy::Count).ok()?;
            verdict.broken.first().map(|(rule, _)| *rule)
        };
        let (mut start, mut rows) = (0, table.rows());
        while rows > 1 {
            let half = rows / 2;
            if first(start, half).is_some() {
                rows = half;
            } else {
                start += half;
                rows -= half;
            }
        }
        let names = self.guard.names();
        let name = names.get(first(start, rows)?)?;
        Some((start, format!("it breaks rule {name:?}")))
    }

    pub fn counted(&self) -> Guarded {
        let names = self.guard.names();
        let counts = names.iter().zip(&self.broken);
        Guarded {
            broken: counts
                .map(|(name, count)| ((*name).to_owned(), count.load(Relaxed)))
                .collect(),
            rejected: self.rejected.load(Relaxed),
            repaired: self.repaired.load(Relaxed),
        }
    }
}

/// The error of a policy for a model that has no rules to guard it.
pub(crate) fn no_rules(model: &str) -> Error {
    Error::not_found(format!(
        "model {model:?} has no rules about single rows in its bundle: build it with rules, or set no guard"
    ))
}
