//! Confidence sequences for the figures: intervals that may be looked at after any label.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::classification::{predicted, probabilities};
use super::log_loss::CLIP;
use super::{Brier, Classification, Figures, LogLoss, MAX_CLASSES, Task};
use crate::sequential::{Interval, Mean, Proportion, Stream};

/// The chance with which an interval ever misses the truth.
pub const ALPHA: f64 = 0.05;

/// What intervals need beside the figures themselves. Shares of counts (accuracy, precision, recall)
/// need nothing: the confusion matrix tells them; nor does the area under the curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    log_loss: Option<Mean>,
    brier: Option<Mean>,
    absolute: Option<Mean>,
    squared: Option<Mean>,
    /// What states before had for the area under the curve, whose counts say more.
    #[serde(default, skip_serializing, rename = "pairs")]
    _pairs: IgnoredAny,
    #[serde(default, skip_serializing, rename = "single")]
    _single: IgnoredAny,
}

/// `ln(1 / α)` for each end of an interval, which shares its chance with the others of a figure.
fn level(ends: f64) -> f64 {
    (ends / ALPHA).ln()
}

impl Evidence {
    /// No label yet.
    #[must_use]
    pub fn new(task: &Task) -> Self {
        let range = |high: f64| Mean::new(0.0, high).ok();
        let mut none = Self {
            log_loss: None,
            brier: None,
            absolute: None,
            squared: None,
            _pairs: IgnoredAny,
            _single: IgnoredAny,
        };
        match task {
            Task::Classification {
                classes,
                probabilities: true,
            } => {
                none.log_loss = range(-CLIP.ln());
                none.brier = range(if classes.len() == 2 { 1.0 } else { 2.0 });
            }
            Task::Regression { span: Some(span) } => {
                none.absolute = range(*span);
                none.squared = range(span * span);
            }
            Task::Classification { .. } | Task::Regression { span: None } => {}
        }
        none
    }

    /// Takes in a prediction's numbers and its label as [`Task::encode`] gave it.
    pub fn update(&mut self, task: &Task, row: &[f64], actual: f64) {
        match task {
            Task::Classification { classes, .. } => {
                self.classified(classes.len(), row, actual as usize);
            }
            Task::Regression { .. } => {
                let error = row.first().map_or(f64::NAN, |predicted| predicted - actual);
                if let Some(mean) = &mut self.absolute {
                    mean.update(error.abs());
                }
                if let Some(mean) = &mut self.squared {
                    mean.update(error * error);
                }
            }
        }
    }

    fn classified(&mut self, classes: usize, row: &[f64], actual: usize) {
        let mut room = [0.0; MAX_CLASSES];
        let given = probabilities(classes, row, &mut room);
        // The same rows as the figures count.
        let Some(chance) = given.get(actual).filter(|p| !p.is_nan()) else {
            return;
        };
        if predicted(row).is_none() {
            return;
        }
        if let Some(mean) = &mut self.log_loss {
            mean.update(LogLoss::of(*chance));
        }
        if let Some(mean) = &mut self.brier {
            mean.update(Brier::of(given, actual));
        }
    }

    /// Takes in what another of the same task has seen.
    pub fn merge(&mut self, other: &Self) {
        let own = [
            &mut self.log_loss,
            &mut self.brier,
            &mut self.absolute,
            &mut self.squared,
        ];
        let theirs = [
            &other.log_loss,
            &other.brier,
            &other.absolute,
            &other.squared,
        ];
        for (own, more) in own.into_iter().zip(theirs) {
            if let (Some(own), Some(more)) = (own, more) {
                // Of one task both are of one range.
                let _ = own.merge(more);
            }
        }
    }

    /// Errors beyond the span, which count as the span.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.absolute.as_ref().map_or(0, Mean::clipped)
    }

    /// The interval of a figure by its name; `None` where it has none.
    #[must_use]
    pub fn interval(&self, name: &str, figures: &Figures) -> Option<Interval> {
        let of = |mean: &Option<Mean>| {
            let mean = mean.as_ref().filter(|mean| mean.rows() > 0)?;
            Some(mean.interval(level(2.0)))
        };
        match (name, figures) {
            ("log_loss", _) => of(&self.log_loss),
            ("brier", _) => of(&self.brier),
            ("auc", Figures::Classification(found)) => found.auc_interval(level(2.0)),
            ("mae", _) => of(&self.absolute),
            ("rmse", _) => of(&self.squared).map(|found| Interval {
                lower: found.lower.max(0.0).sqrt(),
                upper: found.upper.sqrt(),
            }),
            (name, Figures::Classification(found)) => shares(name, found),
            _ => None,
        }
    }
}

