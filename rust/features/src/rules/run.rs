//! One pass over data: update, merge, finish.

use std::sync::Arc;

use tidegate_schema::{Column, Error, Result, Table};

use super::aggregate::Tally;
use super::checker::{Checker, Compiled, Entry, TableCheck};
use super::distinct::{DISTINCT_BYTES, Distinct};
use super::fused::Fused;
use super::keys::row_keys;
use super::memo::Memo;
use super::monotone::Monotone;
use super::outliers::Outliers;
use super::report::{Report, RowReport, RuleReport, Status};
use super::rowset::RowSet;
use super::sample::{Place, Sample};
use super::spec::Severity;
use crate::load::check_columns;
use crate::program::View;
use crate::value::Values;

/// Rows of each broken rule that a report shows, where nothing else is said.
pub const SAMPLES: usize = 5;

/// Rows that a rule with a shorter way looks at before the next rule does: enough for memory to be
/// read ahead, since most rules look at columns of their own.
const FUSED_ROWS: usize = 4 * 1024;

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Rows of each broken rule that the report shows.
    pub samples: usize,
    /// Memory that the keys of a rule about uniqueness may take before they go to disk.
    pub distinct_bytes: usize,
    /// About how many rows come, to make room for them.
    pub rows: usize,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            samples: SAMPLES,
            distinct_bytes: DISTINCT_BYTES,
            rows: 0,
        }
    }
}

/// A row that breaks a rule which is more than a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its position in the table that was given last.
    pub row: usize,
    /// The rule, by its position in [`Checker::names`].
    pub rule: usize,
}

/// What is known of a rule so far.
struct State {
    failures: u64,
    missing: u64,
    sample: Sample,
    memo: Memo,
    kind: Kind,
}

// There are as many as there are rules; their size does not matter.
#[allow(clippy::large_enum_variant)]
enum Kind {
    /// Counts are enough.
    Row,
    Unique(Distinct),
    /// Which rows repeat is known.
    Told(RowSet),
    Monotone(Monotone),
    Outliers(Outliers),
    Aggregate(Tally),
    Distribution(Box<dyn TableCheck>),
}

/// One pass over the data, or over a part of it.
///
/// Parts that are checked apart and merged, in the order of the data, give the report of the
/// whole, but for the numbers of rows that break a rule across two parts.
pub struct Run {
    checker: Arc<Checker>,
    options: RunOptions,
    rows: u64,
    states: Vec<State>,
    keys: Vec<[u64; 2]>,
}

impl Run {
    /// A run that has seen nothing.
    #[must_use]
    pub fn new(checker: Arc<Checker>, options: RunOptions) -> Self {
        let states = checker
            .entries
            .iter()
            .map(|entry| State {
                failures: 0,
                missing: 0,
                sample: Sample::new(options.samples),
                memo: Memo::default(),
                kind: kind(entry, &options),
            })
            .collect();
        Self {
            checker,
            options,
            rows: 0,
            states,
            keys: Vec::new(),
        }
    }

    /// Tells which rows of all that come repeat, for the rule about uniqueness of this name: it is
    /// held against them, and looks at no keys.
    pub fn tell(&mut self, rule: &str, repeats: RowSet) {
        let entries = self.checker.entries.iter();
        let unique = self.states.iter_mut().zip(entries).find(|(state, entry)| {
            entry.name == rule && matches!(state.kind, Kind::Unique(_) | Kind::Told(_))
        });
        if let Some((state, _)) = unique {
            state.kind = Kind::Told(repeats);
        }
    }

    /// The compiled rules.
    #[must_use]
    pub const fn checker(&self) -> &Arc<Checker> {
        &self.checker
    }

