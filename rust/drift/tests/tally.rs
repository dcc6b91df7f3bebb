//! Samples of versions: parts merged are the whole, what is written is read back, memory is bounded.
//!
//! `TIDEGATE_BLESS=1 cargo test -p tidegate-drift --test tally` writes the golden file; do that only
//! for a new form, never to make a changed one pass.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use tidegate_drift::BaselineBuilder;
use tidegate_drift::quality::Task;
use tidegate_drift::sequential::{Mean, Stream};
use tidegate_drift::tally::{
    Answered, Cells, Observe, Pairing, Pairs, Part, SEGMENTS, Sample, Samples, Scope, Segments,
    Shadowed, Tally,
};
use tidegate_schema::{DType, Field, Schema, Table, TableBuf};

fn inputs() -> Schema {
    Schema::new(vec![
        Field::nullable("distance", DType::Float64),
        Field::nullable("origin", DType::String),
    ])
    .unwrap()
}

fn outputs() -> Schema {
    Schema::new(vec![
        Field::nullable("label", DType::Int64),
        Field::nullable("probabilities[1]", DType::Float64),
    ])
    .unwrap()
}

/// A request: rows of distance, origin and score, its latency, and a label and a revenue of each row
/// that may come later.
#[derive(Clone, Debug)]
struct Request {
    rows: Vec<(Option<f64>, Option<&'static str>, Option<f64>)>,
    latency: f64,
    label: Option<bool>,
    revenue: f64,
}

/// What happens to a version.
#[derive(Clone, Debug)]
enum Event {
    Answered(Vec<Request>),
    Failed(&'static str),
    Refused(Option<&'static str>),
}

fn tables(requests: &[Request]) -> (TableBuf, TableBuf) {
    let (mut features, mut answers) = (TableBuf::new(&inputs(), 0), TableBuf::new(&outputs(), 0));
    for (distance, origin, score) in requests.iter().flat_map(|request| &request.rows) {
        match distance {
            Some(value) => features.columns[0].push_f64(*value).unwrap(),
            None => features.columns[0].push_null(),
        }
        match origin {
            Some(value) => features.columns[1].push_str(value).unwrap(),
            None => features.columns[1].push_null(),
        }
        match score {
            Some(value) => {
                answers.columns[0]
                    .push_i64(i64::from(*value > 0.5))
                    .unwrap();
                answers.columns[1].push_f64(*value).unwrap();
            }
            None => {
                answers.columns[0].push_null();
                answers.columns[1].push_null();
            }
        }
    }
    (features, answers)
}

fn task() -> Task {
    Task::Classification {
        classes: vec![json!(0), json!(1)],
        probabilities: true,
    }
}

fn scope() -> Arc<Scope> {
    let rows: Vec<Request> = (0..60)
        .map(|row| Request {
            rows: vec![(
                Some(f64::from(row * 37 % 50)),
                Some(["EWR", "EWR", "EWR", "JFK", "JFK", "LGA"][row as usize % 6]),
                Some(f64::from(row) / 60.0),
            )],
            latency: 0.0,
            label: None,
            revenue: 0.0,
        })
        .collect();
    let (features, answers) = tables(&rows);
    let columns = [features.columns, answers.columns].concat();
    let mut builder = BaselineBuilder::new(&inputs(), &outputs()).unwrap();
    builder
        .update(&TableBuf { columns }.view().unwrap())
        .unwrap();
    let baseline = Arc::new(builder.finish().unwrap());
    let asked: Observe = serde_json::from_value(json!({
        "quantiles": [0.5, 0.99],
        "segment": "origin",
        "metrics": [{"name": "revenue", "low": 0, "high": 100}],
    }))
    .unwrap();
    let cells = Cells::new(baseline, Some("probabilities[1]"));
    Arc::new(Scope::new(asked, Some(cells), true, Some(task())).unwrap())
}

fn segments(scope: &Scope) -> Segments {
    let baseline = scope.cells().map(|cells| &**cells.baseline());
    Segments::new("origin", baseline)
}

fn count(tally: &mut Tally, events: &[Event]) {
    let mut segments = segments(tally.scope());
    for event in events {
        match event {
            Event::Answered(requests) => {
                let (features, answers) = tables(requests);
                let view = features.view().unwrap();
                let origin = &view.columns()[1];
                let places: Vec<usize> = (0..view.rows())
                    .map(|row| segments.of(origin, row))
                    .collect();
                let sizes: Vec<(usize, Option<f64>)> = requests
                    .iter()
                    .map(|request| (request.rows.len(), Some(request.latency)))
                    .collect();
                tally
                    .answered(&Answered {
                        requests: &sizes,
                        features: Some(&view),
                        prediction: Some(&answers.columns[1].view()),
                        segments: Some((&segments, &places)),
                    })
                    .unwrap();
                for request in requests {
                    for (_, origin, score) in &request.rows {
                        let place = segments.place(*origin);
                        let name = Some(segments.named(place));
                        let score = score.unwrap_or(f64::NAN);
                        if let Some(label) = request.label {
                            let row = [f64::from(u8::from(score > 0.5)), score];
                            tally.labelled(&row, f64::from(u8::from(label)), name);
                        }
                        tally.measured("revenue", request.revenue, name);
                        tally.measured("unasked", request.revenue, name);
                    }
                }
            }
            Event::Failed(origin) => {
                let place = segments.place(Some(origin));
                tally.failed(Some(segments.named(place)));
            }
            Event::Refused(origin) => tally.refused(*origin),
        }
    }
}

fn counted(scope: &Arc<Scope>, events: &[Event]) -> Sample {
    let mut tally = Tally::new(Arc::clone(scope));
    count(&mut tally, events);
    tally.sample().clone()
}

fn event() -> impl Strategy<Value = Event> {
    let origin = || prop::sample::select(vec!["EWR", "JFK", "LGA", "SFO", "(other)"]);
    let row = (
        prop::option::of(prop_oneof![-10.0..80.0f64, Just(f64::NAN)]),
        prop::option::of(origin()),
        prop::option::of(prop_oneof![0.0..1.0f64, Just(f64::NAN)]),
    );
    let request = (
        prop::collection::vec(row, 1..4),
        0.0..0.2f64,
        prop::option::of(any::<bool>()),
        -10.0..120.0f64,
    );
    let request = request.prop_map(|(rows, latency, label, revenue)| Request {
        rows,
        latency,
        label,
        revenue,
    });
    prop_oneof![
        4 => prop::collection::vec(request, 1..5).prop_map(Event::Answered),
        1 => origin().prop_map(Event::Failed),
        1 => prop::option::of(origin()).prop_map(Event::Refused),
    ]
}

/// Sums of floats depend on their order in the last digits.
fn near(a: Option<&Mean>, b: Option<&Mean>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let (x, y) = (a.estimate(), b.estimate());
            a.rows() == b.rows()
                && a.clipped() == b.clipped()
                && x.zip(y).is_none_or(|(x, y)| (x - y).abs() < 1e-9)
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn alike(a: &Part, b: &Part) -> bool {
    let cells = |part: &Part| part.prediction.as_ref().map(|found| found.cells.clone());
    let score = |part: &Part| {
        part.prediction
            .as_ref()
            .and_then(|found| found.mean.clone())
    };
    (a.requests, a.errors, a.refused) == (b.requests, b.errors, b.refused)
        && a.latency == b.latency
        && cells(a) == cells(b)
        && near(score(a).as_ref(), score(b).as_ref())
        && a.quality.error == b.quality.error
        && near(a.quality.brier.as_ref(), b.quality.brier.as_ref())
        && near(a.quality.log_loss.as_ref(), b.quality.log_loss.as_ref())
        && a.metrics.keys().eq(b.metrics.keys())
        && a.metrics
            .iter()
            .all(|(name, mean)| near(Some(mean), b.metrics.get(name)))
}

fn same(a: &Sample, b: &Sample) -> bool {
    alike(&a.whole, &b.whole)
        && a.features == b.features
        && a.segments.keys().eq(b.segments.keys())
        && a.segments
            .iter()
            .all(|(name, part)| alike(part, &b.segments[name]))
}

proptest! {
    #[test]
    fn parts_merged_are_the_whole(
        events in prop::collection::vec(event(), 0..12),
        at in 0.0..1.0f64,
        then in 0.0..1.0f64,
    ) {
        let scope = scope();
        let (first, rest) = events.split_at((at * events.len() as f64) as usize);
        let (second, third) = rest.split_at((then * rest.len() as f64) as usize);
        let whole = counted(&scope, &events);
        let [a, b, c] = [first, second, third].map(|part| counted(&scope, part));
        let mut left = a.clone();
        left.merge(&b).unwrap();
        left.merge(&c).unwrap();
        let mut right = c;
        right.merge(&a).unwrap();
        right.merge(&b).unwrap();
        prop_assert!(same(&left, &whole), "{left:?} {whole:?}");
        prop_assert!(same(&right, &whole));
        // Each row is in one segment: they add up.
        let requests: u64 = whole.segments.values().map(|part| part.requests).sum();
        prop_assert_eq!(requests, whole.whole.requests);
        let cells = |part: &Part| part.prediction.clone().unwrap().cells;
        let mut sum = vec![0; cells(&whole.whole).len()];
        for part in whole.segments.values() {
            sum.iter_mut().zip(cells(part)).for_each(|(sum, more)| *sum += more);
        }
        prop_assert_eq!(sum, cells(&whole.whole));
        prop_assert_eq!(Sample::from_json(&whole.to_json()).unwrap(), whole);
    }
}

#[test]
fn a_row_without_a_value_is_counted_as_missing_and_enters_no_mean() {
    let scope = scope();
    let missing = Request {
        rows: vec![
            (None, None, None),
            (Some(f64::NAN), Some("EWR"), Some(f64::NAN)),
        ],
        latency: f64::NAN,
        label: Some(true),
        revenue: f64::NAN,
    };
    let sample = counted(&scope, &[Event::Answered(vec![missing])]);
    let prediction = sample.whole.prediction.unwrap();
    assert_eq!(prediction.cells.last(), Some(&2));
    assert_eq!(prediction.mean.unwrap().rows(), 0);
    assert_eq!(sample.features["distance"].last(), Some(&2));
    assert_eq!(sample.whole.quality.error.unwrap().rows(), 0);
    assert_eq!(sample.whole.metrics["revenue"].rows(), 0);
    assert_eq!(sample.whole.requests, 1);
    assert!(sample.whole.latency.values().all(|found| found.rows() == 0));
    assert!(sample.segments.keys().eq(["(missing)", "EWR"]));
}

#[test]
fn memory_is_bounded_by_segments_and_by_sketches() {
    let asked: Observe = serde_json::from_value(json!({"segment": "flight"})).unwrap();
    let scope = Arc::new(Scope::new(asked, None, false, None).unwrap());
    let mut tally = Tally::new(scope);
    let mut segments = Segments::new("flight", None);
    let mut most = 0;
    for turn in 0..60 {
        let places: Vec<usize> = (0..1_000)
            .map(|row| segments.place(Some(&format!("{}", row % 400))))
            .collect();
        let requests: Vec<(usize, Option<f64>)> = (0..1_000)
            .map(|row| (1, Some(f64::from(turn * 1_000 + row) * 1e-6)))
            .collect();
        tally
            .answered(&Answered {
                requests: &requests,
                features: None,
                prediction: None,
                segments: Some((&segments, &places)),
            })
            .unwrap();
        if turn == 30 {
            most = tally.sample().to_json().len();
        }
    }
    let sample = tally.sample();
    // Without rows that miss a value: the others, and the rest.
    assert_eq!(sample.segments.len(), SEGMENTS);
    assert_eq!(sample.whole.requests, 60_000);
    assert_eq!(sample.whole.prediction, None);
    assert!(sample.features.is_empty());
    assert!(
        sample.to_json().len() < 2 * most && most < 1_000_000,
        "{most}"
    );
}

#[test]
fn other_cells_and_other_ranges_are_not_merged() {
    let scope = scope();
    let mut sample = counted(&scope, &[]);
    let mut other = sample.clone();
    other.whole.prediction.as_mut().unwrap().cells.push(0);
    assert!(sample.merge(&other).unwrap_err().message.contains("cells"));
    let mut other = sample.clone();
    let mean = Mean::new(0.0, 1.0).unwrap();
    other.whole.metrics.insert("revenue".to_owned(), mean);
    assert!(sample.merge(&other).unwrap_err().message.contains("range"));
    let table = counted(&scope, &[]);
    let mut tally = Tally::new(scope);
    let one = TableBuf::new(&outputs(), 0);
    let columns = vec![one.columns[0].view()];
    let refused = tally.answered(&Answered {
        requests: &[(0, Some(0.1))],
        features: Some(&Table::new(columns, 0).unwrap()),
        prediction: None,
        segments: None,
    });
    assert!(refused.unwrap_err().message.contains("columns"));
    assert_eq!(tally.sample().whole.requests, table.whole.requests + 1);
}

fn samples() -> Samples {
    let scope = scope();
    let request = |row: u32| Request {
        rows: vec![(
            (!row.is_multiple_of(7)).then_some(f64::from(row)),
            (!row.is_multiple_of(5)).then_some(["EWR", "JFK", "SFO"][row as usize % 3]),
            Some(f64::from(row % 10) / 10.0),
        )],
        latency: f64::from(row) * 0.001,
        label: row.is_multiple_of(2).then_some(row.is_multiple_of(3)),
        revenue: f64::from(row),
    };
    let some = |from: u32, to: u32| Event::Answered((from..to).map(request).collect());
    let stable = [some(0, 12), Event::Failed("JFK"), Event::Refused(None)];
    let mut pairs = Pairs::new(true);
    pairs.update(&Pairing::Decisions {
        same: Some(false),
        live: &[0.25],
        shadow: &[0.75],
    });
    (pairs.shadow_errors, pairs.live_errors, pairs.dropped) = (1, 2, 3);
    Samples {
        deployment: "flight-delay".to_owned(),
        revision: 7,
        began: 1_000.0,
        until: 1_030.5,
        arms: [
            ("1.0.0".to_owned(), counted(&scope, &stable)),
            ("1.1.0".to_owned(), counted(&scope, &[some(12, 15)])),
        ]
        .into(),
        shadow: Some(Shadowed {
            version: "1.2.0".to_owned(),
            live: counted(&scope, &[some(3, 5)]),
            shadow: counted(&scope, &[some(4, 6)]),
            pairs,
        }),
    }
}

#[test]
fn samples_1() {
    let path = format!(
        "{}/../../tests/golden/drift/samples-1.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let found = samples().to_json();
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, found);
    assert_eq!(Samples::from_json(&text).unwrap(), samples());
}

#[test]
fn samples_of_replicas_add_up_and_those_of_other_plans_are_refused() {
    let (mut all, one) = (samples(), samples());
    all.merge(&one).unwrap();
    let requests = |samples: &Samples, version: &str| samples.arms[version].whole.requests;
    assert_eq!(requests(&all, "1.0.0"), 2 * requests(&one, "1.0.0"));
    assert_eq!(all.shadow.as_ref().unwrap().pairs.dropped, 6);
    let mut next = samples();
    next.revision = 8;
    assert!(
        all.merge(&next)
            .unwrap_err()
            .message
            .contains("different plans")
    );
    let mut shadow = samples();
    shadow.shadow.as_mut().unwrap().version = "2.0.0".to_owned();
    assert!(all.merge(&shadow).is_err());
}

#[test]
fn what_was_edited_or_is_newer_is_refused() {
    let text = samples().to_json();
    for (from, to) in [
        ("\"format\":1", "\"format\":2"),
        ("\"errors\":1", "\"errors\":100"),
        ("\"refused\":1", "\"refuse\":1"),
        ("\"log_loss\"", "\"loss\""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(Samples::from_json(&changed).is_err(), "{from}");
    }
    assert!(Samples::from_json(&text[..text.len() - 1]).is_err());
}
