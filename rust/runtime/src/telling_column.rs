//! The raw columns by whose values requests and rows are told apart: keys, rules and segments.

use tidegate_schema::{DType, Error, Result, Schema};

/// The place of a column of texts, whole numbers or bools.
///
/// `what` is told apart by it, and `mend` is what to do where the model takes tensors.
///
/// # Errors
/// `InvalidInput` for a model without columns, another column, or one of another type.
pub(crate) fn telling_column(
    what: &str,
    name: &str,
    schema: Option<&Schema>,
    mend: &str,
) -> Result<usize> {
    let Some(schema) = schema else {
        return Err(Error::invalid(format!(
            "{what} by column {name:?} of a model that takes tensors: {mend}"
        )));
    };
    let place = schema.position(name);
    match place.and_then(|place| Some((place, schema.fields().get(place)?))) {
        Some((place, field))
            if matches!(field.dtype, DType::String | DType::Int64 | DType::Bool) =>
        {
            Ok(place)
        }
        Some((_, field)) => Err(Error::invalid(format!(
            "{what} by column {name:?}, which is {}: name one of texts, whole numbers or bools",
            field.dtype
        ))),
        None => {
            let names = schema.fields().iter().map(|field| field.name.as_str());
            Err(Error::invalid(format!(
                "{what} by column {name:?}, which the model does not have: name one of {}",
                names.collect::<Vec<_>>().join(", ")
            )))
        }
    }
}
