//! A shadow computes copies and takes nothing from live requests, whatever it does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Doubler, Folder, WIDTH, bundle, check_doubled, ort, rows};
use tidegate_drift::sequential::Stream;
use tidegate_drift::tally::{Part, Samples, Shadowed};
use tidegate_predictionlog::PredictionId;
use tidegate_protocol::feedback::{Entry, Label};
use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::feedback::Outcome;
use tidegate_runtime::{
    Answer, CallOptions, Direct, Input, LoadOptions, Model, Options, Runtime, TensorInfo,
};
use tidegate_schema::{Error, ErrorKind, Result, Tensor, TensorData};

const WORKS: u8 = 0;
const DIFFERS: u8 = 1;
const FAILS: u8 = 2;
const PANICS: u8 = 3;
const HANGS: u8 = 4;

/// A doubler that does what it is told to.
#[derive(Clone)]
struct Moody {
    like: Arc<Mutex<Doubler>>,
    mood: Arc<AtomicU8>,
    /// Those that hang, and whether they may go on.
    gate: Arc<(Mutex<(usize, bool)>, Condvar)>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl Moody {
    fn new(mood: u8) -> Self {
        let (like, _) = Doubler::new();
        Self {
            inputs: like.inputs().to_vec(),
            outputs: like.outputs().to_vec(),
            like: Arc::new(Mutex::new(like)),
            mood: Arc::new(AtomicU8::new(mood)),
            gate: Arc::default(),
        }
    }

    fn wait_until_it_hangs(&self) {
        let (place, call) = &*self.gate;
        let place = place.lock().unwrap();
        let (place, timeout) = call
            .wait_timeout_while(place, Duration::from_secs(60), |(hanging, _)| *hanging == 0)
            .unwrap();
        drop(place);
        assert!(!timeout.timed_out());
    }

    fn let_go(&self) {
        let (place, call) = &*self.gate;
        place.lock().unwrap().1 = true;
        call.notify_all();
    }
}

impl Backend for Moody {
    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        let mut outputs = self.like.lock().unwrap().run(inputs)?;
        match self.mood.load(Ordering::SeqCst) {
            FAILS => return Err(Error::new(ErrorKind::Backend, "no mood for it")),
            PANICS => panic!("no mood for it"),
            HANGS => {
                let (place, call) = &*self.gate;
                let mut place = place.lock().unwrap();
                place.0 += 1;
                call.notify_all();
                drop(call.wait_while(place, |(_, go_on)| !*go_on).unwrap());
            }
            DIFFERS => {
                if let TensorData::Fp32(values) = &mut outputs[0].data {
                    values.iter_mut().for_each(|value| *value += 0.5);
                }
            }
            _ => {}
        }
        Ok(outputs)
    }

