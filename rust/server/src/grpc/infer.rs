//! `ModelInfer`: tensors in, tensors out.

use bytes::Bytes;
use hyper::body::Incoming;
use std::time::Instant;
use tidegate_protocol::grpc::{self, Target};
use tidegate_protocol::infer::{self as protocol, InferResponse, RequestedOutput};
use tidegate_protocol::{Limits, TensorInfo};
use tidegate_runtime::{Answer, CallOptions, Input, Permit, Stage};
use tidegate_schema::{Result, Tensor};

use super::call::Call;
use super::reply::framed;
use crate::asking::{Asking, Named};
use crate::exchange::{HEAVY_BODY, Pending, heavy_routed, took};
use crate::infer;

/// What an answer holds beside its tensors, generously.
const OVERHEAD: usize = 256;

/// What the answer is to look like.
pub struct Wanted {
    /// The name by which the model was asked for.
    pub name: String,
    /// The request's id.
    pub id: Option<String>,
    /// The outputs asked for.
    pub outputs: Vec<RequestedOutput>,
}

/// Answers one request.
pub async fn answer(call: &Call, body: Incoming) -> Result<Bytes> {
    let message = call.messages(body, call.body_bytes()).only().await?;
    let target = grpc::target(&message)?;
    let named = &call.admission.named;
    let mut permit = enter(call, target, message.len(), None, named)?;
    if message.len() > HEAVY_BODY {
        let work = large(call, message, call.begun, unary);
        return heavy_routed(&call.service, permit, named, work).await;
    }
    let limits = &call.service.shared.protocol;
    let begun = call.begun;
    let read = read(&mut permit, &message, limits, call.deadline, begun);
    named.chosen(permit.routed(), permit.is_open());
    let (input, options, wanted) = read?;
    let mut pending = Pending::new(&call.service, permit.model(), input, options, None);
    unary(&wanted, &pending.answer().await?)
}

/// Asks at the door of a request's model, if the caller may ask for it. A message names its model,
/// so it has come by now; it is held until it is answered.
/// `message` tells those of a stream apart; `named` is told which version it is routed to.
pub fn enter(
    call: &Call,
    target: Target<'_>,
    bytes: usize,
    message: Option<u64>,
    named: &Named,
) -> Result<Permit> {
    let caller = call.admit(Some(target.model))?;
    let asking = Asking {
        headers: &call.metadata,
        caller: caller.as_deref(),
        id: &call.id,
        message,
    };
    let runtime = &call.service.shared.runtime;
    let choice = runtime.choose(target.model, target.version, &asking)?;
    named.chosen(choice.routed(), choice.is_open());
    let caller = caller.map(|caller| caller.shared_name());
    let mut permit = Permit::new(choice, bytes)?.asked_by(caller);
    permit.hold_bytes(bytes)?;
    Ok(permit)
}

/// All the work of a large request, for a thread of its own.
pub fn large(
    call: &Call,
    message: Bytes,
    begun: Instant,
    write: fn(&Wanted, &Answer) -> Result<Bytes>,
) -> impl FnOnce(&mut Permit) -> Result<Bytes> + Send + 'static + use<> {
    let limits = call.service.shared.protocol.clone();
    let deadline = call.deadline;
    move |permit| {
        let (input, options, wanted) = read(permit, &message, &limits, deadline, begun)?;
        drop(message);
        write(&wanted, &permit.model().predict(input, &options)?)
    }
}

/// Reads a request that began then and was let in, and chooses its version where its rows do.
pub fn read(
    permit: &mut Permit,
    message: &[u8],
    limits: &Limits,
    deadline: Option<Instant>,
    begun: Instant,
) -> Result<(Input, CallOptions, Wanted)> {
    let admitted = Instant::now();
    let request = grpc::decode(message, limits)?;
    let outputs: &[TensorInfo] = permit.model().outputs();
    protocol::check_outputs(&request.outputs, outputs)?;
    let mut options = infer::options(&request)?;
    // The earlier one of the protocol's `timeout` and the deadline of the call.
    options.deadline = match (options.deadline, deadline) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let name = grpc::target(message)?.model.to_owned();
    let wanted = Wanted {
        name,
        id: request.id,
        outputs: request.outputs,
    };
    let input = permit.settle(Input::Tensors(request.inputs));
    let input = input.inspect_err(|error| permit.model().refused_value(error))?;
    permit.sign(&mut options);
    let model = permit.model();
    model.took(Stage::Admit, admitted.duration_since(begun));
    took(model, Stage::Decode, admitted);
    Ok((input, options, wanted))
}

/// Writes a `ModelInferResponse`.
fn unary(wanted: &Wanted, answer: &Answer) -> Result<Bytes> {
    with_response(wanted, answer, false, |response| {
        framed(room(&answer.outputs), |out| {
            grpc::encode(out, response, &wanted.outputs)
        })
    })
}

/// Lends `write` the response to a request.
pub fn with_response<T>(
    wanted: &Wanted,
    answer: &Answer,
    streamed: bool,
    write: impl FnOnce(&InferResponse<'_>) -> T,
) -> T {
    let answered = Instant::now();
    let mut parameters = infer::reply_parameters(answer);
    let labels = infer::labels(&wanted.outputs, &answer.model);
    if streamed {
        parameters.push(
            super::stream::FINAL,
            tidegate_protocol::Parameter::Bool(true),
        );
    }
    let written = write(&InferResponse {
        model_name: &wanted.name,
        model_version: answer.model.version(),
        id: wanted.id.as_deref(),
        parameters: &parameters,
        outputs: &answer.outputs,
        labels: &labels,
    });
    took(&answer.model, Stage::Encode, answered);
    written
}

/// How many bytes outputs will take, roughly.
pub fn room(outputs: &[Tensor]) -> usize {
    let elements = |tensor: &Tensor| {
        let width = tensor.data.datatype().width().unwrap_or(16);
        tensor.data.len() * width + tensor.name.len() + 64
    };
    OVERHEAD + outputs.iter().map(elements).sum::<usize>()
}
