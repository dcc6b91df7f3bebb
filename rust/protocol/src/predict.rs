//! Replies of `POST /v1/models/{name}:predict`: one object of outputs for each row.

use tidegate_schema::{Error, Result, Tensor};

use crate::write;

/// What a reply says.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// The name in the URL.
    pub model_name: &'a str,
    /// The version that answered.
    pub model_version: &'a str,
    /// The revision of the deployment that answered.
    pub revision: u64,
    /// The experiment that the request takes part in; the version is its arm there.
    pub experiment: Option<&'a str>,
    /// Names this reply; row `i` is labelled as `prediction_id/i`.
    pub prediction_id: &'a str,
    /// The outputs, each with one row for each instance.
    pub outputs: &'a [Tensor],
}

/// Writes `{model_name, model_version, revision, prediction_id, predictions: […]}`, with `experiment`
/// and `arm` before the predictions of a request that takes part in one.
///
/// An output of shape `[n]` or `[n, 1]` is a scalar in each row, any other a nested array of the
/// remaining shape. Floats have the fewest digits that read back to the same bits of their type;
/// NaN and infinities are `null`. An error where outputs differ in rows, or hold bytes that are
/// not UTF-8.
pub fn encode(predictions: &Predictions<'_>) -> Result<Vec<u8>> {
    let mut out = begin(predictions)?;
    out.extend_from_slice(END);
    Ok(out)
}

/// What ends a reply that [`begin`] began.
pub const END: &[u8] = b"]}";

/// Writes more rows of a reply that [`begin`] began.
///
/// # Errors
/// As [`encode`].
pub fn go_on(outputs: &[Tensor]) -> Result<Vec<u8>> {
    let mut out = vec![b','];
    rows(&mut out, outputs)?;
    Ok(out)
}

/// Writes a reply as [`encode`] does, but for its end: more rows may follow.
///
/// # Errors
/// As [`encode`].
pub fn begin(predictions: &Predictions<'_>) -> Result<Vec<u8>> {
    let count = predictions.outputs.first().map_or(0, Tensor::rows);
    let mut out = Vec::with_capacity(256 + count * 64 * predictions.outputs.len());
    out.push(b'{');
    for (name, value) in [
        ("model_name", predictions.model_name),
        ("model_version", predictions.model_version),
    ] {
        write::key(&mut out, name);
        write::string(&mut out, value);
    }
    write::key(&mut out, "revision");
    write::scalar(&mut out, &predictions.revision);
    write::key(&mut out, "prediction_id");
    write::string(&mut out, predictions.prediction_id);
    if let Some(experiment) = predictions.experiment {
        write::key(&mut out, "experiment");
        write::string(&mut out, experiment);
        write::key(&mut out, "arm");
        write::string(&mut out, predictions.model_version);
    }
    write::key(&mut out, "predictions");
    out.push(b'[');
    rows(&mut out, predictions.outputs)?;
    Ok(out)
}

fn rows(out: &mut Vec<u8>, outputs: &[Tensor]) -> Result<()> {
    let rows = outputs.first().map_or(0, Tensor::rows);
    for output in outputs {
        if output.rows() != rows || output.row_width().checked_mul(rows) != Some(output.data.len())
        {
            return Err(Error::internal(format!(
                "output {:?} of shape {:?} does not have the {rows} rows of the others",
                output.name, output.shape
            )));
        }
    }
    for row in 0..rows {
        if row > 0 {
            out.push(b',');
        }
        out.push(b'{');
        for output in outputs {
            write::key(out, &output.name);
            let width = output.row_width();
            let shape = match output.shape.get(1..) {
                None | Some([] | [1]) => &[],
                Some(shape) => shape,
            };
            if !nested(out, output, shape, row * width, width) {
                return Err(Error::invalid(format!(
                    "output {:?} holds bytes that are not UTF-8, which JSON cannot carry: ask \
                     for it in binary through /v2",
                    output.name
                )));
            }
        }
        out.push(b'}');
    }
    Ok(())
}

/// Appends the elements `start .. start + count` as arrays of this shape.
fn nested(out: &mut Vec<u8>, output: &Tensor, shape: &[usize], start: usize, count: usize) -> bool {
    let Some((&extent, inner)) = shape.split_first() else {
        return write::elements(out, &output.data, start, count);
    };
    out.push(b'[');
    let mut valid = true;
    if inner.is_empty() {
        valid = write::elements(out, &output.data, start, count);
    } else if let Some(each) = count.checked_div(extent) {
        for i in 0..extent {
            if i > 0 {
                out.push(b',');
            }
            valid &= nested(out, output, inner, start + i * each, each);
        }
    }
    out.push(b']');
    valid
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schema::TensorData;

    fn encode_of(outputs: &[Tensor]) -> Result<String> {
        encode(&Predictions {
            model_name: "flight-delay",
            model_version: "1.0.0",
            revision: 7,
            experiment: None,
            prediction_id: "p-1",
            outputs,
        })
        .map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn rows_are_objects() {
        let outputs = [
            Tensor::new("label", vec![2], TensorData::Int64(vec![0, 1])).unwrap(),
            Tensor::new("score", vec![2, 1], TensorData::Fp32(vec![0.1, f32::NAN])).unwrap(),
            Tensor::new(
                "probabilities",
                vec![2, 2],
                TensorData::Fp32(vec![0.9, 0.1, 0.25, 0.75]),
            )
            .unwrap(),
            Tensor::new("deep", vec![2, 2, 1], TensorData::Uint8(vec![1, 2, 3, 4])).unwrap(),
            Tensor::new("none", vec![2, 0, 3], TensorData::Bool(vec![])).unwrap(),
        ];
        assert_eq!(
            encode_of(&outputs).unwrap(),
            r#"{"model_name":"flight-delay","model_version":"1.0.0","revision":7,"prediction_id":"p-1","predictions":[{"label":0,"score":0.1,"probabilities":[0.9,0.1],"deep":[[1],[2]],"none":[]},{"label":1,"score":null,"probabilities":[0.25,0.75],"deep":[[3],[4]],"none":[]}]}"#
        );
    }

    #[test]
    fn unequal_rows_are_our_bug() {
        let outputs = [
            Tensor::new("a", vec![2], TensorData::Bool(vec![0, 1])).unwrap(),
            Tensor::new("b", vec![1], TensorData::Bool(vec![0])).unwrap(),
        ];
        assert!(encode_of(&outputs).is_err());
    }
}
