//! Fitted features, ready to run.

use tidegate_schema::{Error, Result, Schema, Table};

use crate::explain::{describe, explain};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::load::check_columns;
use crate::output::{Cell, Sparse};
use crate::parallel::{Pulse, in_blocks, in_parts, threads_for};
use crate::program::Program;
use crate::spec::{Document, MAX_WIDTH, VERSION, check_unique, digest, resolve, schema_value};

/// Features with all that they have learned: immutable, shared between threads, the same code for
/// a table and for a row.
pub struct Plan {
    graph: Graph,
    features: Vec<Expr>,
    program: Program,
    /// The program for the rows that were learned from, where it is another one.
    training: Option<Program>,
    names: Vec<String>,
    rows: u64,
    json: String,
    fingerprint: String,
}

impl Plan {
    /// A plan with what it has just learned.
    pub(crate) fn learned(mut graph: Graph, rows: u64) -> Result<Self> {
        let mut training = None;
        if graph.has_training() {
            graph.add_rows();
            training = Some(Program::compile_features(&graph)?.0);
        }
        graph.forget_rows();
        let mut plan = Self::from_graph(graph, rows)?;
        plan.training = training;
        Ok(plan)
    }

    fn from_graph(graph: Graph, rows: u64) -> Result<Self> {
        let (program, names) = Program::compile_features(&graph)?;
        if names.len() > MAX_WIDTH {
            return Err(Error::new(
                tidegate_schema::ErrorKind::TooLarge,
                format!(
                    "the features make {} columns, more than {MAX_WIDTH}: raise min_count, or use hash",
                    names.len()
                ),
            ));
        }
        let mut made = Vec::with_capacity(names.len());
        for feature in &graph.features {
            let own = graph.names(feature)?.into_iter();
            made.extend(own.map(|name| (name, feature.text.as_str())));
        }
        check_unique(made.iter().map(|(name, text)| (name.as_str(), *text)))?;
        let json = Document {
            features: graph
                .features
                .iter()
                .map(|feature| graph.document(feature))
                .collect::<Result<_>>()?,
            rows: Some(rows),
            schema: schema_value(&graph.schema)?,
            target: None,
            version: VERSION,
        }
        .write()?;
        let features = graph
            .features
            .iter()
            .map(|feature| graph.specification(feature).map(Expr::from_value))
            .collect::<Result<_>>()?;
        Ok(Self {
            fingerprint: digest(&json),
            features,
            graph,
            program,
            training: None,
            names,
            rows,
            json,
        })
    }

