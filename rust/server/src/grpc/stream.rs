//! `ModelStreamInfer`: many requests and replies in one call, the replies in the order of the
//! requests. Errors of a request travel in its reply, so that the stream goes on.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use tidegate_protocol::grpc::{self, StreamReply};
use tidegate_protocol::{Parameter, Parameters};
use tidegate_runtime::{Answer, Permit};
use tidegate_schema::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::body::{Body, Sent};
use super::call::Call;
use super::infer::{self, Wanted, large, room, with_response};
use super::reply::{framed, head};
use crate::access::{Action, Asked};
use crate::asking::Named;
use crate::exchange::{HEAVY_BODY, Pending, heavy_routed};
use crate::infer::push_revision;
use crate::pulse::Busy;
use crate::task::Aborting;

/// Most requests of one stream that are under way; no more is read until the oldest is answered.
const UNDER_WAY: usize = 64;
/// Most replies that wait for the client to take them.
const UNSENT: usize = 16;
/// The parameter that marks the last reply to a request, which each one is.
pub const FINAL: &str = "triton_final_response";

/// Answers requests until the client ends the stream or the server drains.
pub fn answer(call: Call, body: Incoming, busy: Busy) -> Response<Body> {
    let (sender, replies) = mpsc::channel(UNSENT);
    let task = tokio::task::spawn_local(async move {
        if let Err(error) = serve(call, body, &sender).await {
            // Nobody receives when the client has gone.
            let _ = sender.send(Err(error.into())).await;
        }
    });
    head(Body::Stream {
        replies,
        ended: false,
        _task: Aborting(task.abort_handle()),
        _busy: busy,
    })
}

/// A request of the stream, in the order in which it came.
enum Item {
    Queued {
        pending: Pending,
        wanted: Wanted,
        named: Named,
        _permit: Permit,
    },
    Large {
        task: JoinHandle<(Result<Bytes>, Named)>,
        id: Option<String>,
        _aborting: Aborting,
    },
    Refused(Error, Option<String>, Named),
}

async fn serve(call: Call, body: Incoming, sender: &mpsc::Sender<Sent>) -> Result<()> {
    let mut messages = call.messages(body, call.body_bytes());
    let mut closing = call.peer.closing();
    let mut items: VecDeque<Item> = VecDeque::new();
    let mut read = 0;
    // Why no more is read: the stream ends with it once all is answered.
    let mut end: Option<Result<()>> = None;
    loop {
        let room = items.len() < UNDER_WAY;
        let answered = async {
            match items.front_mut() {
                Some(item) => reply(item).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = answered => {
                items.pop_front();
                if sender.send(Ok(message?)).await.is_err() {
                    return Ok(());
                }
            }
            message = messages.next(), if end.is_none() && room => {
                match message {
                    Ok(Some(message)) => match begin(&call, message, read) {
                        // Whoever asks is known no longer: the stream says so at its end.
                        Item::Refused(error, ..) if error.kind == ErrorKind::Unauthenticated => {
                            end = Some(Err(error));
                        }
                        item => {
                            read += 1;
                            items.push_back(item);
                        }
                    },
                    Ok(None) => end = Some(Ok(())),
                    Err(error) => end = Some(Err(error)),
                }
            }
            _ = closing.wait_for(|closing| *closing), if end.is_none() => {
                end = Some(Err(Error::new(
                    ErrorKind::Closed,
                    "the server is draining: open the stream again elsewhere",
                )));
            }
        }
        if items.is_empty()
            && let Some(end) = end.take()
        {
            return end;
        }
    }
}

/// Puts a request under way, the number of which is said.
fn begin(call: &Call, message: Bytes, number: u64) -> Item {
    let begun = Instant::now();
    let target = match grpc::target(&message) {
        Ok(target) => target,
        Err(error) => {
            let counted = call.admit_as(&Asked::server(Action::Known));
            return Item::Refused(counted.err().unwrap_or(error), None, Named::default());
        }
    };
    let id = target.id.map(str::to_owned);
    let named = Named::default();
    let mut permit = match infer::enter(call, target, message.len(), Some(number), &named) {
        Ok(permit) => permit,
        Err(error) => return Item::Refused(error, id, named),
    };
    if message.len() > HEAVY_BODY {
        let work = large(call, message, begun, write);
        let service = call.service.clone();
        let task = tokio::task::spawn_local(async move {
            let outcome = heavy_routed(&service, permit, &named, work).await;
            (outcome, named)
        });
        return Item::Large {
            _aborting: Aborting(task.abort_handle()),
            task,
            id,
        };
    }
    let limits = &call.service.shared.protocol;
    let read = infer::read(&mut permit, &message, limits, call.deadline, begun);
    named.chosen(permit.routed(), permit.is_open());
    match read {
        Ok((input, options, wanted)) => {
            let pending = Pending::new(&call.service, permit.model(), input, options, None);
            Item::Queued {
                pending,
                wanted,
                named,
                _permit: permit,
            }
        }
        Err(error) => Item::Refused(error, id, named),
    }
}

/// Waits for the reply to a request; may be dropped and called again.
async fn reply(item: &mut Item) -> Result<Bytes> {
    match item {
        Item::Queued {
            pending,
            wanted,
            named,
            ..
        } => {
            let answer = pending.answer().await;
            let outcome = answer.and_then(|answer| write(wanted, &answer));
            outcome.or_else(|error| refusal(&error, wanted.id.as_deref(), named))
        }
        Item::Large { task, id, .. } => {
            let failed = |error| {
                let error = Error::internal(format!("a large request failed: {error}"));
                (Err(error), Named::default())
            };
            let (outcome, named) = task.await.unwrap_or_else(failed);
            outcome.or_else(|error| refusal(&error, id.as_deref(), &named))
        }
        Item::Refused(error, id, named) => refusal(error, id.as_deref(), named),
    }
}

fn write(wanted: &Wanted, answer: &Answer) -> Result<Bytes> {
    with_response(wanted, answer, true, |response| {
        framed(room(&answer.outputs), |out| {
            let reply = StreamReply::Answer(response, &wanted.outputs);
            grpc::encode_stream(out, &reply)
        })
    })
}

/// Says what went wrong with a request, beside the version and revision that it was routed to: the
/// metadata of the call is of all its messages.
fn refusal(error: &Error, id: Option<&str>, named: &Named) -> Result<Bytes> {
    let mut parameters = Parameters::new();
    let chosen = named.version_and_revision();
    if let Some((_, revision)) = &chosen {
        push_revision(&mut parameters, *revision);
    }
    parameters.push(FINAL, Parameter::Bool(true));
    let version = chosen.and_then(|(version, _)| version);
    framed(error.message.len(), |out| {
        let reply = StreamReply::Refusal {
            message: &error.message,
            version: version.as_deref(),
            id,
            parameters: &parameters,
        };
        grpc::encode_stream(out, &reply)
    })
}
