//! Rules as they are written down: checked when they are read, immutable since.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_schema::{Error, ErrorKind, Result, Schema};

use super::describe::{describe, kind};
use crate::expr::Expr;
use crate::spec::{digest, schema_value};

/// Most rules of a set: a bound on what a file can make us allocate.
pub const MAX_RULES: usize = 1_000;
/// Longest name of a rule, in bytes: it is a label of metrics.
const MAX_NAME: usize = 200;
/// The version written into serialised rule sets.
const VERSION: u32 = 1;

/// What a broken rule means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The data is not good.
    #[default]
    Error,
    /// Somebody should look at it; the data passes.
    Warning,
}

/// What a missing result of an expression means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The rule says nothing about the row, as a `CHECK` of SQL does.
    #[default]
    Pass,
    /// The row breaks the rule.
    Fail,
}

/// What columns beyond the schema mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Nothing.
    #[default]
    Allow,
    /// A finding that only warns.
    Warn,
    /// A finding that fails the table.
    Error,
}

/// One number of a whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// How many rows there are; takes no expression.
    Rows,
    /// How many values are there.
    Count,
    /// The share of missing values.
    MissingShare,
    /// How many different values there are.
    Distinct,
    /// The mean.
    Mean,
    /// The standard deviation (`ddof = 0`).
    Std,
    /// The sum.
    Sum,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The median.
    Median,
    /// The quantile at the share `at`.
    Quantile,
    /// Seconds from the latest time to now.
    Age,
}

/// How far from the middle a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Standard deviations from the mean; 3 by default.
    Zscore,
    /// Ranges between the quartiles from the nearer quartile (Tukey); 1.5 by default.
    Iqr,
    /// Modified z-scores from the median (Iglewicz and Hoaglin); 3.5 by default.
    Mad,
}

impl Method {
    /// The threshold where none is given.
    #[must_use]
    pub const fn usual(self) -> f64 {
        match self {
            Self::Zscore => 3.0,
            Self::Iqr => 1.5,
            Self::Mad => 3.5,
        }
    }
}

/// A distance between two distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// The population stability index.
    Psi,
    /// The Jensen–Shannon distance, base 2.
    JensenShannon,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Check {
    /// A boolean expression that holds in every row.
    Expression {
        /// The expression in JSON.
        expression: Value,
        /// What a missing result means.
        #[serde(default)]
        missing: Missing,
    },
    /// No two rows are alike in these columns; missing is like missing.
    Unique {
        /// The columns; none for all that the table has.
        columns: Vec<String>,
    },
    /// Each row's key stands in another table; a key with a missing part passes.
    ForeignKey {
        /// The columns of the key here.
        columns: Vec<String>,
        /// The name of the other table.
        reference: String,
        /// The columns of the key there.
        keys: Vec<String>,
    },
    /// Values never fall from row to row; missing ones are passed over.
    Monotone {
        /// The expression in JSON.
        expression: Value,
        /// Values never rise instead.
        #[serde(default)]
        descending: bool,
        /// Equal neighbours break the rule too.
        #[serde(default)]
        strict: bool,
    },
    /// Values stay near the middle of their own distribution.
    Outliers {
        /// The expression in JSON.
        expression: Value,
        /// Which middle, and which measure.
        method: Method,
        /// How far; the method's own where it is left out.
        #[serde(default)]
        threshold: Option<f64>,
    },
    /// A number of the whole table lies between bounds.
    Aggregate {
        /// Which number.
        aggregate: Aggregate,
        /// Of which values.
        #[serde(default)]
        expression: Option<Value>,
        /// The share of a quantile.
        #[serde(default)]
        at: Option<f64>,
        /// The least that passes.
        #[serde(default)]
        min: Option<f64>,
        /// The greatest that passes.
        #[serde(default)]
        max: Option<f64>,
    },
    /// A column is distributed as in a reference.
    Distribution {
        /// The column.
        column: String,
        /// Which distance.
        distance: Distance,
        /// The greatest distance that passes.
        max: f64,
        /// A baseline of the column, as the drift crate writes it.
        reference: Value,
    },
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique in its set; how the check is written where it is left out.
    #[serde(default)]
    pub name: String,
    /// What it looks at.
    pub check: Check,
    /// What it means that it is broken.
    #[serde(default)]
    pub severity: Severity,
    /// The share of rows that may break it.
    #[serde(default)]
    pub allow: f64,
    /// Columns and what to put there in a row that breaks the rule, for a guard that repairs: an
    /// expression, or null for missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<BTreeMap<String, Value>>,
}

/// The serialised form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    extra: Extra,
    #[serde(default)]
    ordered: bool,
    rules: Vec<Rule>,
    #[serde(default)]
    schema: Option<Value>,
    version: u32,
}

/// A schema and rules over it, checked: names are unique, parameters make sense.
#[derive(Clone, Debug)]
pub struct RuleSet {
    schema: Option<Schema>,
    extra: Extra,
    ordered: bool,
    rules: Vec<Rule>,
}

