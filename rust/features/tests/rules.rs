//! Rules over tables: each kind against a count by hand, shorter ways against the engine, pieces
//! against the whole, and bad input against messages that name the mend.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_features::rules::{
    Checker, FoundColumn, KeyLog, KeySet, Mark, References, Report, RuleSet, Run, RunOptions,
    Status, row_keys,
};
use tidegate_schema::{DType, Error, Field, Result, Schema, Table, TableBuf};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("x", DType::Float64),
        Field::nullable("n", DType::Int64),
        Field::nullable("m", DType::Int64),
        Field::nullable("s", DType::String),
        Field::nullable("t", DType::Timestamp),
        Field::nullable("b", DType::Bool),
    ])
    .unwrap()
}

/// One row: a value for each column of the schema.
type Row = (
    Option<f64>,
    Option<i64>,
    Option<i64>,
    Option<&'static str>,
    Option<i64>,
    Option<bool>,
);

fn table(rows: &[Row]) -> TableBuf {
    let mut table = TableBuf::new(&schema(), rows.len());
    for (x, n, m, s, t, b) in rows {
        let [cx, cn, cm, cs, ct, cb] = &mut table.columns[..] else {
            panic!("six columns");
        };
        match x {
            Some(value) => cx.push_f64(*value).unwrap(),
            None => cx.push_null(),
        }
        match n {
            Some(value) => cn.push_i64(*value).unwrap(),
            None => cn.push_null(),
        }
        match m {
            Some(value) => cm.push_i64(*value).unwrap(),
            None => cm.push_null(),
        }
        match s {
            Some(value) => cs.push_str(value).unwrap(),
            None => cs.push_null(),
        }
        match t {
            Some(value) => ct.push_timestamp(*value).unwrap(),
            None => ct.push_null(),
        }
        match b {
            Some(value) => cb.push_bool(*value).unwrap(),
            None => cb.push_null(),
        }
    }
    table
}

fn found() -> Vec<FoundColumn> {
    schema()
        .fields()
        .iter()
        .map(|field| FoundColumn {
            name: field.name.clone(),
            dtype: Some(field.dtype),
            type_name: field.dtype.to_string(),
            untyped: false,
        })
        .collect()
}

fn rules(rules: &Value) -> Result<RuleSet> {
    RuleSet::from_json(&json!({"version": 1, "rules": rules}).to_string())
}

fn checker(set: &RuleSet) -> Result<Arc<Checker>> {
    let mut references = References::default();
    let mut keys = Vec::new();
    let known = table(&[row(1), row(2)]);
    row_keys(&known.view().unwrap().columns()[1..2], 2, &mut keys);
    let mut known = KeySet::default();
    keys.iter().for_each(|key| {
        known.insert(*key);
    });
    references.insert("known", &["id".to_owned()], known);
    Checker::new(set, &found(), &references, &|_| {
        Err(Error::invalid("no distributions here"))
    })
    .map(Arc::new)
}

/// A row whose numbers are all one.
fn row(number: i64) -> Row {
    let texts = ["a", "bb", "ccc", "a text of many bytes"];
    (
        Some(number as f64),
        Some(number),
        Some(number),
        Some(texts[number.rem_euclid(4) as usize]),
        Some(number * 1_000_000),
        Some(number > 0),
    )
}

/// Runs rules over the columns that they look at, cut into pieces that are merged at the end.
fn report(checker: &Arc<Checker>, rows: &[Row], cuts: &[usize]) -> (Report, Vec<(usize, usize)>) {
    let whole = table(rows);
    let view = whole.view().unwrap();
    let all = schema();
    let used: Vec<_> = checker
        .input_schema()
        .fields()
        .iter()
        .map(|field| view.columns()[all.position(&field.name).unwrap()])
        .collect();
    let view = Table::new(used, rows.len()).unwrap();
    let mut total = Run::new(Arc::clone(checker), RunOptions::default());
    let mut all_marks = Vec::new();
    let mut begin = 0;
    for &cut in cuts.iter().chain(&[rows.len()]) {
        let cut = cut.clamp(begin, rows.len());
        let mut piece = total.fork();
        let mut marks: Vec<Mark> = Vec::new();
        piece
            .update(&view.slice(begin, cut - begin), Some(&mut marks))
            .unwrap();
        all_marks.extend(marks.iter().map(|mark| (mark.rule, begin + mark.row)));
        total.merge(piece).unwrap();
        begin = cut;
    }
    (total.finish(100.0).unwrap(), all_marks)
}

