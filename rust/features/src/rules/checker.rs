//! Rules compiled against the columns that a table has.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tidegate_schema::{Column, DType, Error, Result, Schema};

use super::describe::{describe, kind};
use super::found::{Finding, FoundColumn, findings, readable};
use super::fused::Fused;
use super::keys::KeySet;
use super::spec::{Aggregate, Check, Extra, Method, Missing, Rule, RuleSet, Severity, expression};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::program::Program;
use crate::value::Type;

/// A check of one column that another crate makes, such as a distance from a reference.
pub trait TableCheck: Any + Send + Sync {
    /// An empty one of the same kind, for another pass or another piece.
    fn fork(&self) -> Box<dyn TableCheck>;
    /// Takes in the values of some rows.
    fn update(&mut self, column: &Column<'_>) -> Result<()>;
    /// Takes in what another of the same kind has seen.
    fn merge(&mut self, other: &dyn Any) -> Result<()>;
    /// The number that the rule bounds; `None` where there is nothing to compute it of.
    fn finish(&mut self) -> Result<Option<f64>>;
    /// Itself, for [`TableCheck::merge`].
    fn as_any(&self) -> &dyn Any;
}

/// The keys of other tables, by the table's name and the columns of the key.
#[derive(Clone, Default)]
pub struct References(HashMap<(String, Vec<String>), Arc<KeySet>>);

impl References {
    /// Takes the keys of a table.
    pub fn insert(&mut self, table: &str, columns: &[String], keys: KeySet) {
        self.0
            .insert((table.to_owned(), columns.to_vec()), Arc::new(keys));
    }

    fn get(&self, table: &str, columns: &[String]) -> Result<Arc<KeySet>> {
        self.0
            .get(&(table.to_owned(), columns.to_vec()))
            .cloned()
            .ok_or_else(|| {
                Error::invalid(format!(
                    "the table {table:?} that it refers to is not given: pass it as references={{{table:?}: table}}"
                ))
            })
    }
}

/// What runs for a rule.
pub(super) enum Compiled {
    /// A row breaks it where the node is 0, or missing if that counts.
    Row {
        node: usize,
        missing: bool,
    },
    /// A row breaks it, and a shorter way than the engine's says so.
    Fused {
        fused: Fused,
        missing: bool,
    },
    /// A row breaks it where the node is no whole number.
    Whole {
        node: usize,
    },
    Unique {
        columns: Vec<usize>,
    },
    ForeignKey {
        columns: Vec<usize>,
        keys: Arc<KeySet>,
    },
    Monotone {
        node: usize,
        descending: bool,
        strict: bool,
    },
    Outliers {
        node: usize,
        method: Method,
        threshold: Option<f64>,
    },
    Aggregate {
        aggregate: Aggregate,
        node: Option<usize>,
        at: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
    },
    Distribution {
        column: usize,
        max: f64,
        check: Box<dyn TableCheck>,
    },
    /// It cannot run, for this reason, which is a finding about the schema.
    Skipped(String),
}

/// A rule, or a demand of the schema, with what runs for it.
pub(super) struct Entry {
    pub name: String,
    pub kind: &'static str,
    pub text: String,
    pub severity: Severity,
    pub allow: f64,
    /// The columns that it looks at, by their position among those that are read.
    pub columns: Vec<(usize, String)>,
    pub compiled: Compiled,
}

/// Rules compiled against the columns of a table: immutable, shared between runs.
pub struct Checker {
    pub(super) entries: Vec<Entry>,
    pub(super) findings: Vec<Finding>,
    pub(super) graph: Graph,
    pub(super) program: Program,
    pub(super) fingerprint: String,
}

/// Makes the check of a distribution.
pub type Distributions<'a> = &'a dyn Fn(&Check) -> Result<Box<dyn TableCheck>>;

/// A rule on its way to be compiled: which nodes it needs.
struct Draft {
    entry: Entry,
    /// The position of its expression among all.
    expression: Option<usize>,
}

impl Checker {
    /// Compiles rules for a table of these columns.
    ///
    /// # Errors
    /// `InvalidInput` that names the rule: a column that neither the table nor the schema knows, an
    /// expression that is not boolean or that learns, a reference that is not given.
    pub fn new(
        rules: &RuleSet,
        found: &[FoundColumn],
        references: &References,
        distributions: Distributions<'_>,
    ) -> Result<Self> {
        let readable = readable(rules, found)?;
        let mut expressions = Vec::new();
        let mut drafts = implied(rules, &readable, &mut expressions);
        for rule in rules.rules() {
            let at = |error: Error| error.at(format!("rule {:?}", rule.name));
            let (entry, wanted) =
                compile(rule, rules, found, &readable, references, distributions).map_err(at)?;
            let draft = Draft {
                entry,
                expression: wanted.map(|wanted| {
                    expressions.push(wanted);
                    expressions.len() - 1
                }),
            };
            drafts.push((rule.columns(), draft));
        }
        // What is read by its name is a node too, so that its column is not left out.
        let values = expressions.len();
        for (names, _) in &drafts {
            let all = names
                .iter()
                .filter(|name| readable.position(name).is_some());
            expressions.extend(all.map(|name| Expr::column(name)));
        }
        for (names, draft) in &drafts {
            if names.is_empty() && matches!(draft.entry.compiled, Compiled::Unique { .. }) {
                expressions.extend(
                    readable
                        .fields()
                        .iter()
                        .map(|field| Expr::column(&field.name)),
                );
            }
        }
        let graph = Graph::build(&readable, &expressions, false)?;
        let nodes: Vec<usize> = graph
            .features
            .iter()
            .map(crate::graph::Feature::node)
            .collect();
        let wanted = nodes.get(..values).unwrap_or_default();
        let program = Program::compile(&graph, wanted, false)?.lenient();
        let entries = drafts
            .into_iter()
            .map(|(names, draft)| place(names, draft, &nodes, &readable, &graph.schema))
            .collect::<Result<_>>()?;
        Ok(Self {
            entries,
            findings: findings(rules, found),
            graph,
            program,
            fingerprint: rules.fingerprint()?,
        })
    }

