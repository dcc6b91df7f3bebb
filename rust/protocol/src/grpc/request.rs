//! Requests for inference.

use tidegate_schema::{Datatype, Error, ErrorKind, Result, Tensor, TensorData};

use super::wire::{Fields, Value, varint};
use super::{contents, parameters};
use crate::infer::{InferRequest, RequestedOutput, read_raw, requested, reserved, unique};
use crate::json::{Context, quote};
use crate::limits::{product, too_many};
use crate::parameter::Read;
use crate::{Limits, Parameters};

/// The parameter by which a stream asks for a reply that says only that a request is at its end.
const EMPTY_FINAL: &str = "triton_enable_empty_final_response";
/// The fields of `ModelInferRequest`.
mod field {
    pub(super) const MODEL_NAME: u32 = 1;
    pub(super) const MODEL_VERSION: u32 = 2;
    pub(super) const ID: u32 = 3;
    pub(super) const PARAMETERS: u32 = 4;
    pub(super) const INPUTS: u32 = 5;
    pub(super) const OUTPUTS: u32 = 6;
    pub(super) const RAW: u32 = 7;
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The version or alias; `None` asks for what is deployed.
    pub version: Option<&'a str>,
    /// The request's id, to be echoed; `None` where it is empty.
    pub id: Option<&'a str>,
}

/// Reads which model a request is for, without reading its tensors: whether the caller may ask,
/// and whether the model exists, is known before anything is decoded.
pub fn target(message: &[u8]) -> Result<Target<'_>> {
    let mut target = Target::default();
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            field::MODEL_NAME => target.model = value.text()?,
            field::MODEL_VERSION => target.version = given(value.text()?),
            field::ID => target.id = given(value.text()?),
            _ => {}
        }
    }
    Ok(target)
}

/// An empty text is an absent one.
fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Reads a request. Inputs come as bytes (`raw_input_contents`, one entry for each input, in
/// their order) or as typed values (`contents`), all of them in one way.
pub fn decode(message: &[u8], limits: &Limits) -> Result<InferRequest> {
    let context = Context::new(limits, message.len());
    let mut request = InferRequest::default();
    let mut own = Parameters::new();
    let mut typed = Vec::new();
    let mut raw = Vec::new();
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            field::ID => request.id = given(value.text()?).map(str::to_owned),
            field::PARAMETERS => parameters::read(&mut own, value.bytes()?, limits)?,
            field::INPUTS => {
                let position = request.inputs.len();
                if position >= limits.tensors {
                    return Err(too_many("tensors", position + 1, limits.tensors));
                }
                let (input, parameters, contents) = input(value.bytes()?, position, &context)?;
                request.inputs.push(input);
                if !parameters.is_empty() {
                    request
                        .input_parameters
                        .resize_with(position, Parameters::new);
                    request.input_parameters.push(parameters);
                } else if !request.input_parameters.is_empty() {
                    request.input_parameters.push(Parameters::new());
                }
                if !contents.is_empty() {
                    typed.push((position, contents));
                }
            }
            field::OUTPUTS => {
                if request.outputs.len() >= limits.tensors {
                    let limit = limits.tensors;
                    return Err(too_many("outputs", limit + 1, limit));
                }
                request.outputs.push(output(value.bytes()?, limits)?);
            }
            field::RAW => {
                if raw.len() >= limits.tensors {
                    let limit = limits.tensors;
                    return Err(too_many("raw_input_contents", limit + 1, limit));
                }
                raw.push(value.bytes()?);
            }
            _ => {}
        }
    }
    if request.inputs.is_empty() {
        return Err(Error::invalid(
            "the request has no inputs: send a list of tensors in inputs",
        ));
    }
    fill(&mut request.inputs, &typed, &raw)?;
    unique(&request.inputs)?;
    // Every request has one reply, which is its final one, so there is nothing to be added.
    own.remove(EMPTY_FINAL);
    let read = Read {
        own: None,
        others: own,
    };
    reserved(&mut request, read)?;
    Ok(request)
}

/// The messages that came as the `contents` of one input.
type Contents<'a> = Vec<&'a [u8]>;

