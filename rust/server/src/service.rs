//! From a request to its answer: the same for a socket of ours and for somebody's ASGI server.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::{Body as HttpBody, Incoming};
use tidegate_runtime::{Ids, Model, Permit, Runtime};
use tidegate_schema::Result;
use tokio::sync::Semaphore;

use crate::access::{self, Action, Asked, Credentials, Pass, Refusal};
use crate::access_log::Outcome;
use crate::asking::{Asking, Named};
use crate::body::{self, Body};
use crate::call::{Call, Came, Head};
use crate::counters::Counters;
use crate::intake::Intake;
use crate::lines::Lines;
use crate::log::{Log, Noted};
use crate::options::Options;
use crate::pace::Paced;
use crate::proxy::Proxy;
use crate::pulse::{Busy, Phase, Pulse};
use crate::record::{Kind, Record};
use crate::reply::Reply;
use crate::routes::{Found, Route};
use crate::stream::{self, Source};
use crate::trace::{REQUEST_ID, TRACEPARENT, Trace};
use crate::turn::Turn;
use crate::{drift, echo, errors, feedback, health, infer, meta, metrics, mount, predict, routes};

const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// Bytes of a refused body that are read without keeping them, whatever the limit on bodies.
pub(crate) const LEAST_DISCARDED: usize = 1024 * 1024;
/// Most large bodies that are worked on or wait for a thread at one time.
const MOST_HEAVY: usize = 32;

/// Statuses that are our fault and go into the server's log.
const OUR_FAULT: [StatusCode; 2] = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY];

/// What the workers of a server share.
#[derive(Debug)]
pub struct Shared {
    /// What is served.
    pub runtime: Arc<Runtime>,
    /// How.
    pub options: Options,
    /// Open connections of all workers.
    pub connections: AtomicUsize,
    /// One for each worker.
    pub counters: Vec<Arc<Counters>>,
    /// Bounds on what a body may hold.
    pub protocol: tidegate_protocol::Limits,
    /// Places for requests that get a thread of their own.
    pub heavy: Arc<Semaphore>,
    /// Makes the ids of requests that have none.
    pub ids: Ids,
    /// The server's own log.
    pub log: Arc<Log>,
    /// Where requests are written down, if anywhere.
    pub access_log: Option<Lines>,
    draining: AtomicBool,
    /// The way to the control plane, where there is one.
    pub proxy: Option<Proxy>,
}

impl Shared {
    /// The shared part of a server with this many workers.
    ///
    /// # Errors
    /// `InvalidInput` for an access log that cannot be opened.
    pub fn new(runtime: Arc<Runtime>, options: Options, workers: usize) -> Result<Self> {
        let proxy = options
            .control_socket
            .clone()
            .map(|socket| Proxy::new(socket, &options.limits, options.tls.is_some()));
        let access_log = options.access_log.as_deref().map(Lines::open).transpose()?;
        let routing = Arc::downgrade(&runtime);
        options.access.keep_claims(move || {
            let runtime = routing.upgrade();
            runtime.map(|runtime| runtime.claims()).unwrap_or_default()
        });
        Ok(Self {
            runtime,
            connections: AtomicUsize::new(0),
            counters: (0..workers).map(|_| Arc::default()).collect(),
            protocol: options.limits.protocol.clone(),
            heavy: Arc::new(Semaphore::new(MOST_HEAVY)),
            ids: Ids::new(),
            log: Arc::default(),
            access_log,
            draining: AtomicBool::new(false),
            proxy,
            options,
        })
    }

    /// What the logs could not write and what became of spans, in the Prometheus text format.
    #[must_use]
    pub fn log_metrics(&self) -> String {
        let name = "tidegate_access_log_dropped_total";
        let dropped = self.access_log.as_ref().map_or(0, Lines::dropped);
        let tracer = self.options.tracer.as_ref();
        format!(
            "# HELP {name} Lines of the access log that found no room or could not be written.\n\
             # TYPE {name} counter\n{name} {dropped}\n{}",
            tracer.map_or_else(String::new, |tracer| tracer.metrics())
        )
    }

    /// From now on the server is not ready.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// May traffic be sent here?
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed) && self.runtime.ready()
    }
}

/// The service of one thread. Cheap to clone within it.
#[derive(Clone)]
pub struct Service {
    /// What all threads share.
    pub shared: Arc<Shared>,
    /// What has arrived in this turn.
    pub turn: Rc<Turn<Model>>,
    /// What is counted on this thread.
    pub counters: Arc<Counters>,
}

