//! `RepositoryModelLoad` and `RepositoryModelUnload`: the control plane does both, since bundles
//! are fetched and resolved there. It is asked what HTTP clients ask it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tidegate_protocol::grpc::messages::model_repository_parameter::ParameterChoice;
use tidegate_protocol::grpc::messages::{
    ModelRepositoryParameter, RepositoryModelLoadRequest, RepositoryModelLoadResponse,
    RepositoryModelUnloadRequest, RepositoryModelUnloadResponse,
};
use tidegate_protocol::grpc::{Code, code_of_http};
use tidegate_schema::{Error, ErrorKind};

use super::call::Call;
use super::reply;
use super::status::Status;
use crate::access::of_control;

/// A name may hold slashes, which are left alone as clients do.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Deploys a model.
pub async fn load(call: &Call, body: Incoming) -> Result<Bytes, Status> {
    let request: RepositoryModelLoadRequest = call.read(body).await?;
    ask(call, &request.model_name, "load", request.parameters).await?;
    Ok(reply::message(&RepositoryModelLoadResponse {})?)
}

/// Stops serving a model.
pub async fn unload(call: &Call, body: Incoming) -> Result<Bytes, Status> {
    let request: RepositoryModelUnloadRequest = call.read(body).await?;
    ask(call, &request.model_name, "unload", request.parameters).await?;
    Ok(reply::message(&RepositoryModelUnloadResponse {})?)
}

async fn ask(
    call: &Call,
    model: &str,
    action: &str,
    parameters: BTreeMap<String, ModelRepositoryParameter>,
) -> Result<(), Status> {
    let name = utf8_percent_encode(model, NAME);
    let path = format!("/v2/repository/models/{name}/{action}");
    // What is passed on is admitted as what is passed on over HTTP.
    let caller = call.admit_as(&of_control(&Method::POST, &path, None))?;
    if model.is_empty() {
        let message = format!("{action} names no model: send model_name");
        return Err(Error::invalid(message).into());
    }
    let Some(proxy) = &call.service.shared.proxy else {
        let message = format!("{action} is not offered: this server has no control plane");
        return Err(Error::new(ErrorKind::Unsupported, message).into());
    };
    let parameters: Map<String, Value> = parameters
        .into_iter()
        .map(|(name, value)| (name, of_parameter(value)))
        .collect();
    let body = json!({ "parameters": parameters }).to_string();
    let answer = proxy
        .ask(&path, body.into(), call.peer.address, caller.as_deref())
        .await;
    let status = answer.status().as_u16();
    let code = code_of_http(status);
    if code == Code::Ok {
        return Ok(());
    }
    let said = serde_json::from_slice::<Value>(answer.body()).ok();
    let said = said.as_ref().and_then(|said| said.get("error")?.as_str());
    let message = said.map_or_else(
        || format!("the control plane answered {status}: see its log"),
        str::to_owned,
    );
    let kind = ErrorKind::Internal;
    let error = Error::new(kind, message);
    Err(Status { code, error })
}

/// As the control plane knows it from HTTP. Files are base64 there; none is taken, and the refusal
/// needs no contents.
fn of_parameter(parameter: ModelRepositoryParameter) -> Value {
    match parameter.parameter_choice {
        None => Value::Null,
        Some(ParameterChoice::BoolParam(value)) => value.into(),
        Some(ParameterChoice::Int64Param(value)) => value.into(),
        Some(ParameterChoice::StringParam(value)) => value.into(),
        Some(ParameterChoice::BytesParam(value)) => format!("{} bytes", value.len()).into(),
    }
}
