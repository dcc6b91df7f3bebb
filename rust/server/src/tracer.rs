//! Which requests are traced, and where their spans wait to be exported.
//!
//! Whoever exports takes the spans in the JSON encoding of OTLP and says what became of them. A
//! request never waits for that: a span that finds no room is dropped and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};
use tidegate_schema::{Error, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::span::{Context, Span};
use crate::trace::Parent;

/// Most spans that wait to be exported.
const MOST_WAITING: usize = 16 * 1024;

/// Decides which requests get a span, and holds the finished ones.
#[derive(Debug)]
pub struct Tracer {
    ratio: f64,
    random: SystemRandom,
    sender: Sender<Span>,
    finished: Mutex<Receiver<Span>>,
    exported: AtomicU64,
    unqueued: AtomicU64,
    unexported: AtomicU64,
}

impl Tracer {
    /// Traces this share of the requests whose callers say nothing. A caller that sends a
    /// `traceparent` decides by its sampled flag.
    ///
    /// # Errors
    /// `InvalidInput` for a share that is not from 0 to 1.
    pub fn new(ratio: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(Error::invalid(format!(
                "ratio is {ratio}: give the share of requests that are traced, from 0 to 1"
            )));
        }
        let (sender, finished) = channel(MOST_WAITING);
        Ok(Self {
            ratio,
            random: SystemRandom::new(),
            sender,
            finished: Mutex::new(finished),
            exported: AtomicU64::new(0),
            unqueued: AtomicU64::new(0),
            unexported: AtomicU64::new(0),
        })
    }

    /// The place in its trace of a request with these headers; `None` if it is not traced.
    pub(crate) fn context(&self, headers: &HeaderMap) -> Option<Context> {
        if let Some(parent) = Parent::of(headers) {
            return Some(Context {
                trace: parent.sampled.then(|| parent.trace.to_owned())?,
                span: format!("{:016x}", self.bits()?.max(1)),
                parent: Some(parent.span.to_owned()),
            });
        }
        if self.ratio == 0.0 {
            return None;
        }
        let (high, low) = (self.bits()?, self.bits()?);
        // By the trace's last bits, as OpenTelemetry's own sampler decides.
        let place = (low >> 11) as f64 / (1_u64 << 53) as f64;
        (place < self.ratio).then_some(())?;
        Some(Context {
            trace: format!("{high:016x}{:016x}", low.max(1)),
            span: format!("{:016x}", self.bits()?.max(1)),
            parent: None,
        })
    }

    fn bits(&self) -> Option<u64> {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Hands a finished span over.
    pub(crate) fn push(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.unqueued.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the oldest finished spans, at most so many, each as OTLP writes it in JSON.
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<String> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = std::iter::from_fn(|| finished.try_recv().ok());
        spans.take(most).map(|span| span.to_json()).collect()
    }

    /// Counts spans that were taken: so many arrived, so many did not.
    pub fn count(&self, arrived: u64, lost: u64) {
        self.exported.fetch_add(arrived, Ordering::Relaxed);
        self.unexported.fetch_add(lost, Ordering::Relaxed);
    }

    /// What became of spans, in the Prometheus text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let (exported, dropped) = (
            "tidegate_trace_spans_exported_total",
            "tidegate_trace_spans_dropped_total",
        );
        format!(
            "# HELP {exported} Spans that the collector took.\n\
             # TYPE {exported} counter\n{exported} {}\n\
             # HELP {dropped} Spans that found no room or that the collector did not take.\n\
             # TYPE {dropped} counter\n\
             {dropped}{{reason=\"queue\"}} {}\n{dropped}{{reason=\"export\"}} {}\n",
            self.exported.load(Ordering::Relaxed),
            self.unqueued.load(Ordering::Relaxed),
            self.unexported.load(Ordering::Relaxed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    use crate::trace::TRACEPARENT;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn called(flags: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let text = format!("00-{TRACE}-{SPAN}-{flags}");
        headers.insert(TRACEPARENT, text.parse().unwrap());
        headers
    }

    #[test]
    fn callers_decide_for_themselves() {
        for ratio in [0.0, 1.0] {
            let tracer = Tracer::new(ratio).unwrap();
            let context = tracer.context(&called("01")).unwrap();
            assert_eq!(context.trace, TRACE);
            assert_eq!(context.parent.as_deref(), Some(SPAN));
            assert_ne!(context.span, SPAN);
            assert_eq!(tracer.context(&called("00")), None);
        }
    }

    #[test]
    fn a_share_of_the_rest_is_traced_under_new_ids() {
        let traced = |ratio: f64| {
            let tracer = Tracer::new(ratio).unwrap();
            let contexts = (0..10_000).filter_map(|_| tracer.context(&HeaderMap::new()));
            contexts.collect::<Vec<_>>()
        };
        assert!(traced(0.0).is_empty());
        // Six standard deviations to both sides.
        let some = traced(0.25).len();
        assert!((2240..=2760).contains(&some), "{some}");
        let all = traced(1.0);
        let hex = |id: &str, digits| {
            id.len() == digits
                && id.bytes().all(|b| b.is_ascii_hexdigit())
                && id != "0".repeat(digits)
        };
        for context in &all {
            assert!(
                hex(&context.trace, 32) && hex(&context.span, 16),
                "{context:?}"
            );
            assert_eq!(context.parent, None);
        }
        let traces: HashSet<&str> = all.iter().map(|context| &*context.trace).collect();
        let spans: HashSet<&str> = all.iter().map(|context| &*context.span).collect();
        assert_eq!((traces.len(), spans.len()), (10_000, 10_000));
    }

    #[test]
    fn shares_are_from_0_to_1() {
        for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Tracer::new(ratio).is_err(), "{ratio}");
        }
    }

    #[test]
    fn spans_that_find_no_room_are_counted() {
        let tracer = Tracer::new(1.0).unwrap();
        for _ in 0..MOST_WAITING + 3 {
            tracer.push(Span::example(tracer.context(&called("01")).unwrap()));
        }
        let dropped = |reason: &str, count: u64| {
            let line =
                format!("tidegate_trace_spans_dropped_total{{reason=\"{reason}\"}} {count}\n");
            assert!(tracer.metrics().contains(&line), "{}", tracer.metrics());
        };
        dropped("queue", 3);
        assert_eq!(tracer.take(10).len(), 10);
        assert_eq!(tracer.take(usize::MAX).len(), MOST_WAITING - 10);
        assert!(tracer.take(1).is_empty());
        tracer.count(5, 2);
        dropped("export", 2);
        assert!(
            tracer
                .metrics()
                .contains("tidegate_trace_spans_exported_total 5\n")
        );
    }
}
