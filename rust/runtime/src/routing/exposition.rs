//! How traffic is split, as Prometheus text.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::choice::By;
use super::deployment::Deployment;
use super::plan::WHOLE;
use crate::exposition::quoted;

/// The families of routing. What was chosen is told of deployments that choose.
pub(crate) fn render(deployed: &[Arc<Deployment>]) -> String {
    let mut page = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: String| {
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
    };
    let name = "tidegate_deployment_revision";
    let mut lines = String::new();
    for deployment in deployed {
        let (model, number) = (quoted(deployment.name()), deployment.revision().number);
        let _ = writeln!(lines, "{name}{{model=\"{model}\"}} {number}");
    }
    family(
        name,
        "gauge",
        "The revision of a deployment that answers.",
        lines,
    );
    let name = "tidegate_traffic_weight";
    let mut lines = String::new();
    for deployment in deployed {
        for arm in deployment.arms() {
            let _ = writeln!(
                lines,
                "{name}{{model=\"{}\",version=\"{}\",role=\"{}\"}} {}",
                quoted(deployment.name()),
                quoted(arm.model.version()),
                arm.role.name(),
                f64::from(arm.weight) / f64::from(WHOLE)
            );
        }
    }
    family(
        name,
        "gauge",
        "The share of the traffic that a version is to get.",
        lines,
    );
    let choosing = || deployed.iter().filter(|one| one.policy().is_some());
    let name = "tidegate_routed_total";
    let mut lines = String::new();
    for deployment in choosing() {
        for arm in deployment.arms() {
            for by in By::ALL.into_iter().filter(|by| *by != By::Only) {
                let _ = writeln!(
                    lines,
                    "{name}{{model=\"{}\",version=\"{}\",by=\"{}\"}} {}",
                    quoted(deployment.name()),
                    quoted(arm.model.version()),
                    by.name(),
                    arm.chosen.get(by)
                );
            }
        }
    }
    family(
        name,
        "counter",
        "Requests by the version that was chosen and why: asked for by version, a rule, the split, an experiment, outside of the experiment.",
        lines,
    );
    let name = "tidegate_routing_keys_missing_total";
    let mut lines = String::new();
    for deployment in choosing() {
        let (model, count) = (
            quoted(deployment.name()),
            deployment.missing().load(Relaxed),
        );
        let _ = writeln!(lines, "{name}{{model=\"{model}\"}} {count}");
    }
    family(
        name,
        "counter",
        "Requests that came without the key that they are split by.",
        lines,
    );
    page
}
