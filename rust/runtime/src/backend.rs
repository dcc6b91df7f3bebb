//! The contract between the runtime and whatever computes a model's outputs.

use tidegate_schema::{Result, Tensor, TensorData};

use crate::TensorInfo;

/// One input of a run, borrowed: the elements, row-major, and the extent of each dimension.
#[derive(Clone, Copy, Debug)]
pub struct Slab<'a> {
    /// The extent of each dimension.
    pub shape: &'a [usize],
    /// As many elements as the product of the shape.
    pub data: &'a TensorData,
}

/// What computes the outputs of one loaded model.
///
/// A backend is run by one thread at a time: it sits in a slot that is taken for each batch.
/// Several instances of it may run at the same time.
pub trait Backend: Send + 'static {
    /// The inputs, in the order in which [`Backend::run`] takes them.
    fn inputs(&self) -> &[TensorInfo];

    /// The outputs, in the order in which [`Backend::run`] gives them.
    fn outputs(&self) -> &[TensorInfo];

    /// Runs the model once. `inputs` has one slab for each of [`Backend::inputs`], in that order.
    ///
    /// # Errors
    /// `InvalidInput` where the values or shapes are at fault, `Backend` where the model is.
    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>>;

    /// Another instance of the same model, sharing what is not changed by a run; `None` where
    /// only one can be.
    ///
    /// # Errors
    /// When it cannot be made.
    fn another(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(None)
    }
}