impl RuleSet {
    /// Rules over tables. With a schema tables are held against it too: `extra` says what further
    /// columns mean, `ordered` whether the order of the columns counts.
    pub fn new(
        schema: Option<Schema>,
        extra: Extra,
        ordered: bool,
        mut rules: Vec<Rule>,
    ) -> Result<Self> {
        if rules.len() > MAX_RULES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{} rules exceed the limit of {MAX_RULES}", rules.len()),
            ));
        }
        let mut names = std::collections::HashSet::new();
        for rule in &mut rules {
            if rule.name.is_empty() {
                rule.name = shortened(describe(&rule.check));
            }
            check_rule(rule).map_err(|error| error.at(format!("rule {:?}", rule.name)))?;
            if !names.insert(rule.name.clone()) {
                return Err(Error::invalid(format!(
                    "two rules are named {:?}: give one of them a name of its own",
                    rule.name
                )));
            }
        }
        Ok(Self {
            schema,
            extra,
            ordered,
            rules,
        })
    }

    /// Reads what [`RuleSet::to_json`] wrote, of this or any earlier version, or what somebody has
    /// written by hand.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong = |error: serde_json::Error| {
            Error::state(format!(
                "not a file of rules: {error}: write it with Rules.save, or mend it by hand"
            ))
        };
        let Version { version } = serde_json::from_str(text).map_err(wrong)?;
        if version > VERSION {
            return Err(Error::state(format!(
                "rules of version {version} are newer than {VERSION}, the newest this tidegate reads: upgrade tidegate"
            )));
        }
        let document: Document = serde_json::from_str(text).map_err(wrong)?;
        let schema = match &document.schema {
            Some(schema) => Some(Schema::from_json(&schema.to_string())?),
            None => None,
        };
        Self::new(schema, document.extra, document.ordered, document.rules)
    }

    /// Canonical JSON: sorted keys, no white space, defaults written out.
    pub fn to_json(&self) -> Result<String> {
        let document = Document {
            extra: self.extra,
            ordered: self.ordered,
            rules: self.rules.clone(),
            schema: self.schema.as_ref().map(schema_value).transpose()?,
            version: VERSION,
        };
        serde_json::to_value(&document)
            .map(|value| value.to_string())
            .map_err(|error| Error::internal(format!("rules have no JSON: {error}")))
    }

    /// `sha256:` and the hexadecimal digest of the canonical JSON.
    pub fn fingerprint(&self) -> Result<String> {
        self.to_json().map(|text| digest(&text))
    }

    /// The schema that tables are held against.
    #[must_use]
    pub const fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// What columns beyond the schema mean.
    #[must_use]
    pub const fn extra(&self) -> Extra {
        self.extra
    }

    /// Does the order of the schema's columns count?
    #[must_use]
    pub const fn ordered(&self) -> bool {
        self.ordered
    }

    /// The rules in order, each with its name.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Rule {
    /// The check as a person would say it.
    #[must_use]
    pub fn text(&self) -> String {
        describe(&self.check)
    }

    /// Can one row alone break it?
    #[must_use]
    pub const fn is_of_rows(&self) -> bool {
        matches!(self.check, Check::Expression { .. })
    }

    /// The names of the columns that it looks at, in order.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        match &self.check {
            Check::Expression { expression, .. }
            | Check::Monotone { expression, .. }
            | Check::Outliers { expression, .. } => gather(expression, &mut names),
            Check::Aggregate { expression, .. } => {
                if let Some(expression) = expression {
                    gather(expression, &mut names);
                }
            }
            Check::Unique { columns } | Check::ForeignKey { columns, .. } => {
                names.clone_from(columns);
            }
            Check::Distribution { column, .. } => names.push(column.clone()),
        }
        names
    }
}

