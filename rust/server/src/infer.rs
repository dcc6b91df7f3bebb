//! `POST /v2/models/{model}/infer`: tensors in, tensors out, as JSON or binary.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, StatusCode};
use tidegate_protocol::infer::{self, InferRequest, InferResponse, RequestedOutput};
use tidegate_protocol::{Limits, Parameter, Parameters};
use tidegate_runtime::{Answer, CallOptions, Input, Model};
use tidegate_schema::{Error, Result};

use crate::call::Call;
use crate::exchange::{Exchange, exchange};
use crate::reply::{BINARY, JSON, Reply, typed};
use crate::service::Service;

/// The length of the JSON part of a body that goes on with tensors.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// Longest time that a request may ask for: beyond it the clock might overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Answers a V2 inference request.
pub async fn answer(service: &Service, call: Call<'_>) -> Result<Reply> {
    exchange::<Infer>(service, call).await
}

struct Infer;

struct Wanted {
    id: Option<String>,
    outputs: Vec<RequestedOutput>,
    binary_default: bool,
}

impl Exchange for Infer {
    type Head = Option<usize>;
    type Wanted = Wanted;

    fn head(call: &Call<'_>) -> Result<Option<usize>> {
        let Some(value) = call.headers.get(&HEADER_LENGTH) else {
            return Ok(None);
        };
        let length = value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse().ok());
        length.map(Some).ok_or_else(|| {
            Error::invalid(format!(
                "Inference-Header-Content-Length is {value:?} where the number of bytes of the JSON part is due"
            ))
        })
    }

    fn read(
        model: &Model,
        header_length: Option<usize>,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(Input, CallOptions, Wanted)> {
        let request = infer::decode(body, header_length, model.inputs(), limits)?;
        infer::check_outputs(&request.outputs, model.outputs())?;
        let options = options(&request)?;
        let wanted = Wanted {
            id: request.id,
            outputs: request.outputs,
            binary_default: request.binary_default,
        };
        Ok((Input::Tensors(request.inputs), options, wanted))
    }

    fn write(name: &str, wanted: &Wanted, answer: &Answer) -> Result<Reply> {
        let parameters = reply_parameters(answer);
        let labels = labels(&wanted.outputs, &answer.model);
        let response = InferResponse {
            model_name: name,
            model_version: answer.model.version(),
            id: wanted.id.as_deref(),
            parameters: &parameters,
            outputs: &answer.outputs,
            labels: &labels,
        };
        let encoded = infer::encode(&response, &wanted.outputs, wanted.binary_default)?;
        Ok(match encoded.header_length {
            None => typed(StatusCode::OK, JSON, encoded.body),
            Some(length) => {
                let mut reply = typed(StatusCode::OK, BINARY, encoded.body);
                reply
                    .headers_mut()
                    .insert(HEADER_LENGTH, HeaderValue::from(length));
                reply
            }
        })
    }
}

/// What every reply says beside its outputs.
pub fn reply_parameters(answer: &Answer) -> Parameters {
    let mut parameters = Parameters::new();
    let id = Parameter::String(answer.prediction_id.text());
    parameters.push("prediction_id", id);
    push_revision(&mut parameters, answer.revision());
    if let Some(experiment) = answer.experiment() {
        let text = |text: &str| Parameter::String(text.to_owned());
        parameters.push("experiment", text(experiment));
        parameters.push("arm", text(answer.model.version()));
    }
    parameters
}

/// Says which revision a request was routed by.
pub fn push_revision(parameters: &mut Parameters, revision: u64) {
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    parameters.push("revision", Parameter::Int(revision));
}

/// The names of a classifier's classes, in the order of its probabilities; none where no output is
/// wanted as its classes.
pub fn labels(wanted: &[RequestedOutput], model: &Model) -> Vec<String> {
    if wanted.iter().all(|output| output.classes == 0) {
        return Vec::new();
    }
    let label = |class: &serde_json::Value| match class {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    model
        .classes()
        .unwrap_or_default()
        .iter()
        .map(label)
        .collect()
}

/// `timeout` is the protocol's deadline, in microseconds; 0 means none. `priority` is 1 for what is
/// served first; 0 is the middle.
pub fn options(request: &InferRequest) -> Result<CallOptions> {
    let mut options = CallOptions::default();
    if let Some(micros) = request.parameters.unsigned("timeout")?
        && micros > 0
    {
        options.deadline =
            Some(Instant::now() + Duration::from_micros(micros).min(LONGEST_TIMEOUT));
    }
    if let Some(priority) = request.parameters.unsigned("priority")? {
        options.priority = u32::try_from(priority).unwrap_or(u32::MAX);
    }
    Ok(options)
}
