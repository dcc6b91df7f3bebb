//! What must hold for every expression, walked over the whole table of expressions.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use tidegate_schema::{ErrorKind, MAX_DAYS, Schema, Table, TableBuf};

use crate::fuzz::{TARGET, schema};
use crate::operations::OPERATIONS;
use crate::{Cell, Expr, FeatureSpec, Fitter, Plan, Sparse, Step};

/// One row of the columns that the examples use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) x: Option<f64>,
    pub(crate) n: Option<i64>,
    pub(crate) b: Option<bool>,
    pub(crate) s: Option<&'static str>,
    pub(crate) k: Option<&'static str>,
    pub(crate) t: Option<i64>,
    pub(crate) u: Option<i64>,
    pub(crate) y: Option<bool>,
    pub(crate) d: Option<i64>,
    pub(crate) e: Option<i64>,
    pub(crate) l: Option<Vec<f64>>,
    pub(crate) w: Option<Vec<Option<&'static str>>>,
}

/// The rows as a table of the schema's columns that `used` names.
pub(crate) fn table(rows: &[Row], used: &Schema) -> TableBuf {
    let mut table = TableBuf::new(used, rows.len());
    for row in rows {
        for (column, field) in table.columns.iter_mut().zip(used.fields()) {
            let pushed = match field.name.as_str() {
                "x" => row.x.map(|value| column.push_f64(value)),
                "n" => row.n.map(|value| column.push_i64(value)),
                "b" => row.b.map(|value| column.push_bool(value)),
                "s" => row.s.map(|value| column.push_str(value)),
                "k" => row.k.map(|value| column.push_str(value)),
                "t" => row.t.map(|value| column.push_timestamp(value)),
                "u" => row.u.map(|value| column.push_timestamp(value)),
                "d" => row.d.map(|value| column.push_date(value)),
                "e" => row.e.map(|value| column.push_duration(value)),
                "l" => row.l.as_ref().map(|value| column.push_numbers(value)),
                "w" => row
                    .w
                    .as_ref()
                    .map(|value| column.push_texts(value.iter().copied())),
                _ => row.y.map(|value| column.push_bool(value)),
            };
            match pushed {
                Some(pushed) => pushed.unwrap(),
                None => column.push_null(),
            }
        }
    }
    table
}

fn row() -> impl Strategy<Value = Row> {
    let x = prop_oneof![
        3 => (-100i32..100).prop_map(|i| f64::from(i) / 8.0),
        2 => -1e6..1e6f64,
        1 => Just(f64::NAN),
    ];
    let text = prop::sample::select(vec!["a", "b", "c", "", "é", "more than eight bytes"]);
    let time = -4_000_000_000_000_000i64..8_000_000_000_000_000;
    let known = (
        prop::option::of(x.clone()),
        prop::option::of(-3i64..30),
        prop::option::of(any::<bool>()),
        prop::option::of(text.clone()),
        prop::option::of(text.clone()),
        prop::option::of(time.clone()),
        prop::option::of(time),
        prop::option::of(any::<bool>()),
    );
    let later = (
        prop::option::of(-50_000i64..50_000),
        prop::option::of(-10_000_000_000i64..10_000_000_000),
        prop::option::of(prop::collection::vec(x, 0..4)),
        prop::option::of(prop::collection::vec(prop::option::of(text), 0..4)),
    );
    (known, later).prop_map(|((x, n, b, s, k, t, u, y), (d, e, l, w))| Row {
        x,
        n,
        b,
        s,
        k,
        t,
        u,
        y,
        d,
        e,
        l,
        w,
    })
}

pub(crate) fn spec(example: &str) -> Arc<FeatureSpec> {
    let expression = Expr::from_json(example).unwrap();
    let spec = FeatureSpec::new(schema(), vec![expression]).unwrap();
    Arc::new(spec.with_target(TARGET).unwrap())
}

/// The columns that a fit reads.
pub(crate) fn fit_schema(spec: &Arc<FeatureSpec>) -> Schema {
    Fitter::new(Arc::clone(spec))
        .unwrap()
        .input_schema()
        .clone()
}

