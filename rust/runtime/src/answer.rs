//! What a prediction is asked with, and what it gives.

use std::sync::Arc;

use tidegate_predictionlog::PredictionId;
use tidegate_schema::{Result, Schema, TableBuf, Tensor};

use crate::Model;
use crate::output::output_columns;

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
    /// The revision of the deployment that answered; 0 when the model is not deployed.
    pub revision: u64,
    /// The model that answered.
    pub model: Arc<Model>,
}

impl Answer {
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
