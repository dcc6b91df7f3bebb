//! Tensors against the inputs of a model that takes them as they are.

use tidegate_schema::{Error, Result, Tensor};

use crate::TensorInfo;
use crate::work::Block;

/// A request that fits the model.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// In the order of the model's inputs.
    pub blocks: Vec<Block>,
    /// The extent of the first dimension.
    pub rows: usize,
    /// Do all inputs agree on it?
    pub rowwise: bool,
}

/// Can rows of different requests share a run? Only where every first dimension is variable.
pub(crate) fn variable_rows(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> bool {
    inputs
        .iter()
        .chain(outputs)
        .all(|info| info.shape.first().is_some_and(|&extent| extent < 0))
}

/// Brings tensors into the order of the model's inputs.
///
/// # Errors
/// `InvalidInput` that names the tensor: unknown, missing, twice, of another type or shape, empty.
pub(crate) fn admit(tensors: Vec<Tensor>, inputs: &[TensorInfo]) -> Result<Admitted> {
    let names = || {
        let names: Vec<&str> = inputs.iter().map(|info| info.name.as_str()).collect();
        names.join(", ")
    };
    let mut places: Vec<Option<Tensor>> = inputs.iter().map(|_| None).collect();
    for tensor in tensors {
        let position = inputs.iter().position(|info| info.name == tensor.name);
        let Some(place) = position.and_then(|position| places.get_mut(position)) else {
            return Err(Error::invalid(format!(
                "unknown input {:?}: the model takes {}",
                tensor.name,
                names()
            )));
        };
        if place.is_some() {
            return Err(Error::invalid(format!(
                "input {:?} appears twice: send each once",
                tensor.name
            )));
        }
        *place = Some(tensor);
    }
    let mut blocks = Vec::with_capacity(inputs.len());
    let mut rows = 1;
    let mut rowwise = true;
    for (position, (info, place)) in inputs.iter().zip(places).enumerate() {
        let Some(tensor) = place else {
            return Err(Error::invalid(format!(
                "input {:?} is missing: the model takes {}",
                info.name,
                names()
            )));
        };
        check(&tensor, info)?;
        if position == 0 {
            rows = tensor.rows();
        }
        rowwise &= tensor.shape.first() == Some(&rows);
        blocks.push(Block {
            shape: tensor.shape,
            data: tensor.data,
        });
    }
    Ok(Admitted {
        blocks,
        rows,
        rowwise,
    })
}

fn check(tensor: &Tensor, info: &TensorInfo) -> Result<()> {
    if tensor.data.datatype() != info.datatype {
        return Err(Error::invalid(format!(
            "input {:?} is {} where the model takes {}",
            info.name,
            tensor.data.datatype(),
            info.datatype
        )));
    }
    // A model that declares no dimensions may take any: it says so itself if it does not.
    let fits = info.shape.is_empty()
        || (tensor.shape.len() == info.shape.len()
            && tensor
                .shape
                .iter()
                .zip(&info.shape)
                .all(|(&extent, &due)| due < 0 || extent as i64 == due));
    if !fits {
        return Err(Error::invalid(format!(
            "input {:?} has shape {:?} where the model takes {:?} (-1 is any)",
            info.name, tensor.shape, info.shape
        )));
    }
    let elements = tensor
        .shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if elements != Some(tensor.data.len()) {
        return Err(Error::invalid(format!(
            "input {:?} of shape {:?} has {} elements",
            info.name,
            tensor.shape,
            tensor.data.len()
        )));
    }
    if tensor.data.is_empty() {
        return Err(Error::invalid(format!(
            "input {:?} of shape {:?} has no elements: send at least one row",
            info.name, tensor.shape
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidegate_schema::{Datatype, TensorData};

    use super::*;

    fn info(name: &str, shape: &[i64]) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            datatype: Datatype::Fp32,
            shape: shape.to_vec(),
        }
    }

    fn tensor(name: &str, shape: &[usize]) -> Tensor {
        let elements = shape.iter().product();
        Tensor::new(name, shape.to_vec(), TensorData::Fp32(vec![0.0; elements])).unwrap()
    }

    #[test]
    fn tensors_come_in_any_order() {
        let inputs = [info("a", &[-1, 2]), info("b", &[-1])];
        let admitted = admit(vec![tensor("b", &[3]), tensor("a", &[3, 2])], &inputs).unwrap();
        assert_eq!((admitted.rows, admitted.rowwise), (3, true));
        assert_eq!(admitted.blocks[0].shape, [3, 2]);
        let uneven = admit(vec![tensor("b", &[4]), tensor("a", &[3, 2])], &inputs).unwrap();
        assert!(!uneven.rowwise);
        assert!(variable_rows(&inputs, &[]));
        assert!(!variable_rows(&inputs, &[info("y", &[1])]));
        assert!(!variable_rows(&inputs, &[info("y", &[])]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let inputs = [info("a", &[-1, 2]), info("b", &[-1])];
        let say = |tensors| admit(tensors, &inputs).unwrap_err().message;
        let (a, b) = (tensor("a", &[3, 2]), tensor("b", &[3]));
        assert!(say(vec![a.clone()]).contains("\"b\" is missing"));
        assert!(say(vec![a.clone(), a.clone()]).contains("twice"));
        assert!(say(vec![a.clone(), tensor("c", &[3])]).contains("unknown input \"c\""));
        assert!(say(vec![tensor("a", &[3, 4]), b.clone()]).contains("[3, 4]"));
        assert!(say(vec![tensor("a", &[0, 2]), b.clone()]).contains("no elements"));
        let mut wrong = a.clone();
        wrong.data = TensorData::Fp64(vec![0.0; 6]);
        assert!(say(vec![wrong, b.clone()]).contains("FP64"));
        let mut short = a;
        short.data = TensorData::Fp32(vec![0.0; 5]);
        assert!(say(vec![short, b]).contains("5 elements"));
    }
}