impl Service {
    /// The service of this thread, which counts into `counters`. Somebody must run its
    /// [`Turn`] on the same thread.
    #[must_use]
    pub fn new(shared: Arc<Shared>, counters: Arc<Counters>) -> Self {
        let runtime = Arc::clone(&shared.runtime);
        let intake = Intake::new(move || runtime.objective());
        Self {
            shared,
            turn: Rc::new(Turn::new(intake)),
            counters,
        }
    }

    /// Answers a request whose body is all there. What is the control plane's is 404 here.
    pub async fn reply(
        &self,
        method: &Method,
        target: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Reply {
        let came = Came::now();
        let trace = Trace::of(headers, &self.shared.ids);
        let limit = self.shared.options.limits.body_bytes;
        let named = Named::default();
        let head = Head {
            method,
            target,
            headers,
            named: &named,
        };
        let found = self.find(method, target.path());
        let mut reply = match self.admit(&found, &head, mount::PEER) {
            Ok(pass) => {
                let body = if body.len() > limit {
                    Err(body::too_large(limit))
                } else {
                    let permit = self.enter(&found, &head, &trace, body.len() as u64, &pass);
                    permit.map(|permit| (body, permit))
                };
                let mut reply = self.dispatch(found, &head, came, body).await;
                errors::mark(reply.headers_mut(), pass.allowance);
                reply
            }
            Err(refusal) => errors::refusal(&refusal),
        };
        let (status, text) = (reply.status(), Some(reply.body().as_ref()));
        self.note(&trace, &head, status, text, came.begun.elapsed());
        named.mark(reply.headers_mut(), failed(status));
        reply.headers_mut().insert(REQUEST_ID, trace.id);
        reply
    }

    /// Is this request let in?
    fn admit(
        &self,
        found: &Result<Found<'_>>,
        head: &Head<'_>,
        peer: IpAddr,
    ) -> std::result::Result<Pass, Refusal> {
        let access = &self.shared.options.access;
        let asked = match found {
            Ok(Found::Here(route, target)) => Asked::here(*route, target.as_ref()),
            Ok(Found::WrongMethod(_)) | Err(_) => Asked::server(Action::Known),
            Ok(Found::Control) => {
                access::of_control(head.method, head.target.path(), head.target.query())
            }
        };
        let credentials = if access.required() {
            Credentials::of(head.headers)
        } else {
            Credentials::None
        };
        access.admit(credentials, peer, asked.action, asked.model.as_deref())
    }

    /// Chooses which version answers, and asks at its door, before anything is read for it.
    fn enter(
        &self,
        found: &Result<Found<'_>>,
        head: &Head<'_>,
        trace: &Trace,
        announced: u64,
        pass: &Pass,
    ) -> Result<Option<Permit>> {
        let Ok(Found::Here(Route::Infer | Route::Predict, Some(target))) = found else {
            return Ok(None);
        };
        let runtime = &self.shared.runtime;
        let asking = Asking {
            headers: head.headers,
            caller: pass.caller.as_deref(),
            id: &trace.id,
            message: None,
        };
        let choice = runtime.choose(&target.model, target.version.as_deref(), &asking)?;
        head.named.chosen(choice.routed(), choice.is_open());
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let caller = pass.caller.as_ref().map(|caller| caller.shared_name());
        Permit::new(choice, announced).map(|permit| Some(permit.asked_by(caller)))
    }

    /// The echo route does not exist unless it was asked for.
    fn find<'a>(&self, method: &Method, path: &'a str) -> Result<Found<'a>> {
        let found = routes::find(method, path)?;
        let echo = match &found {
            Found::Here(route, _) => *route == Route::Echo,
            Found::WrongMethod(_) => path.trim_end_matches('/') == "/v2/echo",
            Found::Control => false,
        };
        let hidden = echo && !self.shared.options.echo;
        Ok(if hidden { Found::Control } else { found })
    }

    /// Answers what was found here, and counts it.
    async fn dispatch(
        &self,
        found: Result<Found<'_>>,
        head: &Head<'_>,
        came: Came,
        body: Result<(Bytes, Option<Permit>)>,
    ) -> Reply {
        let (route, target) = match found {
            Ok(Found::Here(route, target)) => (route, target),
            Ok(Found::WrongMethod(allowed)) => {
                return errors::method(head.method, head.target.path(), allowed);
            }
            Ok(Found::Control) => return not_found(head.target.path()),
            Err(error) => return errors::reply(&error),
        };
        let limit = self.shared.options.limits.body_bytes;
        let body = body.and_then(|(body, mut permit)| {
            let body = body::decompress(head.headers, body, limit)?;
            if let Some(permit) = &mut permit {
                permit.hold_bytes(body.len())?;
            }
            Ok((body, permit))
        });
        let reply = match body {
            Err(error) => errors::reply(&error),
            Ok((body, permit)) => {
                let call = Call {
                    target,
                    query: head.target.query(),
                    headers: head.headers,
                    body,
                    named: head.named,
                    permit,
                    came,
                };
                self.answer(route, call).await
            }
        };
        self.counters
            .answered(Some(route), reply.status(), came.begun.elapsed());
        reply
    }

    async fn answer(&self, route: Route, call: Call<'_>) -> Reply {
        let outcome = match route {
            Route::Infer => infer::answer(self, call).await,
            Route::Predict => predict::answer(self, call).await,
            Route::Echo => Ok(echo::answer()),
            Route::Live => Ok(health::live()),
            Route::Ready => Ok(health::ready(self)),
            Route::ModelReady => health::model(self, &call),
            Route::Server => Ok(meta::server()),
            Route::Models => Ok(meta::models(self)),
            Route::Model => meta::model(self, &call),
            Route::ModelConfig => meta::config(self, &call),
            Route::Statistics => meta::all_statistics(self),
            Route::ModelStatistics => meta::statistics(self, &call),
            Route::Index => meta::index(self, &call),
            Route::Logging => Ok(meta::logging(self)),
            Route::ChangeLogging => meta::change_logging(self, &call),
            Route::RowModels => Ok(meta::models(self)),
            Route::RowModel => meta::row_model(self, &call),
            Route::Drift => drift::report(self, &call).await,
            Route::CloseDrift => drift::close(self, &call).await,
            Route::Feedback => feedback::take(self, call).await,
            Route::Quality => feedback::quality(self, &call).await,
            Route::Metrics => metrics::answer(self).await,
        };
        outcome.unwrap_or_else(|error| errors::reply(&error))
    }

    /// Answers a request of a connection. Never fails: what goes wrong is said as an answer.
    pub async fn serve(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
        pulse: Rc<Pulse>,
    ) -> std::result::Result<Response<Body>, std::convert::Infallible> {
        let busy = pulse.begin(request.version());
        let trace = Trace::of(request.headers(), &self.shared.ids);
        let mut record = Record::begin(&self.shared, &request, Kind::Http, &trace, peer);
        let named = Named::default();
        let answer = self.respond(request, peer, busy, &trace, &mut record, &named);
        let mut response = answer.await;
        let failed = failed(response.status());
        named.mark(response.headers_mut(), failed);
        record.answered(|| Outcome::of(&response));
        response.headers_mut().insert(REQUEST_ID, trace.id);
        Ok(response)
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
        trace: &Trace,
        record: &mut Record,
        named: &Named,
    ) -> Response<Body> {
        let came = Came {
            readable: busy.readable(),
            ..Came::now()
        };
        let begun = came.begun;
        let whole = |reply: Reply| reply.map(|bytes| Body::Whole(Some(bytes)));
        if let Some(reply) = self.header_excess(request.headers()) {
            return whole(closing(reply));
        }
        let (parts, incoming) = request.into_parts();
        let found = self.find(&parts.method, parts.uri.path());
        let head = Head {
            method: &parts.method,
            target: &parts.uri,
            headers: &parts.headers,
            named,
        };
        let pass = match self.admit(&found, &head, peer.ip()) {
            Ok(pass) => {
                if let Some(caller) = &pass.caller {
                    record.asked_by(caller);
                }
                pass
            }
            Err(refusal) => {
                let reply = errors::refusal(&refusal);
                let route = match found {
                    Ok(Found::Here(route, _)) => Some(route),
                    _ => None,
                };
                self.counters
                    .answered(route, reply.status(), Duration::ZERO);
                let text = Some(reply.body().as_ref());
                self.note(trace, &head, reply.status(), text, begun.elapsed());
                let mut incoming = Paced::new(incoming);
                let ended = rest(&busy, head.headers, &mut incoming, LEAST_DISCARDED).await;
                return whole(if ended { reply } else { closing(reply) });
            }
        };
        if matches!(found, Ok(Found::Control)) {
            drop(found);
            let mut request = Request::from_parts(parts, incoming);
            if let Some(parent) = record.traceparent() {
                request.headers_mut().insert(TRACEPARENT, parent);
            }
            // In memory of its own, which the idle connections do not pay for.
            return Box::pin(self.control(request, peer, busy, pass, trace)).await;
        }
        let mut incoming = Paced::new(incoming);
        if busy.shared() {
            incoming.within(self.shared.options.limits.body_timeout);
        }
        let mut ended = true;
        let limit = self.shared.options.limits.body_bytes;
        let rows = matches!(found, Ok(Found::Here(Route::Predict, _)));
        let streams = rows && stream::fits(head.headers, &incoming);
        let announced = incoming.size_hint().lower();
        // Of a body that is read in pieces no more is held than of the largest that is not.
        let announced = if streams {
            announced.min(stream::STREAM_FROM as u64)
        } else {
            announced
        };
        let body = match self.enter(&found, &head, trace, announced, &pass) {
            Ok(permit) if incoming.is_end_stream() => Ok((Bytes::new(), permit)),
            Ok(mut permit) => {
                busy.enter(Phase::Body);
                let body = if streams {
                    match body::begin(&mut incoming, stream::STREAM_FROM, &mut permit).await {
                        Ok((came, false)) => {
                            busy.enter(Phase::Working);
                            let source = Source::new(incoming, came, busy);
                            let answer = self.stream(found, &head, permit, source, begun, trace);
                            let mut response = Box::pin(answer).await;
                            errors::mark(response.headers_mut(), pass.allowance);
                            return response;
                        }
                        outcome => outcome.map(|(body, _)| body),
                    }
                } else {
                    body::collect(&mut incoming, limit, &mut permit).await
                };
                body.map(|body| (body, permit))
            }
            Err(error) => Err(error),
        };
        if body.is_err() {
            let most = limit.max(LEAST_DISCARDED);
            ended = rest(&busy, head.headers, &mut incoming, most).await;
        }
        busy.enter(Phase::Working);
        let mut reply = self.dispatch(found, &head, came, body).await;
        errors::mark(reply.headers_mut(), pass.allowance);
        let (status, text) = (reply.status(), Some(reply.body().as_ref()));
        self.note(trace, &head, status, text, begun.elapsed());
        whole(if ended { reply } else { closing(reply) })
    }

    /// Says in the server's log what failed by our fault, and every request where that is asked
    /// for.
    pub(crate) fn note(
        &self,
        trace: &Trace,
        head: &Head<'_>,
        status: StatusCode,
        text: Option<&[u8]>,
        took: Duration,
    ) {
        self.shared.log.request(&Noted {
            id: trace.id(),
            method: head.method.as_str(),
            path: head.target.path(),
            status: status.as_str(),
            ours: OUR_FAULT.contains(&status),
            text: text.unwrap_or_default(),
            took,
        });
    }

    async fn control(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
        pass: Pass,
        trace: &Trace,
    ) -> Response<Body> {
        let begun = Instant::now();
        let has_body = !request.body().is_end_stream();
        let (method, target) = (request.method().clone(), request.uri().clone());
        request.headers_mut().insert(REQUEST_ID, trace.id.clone());
        let mut response = match &self.shared.proxy {
            Some(proxy) => {
                proxy
                    .pass(request, peer, busy, pass.caller.as_deref())
                    .await
            }
            None => not_found(target.path()).map(|bytes| Body::Whole(Some(bytes))),
        };
        self.counters
            .answered(None, response.status(), begun.elapsed());
        errors::mark(response.headers_mut(), pass.allowance);
        let head = Head {
            method: &method,
            target: &target,
            headers: &HeaderMap::new(),
            named: &Named::default(),
        };
        let text = match response.body() {
            Body::Whole(bytes) => bytes.as_deref(),
            Body::Passed(_) | Body::Streamed(_) => None,
        };
        self.note(trace, &head, response.status(), text, begun.elapsed());
        if has_body && matches!(response.body(), Body::Whole(_)) {
            // It was refused without reading its body.
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    fn header_excess(&self, headers: &HeaderMap) -> Option<Reply> {
        let message = self.shared.options.limits.header_excess(headers)?;
        Some(errors::text(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            &message,
        ))
    }
}

fn failed(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Reads what is left of a refused request, so that its client sees why; true if the connection
/// can go on. Over HTTP/2 a request ends alone.
async fn rest(busy: &Busy, headers: &HeaderMap, body: &mut Paced<Incoming>, most: usize) -> bool {
    if busy.shared() || body.is_end_stream() {
        return true;
    }
    // A client that waits to be asked for its body is not asked.
    if headers.contains_key(EXPECT) {
        return false;
    }
    busy.enter(Phase::Body);
    let ended = body::discard(body, most).await;
    busy.enter(Phase::Working);
    ended
}

/// The answer, after which the connection ends: what is left of the request was not read.
pub(crate) fn closing(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONNECTION, CLOSE);
    reply
}

fn not_found(path: &str) -> Reply {
    errors::text(
        StatusCode::NOT_FOUND,
        &format!("nothing is served at {path:?}: see /docs for the routes"),
    )
}
