//! What a plan of traffic wants counted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::quality::{MAX_METRICS, METRIC_NAME_LIMIT};
use crate::sequential::{Mean, Quantile};

/// The quantiles of latency that are followed unless others are named.
pub const QUANTILES: [f64; 1] = [0.99];
/// Most quantiles of latency: each keeps its values.
pub const MAX_QUANTILES: usize = 8;

/// A number that comes through feedback, and the range of its values: what lies outside counts as the
/// nearer end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricRange {
    /// Its name in feedback.
    pub name: String,
    /// The least value.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
}

/// What a plan of traffic wants counted of each version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Observe {
    /// The quantiles of latency, as shares between 0 and 1.
    pub quantiles: Vec<f64>,
    /// The raw column by whose values everything is told apart.
    pub segment: Option<String>,
    /// Named numbers that come through feedback.
    pub metrics: Vec<MetricRange>,
    /// Are input columns counted?
    pub features: bool,
    /// How far apart the predictions of two versions may be and still agree, where they are numbers.
    pub tolerance: f64,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            quantiles: QUANTILES.to_vec(),
            segment: None,
            metrics: Vec::new(),
            features: true,
            tolerance: 0.0,
        }
    }
}

impl Observe {
    /// Can this be counted?
    ///
    /// # Errors
    /// `InvalidInput` that names the first thing that cannot.
    pub fn check(&self) -> Result<()> {
        if self.quantiles.len() > MAX_QUANTILES {
            return Err(Error::invalid(format!(
                "observe.quantiles names {}: use at most {MAX_QUANTILES}",
                self.quantiles.len()
            )));
        }
        for level in &self.quantiles {
            Quantile::new(*level).map_err(|error| error.at("observe.quantiles"))?;
        }
        if self.metrics.len() > MAX_METRICS {
            return Err(Error::invalid(format!(
                "observe.metrics names {}: use at most {MAX_METRICS}",
                self.metrics.len()
            )));
        }
        let mut names = BTreeSet::new();
        for metric in &self.metrics {
            let MetricRange { name, low, high } = metric;
            if name.is_empty() || name.len() > METRIC_NAME_LIMIT {
                return Err(Error::invalid(format!(
                    "observe.metrics has the name {name:?}: use 1 to {METRIC_NAME_LIMIT} bytes"
                )));
            }
            if !names.insert(name) {
                return Err(Error::invalid(format!(
                    "observe.metrics names {name:?} twice: give it one range"
                )));
            }
            Mean::new(*low, *high)
                .map_err(|error| error.at(format_args!("observe.metrics {name:?}")))?;
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(Error::invalid(format!(
                "observe.tolerance is {}: use 0 or a positive number",
                self.tolerance
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Observe {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let asked = read(json!({}));
        assert_eq!(asked, Observe::default());
        assert_eq!((asked.quantiles, asked.features), (vec![0.99], true));
        let unknown = serde_json::from_value::<Observe>(json!({"quantile": [0.9]}));
        assert!(unknown.is_err());
    }

    #[test]
    fn what_cannot_be_counted_is_refused_by_name() {
        let metric = json!({"name": "revenue", "low": 0, "high": 100});
        let sound = json!({"quantiles": [0.5, 0.99], "segment": "origin", "metrics": [metric]});
        assert!(read(sound).check().is_ok());
        for (wrong, word) in [
            (json!({"quantiles": [1.0]}), "quantile"),
            (json!({"quantiles": vec![0.5; 9]}), "at most 8"),
            (json!({"metrics": [metric, metric]}), "twice"),
            (
                json!({"metrics": [{"name": "", "low": 0, "high": 1}]}),
                "name",
            ),
            (
                json!({"metrics": [{"name": "x", "low": 1, "high": 1}]}),
                "range",
            ),
            (json!({"tolerance": -1.0}), "tolerance"),
        ] {
            let message = read(wrong).check().unwrap_err().message;
            assert!(message.contains(word), "{message}");
        }
    }
}
