//! What a table has, held against a schema: presence, types, order, further columns.

use serde::Serialize;
use tidegate_schema::{DType, Field, Result, Schema};

use super::spec::{Extra, RuleSet, Severity};

/// A column of a table that is to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundColumn {
    /// Its name.
    pub name: String,
    /// What its values become; `None` for a type that no expression takes.
    pub dtype: Option<DType>,
    /// Its type as its producer calls it, for messages.
    pub type_name: String,
    /// Has it no type of its own, since all of it is null?
    pub untyped: bool,
}

/// What about the columns of a table is not as the schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A column of the schema is not there.
    MissingColumn,
    /// A column is of a type that does not become the schema's.
    WrongType,
    /// A column is not in the schema.
    UnexpectedColumn,
    /// The schema's columns stand in another order.
    WrongOrder,
}

/// One difference between a table's columns and the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is different.
    pub kind: FindingKind,
    /// At which column.
    pub column: String,
    /// What it means.
    pub severity: Severity,
    /// One sentence: what is wrong, and the mend.
    pub message: String,
}

/// Do values of a type become values of another? Whole floats become integers, value by value.
const fn becomes(found: DType, due: DType) -> bool {
    matches!(
        (found, due),
        (DType::Int64, DType::Float64) | (DType::Float64, DType::Int64)
    ) || found as u8 == due as u8
}

/// The differences between a table's columns and the schema of the rules.
pub(super) fn findings(rules: &RuleSet, found: &[FoundColumn]) -> Vec<Finding> {
    let Some(schema) = rules.schema() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut add = |kind, column: &str, severity, message: String| {
        findings.push(Finding {
            kind,
            column: column.to_owned(),
            severity,
            message,
        });
    };
    for field in schema.fields() {
        let Some(column) = found.iter().find(|column| column.name == field.name) else {
            let names = Schema::new(
                found
                    .iter()
                    .map(|column| Field::nullable(column.name.clone(), DType::Bool))
                    .collect(),
            );
            let near = names
                .ok()
                .and_then(|names| names.nearest(&field.name).map(str::to_owned));
            let mend = match near {
                Some(near) if schema.position(&near).is_none() => {
                    format!("is it what the table calls {near:?}?")
                }
                _ => "add it, or take it out of the schema".to_owned(),
            };
            add(
                FindingKind::MissingColumn,
                &field.name,
                Severity::Error,
                format!("column {:?} is not in the table: {mend}", field.name),
            );
            continue;
        };
        let fits = column.untyped
            || column
                .dtype
                .is_some_and(|dtype| becomes(dtype, field.dtype));
        if !fits {
            add(
                FindingKind::WrongType,
                &field.name,
                Severity::Error,
                format!(
                    "column {:?} is {} where the schema says {}: cast it, or change the schema",
                    field.name, column.type_name, field.dtype
                ),
            );
        }
    }
    let severity = match rules.extra() {
        Extra::Allow => None,
        Extra::Warn => Some(Severity::Warning),
        Extra::Error => Some(Severity::Error),
    };
    if let Some(severity) = severity {
        for column in found {
            if schema.position(&column.name).is_none() {
                add(
                    FindingKind::UnexpectedColumn,
                    &column.name,
                    severity,
                    format!(
                        "column {:?} is not in the schema: drop it, or add it to the schema",
                        column.name
                    ),
                );
            }
        }
    }
    if rules.ordered() {
        let positions = found
            .iter()
            .filter_map(|column| schema.position(&column.name));
        let mut last = None;
        for position in positions {
            if last.is_some_and(|last| position < last) {
                let name = schema
                    .fields()
                    .get(position)
                    .map_or("", |field| &field.name);
                add(
                    FindingKind::WrongOrder,
                    name,
                    Severity::Error,
                    format!(
                        "column {name:?} stands behind columns that the schema has after it: order them as the schema does"
                    ),
                );
                break;
            }
            last = Some(position);
        }
    }
    findings
}

/// The types that rules are compiled against: those that the columns have, so that nothing is cast
/// before it is looked at. All may have missing values: whether they may is a rule.
pub(super) fn readable(rules: &RuleSet, found: &[FoundColumn]) -> Result<Schema> {
    let declared = |name: &str| {
        let schema = rules.schema()?;
        let position = schema.position(name)?;
        schema.fields().get(position).map(|field| field.dtype)
    };
    let fields = found
        .iter()
        .filter_map(|column| {
            let due = declared(&column.name);
            let dtype = match (column.untyped, due) {
                (true, Some(due)) => due,
                _ => column.dtype?,
            };
            let usable = due.is_none_or(|due| becomes(dtype, due));
            usable.then(|| Field::nullable(column.name.clone(), dtype))
        })
        .collect();
    Schema::new(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(extra: Extra, ordered: bool) -> RuleSet {
        let schema = Schema::new(vec![
            Field::required("carrier", DType::String),
            Field::nullable("distance", DType::Float64),
            Field::nullable("flight", DType::Int64),
        ]);
        RuleSet::new(Some(schema.unwrap()), extra, ordered, Vec::new()).unwrap()
    }

    fn found(columns: &[(&str, Option<DType>)]) -> Vec<FoundColumn> {
        columns
            .iter()
            .map(|(name, dtype)| FoundColumn {
                name: (*name).to_owned(),
                dtype: *dtype,
                type_name: dtype.map_or("list", DType::name).to_owned(),
                untyped: false,
            })
            .collect()
    }

    fn kinds(findings: &[Finding]) -> Vec<(FindingKind, &str)> {
        findings
            .iter()
            .map(|finding| (finding.kind, finding.column.as_str()))
            .collect()
    }

    #[test]
    fn presence_type_order_and_strangers_are_found() {
        let table = found(&[
            ("distance", Some(DType::Int64)),
            ("carier", Some(DType::String)),
            ("flight", None),
        ]);
        let found = findings(&rules(Extra::Error, true), &table);
        assert_eq!(
            kinds(&found),
            [
                (FindingKind::MissingColumn, "carrier"),
                (FindingKind::WrongType, "flight"),
                (FindingKind::UnexpectedColumn, "carier"),
            ]
        );
        assert!(
            found[0]
                .message
                .contains(r#"what the table calls "carier"?"#)
        );
        let turned = self::found(&[
            ("flight", Some(DType::Float64)),
            ("carrier", Some(DType::String)),
            ("distance", Some(DType::Float64)),
        ]);
        let found = findings(&rules(Extra::Allow, true), &turned);
        assert_eq!(kinds(&found), [(FindingKind::WrongOrder, "carrier")]);
        assert!(findings(&rules(Extra::Allow, false), &turned).is_empty());
    }

    #[test]
    fn an_untyped_column_takes_the_type_of_the_schema() {
        let mut table = found(&[("carrier", Some(DType::Float64))]);
        table[0].untyped = true;
        let rules = rules(Extra::Allow, false);
        assert_eq!(findings(&rules, &table).len(), 2);
        assert_eq!(
            readable(&rules, &table).unwrap().fields()[0].dtype,
            DType::String
        );
    }
}
