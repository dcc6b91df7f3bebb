//! Passing requests on to the control plane over its Unix socket.
//!
//! One connection a request: the socket is local, and a connection that is never used twice can
//! never be half closed when it is picked up. What waits for the control plane is bounded in
//! number and in time, so that a blocked interpreter costs its own routes and nothing else.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tidegate_schema::Error;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::access::Caller;
use crate::body::{Body, collect, too_large};
use crate::errors;
use crate::options::Limits;
use crate::pace::Paced;
use crate::pulse::{Busy, Phase};
use crate::reply::Reply;
use crate::task::Aborting;

/// Bodies up to this are read before they are passed on.
const SMALL_BODY: u64 = 64 * 1024;
/// How long the control plane's socket may take to accept: it is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time one request may occupy the control plane, streaming included.
const LONGEST: Duration = Duration::from_secs(600);

/// Headers that belong to one connection and are never passed on.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // The expectation is met by the data plane, which reads the body.
    header::EXPECT,
];

/// Names, with `-` for `_`, by which somebody in front of us would say who a client is. From
/// outside they are claims; the control plane believes them, so they are dropped.
const CLAIMS: [&str; 9] = [
    "forwarded",
    "keep-alive",
    "proxy-connection",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "remote-user",
    "via",
];
/// The same, by how a name begins.
const CLAIM_PREFIXES: [&str; 4] = ["x-forwarded", "x-tidegate", "x-remote-", "x-auth-request-"];

