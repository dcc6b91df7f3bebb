//! The classification extension: an output as its best classes, each `value:index[:label]`.

use std::cmp::Ordering;
use std::fmt::Write as _;

use tidegate_schema::{Datatype, Error, Result, Tensor, TensorData};

use crate::json::quote;

/// An output as the `k` greatest elements of each row, the greatest first and equal ones in the
/// order of their index: BYTES of shape `[n, min(k, classes)]`, each element
/// `value:index`, and `:label` where there is a label for every class of the row.
///
/// Values are written as Triton writes them, floats with six decimals. NaN comes last. An error
/// for an output of BOOL or BYTES, whose elements have no order worth a class.
pub fn classify(tensor: &Tensor, k: usize, labels: &[String]) -> Result<Tensor> {
    check(&tensor.name, tensor.data.datatype())?;
    let classes = tensor.row_width();
    let labels = (labels.len() == classes).then_some(labels);
    let kept = k.min(classes);
    macro_rules! best {
        ($values:expr, $order:expr, $write:expr) => {
            rows($values, classes, kept, $order, |text, value, index| {
                let write: fn(&mut String, _) = $write;
                write(text, value);
                let _ = write!(text, ":{index}");
                if let Some(label) = labels.and_then(|labels| labels.get(index)) {
                    let _ = write!(text, ":{label}");
                }
            })
        };
    }
    // Writing to a text cannot fail, so the outcomes are dropped.
    macro_rules! integers {
        ($values:expr) => {
            best!($values, |a, b| b.cmp(a), |text, value| {
                let _ = write!(text, "{value}");
            })
        };
    }
    macro_rules! floats {
        ($values:expr) => {
            best!(
                $values,
                |a, b| b
                    .partial_cmp(a)
                    .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
                |text, value| {
                    let _ = write!(text, "{value:.6}");
                }
            )
        };
    }
    let values = match &tensor.data {
        TensorData::Uint8(values) => integers!(values),
        TensorData::Uint16(values) => integers!(values),
        TensorData::Uint32(values) => integers!(values),
        TensorData::Uint64(values) => integers!(values),
        TensorData::Int8(values) => integers!(values),
        TensorData::Int16(values) => integers!(values),
        TensorData::Int32(values) => integers!(values),
        TensorData::Int64(values) => integers!(values),
        TensorData::Fp32(values) => floats!(values),
        TensorData::Fp64(values) => floats!(values),
        TensorData::Fp16(bits) => {
            let values: Vec<f32> = bits
                .iter()
                .map(|bits| half::f16::from_bits(*bits).to_f32())
                .collect();
            floats!(&values)
        }
        TensorData::Bf16(bits) => {
            let values: Vec<f32> = bits
                .iter()
                .map(|bits| half::bf16::from_bits(*bits).to_f32())
                .collect();
            floats!(&values)
        }
        // Refused above.
        TensorData::Bool(_) | TensorData::Bytes(_) => Vec::new(),
    };
    Tensor::new(
        tensor.name.clone(),
        vec![tensor.rows(), kept],
        TensorData::Bytes(values),
    )
}

/// Can an output of this datatype be classified?
pub(super) fn check(name: &str, datatype: Datatype) -> Result<()> {
    if matches!(datatype, Datatype::Bool | Datatype::Bytes) {
        return Err(Error::invalid(format!(
            "output {} is {datatype}, which has no classes: ask for it without classification",
            quote(name)
        )));
    }
    Ok(())
}

fn rows<T>(
    values: &[T],
    classes: usize,
    kept: usize,
    order: impl Fn(&T, &T) -> Ordering,
    one: impl Fn(&mut String, &T, usize),
) -> Vec<Vec<u8>> {
    let mut texts = Vec::with_capacity(values.len().checked_div(classes).unwrap_or(0) * kept);
    let mut ranked: Vec<usize> = Vec::with_capacity(classes);
    for row in values.chunks_exact(classes.max(1)) {
        let by = |a: &usize, b: &usize| match (row.get(*a), row.get(*b)) {
            (Some(x), Some(y)) => order(x, y).then(a.cmp(b)),
            _ => a.cmp(b),
        };
        ranked.clear();
        ranked.extend(0..row.len());
        if kept > 0 && kept < ranked.len() {
            ranked.select_nth_unstable_by(kept - 1, by);
            ranked.truncate(kept);
        }
        ranked.sort_unstable_by(by);
        for (index, value) in ranked.iter().filter_map(|&i| Some((i, row.get(i)?))) {
            let mut text = String::new();
            one(&mut text, value, index);
            texts.push(text.into_bytes());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tensor: &Tensor) -> Vec<&str> {
        match &tensor.data {
            TensorData::Bytes(values) => values
                .iter()
                .map(|value| std::str::from_utf8(value).unwrap())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_are_ranked_each_by_itself() {
        let data = TensorData::Fp32(vec![0.25, 10.0, f32::NAN, 3.0, 3.0, -1.0]);
        let tensor = Tensor::new("p", vec![2, 3], data).unwrap();
        let best = classify(&tensor, 2, &[]).unwrap();
        assert_eq!(best.shape, [2, 2]);
        assert_eq!(
            texts(&best),
            ["10.000000:1", "0.250000:0", "3.000000:0", "3.000000:1"]
        );
        let labels = ["a", "b", "c"].map(str::to_owned);
        let all = classify(&tensor, 9, &labels).unwrap();
        assert_eq!(all.shape, [2, 3]);
        assert_eq!(
            texts(&all),
            [
                "10.000000:1:b",
                "0.250000:0:a",
                "NaN:2:c",
                "3.000000:0:a",
                "3.000000:1:b",
                "-1.000000:2:c"
            ]
        );
    }

    #[test]
    fn whole_numbers_stay_whole_and_labels_must_fit() {
        let tensor = Tensor::new("n", vec![2], TensorData::Int64(vec![7, -7])).unwrap();
        let labels = ["a", "b"].map(str::to_owned);
        let best = classify(&tensor, 1, &labels).unwrap();
        assert_eq!(best.shape, [2, 1]);
        assert_eq!(texts(&best), ["7:0", "-7:0"]);
        let half = TensorData::Fp16(vec![half::f16::from_f32(0.5).to_bits()]);
        let tensor = Tensor::new("h", vec![1, 1], half).unwrap();
        assert_eq!(texts(&classify(&tensor, 1, &[]).unwrap()), ["0.500000:0"]);
    }

    #[test]
    fn texts_and_flags_have_no_classes() {
        for data in [
            TensorData::Bool(vec![1]),
            TensorData::Bytes(vec![b"x".to_vec()]),
        ] {
            let tensor = Tensor::new("t", vec![1, 1], data).unwrap();
            let error = classify(&tensor, 1, &[]).unwrap_err();
            assert!(error.message.contains("classification"), "{error}");
        }
    }
}
