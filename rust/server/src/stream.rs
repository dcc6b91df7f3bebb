//! Rows that are too many to hold: read, predicted and answered piece by piece.
//!
//! The answer begins when the first piece is predicted, so what is wrong with that one has its
//! usual status. An error after it can no longer have one: the answer then ends in
//! `],"error":"…"}` and is broken off, so that no client takes it for whole.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, Incoming};
use tidegate_protocol::error_body;
use tidegate_protocol::pieces::Pieces;
use tidegate_protocol::predict::{self, Predictions};
use tidegate_protocol::rows;
use tidegate_runtime::{Answer, CallOptions, Input, Permit, PredictionId, Stage};
use tidegate_schema::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::body::{self, Body};
use crate::call::Head;
use crate::errors;
use crate::exchange::{Pending, took};
use crate::log::Level;
use crate::pace::Paced;
use crate::predict::{Form, Rows, extra};
use crate::pulse::Busy;
use crate::reply::JSON;
use crate::routes::{Found, Route};
use crate::service::{LEAST_DISCARDED, Service, closing};
use crate::trace::Trace;

/// Bodies of rows above this are read in pieces.
pub const STREAM_FROM: usize = 1024 * 1024;
/// Least bytes of rows that are predicted at one time.
const PIECE: usize = 64 * 1024;
/// Compressed bytes that are unpacked at one time: they may become a thousand times as many.
const UNPACKED: usize = 4096;
/// Most bytes of an answer that wait for a client that still sends. A client that sends more than
/// this many bytes of answers without reading any is waited for, and cut after `write_timeout`.
const BACKLOG: usize = 16 * 1024 * 1024;

/// How long a piece waits at least, and at most, before it is given to a full queue again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// May this body be read in pieces? Only JSON that is answered in JSON, and only where it is not
/// known to be small.
pub fn fits(headers: &HeaderMap, body: &Paced<Incoming>) -> bool {
    let small = body.size_hint().upper();
    small.is_none_or(|bytes| bytes > STREAM_FROM as u64)
        && Form::of(headers, CONTENT_TYPE) == Form::Json
        && Form::of(headers, ACCEPT) == Form::Json
}

/// A body on its way in.
pub struct Source {
    incoming: Paced<Incoming>,
    /// Came, but is not read yet.
    came: Bytes,
    coding: Coding,
    pieces: Option<Pieces>,
    /// The connection is not idle while there is a body.
    busy: Busy,
}

enum Coding {
    Plain,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self> {
        let coding = headers
            .get(CONTENT_ENCODING)
            .map(|coding| coding.as_bytes());
        match coding.unwrap_or_default().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Plain),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip(MultiGzDecoder::new(Vec::new()))),
            b"deflate" => Ok(Self::Deflate(ZlibDecoder::new(Vec::new()))),
            other => Err(body::unknown_coding(other)),
        }
    }

    fn feed(&mut self, bytes: &[u8], pieces: &mut Pieces) -> Result<()> {
        let unpacked = match self {
            Self::Plain => return pieces.feed(bytes),
            Self::Gzip(decoder) => {
                decoder
                    .write_all(bytes)
                    .map_err(|error| body::not_coded(&error))?;
                std::mem::take(decoder.get_mut())
            }
            Self::Deflate(decoder) => {
                decoder
                    .write_all(bytes)
                    .map_err(|error| body::not_coded(&error))?;
                std::mem::take(decoder.get_mut())
            }
        };
        pieces.feed(&unpacked)
    }

    fn finish(&mut self, pieces: &mut Pieces) -> Result<()> {
        let unpacked = match self {
            Self::Plain => return Ok(()),
            Self::Gzip(decoder) => {
                decoder
                    .try_finish()
                    .map_err(|error| body::not_coded(&error))?;
                std::mem::take(decoder.get_mut())
            }
            Self::Deflate(decoder) => {
                decoder
                    .try_finish()
                    .map_err(|error| body::not_coded(&error))?;
                std::mem::take(decoder.get_mut())
            }
        };
        pieces.feed(&unpacked)
    }
}

impl Source {
    /// A body of which some has come already.
    pub const fn new(incoming: Paced<Incoming>, came: Bytes, busy: Busy) -> Self {
        Self {
            incoming,
            came,
            coding: Coding::Plain,
            pieces: None,
            busy,
        }
    }

    /// From now on it must come within a time, or fast enough.
    pub const fn within(&mut self, timeout: Duration) {
        self.incoming.within(timeout);
    }