    fn another(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

fn document(share: u32, observe: Value) -> String {
    json!({
        "arms": [{"version": "1", "weight": 10_000, "role": "stable"}],
        "shadow": {"version": "2", "share": share},
        "observe": observe,
    })
    .to_string()
}

fn serving(mood: u8, share: u32, observe: Value) -> (Arc<Runtime>, Moody, Vec<Arc<Model>>) {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (live, shadow) = (Moody::new(WORKS), Moody::new(mood));
    let models = [("1", live), ("2", shadow.clone())].map(|(version, backend)| {
        let options = LoadOptions::default();
        let loaded = runtime.load_backend("moody", version, Box::new(backend), &options);
        loaded.unwrap()
    });
    let document = document(share, observe);
    runtime.route("m", 1, &document, models.to_vec()).unwrap();
    (runtime, shadow, models.to_vec())
}

fn ask(runtime: &Runtime, input: Input) -> Result<Answer> {
    let choice = runtime.choose("m", None, &Direct::new(runtime.ids(), None))?;
    let options = CallOptions {
        routed: Some(choice.routed().clone()),
        ..CallOptions::default()
    };
    choice.routed().model().predict(input, &options)
}

fn ask_rows(runtime: &Runtime, count: usize) {
    let values: Vec<f32> = (0..count * WIDTH).map(|value| value as f32).collect();
    let answer = ask(runtime, Input::Tensors(rows(&values))).unwrap();
    check_doubled(&answer, &values);
}

fn samples(runtime: &Runtime) -> Shadowed {
    let found = Samples::from_json(&runtime.samples("m", None).unwrap()).unwrap();
    found.shadow.unwrap()
}

/// What has been counted, once so many copies have come to their end.
fn ended(runtime: &Runtime, due: u64) -> Shadowed {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = samples(runtime);
        let done = found.live.whole.requests + found.pairs.dropped;
        if done >= due {
            return found;
        }
        assert!(Instant::now() < deadline, "{done} of {due} copies");
        std::thread::yield_now();
    }
}

#[test]
fn copies_are_compared_row_by_row() {
    for (mood, tolerance, disagree) in [(WORKS, 0.0, 0.0), (DIFFERS, 0.0, 1.0), (DIFFERS, 0.5, 0.0)]
    {
        let (runtime, ..) = serving(mood, 10_000, json!({"tolerance": tolerance}));
        for count in 1..=5 {
            ask_rows(&runtime, count);
        }
        let found = ended(&runtime, 5);
        assert_eq!(found.version, "2");
        assert_eq!((found.pairs.pairs, found.pairs.shadow_errors), (15, 0));
        assert_eq!(found.pairs.disagree.estimate(), Some(disagree));
        assert_eq!(found.pairs.difference, None);
        assert_eq!(found.shadow.whole.requests, 5);
        assert_eq!(found.shadow.whole.latency["0.99"].rows(), 5);
        assert_eq!(found.live.whole.latency["0.99"].rows(), 5);
        let page = runtime.metrics();
        let line = "tidegate_shadow_copies_total{model=\"m\",version=\"2\",outcome=\"compared\"} 5";
        assert!(page.contains(line), "{page}");
        assert!(page.contains("tidegate_shadow_rows_total{model=\"m\",version=\"2\"} 15"));
        // It is no version that gets traffic: nothing of it is among those.
        assert!(!page.contains("tidegate_requests_total{model=\"m\",version=\"2\""));
    }
}

#[test]
fn a_share_of_the_requests_is_copied_evenly() {
    let (runtime, ..) = serving(WORKS, 2_500, json!({}));
    for _ in 0..40 {
        ask_rows(&runtime, 1);
    }
    let found = ended(&runtime, 10);
    assert_eq!(found.live.whole.requests + found.pairs.dropped, 10);
    let all = Samples::from_json(&runtime.samples("m", None).unwrap()).unwrap();
    assert_eq!(all.arms["1"].whole.requests, 40);
}

#[test]
fn a_shadow_that_fails_is_counted_and_nobody_else_notices() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for mood in [FAILS, PANICS] {
        let (runtime, shadow, models) = serving(mood, 10_000, json!({}));
        for _ in 0..8 {
            ask_rows(&runtime, 2);
        }
        let found = ended(&runtime, 8);
        assert_eq!(found.pairs.shadow_errors, 8);
        assert_eq!(found.pairs.pairs, 0);
        assert_eq!(
            (found.shadow.whole.requests, found.shadow.whole.errors),
            (8, 8)
        );
        assert_eq!((found.live.whole.requests, found.live.whole.errors), (8, 0));
        // It goes on when the shadow recovers.
        shadow.mood.store(WORKS, Ordering::SeqCst);
        ask_rows(&runtime, 2);
        assert_eq!(ended(&runtime, 9).pairs.pairs, 2);
        // Live counters know nothing of it.
        assert_eq!(models[1].statistics().model.count, 0);
        assert_eq!(models[1].statistics().fail.count, 0);
    }
    std::panic::set_hook(hook);
}

#[test]
fn a_shadow_that_hangs_holds_nothing_but_its_queue() {
    let (runtime, shadow, models) = serving(HANGS, 10_000, json!({}));
    ask_rows(&runtime, 1);
    shadow.wait_until_it_hangs();
    // More than its queue holds.
    for _ in 0..40 {
        ask_rows(&runtime, 16_384);
    }
    let found = samples(&runtime);
    assert!(found.pairs.dropped > 0, "{found:?}");
    assert_eq!(found.pairs.pairs, 0);
    // Its model answers others at once, and another plan replaces this one.
    let direct = CallOptions::default();
    shadow.mood.store(WORKS, Ordering::SeqCst);
    let answer = models[1].predict(Input::Tensors(rows(&[1.0; WIDTH])), &direct);
    check_doubled(&answer.unwrap(), &[1.0; WIDTH]);
    runtime
        .route("m", 2, &document(10_000, json!({})), models)
        .unwrap();
    ask_rows(&runtime, 3);
    assert_eq!(ended(&runtime, 1).pairs.pairs, 3);
    // Nor does it hold up the end.
    shadow.mood.store(HANGS, Ordering::SeqCst);
    ask_rows(&runtime, 1);
    shadow.wait_until_it_hangs();
    runtime.close();
    shadow.let_go();
}

