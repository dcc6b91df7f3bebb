//! Outputs as columns: the one definition that the baseline, watching, golden rows and columnar
//! answers share.

use tidegate_schema::{
    ColumnBuf, DType, Datatype, Error, ErrorKind, Field, Result, Schema, TableBuf, Tensor,
    TensorData,
};

/// One column of the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputColumn {
    pub name: String,
    pub dtype: DType,
    /// Which of the tensors.
    tensor: usize,
    /// Which element of each of its rows.
    element: usize,
}

/// The columns of outputs: a tensor of one element a row (`[n]`, `[n, 1]`) has its own name, a
/// wider one `name[0]`, `name[1]`, … in row-major order.
///
/// # Errors
/// `Unsupported` when outputs differ in rows, or have more columns than a schema may.
pub(crate) fn layout(outputs: &[Tensor]) -> Result<Vec<OutputColumn>> {
    let rows = outputs.first().map_or(0, Tensor::rows);
    let mut columns = Vec::new();
    for (position, tensor) in outputs.iter().enumerate() {
        if tensor.rows() != rows {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "output {:?} has {} rows where the first has {rows}: such outputs have no columns",
                    tensor.name,
                    tensor.rows()
                ),
            ));
        }
        let dtype = match tensor.data.datatype() {
            Datatype::Bool => DType::Bool,
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => DType::Float64,
            Datatype::Bytes => DType::String,
            _ => DType::Int64,
        };
        let width = tensor.row_width();
        if columns.len() + width > tidegate_schema::MAX_FIELDS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "output {:?} has {width} elements a row: more than {} columns",
                    tensor.name,
                    tidegate_schema::MAX_FIELDS
                ),
            ));
        }
        for element in 0..width {
            columns.push(OutputColumn {
                name: if width == 1 {
                    tensor.name.clone()
                } else {
                    format!("{}[{element}]", tensor.name)
                },
                dtype,
                tensor: position,
                element,
            });
        }
    }
    Ok(columns)
}

/// Outputs as typed columns: floats as float64 (NaN is missing), integers as int64, BOOL as bool,
/// BYTES as text (bytes that are no UTF-8 replaced). Names as `probabilities[0]`,
/// `probabilities[1]`, `label`.
///
/// # Errors
/// `Unsupported` when outputs differ in rows or a UINT64 exceeds int64.
pub fn output_columns(outputs: &[Tensor]) -> Result<(Schema, TableBuf)> {
    let columns = layout(outputs)?;
    let schema = Schema::new(
        columns
            .iter()
            .map(|column| Field::nullable(&column.name, column.dtype))
            .collect(),
    )?;
    let columns = columns
        .iter()
        .map(|column| column.read(outputs))
        .collect::<Result<_>>()?;
    Ok((schema, TableBuf { columns }))
}

/// The columns worth watching: of a classifier's two probabilities the second tells the first.
pub(crate) fn watched(
    mut columns: Vec<OutputColumn>,
    outputs: &[Tensor],
    binary: bool,
) -> Vec<OutputColumn> {
    if binary {
        columns.retain(|column| {
            let pair = outputs
                .get(column.tensor)
                .is_some_and(|tensor| tensor.row_width() == 2);
            !(pair && column.dtype == DType::Float64 && column.element == 0)
        });
    }
    columns
}

impl OutputColumn {
    /// The values of this column.
    pub fn read(&self, outputs: &[Tensor]) -> Result<ColumnBuf> {
        let Some(tensor) = outputs.get(self.tensor) else {
            return Err(Error::internal(format!(
                "no output for column {:?}",
                self.name
            )));
        };
        let (first, step) = (self.element, tensor.row_width().max(1));
        macro_rules! floats {
            ($values:expr, $convert:expr) => {
                Ok(ColumnBuf::from_f64(
                    $values
                        .iter()
                        .skip(first)
                        .step_by(step)
                        .map($convert)
                        .collect(),
                ))
            };
        }
        macro_rules! pushed {
            ($values:expr, $column:ident, $value:ident => $push:expr) => {{
                let mut $column = ColumnBuf::new(self.dtype, tensor.rows());
                for $value in $values.iter().skip(first).step_by(step) {
                    $push?;
                }
                Ok($column)
            }};
        }
        match &tensor.data {
            TensorData::Fp32(values) => floats!(values, |&value| f64::from(value)),
            TensorData::Fp64(values) => floats!(values, |&value| value),
            TensorData::Fp16(values) => floats!(values, |&bits| half(bits)),
            TensorData::Bf16(values) => {
                floats!(values, |&bits| f64::from(f32::from_bits(
                    u32::from(bits) << 16
                )))
            }
            TensorData::Bool(values) => pushed!(values, c, v => c.push_bool(*v != 0)),
            TensorData::Uint8(values) => pushed!(values, c, v => c.push_i64(i64::from(*v))),
            TensorData::Uint16(values) => pushed!(values, c, v => c.push_i64(i64::from(*v))),
            TensorData::Uint32(values) => pushed!(values, c, v => c.push_i64(i64::from(*v))),
            TensorData::Int8(values) => pushed!(values, c, v => c.push_i64(i64::from(*v))),
            TensorData::Int16(values) => pushed!(values, c, v => c.push_i64(i64::from(*v))),
            TensorData::Int32(values) => pushed!(values, c, v => c.push_i64(i64::from(*v))),
            TensorData::Int64(values) => pushed!(values, c, v => c.push_i64(*v)),
            TensorData::Uint64(values) => pushed!(values, c, v => {
                let value = i64::try_from(*v).map_err(|_| Error::new(
                    ErrorKind::Unsupported,
                    format!("output {:?} has {v}, which exceeds int64: cast it in the model", tensor.name),
                ))?;
                c.push_i64(value)
            }),
            TensorData::Bytes(values) => {
                pushed!(values, c, v => c.push_str(&String::from_utf8_lossy(v)))
            }
        }
    }
}

