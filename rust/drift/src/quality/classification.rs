//! All that is followed of a classifier.

use serde::{Deserialize, Serialize};

use crate::sequential::Interval;

use super::{Auc, Brier, Calibration, Confusion, LogLoss, MAX_CLASSES};

/// The figures of a classifier over some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    confusion: Confusion,
    log_loss: LogLoss,
    brier: Brier,
    /// Of two classes one for the positive; of more one for each against all others.
    aucs: Vec<Auc>,
    calibration: Calibration,
    rows: f64,
}

/// The probabilities of all classes, from a prediction's numbers; none where it has none.
pub(crate) fn probabilities<'a>(
    classes: usize,
    row: &[f64],
    into: &'a mut [f64; MAX_CLASSES],
) -> &'a [f64] {
    let given = row.get(1..).unwrap_or_default();
    let count = match given {
        [] => 0,
        [positive] if classes == 2 => {
            into[0] = 1.0 - positive;
            into[1] = *positive;
            2
        }
        all => {
            let count = all.len().min(MAX_CLASSES);
            into[..count].copy_from_slice(&all[..count]);
            count
        }
    };
    &into[..count]
}

/// The place of the predicted class.
pub(crate) fn predicted(row: &[f64]) -> Option<usize> {
    let place = *row.first()?;
    (place >= 0.0 && place < MAX_CLASSES as f64).then_some(place as usize)
}

impl Classification {
    /// The figures of nothing.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        let curves = if classes == 2 { 1 } else { classes };
        Self {
            confusion: Confusion::new(classes),
            log_loss: LogLoss::default(),
            brier: Brier::default(),
            aucs: vec![Auc::default(); curves],
            calibration: Calibration::default(),
            rows: 0.0,
        }
    }

    pub(crate) fn fits(&self, classes: usize) -> bool {
        let curves = if classes == 2 { 1 } else { classes };
        self.confusion.fits(classes) && self.aucs.len() == curves
    }

    /// Takes in a prediction whose label is known.
    pub fn update(&mut self, row: &[f64], actual: usize) {
        let mut room = [0.0; MAX_CLASSES];
        let given = probabilities(self.confusion.classes(), row, &mut room);
        self.add(row, given, actual, 1.0);
        let Some(predicted) = predicted(row) else {
            return;
        };
        match given {
            [] => {}
            [_, positive] => self.calibration.update(*positive, actual == 1),
            all => {
                if let Some(confidence) = all.get(predicted) {
                    self.calibration.update(*confidence, actual == predicted);
                }
            }
        }
    }

    /// Takes in a prediction without a label: each class counts by its probability, which
    /// `calibration` has corrected. Says nothing where there are no probabilities.
    pub fn expect(&mut self, row: &[f64], calibration: &Calibration) {
        let mut room = [0.0; MAX_CLASSES];
        let given = probabilities(self.confusion.classes(), row, &mut room);
        if given.iter().any(|p| !(0.0..=1.0).contains(p)) {
            return;
        }
        match given {
            [] => {}
            [_, positive] => {
                let chance = calibration.corrected(*positive);
                self.add(row, given, 0, 1.0 - chance);
                self.add(row, given, 1, chance);
            }
            all => {
                let Some((place, confidence)) =
                    predicted(row).and_then(|place| Some((place, *all.get(place)?)))
                else {
                    return;
                };
                // The predicted class as corrected; the others share the rest as they did.
                let chance = calibration.corrected(confidence);
                let rest = (1.0 - confidence).max(f64::MIN_POSITIVE);
                for (class, p) in all.iter().enumerate() {
                    let weight = if class == place {
                        chance
                    } else {
                        p * (1.0 - chance) / rest
                    };
                    self.add(row, all, class, weight);
                }
            }
        }
    }

    fn add(&mut self, row: &[f64], given: &[f64], actual: usize, weight: f64) {
        let Some(predicted) = predicted(row) else {
            return;
        };
        self.rows += weight;
        self.confusion.update(actual, predicted, weight);
        let Some(chance) = given.get(actual).filter(|p| !p.is_nan()) else {
            return;
        };
        self.log_loss.update(*chance, weight);
        self.brier.update(given, actual, weight);
        if let ([auc], [_, positive]) = (self.aucs.as_mut_slice(), given) {
            auc.update(*positive, actual == 1, weight);
            return;
        }
        for (class, (auc, p)) in self.aucs.iter_mut().zip(given).enumerate() {
            auc.update(*p, class == actual, weight);
        }
    }

    /// Takes in what another of as many classes has seen.
    pub fn merge(&mut self, other: &Self) {
        self.confusion.merge(&other.confusion);
        self.log_loss.merge(&other.log_loss);
        self.brier.merge(&other.brier);
        for (auc, more) in self.aucs.iter_mut().zip(&other.aucs) {
            auc.merge(more);
        }
        self.calibration.merge(&other.calibration);
        self.rows += other.rows;
    }

    /// Rows seen, or their expected number.
    #[must_use]
    pub const fn rows(&self) -> f64 {
        self.rows
    }

    /// What was predicted against what happened.
    #[must_use]
    pub const fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// Mean probability and rate, bin by bin.
    #[must_use]
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Precision: of the positive class of two, the mean over the classes of more.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        self.figure(Confusion::precision)
    }

    /// Recall, likewise.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        self.figure(Confusion::recall)
    }

    /// F1 score, likewise.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        self.figure(Confusion::f1)
    }

    fn figure(&self, figure: impl Fn(&Confusion, usize) -> Option<f64>) -> Option<f64> {
        if self.confusion.classes() == 2 {
            return figure(&self.confusion, 1);
        }
        self.confusion.macro_average(figure)
    }

    /// The log loss; `None` without probabilities.
    #[must_use]
    pub fn log_loss(&self) -> Option<f64> {
        self.log_loss.value()
    }

    /// The Brier score; `None` without probabilities.
    #[must_use]
    pub fn brier(&self) -> Option<f64> {
        self.brier.value()
    }

    /// The area under the curve and its error; of more than two classes the mean over the classes
    /// of each against all others. `None` while one of them has none.
    #[must_use]
    pub fn auc(&self) -> Option<(f64, f64)> {
        let mut sums = (0.0, 0.0);
        for auc in &self.aucs {
            sums.0 += auc.value()?;
            sums.1 += auc.error()?;
        }
        let count = self.aucs.len() as f64;
        (count > 0.0).then(|| (sums.0 / count, sums.1 / count))
    }

    /// The interval of the area under the curve of two classes; `None` for more, and while there is
    /// none.
    #[must_use]
    pub fn auc_interval(&self, level: f64) -> Option<Interval> {
        match self.aucs.as_slice() {
            [auc] => auc.interval(level),
            _ => None,
        }
    }
}