/// Fits on tables, each split off into a fitter of its own if `apart`.
pub(crate) fn fit(
    spec: &Arc<FeatureSpec>,
    tables: &[Table<'_>],
    apart: bool,
) -> tidegate_schema::Result<Plan> {
    let mut fitter = Fitter::new(Arc::clone(spec))?;
    loop {
        let (mut whole, mut first) = (fitter.fork(), 0);
        for table in tables {
            if apart {
                let mut piece = fitter.fork_at(first);
                first += table.rows() as u64;
                piece.update(table)?;
                whole.merge(piece)?;
            } else {
                whole.update(table)?;
            }
        }
        match whole.finish()? {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return Ok(plan),
        }
    }
}

/// A sparse matrix as a dense one after a look at its form.
fn dense(sparse: &Sparse<f64>, width: usize) -> Result<Vec<f64>, TestCaseError> {
    let mut out = vec![0.0; (sparse.starts.len() - 1) * width];
    for (row, bounds) in sparse.starts.windows(2).enumerate() {
        let places = bounds[0] as usize..bounds[1] as usize;
        let columns = &sparse.columns[places.clone()];
        prop_assert!(
            columns.windows(2).all(|pair| pair[0] < pair[1]),
            "{columns:?}"
        );
        for (&column, &value) in columns.iter().zip(&sparse.values[places]) {
            prop_assert!(value != 0.0);
            out[row * width + column as usize] = value;
        }
    }
    Ok(out)
}

/// Does the last step of an example learn from the target?
fn supervised(example: &str) -> bool {
    let tree: Value = serde_json::from_str(example).unwrap();
    let step = tree["op"].as_str().unwrap();
    OPERATIONS
        .iter()
        .any(|entry| entry.name == step && entry.supervised)
}

fn bits(values: &[f32]) -> Vec<u32> {
    let one_nan = |value: &f32| if value.is_nan() { f32::NAN } else { *value };
    values
        .iter()
        .map(|value| one_nan(value).to_bits())
        .collect()
}

fn bits64(values: &[f64]) -> Vec<u64> {
    // Zeros are left out of a sparse matrix whatever their sign, and all NaN are one.
    let one = |value: &f64| {
        if value.is_nan() {
            f64::NAN
        } else {
            *value + 0.0
        }
    };
    values.iter().map(|value| one(value).to_bits()).collect()
}

/// Every example of the table of expressions.
pub(crate) fn examples() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().flat_map(|entry| entry.examples).copied()
}

/// Are two states equal, numbers within 1e-12 of the size of the data?
fn near(left: &Value, right: &Value, size: f64) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            (left - right).abs() <= 1e-12 * size.max(left.abs())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| near(left, right, size))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| {
                    right.get(key).is_some_and(|other| near(value, other, size))
                })
        }
        (left, right) => left == right,
    }
}

