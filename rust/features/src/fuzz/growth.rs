//! Expressions put into one another: the examples of the table of expressions, with other
//! expressions in the place of their columns and other values in that of their parameters.

use serde_json::{Value, json};
use tidegate_schema::Schema;

use super::choices::Choices;
use crate::expr::Expr;
use crate::graph::Graph;
use crate::operations::OPERATIONS;
use crate::spec::resolve;

/// Most features.
const FEATURES: usize = 4;
/// Deepest growth; each step may be several expressions deep itself.
const DEPTH: usize = 4;
/// Most characters of an expression: a step may double it.
const LENGTH: usize = 4_000;

/// Features of a plan, most of which make sense.
pub(super) fn features(schema: &Schema, choices: &mut Choices<'_>) -> Vec<Value> {
    (0..=choices.below(FEATURES))
        .map(|position| {
            let grown = grow(schema, choices, DEPTH);
            let feature = match choices.below(16) {
                // As it is, which may be no feature.
                0 => grown,
                _ => finished(schema, grown),
            };
            let name = format!("f{position}");
            json!({"op": "alias", "name": name, "input": feature})
        })
        .collect()
}

/// An expression that can be a feature.
fn finished(schema: &Schema, grown: Value) -> Value {
    let ends = [
        grown.clone(),
        json!({"op": "hash", "n": 16, "input": grown}),
        json!({"op": "dt", "part": "hour", "input": grown}),
    ];
    let can = |end: &&Value| resolve(schema, &[Expr::from_value((*end).clone())], false).is_ok();
    let found = ends.iter().find(can).cloned();
    found.unwrap_or_else(|| json!({"op": "is_null", "input": grown}))
}

fn grow(schema: &Schema, choices: &mut Choices<'_>, depth: usize) -> Value {
    let entry = &OPERATIONS[choices.below(OPERATIONS.len())];
    let Some(example) = choices.of(entry.examples) else {
        return column(schema, choices);
    };
    let mut grown: Value = serde_json::from_str(example).unwrap_or_default();
    let before = grown.clone();
    change(schema, &mut grown, choices, depth);
    // Mostly what makes no sense is taken back, so that most plans do.
    let makes_sense = |value: &Value| {
        let expression = Expr::from_value(value.clone());
        value.to_string().len() <= LENGTH && Graph::build(schema, &[expression], false).is_ok()
    };
    if choices.below(32) != 31 && !makes_sense(&grown) {
        return before;
    }
    grown
}

fn column(schema: &Schema, choices: &mut Choices<'_>) -> Value {
    let fields = schema.fields();
    let name = fields
        .get(choices.below(fields.len()))
        .map_or("x", |field| field.name.as_str());
    json!({"op": "col", "name": name})
}

/// Puts something else into some places of an expression.
fn change(schema: &Schema, value: &mut Value, choices: &mut Choices<'_>, depth: usize) {
    match value {
        Value::Object(map) if map.get("op").and_then(Value::as_str) == Some("col") => {
            match choices.below(8) {
                0..=3 => {}
                4 => *value = column(schema, choices),
                _ if depth > 0 => *value = grow(schema, choices, depth - 1),
                _ => {}
            }
        }
        Value::Object(map) => {
            for (key, part) in map.iter_mut() {
                if key != "op" {
                    change(schema, part, choices, depth);
                }
            }
        }
        Value::Array(parts) => {
            for part in parts.iter_mut() {
                change(schema, part, choices, depth);
            }
        }
        scalar => {
            if choices.below(8) == 7 {
                *scalar = parameter(choices);
            }
        }
    }
}

/// A value of a parameter.
fn parameter(choices: &mut Choices<'_>) -> Value {
    match choices.below(20) {
        0 => json!(0),
        1 => json!(1),
        2 => json!(-1),
        3 => json!(2),
        4 => json!(3),
        5 => json!(0.5),
        6 => json!(-2.5),
        7 => json!(24),
        8 => json!(100),
        9 => json!(1e308),
        10 => json!(1e-308),
        11 => json!(u64::MAX),
        12 => json!(i64::MIN),
        13 => json!(true),
        14 => json!(false),
        15 => json!(""),
        16 => json!("a"),
        17 => Value::Null,
        18 => json!([]),
        _ => json!({}),
    }
}
