//! What a server is told when it starts. Every default of the data plane lives here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tidegate_schema::{Error, Result};

use crate::access::Access;
use crate::tls::Tls;
use crate::tracer::Tracer;

/// Bounds on what clients can make the server hold, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most bytes of one request body, after decompression; more is answered with 413.
    pub body_bytes: usize,
    /// Most bytes of the names and values of one request's headers; more is answered with 431.
    pub header_bytes: usize,
    /// Most open connections; one more is answered with 503 and closed.
    pub connections: usize,
    /// Most requests under way on one gRPC connection; a client keeps further ones back.
    pub streams: usize,
    /// How long the head of a request may take, from its first byte (or from the connection).
    pub head_timeout: Duration,
    /// How long a connection may rest between two requests.
    pub idle_timeout: Duration,
    /// How long a body may take before it must have arrived at
    /// [`Limits::SLOWEST_BODY`] bytes a second on average.
    pub body_timeout: Duration,
    /// How long a client may refuse to take bytes of an answer.
    pub write_timeout: Duration,
    /// Most requests that wait for the control plane at one time; one more is answered with 503.
    pub control_requests: usize,
    /// How long the control plane may take to begin an answer, and to go on with one.
    pub control_timeout: Duration,
    /// What one body may hold.
    pub protocol: tidegate_protocol::Limits,
}

/// A limit by its name: what it bounds, and how it is read and set.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The name in settings and messages.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    read: fn(&Limits) -> f64,
    write: fn(&mut Limits, f64),
}

mod count {
    pub fn read(value: usize) -> f64 {
        value as f64
    }
    // In range: checked by whoever sets.
    pub fn write(value: f64) -> usize {
        value as usize
    }
}

mod time {
    use std::time::Duration;

    /// No time may be longer: a year.
    const LONGEST_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

    pub fn read(value: Duration) -> f64 {
        value.as_secs_f64()
    }
    pub fn write(value: f64) -> Duration {
        Duration::from_secs_f64(value.min(LONGEST_SECONDS))
    }
}

macro_rules! limits {
    ($($name:literal $unit:ident $($field:ident).+, $summary:literal;)*) => {
        /// Every limit that has a name.
        pub const TABLE: &[Limit] = &[$(Limit {
            name: $name,
            summary: $summary,
            read: |limits| $unit::read(limits.$($field).+),
            write: |limits, value| limits.$($field).+ = $unit::write(value),
        }),*];
    };
}

impl Limits {
    /// Bytes a second below which a client that sends a body counts as stuck.
    pub const SLOWEST_BODY: u64 = 16 * 1024;

    limits! {
        "body_bytes" count body_bytes, "Most bytes of one body, also after decompression; 413. Rows in JSON above 1 MiB are streamed instead.";
        "header_bytes" count header_bytes, "Most bytes of the names and values of one request's headers; 431.";
        "connections" count connections, "Most open connections, for HTTP and gRPC together; one more is told 503 (gRPC: `GOAWAY`) and closed.";
        "streams" count streams, "Most requests under way on one gRPC connection; a client keeps further ones back.";
        "head_timeout" time head_timeout, "Seconds for the head of a request, from its first byte; a TLS handshake counts.";
        "idle_timeout" time idle_timeout, "Seconds of rest between two requests.";
        "body_timeout" time body_timeout, "Seconds for a body; after them it must have come at 16 KiB/s on average.";
        "write_timeout" time write_timeout, "Seconds in which a client takes nothing of its answer.";
        "control_requests" count control_requests, "Most requests that wait for the control plane at one time; 503.";
        "control_timeout" time control_timeout, "Seconds for the control plane's beginning and each pause of its answer; 503.";
        "rows" count protocol.rows, "Most rows of one request; 413.";
        "tensors" count protocol.tensors, "Most input tensors of one request, and most requested outputs; 413.";
        "elements" count protocol.elements, "Most elements of one request, all tensors together; 413.";
        "dimensions" count protocol.dimensions, "Most dimensions of a tensor; 413.";
        "parameters" count protocol.parameters, "Most parameters of one object; 413.";
        "depth" count protocol.depth, "Deepest nesting of JSON; the reader itself goes no deeper than 100; 413.";
    }

