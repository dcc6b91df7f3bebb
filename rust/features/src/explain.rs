//! A graph in words: what is computed, what is learned when, and what is shared.

use std::fmt::Write;

use crate::graph::{Graph, Source};

/// One line for each computation, numbered in the order in which they run, and one for each
/// feature.
pub(crate) fn explain(graph: &Graph) -> String {
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
        text.push('\n');
    }
    for feature in &graph.features {
        let _ = writeln!(text, "{} is #{}", feature.stem, feature.node());
    }
    text
}
