//! What a run says: counts, rows, one line.

use serde::Serialize;
use serde_json::{Map, Value};

use super::found::Finding;
use super::spec::Severity;

/// The version of a report's JSON.
pub(super) const VERSION: u32 = 1;
/// Most rules that the one line names.
const NAMED: usize = 5;

/// How a rule came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds.
    Passed,
    /// It is broken, which only warns.
    Warned,
    /// It is broken.
    Failed,
    /// It could not run; a finding about the schema says why.
    Skipped,
}

/// One rule of a report.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// The kind of its check.
    pub kind: &'static str,
    /// The check as a person would say it.
    pub text: String,
    /// What it means that it is broken.
    pub severity: Severity,
    /// The share of rows that may break it.
    pub allow: f64,
    /// How it came out.
    pub status: Status,
    /// Rows that break it; null where it looks at the whole table.
    pub failures: Option<u64>,
    /// Their share of all rows.
    pub share: Option<f64>,
    /// Rows of which it says nothing, since its value is missing.
    pub missing: u64,
    /// The number of the whole table; null where it looks at rows, or has no value.
    pub value: Option<f64>,
    /// The least that passes.
    pub min: Option<f64>,
    /// The greatest that passes.
    pub max: Option<f64>,
    /// Are the counts exact?
    pub exact: bool,
    /// What else is to be said; empty for nothing.
    pub message: String,
    /// The first rows that break it, numbered from 0, with the values that it looks at.
    pub rows: Vec<RowReport>,
}

/// One row that breaks a rule.
#[derive(Clone, Debug, Serialize)]
pub struct RowReport {
    /// Its number in the data, from 0.
    pub row: u64,
    /// Its values in the columns of the rule, as far as they are known.
    pub values: Map<String, Value>,
}

/// What a run says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this document.
    pub version: u32,
    /// Does everything hold that is more than a warning?
    pub passed: bool,
    /// One line.
    pub verdict: String,
    /// How many rows were seen.
    pub rows: u64,
    /// The digest of the rules.
    pub rules_fingerprint: String,
    /// Differences between the columns and the schema.
    pub schema: Vec<Finding>,
    /// The rules in order, those that the schema implies first.
    pub rules: Vec<RuleReport>,
}

/// A number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        grouped(number),
        if number == 1 { one } else { many }
    )
}

impl Report {
    pub(super) fn new(
        rows: u64,
        fingerprint: String,
        schema: Vec<Finding>,
        rules: Vec<RuleReport>,
    ) -> Self {
        let broken = schema
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();
        let failed: Vec<&RuleReport> = of(&rules, Status::Failed).collect();
        let warned = of(&rules, Status::Warned).count() + schema.len() - broken;
        let passed = broken == 0 && failed.is_empty();
        let over = format!(
            "{} on {}",
            counted(rules.len() as u64, "rule", "rules"),
            counted(rows, "row", "rows")
        );
        let mut verdict = if passed {
            format!("passed: {over}")
        } else {
            let mut parts: Vec<String> = schema
                .iter()
                .filter(|finding| finding.severity == Severity::Error)
                .map(|finding| finding.message.clone())
                .chain(failed.iter().map(|rule| said(rule)))
                .collect();
            let more = parts.len().saturating_sub(NAMED);
            parts.truncate(NAMED);
            if more > 0 {
                parts.push(format!("and {more} more"));
            }
            format!("failed: {over}: {}", parts.join("; "))
        };
        if warned > 0 {
            verdict.push_str(&format!(
                " ({})",
                counted(warned as u64, "warning", "warnings")
            ));
        }
        Self {
            version: VERSION,
            passed,
            verdict,
            rows,
            rules_fingerprint: fingerprint,
            schema,
            rules,
        }
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn of(rules: &[RuleReport], status: Status) -> impl Iterator<Item = &RuleReport> {
    rules.iter().filter(move |rule| rule.status == status)
}

/// A number in a few digits.
fn short(value: f64) -> String {
    if value.abs() >= 1e15 || (value != 0.0 && value.abs() < 1e-3) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A broken rule in a few words.
fn said(rule: &RuleReport) -> String {
    match (rule.failures, rule.value) {
        (Some(failures), _) => {
            format!("{} ({})", rule.name, counted(failures, "row", "rows"))
        }
        (None, Some(value)) => format!("{} (is {})", rule.name, short(value)),
        (None, None) => format!("{} (has no value)", rule.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (12.639_070_257, "12.639"),
            (120.0, "120"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (1e-7, "1.000e-7"),
            (2e18, "2.000e18"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (336_776, "336,776"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
