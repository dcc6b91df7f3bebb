//! What a prediction is asked with, and what it gives.

use std::sync::Arc;

use tidegate_predictionlog::PredictionId;
use tidegate_schema::{Result, Schema, TableBuf, Tensor};

use crate::Model;
use crate::output::output_columns;
use crate::routing::Routed;

/// What a prediction is asked with.
#[derive(Clone, Debug)]
pub enum Input {
    /// Columns in the order of [`Model::schema`]: for a model behind a feature set.
    Table(TableBuf),
    /// Named tensors: the model's own, or one a column for a model behind a feature set.
    Tensors(Vec<Tensor>),
}

/// What a prediction gives.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The model's outputs, in its order. The first dimension is the rows.
    pub outputs: Vec<Tensor>,
    /// Unique across replicas and restarts; row `i` is `<prediction_id>/i`.
    pub prediction_id: PredictionId,
    /// The model that answered.
    pub model: Arc<Model>,
    /// How the request came to it; `None` where it was asked without a deployment.
    pub routed: Option<Routed>,
}

impl Answer {
    /// The revision of the deployment that the request was routed by; 0 where it was by none.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.routed.as_ref().map_or(0, Routed::revision)
    }

    /// The experiment that the request takes part in.
    #[must_use]
    pub fn experiment(&self) -> Option<&str> {
        let experiment = self.routed.as_ref().and_then(Routed::experiment);
        experiment.map(|name| &**name)
    }

    /// How many rows were answered.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.outputs.first().map_or(0, Tensor::rows)
    }

    /// The outputs as typed columns: see [`output_columns`].
    ///
    /// # Errors
    /// As [`output_columns`].
    pub fn columns(&self) -> Result<(Schema, TableBuf)> {
        output_columns(&self.outputs)
    }
}