    /// Does a rule have a shorter way than the engine's?
    pub(super) fn fuses(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| matches!(entry.compiled, Compiled::Fused { .. }))
    }

    /// Does a rule have none?
    pub(super) fn computes(&self) -> bool {
        self.entries.iter().any(|entry| {
            !matches!(
                entry.compiled,
                Compiled::Fused { .. } | Compiled::Skipped(_)
            )
        })
    }

    /// The columns that tables must have, in this order.
    #[must_use]
    pub const fn input_schema(&self) -> &Schema {
        &self.graph.schema
    }

    /// The names of the rules as marks number them: those that the schema implies come first.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect()
    }
}

/// What a schema demands of each row: values where they may not be missing, whole numbers where
/// integers are due but floats are found.
fn implied(
    rules: &RuleSet,
    readable: &Schema,
    expressions: &mut Vec<Expr>,
) -> Vec<(Vec<String>, Draft)> {
    let mut drafts = Vec::new();
    let fields = rules.schema().map(Schema::fields).unwrap_or_default();
    for field in fields {
        let found = readable
            .position(&field.name)
            .and_then(|position| readable.fields().get(position));
        let Some(found) = found else { continue };
        let mut add = |kind, text: String, compiled, wanted: Option<Expr>| {
            let expression = wanted.map(|wanted| {
                expressions.push(wanted);
                expressions.len() - 1
            });
            drafts.push((
                vec![field.name.clone()],
                Draft {
                    entry: Entry {
                        name: format!("schema: {text}"),
                        kind,
                        text,
                        severity: Severity::Error,
                        allow: 0.0,
                        columns: Vec::new(),
                        compiled,
                    },
                    expression,
                },
            ));
        };
        if !field.nullable {
            let position = readable.position(&field.name).unwrap_or_default();
            add(
                "not_null",
                format!("{} is never missing", field.name),
                Compiled::Fused {
                    fused: Fused::Present { column: position },
                    missing: false,
                },
                None,
            );
        }
        if field.dtype == DType::Int64 && found.dtype == DType::Float64 {
            add(
                "whole_number",
                format!("{} is whole", field.name),
                Compiled::Whole { node: 0 },
                Some(Expr::column(&field.name)),
            );
        }
    }
    drafts
}

