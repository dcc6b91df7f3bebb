//! Learning: update, merge, finish, in as many passes as nesting asks for.

use std::sync::Arc;

use tidegate_schema::{Error, Field, Result, Schema, Table};

use crate::expression::AnyFit;
use crate::graph::Graph;
use crate::load::check_columns;
use crate::plan::Plan;
use crate::program::Program;
use crate::spec::{FeatureSpec, check_target, resolve};
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
    /// The target, if the features learn from one.
    target: Option<Field>,
    /// The number of the first row that this fitter sees.
    first: u64,
}

impl Fitter {
    /// The first pass. The target, if the features learn from one, is the column that the
    /// specification names, and the last one of the tables.
    pub fn new(spec: Arc<FeatureSpec>) -> Result<Self> {
        let target = spec.target_field()?;
        Self::with(spec, target)
    }

    /// The first pass with a target of its own: the last column of the tables. Features that learn
    /// from none leave it out; [`Fitter::input_schema`] says what is due.
    pub fn with_target(spec: Arc<FeatureSpec>, target: Field) -> Result<Self> {
        check_target(&target)?;
        Self::with(spec, Some(target))
    }

    fn with(spec: Arc<FeatureSpec>, target: Option<Field>) -> Result<Self> {
        let mut graph = resolve(spec.schema(), spec.features(), false)?;
        let target = match (graph.supervised(), target) {
            (None, _) => None,
            (Some(_), Some(target)) => Some(target),
            (Some(text), None) => {
                return Err(Error::invalid(format!(
                    "{text} learns from a target: pass y to fit, or name the target's column in the feature set"
                )));
            }
        };
        Self::prepare(&mut graph, target.as_ref())?;
        Self::start(spec, Arc::new(graph), 1, target, 0)
    }

    fn prepare(graph: &mut Graph, target: Option<&Field>) -> Result<()> {
        if let Some(target) = target {
            graph.add_target(target.clone())?;
            graph.add_rows();
        }
        Ok(())
    }

    fn start(
        spec: Arc<FeatureSpec>,
        graph: Arc<Graph>,
        pass: usize,
        target: Option<Field>,
        first: u64,
    ) -> Result<Self> {
        let fits = fits(&graph, pass);
        let wanted: Vec<usize> = fits
            .iter()
            .flat_map(|(node, _)| graph.learns_from(*node))
            .collect();
        let program = Arc::new(Program::compile(&graph, &wanted, pass == 1)?);
        Ok(Self {
            spec,
            graph,
            pass,
            program,
            fits,
            rows: 0,
            target,
            first,
        })
    }

    /// An empty fitter of the same pass, for another piece of the data.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.fork_at(self.first)
    }

    /// The same for a piece that begins at this row of all the data. What is learned is the same
    /// wherever a piece begins, but for [`Plan::transform_learned_into`] rows must have the numbers
    /// that they will have there.
    #[must_use]
    pub fn fork_at(&self, first: u64) -> Self {
        Self {
            spec: Arc::clone(&self.spec),
            graph: Arc::clone(&self.graph),
            pass: self.pass,
            program: Arc::clone(&self.program),
            fits: fits(&self.graph, self.pass),
            rows: 0,
            target: self.target.clone(),
            first,
        }
    }

    /// The columns that tables must have, in this order: those that the features use, and then the
    /// target if they learn from one.
    #[must_use]
    pub fn input_schema(&self) -> &Schema {
        &self.graph.schema
    }

    /// The target that is the last column of the tables.
    #[must_use]
    pub const fn target(&self) -> Option<&Field> {
        self.target.as_ref()
    }

    /// The number of this pass, from 1.
    #[must_use]
    pub const fn pass(&self) -> usize {
        self.pass
    }

    /// Learns from a table of [`Fitter::input_schema`]. After an error the fitter has seen a part
    /// of the table and is of no further use.
    pub fn update(&mut self, table: &Table<'_>) -> Result<()> {
        check_columns(table, &self.graph.schema)?;
        let (graph, fits) = (&self.graph, &mut self.fits);
        let first = self.first + self.rows;
        self.program.run_each(table, &graph.schema, first, |view| {
            for (node, fit) in fits.iter_mut() {
                let values: Operands<'_> = graph
                    .learns_from(*node)
                    .map(|input| view.node(input))
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
        // Forks share the graph, so the states go into one of our own.
        let mut graph = resolve(self.spec.schema(), self.spec.features(), false)?;
        for node in 0..graph.nodes.len() {
            if let Some((state, training)) = self.graph.learned(node) {
                graph.learn(node, state, training);
            }
        }
        for (node, fit) in self.fits {
            let place = |error: Error| error.at(&self.graph.nodes[node].text);
            let training = fit.training().map_err(place)?.map(Arc::new);
            graph.learn(node, fit.finish().map_err(place)?, training);
        }
        if self.pass < self.spec.passes() {
            Self::prepare(&mut graph, self.target.as_ref())?;
            let (pass, graph) = (self.pass + 1, Arc::new(graph));
            return Self::start(self.spec, graph, pass, self.target, self.first).map(Step::Again);
        }
        Plan::learned(graph, self.rows).map(Step::Done)
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
