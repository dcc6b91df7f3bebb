//! Learning: update, merge, finish, in as many passes as nesting asks for.

use std::sync::Arc;

use tidegate_schema::{Error, Result, Schema, Table};

use crate::expression::AnyFit;
use crate::graph::{Graph, Source};
use crate::load::check_columns;
use crate::plan::Plan;
use crate::program::Program;
use crate::spec::{FeatureSpec, resolve};
use crate::value::Operands;

/// What the end of a pass leads to; made once a pass, so its size does not matter.
#[allow(clippy::large_enum_variant)]
pub enum Step {
    /// An expression learns from what another has just learned: show the same data again.
    Again(Fitter),
    /// All is learned.
    Done(Plan),
}

/// One pass over the data, or over a part of it on one of several machines.
///
/// Pieces fitted apart and merged learn what one fitter learns from the whole: counts and order
/// statistics exactly (the latter up to a million values a column), moments within 1e-12.
pub struct Fitter {
    spec: Arc<FeatureSpec>,
    /// The spec's graph with the states of earlier passes.
    graph: Arc<Graph>,
    pass: usize,
    program: Arc<Program>,
    /// The nodes that learn in this pass.
    fits: Vec<(usize, Box<dyn AnyFit>)>,
    rows: u64,
}

impl Fitter {
    /// The first pass.
    pub fn new(spec: Arc<FeatureSpec>) -> Result<Self> {
        let graph = Arc::new(resolve(spec.schema(), spec.features(), false)?);
        Self::start(spec, graph, 1)
    }

    fn start(spec: Arc<FeatureSpec>, graph: Arc<Graph>, pass: usize) -> Result<Self> {
        let fits = fits(&graph, pass);
        let wanted: Vec<usize> = fits
            .iter()
            .flat_map(|(node, _)| inputs(&graph, *node))
            .copied()
            .collect();
        let program = Arc::new(Program::compile(&graph, &wanted, pass == 1)?);
        Ok(Self {
            spec,
            graph,
            pass,
            program,
            fits,
            rows: 0,
        })
    }

    /// An empty fitter of the same pass, for another piece of the data.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            spec: Arc::clone(&self.spec),
            graph: Arc::clone(&self.graph),
            pass: self.pass,
            program: Arc::clone(&self.program),
            fits: fits(&self.graph, self.pass),
            rows: 0,
        }
    }

    /// The columns that tables must have, in this order.
    #[must_use]
    pub fn input_schema(&self) -> &Schema {
        self.spec.input_schema()
    }

    /// The number of this pass, from 1.
    #[must_use]
    pub const fn pass(&self) -> usize {
        self.pass
    }

    /// Learns from a table of [`Fitter::input_schema`]. After an error the fitter has seen a part
    /// of the table and is of no further use.
    pub fn update(&mut self, table: &Table<'_>) -> Result<()> {
        check_columns(table, self.spec.input_schema())?;
        let (graph, fits) = (&self.graph, &mut self.fits);
        self.program
            .run_each(table, self.spec.input_schema(), |view| {
                for (node, fit) in fits.iter_mut() {
                    let values: Operands<'_> = inputs(graph, *node)
                        .iter()
                        .map(|&input| view.node(input))
                        .collect();
                    fit.update(&values)
                        .map_err(|error| error.at(&graph.nodes[*node].text))?;
                }
                Ok(())
            })?;
        self.rows += table.rows() as u64;
        Ok(())
    }

    /// Takes in what a fitter of the same features and pass has learned from other rows.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        let same = Arc::ptr_eq(&self.graph, &other.graph)
            || (self.pass == other.pass && self.document()? == other.document()?);
        if !same {
            return Err(Error::invalid(
                "fits of different features or of different passes cannot be merged",
            ));
        }
        for ((node, left), (_, right)) in self.fits.iter_mut().zip(other.fits) {
            left.merge(right)
                .map_err(|error| error.at(&self.graph.nodes[*node].text))?;
        }
        self.rows += other.rows;
        Ok(())
    }

    fn document(&self) -> Result<String> {
        let features: Result<Vec<_>> = self
            .graph
            .features
            .iter()
            .map(|feature| self.graph.document(feature))
            .collect();
        let features = serde_json::Value::Array(features?);
        Ok(format!("{}{features}", self.graph.schema.to_json()))
    }

    /// Ends the pass.
    pub fn finish(self) -> Result<Step> {
        if self.rows == 0 && !self.fits.is_empty() {
            return Err(Error::invalid(
                "the features learn from data, but the table to fit has no rows",
            ));
        }
        let mut learned = Vec::with_capacity(self.fits.len());
        for (node, fit) in self.fits {
            let state = fit
                .finish()
                .map_err(|error| error.at(&self.graph.nodes[node].text))?;
            learned.push((node, state));
        }
        // Forks share the graph, so the states go into one of our own.
        let mut graph = resolve(self.spec.schema(), self.spec.features(), false)?;
        let known = self.graph.nodes.iter().map(|node| match &node.source {
            Source::Apply { state, .. } => state.clone(),
            Source::Column(_) => None,
        });
        for (node, known) in graph.nodes.iter_mut().zip(known) {
            if let Source::Apply { state, .. } = &mut node.source {
                *state = known;
            }
        }
        for (node, learned) in learned {
            if let Source::Apply { state, .. } = &mut graph.nodes[node].source {
                *state = Some(learned);
            }
        }
        if self.pass < self.spec.passes() {
            return Self::start(self.spec, Arc::new(graph), self.pass + 1).map(Step::Again);
        }
        Plan::from_graph(graph, self.rows).map(Step::Done)
    }
}

fn inputs(graph: &Graph, node: usize) -> &[usize] {
    match &graph.nodes[node].source {
        Source::Apply { inputs, .. } => inputs,
        Source::Column(_) => &[],
    }
}

/// Fits for the nodes that learn in a pass.
fn fits(graph: &Graph, pass: usize) -> Vec<(usize, Box<dyn AnyFit>)> {
    graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.level == pass)
        .filter_map(|(position, _)| Some((position, graph.fit(position)?)))
        .collect()
}
