//! The counters of shadows.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::shade::Totals;
use crate::exposition::quoted;
use crate::routing::Deployment;

type Read = fn(&Totals) -> &AtomicU64;
/// A further label, and the counter that it is of.
type Labelled = (&'static str, Read);

/// Name, text and counters.
const FAMILIES: [(&str, &str, &[Labelled]); 3] = [
    (
        "tidegate_shadow_copies_total",
        "Requests for a shadow: compared, failed by it, or dropped because it was behind.",
        &[
            (",outcome=\"compared\"", |totals| &totals.compared),
            (",outcome=\"failed\"", |totals| &totals.failed),
            (",outcome=\"dropped\"", |totals| &totals.dropped),
        ],
    ),
    (
        "tidegate_shadow_rows_total",
        "Rows that were answered by a shadow too.",
        &[("", |totals| &totals.rows)],
    ),
    (
        "tidegate_shadow_disagreements_total",
        "Rows whose decision was another one by the shadow.",
        &[("", |totals| &totals.disagreements)],
    ),
];

fn labels(model: &str, version: &str) -> String {
    format!(
        "model=\"{}\",version=\"{}\"",
        quoted(model),
        quoted(version)
    )
}

/// The families of shadows, in the text format of Prometheus; nothing where there are none.
pub(crate) fn render(deployed: &[Arc<Deployment>]) -> String {
    let shades: Vec<_> = deployed
        .iter()
        .filter_map(|one| Some((one.name(), one.comparison()?.shade()?)))
        .collect();
    let mut page = String::new();
    if shades.is_empty() {
        return page;
    }
    for (name, help, samples) in FAMILIES {
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} counter");
        for (model, shade) in &shades {
            for (more, read) in samples {
                let value = read(shade.totals()).load(Relaxed);
                let labels = labels(model, shade.version());
                let _ = writeln!(page, "{name}{{{labels}{more}}} {value}");
            }
        }
    }
    let name = "tidegate_shadow_seconds_total";
    let _ = writeln!(
        page,
        "# HELP {name} Seconds in which a shadow computed copies.\n# TYPE {name} counter"
    );
    for (model, shade) in &shades {
        let seconds = shade.totals().nanoseconds.load(Relaxed) as f64 / 1e9;
        let _ = writeln!(
            page,
            "{name}{{{}}} {seconds}",
            labels(model, shade.version())
        );
    }
    page
}
