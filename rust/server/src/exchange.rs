//! One request for inference from bytes to bytes, whichever of the two forms it has.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};
use memchr::memmem;
use tidegate_protocol::Limits;
use tidegate_runtime::{Answer, CallOptions, Input, Model, Permit, Stage, Ticket};
use tidegate_schema::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::asking::Named;
use crate::body::Coding;
use crate::call::Call;
use crate::reply::Reply;
use crate::service::Service;

/// Bodies above this are decoded, run and encoded on a thread of their own: at about 1 ns a byte
/// and more they would hold up everybody else on the event loop.
pub const HEAVY_BODY: usize = 256 * 1024;
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
    let mut permit = match call.permit {
        Some(permit) => permit,
        None => return Err(Error::internal("a request was not asked at the door")),
    };
    let open = permit.is_open();
    // While a column is to decide, nobody knows whose queue it would be.
    let asked = permit.model().limits().is_timed() && !open;
    if asked && !may_have_terms(&call.body) {
        let waited = service.turn.waited(call.came.readable);
        permit.model().ask(waited)?;
    }
    let reply = if call.body.len() > HEAVY_BODY {
        let (limits, body) = (service.shared.protocol.clone(), call.body);
        let begun = call.came.begun;
        let work = move |permit: &mut Permit| {
            let admitted = Instant::now();
            let (input, mut options, wanted) = read::<E>(permit, head, &body, &limits)?;
            drop(body);
            let model = permit.model();
            model.took(Stage::Admit, admitted.duration_since(begun));
            took(model, Stage::Decode, admitted);
            permit.sign(&mut options);
            written::<E>(&name, &wanted, &model.predict(input, &options)?)
        };
        heavy_routed(service, permit, call.named, work).await?
    } else {
        let limits = &service.shared.protocol;
        let admitted = Instant::now();
        let (input, mut options, wanted) = read::<E>(&mut permit, head, &call.body, limits)?;
        if open {
            call.named.chosen(permit.routed(), false);
        }
        let model = permit.model();
        model.took(Stage::Admit, admitted.duration_since(call.came.begun));
        took(model, Stage::Decode, admitted);
        permit.sign(&mut options);
        let mut pending = Pending::new(service, model, input, options, call.came.readable);
        written::<E>(&name, &wanted, &pending.answer().await?)?
    };
    compressed(reply, call.headers).await
}

/// Reads a request, and chooses its version where its rows do; counts if it is refused for a value
/// of a wrong type.
fn read<E: Exchange>(
    permit: &mut Permit,
    head: E::Head,
    body: &[u8],
    limits: &Limits,
) -> Result<(Input, CallOptions, E::Wanted)> {
    let read = E::read(permit.model(), head, body, limits);
    let read = read.and_then(|(input, options, wanted)| {
        let input = permit.settle(input)?;
        Ok((input, options, wanted))
    });
    read.inspect_err(|error| permit.model().refused_value(error))
}

/// Writes an answer, and counts how long that took.
fn written<E: Exchange>(name: &str, wanted: &E::Wanted, answer: &Answer) -> Result<Reply> {
    let answered = Instant::now();
    let reply = E::write(name, wanted, answer)?;
    took(&answer.model, Stage::Encode, answered);
    Ok(reply)
}

/// Might the request say how urgent it is, so that it has to be read before it can be refused?
fn may_have_terms(body: &[u8]) -> bool {
    ["timeout", "priority"]
        .iter()
        .any(|term| memmem::find(body, term.as_bytes()).is_some())
}

/// Counts what a stage took that began then; it ended now.
pub fn took(model: &Model, stage: Stage, begun: Instant) -> Instant {
    let now = Instant::now();
    model.took(stage, now.duration_since(begun));
    now
}

/// Work that is queued. When the client goes, this is dropped, and the work is never run.
pub struct Pending {
    answer: oneshot::Receiver<Result<Answer>>,
    ticket: Option<Ticket>,
}

impl Pending {
    /// Queues the work, and says so to the turn. `readable` is since when it could be read, where
    /// that is known.
    pub fn new(
        service: &Service,
        model: &Arc<Model>,
        input: Input,
        mut options: CallOptions,
        readable: Option<Instant>,
    ) -> Self {
        options.waited = service.turn.waited(readable);
        let (sender, answer) = oneshot::channel();
        let ticket = model.submit(input, &options, move |outcome| {
            // Nobody receives when the client has gone.
            let _ = sender.send(outcome);
        });
        service.turn.queued(model);
        Self {
            answer,
            ticket: Some(ticket),
        }
    }

    /// Waits for the answer. What waits may be dropped and called again.
    pub async fn answer(&mut self) -> Result<Answer> {
        let outcome = (&mut self.answer)
            .await
            .unwrap_or_else(|_| Err(Error::internal("the model dropped a request unanswered")));
        if let Some(ticket) = self.ticket.take() {
            ticket.detach();
        }
        outcome
    }
}

/// Runs `work`, which reads a large request, asks the model and writes the answer, on a thread of
/// its own.
pub async fn heavy<T: Send + 'static>(
    service: &Service,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let place = Arc::clone(&service.shared.heavy)
        .try_acquire_owned()
        .map_err(|_| {
            Error::new(
                ErrorKind::Overloaded,
                "too many large requests are under way: try again later, or send fewer rows at once",
            )
        })?;
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    done.await
        .unwrap_or_else(|error| Err(Error::internal(format!("a large request failed: {error}"))))
}

/// The same for what was let in; says which version it was routed to, where that is known only there.
pub async fn heavy_routed<T: Send + 'static>(
    service: &Service,
    mut permit: Permit,
    named: &Named,
    work: impl FnOnce(&mut Permit) -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = heavy(service, move || {
        let outcome = work(&mut permit);
        Ok((outcome, permit))
    });
    let (outcome, permit) = done.await?;
    named.chosen(permit.routed(), permit.is_open());
    outcome
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
