//! What a server is told when it starts. Every default of the data plane lives here.

use std::path::PathBuf;
use std::time::Duration;

use tidegate_schema::{Error, Result};

/// Bounds on what clients can make the server hold, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most bytes of one request body, after decompression; more is answered with 413.
    pub body_bytes: usize,
    /// Most bytes of the names and values of one request's headers; more is answered with 431.
    pub header_bytes: usize,
    /// Most open connections; one more is answered with 503 and closed.
    pub connections: usize,
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
}

impl Limits {
    /// Bytes a second below which a client that sends a body counts as stuck.
    pub const SLOWEST_BODY: u64 = 16 * 1024;
    /// The names that [`Limits::set`] knows.
    pub const NAMES: [&str; 9] = [
        "body_bytes",
        "header_bytes",
        "connections",
        "head_timeout",
        "idle_timeout",
        "body_timeout",
        "write_timeout",
        "control_requests",
        "control_timeout",
    ];
    /// No limit may be longer: a year.
    const LONGEST_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

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
        // Whole and in range, or cut to it: just checked.
        let count = value as usize;
        let time = Duration::from_secs_f64(value.min(Self::LONGEST_SECONDS));
        match name {
            "body_bytes" => self.body_bytes = count,
            "header_bytes" => self.header_bytes = count,
            "connections" => self.connections = count,
            "head_timeout" => self.head_timeout = time,
            "idle_timeout" => self.idle_timeout = time,
            "body_timeout" => self.body_timeout = time,
            "write_timeout" => self.write_timeout = time,
            "control_requests" => self.control_requests = count,
            "control_timeout" => self.control_timeout = time,
            _ => {
                return Err(Error::invalid(format!(
                    "unknown limit {name:?}: the limits are {}",
                    Self::NAMES.join(", ")
                )));
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024 * 1024,
            header_bytes: 16 * 1024,
            connections: 4096,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            control_requests: 64,
            control_timeout: Duration::from_secs(30),
        }
    }
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`; port 0 picks a free one.
    pub address: String,
    /// Threads of the data plane; each has its own event loop.
    pub workers: usize,
    /// The Unix socket of the control plane; without one, unknown routes are 404.
    pub control_socket: Option<PathBuf>,
    /// Answer `POST /v2/echo` with a fixed body: the floor that benchmarks compare with.
    pub echo: bool,
    /// Bounds on clients.
    pub limits: Limits,
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
            workers: (cores / 2).clamp(1, Self::MOST_DEFAULT_WORKERS),
            control_socket: None,
            echo: false,
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_limit_can_be_set() {
        let mut limits = Limits::default();
        for name in Limits::NAMES {
            limits.set(name, 7.0).unwrap();
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