/// Reads one input, whose elements are still to be filled in.
fn input<'a>(
    message: &'a [u8],
    position: usize,
    context: &Context<'_>,
) -> Result<(Tensor, Parameters, Contents<'a>)> {
    let limits = context.limits;
    let mut name = "";
    let mut datatype = None;
    let mut shape = Vec::new();
    let mut others = Parameters::new();
    let mut contents = Vec::new();
    let mut read = || -> Result<()> {
        let mut fields = Fields(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => name = value.text()?,
                2 => datatype = Some(value.text()?),
                3 => extents(&mut shape, value, limits)?,
                4 => parameters::read(&mut others, value.bytes()?, limits)?,
                5 => {
                    // A message that comes in pieces is their union; nobody sends many.
                    if contents.len() >= limits.dimensions {
                        return Err(too_many(
                            "pieces of contents",
                            contents.len() + 1,
                            limits.dimensions,
                        ));
                    }
                    contents.push(value.bytes()?);
                }
                _ => {}
            }
        }
        Ok(())
    };
    let outcome = read().and_then(|()| {
        if name.is_empty() {
            return Err(Error::invalid("has no name: send the name of an input"));
        }
        let datatype = Datatype::parse(datatype.unwrap_or_default())?;
        limits.check_shape(&shape)?;
        context.count(product(&shape)?)?;
        if others.get("shared_memory_region").is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "shared memory is not offered: send the elements in raw_input_contents",
            ));
        }
        Ok(datatype)
    });
    let datatype = outcome.map_err(|error| error.at(place(name, position)))?;
    let tensor = Tensor {
        name: name.to_owned(),
        shape,
        data: TensorData::with_capacity(datatype, 0),
    };
    Ok((tensor, others, contents))
}

#[cold]
fn place(name: &str, position: usize) -> String {
    if name.is_empty() {
        format!("tensor number {position}")
    } else {
        format!("tensor {}", quote(name))
    }
}

/// Appends entries of a shape, packed or one by one.
fn extents(shape: &mut Vec<usize>, value: Value<'_>, limits: &Limits) -> Result<()> {
    let mut push = |extent: u64| {
        if shape.len() >= limits.dimensions {
            let limit = limits.dimensions;
            return Err(too_many("dimensions", limit + 1, limit));
        }
        let extent = extent as i64;
        let extent = usize::try_from(extent).map_err(|_| {
            Error::invalid(format!(
                "its shape has the entry {extent}: send the number of elements there are, a \
                 whole number from 0 on"
            ))
        })?;
        shape.push(extent);
        Ok(())
    };
    match value {
        Value::Bytes(mut packed) => {
            while !packed.is_empty() {
                push(varint(&mut packed)?)?;
            }
            Ok(())
        }
        one => push(one.varint()?),
    }
}

fn output(message: &[u8], limits: &Limits) -> Result<RequestedOutput> {
    let mut name = "";
    let mut others = Parameters::new();
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.text()?,
            2 => parameters::read(&mut others, value.bytes()?, limits)?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(Error::invalid(
            "an output has no name: send the name of each output",
        ));
    }
    requested(name.to_owned(), Read { own: None, others })
}

/// Puts the elements where they belong.
fn fill(inputs: &mut [Tensor], typed: &[(usize, Contents<'_>)], raw: &[&[u8]]) -> Result<()> {
    if !raw.is_empty() {
        if let Some((position, _)) = typed.first() {
            let name = inputs.get(*position).map_or("", |input| &input.name);
            return Err(Error::invalid(format!(
                "tensor {} has contents while raw_input_contents are there: send all inputs in one way",
                quote(name)
            )));
        }
        if raw.len() != inputs.len() {
            return Err(Error::invalid(format!(
                "{} raw_input_contents for {} inputs: send one for each input, in their order",
                raw.len(),
                inputs.len()
            )));
        }
    }
    let mut typed = typed.iter().peekable();
    let mut raw = raw.iter();
    for (position, input) in inputs.iter_mut().enumerate() {
        let Tensor { name, shape, data } = input;
        let datatype = data.datatype();
        let read = match raw.next() {
            Some(bytes) => read_raw(datatype, shape, bytes),
            None => {
                let contents = typed.next_if(|(at, _)| *at == position);
                let contents = contents.map_or(&[][..], |(_, contents)| contents);
                product(shape).and_then(|due| contents::read(datatype, due, contents))
            }
        };
        *data = read.map_err(|error| error.at(place(name, position)))?;
    }
    Ok(())
}
