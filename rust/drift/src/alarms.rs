//! Alarms that mean something: what has left its baseline by more than is harmless, and since when.

use std::collections::BTreeSet;

use tidegate_schema::{DType, Error, Result};

use crate::report::{CellKind, CellReport};
use crate::sequential::{CellsTest, Starts, discoveries, threshold};
use crate::{Baseline, Categorical, Reference, Window};

/// The share of alarms that may be false, unless told otherwise.
pub const ALPHA: f64 = 0.01;
/// The total variation distance that is taken to be harmless, unless told otherwise.
pub const TOLERANCE: f64 = 0.1;
/// A value has a cell of its own in the test if the baseline has at least so many of it, and
const FEWEST: u64 = 20;
/// at least one row in so many. Rarer ones are one cell with those it never saw: which of many rare values
/// are among the most frequent is chance, and chance must not be taken for drift.
const ONE_IN: u64 = 200;

/// What an alarm is.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmOptions {
    /// The share of alarms that may be false, and the chance that there is ever one as long as
    /// nothing changes: above 0, below 1.
    pub alpha: f64,
    /// The total variation distance from the baseline that is taken to be harmless: the share of
    /// rows that would have to move to another cell. Above 0, below 1.
    pub tolerance: f64,
    /// Columns that raise no alarm, such as the hour of the day.
    pub ignore: BTreeSet<String>,
}

impl Default for AlarmOptions {
    fn default() -> Self {
        Self {
            alpha: ALPHA,
            tolerance: TOLERANCE,
            ignore: BTreeSet::new(),
        }
    }
}

