//! What the data plane counts about HTTP, in the Prometheus text format.
//!
//! Each worker has its own counters, which no other thread writes; they are added up when
//! somebody asks.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use crate::durations::{self, Durations};
use crate::grpc;
use crate::routes::{Route, TABLE};

/// The statuses that are counted by themselves; others are counted by their class.
const CODES: [u16; 16] = [
    200, 400, 404, 405, 408, 409, 413, 429, 431, 499, 500, 501, 502, 503, 504, 204,
];
/// The names of the classes behind [`CODES`].
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// How many places a route's requests are counted in.
const PLACES: usize = CODES.len() + CLASSES.len();

#[derive(Debug)]
struct OfRoute {
    codes: [AtomicU64; PLACES],
    durations: Durations,
}

impl OfRoute {
    fn new() -> Self {
        Self {
            codes: std::array::from_fn(|_| AtomicU64::new(0)),
            durations: Durations::default(),
        }
    }
}

/// The counters of one worker. The last route is the control plane.
#[derive(Debug)]
pub struct Counters {
    routes: Vec<OfRoute>,
    /// What was asked over gRPC.
    pub grpc: grpc::Counters,
    /// Connections taken in.
    pub accepted: AtomicU64,
    /// Connections sent away because there were too many.
    pub refused: AtomicU64,
    /// Connections ended because the client was too slow.
    pub cut: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            routes: (0..=TABLE.len()).map(|_| OfRoute::new()).collect(),
            grpc: grpc::Counters::default(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }
}

fn place(status: StatusCode) -> usize {
    let code = status.as_u16();
    CODES
        .iter()
        .position(|known| *known == code)
        .unwrap_or_else(|| CODES.len() + usize::from(code / 100).clamp(1, CLASSES.len()) - 1)
}

impl Counters {
    /// One request was answered; `None` is the control plane's route.
    pub fn answered(&self, route: Option<Route>, status: StatusCode, took: Duration) {
        let position = route.map_or(TABLE.len(), |route| route as usize);
        let Some(counters) = self.routes.get(position) else {
            return;
        };
        if let Some(code) = counters.codes.get(place(status)) {
            code.fetch_add(1, Ordering::Relaxed);
        }
        counters.durations.record(took);
    }
}

/// The sum over the workers, in the Prometheus text format. Routes never asked are left out.
#[must_use]
pub fn write<'a>(workers: impl Iterator<Item = &'a Counters> + Clone, open: usize) -> String {
    let mut out = String::with_capacity(4096);
    let sum = |pick: &dyn Fn(&Counters) -> u64| workers.clone().map(pick).sum::<u64>();
    let names = TABLE.iter().map(|entry| entry.name).chain(["control"]);
    let load = |counter: Option<&AtomicU64>| counter.map_or(0, |c| c.load(Ordering::Relaxed));

    // Writing to a `String` cannot fail, so the outcomes are dropped.
    let _ = out.write_str(
        "# HELP tidegate_http_requests_total Requests answered, by route and status.\n\
         # TYPE tidegate_http_requests_total counter\n",
    );
    for (position, route) in names.clone().enumerate() {
        for code in 0..PLACES {
            let count = sum(&|w| load(w.routes.get(position).and_then(|r| r.codes.get(code))));
            if count == 0 {
                continue;
            }
            let label = match CODES.get(code) {
                Some(code) => code.to_string(),
                None => CLASSES.get(code - CODES.len()).unwrap_or(&"").to_string(),
            };
            let _ = writeln!(
                out,
                "tidegate_http_requests_total{{route=\"{route}\",code=\"{label}\"}} {count}"
            );
        }
    }
    let _ = out.write_str(
        "# HELP tidegate_http_request_seconds Time from a request's head to its answer.\n\
         # TYPE tidegate_http_request_seconds histogram\n",
    );
    for (position, route) in names.enumerate() {
        let each = workers.clone().filter_map(|w| w.routes.get(position));
        let each = each.map(|route| &route.durations);
        let label = format!("route=\"{route}\"");
        durations::write(&mut out, "tidegate_http_request_seconds", &label, each);
    }
    for (name, help, value) in [
        (
            "accepted",
            "Connections taken in.",
            sum(&|w| load(Some(&w.accepted))),
        ),
        (
            "refused",
            "Connections sent away because there were too many.",
            sum(&|w| load(Some(&w.refused))),
        ),
        (
            "cut",
            "Connections ended because the client was too slow.",
            sum(&|w| load(Some(&w.cut))),
        ),
    ] {
        let name = format!("tidegate_http_connections_{name}_total");
        let _ = writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"
        );
    }
    let _ = writeln!(
        out,
        "# HELP tidegate_http_connections Open connections.\n\
         # TYPE tidegate_http_connections gauge\n\
         tidegate_http_connections {open}"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up() {
        let (one, two) = (Counters::default(), Counters::default());
        one.answered(
            Some(Route::Infer),
            StatusCode::OK,
            Duration::from_micros(90),
        );
        two.answered(Some(Route::Infer), StatusCode::OK, Duration::from_millis(3));
        two.answered(None, StatusCode::IM_A_TEAPOT, Duration::from_secs(9));
        let text = write([&one, &two].into_iter(), 7);
        for line in [
            "tidegate_http_requests_total{route=\"infer\",code=\"200\"} 2",
            "tidegate_http_requests_total{route=\"control\",code=\"4xx\"} 1",
            "tidegate_http_request_seconds_bucket{route=\"infer\",le=\"0.0001\"} 1",
            "tidegate_http_request_seconds_bucket{route=\"infer\",le=\"0.005\"} 2",
            "tidegate_http_request_seconds_bucket{route=\"control\",le=\"2.5\"} 0",
            "tidegate_http_request_seconds_bucket{route=\"control\",le=\"+Inf\"} 1",
            "tidegate_http_connections 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("drift"));
    }

    #[test]
    fn every_status_has_a_place() {
        for code in 100..1000 {
            assert!(place(StatusCode::from_u16(code).unwrap()) < PLACES);
        }
    }
}