fn shares(name: &str, found: &Classification) -> Option<Interval> {
    let matrix = found.confusion();
    let binary = matrix.classes() == 2;
    let of = |(yes, count): (f64, f64), ends: f64| {
        let mut share = Proportion::new();
        share.update(yes as u64, count as u64);
        (count > 0.0).then(|| share.interval(level(ends)))
    };
    let hits: f64 = (0..matrix.classes()).map(|c| matrix.hits(c)).sum();
    let all: f64 = (0..matrix.classes()).map(|c| matrix.support(c)).sum();
    let precision = (matrix.hits(1), matrix.predicted(1));
    let recall = (matrix.hits(1), matrix.support(1));
    match name {
        "accuracy" => of((hits, all), 2.0),
        "precision" if binary => of(precision, 2.0),
        "recall" if binary => of(recall, 2.0),
        // It rises with both, which share the chance of a miss.
        "f1" if binary => {
            let (precision, recall) = (of(precision, 4.0)?, of(recall, 4.0)?);
            let harmonic = |p: f64, r: f64| {
                if p + r > 0.0 {
                    2.0 * p * r / (p + r)
                } else {
                    0.0
                }
            };
            Some(Interval {
                lower: harmonic(precision.lower, recall.lower),
                upper: harmonic(precision.upper, recall.upper),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Numbers that are the same on every machine.
    struct Draw(u64);

    impl Draw {
        fn unit(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as f64 / (1_u64 << 31) as f64
        }
    }

    /// Of 400 streams that are looked at after every 50th label, how many ever miss the truth? At
    /// most 5 % in expectation; more than 8 % has a chance below 1 in 100.
    #[test]
    fn intervals_hold_at_all_looks_together() {
        let task = Task::Classification {
            classes: json!([0, 1]).as_array().unwrap().clone(),
            probabilities: true,
        };
        // A score is 0.8 or 0.3 and comes true as often as it says; half of each.
        let rate = 0.55;
        let truths = [
            ("accuracy", 0.5 * 0.8 + 0.5 * 0.7),
            ("precision", 0.8),
            ("recall", 0.4 / rate),
            ("f1", 2.0 * 0.4 / (rate + 0.5)),
            ("brier", 0.5 * 0.8 * 0.2 + 0.5 * 0.3 * 0.7),
            (
                "auc",
                (0.4 * 0.35 + 0.5 * (0.4 * 0.1 + 0.15 * 0.35)) / (rate * (1.0 - rate)),
            ),
        ];
        let mut draw = Draw(11);
        let mut misses = [0; 6];
        for _ in 0..400 {
            let (mut figures, mut evidence) = (Figures::new(&task), Evidence::new(&task));
            let mut missed = [false; 6];
            for label in 1..=1_000 {
                let score = if draw.unit() < 0.5 { 0.8 } else { 0.3 };
                let actual = f64::from(u8::from(draw.unit() < score));
                let row = [f64::from(u8::from(score > 0.5)), score];
                figures.update(&row, actual);
                evidence.update(&task, &row, actual);
                if label % 50 == 0 {
                    for (missed, (name, truth)) in missed.iter_mut().zip(truths) {
                        let found = evidence.interval(name, &figures);
                        let outside = |i: Interval| !(i.lower..=i.upper).contains(&truth);
                        *missed |= found.is_some_and(outside);
                    }
                }
            }
            for (misses, missed) in misses.iter_mut().zip(missed) {
                *misses += i32::from(missed);
            }
        }
        assert!(misses.iter().all(|misses| *misses <= 32), "{misses:?}");
    }

    /// Scores that compare well over a year and badly within each hour: rows in their order are no
    /// sample of pairs.
    #[test]
    fn the_interval_of_auc_holds_the_area_where_rows_come_in_runs() {
        let task = Task::Classification {
            classes: json!([0, 1]).as_array().unwrap().clone(),
            probabilities: true,
        };
        let (mut figures, mut evidence) = (Figures::new(&task), Evidence::new(&task));
        let mut draw = Draw(5);
        for row in 0..20_000 {
            let hour = f64::from((row / 100) % 9 + 1) / 10.0;
            let row = [f64::from(u8::from(hour > 0.5)), hour];
            let actual = f64::from(u8::from(draw.unit() < hour));
            figures.update(&row, actual);
            evidence.update(&task, &row, actual);
        }
        let Figures::Classification(found) = &figures else {
            panic!("of another kind");
        };
        let (area, error) = found.auc().unwrap();
        let interval = evidence.interval("auc", &figures).unwrap();
        assert!(area > 0.7 && interval.lower < area && area < interval.upper);
        assert!(interval.upper - interval.lower < 0.04 + 2.0 * error);
    }

    /// States before had a sample of pairs.
    #[test]
    fn states_with_pairs_are_read() {
        let task = Task::Classification {
            classes: json!([0, 1]).as_array().unwrap().clone(),
            probabilities: true,
        };
        let evidence = Evidence::new(&task);
        let mut state = serde_json::to_value(&evidence).unwrap();
        assert!(state.get("pairs").is_none());
        state["pairs"] = json!({"sum": 1.0});
        state["single"] = json!([0.5, true]);
        assert_eq!(serde_json::from_value::<Evidence>(state).unwrap(), evidence);
    }

    #[test]
    fn a_regression_has_intervals_where_its_span_is_known() {
        let task = Task::Regression { span: Some(10.0) };
        let (mut figures, mut evidence) = (Figures::new(&task), Evidence::new(&task));
        for place in 0..1_000 {
            let row = [f64::from(place % 7)];
            figures.update(&row, 3.0);
            evidence.update(&task, &row, 3.0);
        }
        evidence.update(&task, &[50.0], 0.0);
        assert_eq!(evidence.clipped(), 1);
        for (name, truth) in [("mae", 12.0 / 7.0), ("rmse", 2.0)] {
            let found = evidence.interval(name, &figures).unwrap();
            assert!(found.lower < truth && truth < found.upper && found.upper < truth + 1.0);
        }
        let blind = Evidence::new(&Task::Regression { span: None });
        assert_eq!(blind.interval("mae", &figures), None);
        assert_eq!(blind.interval("bias", &figures), None);
    }
}