fn col(name: &str) -> Value {
    json!({"op": "col", "name": name})
}

fn lit(value: impl Into<Value>) -> Value {
    json!({"op": "literal", "value": value.into()})
}

fn two(op: &str, left: Value, right: Value) -> Value {
    json!({"op": op, "left": left, "right": right})
}

fn holds(expression: Value) -> Value {
    json!({"kind": "expression", "expression": expression})
}

#[test]
fn each_kind_finds_what_a_count_by_hand_finds() {
    let set = rules(&json!([
        {"name": "range", "check": holds(two("ge", col("x"), lit(0)))},
        {"name": "strict", "check": {"kind": "expression", "missing": "fail", "expression": two("lt", col("x"), lit(5))}},
        {"name": "allowed", "allow": 0.5, "check": holds(two("gt", col("n"), lit(2)))},
        {"name": "warned", "severity": "warning", "check": holds(two("eq", col("n"), col("m")))},
        {"name": "unique", "check": {"kind": "unique", "columns": ["n", "s"]}},
        {"name": "known", "check": {"kind": "foreign_key", "columns": ["n"], "reference": "known", "keys": ["id"]}},
        {"name": "rising", "check": {"kind": "monotone", "expression": col("t"), "strict": true}},
        {"name": "mean", "check": {"kind": "aggregate", "aggregate": "mean", "expression": col("x"), "min": 2, "max": 3}},
        {"name": "age", "check": {"kind": "aggregate", "aggregate": "age", "expression": col("t"), "max": 95}},
        {"name": "rows", "check": {"kind": "aggregate", "aggregate": "rows", "max": 5}},
        {"name": "outliers", "check": {"kind": "outliers", "expression": col("x"), "method": "mad"}},
        {"name": "least", "check": {"kind": "aggregate", "aggregate": "min", "expression": col("x"), "min": 0}},
        {"name": "greatest", "check": {"kind": "aggregate", "aggregate": "max", "expression": col("x"), "min": 200}},
    ]))
    .unwrap();
    let mut rows = vec![row(-1), row(1), row(2), row(2), row(3), row(100)];
    rows.push((None, None, Some(1), None, None, None));
    rows[4].2 = Some(9);
    let (report, marks) = report(&checker(&set).unwrap(), &rows, &[]);
    let by_name = |name: &str| report.rules.iter().find(|rule| rule.name == name).unwrap();
    for (name, status, failures, missing, first) in [
        ("range", Status::Failed, Some(1), 1, Some(0)),
        ("strict", Status::Failed, Some(2), 1, Some(5)),
        ("allowed", Status::Failed, Some(4), 1, Some(0)),
        ("warned", Status::Warned, Some(1), 1, Some(4)),
        ("unique", Status::Failed, Some(1), 0, Some(3)),
        ("known", Status::Failed, Some(3), 1, Some(0)),
        ("rising", Status::Failed, Some(1), 1, Some(3)),
        ("mean", Status::Failed, None, 1, None),
        ("age", Status::Passed, None, 1, None),
        ("rows", Status::Failed, None, 0, None),
        ("outliers", Status::Failed, Some(1), 1, Some(5)),
        ("least", Status::Failed, None, 1, Some(0)),
        ("greatest", Status::Failed, None, 1, None),
    ] {
        let rule = by_name(name);
        assert_eq!(rule.status, status, "{name}");
        assert_eq!(rule.failures, failures, "{name}");
        assert_eq!(rule.missing, missing, "{name}");
        assert_eq!(rule.rows.first().map(|row| row.row), first, "{name}");
    }
    assert_eq!(by_name("age").value, Some(0.0));
    assert_eq!(by_name("warned").rows[0].values["m"], 9);
    assert!(
        !report.passed && report.verdict.contains("and 6 more"),
        "{}",
        report.verdict
    );
    // A warning marks no row, nor does a rule about the whole table but of a least value.
    let mut marked: Vec<usize> = marks.iter().map(|(rule, _)| *rule).collect();
    marked.dedup();
    assert_eq!(marked, [0, 1, 2, 4, 5, 6, 11]);
}

