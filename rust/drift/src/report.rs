//! What monitoring says, in the form that is sent: JSON for people and programs.

use serde::Serialize;
use tidegate_schema::DType;
use tidegate_sketch::Moments;

use crate::alarm_report::AlarmsReport;
use crate::segment_report::{SegmentName, SegmentsReport};
use crate::{
    Alarms, Baseline, Live, Reference, Role, Segments, Watched, Window, jensen_shannon,
    jensen_shannon_noise, kolmogorov_smirnov, kolmogorov_smirnov_noise, label, psi, psi_noise,
    total_variation, total_variation_noise,
};

/// The version written into reports.
const VERSION: u32 = 1;

/// Every kept window compared with the baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of the form of this report.
    pub version: u32,
    /// What was compared with.
    pub baseline: BaselineReport,
    /// Oldest first; the last may be open.
    pub windows: Vec<WindowReport>,
    /// What each window is compared with.
    pub reference: ReferenceReport,
    /// The last closed windows as one; null where it is not asked for, or nothing has closed.
    pub sliding: Option<WindowReport>,
    /// All closed windows as one, older rows weighing less; null as above.
    pub decayed: Option<WindowReport>,
    /// Rows that came too late for their window and were counted into the next.
    pub late_rows: u64,
    /// What has left its reference by more than is harmless; null for windows without a monitor.
    pub alarms: Option<AlarmsReport>,
    /// Which rows these are, where they are those of one segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentName>,
    /// All segments side by side in the last closed window; absent where none are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentsReport>,
    /// Features that had values of a wrong type, whose requests were refused and are in no window;
    /// absent where there were none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mistyped: Vec<MistypedColumn>,
}

/// A feature that had values of a wrong type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MistypedColumn {
    /// The feature's name.
    pub name: String,
    /// In how many requests, since the model was loaded.
    pub requests: u64,
}

/// What each window is compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReferenceReport {
    /// The baseline, or windows before.
    pub kind: ReferenceKind,
    /// How many windows before; 0 for the baseline.
    pub windows: usize,
}

/// What windows are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferenceKind {
    /// The frozen baseline.
    Baseline,
    /// The closed windows right before each one.
    Trailing,
}

/// What a monitor knows beside its windows.
pub(crate) struct Views<'a> {
    /// Windows that each is compared with; 0 for the baseline.
    pub trailing: usize,
    /// They, merged, for each window of the report; `None` where there are too few.
    pub references: &'a [Option<Window>],
    pub sliding: Option<&'a Window>,
    pub decayed: Option<&'a Window>,
    pub late: u64,
    pub alarms: &'a Alarms,
}

/// What was compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BaselineReport {
    /// Rows of the baseline.
    pub rows: u64,
}

/// One window compared with the baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowReport {
    /// Seconds of the clock that the monitor was given.
    pub start: f64,
    /// When it was closed; when it last grew while it is open.
    pub end: f64,
    /// Observed rows.
    pub rows: u64,
    /// The name given when it was closed.
    pub label: Option<String>,
    /// False while it still grows.
    pub closed: bool,
    /// Features, then predictions.
    pub columns: Vec<ColumnReport>,
}

/// How the cells of a column are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Quantile bins of the baseline.
    Numeric,
    /// Frequent values of the baseline.
    Categorical,
}

/// A figure on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared<T> {
    /// In the baseline.
    pub baseline: T,
    /// In the window.
    pub live: T,
}

/// Mean, deviation and range of the finite values; null where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MomentsReport {
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The standard deviation of the population (`ddof` 0).
    pub std: Option<f64>,
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
}

/// One column of a window compared with the baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    /// The column's name, unique within its role.
    pub name: String,
    /// Feature or prediction.
    pub role: Role,
    /// Numeric or categorical.
    pub kind: Kind,
    /// The type of its values.
    pub dtype: DType,
    /// Population stability index over the cells; null without rows.
    pub psi: Option<f64>,
    /// The PSI to be expected without drift at these numbers of rows; null without rows.
    pub psi_noise: Option<f64>,
    /// Jensen–Shannon distance, base 2, over the cells; null without rows.
    pub js: Option<f64>,
    /// The same to be expected without drift.
    pub js_noise: Option<f64>,
    /// Total variation distance: the share of rows that would have to move to another cell.
    pub tv: Option<f64>,
    /// The same to be expected without drift.
    pub tv_noise: Option<f64>,
    /// Kolmogorov–Smirnov distance over the bins, without what is missing; numeric only.
    pub ks: Option<f64>,
    /// The same to be expected without drift.
    pub ks_noise: Option<f64>,
    /// Shares of missing values.
    pub missing: Compared<f64>,
    /// Shares of values below the least or above the greatest of the baseline; numeric only.
    pub out_of_range: Option<Compared<f64>>,
    /// Shares of values that the baseline never saw; categorical only.
    pub unseen: Option<Compared<f64>>,
    /// Numeric only.
    pub moments: Option<Compared<MomentsReport>>,
    /// The cells with their counts on both sides. They hold every row once.
    pub cells: Vec<CellReport>,
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellKind {
    /// Numbers below the baseline's least.
    Below,
    /// Numbers between two edges.
    Bin,
    /// Numbers above the baseline's greatest.
    Above,
    /// One frequent value.
    Value,
    /// All values that the baseline knows but that are not frequent.
    Other,
    /// Values that the baseline never saw.
    Unseen,
    /// Null and NaN.
    Missing,
}

