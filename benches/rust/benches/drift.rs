//! Nanoseconds a value of watching: what `observe` adds to each prediction.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_drift::{BaselineBuilder, Monitor, Windows};
use tidegate_schema::{DType, Field, Schema, TableBuf};

fn main() {
    divan::main();
}

/// A column of each kind; one value in 16 is missing where that is allowed.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Float,
    NullableFloat,
    NullableInt,
    String,
    Bool,
    /// As the flights model: ten numeric columns, six of text, one prediction.
    Flights,
}

impl Kind {
    fn schema(self) -> Vec<Field> {
        let one = |dtype| vec![Field::nullable("x", dtype)];
        match self {
            Self::Float | Self::NullableFloat => one(DType::Float64),
            Self::NullableInt => one(DType::Int64),
            Self::String => one(DType::String),
            Self::Bool => one(DType::Bool),
            Self::Flights => (0..16)
                .map(|i| {
                    let dtype = if i < 10 {
                        DType::Float64
                    } else {
                        DType::String
                    };
                    Field::nullable(format!("c{i}"), dtype)
                })
                .collect(),
        }
    }

    fn table(self, rows: usize) -> TableBuf {
        let fields = [self.schema(), vec![Field::required("late", DType::Float64)]].concat();
        let Ok(schema) = Schema::new(fields) else {
            return TableBuf { columns: vec![] };
        };
        let mut table = TableBuf::new(&schema, rows);
        let mut state = 1u64;
        for row in 0..rows {
            for (field, column) in schema.fields().iter().zip(&mut table.columns) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let draw = state >> 33;
                let missing = row % 16 == 15 && field.nullable && !matches!(self, Self::Float);
                let _ = match field.dtype {
                    _ if missing => {
                        column.push_null();
                        Ok(())
                    }
                    DType::Float64 => column.push_f64(draw as f64 / 1e6),
                    DType::Int64 => column.push_i64((draw % 1000) as i64),
                    DType::Timestamp => column.push_timestamp(draw as i64),
                    DType::Bool => column.push_bool(draw.is_multiple_of(3)),
                    DType::String => column.push_str(&format!("N{:04}", draw % 120)),
                };
            }
        }
        table
    }
}

fn observe(bencher: Bencher, kind: Kind, rows: usize) {
    let outputs = Schema::new(vec![Field::required("late", DType::Float64)]);
    let table = kind.table(rows);
    let sample = kind.table(20_000);
    let monitor = || {
        let mut builder = BaselineBuilder::new(&Schema::new(kind.schema())?, &outputs?)?;
        builder.update(&sample.view()?)?;
        Monitor::new(
            Arc::new(builder.finish()?),
            Windows {
                rows: u64::MAX,
                seconds: 3600.0,
            },
            0.0,
        )
    };
    let (Ok(mut monitor), Ok(view)) = (monitor(), table.view()) else {
        return;
    };
    bencher
        .counter(ItemsCount::new(rows * table.columns.len()))
        .bench_local(|| monitor.observe(black_box(&view), 1.0));
}

const KINDS: [Kind; 6] = [
    Kind::Float,
    Kind::NullableFloat,
    Kind::NullableInt,
    Kind::String,
    Kind::Bool,
    Kind::Flights,
];

#[divan::bench(args = KINDS)]
fn one_row(bencher: Bencher, kind: Kind) {
    observe(bencher, kind, 1);
}

#[divan::bench(args = KINDS)]
fn batch_of_32(bencher: Bencher, kind: Kind) {
    observe(bencher, kind, 32);
}

#[divan::bench(args = KINDS)]
fn table_of_10_000(bencher: Bencher, kind: Kind) {
    observe(bencher, kind, 10_000);
}

#[divan::bench]
fn report_of_48_windows(bencher: Bencher) {
    let kind = Kind::Flights;
    let build = || {
        let table = kind.table(20_000);
        let outputs = Schema::new(vec![Field::required("late", DType::Float64)])?;
        let mut builder = BaselineBuilder::new(&Schema::new(kind.schema())?, &outputs)?;
        builder.update(&table.view()?)?;
        let windows = Windows {
            rows: 400,
            seconds: 3600.0,
        };
        let mut monitor = Monitor::new(Arc::new(builder.finish()?), windows, 0.0)?;
        monitor.observe(&table.view()?, 1.0)?;
        Ok::<_, tidegate_schema::Error>(monitor)
    };
    if let Ok(mut monitor) = build() {
        bencher.bench_local(|| monitor.report(2.0).to_json().len());
    }
}
