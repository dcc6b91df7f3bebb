//! What is counted of some requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_schema::{Error, Result};

use super::losses::merge_mean;
use super::{Losses, Observe};
use crate::quality::Task;
use crate::sequential::document::{read_value, value};
use crate::sequential::{Mean, Quantile};

/// Latencies of a segment that are kept exactly, and values a level beyond: fewer than of all.
const SEGMENT_EXACT: usize = 8_192;
const SEGMENT_LEVEL: usize = 2_048;

/// What some requests were answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Counts in the cells of the baseline, in its order.
    pub cells: Vec<u64>,
    /// The mean of probabilities.
    pub mean: Option<Mean>,
}

/// What is counted of some requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Requests that were answered, or failed by fault of the model.
    pub requests: u64,
    /// Those that failed by fault of the model.
    pub errors: u64,
    /// Requests that were refused: wrong input, overload, a deadline. They are no part of `requests`.
    pub refused: u64,
    /// Seconds from call to answer, by the level of the quantile.
    pub latency: BTreeMap<String, Quantile>,
    /// Predictions, row by row.
    pub prediction: Option<Predicted>,
    /// Labels that came.
    pub quality: Losses,
    /// Named numbers that came.
    pub metrics: BTreeMap<String, Mean>,
}

impl Part {
    /// Nothing yet. `cells` are those of the prediction, and whether it is a probability.
    pub(super) fn new(
        asked: &Observe,
        cells: Option<(usize, bool)>,
        task: Option<&Task>,
        segment: bool,
    ) -> Result<Self> {
        let quantile = |level: &f64| {
            let fresh = if segment {
                Quantile::with_limits(*level, SEGMENT_EXACT, SEGMENT_LEVEL)
            } else {
                Quantile::new(*level)
            };
            Ok((level.to_string(), fresh?))
        };
        let prediction = cells.map(|(cells, probability)| Predicted {
            cells: vec![0; cells],
            mean: Mean::new(0.0, 1.0).ok().filter(|_| probability),
        });
        let metric = |metric: &super::MetricRange| {
            Ok((metric.name.clone(), Mean::new(metric.low, metric.high)?))
        };
        Ok(Self {
            latency: asked
                .quantiles
                .iter()
                .map(quantile)
                .collect::<Result<_>>()?,
            prediction,
            quality: Losses::new(task),
            metrics: asked.metrics.iter().map(metric).collect::<Result<_>>()?,
            ..Self::default()
        })
    }

    /// A request was answered within so many seconds.
    pub(super) fn request(&mut self, latency: f64) {
        self.requests += 1;
        // Finer digits are noise, and whole microseconds are short when they are written down.
        let latency = (latency * 1e6).round() / 1e6;
        for quantile in self.latency.values_mut() {
            quantile.update(latency);
        }
    }

    /// Takes in what was counted of other requests.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        self.requests += other.requests;
        self.errors += other.errors;
        self.refused += other.refused;
        for (level, more) in &other.latency {
            match self.latency.get_mut(level) {
                Some(own) => own.merge(more)?,
                None => {
                    self.latency.insert(level.clone(), more.clone());
                }
            }
        }
        match (&mut self.prediction, &other.prediction) {
            (Some(own), Some(more)) => {
                add(&mut own.cells, &more.cells)?;
                merge_mean(&mut own.mean, more.mean.as_ref())?;
            }
            (own @ None, more) => own.clone_from(more),
            (Some(_), None) => {}
        }
        self.quality.merge(&other.quality)?;
        for (name, more) in &other.metrics {
            match self.metrics.get_mut(name) {
                Some(own) => own.merge(more)?,
                None => {
                    self.metrics.insert(name.clone(), more.clone());
                }
            }
        }
        Ok(())
    }
}

/// Adds counts of the same cells.
pub(super) fn add(own: &mut [u64], more: &[u64]) -> Result<()> {
    if own.len() != more.len() {
        return Err(Error::invalid(format!(
            "counts in {} cells and in {} cannot be merged: they are over different baselines",
            own.len(),
            more.len()
        )));
    }
    own.iter_mut()
        .zip(more)
        .for_each(|(own, more)| *own += more);
    Ok(())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrediction {
    cells: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean: Option<Value>,
}

/// A part as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    errors: u64,
    /// Of all requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<BTreeMap<String, Vec<u64>>>,
    latency: BTreeMap<String, Value>,
    metrics: BTreeMap<String, Value>,
    prediction: Option<WrittenPrediction>,
    quality: BTreeMap<String, Value>,
    refused: u64,
    requests: u64,
    /// Of all requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<BTreeMap<String, Written>>,
}

impl From<&Part> for Written {
    fn from(part: &Part) -> Self {
        Self {
            errors: part.errors,
            features: None,
            latency: part
                .latency
                .iter()
                .map(|(level, quantile)| (level.clone(), value(quantile)))
                .collect(),
            metrics: part
                .metrics
                .iter()
                .map(|(name, mean)| (name.clone(), value(mean)))
                .collect(),
            prediction: part.prediction.as_ref().map(|found| WrittenPrediction {
                cells: found.cells.clone(),
                mean: found.mean.as_ref().map(value),
            }),
            quality: part.quality.write(),
            refused: part.refused,
            requests: part.requests,
            segments: None,
        }
    }
}

impl TryFrom<Written> for Part {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        if written.errors > written.requests {
            return Err(Error::state(
                "a sample of more errors than requests: it was damaged or edited",
            ));
        }
        let prediction = written.prediction.map(|found| {
            let mean = found.mean.map(read_value).transpose()?;
            Ok::<_, Error>(Predicted {
                cells: found.cells,
                mean,
            })
        });
        Ok(Self {
            requests: written.requests,
            errors: written.errors,
            refused: written.refused,
            latency: written
                .latency
                .into_iter()
                .map(|(level, found)| Ok((level, read_value(found)?)))
                .collect::<Result<_>>()?,
            prediction: prediction.transpose()?,
            quality: Losses::read(written.quality)?,
            metrics: written
                .metrics
                .into_iter()
                .map(|(name, found)| Ok((name, read_value(found)?)))
                .collect::<Result<_>>()?,
        })
    }
}