/// The expression of a check with the type that it must have.
fn wanted(check: &Check) -> Option<(&Value, Wanted)> {
    match check {
        Check::Expression { expression, .. } => Some((expression, Wanted::Bool)),
        Check::Monotone { expression, .. } => Some((expression, Wanted::Numeric)),
        Check::Outliers { expression, .. } => Some((expression, Wanted::Number)),
        Check::Aggregate {
            aggregate,
            expression,
            ..
        } => {
            let wanted = match aggregate {
                Aggregate::Rows
                | Aggregate::Count
                | Aggregate::MissingShare
                | Aggregate::Distinct => Wanted::Any,
                Aggregate::Age => Wanted::Timestamp,
                _ => Wanted::Number,
            };
            expression.as_ref().map(|expression| (expression, wanted))
        }
        Check::Unique { .. } | Check::ForeignKey { .. } | Check::Distribution { .. } => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Bool,
    Number,
    Numeric,
    Timestamp,
    Any,
}

/// Checks the expression of a rule by itself, so that errors name the rule.
pub(super) fn check_expression(check: &Check, schema: &Schema) -> Result<()> {
    let Some((value, wanted)) = wanted(check) else {
        return Ok(());
    };
    let graph = Graph::build(schema, &[expression(value)], false)?;
    let Some(node) = graph
        .features
        .first()
        .map(|feature| &graph.nodes[feature.node()])
    else {
        return Ok(());
    };
    if let Some(learner) = graph.nodes.iter().find(|node| node.level > 0) {
        return Err(Error::invalid(format!(
            "{} learns from data, and a rule does not: write what it would learn as a constant",
            learner.text
        )));
    }
    let (fits, due, mend) = match wanted {
        Wanted::Bool => (node.kind == Type::Bool, "a bool", "compare it, as in … > 0"),
        Wanted::Number => (
            node.kind.is_number(),
            "a number",
            "take one, as in .dt.epoch()",
        ),
        Wanted::Numeric => (
            node.kind.is_numeric(),
            "a number or a time",
            "texts have no such order here",
        ),
        Wanted::Timestamp => (
            node.kind == Type::Timestamp,
            "a timestamp",
            "declare the column as one",
        ),
        Wanted::Any => (node.kind != Type::Columns, "one value", "leave the end out"),
    };
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} is {} where {due} is due: {mend}",
        node.text, node.kind
    )))
}

/// Why a rule cannot run over a table, if the schema's findings say so; an error if nothing does.
fn obstacle(
    rule: &Rule,
    rules: &RuleSet,
    found: &[FoundColumn],
    readable: &Schema,
) -> Result<Option<String>> {
    for name in rule.columns() {
        if readable.position(&name).is_some() {
            continue;
        }
        let declared = rules
            .schema()
            .is_some_and(|schema| schema.position(&name).is_some());
        match found.iter().find(|column| column.name == name) {
            None if declared => return Ok(Some(format!("column {name:?} is not in the table"))),
            None => {
                readable.resolve(&name)?;
            }
            Some(column) if declared => {
                return Ok(Some(format!("column {name:?} is {}", column.type_name)));
            }
            Some(column) => {
                return Err(Error::invalid(format!(
                    "column {name:?} has type {}, which no rule takes: cast it, or leave the rule out",
                    column.type_name
                )));
            }
        }
    }
    Ok(None)
}

