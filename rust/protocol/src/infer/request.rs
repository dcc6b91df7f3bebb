//! V2 inference requests.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use tidegate_schema::{Datatype, Error, ErrorKind, Tensor, TensorData};

use super::tensor::{Tensors, TensorsSeed, write_json};
use super::{Encoded, binary, classification, plain};
use crate::json::{Context, Result, Skip, Text, keys, parse, quote, twice};
use crate::limits::too_many;
use crate::parameter::{Parameter, Parameters, ParametersSeed, Read};
use crate::{Limits, TensorInfo, write};

/// The request's parameter that wants all outputs in binary.
pub(super) const ALL_BINARY: &str = "binary_data_output";
/// An output's parameter that wants this one in binary, or not.
pub(super) const BINARY: &str = "binary_data";
/// An output's parameter that wants its best classes, so many of each row.
const CLASSIFICATION: &str = "classification";
/// Up to here names are compared pair by pair; above, through a hash set.
const PAIRWISE: usize = 64;

/// One output that the caller asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestedOutput {
    /// The name of the model's output.
    pub name: String,
    /// In binary or not; where absent, the request's [`InferRequest::binary_default`] says.
    pub binary: Option<bool>,
    /// The best classes of each row instead of the elements, so many; 0 for the elements.
    pub classes: usize,
    /// What else was asked for.
    pub parameters: Parameters,
}

/// A decoded request. The tensors hold as many elements as their shapes say; their names are
/// unique; whether the model knows them is for whoever knows the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// To be echoed, where given.
    pub id: Option<String>,
    /// What goes to the model or its runtime; `binary_data_output` is taken out of it.
    pub parameters: Parameters,
    /// The inputs in order.
    pub inputs: Vec<Tensor>,
    /// Parameters of the inputs, one for each, or none at all where no input has any;
    /// `binary_data_size` is taken out of them.
    pub input_parameters: Vec<Parameters>,
    /// The outputs asked for; none means all.
    pub outputs: Vec<RequestedOutput>,
    /// Are outputs in binary unless they say otherwise (`binary_data_output`)?
    pub binary_default: bool,
}

/// Reads a request. `header_length` is the header `Inference-Header-Content-Length`: absent, the
/// whole body is JSON; 0, the body is one raw tensor for the only one of `inputs`; else that many
/// bytes are JSON and tensors follow.
pub fn decode(
    body: &[u8],
    header_length: Option<usize>,
    inputs: &[TensorInfo],
    limits: &Limits,
) -> Result<InferRequest> {
    let (text, tail) = match header_length {
        None => (body, [].as_slice()),
        Some(0) => return decode_raw(body, inputs, limits),
        Some(length) => super::split(body, length)?,
    };
    let context = Context::new(limits, text.len());
    if let Some(read) = plain::read(text, &context) {
        return assemble(read, tail, &context);
    }
    decode_general(text, tail, limits)
}

/// What [`decode`] does with requests that are not plain; the two agree on those that are.
pub(crate) fn decode_general(text: &[u8], tail: &[u8], limits: &Limits) -> Result<InferRequest> {
    let context = Context::new(limits, text.len());
    let read = parse(text, &context, RequestSeed(&context))?;
    assemble(read, tail, &context)
}

fn assemble(
    (mut request, mut tensors): (InferRequest, Tensors),
    tail: &[u8],
    context: &Context<'_>,
) -> Result<InferRequest> {
    tensors.fill(context, tail)?;
    unique(&tensors.tensors)?;
    request.inputs = tensors.tensors;
    request.input_parameters = tensors.parameters;
    Ok(request)
}

/// Reads a body that is one tensor and nothing else, for a model with one input of at most one
/// variable dimension besides the batch. It is a batch of one, and all outputs are wanted in
/// binary.
pub fn decode_raw(body: &[u8], inputs: &[TensorInfo], limits: &Limits) -> Result<InferRequest> {
    let [input] = inputs else {
        return Err(Error::invalid(format!(
            "a raw body needs a model with one input, and this one has {}: send the inputs in \
             JSON or with a JSON header",
            inputs.len()
        )));
    };
    let context = Context::new(limits, body.len());
    let shape = raw_shape(input, body.len())?;
    limits.check_shape(&shape)?;
    context.count(crate::limits::product(&shape)?)?;
    let data = if input.datatype == Datatype::Bytes {
        // The one element is the whole body: Triton, too, takes no length before it.
        TensorData::Bytes(vec![body.to_vec()])
    } else {
        binary::read(input.datatype, &shape, body)
            .map_err(|error| error.at(format!("raw input {:?}", input.name)))?
    };
    Ok(InferRequest {
        inputs: vec![Tensor {
            name: input.name.clone(),
            shape,
            data,
        }],
        binary_default: true,
        ..InferRequest::default()
    })
}

