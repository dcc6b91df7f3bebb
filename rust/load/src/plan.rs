//! What load to make.

use serde::Deserialize;
use tidegate_schema::{Error, Result};

use crate::Expect;

/// The most connections of one generator: beyond it, file descriptors run out first.
pub const MAX_CONNECTIONS: usize = 4_096;

/// The longest run, so that a mistyped number does not run for ever.
pub const MAX_SECONDS: f64 = 3_600.0;

/// The highest rate of an open loop; a backlog of intended times is bounded by it.
const MAX_RATE: f64 = 2_000_000.0;

/// How the requests of an open loop are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independent clients: exponential gaps.
    #[default]
    Poisson,
    /// A metronome.
    Constant,
}

/// What an open loop does with a request that is due while no connection is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// Sends it on the next free connection, late: its latency counts from the moment it was due.
    #[default]
    Wait,
    /// Gives it up and counts it: for loads above what the server can bear, where a backlog in the
    /// client would hide what the server does.
    Drop,
}

/// How an answer holds the numbers that are expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As a JSON array.
    #[default]
    Json,
    /// As its last bytes: little-endian FP32, as binary tensors are sent.
    Fp32,
}

/// One request body and the answer that is due.
#[derive(Clone, Debug)]
pub struct Case {
    /// The bytes to send.
    pub body: Vec<u8>,
    /// What must come back.
    pub expect: Expect,
}

/// A run of load against one address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// `host:port`.
    pub address: String,
    /// The HTTP method.
    pub method: String,
    /// The request target.
    pub path: String,
    /// Further header fields; `Host`, `Content-Length` and, unless given here, `Content-Type` are
    /// added.
    pub headers: Vec<(String, String)>,
    /// Connections kept open, each with one request at a time.
    pub connections: usize,
    /// How long answers are counted.
    pub seconds: f64,
    /// How long answers are checked, but not counted, before that.
    pub warmup_seconds: f64,
    /// Ends the run when so many answers are counted.
    pub requests: Option<u64>,
    /// Requests a second of an open loop, whose latencies are measured from the moment at which
    /// the request was due, not from the moment a connection was free. None is a closed loop: a
    /// connection sends when it has its answer.
    pub rate: Option<f64>,
    /// How an open loop spreads its requests.
    pub arrivals: Arrivals,
    /// What an open loop does with a request that is due while no connection is free.
    pub late: Late,
    /// Answers that took no longer are counted apart, as those within an objective.
    pub within_seconds: Option<f64>,
    /// After which an unanswered request is an error.
    pub timeout_seconds: f64,
    /// The core to run on; none leaves it to the system.
    pub cpu: Option<usize>,
    /// Of the order of bodies and of the gaps.
    pub seed: u64,
    /// Where expected numbers stand in an answer: texts to be found one after the other, then an
    /// array.
    pub numbers_after: Vec<String>,
    /// How an answer holds them.
    pub form: Form,
    /// Relative tolerance of expected numbers.
    pub rtol: f64,
    /// Absolute tolerance of expected numbers.
    pub atol: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            address: String::new(),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            connections: 1,
            seconds: 5.0,
            warmup_seconds: 0.5,
            requests: None,
            rate: None,
            arrivals: Arrivals::Poisson,
            late: Late::Wait,
            within_seconds: None,
            timeout_seconds: 10.0,
            cpu: None,
            seed: 1,
            numbers_after: vec!["\"data\"".to_owned()],
            form: Form::Json,
            rtol: 1e-4,
            atol: 1e-5,
        }
    }
}

impl Plan {
    /// Reads a plan from JSON; absent fields take their defaults.
    ///
    /// # Errors
    /// On unknown fields, wrong types, or values out of range.
    pub fn from_json(json: &str) -> Result<Self> {
        let plan: Self = serde_json::from_str(json)
            .map_err(|error| Error::invalid(format!("the plan cannot be read: {error}")))?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the field, its value and what is possible.
    pub fn check(&self) -> Result<()> {
        if self.address.is_empty() {
            return Err(Error::invalid("address is empty: give \"host:port\""));
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            let given = self.connections;
            return Err(Error::invalid(format!(
                "connections is {given}: give 1 to {MAX_CONNECTIONS}"
            )));
        }
        for (name, value, least, most) in [
            ("seconds", self.seconds, 0.001, MAX_SECONDS),
            ("warmup_seconds", self.warmup_seconds, 0.0, MAX_SECONDS),
            ("timeout_seconds", self.timeout_seconds, 0.001, MAX_SECONDS),
            (
                "within_seconds",
                self.within_seconds.unwrap_or(1.0),
                0.000_001,
                MAX_SECONDS,
            ),
            ("rate", self.rate.unwrap_or(1.0), 0.001, MAX_RATE),
            ("rtol", self.rtol, 0.0, f64::MAX),
            ("atol", self.atol, 0.0, f64::MAX),
        ] {
            // Written so that NaN is refused.
            if !(value >= least && value <= most) {
                return Err(Error::invalid(format!(
                    "{name} is {value}: give {least} to {most}"
                )));
            }
        }
        let clean = |text: &str| !text.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0);
        let headers = self.headers.iter().flat_map(|(name, value)| [name, value]);
        for text in headers.chain([&self.method, &self.path, &self.address]) {
            if !clean(text) {
                return Err(Error::invalid(format!(
                    "{text:?} has a line break: remove it"
                )));
            }
        }
        Ok(())
    }

    /// The bytes of a request with this body.
    pub(crate) fn request(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method, self.path, self.address
        );
        let typed = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        if !body.is_empty() && !self.headers.iter().any(typed) {
            bytes.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in &self.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || self.method != "GET" {
            bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_what_is_absent() {
        let plan = Plan::from_json(r#"{"address":"127.0.0.1:1","connections":8}"#).unwrap();
        assert_eq!((plan.connections, plan.seconds, plan.rate), (8, 5.0, None));
    }

    #[test]
    fn wrong_plans_are_named() {
        for (json, word) in [
            (r#"{"address":""}"#, "address"),
            (r#"{"address":"a:1","connections":0}"#, "connections"),
            (r#"{"address":"a:1","seconds":-1}"#, "seconds"),
            (r#"{"address":"a:1","rate":0}"#, "rate"),
            (r#"{"address":"a:1","within_seconds":0}"#, "within_seconds"),
            (r#"{"address":"a:1","late":"never"}"#, "never"),
            (r#"{"address":"a:1","conections":1}"#, "conections"),
            (r#"{"address":"a:1","path":"/\r\nX: y"}"#, "line break"),
        ] {
            let message = Plan::from_json(json).unwrap_err().message;
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_request_is_complete() {
        let plan = Plan::from_json(r#"{"address":"h:1","path":"/x","headers":[["A","b"]]}"#);
        let text = String::from_utf8(plan.unwrap().request(b"{}")).unwrap();
        assert_eq!(
            text,
            "POST /x HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nA: b\r\n\
             Content-Length: 2\r\n\r\n{}"
        );
    }
}