    /// The next piece as a body of its own; `None` when there is none any more.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let Some(pieces) = &mut self.pieces else {
                return Ok(None);
            };
            if let Some(piece) = pieces.next(PIECE) {
                return Ok(Some(piece));
            }
            if !self.came.is_empty() {
                let most = match self.coding {
                    Coding::Plain => PIECE,
                    Coding::Gzip(_) | Coding::Deflate(_) => UNPACKED,
                };
                let bytes = self.came.split_to(most.min(self.came.len()));
                self.coding.feed(&bytes, pieces)?;
                continue;
            }
            match body::next(&mut self.incoming).await {
                Some(bytes) => self.came = bytes?,
                None => {
                    self.coding.finish(pieces)?;
                    return self.pieces.take().map_or(Ok(None), Pieces::finish);
                }
            }
        }
    }

    /// Reads what is left without keeping it; true when the connection can go on.
    pub async fn discard(&mut self, most: usize) -> bool {
        self.busy.shared() || body::discard(&mut self.incoming, most).await
    }
}

impl Service {
    /// Answers rows that are too many to hold.
    pub(crate) async fn stream(
        &self,
        found: Result<Found<'_>>,
        head: &Head<'_>,
        permit: Option<Permit>,
        mut source: Source,
        begun: Instant,
        trace: &Trace,
    ) -> Response<Body> {
        let limits = &self.shared.options.limits;
        let prepared = found.and_then(|found| match (found, permit) {
            (Found::Here(_, Some(target)), Some(permit)) => {
                let (name, id) = (target.model.into_owned(), trace.id().to_owned());
                Streaming::new(self.clone(), permit, name, id, head.target.query())
            }
            _ => Err(Error::internal("a route without a model was asked for one")),
        });
        let outcome = match prepared {
            Ok(streaming) => {
                source.within(limits.body_timeout);
                streaming.begin(source, head, begun).await
            }
            Err(error) => Err((error, source)),
        };
        let response = match outcome {
            Ok(response) => response,
            Err((error, mut source)) => {
                let reply = errors::reply(&error);
                let most = limits.body_bytes.max(LEAST_DISCARDED);
                let ended = source.discard(most).await;
                let reply = if ended { reply } else { closing(reply) };
                reply.map(|bytes| Body::Whole(Some(bytes)))
            }
        };
        let (status, took) = (response.status(), begun.elapsed());
        self.counters.answered(Some(Route::Predict), status, took);
        self.note(trace, head, status, None, took);
        response
    }
}

/// A request that is answered piece by piece.
struct Streaming {
    service: Service,
    /// Held until the answer is written.
    permit: Permit,
    /// The name that the model was asked for by.
    name: String,
    /// The request's id.
    id: String,
    extra: rows::Extra,
}

impl Streaming {
    /// A request with this query.
    fn new(
        service: Service,
        permit: Permit,
        name: String,
        id: String,
        query: Option<&str>,
    ) -> Result<Self> {
        let extra = extra(query)?;
        Rows::check(permit.model())?;
        Ok(Self {
            service,
            permit,
            name,
            id,
            extra,
        })
    }

    /// Predicts the first piece and begins the answer; the rest goes on as a task of this thread.
    /// What is wrong until then is an error as ever, and the body is given back.
    async fn begin(
        mut self,
        mut source: Source,
        head: &Head<'_>,
        begun: Instant,
    ) -> std::result::Result<Response<Body>, (Error, Source)> {
        let first = async {
            source.coding = Coding::of(head.headers)?;
            source.pieces = Some(Pieces::new(self.extra));
            let piece = source.piece().await?.unwrap_or_default();
            let admitted = Instant::now();
            // The first row chooses the version where a column does, for all pieces.
            let answer = self.predict(&piece, None).await?;
            let answered = Instant::now();
            let admission = admitted.duration_since(begun);
            self.permit.model().took(Stage::Admit, admission);
            let bytes = predict::begin(&Predictions {
                model_name: &self.name,
                model_version: answer.model.version(),
                revision: answer.revision(),
                experiment: answer.experiment(),
                prediction_id: &answer.prediction_id.text(),
                outputs: &answer.outputs,
            })?;
            took(self.permit.model(), Stage::Encode, answered);
            Ok((bytes, answer))
        };
        let first = first.await;
        let permit = &self.permit;
        head.named.chosen(permit.routed(), permit.is_open());
        let (bytes, answer) = match first {
            Ok(first) => first,
            Err(error) => return Err((error, source)),
        };
        let (feeder, streamed) = channel();
        let mut response = Response::new(Body::Streamed(streamed));
        let (id, rows) = (answer.prediction_id, answer.rows());
        drop(answer);
        tokio::task::spawn_local(async move {
            self.go_on(source, bytes, id, rows, feeder).await;
        });
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        Ok(response)
    }

