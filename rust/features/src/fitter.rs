//! Learning: update, merge, finish, in as many passes as nesting asks for.

use std::sync::Arc;

use serde_json::Value;
use tidegate_schema::{Error, Field, Result, Schema, Table};

use crate::expression::AnyFit;
use crate::graph::{Graph, Source};
use crate::kernel::Kernel;
use crate::load::check_columns;
use crate::parallel::{BLOCK_ROWS, Pulse, deal, threads_for};
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
///
/// On several cores each expression learns on one of them, from all rows in their order: what is
/// learned is the same to the last bit on any number of cores.
pub struct Fitter {
    spec: Arc<FeatureSpec>,
    /// The spec's graph with the states of earlier passes.
    graph: Arc<Graph>,
    pass: usize,
    groups: Vec<Group>,
    rows: u64,
    /// The target, if the features learn from one.
    target: Option<Field>,
    /// The number of the first row that this fitter sees.
    first: u64,
}

/// Expressions that learn from inputs which are computed once for all of them.
struct Group {
    program: Arc<Program>,
    /// The nodes that learn in this pass.
    fits: Vec<(usize, Box<dyn AnyFit>)>,
}

impl Group {
    /// Learns from a table, all of whose rows are shown in their order.
    fn update(
        &mut self,
        graph: &Graph,
        table: &Table<'_>,
        first: u64,
        step: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<()> {
        let mut since = 0;
        self.program.run_each(table, &graph.schema, first, |view| {
            for (node, fit) in &mut self.fits {
                let values: Operands<'_> = graph
                    .learns_from(*node)
                    .map(|input| view.node(input))
                    .collect();
                fit.update(&values)
                    .map_err(|error| error.at(&graph.nodes[*node].text))?;
            }
            since += view.range().1;
            if since >= BLOCK_ROWS {
                step(std::mem::take(&mut since))?;
            }
            Ok(())
        })?;
        step(since)
    }
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
        let groups = groups(&graph, pass)?;
        Ok(Self {
            spec,
            graph,
            pass,
            groups,
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
            groups: self
                .groups
                .iter()
                .map(|group| group.fork(&self.graph))
                .collect(),
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
        self.update_on(1, table, &mut |_| Ok(()))
    }

    /// The same on all cores. `pulse` is called every few milliseconds.
    pub fn update_on_all_cores(&mut self, table: &Table<'_>, pulse: Pulse<'_>) -> Result<()> {
        let values = table.rows().saturating_mul(self.groups.len());
        self.update_on(threads_for(values), table, pulse)
    }

    fn update_on(&mut self, threads: usize, table: &Table<'_>, pulse: Pulse<'_>) -> Result<()> {
        check_columns(table, &self.graph.schema)?;
        let (graph, first) = (&self.graph, self.first + self.rows);
        // Each group reads all rows: what is done is told as a share of them.
        let share = self.groups.len().max(1) as u64;
        let mut pulse = |done: u64| pulse(done / share);
        let groups = self.groups.iter_mut();
        deal(threads, groups, &mut pulse, |group, step| {
            group.update(graph, table, first, step)
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
        let fits = self.groups.iter_mut().flat_map(|group| &mut group.fits);
        let others = other.groups.into_iter().flat_map(|group| group.fits);
        for ((node, left), (_, right)) in fits.zip(others) {
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
        let features = Value::Array(features?);
        Ok(format!("{}{features}", self.graph.schema.to_json()))
    }

    /// Ends the pass.
    pub fn finish(self) -> Result<Step> {
        if self.rows == 0 && self.groups.iter().any(|group| !group.fits.is_empty()) {
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
        let mut fits: Vec<Ending> = self
            .groups
            .into_iter()
            .flat_map(|group| group.fits)
            .map(|(node, fit)| (node, Some(fit), None))
            .collect();
        // Medians are found among all the values, so even the end has something for several cores.
        let threads = threads_for(usize::try_from(self.rows).unwrap_or(usize::MAX));
        deal(
            threads,
            fits.iter_mut(),
            &mut |_| Ok(()),
            |(node, fit, learned), _| {
                let place = |error: Error| error.at(&self.graph.nodes[*node].text);
                if let Some(fit) = fit.take() {
                    let training = fit.training().map_err(place)?.map(Arc::new);
                    *learned = Some((fit.finish().map_err(place)?, training));
                }
                Ok(())
            },
        )?;
        for (node, _, learned) in fits {
            if let Some((state, training)) = learned {
                graph.learn(node, state, training);
            }
        }
        if self.pass < self.spec.passes() {
            Self::prepare(&mut graph, self.target.as_ref())?;
            let (pass, graph) = (self.pass + 1, Arc::new(graph));
            return Self::start(self.spec, graph, pass, self.target, self.first).map(Step::Again);
        }
        Plan::learned(graph, self.rows).map(Step::Done)
    }
}

/// The end of one fit: its node, the fit until it has ended, and then what it has learned.
type Ending = (
    usize,
    Option<Box<dyn AnyFit>>,
    Option<(Value, Option<Arc<Kernel>>)>,
);

impl Group {
    /// The expressions that learn in a pass from what these nodes hold.
    fn new(graph: &Graph, nodes: &[usize]) -> Result<Self> {
        let wanted: Vec<usize> = nodes
            .iter()
            .flat_map(|&node| graph.learns_from(node))
            .collect();
        Ok(Self {
            program: Arc::new(Program::compile(graph, &wanted, false)?),
            fits: fits(graph, nodes.iter().copied()),
        })
    }

    /// One that only checks columns.
    fn checking(graph: &Graph, columns: Vec<usize>) -> Self {
        let mut program = Program::new(graph.nodes.len());
        program.numbers = columns.len();
        program.loads = columns
            .into_iter()
            .enumerate()
            .map(|(at, column)| (column, at))
            .collect();
        Self {
            program: Arc::new(program),
            fits: Vec::new(),
        }
    }

    /// The same group, which has seen nothing.
    fn fork(&self, graph: &Graph) -> Self {
        Self {
            program: Arc::clone(&self.program),
            fits: fits(graph, self.fits.iter().map(|(node, _)| *node)),
        }
    }
}

/// Empty fits for nodes.
fn fits(graph: &Graph, nodes: impl Iterator<Item = usize>) -> Vec<(usize, Box<dyn AnyFit>)> {
    nodes
        .filter_map(|node| Some((node, graph.fit(node)?)))
        .collect()
}

/// The expressions that learn in a pass, together where they share something that is computed. In
/// the first pass every column is read, and so checked, by one of the groups.
fn groups(graph: &Graph, pass: usize) -> Result<Vec<Group>> {
    // The group of each node that is computed, and the nodes of each group.
    let mut of: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut columns = vec![false; graph.schema.len()];
    // For which node another was looked at last.
    let mut seen = vec![usize::MAX; graph.nodes.len()];
    let learns = |node: &usize| graph.nodes[*node].level == pass && graph.fit(*node).is_some();
    for node in (0..graph.nodes.len()).filter(learns) {
        let mut computed = Vec::new();
        let mut open: Vec<usize> = graph.learns_from(node).collect();
        while let Some(read) = open.pop() {
            if std::mem::replace(&mut seen[read], node) == node {
                continue;
            }
            match graph.nodes[read].source {
                Source::Apply { .. } => {
                    computed.push(read);
                    open.extend(graph.reads(read));
                }
                Source::Column(column) => columns[column] = true,
                Source::Row => {}
            }
        }
        let mut known: Vec<usize> = computed.iter().filter_map(|&read| of[read]).collect();
        known.sort_unstable();
        known.dedup();
        let group = known.first().copied().unwrap_or(members.len());
        if group == members.len() {
            members.push(Vec::new());
        }
        for &other in known.iter().skip(1) {
            let moved = std::mem::take(&mut members[other]);
            members[group].extend(moved);
            of.iter_mut()
                .filter(|at| **at == Some(other))
                .for_each(|at| *at = Some(group));
        }
        members[group].push(node);
        computed.into_iter().for_each(|read| of[read] = Some(group));
    }
    let mut groups = members
        .iter_mut()
        .filter(|nodes| !nodes.is_empty())
        .map(|nodes| {
            nodes.sort_unstable();
            Group::new(graph, nodes)
        })
        .collect::<Result<Vec<_>>>()?;
    let unread: Vec<usize> = (0..columns.len())
        .filter(|&column| !columns[column])
        .collect();
    if pass == 1 && !unread.is_empty() {
        groups.push(Group::checking(graph, unread));
    }
    Ok(groups)
}