/// Collects the columns of an expression, each once.
fn gather(value: &Value, names: &mut Vec<String>) {
    let map = match value {
        Value::Object(map) => map,
        Value::Array(inputs) => return inputs.iter().for_each(|inner| gather(inner, names)),
        _ => return,
    };
    if map.get("op").and_then(Value::as_str) == Some("col") {
        if let Some(Value::String(name)) = map.get("name")
            && !names.contains(name)
        {
            names.push(name.clone());
        }
        return;
    }
    // Maps are sorted by key, so that inputs come as "input", then "left", then "right".
    map.values().for_each(|inner| gather(inner, names));
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_NAME {
        let cut = (0..=MAX_NAME - 4)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

fn check_rule(rule: &Rule) -> Result<()> {
    if rule.name.len() > MAX_NAME {
        return Err(Error::invalid(format!(
            "the name is longer than {MAX_NAME} bytes: shorten it"
        )));
    }
    if !(0.0..=1.0).contains(&rule.allow) {
        return Err(Error::invalid(format!(
            "allow is {} where a share from 0 to 1 is due",
            rule.allow
        )));
    }
    let whole = matches!(
        rule.check,
        Check::Aggregate { .. } | Check::Distribution { .. }
    );
    if whole && rule.allow > 0.0 {
        return Err(Error::invalid(
            "allow is a share of rows, and this rule looks at the whole table: set its bounds instead",
        ));
    }
    if rule.repair.is_some() && !rule.is_of_rows() {
        return Err(Error::invalid(format!(
            "repair is for rules that one row can break, not for {}: leave it out",
            kind(&rule.check)
        )));
    }
    check_parameters(&rule.check)
}

fn check_parameters(check: &Check) -> Result<()> {
    match check {
        Check::ForeignKey { columns, keys, .. } => {
            if columns.is_empty() || columns.len() != keys.len() {
                return Err(Error::invalid(format!(
                    "{} columns against {} keys: name as many of each, at least one",
                    columns.len(),
                    keys.len()
                )));
            }
        }
        Check::Outliers { threshold, .. } => {
            if threshold.is_some_and(|threshold| threshold.is_nan() || threshold <= 0.0) {
                return Err(Error::invalid("the threshold of outliers is above 0"));
            }
        }
        Check::Aggregate {
            aggregate,
            expression,
            at,
            min,
            max,
        } => {
            if (*aggregate == Aggregate::Rows) != expression.is_none() {
                return Err(Error::invalid(
                    "rows takes no expression, every other aggregate takes one",
                ));
            }
            let wanted = *aggregate == Aggregate::Quantile;
            if at.is_some() != wanted || at.is_some_and(|at| !(0.0..=1.0).contains(&at)) {
                return Err(Error::invalid(
                    "a quantile, and nothing else, takes `at`, a share from 0 to 1",
                ));
            }
            check_bounds(*min, *max)?;
        }
        Check::Distribution { max, .. } => {
            if max.is_nan() || *max < 0.0 {
                return Err(Error::invalid(format!(
                    "max is {max} where a distance of 0 or more is due"
                )));
            }
        }
        Check::Expression { .. } | Check::Unique { .. } | Check::Monotone { .. } => {}
    }
    Ok(())
}

fn check_bounds(min: Option<f64>, max: Option<f64>) -> Result<()> {
    match (min, max) {
        (None, None) => Err(Error::invalid("there are no bounds: give min, max or both")),
        (Some(min), Some(max)) if min > max => Err(Error::invalid(format!(
            "min {min} is above max {max}: nothing lies between them"
        ))),
        _ => Ok(()),
    }
}

/// An expression of a check.
pub(super) fn expression(value: &Value) -> Expr {
    Expr::from_value(value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_round_trip_with_defaults_written_out() {
        let text = r#"{"version":1,"rules":[{"check":{"kind":"unique","columns":["a","b"]}}]}"#;
        let rules = RuleSet::from_json(text).unwrap();
        assert_eq!(rules.rules()[0].name, "unique(a, b)");
        let canonical = rules.to_json().unwrap();
        assert_eq!(
            RuleSet::from_json(&canonical).unwrap().to_json().unwrap(),
            canonical
        );
        assert!(rules.fingerprint().unwrap().starts_with("sha256:"));
    }

    #[test]
    fn edited_truncated_and_future_files_are_refused_with_the_mend() {
        for (text, part) in [
            (
                r#"{"version":1,"rules":[{"check":{"kind":"uniq"#,
                "not a file of rules",
            ),
            (r#"{"version":2,"rules":[]}"#, "upgrade tidegate"),
            (
                r#"{"version":1,"rules":[],"more":1}"#,
                "unknown field `more`",
            ),
            (
                r#"{"version":1,"rules":[{"check":{"kind":"uniq","columns":[]}}]}"#,
                "unknown variant",
            ),
            (
                r#"{"version":1,"rules":[{"check":{"kind":"unique","columns":[],"x":1}}]}"#,
                "unknown field `x`",
            ),
            (
                r#"{"version":1,"rules":[{"name":"n","allow":2,"check":{"kind":"unique","columns":[]}}]}"#,
                r#"rule "n": allow is 2"#,
            ),
        ] {
            let error = RuleSet::from_json(text).unwrap_err();
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn parameters_are_checked() {
        for (check, part) in [
            (r#"{"kind":"aggregate","aggregate":"rows"}"#, "no bounds"),
            (
                r#"{"kind":"aggregate","aggregate":"rows","min":2,"max":1}"#,
                "nothing lies between",
            ),
            (
                r#"{"kind":"aggregate","aggregate":"mean","max":1}"#,
                "takes no expression",
            ),
            (
                r#"{"kind":"aggregate","aggregate":"quantile","expression":{"op":"col","name":"x"},"max":1}"#,
                "takes `at`",
            ),
            (
                r#"{"kind":"foreign_key","columns":["a"],"reference":"r","keys":[]}"#,
                "1 columns against 0 keys",
            ),
            (
                r#"{"kind":"outliers","method":"iqr","threshold":-1,"expression":{"op":"col","name":"x"}}"#,
                "above 0",
            ),
        ] {
            let text = format!(r#"{{"version":1,"rules":[{{"check":{check}}}]}}"#);
            let error = RuleSet::from_json(&text).unwrap_err();
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn two_rules_of_one_name_are_refused() {
        let rule = r#"{"check":{"kind":"unique","columns":["a"]}}"#;
        let text = format!(r#"{{"version":1,"rules":[{rule},{rule}]}}"#);
        let error = RuleSet::from_json(&text).unwrap_err();
        assert!(error.message.contains("a name of its own"), "{error}");
    }
}
