//! A graph in words: what is computed, what is learned when, what is shared, and what was learned.

use std::fmt::Write;

use serde_json::Value;

use crate::compile::Role;
use crate::graph::{Graph, Source};
use crate::program::Program;

/// Most values of a list that are shown.
const SHOWN: usize = 5;
/// Most characters of a text that are shown.
const CHARACTERS: usize = 40;

/// One line for each computation, numbered in the order in which they run, one for each feature,
/// and one for the columns of the schema that are read and those that are not. A program adds what
/// it made of them: which were computed once and for all, and which share a step.
pub(crate) fn explain(graph: &Graph, target: Option<&str>, program: Option<&Program>) -> String {
    let mut uses = vec![0; graph.nodes.len()];
    for position in 0..graph.nodes.len() {
        graph.reads(position).for_each(|read| uses[read] += 1);
    }
    for feature in &graph.features {
        uses[feature.node()] += 1;
    }
    let mut text = String::new();
    for (position, node) in graph.nodes.iter().enumerate() {
        let _ = write!(text, "#{position} {} is {}", node.text, node.kind);
        let reads: Vec<String> = graph
            .reads(position)
            .map(|read| format!("#{read}"))
            .collect();
        if !reads.is_empty() {
            let _ = write!(text, ", of {}", reads.join(", "));
        }
        if let Source::Apply {
            operation,
            learns: true,
            state,
            ..
        } = &node.source
        {
            let from = if operation.supervised() {
                " from the target"
            } else {
                ""
            };
            let _ = match state {
                Some(_) => write!(text, ", has learned{from}"),
                None => write!(text, ", learns{from} in pass {}", node.level),
            };
        }
        if uses[position] > 1 {
            let _ = write!(text, ", shared by {}", uses[position]);
        }
        match program.map(|program| (program, program.roles[position])) {
            Some((_, Role::Constant)) => text.push_str(", a constant"),
            Some((program, Role::Step(step))) => {
                let _ = write!(text, ", in step {}", step + 1);
                let first = program
                    .roles
                    .iter()
                    .position(|role| *role == Role::Step(step));
                if let Some(first) = first.filter(|first| *first < position) {
                    let _ = write!(text, " with #{first}");
                }
            }
            _ => {}
        }
        text.push('\n');
    }
    for feature in &graph.features {
        let _ = writeln!(text, "{} is #{}", feature.stem, feature.node());
    }
    // The target is learned from, and is no column of the matrix.
    let unread: Vec<Value> = graph
        .unread
        .iter()
        .filter(|name| Some(name.as_str()) != target)
        .map(|name| name.as_str().into())
        .collect();
    let read = graph.schema.len();
    let _ = write!(text, "{read} of {} columns are read", read + unread.len());
    if !unread.is_empty() {
        let _ = write!(text, ", not {}", shown(&unread.into()));
    }
    text.push('\n');
    if let Some(program) = program {
        let (steps, rows) = (program.steps.len(), program.morsel_rows(size_of::<f32>()));
        let _ = writeln!(text, "{steps} steps over {rows} rows at a time");
    }
    text
}

/// What was fitted: for each feature how it is written and the columns that it makes, and below it
/// what each of its parts has learned.
pub(crate) fn describe(graph: &Graph) -> String {
    let mut text = String::new();
    for feature in &graph.features {
        let names = graph.names(feature).unwrap_or_default();
        let made = match names.as_slice() {
            [one] => one.clone(),
            [first, .., last] => format!("{first} … {last} ({} columns)", names.len()),
            [] => String::new(),
        };
        let _ = writeln!(text, "{} -> {made}", feature.text);
        let mut parts = vec![false; graph.nodes.len()];
        parts[feature.node()] = true;
        for position in (0..=feature.node()).rev() {
            if parts[position] {
                graph.reads(position).for_each(|read| parts[read] = true);
            }
        }
        for (node, _) in graph.nodes.iter().zip(parts).filter(|(_, part)| *part) {
            if let Source::Apply {
                operation,
                state: Some(state),
                ..
            } = &node.source
            {
                let _ = writeln!(text, "    {}: {}", operation.name(), learned(state));
            }
        }
    }
    text
}

/// A state in a line: `deviation 1.25, mean 3.5`.
fn learned(state: &Value) -> String {
    let Some(map) = state.as_object() else {
        return shown(state);
    };
    let parts: Vec<String> = map
        .iter()
        .map(|(name, value)| format!("{name} {}", shown(value)))
        .collect();
    parts.join(", ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let some: Vec<String> = values.iter().take(SHOWN).map(shown).collect();
            let more = values.len().saturating_sub(SHOWN);
            match more {
                0 => format!("[{}]", some.join(", ")),
                _ => format!("[{}, and {more} more]", some.join(", ")),
            }
        }
        Value::Object(map) => {
            let parts = map.iter().take(SHOWN);
            let some: Vec<String> = parts
                .map(|(name, value)| format!("{name}: {}", shown(value)))
                .collect();
            format!("{{{}}}", some.join(", "))
        }
        Value::String(text) if text.chars().count() > CHARACTERS => {
            let head: String = text.chars().take(CHARACTERS).collect();
            Value::from(format!("{head}…")).to_string()
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_schema::{DType, Field, Schema};

    use crate::{Expr, FeatureSpec, Fitter, Step};

    fn spec(features: &[&str]) -> FeatureSpec {
        let names = ["a", "x", "b", "y"];
        let schema = Schema::new(
            names
                .map(|name| Field::nullable(name, DType::Float64))
                .to_vec(),
        );
        let features = features.iter().map(|text| Expr::from_json(text).unwrap());
        FeatureSpec::new(schema.unwrap(), features.collect()).unwrap()
    }

    #[test]
    fn what_is_shared_folded_and_pruned_is_said() {
        let shared = r#"{"op":"log1p","input":{"op":"col","name":"x"}}"#;
        let folded =
            r#"{"op":"add","left":{"op":"literal","value":1},"right":{"op":"literal","value":2}}"#;
        let spec = spec(&[
            &format!(r#"{{"op":"mul","left":{shared},"right":{folded}}}"#),
            &format!(r#"{{"op":"alias","name":"z","input":{shared}}}"#),
        ]);
        let said = spec.explain();
        assert!(
            said.contains("#1 col(\"x\").log1p() is a number, of #0, shared by 2\n"),
            "{said}"
        );
        assert_eq!(said.matches("log1p() is").count(), 1, "{said}");
        assert!(
            said.contains("1 of 4 columns are read, not [\"a\", \"b\", \"y\"]\n"),
            "{said}"
        );
        let Step::Done(plan) = Fitter::new(Arc::new(spec)).unwrap().finish().unwrap() else {
            panic!("nothing is learned")
        };
        let said = plan.explain();
        assert!(
            said.contains(" (1 + 2) is a number, of #2, #3, a constant\n"),
            "{said}"
        );
        // The sum is no step of its own, nor is the product with it.
        assert!(said.contains("2 steps over"), "{said}");
        assert!(
            said.contains("1 of 4 columns are read, not [\"a\", \"b\", \"y\"]\n"),
            "{said}"
        );
        assert_eq!(plan.input_schema().len(), 1);
    }

    #[test]
    fn a_target_is_neither_read_nor_left_out() {
        let spec = spec(&[r#"{"op":"col","name":"x"}"#])
            .with_target("y")
            .unwrap();
        let said = spec.explain();
        assert!(
            said.contains("1 of 3 columns are read, not [\"a\", \"b\"]\n"),
            "{said}"
        );
    }
}
