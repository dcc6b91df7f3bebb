//! What every expression says of bad tables: an error that names the column and the row, or the
//! expression; and what it makes of tables that teach nothing.

use tidegate_schema::{ErrorKind, Schema, TableBuf};

use crate::properties::{Row, examples, fit, fit_schema, spec, table};

/// Distinct texts of a table of more than any expression takes that counts them.
const MANY: usize = 101_000;
/// Distinct texts of a table of users, or of what else has a name of its own.
const MILLION: usize = 1_000_000;

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
fn unknown_columns_are_refused_by_name() {
    for example in examples() {
        let expression = crate::Expr::from_json(example).unwrap();
        for unknown in spec(example).input_schema().fields() {
            let all = crate::fuzz::schema();
            let others = all
                .fields()
                .iter()
                .filter(|field| field.name != unknown.name);
            let others = Schema::new(others.cloned().collect()).unwrap();
            let error = crate::FeatureSpec::new(others, vec![expression.clone()])
                .err()
                .unwrap();
            assert_eq!(error.kind, ErrorKind::InvalidInput, "{example}: {error}");
            let due = format!("unknown column {:?}", unknown.name);
            assert!(error.message.contains(&due), "{example}: {error}");
        }
    }
}

/// Said at once, or after the fit where what is learned makes the names.
#[test]
fn two_outputs_of_one_name_are_refused() {
    let rows = rows();
    for example in examples() {
        let twice = vec![crate::Expr::from_json(example).unwrap(); 2];
        let spec = crate::FeatureSpec::new(crate::fuzz::schema(), twice)
            .and_then(|spec| spec.with_target("y"));
        let error = match spec {
            Err(error) => error,
            Ok(spec) => {
                let spec = std::sync::Arc::new(spec);
                let train = table(&rows, &fit_schema(&spec));
                fit(&spec, &[train.view().unwrap()], false).err().unwrap()
            }
        };
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{example}: {error}");
        assert!(error.message.contains("both named"), "{example}: {error}");
        assert!(error.message.contains(".alias("), "{example}: {error}");
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

/// A table of this many rows in which every text is another one, and every number nearly so.
fn all_different(schema: &Schema, count: usize) -> TableBuf {
    let sample = rows();
    let mut many = TableBuf::new(schema, count);
    for (column, field) in many.columns.iter_mut().zip(schema.fields()) {
        for number in 0..count {
            let row = &sample[number % sample.len()];
            let pushed = match field.name.as_str() {
                "s" | "k" => column.push_str(&format!("category {number}")),
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
    many
}

/// What learns from very many categories says which expression has too many; or it learns.
fn learns_or_refuses(example: &str, many: &TableBuf) -> bool {
    match fit(&spec(example), &[many.view().unwrap()], false) {
        Ok(plan) => {
            let head = TableBuf::new(plan.input_schema(), 0);
            plan.transform::<f32>(&head.view().unwrap()).unwrap();
            true
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::TooLarge, "{example}: {error}");
            assert!(error.message.contains("col("), "{example}: {error}");
            assert!(error.message.contains("more than"), "{example}: {error}");
            false
        }
    }
}

/// The examples that look at texts.
fn of_texts() -> impl Iterator<Item = (&'static str, Schema)> {
    examples()
        .map(|example| (example, fit_schema(&spec(example))))
        .filter(|(_, schema)| schema.position("s").is_some() || schema.position("k").is_some())
}

#[test]
fn very_many_categories_are_refused_by_expression_or_learned() {
    for (example, schema) in of_texts() {
        learns_or_refuses(example, &all_different(&schema, MANY));
    }
}

/// Each expression that learns from texts, at a size that some of them take.
#[test]
fn a_million_categories_are_refused_or_learned() {
    let (mut refused, mut learned) = (0, 0);
    let mut tables: Vec<(Schema, TableBuf)> = Vec::new();
    for (example, schema) in of_texts() {
        let few = table(&rows(), &schema);
        let plan = fit(&spec(example), &[few.view().unwrap()], false).unwrap();
        if !plan.to_json().contains("\"state\"") {
            continue;
        }
        if !tables.iter().any(|(known, _)| *known == schema) {
            tables.push((schema.clone(), all_different(&schema, MILLION)));
        }
        let (_, many) = tables.iter().find(|(known, _)| *known == schema).unwrap();
        if learns_or_refuses(example, many) {
            learned += 1;
        } else {
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused} refused, {learned} learned");
}
