//! Quality of several replicas is that of one: merging is associative and gives the whole; and the
//! written form of a tracker.
//!
//! `TIDEGATE_BLESS=1 cargo test -p tidegate-drift --test quality` writes the golden file; do that
//! only for a new form.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_drift::quality::{Quality, Task};

/// One prediction: numbers, label if it came, named number if there was one, segment, time.
#[derive(Clone, Debug)]
struct Row {
    score: f64,
    label: Option<bool>,
    revenue: Option<f64>,
    segment: usize,
    time: f64,
}

fn task() -> Task {
    Task::Classification {
        classes: json!(["no", "yes"]).as_array().unwrap().clone(),
        probabilities: true,
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0.0..1.0_f64,
        proptest::option::weighted(0.8, any::<bool>()),
        proptest::option::weighted(0.3, 0.0..100.0_f64),
        0..4_usize,
        0.0..2_000.0_f64,
    );
    let row = row.prop_map(|(score, label, revenue, segment, time)| Row {
        score,
        label,
        revenue,
        segment,
        time,
    });
    proptest::collection::vec(row, 0..120)
}

/// All predictions, then all labels: estimates stand on the labels that a replica has had before.
fn tracker(rows: &[&Row]) -> Quality {
    let mut quality = Quality::new(task(), 100.0).unwrap();
    let numbers = |row: &Row| {
        [
            f64::from(u8::from(row.score > 0.5)),
            1.0 - row.score,
            row.score,
        ]
    };
    let mut places = Vec::new();
    for row in rows {
        let (place, _) = quality.segment(["EWR", "JFK", "LGA", "(missing)"][row.segment]);
        quality.predicted(&numbers(row), Some(place), row.time);
        places.push(place);
    }
    for (row, place) in rows.iter().zip(places) {
        if let Some(label) = row.label {
            let label = f64::from(u8::from(label));
            quality.labelled(&numbers(row), label, Some(place), row.time);
        }
        if let Some(revenue) = row.revenue {
            let (metric, _) = quality.metric("revenue").unwrap();
            quality.measured(metric, revenue, Some(place), row.time);
        }
    }
    quality
}

fn sum(parts: &[Quality]) -> Quality {
    let mut sum = Quality::new(task(), 100.0).unwrap();
    for part in parts {
        sum.merge(part).unwrap();
    }
    sum
}

/// What is reported, segments by their names: replicas meet them in other orders.
fn report(quality: &Quality) -> Value {
    let mut document = serde_json::to_value(quality.report()).unwrap();
    let segments = document["segments"].as_array().unwrap().clone();
    let named: BTreeMap<String, Value> = segments
        .into_iter()
        .map(|segment| (segment["segment"].as_str().unwrap().to_owned(), segment))
        .collect();
    document["segments"] = json!(named);
    document
}

/// The report without the intervals of mean losses: a bet stands on the rows that its replica had
/// before, so that they hold whoever had which rows, and are not the same.
fn without_bets(mut document: Value) -> Value {
    fn clear(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for loss in ["log_loss", "brier"] {
                    if let Some(Value::Object(measure)) = map.get_mut(loss) {
                        measure.remove("interval");
                    }
                }
                map.values_mut().for_each(clear);
            }
            Value::Array(values) => values.iter_mut().for_each(clear),
            _ => {}
        }
    }
    clear(&mut document);
    document
}

/// Equal but for the rounding of sums.
fn alike(a: &Value, b: &Value, place: &str) -> Result<(), String> {
    let fault = || Err(format!("{place}: {a} and {b}"));
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            if (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0) {
                Ok(())
            } else {
                fault()
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => x
            .iter()
            .zip(y)
            .enumerate()
            .try_for_each(|(at, (x, y))| alike(x, y, &format!("{place}[{at}]"))),
        (Value::Object(x), Value::Object(y)) if x.len() == y.len() => {
            x.iter().try_for_each(|(key, x)| match y.get(key) {
                Some(y) => alike(x, y, &format!("{place}.{key}")),
                None => fault(),
            })
        }
        (x, y) if x == y => Ok(()),
        _ => fault(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merging_is_associative_and_gives_the_whole(
        rows in rows(), owners in proptest::collection::vec(0..3_usize, 120),
    ) {
        let all: Vec<&Row> = rows.iter().collect();
        let parts: Vec<Quality> = (0..3)
            .map(|replica| {
                let own = rows.iter().zip(&owners).filter(|(_, owner)| **owner == replica);
                tracker(&own.map(|(row, _)| row).collect::<Vec<_>>())
            })
            .collect();
        let whole = without_bets(report(&tracker(&all)));
        let [a, b, c] = &parts[..] else { unreachable!() };
        let left = sum(&[sum(&[a.clone(), b.clone()]), c.clone()]);
        let right = sum(&[a.clone(), sum(&[b.clone(), c.clone()])]);
        let turned = sum(&[c.clone(), b.clone(), a.clone()]);
        alike(&report(&left), &report(&right), "").map_err(TestCaseError::fail)?;
        for merged in [left, right, turned] {
            let found = without_bets(report(&merged));
            alike(&whole, &found, "").map_err(TestCaseError::fail)?;
            // What is written is read again.
            prop_assert_eq!(Quality::from_json(&merged.to_json()).unwrap(), merged);
        }
    }
}

#[test]
fn quality_1() {
    let rows: Vec<Row> = (0..40_u32)
        .map(|at| Row {
            score: f64::from(at * 37 % 41) / 64.0,
            label: (at % 5 > 0).then_some(at * 37 % 41 > 20 + at % 7),
            revenue: (at % 4 == 0).then_some(f64::from(at)),
            segment: at as usize % 3,
            time: f64::from(at) * 9.0,
        })
        .collect();
    let quality = tracker(&rows.iter().collect::<Vec<_>>());
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/drift/quality-1.json"
    );
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(path, quality.to_json()).unwrap();
    }
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, quality.to_json());
    assert_eq!(Quality::from_json(&text).unwrap(), quality);
}