/// The shape that a raw body of this size has: one row, the variable dimension from the size.
fn raw_shape(input: &TensorInfo, size: usize) -> Result<Vec<usize>> {
    let refuse = |why: &str| {
        Error::invalid(format!(
            "raw input {:?} {why}: send it with a JSON header that tells its shape",
            input.name
        ))
    };
    let batch = usize::from(input.shape.first() == Some(&-1));
    let mut shape: Vec<usize> = vec![1; batch];
    let mut variable = None;
    for &extent in input.shape.iter().skip(batch) {
        match usize::try_from(extent) {
            Ok(extent) => shape.push(extent),
            Err(_) if variable.is_none() => {
                variable = Some(shape.len());
                shape.push(1);
            }
            Err(_) => return Err(refuse("has more than one variable dimension")),
        }
    }
    let fixed = crate::limits::product(&shape)?;
    match (input.datatype.width(), variable) {
        (None, _) if fixed != 1 => return Err(refuse("is BYTES of more than one element")),
        (Some(width), Some(place)) => {
            let row = fixed.checked_mul(width).filter(|&row| row > 0);
            let (Some(row), Some(slot)) = (row, shape.get_mut(place)) else {
                return Err(refuse("has a dimension of 0"));
            };
            // A size that does not divide is refused when the bytes are read.
            *slot = size / row;
        }
        _ => {}
    }
    Ok(shape)
}

/// Each input comes once.
pub(crate) fn unique(tensors: &[Tensor]) -> Result<()> {
    let again = if tensors.len() <= PAIRWISE {
        tensors.iter().enumerate().find_map(|(i, tensor)| {
            let mut before = tensors.iter().take(i);
            before.find(|other| other.name == tensor.name)
        })
    } else {
        let mut seen = std::collections::HashSet::with_capacity(tensors.len());
        tensors.iter().find(|tensor| !seen.insert(&tensor.name))
    };
    again.map_or(Ok(()), |tensor| {
        Err(Error::invalid(format!(
            "tensor {} appears twice: send each input once",
            quote(&tensor.name)
        )))
    })
}

/// Checks that a model has the outputs that were asked for, as they were asked for, before it is run for them.
pub fn check_outputs(requested: &[RequestedOutput], outputs: &[TensorInfo]) -> Result<()> {
    for output in requested {
        let Some(known) = outputs.iter().find(|known| known.name == output.name) else {
            let names: Vec<_> = outputs.iter().map(|known| known.name.as_str()).collect();
            return Err(super::unknown_output(&output.name, &names));
        };
        if output.classes > 0 {
            classification::check(&output.name, known.datatype)?;
        }
    }
    Ok(())
}

/// Writes a request: what [`decode`] reads. Inputs go in binary or as JSON, all alike; an error
/// where JSON is asked for and an input of BYTES is not UTF-8.
pub fn encode_request(request: &InferRequest, in_binary: bool) -> Result<Encoded> {
    let mut out = Vec::with_capacity(256);
    out.push(b'{');
    if let Some(id) = &request.id {
        write::key(&mut out, "id");
        write::string(&mut out, id);
    }
    let own = request
        .binary_default
        .then_some((ALL_BINARY, Parameter::Bool(true)));
    request.parameters.write(&mut out, own);
    write::key(&mut out, "inputs");
    out.push(b'[');
    for (i, tensor) in request.inputs.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if !write_json(&mut out, tensor, request.input_parameters.get(i), in_binary) {
            return Err(super::not_text(&tensor.name));
        }
    }
    out.push(b']');
    if !request.outputs.is_empty() {
        write::key(&mut out, "outputs");
        write::list(&mut out, &request.outputs, |out, output| {
            out.push(b'{');
            write::key(out, "name");
            write::string(out, &output.name);
            let own = output
                .binary
                .map(|binary| (BINARY, Parameter::Bool(binary)));
            let mut parameters = output.parameters.clone();
            if output.classes > 0 {
                parameters.push(CLASSIFICATION, Parameter::Uint(output.classes as u64));
            }
            parameters.write(out, own);
            out.push(b'}');
        });
    }
    out.push(b'}');
    let header_length = in_binary.then_some(out.len());
    if in_binary {
        for tensor in &request.inputs {
            binary::write(&mut out, &tensor.data);
        }
    }
    Ok(Encoded {
        body: out,
        header_length,
    })
}

keys!(Key {
    Id = "id",
    Parameters = "parameters",
    Inputs = "inputs",
    Outputs = "outputs",
});

