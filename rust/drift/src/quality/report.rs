//! What is known of the quality of one version, in the form that is sent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tidegate_sketch::Moments;

use super::tracker::Part;
use super::{Classification, Figures, Quality, Task};
use crate::sequential::Interval;

/// The quality of one version of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QualityReport {
    /// What the model predicts.
    pub task: Task,
    /// Over all predictions.
    pub total: FiguresReport,
    /// By class, where the model has classes.
    pub classes: Vec<ClassReport>,
    /// How often each class happened (rows) and was predicted (columns).
    pub confusion: Vec<Vec<f64>>,
    /// Mean probability and observed rate; empty without probabilities.
    pub calibration: Vec<BinReport>,
    /// By the time of prediction, oldest first.
    pub windows: Vec<WindowQualityReport>,
    /// By the value of the deployment's segment column.
    pub segments: Vec<SegmentReport>,
}

/// The figures of some predictions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FiguresReport {
    /// Predictions, with a label or without.
    pub predictions: u64,
    /// Those whose label is known.
    pub labelled: u64,
    /// By name, from labels: accuracy, precision, recall, f1, log_loss, brier, auc,
    /// calibration_error; or mae, rmse, bias. Null where it is not defined yet.
    pub measures: BTreeMap<&'static str, MeasureReport>,
    /// By name, **estimated** from the probabilities of all predictions, without their labels.
    pub estimates: BTreeMap<&'static str, Option<f64>>,
    /// Labels that have corrected the probabilities of the estimates.
    pub estimated_with_labels: u64,
    /// The numbers that feedback has named.
    pub metrics: BTreeMap<String, MetricReport>,
}

/// One figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MeasureReport {
    /// The figure; null where it is not defined yet.
    pub value: Option<f64>,
    /// How far it may be from the one of the raw rows, where it is not exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// The values that labels do not exclude, at any time with a chance of 5 % to be wrong; null
    /// where there is no such interval.
    pub interval: Option<Interval>,
    /// Errors beyond the baseline's span, which the interval counts as the span.
    #[serde(skip_serializing_if = "is_zero")]
    pub clipped: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One class of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// The class.
    pub class: Value,
    /// Labels of it.
    pub support: f64,
    /// Of those predicted so the share that were.
    pub precision: Option<f64>,
    /// Of those that were the share predicted so.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
}

/// One bin of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BinReport {
    /// Labels in it.
    pub rows: f64,
    /// The mean probability.
    pub probability: Option<f64>,
    /// How often it came true.
    pub rate: Option<f64>,
}

/// A number that feedback has named.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MetricReport {
    /// Predictions that have it.
    pub count: u64,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation (`ddof` 1).
    pub std: Option<f64>,
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
}

/// The predictions of one span of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowQualityReport {
    /// Seconds since 1970.
    pub start: f64,
    /// Seconds since 1970.
    pub end: f64,
    /// What is known of them.
    #[serde(flatten)]
    pub figures: FiguresReport,
}

/// The predictions of one segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentReport {
    /// The value of the segment column.
    pub segment: String,
    /// What is known of them.
    #[serde(flatten)]
    pub figures: FiguresReport,
}

/// The figures by name; what is exact has no error.
fn measures(figures: &Figures) -> Vec<(&'static str, Option<f64>, Option<f64>)> {
    let plain = |name, value| (name, value, None);
    match figures {
        Figures::Classification(found) => {
            let auc = found.auc();
            let mut all = vec![
                plain("accuracy", found.confusion().accuracy()),
                plain("precision", found.precision()),
                plain("recall", found.recall()),
                plain("f1", found.f1()),
            ];
            // A classifier without probabilities has no such figures, not even undefined ones.
            if found.log_loss().is_some() || found.rows() == 0.0 {
                all.extend([
                    plain("log_loss", found.log_loss()),
                    plain("brier", found.brier()),
                    ("auc", auc.map(|auc| auc.0), auc.map(|auc| auc.1)),
                    plain("calibration_error", found.calibration().error()),
                ]);
            }
            all
        }
        Figures::Regression(found) => vec![
            plain("mae", found.mae()),
            plain("rmse", found.rmse()),
            plain("bias", found.bias()),
        ],
    }
}

fn metric(moments: &Moments) -> MetricReport {
    MetricReport {
        count: moments.count(),
        mean: moments.mean(),
        std: moments.std(1),
        min: moments.min(),
        max: moments.max(),
    }
}

impl Quality {
    /// What is known.
    #[must_use]
    pub fn report(&self) -> QualityReport {
        let total = self.total();
        let (classes, confusion, calibration) = match &total.labelled {
            Figures::Classification(found) => self.details(found),
            Figures::Regression(_) => Default::default(),
        };
        QualityReport {
            task: self.task().clone(),
            total: self.figures(total, true),
            classes,
            confusion,
            calibration,
            windows: self
                .windows()
                .map(|(start, end, part)| WindowQualityReport {
                    start,
                    end,
                    figures: self.figures(part, true),
                })
                .collect(),
            segments: self
                .segments()
                .map(|(segment, part)| SegmentReport {
                    segment: segment.to_owned(),
                    figures: self.figures(part, true),
                })
                .collect(),
        }
    }

    /// What is known of all predictions, without intervals.
    #[must_use]
    pub fn summary(&self) -> FiguresReport {
        self.figures(self.total(), false)
    }

    fn figures(&self, part: &Part, intervals: bool) -> FiguresReport {
        let calibrated = self.total().labelled.calibration();
        let measure = |(name, value, error): (&'static str, Option<f64>, _)| {
            let evidence = Some(&part.evidence).filter(|_| intervals && value.is_some());
            let interval = evidence.and_then(|found| found.interval(name, &part.labelled));
            let report = MeasureReport {
                value,
                error,
                interval,
                clipped: interval.map_or(0, |_| part.evidence.clipped()),
            };
            (name, report)
        };
        let expected = match &part.expected {
            Figures::Classification(found) if found.rows() > 0.0 => measures(&part.expected),
            _ => Vec::new(),
        };
        let estimates = expected
            .into_iter()
            .filter(|(name, ..)| *name != "calibration_error")
            .map(|(name, value, _)| (name, value));
        FiguresReport {
            predictions: part.predictions,
            labelled: part.labelled.rows() as u64,
            measures: measures(&part.labelled).into_iter().map(measure).collect(),
            estimates: estimates.collect(),
            estimated_with_labels: calibrated.map_or(0, |found| found.rows() as u64),
            metrics: self
                .metrics()
                .iter()
                .zip(&part.metrics)
                .map(|(name, moments)| (name.clone(), metric(moments)))
                .collect(),
        }
    }

    fn details(&self, found: &Classification) -> (Vec<ClassReport>, Vec<Vec<f64>>, Vec<BinReport>) {
        let confusion = found.confusion();
        let classes = self.task().classes().iter().enumerate();
        let classes = classes.map(|(place, class)| ClassReport {
            class: class.clone(),
            support: confusion.support(place),
            precision: confusion.precision(place),
            recall: confusion.recall(place),
            f1: confusion.f1(place),
        });
        let bins = found.calibration().bins();
        let bins = bins.iter().map(|bin| BinReport {
            rows: bin.rows,
            probability: bin.mean(),
            rate: bin.rate(),
        });
        let calibration = if found.calibration().rows() > 0.0 {
            bins.collect()
        } else {
            Vec::new()
        };
        let matrix = confusion.rows().map(<[f64]>::to_vec);
        (classes.collect(), matrix.collect(), calibration)
    }
}