impl AlarmOptions {
    /// Are the numbers possible?
    ///
    /// # Errors
    /// `InvalidInput` that names the first one that is not.
    pub fn check_numbers(&self) -> Result<()> {
        for (name, value) in [("alpha", self.alpha), ("tolerance", self.tolerance)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::invalid(format!(
                    "alarms with {name} {value}: use a number above 0 and below 1"
                )));
            }
        }
        Ok(())
    }

    /// Are the numbers possible, and the columns there?
    ///
    /// # Errors
    /// `InvalidInput` that names the first one that is not.
    pub fn check(&self, baseline: &Baseline) -> Result<()> {
        self.check_numbers()?;
        let columns = baseline.columns();
        for name in &self.ignore {
            if !columns.iter().any(|column| column.name == *name) {
                let known: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
                return Err(Error::invalid(format!(
                    "column {name:?} is to raise no alarm, but is not watched: the columns are {}",
                    known.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// The test of one column.
#[derive(Clone, Debug)]
pub(crate) struct Tested {
    /// The column's position in the baseline.
    pub column: usize,
    /// Which cell of the test each cell of the column belongs to.
    groups: Vec<usize>,
    pub test: CellsTest,
    pub starts: Starts,
    /// `ln` of the e-value at the last look.
    log_e: f64,
    /// When the alarm that stands was raised.
    pub since: Option<f64>,
}

/// The tests of all columns of a baseline.
#[derive(Clone, Debug)]
pub struct Alarms {
    options: AlarmOptions,
    columns: Vec<Tested>,
}

impl Alarms {
    /// No row yet.
    ///
    /// # Errors
    /// `InvalidInput` when the options are impossible.
    pub fn new(baseline: &Baseline, options: AlarmOptions) -> Result<Self> {
        options.check(baseline)?;
        let columns = baseline.columns().iter().enumerate();
        let columns = columns
            .filter(|(_, watched)| !options.ignore.contains(&watched.name))
            // Time moves on: that is no news.
            .filter(|(_, watched)| !matches!(watched.dtype, DType::Timestamp | DType::Date))
            .map(|(column, watched)| Tested::new(column, &watched.reference))
            .collect();
        Ok(Self { options, columns })
    }

    /// What an alarm is.
    #[must_use]
    pub const fn options(&self) -> &AlarmOptions {
        &self.options
    }

    /// Looks at a window that is closed. What begins with it is compared with a `reference` of
    /// windows before it, or else with the baseline.
    pub fn look(&mut self, window: &Window, reference: Option<&Window>) {
        let tolerance = self.options.tolerance;
        for tested in &mut self.columns {
            let counts = |window: &Window| {
                let live = window.columns.get(tested.column)?;
                Some(gather(&tested.groups, &live.counts))
            };
            if let Some(live) = counts(window) {
                let before = reference.and_then(counts);
                tested.starts.look(&live, window.start, before);
                tested.log_e = tested.starts.log_e(&tested.test, tolerance);
            }
        }
        let log_e: Vec<f64> = self.columns.iter().map(|tested| tested.log_e).collect();
        let raised = discoveries(&log_e, self.options.alpha);
        for (place, tested) in self.columns.iter_mut().enumerate() {
            tested.since = match tested.since {
                _ if raised.binary_search(&place).is_err() => None,
                None => Some(window.end),
                before => before,
            };
        }
    }

    /// Positions of the columns with an alarm.
    #[must_use]
    pub fn raised(&self) -> Vec<usize> {
        let raised = self.columns.iter().filter(|tested| tested.since.is_some());
        raised.map(|tested| tested.column).collect()
    }

    pub(crate) fn columns(&self) -> &[Tested] {
        &self.columns
    }

    /// `ln` of the e-value that a column has to reach: one with an alarm, or the next one.
    pub(crate) fn level(&self, raised: bool) -> f64 {
        let alarms = self
            .columns
            .iter()
            .filter(|one| one.since.is_some())
            .count();
        let rank = if raised { alarms } else { alarms + 1 };
        threshold(self.columns.len(), rank, self.options.alpha)
    }
}

impl Tested {
    fn new(column: usize, reference: &Reference) -> Self {
        let (groups, ordered): (Vec<usize>, _) = match reference {
            Reference::Numeric(numeric) => ((0..numeric.histogram().cells().len()).collect(), true),
            Reference::Categorical(categorical) => (groups(categorical), false),
        };
        let test = CellsTest::new(&gather(&groups, &reference.counts()), ordered);
        Self {
            column,
            groups,
            test,
            starts: Starts::new(),
            log_e: f64::NEG_INFINITY,
            since: None,
        }
    }
}

impl Tested {
    /// The cells of the test, named after those of the column, with their counts on both sides.
    pub fn cells(
        &self,
        names: &[CellReport],
        live: &[u64],
        reference: Option<&[u64]>,
    ) -> Vec<CellReport> {
        let mut cells: Vec<CellReport> = Vec::with_capacity(live.len());
        let mut order: Vec<usize> = Vec::with_capacity(live.len());
        for (&group, name) in self.groups.iter().zip(names) {
            let Some(place) = order.iter().position(|&known| known == group) else {
                order.push(group);
                cells.push(CellReport {
                    live: live.get(group).copied().unwrap_or(0),
                    ..name.clone()
                });
                continue;
            };
            let Some(cell) = cells.get_mut(place) else {
                continue;
            };
            // Of several cells that are one in the test: rare values, and those never seen.
            cell.baseline += name.baseline;
            cell.kind = CellKind::Other;
            "other".clone_into(&mut cell.label);
        }
        if let Some(reference) = reference {
            for (cell, group) in cells.iter_mut().zip(&order) {
                cell.baseline = reference.get(*group).copied().unwrap_or(0);
            }
        }
        cells
    }
}

/// The frequent values each, the rest together, the missing.
fn groups(categorical: &Categorical) -> Vec<usize> {
    let all: u64 = categorical.counts().iter().sum();
    let frequent = |count: u64| count >= FEWEST.max(all / ONE_IN);
    let named: Vec<bool> = categorical.values().map(|(_, n)| frequent(n)).collect();
    let rest = named.iter().filter(|frequent| **frequent).count();
    let mut next = 0;
    let mut groups = Vec::with_capacity(categorical.cells());
    for frequent in named {
        groups.push(if frequent { next } else { rest });
        next += usize::from(frequent);
    }
    // Other and unseen, missing.
    groups.extend([rest, rest, rest + 1]);
    groups
}

/// Counts by cell of the test.
fn gather(groups: &[usize], counts: &[u64]) -> Vec<u64> {
    let cells = groups.iter().max().map_or(0, |last| last + 1);
    let mut gathered = vec![0; cells];
    for (&group, &count) in groups.iter().zip(counts) {
        if let Some(sum) = gathered.get_mut(group) {
            *sum += count;
        }
    }
    gathered
}
