//! What the server says of itself and of its models, as messages.

use super::messages::model_config::SchedulingChoice;
use super::messages::model_metadata_response::TensorMetadata;
use super::messages::repository_index_response::ModelIndex;
use super::messages::{
    DataType, InferBatchStatistics, InferStatistics, ModelConfig, ModelDynamicBatching, ModelInput,
    ModelMetadataResponse, ModelOutput, ModelResponseCache, ModelStatistics,
    ModelTransactionPolicy, ServerMetadataResponse, StatisticDuration,
};
use crate::metadata::{self, ConfigTensor, TensorInfo};
use crate::statistics;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl From<&metadata::ServerMetadata<'_>> for ServerMetadataResponse {
    fn from(server: &metadata::ServerMetadata<'_>) -> Self {
        Self {
            name: server.name.to_owned(),
            version: server.version.to_owned(),
            extensions: texts(server.extensions),
        }
    }
}

impl From<&TensorInfo> for TensorMetadata {
    fn from(info: &TensorInfo) -> Self {
        Self {
            name: info.name.clone(),
            datatype: info.datatype.name().to_owned(),
            shape: info.shape.clone(),
        }
    }
}

impl From<&metadata::ModelMetadata<'_>> for ModelMetadataResponse {
    fn from(model: &metadata::ModelMetadata<'_>) -> Self {
        Self {
            name: model.name.to_owned(),
            versions: texts(model.versions),
            platform: model.platform.to_owned(),
            inputs: model.inputs.iter().map(TensorMetadata::from).collect(),
            outputs: model.outputs.iter().map(TensorMetadata::from).collect(),
        }
    }
}

impl From<&metadata::IndexEntry<'_>> for ModelIndex {
    fn from(entry: &metadata::IndexEntry<'_>) -> Self {
        Self {
            name: entry.name.to_owned(),
            version: entry.version.to_owned(),
            state: entry.state.to_owned(),
            reason: entry.reason.to_owned(),
        }
    }
}

fn datatype(tensor: &ConfigTensor<'_>) -> i32 {
    DataType::from_str_name(&tensor.data_type)
        .unwrap_or(DataType::TypeInvalid)
        .into()
}

impl From<&metadata::ModelConfig<'_>> for ModelConfig {
    fn from(config: &metadata::ModelConfig<'_>) -> Self {
        let batching = config.dynamic_batching.as_ref().map(|batching| {
            SchedulingChoice::DynamicBatching(ModelDynamicBatching {
                max_queue_delay_microseconds: batching.max_queue_delay_microseconds,
            })
        });
        let input = config.input.iter().map(|tensor| ModelInput {
            name: tensor.name.to_owned(),
            data_type: datatype(tensor),
            dims: tensor.dims.to_vec(),
        });
        let output = config.output.iter().map(|tensor| ModelOutput {
            name: tensor.name.to_owned(),
            data_type: datatype(tensor),
            dims: tensor.dims.to_vec(),
        });
        Self {
            name: config.name.to_owned(),
            platform: config.platform.to_owned(),
            backend: config.backend.to_owned(),
            max_batch_size: i32::try_from(config.max_batch_size).unwrap_or(i32::MAX),
            input: input.collect(),
            output: output.collect(),
            scheduling_choice: batching,
            model_transaction_policy: Some(ModelTransactionPolicy {
                decoupled: config.model_transaction_policy.decoupled,
            }),
            response_cache: Some(ModelResponseCache {
                enable: config.response_cache.enable,
            }),
        }
    }
}

/// Every duration is there, also one of nothing.
#[allow(clippy::unnecessary_wraps)]
fn duration(duration: statistics::Duration) -> Option<StatisticDuration> {
    Some(StatisticDuration {
        count: duration.count,
        ns: duration.ns,
    })
}

impl From<&statistics::ModelStatistics<'_>> for ModelStatistics {
    fn from(model: &statistics::ModelStatistics<'_>) -> Self {
        let stats = &model.inference_stats;
        let batches = model.batch_stats.iter().map(|batch| InferBatchStatistics {
            batch_size: batch.batch_size,
            compute_input: duration(batch.compute_input),
            compute_infer: duration(batch.compute_infer),
            compute_output: duration(batch.compute_output),
        });
        Self {
            name: model.name.to_owned(),
            version: model.version.to_owned(),
            last_inference: model.last_inference,
            inference_count: model.inference_count,
            execution_count: model.execution_count,
            inference_stats: Some(InferStatistics {
                success: duration(stats.success),
                fail: duration(stats.fail),
                queue: duration(stats.queue),
                compute_input: duration(stats.compute_input),
                compute_infer: duration(stats.compute_infer),
                compute_output: duration(stats.compute_output),
                cache_hit: duration(stats.cache_hit),
                cache_miss: duration(stats.cache_miss),
            }),
            batch_stats: batches.collect(),
        }
    }
}