    /// How many rows were seen.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// A run of the same rules that has seen nothing, for another part.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::new(Arc::clone(&self.checker), self.options)
    }

    /// Looks at a table of [`Checker::input_schema`]. With `marks` it says which rows break a rule
    /// that is more than a warning, as far as a row can: a rule about the whole table marks none but
    /// those beyond the bound of a least or a greatest value, and uniqueness none once its keys are
    /// on disk.
    pub fn update(&mut self, table: &Table<'_>, mut marks: Option<&mut Vec<Mark>>) -> Result<()> {
        let checker = Arc::clone(&self.checker);
        check_columns(table, &checker.graph.schema)?;
        let (states, keys, before) = (&mut self.states, &mut self.keys, self.rows);
        let at = |entry: &Entry, error: Error| error.at(format!("rule {:?}", entry.name));
        if checker.fuses() {
            for start in (0..table.rows()).step_by(FUSED_ROWS) {
                let rows = FUSED_ROWS.min(table.rows() - start);
                let morsel: Vec<Column<'_>> = table
                    .columns()
                    .iter()
                    .map(|column| column.slice(start, rows))
                    .collect();
                for (rule, (state, entry)) in states.iter_mut().zip(&checker.entries).enumerate() {
                    let Compiled::Fused { fused, missing } = &entry.compiled else {
                        continue;
                    };
                    let mut broken = Broken::new(table, before, rule, entry, &mut marks);
                    state
                        .fused(fused, *missing, &morsel, start, &mut broken)
                        .map_err(|error| at(entry, error))?;
                }
            }
        }
        if !checker.computes() {
            self.rows += table.rows() as u64;
            return Ok(());
        }
        checker
            .program
            .run_each(table, &checker.graph.schema, before, |view| {
                for (rule, (state, entry)) in states.iter_mut().zip(&checker.entries).enumerate() {
                    if matches!(
                        entry.compiled,
                        Compiled::Fused { .. } | Compiled::Skipped(_)
                    ) {
                        continue;
                    }
                    let mut broken = Broken::new(table, before, rule, entry, &mut marks);
                    state
                        .update(entry, view, &mut broken, keys)
                        .map_err(|error| at(entry, error))?;
                }
                Ok(())
            })?;
        self.rows += table.rows() as u64;
        Ok(())
    }

    /// Takes in what a run of the same rules has seen in the rows after these.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if !Arc::ptr_eq(&self.checker, &other.checker) {
            return Err(Error::invalid(
                "runs of different rules cannot be merged: fork one from the other",
            ));
        }
        let told = |run: &Self| {
            let mut states = run.states.iter();
            states.any(|state| matches!(state.kind, Kind::Told(_)))
        };
        if told(self) || told(&other) {
            return Err(Error::invalid(
                "a run that was told which rows repeat takes all rows itself: do not merge it",
            ));
        }
        let before = self.rows;
        self.rows += other.rows;
        for (state, theirs) in self.states.iter_mut().zip(other.states) {
            state.failures += theirs.failures;
            state.missing += theirs.missing;
            state.sample.merge(theirs.sample, before);
            match (&mut state.kind, theirs.kind) {
                (Kind::Unique(left), Kind::Unique(right)) => left.merge(right)?,
                (Kind::Monotone(left), Kind::Monotone(right)) => left.merge(&right),
                (Kind::Outliers(left), Kind::Outliers(right)) => left.merge(&right, before),
                (Kind::Aggregate(left), Kind::Aggregate(right)) => left.merge(right)?,
                (Kind::Distribution(left), Kind::Distribution(right)) => {
                    left.merge(right.as_any())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the pass. `now` is in seconds since 1970, for rules about age.
    pub fn finish(self, now: f64) -> Result<Report> {
        let rows = self.rows;
        let rules = self
            .states
            .into_iter()
            .zip(&self.checker.entries)
            .map(|(state, entry)| {
                state
                    .finish(entry, rows, self.options.samples, now)
                    .map_err(|error| error.at(format!("rule {:?}", entry.name)))
            })
            .collect::<Result<_>>()?;
        Ok(Report::new(
            rows,
            self.checker.fingerprint.clone(),
            self.checker.findings.clone(),
            rules,
        ))
    }
}

fn kind(entry: &Entry, options: &RunOptions) -> Kind {
    match &entry.compiled {
        Compiled::Row { .. }
        | Compiled::Fused { .. }
        | Compiled::Whole { .. }
        | Compiled::ForeignKey { .. }
        | Compiled::Skipped(_) => Kind::Row,
        Compiled::Unique { .. } => {
            Kind::Unique(Distinct::new(options.rows, options.distinct_bytes))
        }
        Compiled::Monotone {
            descending, strict, ..
        } => Kind::Monotone(Monotone::new(*descending, *strict)),
        Compiled::Outliers {
            method, threshold, ..
        } => Kind::Outliers(Outliers::new(*method, *threshold, options.samples)),
        Compiled::Aggregate { aggregate, at, .. } => {
            Kind::Aggregate(Tally::new(*aggregate, *at, options.distinct_bytes))
        }
        Compiled::Distribution { check, .. } => Kind::Distribution(check.fork()),
    }
}

/// Where rows that break a rule are told.
struct Broken<'a> {
    place: Place<'a>,
    rule: usize,
    marks: Option<&'a mut Vec<Mark>>,
}

impl<'a> Broken<'a> {
    fn new(
        table: &'a Table<'a>,
        before: u64,
        rule: usize,
        entry: &'a Entry,
        marks: &'a mut Option<&mut Vec<Mark>>,
    ) -> Self {
        Self {
            place: Place {
                table,
                before,
                columns: &entry.columns,
            },
            rule,
            marks: match entry.severity {
                Severity::Error => marks.as_deref_mut(),
                Severity::Warning => None,
            },
        }
    }

    /// Is there anybody to tell?
    const fn wanted(&self, sample: &Sample) -> bool {
        self.marks.is_some() || !sample.is_full()
    }

    /// A row of the table breaks the rule.
    fn tell(&mut self, sample: &mut Sample, row: usize) {
        sample.push(self.place, row);
        if let Some(marks) = &mut self.marks {
            marks.push(Mark {
                row,
                rule: self.rule,
            });
        }
    }
}

/// How many values of a morsel are 0, and how many are missing: vectorised, since most morsels
/// hold neither.
fn tally(values: &[f64]) -> (u64, u64) {
    let mut counts = [0_u64; 2];
    for &value in values {
        counts[0] += u64::from(value == 0.0);
        counts[1] += u64::from(value.is_nan());
    }
    (counts[0], counts[1])
}

impl State {
    fn fused(
        &mut self,
        fused: &Fused,
        missing: bool,
        morsel: &[Column<'_>],
        start: usize,
        told: &mut Broken<'_>,
    ) -> Result<()> {
        let (failures, absent) = fused.count(morsel, &mut self.memo)?;
        self.missing += absent;
        let failures = failures + if missing { absent } else { 0 };
        self.failures += failures;
        if failures > 0 && told.wanted(&self.sample) {
            fused.rows(morsel, missing, &mut |row| {
                told.tell(&mut self.sample, start + row);
            })?;
        }
        Ok(())
    }

    fn update(
        &mut self,
        entry: &Entry,
        view: &View<'_>,
        told: &mut Broken<'_>,
        keys: &mut Vec<[u64; 2]>,
    ) -> Result<()> {
        let (start, rows) = view.range();
        match (&entry.compiled, &mut self.kind) {
            (Compiled::Row { node, missing }, _) => {
                let values = view.node(*node).numbers();
                let (failures, absent) = tally(values);
                self.missing += absent;
                let failures = failures + if *missing { absent } else { 0 };
                self.failures += failures;
                if failures > 0 && told.wanted(&self.sample) {
                    for (row, &value) in values.iter().enumerate() {
                        if value == 0.0 || (*missing && value.is_nan()) {
                            told.tell(&mut self.sample, start + row);
                        }
                    }
                }
            }
            (Compiled::Whole { node }, _) => {
                for (row, &value) in view.node(*node).numbers().iter().enumerate() {
                    if value.is_nan() {
                        self.missing += 1;
                    } else if value.fract() != 0.0 {
                        self.failures += 1;
                        told.tell(&mut self.sample, start + row);
                    }
                }
            }
            (Compiled::Unique { columns }, Kind::Unique(distinct)) => {
                row_keys(&slices(told.place.table, columns, start, rows), rows, keys);
                distinct.update(keys, |row| told.tell(&mut self.sample, start + row))?;
            }
            (Compiled::Unique { .. }, Kind::Told(repeats)) => {
                let before = told.place.before;
                let (failures, sample) = (&mut self.failures, &mut self.sample);
                repeats.each(before + start as u64, rows as u64, |row| {
                    *failures += 1;
                    told.tell(sample, (row - before) as usize);
                })?;
            }
            (Compiled::ForeignKey { columns, keys: due }, _) => {
                let columns = slices(told.place.table, columns, start, rows);
                row_keys(&columns, rows, keys);
                for (row, key) in keys.iter().enumerate() {
                    if due.contains(*key) {
                        continue;
                    }
                    if columns.iter().any(|column| column.is_missing(row)) {
                        self.missing += 1;
                    } else {
                        self.failures += 1;
                        told.tell(&mut self.sample, start + row);
                    }
                }
            }
            (Compiled::Monotone { node, .. }, Kind::Monotone(monotone)) => {
                let values = view.node(*node).numbers();
                monotone.update(values, |row| told.tell(&mut self.sample, start + row));
            }
            (Compiled::Outliers { node, .. }, Kind::Outliers(outliers)) => {
                let before = told.place.before + start as u64;
                outliers.update(view.node(*node).numbers(), before);
            }
            (
                Compiled::Aggregate {
                    aggregate,
                    node,
                    min,
                    max,
                    ..
                },
                Kind::Aggregate(tally),
            ) => {
                let values = node.map(|node| view.node(node));
                if let Some(Values::Numbers(values)) = &values
                    && let Some(to_blame) = aggregate.to_blame(*min, *max)
                    && told.wanted(&self.sample)
                {
                    for (row, _) in values.iter().enumerate().filter(|(_, v)| to_blame(**v)) {
                        told.tell(&mut self.sample, start + row);
                    }
                }
                tally.update(rows, values)?;
            }
            (Compiled::Distribution { column, .. }, Kind::Distribution(check)) => {
                let column = slices(told.place.table, std::slice::from_ref(column), start, rows);
                column.iter().try_for_each(|column| check.update(column))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, entry: &Entry, rows: u64, samples: usize, now: f64) -> Result<RuleReport> {
        let Self {
            failures,
            missing,
            mut sample,
            kind,
            ..
        } = self;
        let mut report = RuleReport {
            name: entry.name.clone(),
            kind: entry.kind,
            text: entry.text.clone(),
            severity: entry.severity,
            allow: entry.allow,
            status: Status::Passed,
            failures: Some(failures),
            share: None,
            missing,
            value: None,
            min: None,
            max: None,
            exact: true,
            message: String::new(),
            rows: Vec::new(),
        };
        match (&entry.compiled, kind) {
            (_, Kind::Unique(distinct)) => {
                let counted = distinct.finish(samples)?;
                report.failures = Some(counted.repeated);
                counted.late.iter().for_each(|row| sample.push_number(row));
            }
            (_, Kind::Monotone(monotone)) => {
                report.failures = Some(monotone.failures);
                report.missing = monotone.missing;
            }
            (_, Kind::Outliers(outliers)) => {
                let fenced = outliers.finish();
                report.failures = Some(fenced.failures);
                report.missing = fenced.missing;
                report.exact = fenced.exact;
                match fenced.fences {
                    Some((low, high)) => (report.min, report.max) = (Some(low), Some(high)),
                    None => report.message = "the values have no spread to judge by".to_owned(),
                }
                let shown = fenced.rows.into_iter().take(samples);
                report.rows = shown
                    .map(|(row, value)| RowReport {
                        row,
                        values: [(entry.text.clone(), value.into())].into_iter().collect(),
                    })
                    .collect();
            }
            (Compiled::Aggregate { min, max, .. }, Kind::Aggregate(tally)) => {
                let computed = tally.finish(now)?;
                report.missing = computed.missing;
                report.exact = computed.exact;
                bounded(&mut report, computed.value, *min, *max);
            }
            (Compiled::Distribution { max, .. }, Kind::Distribution(mut check)) => {
                let value = check.finish()?;
                bounded(&mut report, value, None, Some(*max));
            }
            (Compiled::Skipped(reason), _) => {
                report.status = Status::Skipped;
                report.failures = None;
                report.message = format!("not run: {reason}");
            }
            _ => {}
        }
        if let Some(failures) = report.failures {
            report.share = (rows > 0).then(|| failures as f64 / rows as f64);
            if failures as f64 > entry.allow * rows as f64 {
                report.status = Status::Failed;
            }
        }
        if report.status == Status::Failed && entry.severity == Severity::Warning {
            report.status = Status::Warned;
        }
        if report.rows.is_empty() {
            report.rows = sample
                .into_rows()
                .into_iter()
                .map(|(row, values)| RowReport { row, values })
                .collect();
        }
        Ok(report)
    }
}

/// A number of the whole table against its bounds; without a number there is nothing that holds.
fn bounded(report: &mut RuleReport, value: Option<f64>, min: Option<f64>, max: Option<f64>) {
    (report.value, report.min, report.max) = (value, min, max);
    report.failures = None;
    let holds = value.is_some_and(|value| {
        min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)
    });
    if value.is_none() {
        report.message = "there are no values to compute it of".to_owned();
    }
    if !holds {
        report.status = Status::Failed;
    }
}

fn slices<'a>(
    table: &'a Table<'_>,
    columns: &[usize],
    start: usize,
    rows: usize,
) -> Vec<Column<'a>> {
    columns
        .iter()
        .filter_map(|&column| table.columns().get(column))
        .map(|column| column.slice(start, rows))
        .collect()
}