    /// Reads what [`Plan::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        let (document, schema) = Document::read(text, "fitted feature set")?;
        let Some(rows) = document.rows else {
            return Err(Error::state(
                "this feature set is not fitted: fit it before it is used",
            ));
        };
        let features: Vec<Expr> = document
            .features
            .into_iter()
            .map(Expr::from_value)
            .collect();
        Self::from_graph(resolve(&schema, &features, true)?, rows)
    }

    /// Canonical JSON of schema, features and states, with `version`.
    #[must_use]
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// `sha256:` and the hexadecimal digest of the canonical JSON.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The columns that a table must have, in this order: only those that the features use.
    #[must_use]
    pub const fn input_schema(&self) -> &Schema {
        &self.graph.schema
    }

    /// The names of the matrix's columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The features as they were written, with all defaults and without what they have learned.
    #[must_use]
    pub fn features(&self) -> &[Expr] {
        &self.features
    }

    /// How many columns the matrix has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// How many rows were learned from.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the features of a table into a row-major matrix of `rows × width` values. Missing is
    /// NaN, and nothing is infinite. After an error the matrix holds anything.
    pub fn transform_into<T: Cell>(&self, table: &Table<'_>, out: &mut [T]) -> Result<()> {
        self.transform_on(1, table, None, out, &mut |_| Ok(()))
    }

    /// The same for rows that were learned from, of which `first` is the number of the table's
    /// first: expressions that learn from the target give a row what other folds than its own have
    /// taught, so that the matrix does not carry each row's own target. A plan that was read, or
    /// has forgotten how, gives what [`Plan::transform_into`] does.
    pub fn transform_learned_into<T: Cell>(
        &self,
        table: &Table<'_>,
        first: u64,
        out: &mut [T],
    ) -> Result<()> {
        self.transform_on(1, table, Some(first), out, &mut |_| Ok(()))
    }

    /// As [`Plan::transform_into`], or with the number of the first row as
    /// [`Plan::transform_learned_into`], on all cores. The matrix is the same to the last bit.
    /// `pulse` is called every few milliseconds.
    pub fn transform_on_all_cores<T: Cell>(
        &self,
        table: &Table<'_>,
        learned: Option<u64>,
        out: &mut [T],
        pulse: Pulse<'_>,
    ) -> Result<()> {
        let threads = threads_for(table.rows());
        self.transform_on(threads, table, learned, out, pulse)
    }

    fn transform_on<T: Cell>(
        &self,
        threads: usize,
        table: &Table<'_>,
        learned: Option<u64>,
        out: &mut [T],
        pulse: Pulse<'_>,
    ) -> Result<()> {
        check_columns(table, &self.graph.schema)?;
        let due = table.rows().checked_mul(self.width());
        if due != Some(out.len()) {
            return Err(Error::internal(format!(
                "a matrix of {} values for {} rows of {} features",
                out.len(),
                table.rows(),
                self.width()
            )));
        }
        let (program, first) = self.program_for(learned);
        let (rows, schema) = (table.rows(), &self.graph.schema);
        in_blocks(threads, rows, self.width(), out, pulse, |rows, part| {
            program.run_into(table, schema, first, rows, part)
        })
    }

    /// The program for rows of which `learned` says whether they were learned from, and the number
    /// of the first one.
    fn program_for(&self, learned: Option<u64>) -> (&Program, u64) {
        let program = match (&self.training, learned) {
            (Some(training), Some(_)) => training,
            _ => &self.program,
        };
        (program, learned.unwrap_or(0))
    }

    /// Appends the features of a table to a sparse matrix, without a dense one on the way, on all
    /// cores. `learned` is the number of the first row if the rows are those that were learned from,
    /// as for [`Plan::transform_learned_into`]. After an error the matrix holds anything. `pulse` is
    /// called every few milliseconds.
    pub fn transform_sparse<T: Cell>(
        &self,
        table: &Table<'_>,
        learned: Option<u64>,
        out: &mut Sparse<T>,
        pulse: Pulse<'_>,
    ) -> Result<()> {
        check_columns(table, &self.graph.schema)?;
        let (program, first) = self.program_for(learned);
        let (rows, schema) = (table.rows(), &self.graph.schema);
        in_parts(threads_for(rows), rows, out, pulse, |rows, part| {
            program.run_sparse(table, schema, first, rows, part)
        })
    }

    /// Frees what only [`Plan::transform_learned_into`] needs.
    pub fn forget_training(&mut self) {
        self.training = None;
    }

    /// The features of a table as a new row-major matrix.
    pub fn transform<T: Cell>(&self, table: &Table<'_>) -> Result<Vec<T>> {
        let due = table.rows().checked_mul(self.width()).ok_or_else(|| {
            Error::new(
                tidegate_schema::ErrorKind::TooLarge,
                "the matrix exceeds the address space: send fewer rows at once",
            )
        })?;
        let mut out = vec![T::default(); due];
        self.transform_into(table, &mut out)?;
        Ok(out)
    }

    /// What is computed, in order: each part once, with what shares it, and the features.
    #[must_use]
    pub fn explain(&self) -> String {
        explain(&self.graph, None, Some(&self.program))
    }

    /// What was fitted: a line for each feature with the columns that it makes, and below it what
    /// its parts have learned.
    #[must_use]
    pub fn describe(&self) -> String {
        describe(&self.graph)
    }
}
