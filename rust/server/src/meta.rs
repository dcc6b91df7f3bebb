//! What the server says of itself and of its models.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tidegate_protocol::metadata::{
    EXTENSIONS, IndexEntry, ModelConfig, ModelList, ModelMetadata, PLATFORM, ServerMetadata,
    to_json,
};
use tidegate_protocol::statistics;
use tidegate_runtime::routing::Arm;
use tidegate_runtime::{BatchStatistics, Deployment, Model, Reason, SizeStatistics};
use tidegate_schema::{Error, Result};

use crate::call::Call;
use crate::reply::{Reply, json as json_bytes, value};
use crate::service::Service;

/// What the server is, over either protocol.
pub const SERVER: ServerMetadata<'static> = ServerMetadata {
    name: "tidegate",
    version: env!("CARGO_PKG_VERSION"),
    extensions: &EXTENSIONS,
};

/// `GET /v2`.
pub fn server() -> Reply {
    json_bytes(to_json(&SERVER))
}

/// `GET /v2/models` and `GET /v1/models`: the names.
pub fn models(service: &Service) -> Reply {
    let index = service.shared.runtime.index();
    let names: Vec<&str> = index.iter().map(|deployment| deployment.name()).collect();
    json_bytes(to_json(&ModelList { models: &names }))
}

/// `GET /v2/models/{model}`.
pub fn model(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let (deployment, version) = call.deployment(service)?;
    let versions = versions(arms(&deployment, version)?);
    let model = &deployment.arm(version)?.model;
    let metadata = metadata_of(call.name(), &versions, model);
    Ok(json_bytes(to_json(&metadata)))
}

/// The arms that a request asks about: that of a version, all without one.
pub fn arms<'a>(deployment: &'a Deployment, version: Option<&str>) -> Result<&'a [Arc<Arm>]> {
    match version {
        None => Ok(deployment.arms()),
        Some(_) => deployment.arm(version).map(std::slice::from_ref),
    }
}

/// The versions of arms.
pub fn versions(arms: &[Arc<Arm>]) -> Vec<&str> {
    arms.iter().map(|arm| arm.model.version()).collect()
}

/// What a model takes and gives, under the name that it was asked for by.
pub fn metadata_of<'a>(
    name: &'a str,
    versions: &'a [&'a str],
    model: &'a Model,
) -> ModelMetadata<'a> {
    ModelMetadata {
        name,
        versions,
        platform: PLATFORM,
        inputs: model.inputs(),
        outputs: model.outputs(),
    }
}

/// `GET /v2/models/{model}/config`: what load tools read.
pub fn config(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let model = call.model(service)?;
    Ok(json_bytes(to_json(&config_of(call.name(), &model))))
}

/// The configuration of a model, under the name that it was asked for by.
pub fn config_of<'a>(name: &'a str, model: &'a Model) -> ModelConfig<'a> {
    // Load tools add a dimension for the batch to a model that has one, and to no other.
    let is_batched = model.inputs().iter().all(|i| i.shape.first() == Some(&-1));
    ModelConfig::new(
        name,
        if is_batched {
            model.limits().max_batch_rows
        } else {
            0
        },
        model.inputs(),
        model.outputs(),
    )
}

/// `GET /v1/models/{model}`: the columns of a model, and that it is ready.
pub fn row_model(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let model = call.model(service)?;
    let columns = model.schema().map(|schema| {
        let fields = schema.fields().iter();
        fields
            .map(|field| {
                json!({
                    "name": field.name,
                    "dtype": field.dtype.name(),
                    "nullable": field.nullable,
                })
            })
            .collect::<Vec<Value>>()
    });
    Ok(value(
        StatusCode::OK,
        &json!({
            "name": call.name(),
            "ready": true,
            "version": model.version(),
            "digest": model.digest(),
            "columns": columns,
            "outputs": model.outputs(),
            "classes": model.classes(),
        }),
    ))
}

