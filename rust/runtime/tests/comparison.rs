//! What is counted of versions that share traffic: each request once, of the version and the revision that
//! answered it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{Doubler, Folder, bundle, ort, rows};
use tidegate_drift::sequential::Stream;
use tidegate_drift::tally::{Part, Samples};
use tidegate_protocol::feedback::{Entry, Label};
use tidegate_runtime::feedback::Outcome;
use tidegate_runtime::{Answer, CallOptions, Direct, Input, LoadOptions, Model, Options, Runtime};
use tidegate_schema::{ColumnBuf, DType, ErrorKind, TableBuf};

fn runtime(folder: Option<&Path>) -> Arc<Runtime> {
    let options = Options {
        clock: Arc::new(|| 1_000.0),
        feedback_folder: folder.map(Path::to_owned),
        ..Options::default()
    };
    Runtime::new(&options).unwrap()
}

/// Two versions of the tiny bundle, loaded.
struct Versions {
    folders: Vec<(Folder, String)>,
}

impl Versions {
    fn new() -> Self {
        ort();
        let folders = ["1.0.0", "1.1.0"].map(|version| {
            let folder = Folder::new();
            let digest = bundle::write_version(folder.path(), version, None);
            (folder, digest)
        });
        Self {
            folders: folders.into(),
        }
    }

    fn load(&self, runtime: &Runtime) -> Vec<Arc<Model>> {
        let load = |(folder, digest): &(Folder, String)| {
            let options = LoadOptions {
                digest: Some(digest.clone()),
                ..LoadOptions::default()
            };
            runtime.load(folder.path(), &options).unwrap()
        };
        self.folders.iter().map(load).collect()
    }
}

fn plan(weights: [u32; 2], observe: Value) -> String {
    json!({
        "arms": [
            {"version": "1.0.0", "weight": weights[0], "role": "stable"},
            {"version": "1.1.0", "weight": weights[1], "role": "candidate"},
        ],
        "observe": observe,
    })
    .to_string()
}

fn observed() -> Value {
    json!({
        "quantiles": [0.5, 0.99], "segment": "carrier",
        "metrics": [{"name": "revenue", "low": 0, "high": 10}],
    })
}

fn ask(runtime: &Runtime, version: &str, table: TableBuf) -> Answer {
    let choice = runtime.choose("m", Some(version), &Direct::new(runtime.ids(), None));
    let choice = choice.unwrap();
    let options = CallOptions {
        routed: Some(choice.routed().clone()),
        ..CallOptions::default()
    };
    let model = choice.routed().model();
    model.predict(Input::Table(table), &options).unwrap()
}

fn samples(runtime: &Runtime, revision: Option<u64>) -> Samples {
    Samples::from_json(&runtime.samples("m", revision).unwrap()).unwrap()
}

fn cells(part: &Part) -> u64 {
    part.prediction.as_ref().unwrap().cells.iter().sum()
}

/// Rows that the model has a probability for: it has none without a carrier.
fn known(rows: usize, seed: u64) -> TableBuf {
    let mut table = bundle::table(rows, seed, 0.0);
    let mut carrier = ColumnBuf::new(DType::String, rows);
    (0..rows).for_each(|_| carrier.push_str("UA").unwrap());
    table.columns[2] = carrier;
    table
}

fn label(answer: &Answer, row: usize) -> Entry<'static> {
    Entry {
        prediction_id: Cow::Owned(format!("{}/{row}", answer.prediction_id)),
        label: Some(Label::Int(1)),
        metrics: BTreeMap::from([
            (Cow::Borrowed("revenue"), Some(4.0)),
            (Cow::Borrowed("unasked"), Some(4.0)),
        ]),
    }
}

#[test]
fn each_request_counts_for_the_version_that_answered() {
    let versions = Versions::new();
    let runtime = runtime(None);
    let models = versions.load(&runtime);
    let document = plan([9_000, 1_000], observed());
    runtime.route("m", 3, &document, models.clone()).unwrap();
    for seed in 0..20 {
        ask(&runtime, "1.0.0", bundle::table(3, seed, 0.0));
    }
    let answer = ask(&runtime, "1.1.0", known(5, 99));
    let received = models[0].feedback(&[label(&answer, 0), label(&answer, 4)]);
    assert_eq!(received.unwrap().labels.get(Outcome::Joined), 2);

    let found = samples(&runtime, None);
    assert_eq!((found.deployment.as_str(), found.revision), ("m", 3));
    assert_eq!((found.began, found.until), (1_000.0, 1_000.0));
    let (stable, candidate) = (&found.arms["1.0.0"], &found.arms["1.1.0"]);
    assert_eq!((stable.whole.requests, candidate.whole.requests), (20, 1));
    assert_eq!((cells(&stable.whole), cells(&candidate.whole)), (60, 5));
    for level in ["0.5", "0.99"] {
        assert_eq!(stable.whole.latency[level].rows(), 20);
        assert!(stable.whole.latency[level].estimate().unwrap() > 0.0);
    }
    // A row without a probability has a cell of its own and enters no mean.
    let prediction = stable.whole.prediction.as_ref().unwrap();
    let missing = *prediction.cells.last().unwrap();
    assert!(missing > 0 && missing < 60);
    assert_eq!(prediction.mean.as_ref().unwrap().rows(), 60 - missing);
    // In the cells of one baseline, every column of the schema.
    assert!(stable.features.keys().eq(["carrier", "distance", "wind"]));
    for (name, counts) in &stable.features {
        assert_eq!(counts.iter().sum::<u64>(), 60, "{name}");
        assert_eq!(counts.len(), candidate.features[name].len());
    }
    // Each row in one segment, each request in one.
    assert!(stable.segments.keys().eq(["(missing)", "AA", "UA"]));
    let sum = |read: fn(&Part) -> u64| stable.segments.values().map(read).sum::<u64>();
    assert_eq!((sum(|part| part.requests), sum(cells)), (20, 60));
    // Labels and named numbers, in the segment of their row.
    let quality = &candidate.whole.quality;
    assert_eq!(quality.error.unwrap().rows(), 2);
    assert_eq!(quality.brier.as_ref().unwrap().rows(), 2);
    assert_eq!(candidate.whole.metrics["revenue"].estimate(), Some(4.0));
    assert_eq!(stable.whole.quality.error.unwrap().rows(), 0);
    let labelled = candidate.segments.values();
    let labelled: u64 = labelled
        .map(|part| part.quality.error.unwrap().rows())
        .sum();
    assert_eq!(labelled, 2);
    assert_eq!(found.shadow, None);
}

