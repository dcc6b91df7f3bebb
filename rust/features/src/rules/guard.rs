//! Rules before a model: what one row can break, checked as requests come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_schema::{DType, Error, Result, Schema, Table, TableBuf};

use super::checker::check_expression;
use super::fused::Fused;
use super::memo::Memo;
use super::spec::{Check, Missing, Rule, RuleSet, Severity, expression};
use crate::expr::Expr;
use crate::graph::{Feature, Graph};
use crate::load::check_columns;
use crate::program::{Program, View};
use crate::value::{Type, Values};

/// What a guard does about a row that breaks a rule. A warning is only counted, whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The request is refused, with the rule and the row.
    #[default]
    Reject,
    /// The rule's `repair` is put in place; a rule without one refuses.
    Repair,
    /// It is counted, and the request goes on.
    Count,
}

/// What a guard found in a request.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Rows that break each rule, by its position in [`Guard::names`].
    pub broken: Vec<(usize, u64)>,
    /// The request with its rows repaired, where any was.
    pub repaired: Option<TableBuf>,
    /// Why it is refused.
    pub refusal: Option<Error>,
}

struct Guarded {
    name: String,
    text: String,
    severity: Severity,
    way: Way,
    missing: bool,
    /// Columns with what replaces their values.
    repair: Option<Vec<(usize, Repair)>>,
}

/// How a rule is looked at.
enum Way {
    /// As a node of the engine's.
    Node(usize),
    /// By the values of its columns alone, which is quicker for one row.
    Fused(Fused),
}

#[derive(Clone, Copy)]
enum Repair {
    Missing,
    Node(usize),
}

/// The rules of a bundle that one row can break, compiled for the columns that its model takes.
pub struct Guard {
    rules: Vec<Guarded>,
    graph: Graph,
    program: Program,
    /// Where the columns of the graph stand in the model's schema.
    positions: Vec<usize>,
    schema: Schema,
}

impl Guard {
    /// Compiles the rules of a set that one row can break; `None` if there are none. Rules about
    /// whole tables are left aside.
    ///
    /// # Errors
    /// `InvalidInput` that names the rule: a column that the model does not take, an expression
    /// that is not boolean, a repair of another type than its column.
    pub fn new(rules: &RuleSet, schema: &Schema) -> Result<Option<Self>> {
        let rules: Vec<&Rule> = rules
            .rules()
            .iter()
            .filter(|rule| rule.is_of_rows())
            .collect();
        if rules.is_empty() {
            return Ok(None);
        }
        let mut expressions = Vec::new();
        let mut drafts = Vec::new();
        for rule in rules {
            let Check::Expression {
                expression: value,
                missing,
            } = &rule.check
            else {
                continue;
            };
            let at = |error: Error| error.at(format!("rule {:?}", rule.name));
            check_expression(&rule.check, schema)
                .map_err(|error| at(error.at("the guard takes the columns of the model")))?;
            // A repair is computed beside its rule, so both are the engine's then.
            let fused = match &rule.repair {
                None => Fused::new(value, schema, &rule.columns())?,
                Some(_) => None,
            };
            if let Some(fused) = fused.filter(Fused::is_plain) {
                let missing = *missing == Missing::Fail;
                drafts.push((rule, Err(fused), missing, None));
                continue;
            }
            expressions.push(expression(value));
            let first = expressions.len() - 1;
            let repair = match &rule.repair {
                None => None,
                Some(repair) => Some(read_repair(repair, schema, &mut expressions).map_err(at)?),
            };
            drafts.push((rule, Ok(first), *missing == Missing::Fail, repair));
        }
        let graph = Graph::build(schema, &expressions, false)?;
        let nodes: Vec<usize> = graph.features.iter().map(Feature::node).collect();
        let program = Program::compile(&graph, &nodes, false)?.lenient();
        let node = |position: usize| {
            nodes
                .get(position)
                .copied()
                .ok_or_else(|| Error::internal("a guard has lost an expression"))
        };
        let rules = drafts
            .into_iter()
            .map(|(rule, first, missing, repair)| {
                let repair = repair.map(|repair| {
                    repair
                        .into_iter()
                        .map(|(column, position)| {
                            Ok((
                                column,
                                match position {
                                    None => Repair::Missing,
                                    Some(position) => Repair::Node(node(position)?),
                                },
                            ))
                        })
                        .collect::<Result<Vec<_>>>()
                });
                Ok(Guarded {
                    name: rule.name.clone(),
                    text: super::describe::describe(&rule.check),
                    severity: rule.severity,
                    way: match first {
                        Ok(position) => Way::Node(node(position)?),
                        Err(fused) => Way::Fused(fused),
                    },
                    missing,
                    repair: repair.transpose()?,
                })
            })
            .collect::<Result<_>>()?;
        let positions = graph
            .schema
            .fields()
            .iter()
            .map(|field| schema.resolve(&field.name))
            .collect::<Result<_>>()?;
        Ok(Some(Self {
            rules,
            graph,
            program,
            positions,
            schema: schema.clone(),
        }))
    }

