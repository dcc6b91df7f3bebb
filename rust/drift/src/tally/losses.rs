//! What late labels say of predictions, as figures that are tested at any time.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_schema::{Error, Result};

use crate::quality::classification::{predicted, probabilities};
use crate::quality::log_loss::CLIP;
use crate::quality::{Brier, LogLoss, MAX_CLASSES, Task};
use crate::sequential::document::{read_value, value};
use crate::sequential::{Mean, Proportion};

/// Losses of predictions whose label is known. Which ones there are depends on the task; of a
/// classifier a row counts in all or in none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    /// Wrong labels of a classifier.
    pub error: Option<Proportion>,
    /// Brier scores: 0 to 1 of two classes, 0 to 2 of more.
    pub brier: Option<Mean>,
    /// Log losses over the greatest there is, so that they lie in 0 to 1.
    pub log_loss: Option<Mean>,
    /// Squared errors of a regression whose span is known; beyond they count as the span squared.
    pub squared_error: Option<Mean>,
}

impl Losses {
    /// No label yet; nothing at all for an unknown task.
    #[must_use]
    pub fn new(task: Option<&Task>) -> Self {
        let range = |high: f64| Mean::new(0.0, high).ok();
        match task {
            Some(Task::Classification {
                classes,
                probabilities,
            }) => Self {
                error: Some(Proportion::new()),
                brier: range(if classes.len() == 2 { 1.0 } else { 2.0 }).filter(|_| *probabilities),
                log_loss: range(1.0).filter(|_| *probabilities),
                squared_error: None,
            },
            Some(Task::Regression { span: Some(span) }) => Self {
                squared_error: range(span * span),
                ..Self::default()
            },
            Some(Task::Regression { span: None }) | None => Self::default(),
        }
    }

    /// Takes in a prediction's numbers and its label as [`Task::encode`] gave it.
    pub fn update(&mut self, task: &Task, row: &[f64], actual: f64) {
        match task {
            Task::Classification {
                classes,
                probabilities: given,
            } => {
                let Some(label) = predicted(row).filter(|_| actual >= 0.0) else {
                    return;
                };
                let actual = actual as usize;
                let mut room = [0.0; MAX_CLASSES];
                let chances = probabilities(classes.len(), row, &mut room);
                if *given {
                    if chances.is_empty() || chances.iter().any(|p| p.is_nan()) {
                        return;
                    }
                    let Some(chance) = chances.get(actual) else {
                        return;
                    };
                    if let Some(mean) = &mut self.brier {
                        mean.update(Brier::of(chances, actual));
                    }
                    if let Some(mean) = &mut self.log_loss {
                        mean.update(LogLoss::of(*chance) / -CLIP.ln());
                    }
                }
                if let Some(share) = &mut self.error {
                    share.update(u64::from(label != actual), 1);
                }
            }
            Task::Regression { .. } => {
                if let (Some(mean), Some(guess)) = (&mut self.squared_error, row.first()) {
                    mean.update((guess - actual) * (guess - actual));
                }
            }
        }
    }

    /// Takes in the losses of other rows.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        match (&mut self.error, &other.error) {
            (Some(own), Some(more)) => own.merge(more),
            (own @ None, more) => *own = *more,
            (Some(_), None) => {}
        }
        merge_mean(&mut self.brier, other.brier.as_ref())?;
        merge_mean(&mut self.log_loss, other.log_loss.as_ref())?;
        merge_mean(&mut self.squared_error, other.squared_error.as_ref())
    }

    pub(super) fn write(&self) -> BTreeMap<String, Value> {
        let means = [
            ("brier", &self.brier),
            ("log_loss", &self.log_loss),
            ("squared_error", &self.squared_error),
        ];
        let means = means
            .into_iter()
            .filter_map(|(name, mean)| Some((name.to_owned(), value(mean.as_ref()?))));
        let error = self
            .error
            .as_ref()
            .map(|error| ("error".to_owned(), value(error)));
        means.chain(error).collect()
    }

    pub(super) fn read(from: BTreeMap<String, Value>) -> Result<Self> {
        let mut losses = Self::default();
        for (name, value) in from {
            match name.as_str() {
                "error" => losses.error = Some(read_value(value)?),
                "brier" => losses.brier = Some(read_value(value)?),
                "log_loss" => losses.log_loss = Some(read_value(value)?),
                "squared_error" => losses.squared_error = Some(read_value(value)?),
                _ => {
                    return Err(Error::state(format!(
                        "a sample with the loss {name:?}: it was edited, or written by a later tidegate"
                    )));
                }
            }
        }
        Ok(losses)
    }
}

/// Adds a mean to another, which may not have begun.
pub(super) fn merge_mean(own: &mut Option<Mean>, more: Option<&Mean>) -> Result<()> {
    match (own, more) {
        (Some(own), Some(more)) => own.merge(more),
        (own @ None, Some(more)) => {
            *own = Some(more.clone());
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sequential::Stream;

    fn classes(count: usize) -> Task {
        Task::Classification {
            classes: (0..count).map(|class| json!(class)).collect(),
            probabilities: true,
        }
    }

    #[test]
    fn losses_are_those_of_the_definition() {
        let task = classes(2);
        let mut losses = Losses::new(Some(&task));
        // Right with 0.75, wrong with 0.9.
        losses.update(&task, &[1.0, 0.75], 1.0);
        losses.update(&task, &[1.0, 0.9], 0.0);
        let of = |mean: &Option<Mean>| mean.as_ref().unwrap().estimate().unwrap();
        assert_eq!(losses.error.unwrap().estimate(), Some(0.5));
        assert!((of(&losses.brier) - (0.0625 + 0.81) / 2.0).abs() < 1e-12);
        let loss = -(0.75f64.ln() + 0.1f64.ln()) / 2.0;
        assert!((of(&losses.log_loss) - loss / 36.043_653_389).abs() < 1e-9);
        assert_eq!(losses.squared_error, None);

        let number = Task::Regression { span: Some(10.0) };
        let mut losses = Losses::new(Some(&number));
        losses.update(&number, &[4.0], 1.0);
        losses.update(&number, &[f64::NAN], 1.0);
        assert_eq!(of(&losses.squared_error), 9.0);
        assert_eq!(losses.squared_error.unwrap().rows(), 1);
        assert_eq!(
            Losses::new(Some(&Task::Regression { span: None })),
            Losses::default()
        );
    }

    #[test]
    fn a_row_that_cannot_be_told_counts_nowhere() {
        let task = classes(3);
        let mut losses = Losses::new(Some(&task));
        for row in [
            &[f64::NAN, 0.2, 0.3, 0.5][..],
            &[2.0, 0.2, f64::NAN, 0.5],
            &[2.0],
            &[],
        ] {
            losses.update(&task, row, 2.0);
        }
        losses.update(&task, &[2.0, 0.2, 0.3, 0.5], f64::NAN);
        assert_eq!(losses, Losses::new(Some(&task)));
    }
}
