//! The metrics of all that is deployed, as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use tidegate_batching::{Reason, Statistics as BatchStatistics};
use tidegate_schema::ErrorKind;

use crate::guard::Guarded;
use crate::metrics::{Counters, EDGES, Stage};

/// What `/metrics` says of the drift of one watched column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drift {
    pub column: String,
    pub role: String,
    pub psi: f64,
    pub js: f64,
    pub alarm: bool,
}

/// One deployment, as far as metrics go.
pub(crate) struct Measured<'a> {
    pub model: &'a str,
    pub version: &'a str,
    pub counters: &'a Counters,
    pub batches: BatchStatistics,
    pub dropped: u64,
    pub drift: Vec<Drift>,
    pub guarded: Option<Guarded>,
    /// Columns that had values of a wrong type.
    pub mistyped: Vec<(String, u64)>,
}

/// A text as a label value.
pub(crate) fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Prometheus text (exposition format 0.0.4).
pub(crate) fn render(models: &[Measured<'_>]) -> String {
    let mut page = Page {
        text: String::new(),
        labels: models
            .iter()
            .map(|m| {
                format!(
                    "model=\"{}\",version=\"{}\"",
                    quoted(m.model),
                    quoted(m.version)
                )
            })
            .collect(),
    };
    page.requests(models);
    page.latencies(models);
    page.batches(models);
    page.watching(models);
    page.guarding(models);
    page.text
}

/// A family with one sample a model.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Measured<'_>) -> u64,
}