/// An IEEE half as f64.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_schema::Column;

    use super::*;

    fn tensor(name: &str, shape: &[usize], data: TensorData) -> Tensor {
        Tensor::new(name, shape.to_vec(), data).unwrap()
    }

    fn names(columns: &[OutputColumn]) -> Vec<&str> {
        columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn one_element_a_row_has_the_plain_name() {
        let outputs = [
            tensor("label", &[2], TensorData::Int64(vec![0, 1])),
            tensor("score", &[2, 1], TensorData::Fp32(vec![0.5, 1.5])),
            tensor(
                "probabilities",
                &[2, 2],
                TensorData::Fp32(vec![0.25, 0.75, 1.0, 0.0]),
            ),
        ];
        let columns = layout(&outputs).unwrap();
        assert_eq!(
            names(&columns),
            ["label", "score", "probabilities[0]", "probabilities[1]"]
        );
        assert_eq!(
            names(&watched(columns, &outputs, true)),
            ["label", "score", "probabilities[1]"]
        );
        let (schema, table) = output_columns(&outputs).unwrap();
        assert_eq!(schema.fields()[0].dtype, DType::Int64);
        let Column::Float64(second) = table.columns[3].view() else {
            panic!()
        };
        assert_eq!(second.values, [0.75, 0.0]);
    }

    #[test]
    fn every_datatype_becomes_a_column() {
        for datatype in Datatype::ALL {
            let mut data = TensorData::with_capacity(datatype, 1);
            match &mut data {
                TensorData::Fp16(v) => v.push(0x3c00),
                TensorData::Bf16(v) => v.push(0x3f80),
                TensorData::Bytes(v) => v.push(b"a".to_vec()),
                TensorData::Fp32(v) => v.push(1.0),
                TensorData::Fp64(v) => v.push(1.0),
                TensorData::Bool(v) | TensorData::Uint8(v) => v.push(1),
                TensorData::Uint16(v) => v.push(1),
                TensorData::Uint32(v) => v.push(1),
                TensorData::Uint64(v) => v.push(1),
                TensorData::Int8(v) => v.push(1),
                TensorData::Int16(v) => v.push(1),
                TensorData::Int32(v) => v.push(1),
                TensorData::Int64(v) => v.push(1),
            }
            let (_, table) = output_columns(&[tensor("y", &[1], data)]).unwrap();
            assert!(!table.columns[0].view().is_missing(0), "{datatype}");
            if let Column::Float64(values) = table.columns[0].view() {
                assert_eq!(values.values, [1.0], "{datatype}");
            }
        }
    }

    #[test]
    fn halves() {
        for (bits, value) in [(0x0001, 2f64.powi(-24)), (0xc000, -2.0), (0x7bff, 65504.0)] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(half(0xfc00), f64::NEG_INFINITY);
    }

    #[test]
    fn outputs_of_different_rows_have_no_columns() {
        let outputs = [
            tensor("a", &[2], TensorData::Int64(vec![0, 1])),
            tensor("b", &[1], TensorData::Int64(vec![0])),
        ];
        assert_eq!(layout(&outputs).unwrap_err().kind, ErrorKind::Unsupported);
        let huge = [tensor("a", &[1], TensorData::Uint64(vec![u64::MAX]))];
        assert!(output_columns(&huge).is_err());
    }
}
