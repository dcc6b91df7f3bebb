//! What the data plane counts about gRPC, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_protocol::grpc::Code;

use super::methods::{METHODS, Method};
use crate::durations::{self, Durations};

#[derive(Debug, Default)]
struct OfMethod {
    codes: [AtomicU64; Code::ALL.len()],
    durations: Durations,
}

/// The counters of one worker, which no other thread writes.
#[derive(Debug, Default)]
pub struct Counters([OfMethod; METHODS.len()]);

impl Counters {
    /// One request was answered; a stream counts when it has begun.
    pub fn answered(&self, method: Method, code: Code, took: Duration) {
        let Some(counters) = self.0.get(method as usize) else {
            return;
        };
        let place = Code::ALL.iter().position(|known| *known == code);
        if let Some(code) = place.and_then(|place| counters.codes.get(place)) {
            code.fetch_add(1, Ordering::Relaxed);
        }
        counters.durations.record(took);
    }
}

/// The sum over the workers. Methods never asked are left out.
#[must_use]
pub fn write<'a>(workers: impl Iterator<Item = &'a Counters> + Clone) -> String {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let sum = |method: Method, pick: &dyn Fn(&OfMethod) -> u64| {
        let of_method = |worker: &'a Counters| worker.0.get(method as usize);
        workers.clone().filter_map(of_method).map(pick).sum::<u64>()
    };
    // Writing to a `String` cannot fail, so the outcomes are dropped.
    let mut out = String::from(
        "# HELP tidegate_grpc_requests_total gRPC requests answered, by method and status.\n\
         # TYPE tidegate_grpc_requests_total counter\n",
    );
    for (method, _) in METHODS {
        for (place, code) in Code::ALL.iter().enumerate() {
            let count = sum(method, &|m| m.codes.get(place).map_or(0, load));
            if count > 0 {
                let (name, code) = (method.name(), code.name());
                let _ = writeln!(
                    out,
                    "tidegate_grpc_requests_total{{method=\"{name}\",code=\"{code}\"}} {count}"
                );
            }
        }
    }
    let _ = out.write_str(
        "# HELP tidegate_grpc_request_seconds Time from a gRPC request's head to its answer.\n\
         # TYPE tidegate_grpc_request_seconds histogram\n",
    );
    for (method, _) in METHODS {
        let each = workers.clone().filter_map(|w| w.0.get(method as usize));
        let each = each.map(|method| &method.durations);
        let label = format!("method=\"{}\"", method.name());
        durations::write(&mut out, "tidegate_grpc_request_seconds", &label, each);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up() {
        let (one, two) = (Counters::default(), Counters::default());
        one.answered(Method::ModelInfer, Code::Ok, Duration::from_micros(90));
        two.answered(Method::ModelInfer, Code::Ok, Duration::from_millis(3));
        two.answered(Method::ModelInfer, Code::NotFound, Duration::from_secs(9));
        let text = write([&one, &two].into_iter());
        let name = "inference.GRPCInferenceService/ModelInfer";
        for line in [
            format!("tidegate_grpc_requests_total{{method=\"{name}\",code=\"OK\"}} 2"),
            format!("tidegate_grpc_requests_total{{method=\"{name}\",code=\"NOT_FOUND\"}} 1"),
            format!("tidegate_grpc_request_seconds_bucket{{method=\"{name}\",le=\"0.005\"}} 2"),
            format!("tidegate_grpc_request_seconds_bucket{{method=\"{name}\",le=\"+Inf\"}} 3"),
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(!text.contains("ServerLive"));
    }
}
