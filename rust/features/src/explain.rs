//! A graph in words: what is computed, what is learned when, and what is shared.

use std::fmt::Write;

use crate::compile::Role;
use crate::graph::{Graph, Source};
use crate::program::Program;

/// One line for each computation, numbered in the order in which they run, and one for each
/// feature. A program adds what it made of them: which were computed once and for all, and which
/// share a step.
pub(crate) fn explain(graph: &Graph, program: Option<&Program>) -> String {
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
    if let Some(program) = program {
        let (steps, rows) = (program.steps.len(), program.morsel_rows(size_of::<f32>()));
        let _ = writeln!(text, "{steps} steps over {rows} rows at a time");
    }
    text
}