struct RequestSeed<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for RequestSeed<'_> {
    type Value = (InferRequest, Tensors);
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RequestSeed<'_> {
    type Value = (InferRequest, Tensors);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an inference request as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut request = InferRequest::default();
        let mut parameters = None;
        let mut inputs = None;
        let mut outputs = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Id if request.id.is_some() => return Err(context.fail(twice("id"))),
                Key::Id => {
                    request.id = Some(map.next_value_seed(Text("the id"))?.into_owned());
                }
                Key::Parameters if parameters.is_some() => {
                    return Err(context.fail(twice("parameters")));
                }
                Key::Parameters => {
                    let own = ALL_BINARY;
                    parameters = Some(map.next_value_seed(ParametersSeed { context, own })?);
                }
                Key::Inputs if inputs.is_some() => return Err(context.fail(twice("inputs"))),
                Key::Inputs => inputs = Some(map.next_value_seed(TensorsSeed(context))?),
                Key::Outputs if outputs.is_some() => return Err(context.fail(twice("outputs"))),
                Key::Outputs => outputs = Some(map.next_value_seed(OutputsSeed(context))?),
                Key::Other => map.next_value_seed(Skip { context, depth: 1 })?,
            }
        }
        let Some(inputs) = inputs.filter(|inputs| !inputs.tensors.is_empty()) else {
            let message = "the request has no inputs: send a list of tensors under \"inputs\"";
            return Err(context.fail(Error::invalid(message)));
        };
        request.outputs = outputs.unwrap_or_default();
        reserved(&mut request, parameters.unwrap_or_default())
            .map_err(|error| context.fail(error))?;
        Ok((request, inputs))
    }
}

/// Puts the request's parameters where they belong.
pub(crate) fn reserved(request: &mut InferRequest, parameters: Read) -> Result<()> {
    request.binary_default = parameters.flag(ALL_BINARY)?.unwrap_or(false);
    request.parameters = parameters.others;
    let mut names = request.parameters.iter().map(|(name, _)| name);
    if let Some(name) = names.find(|name| name.starts_with("triton_")) {
        return Err(Error::invalid(format!(
            "parameter {} is reserved: names that begin with triton_ are not for requests",
            quote(name)
        )));
    }
    Ok(())
}

struct OutputsSeed<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for OutputsSeed<'_> {
    type Value = Vec<RequestedOutput>;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OutputsSeed<'_> {
    type Value = Vec<RequestedOutput>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of outputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let limit = self.0.limits.tensors;
        let mut outputs = Vec::new();
        while let Some(output) = items.next_element_seed(OutputSeed(self.0))? {
            if outputs.len() == limit {
                return Err(self.0.fail(too_many("outputs", limit + 1, limit)));
            }
            outputs.push(output);
        }
        Ok(outputs)
    }
}

keys!(OutputKey {
    Name = "name",
    Parameters = "parameters",
});

struct OutputSeed<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for OutputSeed<'_> {
    type Value = RequestedOutput;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OutputSeed<'_> {
    type Value = RequestedOutput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an output as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RequestedOutput, A::Error> {
        let context = self.0;
        let mut name = None;
        let mut parameters = None;
        while let Some(key) = map.next_key::<OutputKey>()? {
            match key {
                OutputKey::Name if name.is_some() => return Err(context.fail(twice("name"))),
                OutputKey::Name => {
                    name = Some(
                        map.next_value_seed(Text("the name of an output"))?
                            .into_owned(),
                    );
                }
                OutputKey::Parameters if parameters.is_some() => {
                    return Err(context.fail(twice("parameters")));
                }
                OutputKey::Parameters => {
                    let own = BINARY;
                    parameters = Some(map.next_value_seed(ParametersSeed { context, own })?);
                }
                OutputKey::Other => map.next_value_seed(Skip { context, depth: 3 })?,
            }
        }
        let Some(name) = name else {
            let message = "an output has no name: send {\"name\": …} for each output";
            return Err(context.fail(Error::invalid(message)));
        };
        requested(name, parameters.unwrap_or_default()).map_err(|error| context.fail(error))
    }
}

/// An output that was asked for, with what its parameters ask.
pub(crate) fn requested(name: String, parameters: Read) -> Result<RequestedOutput> {
    let place = |error: Error| error.at(format!("output {}", quote(&name)));
    let binary = parameters.flag(BINARY).map_err(place)?;
    let mut parameters = parameters.others;
    let classes = parameters.unsigned(CLASSIFICATION).map_err(place)?;
    parameters.remove(CLASSIFICATION);
    if parameters.get("shared_memory_region").is_some() {
        let message = "shared memory is not offered: ask for the output without it";
        return Err(place(Error::new(ErrorKind::Unsupported, message)));
    }
    Ok(RequestedOutput {
        binary,
        // More than there can be is all.
        classes: usize::try_from(classes.unwrap_or(0)).unwrap_or(usize::MAX),
        parameters,
        name,
    })
}

/// BYTES is the only datatype whose elements have no fixed width; raw bodies rely on it.
const _: () = assert!(Datatype::Bytes.width().is_none());