/// One cell of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellReport {
    /// What it holds.
    pub kind: CellKind,
    /// In words, rounded.
    pub label: String,
    /// The lower edge of a bin, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// The upper edge of a bin, exactly; only the last bin holds its upper edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// Rows of the baseline.
    pub baseline: u64,
    /// Rows of the window.
    pub live: u64,
}

impl Report {
    /// Compares windows (each with whether it is closed) with their baseline, in the order given.
    #[must_use]
    pub fn new<'a>(
        baseline: &Baseline,
        windows: impl IntoIterator<Item = (&'a Window, bool)>,
    ) -> Self {
        // Cells are named once: naming them costs more than comparing them.
        let names = all_names(baseline);
        Self {
            version: VERSION,
            baseline: BaselineReport {
                rows: baseline.rows(),
            },
            windows: windows
                .into_iter()
                .map(|(window, closed)| WindowReport::named(baseline, &names, window, closed))
                .collect(),
            reference: ReferenceReport {
                kind: ReferenceKind::Baseline,
                windows: 0,
            },
            sliding: None,
            decayed: None,
            late_rows: 0,
            alarms: None,
            segment: None,
            segments: None,
            mistyped: Vec::new(),
        }
    }

    /// The report as that of one segment, whose windows these are: compared with its own rows of the
    /// baseline where that tells them apart, or with its own rows of windows before.
    pub(crate) fn of_segment(
        &mut self,
        baseline: &Baseline,
        segments: &Segments,
        place: usize,
        trailing: usize,
        references: &[Option<Window>],
    ) {
        let name = SegmentName::new(baseline, segments, place, trailing);
        if trailing > 0 {
            self.reference = ReferenceReport {
                kind: ReferenceKind::Trailing,
                windows: trailing,
            };
            for (window, before) in self.windows.iter_mut().zip(references) {
                let before = before.as_ref().and_then(|before| before.of_segment(place));
                window.compare_with(baseline, before.as_ref());
            }
        } else if let Some(own) = baseline
            .segmented()
            .filter(|found| found.segments == *segments)
            .and_then(|found| found.window(place))
        {
            self.baseline.rows = own.rows;
            for window in &mut self.windows {
                window.compare_with(baseline, Some(&own));
            }
        }
        self.segment = Some(name);
    }

