//! Quality, labels and the store of predictions, as Prometheus text.

use std::fmt::Write;

use super::{Book, OUTCOMES};
use crate::exposition::quoted;

/// The families of quality. Models and versions are the bundles' own, since labels come for
/// versions that are deployed no more.
pub(crate) fn metrics(book: &Book) -> String {
    let (versions, tallies) = (book.summaries(), book.labels());
    let mut page = String::new();
    let mut family = |name: &str, kind: &str, help: &str| {
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        std::mem::take(&mut page)
    };
    let mut text = family(
        "tidegate_quality",
        "gauge",
        "Quality by labels, of all labelled predictions of a version.",
    );
    for (model, version, figures) in &versions {
        for (name, measure) in &figures.measures {
            if let Some(value) = measure.value {
                let labels = labels(model, version);
                let _ = writeln!(
                    text,
                    "tidegate_quality{{{labels},measure=\"{name}\"}} {value}"
                );
            }
        }
    }
    text += &family(
        "tidegate_quality_estimate",
        "gauge",
        "Quality estimated from probabilities, without labels, of all predictions of a version.",
    );
    for (model, version, figures) in &versions {
        for (name, value) in &figures.estimates {
            if let Some(value) = value {
                let labels = labels(model, version);
                let _ = writeln!(
                    text,
                    "tidegate_quality_estimate{{{labels},measure=\"{name}\"}} {value}"
                );
            }
        }
    }
    text += &family(
        "tidegate_feedback_metric",
        "gauge",
        "The mean of a number that feedback has named.",
    );
    for (model, version, figures) in &versions {
        for (name, metric) in &figures.metrics {
            if let Some(mean) = metric.mean {
                let (labels, name) = (labels(model, version), quoted(name));
                let _ = writeln!(
                    text,
                    "tidegate_feedback_metric{{{labels},metric=\"{name}\"}} {mean}"
                );
            }
        }
    }
    for (name, help, labelled) in [
        (
            "tidegate_quality_predictions_total",
            "Predictions that were kept for their labels.",
            false,
        ),
        (
            "tidegate_quality_labelled_total",
            "Predictions that have met their labels.",
            true,
        ),
    ] {
        text += &family(name, "counter", help);
        for (model, version, figures) in &versions {
            let count = if labelled {
                figures.labelled
            } else {
                figures.predictions
            };
            let _ = writeln!(text, "{name}{{{}}} {count}", labels(model, version));
        }
    }
    let name = "tidegate_feedback_labels_total";
    text += &family(
        name,
        "counter",
        "Labels that were sent, by what became of them.",
    );
    for (model, counts) in &tallies {
        for outcome in OUTCOMES {
            let _ = writeln!(
                text,
                "{name}{{model=\"{}\",outcome=\"{}\"}} {}",
                quoted(model),
                outcome.name(),
                counts.get(outcome)
            );
        }
    }
    let store = book.awaiting();
    let failures = store.journal.map_or(0, |journal| journal.failures);
    for (name, kind, help, value) in [
        (
            "tidegate_awaiting_rows",
            "gauge",
            "Predicted rows that are kept for their labels.",
            store.rows as u64,
        ),
        (
            "tidegate_awaiting_bytes",
            "gauge",
            "Bytes of the predictions that are kept for their labels.",
            store.bytes as u64,
        ),
        (
            "tidegate_awaiting_evicted_total",
            "counter",
            "Predicted rows that left without a label to make room.",
            store.evicted,
        ),
        (
            "tidegate_awaiting_journal_failures_total",
            "counter",
            "Writes of the journal of kept predictions that failed.",
            failures,
        ),
    ] {
        text += &family(name, kind, help);
        let _ = writeln!(text, "{name} {value}");
    }
    text
}

fn labels(model: &str, version: &str) -> String {
    format!(
        "model=\"{}\",version=\"{}\"",
        quoted(model),
        quoted(version)
    )
}
