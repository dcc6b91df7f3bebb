//! A plan as it is carried out: decided once when a deployment is built, so that a request decides
//! little.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tidegate_schema::{Column, Result, Schema, Table};

use crate::telling_column::telling_column;

use super::choice::By;
use super::clues::Clues;
use super::plan::{Origin, Plan};
use super::split::{Group, Split};

/// Where a value of a request is found.
#[derive(Debug)]
enum Place {
    Id,
    Header(String),
    Claim(String),
    /// The place of a raw column.
    Column(usize),
}

impl Place {
    /// # Errors
    /// `InvalidInput` for a column that the model does not have, or of a type that is no key.
    fn new(what: &str, from: Origin, name: &str, schema: Option<&Schema>) -> Result<Self> {
        Ok(match from {
            Origin::Request => Self::Id,
            // As both kinds of HTTP library give them.
            Origin::Header => Self::Header(name.to_ascii_lowercase()),
            Origin::Claim => Self::Claim(name.to_owned()),
            Origin::Column => Self::Column(column(what, name, schema)?),
        })
    }

    /// The value, if it is known before the rows are; an empty one is none.
    fn early<'a>(&self, clues: &'a dyn Clues) -> Option<Cow<'a, [u8]>> {
        let found = match self {
            Self::Id => Some(clues.id()),
            Self::Header(name) => clues.header(name).map(Cow::Borrowed),
            Self::Claim(name) => clues.claim(name).map(|text| Cow::Borrowed(text.as_bytes())),
            Self::Column(_) => None,
        };
        found.filter(|value| !value.is_empty())
    }

    /// The value in the first row; an empty one is none.
    fn late(&self, rows: &Table<'_>) -> Option<String> {
        let Self::Column(place) = self else {
            return None;
        };
        let first = |column: &Column<'_>| match column {
            Column::String(values) => values.get(0).map(str::to_owned),
            Column::Int64(values) => values.get(0).map(|value| value.to_string()),
            Column::Bool(values) => values.get(0).map(|value| (value != 0).to_string()),
            _ => None,
        };
        if rows.rows() == 0 {
            return None;
        }
        let found = rows.columns().get(*place).and_then(first);
        found.filter(|value| !value.is_empty())
    }
}

fn column(what: &str, name: &str, schema: Option<&Schema>) -> Result<usize> {
    let what = format!("the routing document has a {what}");
    telling_column(&what, name, schema, "use header, claim or request")
}

/// Requests with one of the values get this arm.
#[derive(Debug)]
struct Rule {
    place: Place,
    values: BTreeSet<Vec<u8>>,
    arm: usize,
}

/// An arm, and why it was chosen.
pub(super) type Pick = (usize, By);

/// What is known of a choice before the rows are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Early {
    /// It is made.
    Made(Pick),
    /// A column decides; unless it says otherwise, this is the choice.
    Open {
        otherwise: Pick,
        /// The first rule that has fitted already: only those before it count.
        rules: usize,
        /// Is the key a column?
        keyed: bool,
    },
}

/// How a deployment with several arms chooses.
#[derive(Debug)]
pub(super) struct Policy {
    stable: usize,
    key: Place,
    rules: Vec<Rule>,
    split: Split,
    /// The group of the experiment and the span of those who take part.
    span: Option<(Group, u32, u32)>,
    /// Requests without their key, whatever the revision.
    missing: Arc<AtomicU64>,
}

impl Policy {
    /// # Errors
    /// `InvalidInput` for columns that the model does not have, or of a type that is no key.
    pub fn new(
        deployment: &str,
        plan: &Plan,
        schema: Option<&Schema>,
        missing: Arc<AtomicU64>,
    ) -> Result<Self> {
        let name = plan.key.name.as_deref().unwrap_or_default();
        let key = Place::new("key", plan.key.from, name, schema)?;
        let rules = plan.rules.iter().map(|rule| {
            Ok(Rule {
                place: Place::new("rule", rule.from, &rule.name, schema)?,
                values: rule
                    .values
                    .iter()
                    .map(|text| text.as_bytes().to_vec())
                    .collect(),
                arm: plan.arm(&rule.version).unwrap_or_default(),
            })
        });
        let arms = plan.arms.iter();
        Ok(Self {
            stable: plan.stable(),
            key,
            rules: rules.collect::<Result<_>>()?,
            split: Split::new(
                deployment,
                arms.map(|arm| (arm.version.as_str(), arm.weight)),
            ),
            span: plan.experiment.as_ref().map(|experiment| {
                let group = experiment.group.as_deref().unwrap_or(&experiment.name);
                (Group::new(group), experiment.from, experiment.to)
            }),
            missing,
        })
    }