    /// The names of the rules in order: the labels of their counters.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.rules.iter().map(|rule| rule.name.as_str()).collect()
    }

    /// Looks at a request: a table of the model's schema.
    pub fn check(&self, table: &Table<'_>, policy: Policy) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        self.check_fused(table, policy, &mut verdict)?;
        if self.graph.nodes.is_empty() {
            return Ok(verdict);
        }
        let columns = self
            .positions
            .iter()
            .filter_map(|&position| table.columns().get(position).copied())
            .collect();
        let used = Table::new(columns, table.rows())?;
        check_columns(&used, &self.graph.schema)?;
        let mut patches: Vec<Patch> = Vec::new();
        self.program
            .run_each(&used, &self.graph.schema, 0, |view| {
                for (position, rule) in self.rules.iter().enumerate() {
                    let Way::Node(node) = rule.way else { continue };
                    let values = view.node(node).numbers();
                    let broken = |value: f64| value == 0.0 || (rule.missing && value.is_nan());
                    let count = values.iter().filter(|value| broken(**value)).count();
                    if count == 0 {
                        continue;
                    }
                    match verdict
                        .broken
                        .iter_mut()
                        .find(|(rule, _)| *rule == position)
                    {
                        Some((_, before)) => *before += count as u64,
                        None => verdict.broken.push((position, count as u64)),
                    }
                    if rule.severity == Severity::Warning || policy == Policy::Count {
                        continue;
                    }
                    let rows = values
                        .iter()
                        .enumerate()
                        .filter(|(_, value)| broken(**value))
                        .map(|(row, _)| row);
                    match (&rule.repair, policy) {
                        (Some(repair), Policy::Repair) => {
                            rows.for_each(|row| patch(view, row, repair, &mut patches));
                        }
                        _ if verdict.refusal.is_none() => {
                            let (start, _) = view.range();
                            let mut rows = rows.map(|row| start + row);
                            verdict.refusal = rows.next().map(|row| refusal(rule, row));
                        }
                        _ => {}
                    }
                }
                Ok(())
            })?;
        if verdict.refusal.is_none() && !patches.is_empty() {
            verdict.repaired = Some(self.repaired(table, &patches)?);
        }
        Ok(verdict)
    }

    /// The rules that have a shorter way than the engine's.
    fn check_fused(&self, table: &Table<'_>, policy: Policy, verdict: &mut Verdict) -> Result<()> {
        for (position, rule) in self.rules.iter().enumerate() {
            let Way::Fused(fused) = &rule.way else {
                continue;
            };
            // Only expressions of texts remember, and those are the engine's here.
            let mut memo = Memo::default();
            let (failures, unknown) = fused.count(table.columns(), &mut memo)?;
            let broken = failures + if rule.missing { unknown } else { 0 };
            if broken == 0 {
                continue;
            }
            verdict.broken.push((position, broken));
            let counted = rule.severity == Severity::Warning || policy == Policy::Count;
            if !counted && verdict.refusal.is_none() {
                let mut first = None;
                fused.rows(table.columns(), rule.missing, &mut |row| {
                    first.get_or_insert(row);
                })?;
                verdict.refusal = first.map(|row| refusal(rule, row));
            }
        }
        Ok(())
    }

    /// A copy of the request with its patches; of several for one value the last counts.
    fn repaired(&self, table: &Table<'_>, patches: &[Patch]) -> Result<TableBuf> {
        let mut copy = TableBuf::new(&self.schema, table.rows());
        for (position, (column, out)) in table.columns().iter().zip(&mut copy.columns).enumerate() {
            let mut mine: BTreeMap<usize, &Patched> = BTreeMap::new();
            for patch in patches.iter().filter(|patch| patch.column == position) {
                mine.insert(patch.row, &patch.value);
            }
            if mine.is_empty() {
                out.extend_from(column)?;
                continue;
            }
            let mut done = 0;
            for (row, value) in mine {
                out.extend_from(&column.slice(done, row - done))?;
                value.push(out)?;
                done = row + 1;
            }
            out.extend_from(&column.slice(done, table.rows() - done))?;
        }
        Ok(copy)
    }
}

/// A value to be put into a row.
struct Patch {
    row: usize,
    column: usize,
    value: Patched,
}

enum Patched {
    Missing,
    Number(f64),
    Text(String),
}