    /// The report with what a monitor knows beside its windows.
    pub(crate) fn with(mut self, baseline: &Baseline, views: &Views<'_>) -> Self {
        let names = all_names(baseline);
        if views.trailing > 0 {
            self.reference = ReferenceReport {
                kind: ReferenceKind::Trailing,
                windows: views.trailing,
            };
            for (window, reference) in self.windows.iter_mut().zip(views.references) {
                window.compare_with(baseline, reference.as_ref());
            }
        }
        let view = |window: &Window| WindowReport::named(baseline, &names, window, true);
        self.sliding = views.sliding.map(view);
        self.decayed = views.decayed.map(view);
        self.late_rows = views.late;
        self.alarms = Some(AlarmsReport::new(baseline, &names, views.alarms));
        self
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl WindowReport {
    /// Compares a window, which may be merged from several, with its baseline.
    #[must_use]
    pub fn new(baseline: &Baseline, window: &Window, closed: bool) -> Self {
        Self::named(baseline, &all_names(baseline), window, closed)
    }

    /// Compares with windows before instead of the baseline; figures are null while there are none.
    pub(crate) fn compare_with(&mut self, baseline: &Baseline, reference: Option<&Window>) {
        for (place, column) in self.columns.iter_mut().enumerate() {
            let before = reference.and_then(|window| window.columns.get(place));
            let live: Vec<u64> = column.cells.iter().map(|cell| cell.live).collect();
            for (at, cell) in column.cells.iter_mut().enumerate() {
                let count = before.and_then(|before| before.counts.get(at));
                cell.baseline = count.copied().unwrap_or(0);
            }
            if let Some(moments) = &mut column.moments {
                let before = before.and_then(|before| before.moments.as_ref());
                moments.baseline = MomentsReport::new(before.unwrap_or(&Moments::new()));
            }
            if let Some(watched) = baseline.columns().get(place) {
                let cells = std::mem::take(&mut column.cells);
                *column = ColumnReport::compared(watched, cells, &live, column.moments);
            }
        }
    }

    fn named(
        baseline: &Baseline,
        names: &[Vec<CellReport>],
        window: &Window,
        closed: bool,
    ) -> Self {
        let columns = baseline.columns().iter().zip(names).zip(&window.columns);
        Self {
            start: window.start,
            end: window.end,
            rows: window.rows,
            label: window.label.clone(),
            closed,
            columns: columns
                .map(|((watched, names), live)| ColumnReport::new(watched, names, live))
                .collect(),
        }
    }
}

impl ColumnReport {
    fn new(watched: &Watched, names: &[CellReport], live: &Live) -> Self {
        let mut cells = names.to_vec();
        for (cell, &count) in cells.iter_mut().zip(&live.counts) {
            cell.live = count;
        }
        let moments = match &watched.reference {
            Reference::Categorical(_) => None,
            Reference::Numeric(numeric) => live.moments.as_ref().map(|live| Compared {
                baseline: MomentsReport::new(&numeric.moments),
                live: MomentsReport::new(live),
            }),
        };
        Self::compared(watched, cells, &live.counts, moments)
    }

    /// The distances of cells that hold their counts.
    fn compared(
        watched: &Watched,
        cells: Vec<CellReport>,
        live: &[u64],
        moments: Option<Compared<MomentsReport>>,
    ) -> Self {
        let baseline: Vec<u64> = cells.iter().map(|cell| cell.baseline).collect();
        let kind = match &watched.reference {
            Reference::Categorical(_) => Kind::Categorical,
            Reference::Numeric(_) => Kind::Numeric,
        };
        // The last cell is what is missing, which has no place in the order.
        let present = |counts: &'_ [u64]| counts.len().saturating_sub(1);
        let ordered = match kind {
            Kind::Numeric => baseline
                .get(..present(&baseline))
                .zip(live.get(..present(live))),
            Kind::Categorical => None,
        };
        let share = |kinds: &[CellKind]| {
            let of = |count: fn(&CellReport) -> u64| {
                let all: u64 = cells.iter().map(count).sum();
                let some: u64 = cells
                    .iter()
                    .filter(|cell| kinds.contains(&cell.kind))
                    .map(count)
                    .sum();
                some as f64 / all.max(1) as f64
            };
            Compared {
                baseline: of(|cell| cell.baseline),
                live: of(|cell| cell.live),
            }
        };
        Self {
            name: watched.name.clone(),
            role: watched.role,
            kind,
            dtype: watched.dtype,
            psi: psi(&baseline, live),
            psi_noise: psi_noise(&baseline, live),
            js: jensen_shannon(&baseline, live),
            js_noise: jensen_shannon_noise(&baseline, live),
            tv: total_variation(&baseline, live),
            tv_noise: total_variation_noise(&baseline, live),
            ks: ordered.and_then(|(p, q)| kolmogorov_smirnov(p, q)),
            ks_noise: ordered.and_then(|(p, q)| kolmogorov_smirnov_noise(p, q)),
            missing: share(&[CellKind::Missing]),
            out_of_range: (kind == Kind::Numeric)
                .then(|| share(&[CellKind::Below, CellKind::Above])),
            unseen: (kind == Kind::Categorical).then(|| share(&[CellKind::Unseen])),
            moments,
            cells,
        }
    }
}

impl MomentsReport {
    fn new(moments: &Moments) -> Self {
        Self {
            mean: moments.mean(),
            std: moments.std(0),
            min: moments.min(),
            max: moments.max(),
        }
    }
}

/// The cells of every column with the baseline's counts; live counts are still to come.
fn all_names(baseline: &Baseline) -> Vec<Vec<CellReport>> {
    let columns = baseline.columns().iter();
    columns
        .map(|watched| {
            let mut cells = names(watched);
            for (cell, count) in cells.iter_mut().zip(watched.reference.counts()) {
                cell.baseline = count;
            }
            cells
        })
        .collect()
}

/// The cells of a column in the order of its counts, which are still to come.
fn names(watched: &Watched) -> Vec<CellReport> {
    let cell = |kind, label: &str| CellReport {
        kind,
        label: label.to_owned(),
        lower: None,
        upper: None,
        baseline: 0,
        live: 0,
    };
    let mut cells = Vec::new();
    match &watched.reference {
        Reference::Categorical(categorical) => {
            cells.extend(
                categorical
                    .values()
                    .map(|(text, _)| cell(CellKind::Value, text)),
            );
            cells.push(cell(CellKind::Other, "other"));
            cells.push(cell(CellKind::Unseen, "unseen"));
        }
        Reference::Numeric(numeric) => {
            let edges = numeric.histogram.edges();
            let word = |edge: f64| label::edge(watched.dtype, edge);
            let (Some(&first), Some(&last)) = (edges.first(), edges.last()) else {
                return vec![
                    cell(CellKind::Below, "any value"),
                    cell(CellKind::Missing, "missing"),
                ];
            };
            cells.push(cell(CellKind::Below, &format!("below {}", word(first))));
            for (i, pair) in edges.windows(2).enumerate() {
                let (lower, upper) = (pair[0], pair[1]);
                let text = if lower == upper {
                    word(lower)
                } else {
                    let end = if i + 2 == edges.len() { ']' } else { ')' };
                    format!("[{}, {}{end}", word(lower), word(upper))
                };
                cells.push(CellReport {
                    lower: Some(lower),
                    upper: Some(upper),
                    ..cell(CellKind::Bin, &text)
                });
            }
            cells.push(cell(CellKind::Above, &format!("above {}", word(last))));
        }
    }
    cells.push(cell(CellKind::Missing, "missing"));
    cells
}