#[test]
fn a_revision_begins_empty_and_late_labels_find_the_one_before() {
    let versions = Versions::new();
    let runtime = runtime(None);
    let models = versions.load(&runtime);
    let route = |revision, weights| {
        let document = plan(weights, observed());
        runtime
            .route("m", revision, &document, models.clone())
            .unwrap();
    };
    route(1, [9_000, 1_000]);
    let early = ask(&runtime, "1.1.0", known(1, 1));
    route(2, [5_000, 5_000]);
    assert_eq!(samples(&runtime, None).arms["1.1.0"].whole.requests, 0);
    let late = ask(&runtime, "1.1.0", known(1, 2));
    models[0]
        .feedback(&[label(&early, 0), label(&late, 0)])
        .unwrap();
    for revision in [1, 2] {
        let found = samples(&runtime, Some(revision));
        let candidate = &found.arms["1.1.0"].whole;
        assert_eq!((found.revision, candidate.requests), (revision, 1));
        assert_eq!(candidate.quality.error.unwrap().rows(), 1);
    }
    route(3, [0, 10_000]);
    let error = runtime.samples("m", Some(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("revision 1"), "{error}");
    assert_eq!(samples(&runtime, Some(2)).arms["1.1.0"].whole.requests, 1);
}

#[test]
fn one_version_without_a_shadow_is_not_counted() {
    let versions = Versions::new();
    let runtime = runtime(None);
    let models = versions.load(&runtime);
    runtime.deploy("m", Arc::clone(&models[0]), 1).unwrap();
    let message = runtime.samples("m", None).unwrap_err().message;
    assert!(message.contains("nothing is compared"), "{message}");
    // A rollback by hand keeps what was compared before.
    let document = plan([5_000, 5_000], observed());
    runtime.route("m", 2, &document, models.clone()).unwrap();
    ask(&runtime, "1.1.0", bundle::table(1, 2, 0.0));
    runtime.deploy("m", Arc::clone(&models[0]), 3).unwrap();
    assert!(runtime.samples("m", None).is_err());
    assert_eq!(samples(&runtime, Some(2)).arms["1.1.0"].whole.requests, 1);
}

#[test]
fn only_what_is_asked_for_is_counted() {
    let versions = Versions::new();
    let runtime = runtime(None);
    let models = versions.load(&runtime);
    let document = plan([5_000, 5_000], json!({"quantiles": [], "features": false}));
    runtime.route("m", 1, &document, models).unwrap();
    ask(&runtime, "1.0.0", bundle::table(2, 2, 0.0));
    let sample = &samples(&runtime, None).arms["1.0.0"];
    assert_eq!((sample.whole.requests, cells(&sample.whole)), (1, 2));
    assert!(sample.features.is_empty() && sample.segments.is_empty());
    assert!(sample.whole.latency.is_empty() && sample.whole.metrics.is_empty());
}

#[test]
fn what_is_refused_is_no_request() {
    let runtime = runtime(None);
    let models = ["1.0.0", "1.1.0"].map(|version| {
        let (backend, _) = Doubler::new();
        let options = LoadOptions::default();
        let loaded = runtime.load_backend("doubler", version, Box::new(backend), &options);
        loaded.unwrap()
    });
    let document = plan([5_000, 5_000], json!({}));
    runtime.route("m", 1, &document, models.to_vec()).unwrap();
    let ask = |version: &str, values: &[f32]| {
        let choice = runtime.choose("m", Some(version), &Direct::new(runtime.ids(), None));
        let choice = choice.unwrap();
        let options = CallOptions {
            routed: Some(choice.routed().clone()),
            ..CallOptions::default()
        };
        let model = choice.routed().model();
        model.predict(Input::Tensors(rows(values)), &options)
    };
    ask("1.0.0", &[1.0; 3]).unwrap();
    // Values that the backend refuses, and tensors that do not fit.
    assert_eq!(
        ask("1.0.0", &[f32::NAN; 3]).unwrap_err().kind,
        ErrorKind::InvalidInput
    );
    ask("1.0.0", &[]).unwrap_err();
    let found = samples(&runtime, None);
    let whole = &found.arms["1.0.0"].whole;
    assert_eq!((whole.requests, whole.errors, whole.refused), (1, 0, 2));
    assert_eq!(whole.prediction, None);
    assert_eq!(whole.latency["0.99"].rows(), 1);
}