    /// The arm that every request gets, where nothing is to be decided.
    pub fn only(&self) -> Option<usize> {
        (self.rules.is_empty() && self.span.is_none())
            .then(|| self.split.only())
            .flatten()
    }

    /// Chooses by what is known before the rows are.
    pub fn early(&self, clues: &dyn Clues) -> Early {
        let fits = |rule: &Rule| {
            let value = rule.place.early(clues);
            value.is_some_and(|value| rule.values.contains(&*value))
        };
        let fitting = self.rules.iter().position(fits);
        let before = fitting.unwrap_or(self.rules.len());
        let waits = |rule: &Rule| matches!(rule.place, Place::Column(_));
        let open = self.rules.iter().take(before).any(waits);
        let by_rule = fitting.and_then(|place| Some((self.rules.get(place)?.arm, By::Rule)));
        let by_hand = clues.key().filter(|key| !key.is_empty());
        let keyed = by_rule.is_none()
            && matches!(self.key, Place::Column(_))
            && by_hand.is_none()
            && (self.span.is_some() || self.split.only().is_none());
        let otherwise = by_rule.unwrap_or_else(|| {
            let key = by_hand.map(Cow::Borrowed);
            let key = key.or_else(|| self.key.early(clues));
            match key {
                Some(key) => self.keyed(&key),
                None => self.keyless(clues, !keyed),
            }
        });
        if open || keyed {
            return Early::Open {
                otherwise,
                rules: before,
                keyed,
            };
        }
        Early::Made(otherwise)
    }

    /// Chooses by the first of the rows what was left open.
    pub fn late(&self, rows: &Table<'_>, (otherwise, before, keyed): (Pick, usize, bool)) -> Pick {
        for rule in self.rules.iter().take(before) {
            let value = rule.place.late(rows);
            if value.is_some_and(|value| rule.values.contains(value.as_bytes())) {
                return (rule.arm, By::Rule);
            }
        }
        if !keyed {
            return otherwise;
        }
        match self.key.late(rows) {
            Some(key) => self.keyed(key.as_bytes()),
            None => {
                self.missing.fetch_add(1, Relaxed);
                otherwise
            }
        }
    }

    fn keyed(&self, key: &[u8]) -> Pick {
        match self.span {
            None => (self.split.choose(key), By::Split),
            Some((group, from, to)) if (from..to).contains(&group.position(key)) => {
                (self.split.choose(key), By::Experiment)
            }
            Some(_) => (self.stable, By::Outside),
        }
    }

    /// Without a key nobody can stick to a version: such requests take no part in an experiment,
    /// and are split by their ids.
    fn keyless(&self, clues: &dyn Clues, is_missing: bool) -> Pick {
        if is_missing {
            self.missing.fetch_add(1, Relaxed);
        }
        match self.span {
            Some(_) => (self.stable, By::Outside),
            None => (self.split.choose(&clues.id()), By::Split),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_schema::{DType, Field};

    use super::*;

    #[test]
    fn keys_are_texts_whole_numbers_and_bools() {
        let fields = [
            ("text", DType::String, true),
            ("whole", DType::Int64, true),
            ("flag", DType::Bool, true),
            ("number", DType::Float64, false),
            ("day", DType::Date, false),
        ];
        let nullable = |(name, dtype, _): &(&str, DType, bool)| Field::nullable(*name, *dtype);
        let schema = Schema::new(fields.iter().map(nullable).collect()).unwrap();
        for (name, _, fits) in fields {
            assert_eq!(column("key", name, Some(&schema)).is_ok(), fits, "{name}");
        }
        let error = column("key", "day", Some(&schema)).unwrap_err();
        assert!(error.message.contains("\"day\", which is date"), "{error}");
        let error = column("rule", "none", Some(&schema)).unwrap_err();
        assert!(error.message.contains("name one of text, whole"), "{error}");
        assert!(column("rule", "text", None).is_err());
    }
}
