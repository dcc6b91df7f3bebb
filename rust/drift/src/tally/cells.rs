//! The cells into which the values of several versions fall: those of one baseline.

use std::sync::Arc;

use tidegate_schema::Column;

use crate::{Baseline, Role, Watched};

/// The cells of one baseline, for all versions that are to be compared.
#[derive(Clone, Debug)]
pub struct Cells {
    baseline: Arc<Baseline>,
    /// Which of its columns tells the prediction.
    prediction: Option<usize>,
}

impl Cells {
    /// The cells of a baseline; `prediction` names the column that tells the prediction.
    #[must_use]
    pub fn new(baseline: Arc<Baseline>, prediction: Option<&str>) -> Self {
        let mut columns = baseline.columns().iter();
        let prediction = prediction.and_then(|name| {
            columns.position(|column| column.role == Role::Prediction && column.name == name)
        });
        Self {
            baseline,
            prediction,
        }
    }

    /// The baseline.
    #[must_use]
    pub const fn baseline(&self) -> &Arc<Baseline> {
        &self.baseline
    }

    /// The watched input columns, in the order of the schema.
    pub fn features(&self) -> impl Iterator<Item = &Watched> {
        let columns = self.baseline.columns().iter();
        columns.filter(|column| column.role == Role::Feature)
    }

    /// The column that tells the prediction.
    #[must_use]
    pub fn prediction(&self) -> Option<&Watched> {
        self.baseline.columns().get(self.prediction?)
    }
}

impl Watched {
    /// Zeros for the cells of this column.
    pub(super) fn none(&self) -> Vec<u64> {
        vec![0; self.reference.cells()]
    }

    /// Adds the values of a column to their cells; a column of another type is left out.
    pub(super) fn count(&self, column: &Column<'_>, counts: &mut [u64]) {
        if self.reference.suits(column.dtype()) {
            self.reference.count(column, counts);
        }
    }
}