fn is_claim(name: &str) -> bool {
    let name = name.replace('_', "-");
    CLAIMS.contains(&name.as_str()) || CLAIM_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Takes out what belongs to one connection, the headers that `Connection` names included.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// Takes out claims from outside and says who the peer is, and who asks where that was established.
fn introduce(headers: &mut HeaderMap, peer: SocketAddr, caller: Option<&Caller>, encrypted: bool) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
    if let Ok(address) = HeaderValue::try_from(peer.ip().to_string()) {
        headers.insert("x-forwarded-for", address);
    }
    let scheme = HeaderValue::from_static(if encrypted { "https" } else { "http" });
    headers.insert("x-forwarded-proto", scheme);
    if let Some(caller) = caller {
        // What proved it is of no use behind this point.
        headers.remove(header::AUTHORIZATION);
        headers.remove("x-api-key");
        for (name, value) in [
            ("x-tidegate-caller", caller.name().to_owned()),
            ("x-tidegate-roles", caller.grants()),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert("x-forwarded-host", host);
    }
}

/// The way to the control plane; shared by the workers of a server.
#[derive(Debug)]
pub struct Proxy {
    socket: PathBuf,
    places: Arc<Semaphore>,
    timeout: Duration,
    body_bytes: usize,
    body_timeout: Duration,
    encrypted: bool,
}

impl Proxy {
    /// A way to the control plane that listens on this socket. `encrypted` says what clients use.
    #[must_use]
    pub fn new(socket: PathBuf, limits: &Limits, encrypted: bool) -> Self {
        Self {
            encrypted,
            socket,
            places: Arc::new(Semaphore::new(limits.control_requests)),
            timeout: limits.control_timeout,
            body_bytes: limits.body_bytes,
            body_timeout: limits.body_timeout,
        }
    }

    /// Passes a request on. Whatever goes wrong is said as an answer.
    pub async fn pass(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
        caller: Option<&Caller>,
    ) -> Response<Body> {
        match self.attempt(request, peer, busy, caller).await {
            Ok(response) => response,
            Err(reply) => reply.map(|bytes| Body::Whole(Some(bytes))),
        }
    }

    async fn attempt(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
        caller: Option<&Caller>,
    ) -> Result<Response<Body>, Reply> {
        if request.body().size_hint().lower() > self.body_bytes as u64 {
            return Err(errors::reply(&too_large(self.body_bytes)));
        }
        let (parts, body) = request.into_parts();
        let parts = self.outgoing(parts, peer, caller);
        let moved = Rc::new(Cell::new(Instant::now()));
        let small = body.size_hint().upper();
        let sent = if small.is_some_and(|bytes| bytes <= SMALL_BODY) {
            // The plane may answer before it has read a body. What of it is still in the socket
            // would then end the client's connection.
            let body = self.small(body, &busy).await?;
            let request = Request::from_parts(parts, Body::Whole(Some(body)));
            self.send(request, &moved).await?
        } else {
            let body = Sent {
                body,
                left: self.body_bytes,
                limit: self.body_bytes,
                moved: Rc::clone(&moved),
            };
            self.send(Request::from_parts(parts, body), &moved).await?
        };
        let (response, driver, place) = sent;

        let (mut parts, body) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let passed = Passed {
            body,
            idle: Box::pin(tokio::time::sleep(self.timeout)),
            timeout: self.timeout,
            end: Instant::now() + LONGEST,
            _busy: busy,
            _driver: driver,
            _place: place,
        };
        Ok(Response::from_parts(parts, Body::Passed(Box::new(passed))))
    }

    /// Reads a body that is known to be small.
    async fn small(&self, body: Incoming, busy: &Busy) -> Result<Bytes, Reply> {
        let mut body = Paced::new(body);
        if busy.shared() {
            body.within(self.body_timeout);
        }
        busy.enter(Phase::Body);
        let body = collect(&mut body, self.body_bytes, &mut None).await;
        busy.enter(Phase::Working);
        body.map_err(|error| errors::reply(&error))
    }

    /// Asks the control plane for something that it does at a path, on behalf of a client that
    /// speaks another protocol, and waits for the whole answer. Whatever goes wrong is said as an
    /// answer.
    pub async fn ask(
        &self,
        path: &str,
        body: Bytes,
        peer: SocketAddr,
        caller: Option<&Caller>,
    ) -> Reply {
        let mut request = Request::new(Body::Whole(Some(body)));
        *request.method_mut() = Method::POST;
        match path.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => {
                let message = format!("{path:?} is no path of the control plane: {error}");
                return errors::reply(&Error::internal(message));
            }
        }
        introduce(request.headers_mut(), peer, caller, self.encrypted);
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert(header::HOST, host);
        self.whole(request).await.unwrap_or_else(|reply| reply)
    }

    async fn whole(&self, request: Request<Body>) -> Result<Reply, Reply> {
        let moved = Rc::new(Cell::new(Instant::now()));
        let (response, _driver, _place) = self.send(request, &moved).await?;
        let (parts, body) = response.into_parts();
        let mut body = Paced::new(body);
        let body =
            tokio::time::timeout(self.timeout, collect(&mut body, self.body_bytes, &mut None))
                .await
                .map_err(|_| late(self.timeout))?
                .map_err(|error| errors::reply(&error))?;
        Ok(Reply::from_parts(parts, body))
    }

    /// Sends a request and waits for the head of its answer.
    async fn send<B>(
        &self,
        request: Request<B>,
        moved: &Rc<Cell<Instant>>,
    ) -> Result<(Response<Incoming>, Aborting, OwnedSemaphorePermit), Reply>
    where
        B: HttpBody<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            errors::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests wait for the control plane (limit control_requests): try again later",
            )
        })?;
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.socket))
            .await
            .map_err(|_| late(CONNECT_TIMEOUT))?
            .map_err(|error| dead(&self.socket, &error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let driver = Aborting(
            tokio::task::spawn_local(async move {
                // How it ended is seen by whoever waits for the answer.
                let _ = connection.await;
            })
            .abort_handle(),
        );
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        // A body that still moves is progress: only a plane that does nothing is given up.
        loop {
            let left = (moved.get() + self.timeout).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late(self.timeout));
            }
            if let Ok(outcome) = tokio::time::timeout(left, &mut answer).await {
                let response = outcome.map_err(|error| broken(&error))?;
                return Ok((response, driver, place));
            }
        }
    }

    /// The head of a request as it is passed on.
    fn outgoing(&self, mut parts: Parts, peer: SocketAddr, caller: Option<&Caller>) -> Parts {
        strip_hop_by_hop(&mut parts.headers);
        if !parts.headers.contains_key(header::HOST) {
            // HTTP/2 says it in the target.
            let authority = parts.uri.authority().map(http::uri::Authority::as_str);
            let host = authority.and_then(|host| HeaderValue::try_from(host).ok());
            let host = host.unwrap_or_else(|| HeaderValue::from_static("localhost"));
            parts.headers.insert(header::HOST, host);
        }
        introduce(&mut parts.headers, peer, caller, self.encrypted);
        // Origin form, whatever form the client used.
        let path = parts.uri.path_and_query().cloned();
        parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        parts
    }
}

