//! One request for inference from bytes to bytes, whichever of the two forms it has.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};
use tidegate_protocol::Limits;
use tidegate_runtime::{Answer, CallOptions, Input, Model, Permit, Stage};
use tidegate_schema::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::body::Coding;
use crate::reply::Reply;
use crate::service::{Call, Service};

/// Bodies above this are decoded, run and encoded on a thread of their own: at about 1 ns a byte
/// and more they would hold up everybody else on the event loop.
const HEAVY_BODY: usize = 256 * 1024;
/// Answers above this are compressed on a thread of their own.
const HEAVY_REPLY: usize = 64 * 1024;

/// One form of inference: tensors, or rows.
pub trait Exchange {
    /// What the head of the request says.
    type Head: Send + 'static;
    /// What the answer is to look like.
    type Wanted: Send + 'static;

    /// Reads the head.
    fn head(call: &Call<'_>) -> Result<Self::Head>;

    /// Reads the body.
    fn read(
        model: &Model,
        head: Self::Head,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(Input, CallOptions, Self::Wanted)>;

    /// Writes the answer under the name that the model was asked for by.
    fn write(name: &str, wanted: &Self::Wanted, answer: &Answer) -> Result<Reply>;
}

/// Answers a request for inference.
pub async fn exchange<E: Exchange>(service: &Service, call: Call<'_>) -> Result<Reply> {
    let head = E::head(&call)?;
    let name = call.name().to_owned();
    // Held until the answer is written.
    let permit = match call.permit {
        Some(permit) => permit,
        None => return Err(Error::internal("a request was not asked at the door")),
    };
    let reply = if call.body.len() > HEAVY_BODY {
        heavy::<E>(service, permit, head, name, call.begun, call.body).await?
    } else {
        let model = permit.model();
        let limits = &service.shared.protocol;
        let admitted = took(model, Stage::Admit, call.begun);
        let (input, options, wanted) = E::read(model, head, &call.body, limits)?;
        took(model, Stage::Decode, admitted);
        let answer = run(service, model, input, options).await?;
        let answered = Instant::now();
        let reply = E::write(&name, &wanted, &answer)?;
        took(model, Stage::Encode, answered);
        reply
    };
    compressed(reply, call.headers).await
}

/// Counts what a stage took that began then; it ended now.
pub fn took(model: &Model, stage: Stage, begun: Instant) -> Instant {
    let now = Instant::now();
    model.took(stage, now.duration_since(begun));
    now
}

/// Queues the work, says so to the turn, and waits for the answer. When the client goes, this
/// future is dropped, the ticket with it, and the work is never run.
pub async fn run(
    service: &Service,
    model: &Arc<Model>,
    input: Input,
    options: CallOptions,
) -> Result<Answer> {
    let (sender, receiver) = oneshot::channel();
    let ticket = model.submit(input, &options, move |outcome| {
        // Nobody receives when the client has gone.
        let _ = sender.send(outcome);
    });
    service.turn.queued(model);
    let outcome = receiver
        .await
        .unwrap_or_else(|_| Err(Error::internal("the model dropped a request unanswered")));
    ticket.detach();
    outcome
}

async fn heavy<E: Exchange>(
    service: &Service,
    permit: Permit,
    head: E::Head,
    name: String,
    begun: Instant,
    body: Bytes,
) -> Result<Reply> {
    let place = Arc::clone(&service.shared.heavy)
        .try_acquire_owned()
        .map_err(|_| {
            Error::new(
                ErrorKind::Overloaded,
                "too many large requests are under way: try again later, or send fewer rows at once",
            )
        })?;
    let limits = service.shared.protocol.clone();
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        let model = Arc::clone(permit.model());
        let admitted = took(&model, Stage::Admit, begun);
        let (input, options, wanted) = E::read(&model, head, &body, &limits)?;
        drop(body);
        took(&model, Stage::Decode, admitted);
        let answer = model.predict(input, &options)?;
        let answered = Instant::now();
        let reply = E::write(&name, &wanted, &answer)?;
        took(&model, Stage::Encode, answered);
        Ok(reply)
    });
    done.await
        .unwrap_or_else(|error| Err(Error::internal(format!("a large request failed: {error}"))))
}

/// The answer in a coding that the client accepts, where that is worth it.
async fn compressed(reply: Reply, headers: &HeaderMap) -> Result<Reply> {
    let Some(coding) = Coding::accepted(headers, reply.body().len()) else {
        return Ok(reply);
    };
    let (mut parts, body) = reply.into_parts();
    let packed = if body.len() > HEAVY_REPLY {
        tokio::task::spawn_blocking(move || coding.compress(&body))
            .await
            .map_err(|error| Error::internal(format!("compressing failed: {error}")))?
    } else {
        coding.compress(&body)
    };
    let packed = packed.map_err(|error| Error::internal(format!("compressing failed: {error}")))?;
    let name = HeaderValue::from_static(coding.name());
    parts.headers.insert(CONTENT_ENCODING, name);
    Ok(Reply::from_parts(parts, packed.into()))
}