#[test]
fn live_failures_count_beside_the_pairs() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (live, shadow) = (Moody::new(FAILS), Moody::new(WORKS));
    let models = [("1", live), ("2", shadow)].map(|(version, backend)| {
        let options = LoadOptions::default();
        let loaded = runtime.load_backend("moody", version, Box::new(backend), &options);
        loaded.unwrap()
    });
    runtime
        .route("m", 1, &document(10_000, json!({})), models.to_vec())
        .unwrap();
    for _ in 0..3 {
        let error = ask(&runtime, Input::Tensors(rows(&[1.0; WIDTH]))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Backend);
    }
    let all = Samples::from_json(&runtime.samples("m", None).unwrap()).unwrap();
    let whole = &all.arms["1"].whole;
    assert_eq!((whole.requests, whole.errors, whole.refused), (3, 3, 0));
    let found = all.shadow.unwrap();
    assert_eq!(found.pairs.live_errors, 3);
    assert_eq!((found.live.whole.requests, found.live.whole.errors), (3, 3));
}

#[test]
fn a_backend_of_one_instance_can_be_no_shadow() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let models = ["1", "2"].map(|version| {
        let (backend, _) = Doubler::new();
        let options = LoadOptions::default();
        let loaded = runtime.load_backend("doubler", version, Box::new(backend), &options);
        loaded.unwrap()
    });
    let error = runtime
        .route("m", 1, &document(10_000, json!({})), models.to_vec())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("one instance only"), "{error}");
}

#[test]
fn a_bundle_is_shadowed_with_its_segments_and_not_watched() {
    ort();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let folders = ["1", "2"].map(|version| {
        let folder = Folder::new();
        bundle::write_version(folder.path(), version, None);
        folder
    });
    let load = |folder: &Folder| {
        runtime
            .load(folder.path(), &LoadOptions::default())
            .unwrap()
    };
    let models: Vec<Arc<Model>> = folders.iter().map(load).collect();
    let (live, shadow) = (Arc::clone(&models[0]), Arc::clone(&models[1]));
    runtime
        .route(
            "m",
            1,
            &document(10_000, json!({"segment": "carrier"})),
            models,
        )
        .unwrap();
    let ids: Vec<_> = (0..30)
        .map(|seed| {
            let table = bundle::table(2, seed, 0.0);
            ask(&runtime, Input::Table(table)).unwrap().prediction_id
        })
        .collect();
    let found = ended(&runtime, 30);
    assert_eq!(found.pairs.dropped, 0);
    assert_eq!((found.pairs.pairs, found.pairs.disagree.yes()), (60, 0));
    let difference = found.pairs.difference.unwrap();
    // Of some rows neither version has a probability: without a carrier.
    let cells = &found.live.whole.prediction.as_ref().unwrap().cells;
    let missing = *cells.last().unwrap();
    assert!(missing > 0 && missing < 60);
    assert_eq!(difference.rows(), 60 - missing);
    assert_eq!(difference.estimate(), Some(0.0));
    // The same model on the same rows: the same cells, in all and by segment.
    assert_eq!(found.live.whole.prediction, found.shadow.whole.prediction);
    assert!(found.shadow.segments.keys().eq(["(missing)", "AA", "UA"]));
    for (name, part) in &found.shadow.segments {
        assert_eq!(part.prediction, found.live.segments[name].prediction);
    }
    assert!(found.shadow.features.is_empty());
    // What the shadow answers is watched as nobody's prediction, and awaits no label.
    assert!(shadow.drift_report(None).unwrap().windows.is_empty());
    let quality = shadow.quality().unwrap();
    let of = |version: &str| {
        let mut versions = quality.versions.iter();
        versions.find(|one| one.version == version).unwrap()
    };
    assert_eq!(of("1").quality.total.predictions, 60);
    assert_eq!(of("2").quality.total.predictions, 0);

    // Labels that come late are held against what both have said of the same rows.
    let label = |id: &PredictionId, row: u32| Entry {
        prediction_id: Cow::Owned(format!("{id}/{row}")),
        label: Some(Label::Int(1)),
        metrics: BTreeMap::new(),
    };
    let labels: Vec<_> = ids
        .iter()
        .flat_map(|id| [label(id, 0), label(id, 1)])
        .collect();
    let received = live.feedback(&labels).unwrap();
    assert_eq!(received.labels.get(Outcome::Joined), 60);
    let labelled = |part: &Part| part.quality.error.map_or(0, |error| error.rows());
    let deadline = Instant::now() + Duration::from_secs(60);
    let joined = loop {
        let found = samples(&runtime);
        // Without a probability there is nothing to hold a label against.
        if labelled(&found.shadow.whole) == 60 - missing {
            break found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        std::thread::yield_now();
    };
    assert_eq!(joined.live.whole.quality, joined.shadow.whole.quality);
    for (name, part) in &joined.shadow.segments {
        assert_eq!(part.quality, joined.live.segments[name].quality);
    }
    // Once each.
    assert_eq!(
        live.feedback(&labels)
            .unwrap()
            .labels
            .get(Outcome::Duplicate),
        60
    );
    assert_eq!(labelled(&samples(&runtime).live.whole), 60 - missing);
}