/// `POST /v2/repository/index`. The body is optional; `{"ready": true}` asks for what is ready,
/// which is all that is deployed.
pub fn index(service: &Service, call: &Call<'_>) -> Result<Reply> {
    if !call.body.is_empty() {
        serde_json::from_slice::<serde_json::Map<String, Value>>(&call.body).map_err(|error| {
            Error::invalid(format!(
                "the body is not a JSON object ({error}): send {{\"ready\": true}} or nothing"
            ))
        })?;
    }
    let index = service.shared.runtime.index();
    let arms = index.iter().flat_map(|deployment| deployment.arms());
    let entries: Vec<IndexEntry<'_>> = arms.map(|arm| entry_of(arm)).collect();
    Ok(json_bytes(to_json(&entries)))
}

/// One version of a deployment in the index.
pub fn entry_of(arm: &Arm) -> IndexEntry<'_> {
    IndexEntry {
        name: &arm.revision.deployment,
        version: arm.model.version(),
        state: "READY",
        reason: "",
    }
}

/// `GET /v2/logging`.
pub fn logging(service: &Service) -> Reply {
    value(StatusCode::OK, &service.shared.log.settings())
}

/// `POST /v2/logging`: changes what the body names and answers all settings.
pub fn change_logging(service: &Service, call: &Call<'_>) -> Result<Reply> {
    if !call.body.is_empty() {
        let wanted = serde_json::from_slice(&call.body).map_err(|error| {
            Error::invalid(format!(
                "the body is not a JSON object ({error}): send {{\"log_verbose_level\": 1}} or another setting"
            ))
        })?;
        service.shared.log.change(&wanted)?;
    }
    Ok(logging(service))
}

/// `GET /v2/models/stats`.
pub fn all_statistics(service: &Service) -> Result<Reply> {
    let index = service.shared.runtime.index();
    let arms = index.iter().flat_map(|deployment| deployment.arms());
    Ok(model_stats(arms))
}

/// `GET /v2/models/{model}/stats`.
pub fn statistics(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let (deployment, version) = call.deployment(service)?;
    Ok(model_stats(arms(&deployment, version)?.iter()))
}

fn model_stats<'a>(arms: impl Iterator<Item = &'a Arc<Arm>>) -> Reply {
    let stats: Vec<Value> = arms
        .map(|arm| serde_json::to_value(statistics_of(arm)).unwrap_or_default())
        .collect();
    value(StatusCode::OK, &json!({ "model_stats": stats }))
}

/// What a version of a deployment has done.
pub fn statistics_of(arm: &Arm) -> statistics::ModelStatistics<'_> {
    let (name, model) = (&arm.revision.deployment, &arm.model);
    let stats = model.statistics();
    let duration = |timing: tidegate_runtime::Timing| statistics::Duration {
        count: timing.count,
        ns: timing.ns,
    };
    statistics::ModelStatistics {
        name,
        version: model.version(),
        last_inference: stats.last_ms,
        inference_count: stats.rows,
        // Runs in a caller's own thread are batches too, of one request each.
        execution_count: stats.model.count,
        inference_stats: statistics::InferenceStatistics {
            success: duration(stats.success),
            fail: duration(stats.fail),
            queue: duration(stats.queue),
            compute_input: duration(stats.features),
            compute_infer: duration(stats.model),
            compute_output: duration(stats.encode),
            ..Default::default()
        },
        batch_stats: batch_stats(&stats.batches),
        batching: batching(&stats.batches),
    }
}

fn batch_stats(batches: &BatchStatistics) -> Vec<statistics::BatchStatistics> {
    let ran = batches.sizes.iter().filter(|size| size.batches > 0);
    ran.map(|size| statistics::BatchStatistics {
        batch_size: size.rows as u64,
        compute_infer: statistics::Duration {
            count: size.batches,
            ns: size.ns,
        },
        ..Default::default()
    })
    .collect()
}

fn batching(batches: &BatchStatistics) -> statistics::Batching {
    let refused = Reason::ALL.iter().zip(batches.refusals);
    let cost = |size: &SizeStatistics| {
        Some(statistics::Cost {
            batch_size: size.rows as u64,
            ns: u64::try_from(size.cost?.as_nanos()).unwrap_or(u64::MAX),
        })
    };
    statistics::Batching {
        instances: batches.instances,
        queued_rows: batches.queued_rows,
        queued_bytes: batches.queued_bytes,
        refused: refused
            .map(|(reason, count)| (reason.name(), count))
            .collect(),
        cost_curve: batches.sizes.iter().filter_map(cost).collect(),
    }
}
