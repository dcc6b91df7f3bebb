//! The access log: one JSON line a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Method, Request, Response, Version};
use hyper::body::Body as HttpBody;
use serde::Serialize;
use tidegate_protocol::timestamp;

use crate::access::Caller;
use crate::service::Shared;
use crate::trace::Trace;

/// How a request ended whose client has gone before its answer.
pub const CLIENT_GONE: Outcome = Outcome {
    status: 499,
    grpc: None,
    bytes: None,
};

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    remote: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    protocol: &'static str,
    method: &'a str,
    path: &'a str,
    route: &'static str,
    status: u16,
    /// How a gRPC call ended that was answered at once; a stream says it at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u32>,
    /// As it was announced; absent for a body of unknown length.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_bytes: Option<u64>,
    seconds: f64,
}

/// What is known of a request when it comes, kept until it is answered.
struct Entry {
    id: String,
    trace_id: Option<String>,
    remote: SocketAddr,
    caller: Option<Arc<Caller>>,
    version: Version,
    method: Method,
    path: String,
    route: &'static str,
    request_bytes: Option<u64>,
    begun: Instant,
}

impl Entry {
    /// What a request says of itself. The query is left out: it may hold what is nobody's
    /// business.
    fn new<B: HttpBody>(
        request: &Request<B>,
        route: &'static str,
        trace: &Trace,
        trace_id: Option<String>,
        remote: SocketAddr,
    ) -> Self {
        Self {
            id: trace.id().to_owned(),
            trace_id,
            remote,
            caller: None,
            version: request.version(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            route,
            request_bytes: request.body().size_hint().exact(),
            begun: Instant::now(),
        }
    }

    fn line(&self, outcome: Outcome) -> String {
        let line = Line {
            time: now(),
            id: &self.id,
            trace_id: self.trace_id.as_deref(),
            remote: self.remote.to_string(),
            caller: self.caller.as_deref().map(Caller::name),
            protocol: match self.version {
                _ if outcome.grpc.is_some() => "gRPC",
                Version::HTTP_2 => "HTTP/2",
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            method: self.method.as_str(),
            path: &self.path,
            route: self.route,
            status: outcome.status,
            grpc_status: outcome.grpc,
            request_bytes: self.request_bytes,
            response_bytes: outcome.bytes,
            seconds: self.begun.elapsed().as_secs_f64(),
        };
        // Texts and numbers always serialise.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The status of HTTP.
    pub status: u16,
    /// The status of gRPC, where it is known by then.
    pub grpc: Option<u32>,
    /// The length of the answer, where it is known by then.
    pub bytes: Option<u64>,
}

impl Outcome {
    /// An answer of HTTP.
    pub fn of<B: HttpBody>(response: &Response<B>) -> Self {
        Self {
            status: response.status().as_u16(),
            grpc: None,
            bytes: response.body().size_hint().exact(),
        }
    }
}

/// A request's entry in the access log, which is written even if its client goes first.
pub struct Logged {
    shared: Arc<Shared>,
    entry: Option<Entry>,
}

impl Logged {
    /// The entry of a request that has come. `route` names it in the log, `trace_id` the trace
    /// that it is part of.
    pub fn begin<B: HttpBody>(
        shared: &Arc<Shared>,
        request: &Request<B>,
        route: &'static str,
        trace: &Trace,
        trace_id: Option<String>,
        remote: SocketAddr,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            entry: Some(Entry::new(request, route, trace, trace_id, remote)),
        }
    }

    /// Who asks, once that is known.
    pub fn asked_by(&mut self, caller: &Arc<Caller>) {
        if let Some(entry) = &mut self.entry {
            entry.caller = Some(Arc::clone(caller));
        }
    }

    /// Writes the entry of a request that was answered.
    pub fn answered(mut self, outcome: Outcome) {
        self.write(outcome);
    }

    fn write(&mut self, outcome: Outcome) {
        if let (Some(entry), Some(log)) = (self.entry.take(), &self.shared.access_log) {
            log.push(entry.line(outcome));
        }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.write(CLIENT_GONE);
    }
}

/// The time in RFC 3339, in UTC.
pub(crate) fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    timestamp::format(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