#[test]
fn a_run_that_is_told_which_rows_repeat_says_the_same() {
    let unique = json!({"kind": "unique", "columns": ["n"]});
    let set = rules(&json!([{"name": "once", "check": unique}])).unwrap();
    let checker = checker(&set).unwrap();
    let numbers: Vec<Row> = (0..5_000).map(|i| row(i * i % 3_001)).collect();
    let (due, marks) = report(&checker, &numbers, &[]);
    let whole = table(&numbers);
    let view = whole.view().unwrap();
    let view = Table::new(vec![view.columns()[1]], numbers.len()).unwrap();
    let mut keys = Vec::new();
    row_keys(view.columns(), numbers.len(), &mut keys);
    let mut log = KeyLog::new(0);
    log.update(&keys).unwrap();
    let mut run = Run::new(Arc::clone(&checker), RunOptions::default());
    run.tell("once", log.repeats().unwrap());
    let mut told = Vec::new();
    for start in (0..numbers.len()).step_by(1_700) {
        let mut some = Vec::new();
        let rows = 1_700.min(numbers.len() - start);
        run.update(&view.slice(start, rows), Some(&mut some))
            .unwrap();
        told.extend(some.iter().map(|mark| (mark.rule, start + mark.row)));
    }
    assert_eq!(told, marks);
    let error = run.fork().merge(run).unwrap_err();
    assert!(error.message.contains("do not merge"), "{error}");
    assert_eq!(due.rules[0].failures, Some(told.len() as u64));
}