fn compile(
    rule: &Rule,
    rules: &RuleSet,
    found: &[FoundColumn],
    readable: &Schema,
    references: &References,
    distributions: Distributions<'_>,
) -> Result<(Entry, Option<Expr>)> {
    let entry = |compiled| Entry {
        name: rule.name.clone(),
        kind: kind(&rule.check),
        text: describe(&rule.check),
        severity: rule.severity,
        allow: rule.allow,
        columns: Vec::new(),
        compiled,
    };
    if let Some(reason) = obstacle(rule, rules, found, readable)? {
        return Ok((entry(Compiled::Skipped(reason)), None));
    }
    check_expression(&rule.check, readable).map_err(|error| {
        let untyped = found
            .iter()
            .find(|column| column.untyped && rule.columns().contains(&column.name));
        match untyped {
            Some(column) => Error::invalid(format!(
                "column {:?} is all null and has no type of its own: declare it in the schema of the rules ({})",
                column.name, error.message
            )),
            None => error,
        }
    })?;
    let compiled = match &rule.check {
        Check::Expression {
            expression,
            missing,
        } => {
            let missing = *missing == Missing::Fail;
            match Fused::new(expression, readable, &rule.columns())? {
                Some(fused) => return Ok((entry(Compiled::Fused { fused, missing }), None)),
                None => Compiled::Row { node: 0, missing },
            }
        }
        Check::Unique { .. } => Compiled::Unique {
            columns: Vec::new(),
        },
        Check::ForeignKey {
            reference, keys, ..
        } => Compiled::ForeignKey {
            columns: Vec::new(),
            keys: references.get(reference, keys)?,
        },
        Check::Monotone {
            descending, strict, ..
        } => Compiled::Monotone {
            node: 0,
            descending: *descending,
            strict: *strict,
        },
        Check::Outliers {
            method, threshold, ..
        } => Compiled::Outliers {
            node: 0,
            method: *method,
            threshold: *threshold,
        },
        Check::Aggregate {
            aggregate,
            at,
            min,
            max,
            ..
        } => Compiled::Aggregate {
            aggregate: *aggregate,
            node: None,
            at: *at,
            min: *min,
            max: *max,
        },
        Check::Distribution { max, .. } => Compiled::Distribution {
            column: 0,
            max: *max,
            check: distributions(&rule.check)?,
        },
    };
    let expression = wanted(&rule.check).map(|(value, _)| expression(value));
    Ok((entry(compiled), expression))
}

/// Puts nodes and positions into what was compiled without them.
fn place(
    names: Vec<String>,
    draft: Draft,
    nodes: &[usize],
    readable: &Schema,
    schema: &Schema,
) -> Result<Entry> {
    let Draft {
        mut entry,
        expression,
    } = draft;
    if matches!(entry.compiled, Compiled::Skipped(_)) {
        return Ok(entry);
    }
    let names = if names.is_empty() && matches!(entry.compiled, Compiled::Unique { .. }) {
        schema
            .fields()
            .iter()
            .map(|field| field.name.clone())
            .collect()
    } else {
        names
    };
    for name in names {
        entry.columns.push((schema.resolve(&name)?, name));
    }
    let positions: Vec<usize> = entry
        .columns
        .iter()
        .map(|(position, _)| *position)
        .collect();
    let value = expression.and_then(|expression| nodes.get(expression).copied());
    match &mut entry.compiled {
        Compiled::Row { node, .. }
        | Compiled::Whole { node }
        | Compiled::Monotone { node, .. }
        | Compiled::Outliers { node, .. } => {
            *node = value.ok_or_else(|| Error::internal("a rule has lost its expression"))?;
        }
        Compiled::Aggregate { node, .. } => *node = value,
        Compiled::Unique { columns } | Compiled::ForeignKey { columns, .. } => *columns = positions,
        Compiled::Distribution { column, .. } => {
            *column = positions.first().copied().unwrap_or_default();
        }
        Compiled::Fused { fused, .. } => fused.placed(readable, schema)?,
        Compiled::Skipped(_) => {}
    }
    Ok(entry)
}

impl RuleSet {
    /// Checks the expressions against the schema, if there is one, before any table is seen.
    ///
    /// # Errors
    /// `InvalidInput` that names the rule and what is wrong with it.
    pub fn check(&self) -> Result<()> {
        let Some(schema) = self.schema() else {
            return Ok(());
        };
        for rule in self.rules() {
            let known = rule
                .columns()
                .iter()
                .all(|name| schema.position(name).is_some());
            if known {
                check_expression(&rule.check, schema)
            } else if self.extra() == Extra::Error {
                rule.columns()
                    .iter()
                    .try_for_each(|name| schema.resolve(name).map(drop))
            } else {
                Ok(())
            }
            .map_err(|error| error.at(format!("rule {:?}", rule.name)))?;
        }
        Ok(())
    }
}
