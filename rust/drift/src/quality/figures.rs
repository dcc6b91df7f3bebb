//! The figures of some rows, whatever the model predicts.

use serde::{Deserialize, Serialize};

use super::{Calibration, Classification, RegressionError, Task};

/// The figures of some rows, by what the model predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Figures {
    /// Of a classifier.
    Classification(Box<Classification>),
    /// Of a regressor.
    Regression(RegressionError),
}

impl Figures {
    /// The figures of nothing.
    #[must_use]
    pub fn new(task: &Task) -> Self {
        match task {
            Task::Classification { classes, .. } => {
                Self::Classification(Box::new(Classification::new(classes.len())))
            }
            Task::Regression { .. } => Self::Regression(RegressionError::default()),
        }
    }

    pub(crate) fn fits(&self, task: &Task) -> bool {
        match (self, task) {
            (Self::Classification(own), Task::Classification { classes, .. }) => {
                own.fits(classes.len())
            }
            (Self::Regression(_), Task::Regression { .. }) => true,
            _ => false,
        }
    }

    /// Takes in a prediction's numbers and its label as [`Task::encode`] gave it.
    pub fn update(&mut self, row: &[f64], actual: f64) {
        match self {
            Self::Classification(own) => own.update(row, actual as usize),
            Self::Regression(own) => {
                if let Some(predicted) = row.first() {
                    own.update(*predicted, actual);
                }
            }
        }
    }

    /// Takes in a prediction by what its probabilities promise. A regressor promises nothing.
    pub fn expect(&mut self, row: &[f64], calibration: Option<&Calibration>) {
        if let (Self::Classification(own), Some(calibration)) = (self, calibration) {
            own.expect(row, calibration);
        }
    }

    /// What labels say of the probabilities; `None` of a regressor.
    #[must_use]
    pub const fn calibration(&self) -> Option<&Calibration> {
        match self {
            Self::Classification(own) => Some(own.calibration()),
            Self::Regression(_) => None,
        }
    }

    /// Takes in what another of the same task has seen.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Classification(own), Self::Classification(more)) => own.merge(more),
            (Self::Regression(own), Self::Regression(more)) => own.merge(more),
            // Of one task both are of one kind, which the tracker has checked.
            _ => {}
        }
    }

    /// Rows seen, or their expected number.
    #[must_use]
    pub const fn rows(&self) -> f64 {
        match self {
            Self::Classification(own) => own.rows(),
            Self::Regression(own) => own.rows(),
        }
    }
}