fn rows_strategy() -> impl Strategy<Value = Vec<Row>> {
    let texts = prop::sample::select(vec!["", "a", "bb", "é", "N14228", "a text of many bytes"]);
    let number = -3_i64..4;
    let float = prop_oneof![
        (-3..4_i64).prop_map(|n| n as f64 / 2.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ];
    let one = (
        prop::option::weighted(0.8, float),
        prop::option::weighted(0.8, number.clone()),
        prop::option::weighted(0.8, number.clone()),
        prop::option::weighted(0.8, texts),
        prop::option::weighted(0.8, number),
        prop::option::weighted(0.8, any::<bool>()),
    );
    prop::collection::vec(one, 0..2100)
}

/// Expressions with a shorter way.
fn shapes() -> Vec<Value> {
    let mut shapes = vec![
        json!({"op": "not", "input": {"op": "is_null", "input": col("s")}}),
        json!({"op": "not", "input": {"op": "is_null", "input": col("n")}}),
        json!({"op": "not", "input": {"op": "is_null", "input": col("x")}}),
        json!({"op": "is_in", "input": col("s"), "values": ["a", "N14228", ""]}),
        json!({"op": "str_matches", "input": col("s"), "pattern": "^[a-b]+$"}),
        json!({"op": "is_null", "input": col("s")}),
        two(
            "and",
            two("ge", col("n"), lit(-1)),
            two("lt", col("n"), lit(2)),
        ),
        two(
            "and",
            two("ge", lit(1.5), col("x")),
            two("gt", col("x"), lit(-0.5)),
        ),
    ];
    for op in ["eq", "ne", "lt", "le", "gt", "ge"] {
        shapes.push(two(op, col("n"), lit(1)));
        shapes.push(two(op, col("n"), lit(0.5)));
        shapes.push(two(op, lit(0.5), col("x")));
        shapes.push(two(op, col("n"), col("m")));
        shapes.push(two(op, col("x"), col("x")));
        shapes.push(two(op, col("s"), lit("bb")));
    }
    shapes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A condition that is always true and looks at another column keeps an expression from its
    /// shorter way, and changes nothing that it says but what a missing bool does not say.
    #[test]
    fn shorter_ways_say_what_the_engine_says(rows in rows_strategy(), missing in any::<bool>()) {
        let there = json!({"op": "is_null", "input": col("b")});
        let always = two("or", there.clone(), json!({"op": "not", "input": there}));
        let word = if missing { "fail" } else { "pass" };
        for shape in shapes() {
            let set = rules(&json!([
                {"name": "short", "check": {"kind": "expression", "missing": word, "expression": shape}},
                {"name": "long", "check": {"kind": "expression", "missing": word, "expression": two("and", shape.clone(), always.clone())}},
            ]))
            .unwrap();
            let (report, marks) = report(&checker(&set).unwrap(), &rows, &[]);
            let (short, long) = (&report.rules[0], &report.rules[1]);
            prop_assert_eq!(short.failures, long.failures, "{}", shape);
            prop_assert_eq!(short.missing, long.missing, "{}", shape);
            let of = |rule: usize| -> Vec<usize> {
                let mine = marks.iter().filter(|mark| mark.0 == rule);
                mine.map(|mark| mark.1).collect()
            };
            prop_assert_eq!(of(0), of(1), "{}", shape);
        }
    }

    #[test]
    fn pieces_say_what_the_whole_says(rows in rows_strategy(), mut cuts in prop::collection::vec(0..2100_usize, 0..4)) {
        cuts.sort_unstable();
        let set = rules(&json!([
            {"name": "range", "check": holds(two("ge", col("x"), lit(0)))},
            {"name": "engine", "check": holds(two("ge", two("add", col("x"), col("n")), lit(0)))},
            {"name": "unique", "check": {"kind": "unique", "columns": []}},
            {"name": "known", "check": {"kind": "foreign_key", "columns": ["n"], "reference": "known", "keys": ["id"]}},
            {"name": "rising", "check": {"kind": "monotone", "expression": col("n")}},
            {"name": "mean", "check": {"kind": "aggregate", "aggregate": "median", "expression": col("x"), "max": 0}},
            {"name": "distinct", "check": {"kind": "aggregate", "aggregate": "distinct", "expression": col("s"), "max": 9}},
            {"name": "outliers", "check": {"kind": "outliers", "expression": col("x"), "method": "iqr"}},
        ]))
        .unwrap();
        let checker = checker(&set).unwrap();
        let (whole, _) = report(&checker, &rows, &[]);
        let (pieces, _) = report(&checker, &rows, &cuts);
        prop_assert_eq!(whole.rows, pieces.rows);
        for (whole, pieces) in whole.rules.iter().zip(&pieces.rules) {
            prop_assert_eq!(whole.failures, pieces.failures, "{}", whole.name);
            prop_assert_eq!(whole.missing, pieces.missing, "{}", whole.name);
            prop_assert_eq!(whole.value, pieces.value, "{}", whole.name);
            prop_assert_eq!(whole.status, pieces.status, "{}", whole.name);
        }
    }
}

#[test]
fn bad_rules_are_refused_by_name_with_the_mend() {
    for (check, part) in [
        (
            holds(two("gt", col("nn"), lit(0))),
            r#"rule "r": unknown column "nn": did you mean"#,
        ),
        (
            holds(two("add", col("n"), lit(1))),
            "is a number where a bool is due: compare it",
        ),
        (
            holds(two("gt", col("s"), lit(1))),
            "compare numbers with numbers",
        ),
        (
            holds(two(
                "gt",
                json!({"op": "standardize", "input": col("x")}),
                lit(0),
            )),
            "learns from data, and a rule does not",
        ),
        (
            json!({"kind": "foreign_key", "columns": ["n"], "reference": "other", "keys": ["id"]}),
            r#"references={"other": table}"#,
        ),
        (
            json!({"kind": "aggregate", "aggregate": "age", "expression": col("n"), "max": 1}),
            "is a number where a timestamp is due",
        ),
        (
            json!({"kind": "monotone", "expression": col("s")}),
            "where a number or a time is due",
        ),
        (
            json!({"kind": "unique", "columns": ["n", "zz"]}),
            r#"unknown column "zz""#,
        ),
    ] {
        let set = rules(&json!([{"name": "r", "check": check}])).unwrap();
        let error = checker(&set).err().unwrap();
        assert!(error.message.starts_with(r#"rule "r": "#), "{error}");
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn an_empty_table_breaks_no_rule_about_rows_but_has_no_mean() {
    let set = rules(&json!([
        {"name": "range", "check": holds(two("ge", col("x"), lit(0)))},
        {"name": "unique", "check": {"kind": "unique", "columns": []}},
        {"name": "outliers", "check": {"kind": "outliers", "expression": col("x"), "method": "zscore"}},
        {"name": "mean", "check": {"kind": "aggregate", "aggregate": "mean", "expression": col("x"), "min": 0}},
    ]))
    .unwrap();
    let (report, _) = report(&checker(&set).unwrap(), &[], &[]);
    let status: Vec<Status> = report.rules.iter().map(|rule| rule.status).collect();
    assert_eq!(
        status,
        [
            Status::Passed,
            Status::Passed,
            Status::Passed,
            Status::Failed
        ]
    );
    assert!(
        report.verdict.contains("mean (has no value)"),
        "{}",
        report.verdict
    );
}
