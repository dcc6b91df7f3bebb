//! On any number of cores, in blocks and morsels of any number, results are the same to the last bit.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Sparse, Step};
use tidegate_schema::{DType, Error, Field, Schema, TableBuf};

const ROWS: usize = 70_000;

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("x", DType::Float64),
        Field::required("n", DType::Int64),
        Field::nullable("name", DType::String),
    ])
    .unwrap()
}

fn table() -> TableBuf {
    let names = [
        "",
        "EWR",
        "a name of more than twelve bytes",
        "Zürich",
        "N14228",
    ];
    let mut table = TableBuf::new(&schema(), ROWS);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for row in 0..ROWS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [x, n, name] = &mut table.columns[..] else {
            unreachable!()
        };
        if row % 11 == 0 {
            x.push_null();
            name.push_null();
        } else {
            x.push_f64((state >> 11) as f64 / 1e9).unwrap();
            name.push_str(names[(state >> 40) as usize % names.len()])
                .unwrap();
        }
        n.push_i64((state >> 50) as i64 - 4_000).unwrap();
    }
    table
}

fn spec() -> Arc<FeatureSpec> {
    let filled = Expr::column("x").apply("fill_null", &[("strategy", "median".into())]);
    let features = vec![
        filled.clone().apply("standardize", &[]),
        filled.apply(
            "bucketize",
            &[("buckets", 7.into()), ("method", "quantile".into())],
        ),
        Expr::column("n").apply("robust_scale", &[]),
        Expr::column("name").apply("one_hot", &[]),
        Expr::column("name").apply("count_encode", &[]),
    ];
    Arc::new(FeatureSpec::new(schema(), features).unwrap())
}

fn fit(table: &TableBuf, all_cores: bool) -> Plan {
    let mut fitter = Fitter::new(spec()).unwrap();
    loop {
        let view = table.view().unwrap();
        if all_cores {
            let mut told = 0;
            let mut pulse = |done| {
                told = done;
                Ok(())
            };
            fitter.update_on_all_cores(&view, &mut pulse).unwrap();
            assert!(told <= ROWS as u64);
        } else {
            fitter.update(&view).unwrap();
        }
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return plan,
        }
    }
}

#[test]
fn a_fit_and_a_transform_do_not_depend_on_the_cores() {
    let table = table();
    let (one, all) = (fit(&table, false), fit(&table, true));
    assert_eq!(one.fingerprint(), all.fingerprint());
    let view = table.view().unwrap();
    let whole: Vec<f64> = one.transform(&view).unwrap();
    let mut out = vec![0.0; whole.len()];
    all.transform_on_all_cores(&view, None, &mut out, &mut |_| Ok(()))
        .unwrap();
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&whole), bits(&out));
    let mut sparse = Sparse::<f64>::new();
    all.transform_sparse(&view, None, &mut sparse, &mut |_| Ok(()))
        .unwrap();
    assert_eq!(sparse.starts.len(), ROWS + 1);
    let mut dense = vec![0.0; whole.len()];
    for (row, ends) in sparse.starts.windows(2).enumerate() {
        for at in ends[0] as usize..ends[1] as usize {
            dense[row * one.width() + sparse.columns[at] as usize] = sparse.values[at];
        }
    }
    let unsigned: Vec<f64> = whole.iter().map(|value| value + 0.0).collect();
    assert_eq!(bits(&unsigned), bits(&dense));
}

#[test]
fn the_caller_can_end_it() {
    let table = table();
    let view = table.view().unwrap();
    let enough = || Error::invalid("enough");
    let mut fitter = Fitter::new(spec()).unwrap();
    let told = fitter.update_on_all_cores(&view, &mut |_| Err(enough()));
    assert_eq!(told.unwrap_err(), enough());
    let plan = fit(&table, false);
    let mut out = vec![0f32; ROWS * plan.width()];
    let told = plan.transform_on_all_cores(&view, None, &mut out, &mut |_| Err(enough()));
    assert_eq!(told.unwrap_err(), enough());
    let mut sparse = Sparse::<f32>::new();
    let told = plan.transform_sparse(&view, None, &mut sparse, &mut |_| Err(enough()));
    assert_eq!(told.unwrap_err(), enough());
}

#[test]
fn constants_are_computed_once_and_chains_are_one_step() {
    let number =
        |value: f64| Expr::from_json(&format!(r#"{{"op":"literal","value":{value}}}"#)).unwrap();
    let json = |left: &Expr, op: &str, right: &Expr| {
        let (left, right) = (left.to_json(), right.to_json());
        Expr::from_json(&format!(r#"{{"op":"{op}","left":{left},"right":{right}}}"#)).unwrap()
    };
    let x = Expr::column("x");
    let three = json(&number(1.0), "add", &number(2.0));
    let scaled = json(&x, "mul", &three);
    let chain = json(&number(1.0), "sub", &scaled).apply("abs", &[]);
    // What two read is not changed in place.
    let twice = json(&chain, "mul", &chain);
    let features = vec![chain, twice, three];
    let named: Vec<Expr> = features
        .into_iter()
        .zip(["chain", "twice", "three"])
        .map(|(feature, name)| {
            let json = format!(
                r#"{{"op":"alias","name":"{name}","input":{}}}"#,
                feature.to_json()
            );
            Expr::from_json(&json).unwrap()
        })
        .collect();
    let spec = Arc::new(FeatureSpec::new(schema(), named).unwrap());
    let Step::Done(plan) = Fitter::new(spec).unwrap().finish().unwrap() else {
        panic!("nothing is learned")
    };
    let said = plan.explain();
    assert!(said.contains("a constant"), "{said}");
    assert!(said.contains(", in step 2 with #"), "{said}");
    assert!(said.contains("3 steps over 1024 rows at a time"), "{said}");
    let mut table = TableBuf::new(plan.input_schema(), 2);
    table.columns[0].push_f64(2.0).unwrap();
    table.columns[0].push_null();
    let out: Vec<f64> = plan.transform(&table.view().unwrap()).unwrap();
    assert_eq!(out[..3], [5.0, 25.0, 3.0]);
    assert!(out[3].is_nan() && out[4].is_nan() && out[5] == 3.0);
}