    async fn go_on(
        mut self,
        mut source: Source,
        first: Vec<u8>,
        id: PredictionId,
        rows: usize,
        feeder: Feeder,
    ) {
        let mut done = rows;
        if !feeder.send(first).await {
            return;
        }
        loop {
            match self.more(&mut source, id, &mut done).await {
                Ok(Some(bytes)) => {
                    if !feeder.send(bytes).await {
                        return;
                    }
                }
                Ok(None) => {
                    feeder.send(predict::END.to_vec()).await;
                    return;
                }
                Err(error) => {
                    let message = format!("a streamed answer was broken off: {error}");
                    let log = &self.service.shared.log;
                    log.write(Level::Warning, Some(&self.id), message);
                    let text = error_body(&error);
                    let text = text.strip_prefix(b"{").unwrap_or(&text);
                    feeder.send([b"],", text].concat()).await;
                    feeder.fail(error);
                    return;
                }
            }
        }
    }

    /// The rows of the next piece's answer.
    async fn more(
        &mut self,
        source: &mut Source,
        id: PredictionId,
        done: &mut usize,
    ) -> Result<Option<Vec<u8>>> {
        let Some(piece) = source.piece().await? else {
            return Ok(None);
        };
        let place = |error: Error| error.at(format!("among the rows from {done} on"));
        // Row i of the whole answer is labelled as `<its prediction_id>/i`.
        let first_row = u32::try_from(*done).unwrap_or(u32::MAX);
        let answer = self.persist(&piece, (id, first_row)).await.map_err(place)?;
        let answered = Instant::now();
        let bytes = predict::go_on(&answer.outputs)?;
        took(self.permit.model(), Stage::Encode, answered);
        *done += answer.rows();
        Ok(Some(bytes))
    }

    /// Predicts a piece of an answer that has begun: a full queue can no longer be said as a status,
    /// and the client sent its rows when told to, so we come again as a client would.
    async fn persist(&mut self, piece: &[u8], part: (PredictionId, u32)) -> Result<Answer> {
        let until = Instant::now() + self.service.shared.options.limits.body_timeout;
        loop {
            match self.predict(piece, Some(part)).await {
                Err(error) if error.kind == ErrorKind::Overloaded && Instant::now() < until => {
                    let pause = error.retry_after.unwrap_or(LONGEST_PAUSE);
                    tokio::time::sleep(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn predict(&mut self, piece: &[u8], part: Option<(PredictionId, u32)>) -> Result<Answer> {
        let begun = Instant::now();
        let limits = &self.service.shared.protocol;
        let schema = Rows::check(self.permit.model())?;
        let table = rows::decode(piece, schema, self.extra, limits)
            .inspect_err(|error| self.permit.model().refused_value(error))?;
        let input = self.permit.settle(Input::Table(table))?;
        took(self.permit.model(), Stage::Decode, begun);
        let mut options = CallOptions {
            piece_of: part,
            ..CallOptions::default()
        };
        self.permit.sign(&mut options);
        Pending::new(&self.service, self.permit.model(), input, options, None)
            .answer()
            .await
    }
}

/// An answer on its way out. Dropped when the client goes.
pub struct Streamed {
    bytes: UnboundedReceiver<Result<Bytes>>,
    room: Arc<Semaphore>,
    /// Why the answer is to be broken off, once what was written before has gone out.
    broken: Option<Error>,
}

/// Where the answer is written.
struct Feeder {
    bytes: UnboundedSender<Result<Bytes>>,
    room: Arc<Semaphore>,
}

fn channel() -> (Feeder, Streamed) {
    let (sender, receiver) = unbounded_channel();
    let room = Arc::new(Semaphore::new(BACKLOG));
    let feeder = Feeder {
        bytes: sender,
        room: Arc::clone(&room),
    };
    let streamed = Streamed {
        bytes: receiver,
        room,
        broken: None,
    };
    (feeder, streamed)
}

/// How much room an answer's bytes take; more than there is takes all of it.
fn size(bytes: usize) -> usize {
    bytes.min(BACKLOG)
}

impl Feeder {
    /// Waits for room and writes; false when nobody reads any more.
    async fn send(&self, bytes: Vec<u8>) -> bool {
        let size = u32::try_from(size(bytes.len())).unwrap_or(u32::MAX);
        match self.room.acquire_many(size).await {
            Ok(room) => room.forget(),
            Err(_) => return false,
        }
        self.bytes.send(Ok(bytes.into())).is_ok()
    }

    fn fail(&self, error: Error) {
        let _ = self.bytes.send(Err(error));
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // Whoever waits for room waits in vain.
        self.room.close();
    }
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(std::io::Error::other(error))));
        }
        Poll::Ready(match ready!(self.bytes.poll_recv(context)) {
            None => None,
            Some(Ok(bytes)) => {
                self.room.add_permits(size(bytes.len()));
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => {
                // A pause lets the connection send what it holds, which says why.
                self.broken = Some(error);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }
}