struct Page {
    text: String,
    labels: Vec<String>,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, at: usize, more: &str, value: impl std::fmt::Display) {
        let labels = self.labels.get(at).map_or("", String::as_str);
        let _ = writeln!(self.text, "{name}{{{labels}{more}}} {value}");
    }

    fn requests(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_requests_total";
        self.family(name, "counter", "Requests by outcome.");
        for (at, model) in models.iter().enumerate() {
            let ok = model.counters.succeeded.load(Relaxed);
            self.line(name, at, ",outcome=\"ok\"", ok);
            for (kind, counter) in ErrorKind::ALL.iter().zip(&model.counters.failed) {
                let count = counter.load(Relaxed);
                if count > 0 {
                    self.line(name, at, &format!(",outcome=\"{}\"", kind.name()), count);
                }
            }
        }
        let name = "tidegate_rows_total";
        self.family(name, "counter", "Rows answered.");
        for (at, model) in models.iter().enumerate() {
            self.line(name, at, "", model.counters.rows.load(Relaxed));
        }
    }

    fn latencies(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_stage_seconds";
        self.family(
            name,
            "histogram",
            "Time by stage: admit, decode, features, queue (only requests that waited), backend (one run), encode; total is from call to answer.",
        );
        for (at, model) in models.iter().enumerate() {
            for stage in Stage::ALL {
                let Some(histogram) = model.counters.stages.get(stage as usize) else {
                    continue;
                };
                let label = format!(",stage=\"{}\"", stage.name());
                let mut sum = 0;
                for (bucket, counter) in histogram.buckets.iter().enumerate() {
                    sum += counter.load(Relaxed);
                    let edge = if bucket == EDGES {
                        "+Inf".to_owned()
                    } else {
                        (f64::from(1_u32 << bucket) / 1e6).to_string()
                    };
                    let name = format!("{name}_bucket");
                    self.line(&name, at, &format!("{label},le=\"{edge}\""), sum);
                }
                let seconds = histogram.nanoseconds.load(Relaxed) as f64 / 1e9;
                self.line(&format!("{name}_sum"), at, &label, seconds);
                self.line(&format!("{name}_count"), at, &label, sum);
            }
        }
    }

    fn batches(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_batch_rows";
        self.family(name, "histogram", "Rows of a batch.");
        for (at, model) in models.iter().enumerate() {
            let mut sum = 0;
            let buckets = model.batches.batch_rows;
            for (bucket, count) in buckets.iter().enumerate() {
                sum += count;
                let edge = if bucket + 1 == buckets.len() {
                    "+Inf".to_owned()
                } else {
                    (1_u64 << bucket).to_string()
                };
                self.line(
                    &format!("{name}_bucket"),
                    at,
                    &format!(",le=\"{edge}\""),
                    sum,
                );
            }
            self.line(&format!("{name}_sum"), at, "", model.batches.rows);
            self.line(&format!("{name}_count"), at, "", sum);
        }
        self.costs(models);
        self.refusals(models);
        let families = [
            Family {
                name: "tidegate_queue_rows",
                kind: "gauge",
                help: "Rows that wait for the model.",
                value: |m| m.batches.queued_rows as u64,
            },
            Family {
                name: "tidegate_queue_bytes",
                kind: "gauge",
                help: "Bytes that wait for the model.",
                value: |m| m.batches.queued_bytes as u64,
            },
            Family {
                name: "tidegate_model_instances",
                kind: "gauge",
                help: "Batches of the model that can run at the same time.",
                value: |m| m.batches.instances as u64,
            },
            Family {
                name: "tidegate_observations_dropped_total",
                kind: "counter",
                help: "Rows not watched because the observer was behind.",
                value: |m| m.dropped,
            },
        ];
        for family in families {
            self.family(family.name, family.kind, family.help);
            for (at, model) in models.iter().enumerate() {
                self.line(family.name, at, "", (family.value)(model));
            }
        }
    }

    /// Why batches do or do not form: what a batch of each size takes.
    fn costs(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_batch_cost_seconds";
        self.family(
            name,
            "gauge",
            "What a batch of at most so many rows is held to take, learned from those that ran.",
        );
        for (at, model) in models.iter().enumerate() {
            for size in &model.batches.sizes {
                if let Some(cost) = size.cost {
                    let label = format!(",rows=\"{}\"", size.rows);
                    self.line(name, at, &label, cost.as_secs_f64());
                }
            }
        }
    }

    fn refusals(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_queue_refused_total";
        self.family(
            name,
            "counter",
            "Requests that were not executed: no room for rows or bytes, too_large, deadline or delay that cannot be kept, abandoned, closed.",
        );
        for (at, model) in models.iter().enumerate() {
            for (reason, count) in Reason::ALL.iter().zip(model.batches.refusals) {
                self.line(name, at, &format!(",reason=\"{}\"", reason.name()), count);
            }
        }
    }

    /// What the rules of bundles have seen, for models that have some.
    fn guarding(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_rule_failures_total";
        self.family(name, "counter", "Rows that broke a rule of the bundle.");
        for (at, model) in models.iter().enumerate() {
            for (rule, count) in model.guarded.iter().flat_map(|guarded| &guarded.broken) {
                self.line(name, at, &format!(",rule=\"{}\"", quoted(rule)), count);
            }
        }
        let name = "tidegate_mistyped_requests_total";
        self.family(
            name,
            "counter",
            "Requests that were refused for a value of a wrong type, by column.",
        );
        for (at, model) in models.iter().enumerate() {
            for (column, count) in &model.mistyped {
                self.line(name, at, &format!(",column=\"{}\"", quoted(column)), count);
            }
        }
        let name = "tidegate_guarded_requests_total";
        self.family(
            name,
            "counter",
            "Requests that broke a rule of the bundle and were refused or repaired.",
        );
        for (at, model) in models.iter().enumerate() {
            if let Some(guarded) = &model.guarded {
                self.line(name, at, ",action=\"rejected\"", guarded.rejected);
                self.line(name, at, ",action=\"repaired\"", guarded.repaired);
            }
        }
    }

    fn watching(&mut self, models: &[Measured<'_>]) {
        self.drift(
            models,
            "tidegate_drift_psi",
            "Population stability index of the last closed window against the baseline.",
            |drift| drift.psi,
        );
        self.drift(
            models,
            "tidegate_drift_js",
            "Jensen-Shannon distance of the last closed window from the baseline.",
            |drift| drift.js,
        );
        self.drift(
            models,
            "tidegate_drift_alarm",
            "1 while the column is beyond the tolerated distance from the baseline, as sure as was asked for.",
            |drift| f64::from(u8::from(drift.alarm)),
        );
    }

    fn drift(
        &mut self,
        models: &[Measured<'_>],
        name: &str,
        help: &str,
        value: impl Fn(&Drift) -> f64,
    ) {
        self.family(name, "gauge", help);
        for (at, model) in models.iter().enumerate() {
            for drift in &model.drift {
                let labels = format!(
                    ",column=\"{}\",role=\"{}\"",
                    quoted(&drift.column),
                    quoted(&drift.role)
                );
                self.line(name, at, &labels, value(drift));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn labels_are_escaped() {
        let counters = Counters::new();
        counters.succeeded(3, Duration::from_micros(5), 1.0);
        counters.failed(ErrorKind::InvalidInput, Duration::ZERO);
        let text = render(&[Measured {
            model: "a\"b",
            version: "1.0.0",
            counters: &counters,
            batches: BatchStatistics::default(),
            dropped: 2,
            drift: vec![Drift {
                column: "x".to_owned(),
                role: "feature".to_owned(),
                psi: 0.5,
                js: 0.25,
                alarm: true,
            }],
            guarded: None,
            mistyped: vec![("distance".to_owned(), 3)],
        }]);
        for line in [
            r#"tidegate_requests_total{model="a\"b",version="1.0.0",outcome="ok"} 1"#,
            r#"tidegate_requests_total{model="a\"b",version="1.0.0",outcome="invalid_input"} 1"#,
            r#"tidegate_rows_total{model="a\"b",version="1.0.0"} 3"#,
            r#"tidegate_observations_dropped_total{model="a\"b",version="1.0.0"} 2"#,
            r#"tidegate_mistyped_requests_total{model="a\"b",version="1.0.0",column="distance"} 3"#,
            r#"tidegate_drift_psi{model="a\"b",version="1.0.0",column="x",role="feature"} 0.5"#,
            r#"tidegate_drift_alarm{model="a\"b",version="1.0.0",column="x",role="feature"} 1"#,
            r#"tidegate_stage_seconds_bucket{model="a\"b",version="1.0.0",stage="total",le="0.000008"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
