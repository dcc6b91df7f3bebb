//! What is watched: columns of each kind, and flights.

use std::sync::Arc;

use tidegate_drift::{BaselineBuilder, Monitor, Windows};
use tidegate_schema::{DType, Field, Result, Schema, TableBuf};

/// A column of each kind; one value in 16 is missing where that is allowed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Numbers that are all there.
    Float,
    /// Numbers.
    NullableFloat,
    /// Whole numbers.
    NullableInt,
    /// Texts.
    String,
    /// Truths.
    Bool,
    /// As the flights model: ten numeric columns, six of text, one prediction.
    Flights,
}

impl Kind {
    /// Its columns.
    #[must_use]
    pub fn schema(self) -> Vec<Field> {
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

    /// Rows of it, and of a prediction.
    #[must_use]
    pub fn table(self, rows: usize) -> TableBuf {
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
                    DType::Date => column.push_date((draw % 20_000) as i64),
                    DType::Duration => column.push_duration((draw % 1000) as i64),
                    DType::NumberList => column.push_numbers(&[draw as f64]),
                    DType::TextList => column.push_texts([Some("N")].into_iter()),
                };
            }
        }
        table
    }
}

/// A monitor of a kind with a baseline of 20,000 rows.
///
/// # Errors
/// What the baseline refuses.
pub fn monitor(kind: Kind, windows: Windows) -> Result<Monitor> {
    let outputs = Schema::new(vec![Field::required("late", DType::Float64)])?;
    let sample = kind.table(20_000);
    let mut builder = BaselineBuilder::new(&Schema::new(kind.schema())?, &outputs)?;
    builder.update(&sample.view()?)?;
    Monitor::new(Arc::new(builder.finish()?), windows, 0.0)
}
