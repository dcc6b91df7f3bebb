//! The span of one request, in the terms of OpenTelemetry's semantic conventions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, Request, Version};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::access_log::{CLIENT_GONE, Outcome};
use crate::record::Kind;
use crate::routes;
use crate::trace::Trace;
use crate::tracer::Tracer;

/// What the conventions call a method that they do not know.
const OTHER: &str = "_OTHER";
/// `SPAN_KIND_SERVER` of OTLP.
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR` of OTLP.
const ERROR: u8 = 2;
/// OTLP's flags of a span: it is sampled, and whether its parent is in another process is known.
const FLAGS: u32 = 0x101;
/// OTLP's flag of a span: its parent is in another process.
const REMOTE: u32 = 0x200;
/// Longest path that a span repeats, so that what waits to be exported stays small.
const MOST_PATH: usize = 1024;
/// The code of gRPC for a call whose client has gone.
const CANCELLED: u32 = 1;
/// The codes of gRPC that are a server's errors: unknown, deadline exceeded, unimplemented,
/// internal, unavailable, data loss.
const GRPC_ERRORS: [u32; 6] = [2, 4, 12, 13, 14, 15];

/// The place of a span in its trace; ids are hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: String,
    /// The span.
    pub span: String,
    /// The caller's span, if it has sent one.
    pub parent: Option<String>,
}

/// A request that has ended.
#[derive(Debug)]
pub struct Span {
    began: Began,
    took: Duration,
    outcome: Outcome,
}

/// What is known of a request when it comes.
#[derive(Debug)]
struct Began {
    context: Context,
    id: String,
    kind: Kind,
    method: Method,
    path: String,
    route: Option<&'static str>,
    version: Version,
    encrypted: bool,
    remote: SocketAddr,
    caller: Option<Arc<Caller>>,
    at: SystemTime,
}

impl Span {
    /// The span as OTLP writes it in JSON.
    pub fn to_json(&self) -> String {
        let Began { context, at, .. } = &self.began;
        let start = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // Numbers of 64 bits are texts in the JSON of protobuf.
        let nanos = |since: Duration| since.as_nanos().to_string();
        let attributes = self.attributes();
        let mut span = json!({
            "traceId": context.trace,
            "spanId": context.span,
            "flags": FLAGS | if context.parent.is_some() { REMOTE } else { 0 },
            "name": self.name(),
            "kind": SERVER,
            "startTimeUnixNano": nanos(start),
            "endTimeUnixNano": nanos(start.saturating_add(self.took)),
            "attributes": attributes
                .iter()
                .map(|(key, value)| json!({"key": key, "value": any(value)}))
                .collect::<Vec<_>>(),
        });
        if let Some(parent) = &context.parent {
            span["parentSpanId"] = json!(parent);
        }
        if self.error().is_some() {
            span["status"] = json!({"code": ERROR});
        }
        span.to_string()
    }

    /// What the status is called where it is an error of the server.
    fn error(&self) -> Option<String> {
        match (self.outcome.grpc, self.outcome.status) {
            (Some(code), _) => GRPC_ERRORS.contains(&code).then(|| code.to_string()),
            (None, status) => (status >= 500).then(|| status.to_string()),
        }
    }

    /// Of few values: the method and the route.
    fn name(&self) -> String {
        match self.began.kind {
            Kind::Grpc(Some(method)) => method.name().to_owned(),
            Kind::Grpc(None) => "grpc".to_owned(),
            Kind::Http => {
                let method = match self.known_method() {
                    OTHER => "HTTP",
                    known => known,
                };
                let route = self.began.route;
                route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
            }
        }
    }

    fn known_method(&self) -> &str {
        match self.began.method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS"
            | "TRACE" | "PATCH") => known,
            _ => OTHER,
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Value)> {
        let began = &self.began;
        let mut found = vec![
            ("tidegate.request.id", json!(began.id)),
            ("client.address", json!(began.remote.ip().to_string())),
            ("client.port", json!(began.remote.port())),
        ];
        if let Some(caller) = &began.caller {
            found.push(("enduser.id", json!(caller.name())));
        }
        if let Some(code) = self.outcome.grpc {
            let (service, method) = match began.kind {
                Kind::Grpc(Some(method)) => method.name().split_once('/').unwrap_or_default(),
                _ => ("", OTHER),
            };
            found.extend([
                ("rpc.system", json!("grpc")),
                ("rpc.service", json!(service)),
                ("rpc.method", json!(method)),
                ("rpc.grpc.status_code", json!(code)),
            ]);
        } else {
            let version = match began.version {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            };
            let scheme = if began.encrypted { "https" } else { "http" };
            found.extend([
                ("http.request.method", json!(self.known_method())),
                ("url.scheme", json!(scheme)),
                // The query is left out: it may hold what is nobody's business.
                ("url.path", json!(began.path)),
                ("network.protocol.version", json!(version)),
                ("http.response.status_code", json!(self.outcome.status)),
            ]);
            if self.known_method() == OTHER {
                let method = began.method.as_str();
                found.push(("http.request.method_original", json!(method)));
            }
            if let Some(route) = began.route {
                found.push(("http.route", json!(route)));
            }
        }
        if let Some(error) = self.error() {
            found.push(("error.type", json!(error)));
        }
        found
    }

    #[cfg(test)]
    pub(crate) fn example(context: Context) -> Self {
        let began = Began {
            context,
            id: "id".to_owned(),
            kind: Kind::Http,
            method: Method::POST,
            path: "/v2/models/m/infer".to_owned(),
            route: Some("/v2/models/{model}/infer"),
            version: Version::HTTP_11,
            encrypted: false,
            remote: ([127, 0, 0, 1], 80).into(),
            caller: None,
            at: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
        };
        Self {
            began,
            took: Duration::from_micros(250),
            outcome: CLIENT_GONE,
        }
    }
}

/// The beginning of a path. A target has ASCII bytes mostly, but need not.
fn shortened(path: &str) -> String {
    let end = path.floor_char_boundary(MOST_PATH);
    path.get(..end).unwrap_or(path).to_owned()
}

/// A text or a whole number as OTLP's `AnyValue`.
fn any(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        text => json!({"stringValue": text}),
    }
}

/// The span of a request under way, which is recorded even if its client goes first.
pub struct Traced {
    tracer: Arc<Tracer>,
    began: Option<Began>,
    begun: Instant,
}

impl Traced {
    /// The span of a request that has come, if it is to be traced.
    pub fn begin<B>(
        tracer: &Arc<Tracer>,
        request: &Request<B>,
        kind: Kind,
        trace: &Trace,
        remote: SocketAddr,
        encrypted: bool,
    ) -> Option<Self> {
        let began = Began {
            context: tracer.context(request.headers())?,
            id: trace.id().to_owned(),
            kind,
            method: request.method().clone(),
            path: shortened(request.uri().path()),
            route: match kind {
                Kind::Http => routes::template(request.method(), request.uri().path()),
                Kind::Grpc(_) => None,
            },
            version: request.version(),
            encrypted,
            remote,
            caller: None,
            at: SystemTime::now(),
        };
        Some(Self {
            tracer: Arc::clone(tracer),
            began: Some(began),
            begun: Instant::now(),
        })
    }

    /// The id of its trace.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        let began = self.began.as_ref();
        began.map_or("", |began| &began.context.trace)
    }

    /// What is sent along with calls on behalf of this request: this span is their parent.
    #[must_use]
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let Context { trace, span, .. } = &self.began.as_ref()?.context;
        HeaderValue::try_from(format!("00-{trace}-{span}-01")).ok()
    }

    /// Who asks, once that is known.
    pub fn asked_by(&mut self, caller: &Arc<Caller>) {
        if let Some(began) = &mut self.began {
            began.caller = Some(Arc::clone(caller));
        }
    }

    /// Ends the span of a request that was answered.
    pub fn answered(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(began) = self.began.take() {
            self.tracer.push(Span {
                began,
                took: self.begun.elapsed(),
                outcome,
            });
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let kind = self.began.as_ref().map(|began| began.kind);
        let grpc = matches!(kind, Some(Kind::Grpc(_))).then_some(CANCELLED);
        self.end(Outcome {
            grpc,
            ..CLIENT_GONE
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::Method as Rpc;

    fn example() -> Span {
        Span::example(Context {
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            span: "00f067aa0ba902b7".to_owned(),
            parent: Some("b7ad6b7169203331".to_owned()),
        })
    }

    fn ended(span: &Span) -> Value {
        serde_json::from_str(&span.to_json()).unwrap()
    }

    fn attribute(span: &Value, key: &str) -> Value {
        let all = span["attributes"].as_array().unwrap();
        let found = all.iter().find(|attribute| attribute["key"] == key);
        found.map_or(Value::Null, |attribute| attribute["value"].clone())
    }

    #[test]
    fn a_span_is_written_as_otlp_says() {
        let span = ended(&example());
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["spanId"], "00f067aa0ba902b7");
        assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
        assert_eq!(span["name"], "POST /v2/models/{model}/infer");
        assert_eq!(span["kind"], 2);
        assert_eq!(span["startTimeUnixNano"], "1700000000123456789");
        assert_eq!(span["endTimeUnixNano"], "1700000000123706789");
        let status = attribute(&span, "http.response.status_code");
        assert_eq!(status, json!({"intValue": "499"}));
        let route = attribute(&span, "http.route");
        assert_eq!(route, json!({"stringValue": "/v2/models/{model}/infer"}));
        assert_eq!(span["status"], Value::Null);
    }

    #[test]
    fn our_errors_are_marked_and_clients_errors_are_not() {
        for (status, grpc, marked) in [
            (200, None, false),
            (404, None, false),
            (503, None, true),
            (200, Some(0), false),
            (200, Some(3), false),
            (200, Some(13), true),
        ] {
            let mut span = example();
            span.outcome = Outcome {
                status,
                grpc,
                bytes: None,
            };
            let span = ended(&span);
            assert_eq!(span["status"] == json!({"code": 2}), marked, "{span}");
            assert_eq!(attribute(&span, "error.type") != Value::Null, marked);
        }
    }

    #[test]
    fn calls_whose_clients_have_gone_are_cancelled() {
        let tracer = Arc::new(Tracer::new(1.0).unwrap());
        for (kind, status) in [
            (Kind::Http, ("http.response.status_code", "499")),
            (
                Kind::Grpc(Some(Rpc::ModelInfer)),
                ("rpc.grpc.status_code", "1"),
            ),
        ] {
            let request = Request::new(());
            let trace = Trace::of(request.headers(), &tidegate_runtime::Ids::new());
            let peer = ([127, 0, 0, 1], 80).into();
            drop(Traced::begin(&tracer, &request, kind, &trace, peer, false));
            let span: Value = serde_json::from_str(&tracer.take(1)[0]).unwrap();
            assert_eq!(attribute(&span, status.0), json!({"intValue": status.1}));
            assert_eq!(span.get("status"), None);
        }
    }

    #[test]
    fn a_span_repeats_only_so_much_of_a_path() {
        assert_eq!(shortened("/v2"), "/v2");
        let long = "/é".repeat(MOST_PATH);
        let short = shortened(&long);
        assert!(long.starts_with(&short));
        assert!((MOST_PATH - 3..=MOST_PATH).contains(&short.len()));
    }

    #[test]
    fn names_are_of_few_values() {
        let mut span = example();
        span.began.route = None;
        assert_eq!(ended(&span)["name"], "POST");
        span.began.method = Method::from_bytes(b"BREW").unwrap();
        let odd = ended(&span);
        assert_eq!(odd["name"], "HTTP");
        assert_eq!(
            attribute(&odd, "http.request.method_original"),
            json!({"stringValue": "BREW"})
        );
        span.began.kind = Kind::Grpc(Some(Rpc::ModelInfer));
        span.outcome.grpc = Some(0);
        let call = ended(&span);
        assert_eq!(call["name"], "inference.GRPCInferenceService/ModelInfer");
        assert_eq!(
            attribute(&call, "rpc.method"),
            json!({"stringValue": "ModelInfer"})
        );
        span.began.kind = Kind::Grpc(None);
        assert_eq!(ended(&span)["name"], "grpc");
    }
}