impl Patched {
    fn push(&self, out: &mut tidegate_schema::ColumnBuf) -> Result<()> {
        match (self, out.dtype()) {
            (Self::Missing, _) => {
                out.push_null();
                Ok(())
            }
            (Self::Text(text), _) => out.push_str(text),
            (Self::Number(number), DType::Bool) => out.push_bool(*number != 0.0),
            (Self::Number(number), DType::Timestamp) => out.push_timestamp(*number as i64),
            // Dates are computed with as times, time spans as seconds.
            (Self::Number(number), DType::Date) => {
                out.push_date((*number / 86_400e6).floor() as i64)
            }
            (Self::Number(number), DType::Duration) => {
                out.push_duration((*number * 1e6).round() as i64)
            }
            // What is no whole number is none of an integer column; the nearest one is.
            (Self::Number(number), DType::Int64) => out.push_f64(number.round()),
            (Self::Number(number), _) => out.push_f64(*number),
        }
    }
}

fn patch(view: &View<'_>, row: usize, repair: &[(usize, Repair)], patches: &mut Vec<Patch>) {
    let (start, _) = view.range();
    for (column, repair) in repair {
        let value = match repair {
            Repair::Missing => Patched::Missing,
            Repair::Node(node) => match view.node(*node) {
                Values::Numbers(numbers) => match numbers.get(row) {
                    Some(number) if !number.is_nan() => Patched::Number(*number),
                    _ => Patched::Missing,
                },
                Values::Texts(texts) => texts
                    .get(row)
                    .map_or(Patched::Missing, |text| Patched::Text(text.to_owned())),
                // No expression gives a list.
                Values::NumberLists(_) | Values::TextLists(_) => Patched::Missing,
            },
        };
        patches.push(Patch {
            row: start + row,
            column: *column,
            value,
        });
    }
}

fn refusal(rule: &Guarded, row: usize) -> Error {
    Error::invalid(format!(
        "row {row} breaks rule {:?}, {}: send a row that keeps it",
        rule.name, rule.text
    ))
}

/// The columns of a repair with the positions of their expressions among all; `None` for missing.
fn read_repair(
    repair: &BTreeMap<String, Value>,
    schema: &Schema,
    expressions: &mut Vec<Expr>,
) -> Result<Vec<(usize, Option<usize>)>> {
    let mut read = Vec::with_capacity(repair.len());
    for (name, value) in repair {
        let column = schema.resolve(name)?;
        let Some(field) = schema.fields().get(column) else {
            continue;
        };
        let place = |error: Error| error.at(format!("repair of {name:?}"));
        match value {
            Value::Null if field.nullable => read.push((column, None)),
            Value::Null => {
                return Err(place(Error::invalid(
                    "the column may not be missing: repair it with a value",
                )));
            }
            value => {
                let value = match value {
                    Value::Object(_) => expression(value),
                    constant => expression(&json!({"op": "literal", "value": constant})),
                };
                let graph =
                    Graph::build(schema, std::slice::from_ref(&value), false).map_err(place)?;
                let found = graph
                    .features
                    .first()
                    .map(|feature| graph.nodes[feature.node()].kind);
                let due = Type::from(field.dtype);
                let fits = found == Some(due)
                    || (due == Type::Number && found.is_some_and(Type::is_number));
                if !fits {
                    return Err(place(Error::invalid(format!(
                        "{value} is {} where {due} is due: give a value of the column's type",
                        found.unwrap_or(Type::Columns)
                    ))));
                }
                expressions.push(value);
                read.push((column, Some(expressions.len() - 1)));
            }
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use tidegate_schema::Column;

    use super::*;

    #[test]
    fn a_column_is_borrowed_whatever_its_place() {
        let schema = Schema::new(vec![
            tidegate_schema::Field::nullable("a", DType::Float64),
            tidegate_schema::Field::nullable("x", DType::Float64),
        ])
        .unwrap();
        let rules = RuleSet::from_json(
            r#"{"version":1,"rules":[{"name":"x is positive","check":{"kind":"expression","expression":
            {"op":"gt","left":{"op":"col","name":"x"},"right":{"op":"literal","value":0}}},"repair":{"x":1}}]}"#,
        )
        .unwrap();
        let guard = Guard::new(&rules, &schema).unwrap().unwrap();
        let (a, x) = ([1.0, 2.0, 3.0], [5.0, -1.0, f64::NAN]);
        let columns =
            [&a, &x].map(|values| Column::Float64(tidegate_schema::Primitive::all(&values[..])));
        let table = Table::new(columns.to_vec(), 3).unwrap();
        let verdict = guard.check(&table, Policy::Reject).unwrap();
        assert_eq!(verdict.broken, [(0, 1)]);
        assert!(
            verdict
                .refusal
                .unwrap()
                .message
                .starts_with("row 1 breaks rule")
        );
        let verdict = guard.check(&table, Policy::Repair).unwrap();
        let repaired = verdict.repaired.unwrap();
        let view = repaired.view().unwrap();
        let Column::Float64(x) = view.columns()[1] else {
            panic!()
        };
        assert_eq!((x.values[0], x.values[1]), (5.0, 1.0));
        let verdict = guard.check(&table, Policy::Count).unwrap();
        assert!(verdict.refusal.is_none() && verdict.repaired.is_none());
    }
}
