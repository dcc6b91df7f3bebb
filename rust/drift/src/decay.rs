//! All rows, the older the lighter.

use tidegate_sketch::Moments;

use crate::{Baseline, Live, Window};

/// Counts whose weight halves with every half-life of their window's age.
#[derive(Clone, Debug)]
pub(crate) struct Decayed {
    half_life: f64,
    /// When the counts were last brought up to date.
    at: Option<(f64, f64)>,
    rows: f64,
    counts: Vec<Vec<f64>>,
}

impl Decayed {
    pub fn new(baseline: &Baseline, half_life: f64) -> Self {
        let columns = baseline.columns().iter();
        Self {
            half_life,
            at: None,
            rows: 0.0,
            counts: columns
                .map(|column| vec![0.0; column.reference.cells()])
                .collect(),
        }
    }

    /// Takes in a window that is closed.
    pub fn take(&mut self, window: &Window) {
        let (start, before) = self.at.unwrap_or((window.start, window.end));
        let age = (window.end - before).max(0.0);
        let weight = (-age / self.half_life).exp2();
        self.rows = self.rows * weight + window.rows as f64;
        for (sums, live) in self.counts.iter_mut().zip(&window.columns) {
            for (sum, &count) in sums.iter_mut().zip(&live.counts) {
                *sum = *sum * weight + count as f64;
            }
        }
        self.at = Some((start.min(window.start), before.max(window.end)));
    }

    /// The counts as a window, each rounded to whole rows; without moments. `None` before the first.
    pub fn window(&self) -> Option<Window> {
        let (start, end) = self.at?;
        let columns: Vec<Live> = self
            .counts
            .iter()
            .map(|sums| Live {
                counts: sums.iter().map(|sum| sum.round() as u64).collect(),
                moments: None::<Moments>,
            })
            .collect();
        Some(Window {
            start,
            end,
            rows: self.rows.round() as u64,
            label: None,
            columns,
            segments: Vec::new(),
        })
    }
}