    /// One sentence where headers are too large.
    #[must_use]
    pub fn header_excess(&self, headers: &HeaderMap) -> Option<String> {
        let limit = self.header_bytes;
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        (bytes > limit).then(|| {
            format!("the headers hold {bytes} bytes, above the limit header_bytes of {limit}: send fewer")
        })
    }

    /// Sets a limit by its name; times are in seconds.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown name, or a value that is not above 0.
    pub fn set(&mut self, name: &str, value: f64) -> Result<()> {
        if !(value > 0.0 && value <= u32::MAX.into()) {
            return Err(Error::invalid(format!(
                "limit {name} is {value}: give a number above 0"
            )));
        }
        let Some(limit) = Self::TABLE.iter().find(|limit| limit.name == name) else {
            let names: Vec<&str> = Self::TABLE.iter().map(|limit| limit.name).collect();
            return Err(Error::invalid(format!(
                "unknown limit {name:?}: the limits are {}",
                names.join(", ")
            )));
        };
        (limit.write)(self, value);
        Ok(())
    }

    /// The value of a limit; times are in seconds.
    #[must_use]
    pub fn get(&self, limit: &Limit) -> f64 {
        (limit.read)(self)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024 * 1024,
            header_bytes: 16 * 1024,
            connections: 4096,
            streams: 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            control_requests: 64,
            control_timeout: Duration::from_secs(30),
            protocol: tidegate_protocol::Limits::default(),
        }
    }
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`; port 0 picks a free one.
    pub address: String,
    /// `host:port` for gRPC; without one, there is none.
    pub grpc_address: Option<String>,
    /// Threads of the data plane; each has its own event loop.
    pub workers: usize,
    /// The Unix socket of the control plane; without one, unknown routes are 404.
    pub control_socket: Option<PathBuf>,
    /// Answer `POST /v2/echo` with a fixed body: the floor that benchmarks compare with.
    pub echo: bool,
    /// Where the access log goes, `-` being standard output; without one there is none.
    pub access_log: Option<PathBuf>,
    /// What makes spans of requests; without one there are none.
    pub tracer: Option<Arc<Tracer>>,
    /// Bounds on clients.
    pub limits: Limits,
    /// Who is let in; by default everybody.
    pub access: Arc<Access>,
    /// Listen on addresses that other machines reach although everybody is let in.
    pub allow_anonymous: bool,
    /// The certificate; without one, connections are not encrypted.
    pub tls: Option<Arc<Tls>>,
}

impl Options {
    /// Most threads that are asked for without saying so: the model needs cores too.
    const MOST_DEFAULT_WORKERS: usize = 8;
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            address: "127.0.0.1:8080".to_owned(),
            grpc_address: None,
            workers: (cores / 2).clamp(1, Self::MOST_DEFAULT_WORKERS),
            control_socket: None,
            echo: false,
            access_log: None,
            tracer: None,
            limits: Limits::default(),
            access: Arc::default(),
            allow_anonymous: false,
            tls: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_limit_can_be_set() {
        let mut limits = Limits::default();
        for limit in Limits::TABLE {
            let name = limit.name;
            limits.set(name, 7.0).unwrap();
            assert_eq!(limits.get(limit), 7.0, "{name}");
            for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                assert!(limits.set(name, wrong).is_err(), "{name}");
            }
        }
        assert_eq!(limits.body_bytes, 7);
        assert_eq!(limits.control_timeout, Duration::from_secs(7));
        let error = limits.set("speed", 1.0).unwrap_err();
        assert!(error.message.contains("body_bytes"), "{error}");
    }
}
