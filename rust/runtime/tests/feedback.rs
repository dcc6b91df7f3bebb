//! Labels meet their predictions, also in a later process, and also when files of the journal
//! have been removed on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use support::{Folder, bundle, ort};
use tidegate_protocol::feedback::{Entry, Label};
use tidegate_runtime::feedback::{ModelQuality, Outcome};
use tidegate_runtime::{Answer, CallOptions, Input, LoadOptions, Model, Options, Runtime};
use tidegate_schema::TensorData;

const NOW: f64 = 1_000_000.0;

fn start(bundle: &Path, folder: Option<&Path>, bytes: usize) -> (Arc<Runtime>, Arc<Model>) {
    let options = Options {
        clock: Arc::new(|| NOW),
        feedback_bytes: bytes,
        feedback_folder: folder.map(Path::to_owned),
        ..Options::default()
    };
    let runtime = Runtime::new(&options).unwrap();
    let load = LoadOptions {
        segment: Some("carrier".to_owned()),
        ..LoadOptions::default()
    };
    let model = runtime.load(bundle, &load).unwrap();
    (runtime, model)
}

fn predict(model: &Arc<Model>, rows: usize, seed: u64) -> Answer {
    let table = bundle::table(rows, seed, 0.0);
    let options = CallOptions::default();
    model.predict(Input::Table(table), &options).unwrap()
}

fn labels(answer: &Answer) -> Vec<i64> {
    let found = answer.outputs.iter().find(|tensor| tensor.name == "label");
    match &found.unwrap().data {
        TensorData::Int64(labels) => labels.clone(),
        other => panic!("{other:?}"),
    }
}

fn entry(answer: &Answer, row: usize, label: i64) -> Entry<'static> {
    Entry {
        prediction_id: Cow::Owned(format!("{}/{row}", answer.prediction_id)),
        label: Some(Label::Int(label)),
        metrics: BTreeMap::from([(Cow::Borrowed("revenue"), Some(row as f64))]),
    }
}

/// The figures of the one version, without what differs by the order of sums.
fn figures(quality: &ModelQuality) -> (u64, u64, Vec<Vec<f64>>, usize, usize) {
    let [version] = quality.versions.as_slice() else {
        panic!("{:?}", quality.versions)
    };
    let found = &version.quality;
    (
        found.total.predictions,
        found.total.labelled,
        found.confusion.clone(),
        found.windows.len(),
        found.segments.len(),
    )
}

#[test]
fn what_was_known_is_known_again_and_old_files_are_gone() {
    let (made, kept) = (Folder::new(), Folder::new());
    ort();
    bundle::write(made.path());
    let bytes = 2 << 20;
    let mut answers = Vec::new();
    let before = {
        let (_runtime, model) = start(made.path(), Some(kept.path()), bytes);
        for seed in 0..60 {
            let answer = predict(&model, 2_000, seed);
            let truth = labels(&answer);
            // Some labels at once, some of the call before.
            let mut entries: Vec<Entry<'_>> = (0..500)
                .map(|row| entry(&answer, row, truth[row]))
                .collect();
            if let Some((earlier, known)) = answers.last() {
                let known: &Vec<i64> = known;
                entries.extend((500..900).map(|row| entry(earlier, row, 1 - known[row])));
            }
            let received = model.feedback(&entries).unwrap();
            assert_eq!(received.labels.get(Outcome::Joined) as usize, entries.len());
            answers.push((answer, truth));
        }
        model.quality().unwrap()
    };
    assert!(before.awaiting.evicted > 0);
    let files = std::fs::read_dir(kept.path()).unwrap().count();
    assert!((3..=8).contains(&files), "{files} files");
    {
        let (_runtime, model) = start(made.path(), Some(kept.path()), bytes);
        let after = model.quality().unwrap();
        assert_eq!(figures(&after), figures(&before));
        assert_eq!(after.labels, before.labels);
        assert_eq!(after.metrics, before.metrics);
        assert_eq!(
            after.versions[0].quality.total.metrics["revenue"].count,
            before.versions[0].quality.total.metrics["revenue"].count
        );
        assert_eq!(after.awaiting.journal.unwrap().damaged_bytes, 0);
        let (last, truth) = answers.last().unwrap();
        let again: Vec<_> = (0..600).map(|row| entry(last, row, truth[row])).collect();
        let received = model.feedback(&again).unwrap();
        assert_eq!(received.labels.get(Outcome::Duplicate), 500);
        assert_eq!(received.labels.get(Outcome::Joined), 100);
        assert_eq!(received.metrics.get(Outcome::Duplicate), 500);
        let (first, truth) = &answers[0];
        let gone = model
            .feedback(&[entry(first, 1_999, truth[1_999])])
            .unwrap();
        assert_eq!(gone.labels.get(Outcome::Unknown), 1);
    }
}

#[test]
fn a_version_that_is_served_no_more_goes_on_being_labelled() {
    let (first, second) = (Folder::new(), Folder::new());
    bundle::write(first.path());
    bundle::write(second.path());
    let (runtime, old) = start(first.path(), None, 1 << 20);
    runtime.deploy("m", Arc::clone(&old), 1).unwrap();
    let answer = predict(&old, 10, 1);
    let options = LoadOptions::default();
    let new = runtime.load(second.path(), &options).unwrap();
    runtime.deploy("m", Arc::clone(&new), 2).unwrap();
    drop(old);
    let received = new.feedback(&[entry(&answer, 3, 1)]).unwrap();
    assert_eq!(received.labels.get(Outcome::Joined), 1);
    assert!(runtime.metrics().contains("tidegate_awaiting_rows 10"));
}

#[test]
fn probes_are_not_kept_and_a_closed_runtime_says_so() {
    let made = Folder::new();
    ort();
    bundle::write(made.path());
    let (runtime, model) = start(made.path(), None, 1 << 20);
    let unwatched = CallOptions {
        watch: false,
        ..CallOptions::default()
    };
    let table = bundle::table(5, 3, 0.0);
    let answer = model.predict(Input::Table(table), &unwatched).unwrap();
    let received = model.feedback(&[entry(&answer, 0, 1)]).unwrap();
    assert_eq!(received.labels.get(Outcome::Unknown), 1);
    assert_eq!(model.quality().unwrap().awaiting.rows, 0);
    runtime.close();
    assert!(model.quality().is_err());
}