#[test]
fn every_expression_has_an_example_and_a_place() {
    for entry in OPERATIONS {
        let mark = format!("\"op\":\"{}\"", entry.name);
        assert!(
            entry.examples.iter().any(|example| example.contains(&mark)),
            "{} has no example",
            entry.name
        );
    }
    let mut names: Vec<_> = OPERATIONS.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), OPERATIONS.len());
    let document = include_str!("../../../docs/features.md");
    for entry in OPERATIONS {
        assert!(
            document.contains(&format!("`{}`", entry.name)),
            "docs/features.md does not list `{}`",
            entry.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_row_equals_its_table(
        train in prop::collection::vec(row(), 1..50),
        live in prop::collection::vec(row(), 0..30),
    ) {
        for example in examples() {
            let spec = spec(example);
            let train = table(&train, &fit_schema(&spec));
            let Ok(plan) = fit(&spec, &[train.view().unwrap()], false) else {
                // All values of the column were missing.
                prop_assert!(example.contains("fill_null") || spec.is_supervised(), "{example}");
                continue;
            };
            // More than a morsel, so that rows stand at many places of several morsels.
            let many: Vec<Row> = live.iter().cycle().take(live.len() * 77).cloned().collect();
            let many = table(&many, plan.input_schema());
            let whole: Vec<f32> = plan.transform(&many.view().unwrap()).unwrap();
            for (position, row) in live.iter().enumerate() {
                let single = table(std::slice::from_ref(row), plan.input_schema());
                let single: Vec<f32> = plan.transform(&single.view().unwrap()).unwrap();
                for repeat in [0, 1, 38, 76] {
                    let at = (repeat * live.len() + position) * plan.width();
                    prop_assert_eq!(
                        bits(&whole[at..at + plan.width()]), bits(&single), "{}", example
                    );
                }
            }
            prop_assert!(whole.iter().all(|value| !value.is_infinite()));
            let double: Vec<f64> = plan.transform(&many.view().unwrap()).unwrap();
            prop_assert!(double.iter().all(|value| !value.is_infinite()));
            let single: Vec<f32> = double.iter().map(|&value| Cell::narrow(value)).collect();
            prop_assert_eq!(bits(&single), bits(&whole), "{}", example);
            // Two tables, one after the other, into one sparse matrix.
            let mut sparse = Sparse::new();
            let cut = live.len() * 30;
            for part in [
                many.view().unwrap().slice(0, cut),
                many.view().unwrap().slice(cut, live.len() * 47),
            ] {
                plan.transform_sparse(&part, None, &mut sparse, &mut |_| Ok(()))
                    .unwrap();
            }
            prop_assert_eq!(bits64(&dense(&sparse, plan.width())?), bits64(&double), "{}", example);
        }
    }

    #[test]
    fn merged_pieces_equal_the_whole(
        rows in prop::collection::vec(row(), 1..120),
        first in 0usize..100,
        second in 0usize..100,
    ) {
        let size = rows.iter().filter_map(|row| row.x).filter(|x| !x.is_nan())
            .fold(1.0, |size: f64, x| size.max(x.abs()));
        for example in examples() {
            let spec = spec(example);
            let all = table(&rows, &fit_schema(&spec));
            let whole = all.view().unwrap();
            let (a, b) = (first.min(second).min(rows.len()), first.max(second).min(rows.len()));
            let pieces = [
                whole.slice(0, a),
                whole.slice(a, b - a),
                whole.slice(b, rows.len() - b),
            ];
            let one = fit(&spec, &[whole], false);
            for apart in [false, true] {
                match (&one, fit(&spec, &pieces, apart)) {
                    (Ok(one), Ok(merged)) => {
                        let left: Value = serde_json::from_str(one.to_json()).unwrap();
                        let right: Value = serde_json::from_str(merged.to_json()).unwrap();
                        prop_assert!(near(&left, &right, size), "{left} against {right}");
                    }
                    (Err(one), Err(merged)) => prop_assert_eq!(one, &merged),
                    _ => prop_assert!(false, "{example}: one fit failed, the other did not"),
                }
            }
        }
    }

    /// Whatever a row's own target is, its value as one of those that taught is the same.
    #[test]
    fn rows_that_taught_do_not_see_their_own_target(
        mut rows in prop::collection::vec(row(), 1..40),
        turned in 0usize..40,
    ) {
        let turned = turned % rows.len();
        for example in examples().filter(|text| supervised(text)) {
            let spec = spec(example);
            let mut found = Vec::new();
            for target in [None, Some(true), Some(false)] {
                rows[turned].y = target;
                let train = table(&rows, &fit_schema(&spec));
                let Ok(plan) = fit(&spec, &[train.view().unwrap()], false) else {
                    prop_assert!(rows.iter().all(|row| row.y.is_none()), "{example}");
                    continue;
                };
                let inputs = table(&rows, plan.input_schema());
                let mut out = vec![0.0f32; rows.len() * plan.width()];
                plan.transform_learned_into(&inputs.view().unwrap(), 0, &mut out).unwrap();
                let width = plan.width();
                let values = bits(&out[turned * width..(turned + 1) * width]);
                found.push((plan.names().to_vec(), values));
            }
            for pair in found.windows(2) {
                let [(left, values), (right, others)] = pair else { continue };
                for (name, value) in left.iter().zip(values) {
                    // A class that no other row has, has a column if this row has it.
                    let Some(other) = right.iter().position(|other| other == name) else {
                        continue;
                    };
                    prop_assert_eq!(*value, others[other], "{} {}", example, name);
                }
            }
        }
    }

    #[test]
    fn plans_round_trip(
        train in prop::collection::vec(row(), 1..50),
        live in prop::collection::vec(row(), 0..30),
    ) {
        for example in examples() {
            let spec = spec(example);
            let again = FeatureSpec::from_json(&spec.to_json().unwrap()).unwrap();
            prop_assert_eq!(again.to_json().unwrap(), spec.to_json().unwrap());
            let train = table(&train, &fit_schema(&spec));
            let Ok(plan) = fit(&spec, &[train.view().unwrap()], false) else {
                continue;
            };
            let read = Plan::from_json(plan.to_json()).unwrap();
            prop_assert_eq!(read.to_json(), plan.to_json());
            prop_assert_eq!(read.fingerprint(), plan.fingerprint());
            prop_assert_eq!(read.names(), plan.names());
            prop_assert_eq!(read.input_schema(), plan.input_schema());
            let live = table(&live, plan.input_schema());
            let live = live.view().unwrap();
            prop_assert_eq!(
                bits(&read.transform::<f32>(&live).unwrap()),
                bits(&plan.transform::<f32>(&live).unwrap())
            );
        }
    }
}

/// Values at the ends of what columns hold, far before 1970 and far beyond 2262.
fn extremes() -> Vec<Row> {
    let xs = [
        f64::MAX,
        -f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        1e154,
        -0.0,
        1.0,
    ];
    let whole = [i64::MAX, i64::MIN, 1 << 53, -(1 << 53) - 1, 0, 1, -1, 2];
    xs.iter()
        .zip(whole)
        .map(|(&x, n)| Row {
            x: Some(x),
            n: Some(n),
            b: Some(n > 0),
            s: Some("\u{1f}\0"),
            k: Some("𝄞"),
            t: Some(n),
            u: Some(n.wrapping_add(1)),
            y: Some(n > 1),
            d: Some(n.clamp(-MAX_DAYS, MAX_DAYS)),
            e: Some(n),
            l: Some(vec![x, f64::NAN, -x]),
            w: Some(vec![Some("\u{1f}"), None]),
        })
        .collect()
}

#[test]
fn extreme_values_are_survived_by_every_expression() {
    let rows = extremes();
    for example in examples() {
        let spec = spec(example);
        let all = table(&rows, &fit_schema(&spec));
        let fitted = fit(&spec, &[all.view().unwrap()], false);
        let plan = match fitted {
            Ok(plan) => plan,
            // What cannot be learned is said, with the expression; the values are then only live.
            Err(error) => {
                assert!(error.message.contains("col("), "{example}: {error}");
                assert_ne!(error.kind, ErrorKind::State, "{example}: {error}");
                let one = table(&rows[7..], &fit_schema(&spec));
                fit(&spec, &[one.view().unwrap()], false).unwrap()
            }
        };
        let all = table(&rows, plan.input_schema());
        let whole: Vec<f32> = plan.transform(&all.view().unwrap()).unwrap();
        assert!(
            whole.iter().all(|value| !value.is_infinite()),
            "{example}: {whole:?}"
        );
        for (position, row) in rows.iter().enumerate() {
            let single = table(std::slice::from_ref(row), plan.input_schema());
            let single: Vec<f32> = plan.transform(&single.view().unwrap()).unwrap();
            let at = position * plan.width();
            assert_eq!(
                bits(&whole[at..at + plan.width()]),
                bits(&single),
                "{example}"
            );
        }
        let read = Plan::from_json(plan.to_json()).unwrap();
        assert_eq!(read.to_json(), plan.to_json(), "{example}");
    }
}

#[test]
fn edge_tables_are_survived_by_every_expression() {
    let rows: Vec<Row> = (0..10)
        .map(|i| Row {
            x: Some(f64::from(i)),
            n: Some(i64::from(i)),
            b: Some(i % 2 == 0),
            s: Some("a"),
            k: Some("b"),
            t: Some(0),
            u: Some(1),
            y: Some(i % 3 == 0),
            d: Some(i64::from(i)),
            e: Some(i64::from(i)),
            l: Some(vec![1.0]),
            w: Some(Vec::new()),
        })
        .collect();
    let nothing = vec![Row::default(); 3];
    for example in examples() {
        let spec = spec(example);
        let all_null = table(&nothing, &fit_schema(&spec));
        match fit(&spec, &[all_null.view().unwrap()], false) {
            Ok(plan) => {
                let all_null = table(&nothing, plan.input_schema());
                let out: Vec<f32> = plan.transform(&all_null.view().unwrap()).unwrap();
                assert_eq!(out.len(), 3 * plan.width());
                let values = table(&rows, plan.input_schema());
                plan.transform::<f32>(&values.view().unwrap()).unwrap();
            }
            Err(error) => assert!(error.message.contains("only missing"), "{example}: {error}"),
        }
        let one = table(&rows[..1], &fit_schema(&spec));
        let plan = fit(&spec, &[one.view().unwrap()], false).unwrap();
        let empty = table(&[], plan.input_schema());
        assert!(
            plan.transform::<f32>(&empty.view().unwrap())
                .unwrap()
                .is_empty()
        );
        let empty = table(&[], &fit_schema(&spec));
        match fit(&spec, &[empty.view().unwrap()], false) {
            Ok(plan) => assert_eq!(plan.rows(), 0, "{example}"),
            Err(error) => assert!(error.message.contains("no rows"), "{example}: {error}"),
        }
    }
}