fn dead(socket: &Path, error: &std::io::Error) -> Reply {
    errors::text(
        StatusCode::BAD_GATEWAY,
        &format!(
            "the control plane does not listen on its socket {} ({error}): inference, metrics and health go on; restart the server for the rest",
            socket.file_name().unwrap_or_default().to_string_lossy()
        ),
    )
}

fn broken(error: &hyper::Error) -> Reply {
    errors::text(
        StatusCode::BAD_GATEWAY,
        &format!(
            "the control plane broke off ({error}): inference, metrics and health go on; see its log"
        ),
    )
}

fn late(waited: Duration) -> Reply {
    errors::text(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!(
            "the control plane did not answer within {} s: inference, metrics and health go on; try again later",
            waited.as_secs_f64()
        ),
    )
}

/// A client's body on its way to the control plane.
struct Sent {
    body: Incoming,
    left: usize,
    limit: usize,
    moved: Rc<Cell<Instant>>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let outcome = Pin::new(&mut self.body).poll_frame(context);
        Poll::Ready(match std::task::ready!(outcome) {
            None => None,
            Some(Err(error)) => Some(Err(std::io::Error::other(error))),
            Some(Ok(frame)) => {
                self.moved.set(Instant::now());
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match self.left.checked_sub(bytes) {
                    Some(left) => {
                        self.left = left;
                        Some(Ok(frame))
                    }
                    None => Some(Err(std::io::Error::other(too_large(self.limit)))),
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The control plane's body on its way to a client. Holds the place among those who wait.
pub struct Passed {
    body: Incoming,
    idle: Pin<Box<Sleep>>,
    timeout: Duration,
    end: Instant,
    _busy: Busy,
    _driver: Aborting,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Passed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let next = (Instant::now() + self.timeout).min(self.end);
                self.idle.as_mut().reset(next.into());
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(std::io::Error::other(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.idle.as_mut().poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into()))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Grant;

    #[test]
    fn claims_from_outside_are_replaced() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "example.org"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-forwarded-user", "root"),
            ("x-tidegate-principal", "root"),
            ("x-tidegate", "1"),
            ("forwarded", "for=10.0.0.1"),
            ("remote_user", "root"),
            ("x-real-ip", "10.0.0.1"),
            ("authorization", "Bearer kept"),
            ("x-request-id", "kept"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        introduce(&mut headers, "192.0.2.7:4000".parse().unwrap(), None, false);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "authorization=Bearer kept",
                "host=example.org",
                "x-forwarded-for=192.0.2.7",
                "x-forwarded-host=example.org",
                "x-forwarded-proto=http",
                "x-request-id=kept",
            ]
        );
    }

    #[test]
    fn who_was_established_is_said_and_the_proof_stays_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer tg_a_b"),
            ("x-api-key", "tg_a_b"),
            ("x-tidegate-caller", "key:root"),
            ("x-tidegate-roles", "admin:*"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let grants = vec![Grant::parse("viewer:flight-*").unwrap()];
        let caller = Caller::new("key:ci".to_owned(), grants);
        introduce(
            &mut headers,
            "192.0.2.7:4000".parse().unwrap(),
            Some(&caller),
            true,
        );
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-tidegate-caller"], "key:ci");
        assert_eq!(headers["x-tidegate-roles"], "viewer:flight-*");
        assert!(!headers.contains_key("authorization") && !headers.contains_key("x-api-key"));
    }

    #[test]
    fn what_connection_names_is_dropped_too() {
        let mut headers = HeaderMap::new();
        headers.append("connection", HeaderValue::from_static("close, X-Hop"));
        headers.append("x-hop", HeaderValue::from_static("1"));
        headers.append("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.append("te", HeaderValue::from_static("trailers"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}
