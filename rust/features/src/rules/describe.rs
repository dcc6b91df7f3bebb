//! How a check reads: the name of a rule that has none, and the text of reports.

use serde_json::Value;

use super::spec::{Aggregate, Check, Distance, Method, Missing, expression};

/// The word for a kind of check, as documents have it.
pub(super) const fn kind(check: &Check) -> &'static str {
    match check {
        Check::Expression { .. } => "expression",
        Check::Unique { .. } => "unique",
        Check::ForeignKey { .. } => "foreign_key",
        Check::Monotone { .. } => "monotone",
        Check::Outliers { .. } => "outliers",
        Check::Aggregate { .. } => "aggregate",
        Check::Distribution { .. } => "distribution",
    }
}

impl Aggregate {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Count => "count",
            Self::MissingShare => "missing_share",
            Self::Distinct => "distinct",
            Self::Mean => "mean",
            Self::Std => "std",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Median => "median",
            Self::Quantile => "quantile",
            Self::Age => "age",
        }
    }
}

impl Method {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zscore => "zscore",
            Self::Iqr => "iqr",
            Self::Mad => "mad",
        }
    }
}

impl Distance {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::JensenShannon => "jensen_shannon",
        }
    }
}

fn text(value: &Value) -> String {
    expression(value).to_string()
}

/// A check as a person would say it.
pub(super) fn describe(check: &Check) -> String {
    match check {
        Check::Expression {
            expression,
            missing,
        } => {
            let text = text(expression);
            match missing {
                Missing::Pass => text,
                Missing::Fail => format!("{text} and there"),
            }
        }
        Check::Unique { columns } if columns.is_empty() => "unique(all columns)".to_owned(),
        Check::Unique { columns } => format!("unique({})", columns.join(", ")),
        Check::ForeignKey {
            columns,
            reference,
            keys,
        } => format!(
            "({}) in {reference}({})",
            columns.join(", "),
            keys.join(", ")
        ),
        Check::Monotone {
            expression,
            descending,
            strict,
        } => {
            let strictly = if *strict { "strictly " } else { "" };
            let way = if *descending {
                "descending"
            } else {
                "ascending"
            };
            format!("{} {strictly}{way}", text(expression))
        }
        Check::Outliers {
            expression,
            method,
            threshold,
        } => format!(
            "{} within {} of {}",
            text(expression),
            threshold.unwrap_or(method.usual()),
            method.name()
        ),
        Check::Aggregate {
            aggregate,
            expression,
            at,
            min,
            max,
        } => {
            let of = expression.as_ref().map(text).unwrap_or_default();
            let at = at.map(|at| format!(", {at}")).unwrap_or_default();
            format!("{}({of}{at}) {}", aggregate.name(), bounds(*min, *max))
        }
        Check::Distribution {
            column,
            distance,
            max,
            ..
        } => format!("{}({column}) <= {max}", distance.name()),
    }
}

fn bounds(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("between {min} and {max}"),
        (Some(min), None) => format!(">= {min}"),
        (None, Some(max)) => format!("<= {max}"),
        (None, None) => String::new(),
    }
}
