//! What every expression says of bad tables: an error that names the column and the row, or the
//! expression; and what it makes of tables that teach nothing.

use tidegate_schema::{ErrorKind, Schema, TableBuf};

use crate::properties::{Row, examples, fit, fit_schema, spec, table};

/// Distinct texts of a table of very many.
const MANY: usize = 101_000;

fn rows() -> Vec<Row> {
    (0..20)
        .map(|i| Row {
            x: Some(f64::from(i) / 2.0 + 1.0),
            n: Some(i64::from(i % 4) + 1),
            b: Some(i % 2 == 0),
            s: Some(["a", "b", ""][i as usize % 3]),
            k: Some(["e", "f"][i as usize % 2]),
            t: Some(1_357_034_400_000_000 + i64::from(i) * 5_400_000_000),
            u: Some(0),
            y: Some(i % 3 == 0),
            d: Some(i64::from(i)),
            e: Some(i64::from(i) * 1_000_000),
            l: Some(vec![f64::from(i), 1.0]),
            w: Some(vec![Some("a"), None]),
        })
        .collect()
}

/// The schema with a column that may not be missing.
fn required(schema: &Schema, name: &str) -> Schema {
    let fields = schema.fields().iter().cloned().map(|mut field| {
        field.nullable &= field.name != name;
        field
    });
    Schema::new(fields.collect()).unwrap()
}

#[test]
fn infinite_values_are_refused_by_column_and_row() {
    for (name, spoil) in [
        (
            "x",
            (|row: &mut Row| row.x = Some(f64::NEG_INFINITY)) as fn(&mut Row),
        ),
        ("l", |row: &mut Row| row.l = Some(vec![1.0, f64::INFINITY])),
    ] {
        let mut spoilt = rows();
        spoil(&mut spoilt[13]);
        let due = format!("column {name:?} is infinite in row 13");
        for example in examples() {
            let spec = spec(example);
            if spec.input_schema().position(name).is_none() {
                continue;
            }
            let bad = table(&spoilt, &fit_schema(&spec));
            let error = fit(&spec, &[bad.view().unwrap()], false).err().unwrap();
            assert_eq!(error.kind, ErrorKind::InvalidInput, "{example}: {error}");
            assert!(error.message.contains(&due), "{example}: {error}");
            let good = table(&rows(), &fit_schema(&spec));
            let plan = fit(&spec, &[good.view().unwrap()], false).unwrap();
            let bad = table(&spoilt, plan.input_schema());
            let error = plan.transform::<f32>(&bad.view().unwrap()).err().unwrap();
            assert!(error.message.contains(&due), "{example}: {error}");
        }
    }
}

#[test]
fn a_missing_value_that_may_not_be_is_refused_by_column_and_row() {
    let mut spoilt = rows();
    spoilt[7] = Row::default();
    for example in examples() {
        let expression = crate::Expr::from_json(example).unwrap();
        let columns: Vec<String> = spec(example)
            .input_schema()
            .fields()
            .iter()
            .map(|field| field.name.clone())
            .collect();
        for name in &columns {
            let schema = required(&crate::fuzz::schema(), name);
            let spec = crate::FeatureSpec::new(schema, vec![expression.clone()])
                .and_then(|spec| spec.with_target("y"))
                .unwrap();
            let spec = std::sync::Arc::new(spec);
            let bad = table(&spoilt, &fit_schema(&spec));
            let error = fit(&spec, &[bad.view().unwrap()], false).err().unwrap();
            let due = format!("column {name:?} is missing in row 7");
            assert!(error.message.contains(&due), "{example}: {error}");
        }
    }
}

#[test]
fn columns_without_spread_and_single_rows_are_learned_from() {
    let one = rows()[5].clone();
    for example in examples() {
        for count in [1, 30] {
            let spec = spec(example);
            let constant = vec![one.clone(); count];
            let train = table(&constant, &fit_schema(&spec));
            let plan = fit(&spec, &[train.view().unwrap()], false).unwrap();
            let live = table(&rows(), plan.input_schema());
            let out: Vec<f64> = plan.transform(&live.view().unwrap()).unwrap();
            assert!(out.iter().all(|value| !value.is_infinite()), "{example}");
        }
    }
}

#[test]
fn columns_of_different_lengths_are_no_table() {
    let schema = crate::fuzz::schema();
    let mut columns = table(&rows(), &schema).columns;
    columns[3].push_null();
    let error = TableBuf { columns }.view().err().unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("column 3 has 21 rows"), "{error}");
}

/// What learns categories says which expression has too many, and what to do; nothing else minds.
#[test]
fn very_many_categories_are_refused_by_expression_or_learned() {
    let texts: Vec<String> = (0..MANY).map(|i| format!("category {i}")).collect();
    for example in examples() {
        let spec = spec(example);
        let schema = fit_schema(&spec);
        if schema.position("s").is_none() && schema.position("k").is_none() {
            continue;
        }
        let sample = rows();
        let mut many = TableBuf::new(&schema, MANY);
        for (column, field) in many.columns.iter_mut().zip(schema.fields()) {
            for (row, text) in texts.iter().enumerate() {
                let row = &sample[row % sample.len()];
                let pushed = match field.name.as_str() {
                    "s" | "k" => column.push_str(text),
                    "x" => column.push_f64(row.x.unwrap()),
                    "n" => column.push_i64(row.n.unwrap()),
                    "b" => column.push_bool(row.b.unwrap()),
                    "t" | "u" => column.push_timestamp(row.t.unwrap()),
                    "y" => column.push_bool(row.y.unwrap()),
                    _ => {
                        column.push_null();
                        Ok(())
                    }
                };
                pushed.unwrap();
            }
        }
        match fit(&spec, &[many.view().unwrap()], false) {
            Ok(plan) => {
                let head = TableBuf::new(plan.input_schema(), 0);
                plan.transform::<f32>(&head.view().unwrap()).unwrap();
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::TooLarge, "{example}: {error}");
                assert!(error.message.contains("col("), "{example}: {error}");
                assert!(error.message.contains("more than"), "{example}: {error}");
            }
        }
    }
}
