//! Segments side by side: how far the columns of each have moved.

use serde::Serialize;

use crate::{Baseline, Role, Segments, Window, WindowReport};

/// Which rows a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentName {
    /// The column whose values are told apart.
    pub column: String,
    /// The value.
    pub value: String,
    /// Are the rows compared with those of the same value? Else with all rows of the baseline, which
    /// also shows how the value differs from the others.
    pub like_with_like: bool,
}

/// All segments in one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentsReport {
    /// The column whose values are told apart.
    pub column: String,
    /// As in [`SegmentName`].
    pub like_with_like: bool,
    /// When the window began; null before the first row.
    pub start: Option<f64>,
    /// When it was closed, or last grew.
    pub end: Option<f64>,
    /// Its name.
    pub label: Option<String>,
    /// False while it still grows.
    pub closed: bool,
    /// The values in the order of their frequency in the baseline, then other and missing.
    pub values: Vec<SegmentRows>,
}

/// One segment in a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentRows {
    /// The value of the column.
    pub value: String,
    /// Its rows.
    pub rows: u64,
    /// In the order of the report's columns.
    pub columns: Vec<SegmentColumn>,
}

/// How far a column of a segment has moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentColumn {
    /// The column's name.
    pub name: String,
    /// Feature or prediction.
    pub role: Role,
    /// Population stability index; null without rows.
    pub psi: Option<f64>,
    /// The PSI to be expected without drift.
    pub psi_noise: Option<f64>,
    /// Total variation distance.
    pub tv: Option<f64>,
    /// The same to be expected without drift.
    pub tv_noise: Option<f64>,
}

/// Does a baseline tell these segments apart?
fn has(baseline: &Baseline, segments: &Segments) -> bool {
    let own = baseline.segmented();
    own.is_some_and(|own| own.segments == *segments)
}

impl SegmentName {
    pub(crate) fn new(
        baseline: &Baseline,
        segments: &Segments,
        place: usize,
        trailing: usize,
    ) -> Self {
        Self {
            column: segments.column().to_owned(),
            value: segments.names().get(place).cloned().unwrap_or_default(),
            like_with_like: trailing > 0 || has(baseline, segments),
        }
    }
}

impl SegmentsReport {
    /// The segments of a window, compared with the same of the windows before it where `trailing` is
    /// above 0, or else with the baseline's.
    pub(crate) fn new(
        baseline: &Baseline,
        segments: &Segments,
        window: Option<(&Window, bool)>,
        before: Option<&Window>,
        trailing: usize,
    ) -> Self {
        let own = baseline.segmented().filter(|own| own.segments == *segments);
        let value = |(place, name): (usize, &String)| {
            let part = window.and_then(|(window, _)| window.of_segment(place))?;
            let mut found = WindowReport::new(baseline, &part, true);
            if trailing > 0 {
                let before = before.and_then(|before| before.of_segment(place));
                found.compare_with(baseline, before.as_ref());
            } else if let Some(reference) = own.and_then(|own| own.window(place)) {
                found.compare_with(baseline, Some(&reference));
            }
            let columns = found.columns.into_iter();
            Some(SegmentRows {
                value: name.clone(),
                rows: part.rows,
                columns: columns
                    .map(|column| SegmentColumn {
                        name: column.name,
                        role: column.role,
                        psi: column.psi,
                        psi_noise: column.psi_noise,
                        tv: column.tv,
                        tv_noise: column.tv_noise,
                    })
                    .collect(),
            })
        };
        Self {
            column: segments.column().to_owned(),
            like_with_like: trailing > 0 || own.is_some(),
            start: window.map(|(window, _)| window.start),
            end: window.map(|(window, _)| window.end),
            label: window.and_then(|(window, _)| window.label.clone()),
            closed: window.is_some_and(|(_, closed)| closed),
            values: segments
                .names()
                .iter()
                .enumerate()
                .filter_map(value)
                .collect(),
        }
    }
}
