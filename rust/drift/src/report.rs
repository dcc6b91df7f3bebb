//! What monitoring says, in the form that is sent: JSON for people and programs.

use serde::Serialize;
use tidegate_schema::DType;
use tidegate_sketch::Moments;

use crate::{
    Baseline, Live, Reference, Role, Watched, Window, jensen_shannon, label, psi, psi_noise,
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
        }
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
        let baseline: Vec<u64> = cells.iter().map(|cell| cell.baseline).collect();
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
        let (kind, moments) = match &watched.reference {
            Reference::Categorical(_) => (Kind::Categorical, None),
            Reference::Numeric(numeric) => {
                let moments = live.moments.as_ref().map(|live| Compared {
                    baseline: MomentsReport::new(&numeric.moments),
                    live: MomentsReport::new(live),
                });
                (Kind::Numeric, moments)
            }
        };
        Self {
            name: watched.name.clone(),
            role: watched.role,
            kind,
            dtype: watched.dtype,
            psi: psi(&baseline, &live.counts),
            psi_noise: psi_noise(&baseline, &live.counts),
            js: jensen_shannon(&baseline, &live.counts),
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
