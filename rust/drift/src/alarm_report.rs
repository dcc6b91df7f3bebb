//! What alarms say, in the form that is sent.

use serde::Serialize;

use crate::alarms::Tested;
use crate::report::CellReport;
use crate::sequential::Interval;
use crate::{Alarms, Baseline, Role};

/// The greatest e-value that is written: JSON has no infinity.
const GREATEST: f64 = 1e300;

/// The alarms as of the last closed window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmsReport {
    /// The share of alarms that may be false, and the chance that there is ever one as long as nothing
    /// leaves the tolerance.
    pub alpha: f64,
    /// The total variation distance that is taken to be harmless.
    pub tolerance: f64,
    /// Closed windows that were looked at.
    pub looks: u64,
    /// How many columns have an alarm.
    pub raised: usize,
    /// Every watched column that can raise an alarm, in the order of the windows' columns.
    pub columns: Vec<AlarmReport>,
}

/// The test of one column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmReport {
    /// The column's name.
    pub name: String,
    /// Feature or prediction.
    pub role: Role,
    /// Is the distance, with the certainty that was asked for, beyond the tolerance?
    pub alarm: bool,
    /// When the alarm was raised that stands.
    pub since: Option<f64>,
    /// The evidence that the distance is beyond the tolerance: without any, above `x` with a chance of
    /// at most `1 / x`, over all looks together. At most 1e300.
    pub e_value: f64,
    /// Its natural logarithm.
    pub log_e: f64,
    /// The logarithm that it has to reach for an alarm, given those of the other columns.
    pub due: f64,
    /// The total variation distance of the rows behind the evidence; null without any.
    pub distance: Option<f64>,
    /// The distances that the evidence does not exclude, at the same certainty: an alarm is raised
    /// exactly when the lower end is beyond the tolerance.
    pub interval: Interval,
    /// When the rows behind the evidence began.
    pub from: Option<f64>,
    /// How many they are.
    pub rows: u64,
    /// How many more are likely to be needed for an alarm, if they look alike: 0 with one, null if there
    /// will be none.
    pub rows_to_go: Option<u64>,
    /// The cells of the test with their counts in the reference and in the rows behind the evidence;
    /// with an alarm only.
    pub cells: Vec<CellReport>,
}

impl AlarmsReport {
    pub(crate) fn new(baseline: &Baseline, names: &[Vec<CellReport>], alarms: &Alarms) -> Self {
        let columns: Vec<AlarmReport> = alarms
            .columns()
            .iter()
            .filter_map(|tested| {
                let watched = baseline.columns().get(tested.column)?;
                let cells = names.get(tested.column)?;
                let report = AlarmReport::new(tested, cells, alarms);
                Some(AlarmReport {
                    name: watched.name.clone(),
                    role: watched.role,
                    ..report
                })
            })
            .collect();
        let options = alarms.options();
        let looks = alarms.columns().first().map_or(0, |one| one.starts.looks());
        Self {
            alpha: options.alpha,
            tolerance: options.tolerance,
            looks,
            raised: columns.iter().filter(|column| column.alarm).count(),
            columns,
        }
    }
}

impl AlarmReport {
    fn new(tested: &Tested, names: &[CellReport], alarms: &Alarms) -> Self {
        let tolerance = alarms.options().tolerance;
        let alarm = tested.since.is_some();
        let level = alarms.level(alarm);
        let mut report = Self {
            name: String::new(),
            role: Role::Feature,
            alarm,
            since: tested.since,
            e_value: 0.0,
            log_e: -GREATEST.ln(),
            due: level,
            distance: None,
            interval: Interval {
                lower: 0.0,
                upper: 1.0,
            },
            from: None,
            rows: 0,
            rows_to_go: None,
            cells: Vec::new(),
        };
        let Some(start) = tested.starts.strongest(&tested.test, tolerance) else {
            return report;
        };
        let (live, test) = (start.live(), start.test(&tested.test));
        report.log_e = start.log_e(&tested.test, tolerance).max(-GREATEST.ln());
        report.e_value = report.log_e.exp().min(GREATEST);
        report.distance = test.distance(&live);
        report.interval = test.interval(&live, level, start.penalty());
        report.from = Some(start.since);
        report.rows = start.rows();
        report.rows_to_go = start.rows_to_go(&tested.test, tolerance, level);
        if alarm {
            report.cells = tested.cells(names, &start.counts, start.reference.as_deref());
        }
        report
    }
}
