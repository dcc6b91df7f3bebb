//! V2 inference replies.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use tidegate_schema::Tensor;

use super::tensor::{Tensors, TensorsSeed, write_json};
use super::{RequestedOutput, binary, classify};
use crate::json::{Context, Result, Skip, Text, keys, parse};
use crate::parameter::{Parameters, ParametersSeed};
use crate::{Limits, write};

/// What a reply says.
#[derive(Clone, Copy, Debug)]
pub struct InferResponse<'a> {
    /// The name in the URL; KServe's client refuses a reply without it.
    pub model_name: &'a str,
    /// The version that answered, as text.
    pub model_version: &'a str,
    /// The request's id, where it had one.
    pub id: Option<&'a str>,
    /// The reply's own: `prediction_id` and `revision`.
    pub parameters: &'a Parameters,
    /// All outputs of the model.
    pub outputs: &'a [Tensor],
    /// The names of the classes, for outputs that are wanted as their best classes.
    pub labels: &'a [String],
}

/// A body with the length of its JSON part, where tensors follow it.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The whole body.
    pub body: Vec<u8>,
    /// What to send as `Inference-Header-Content-Length`; without it, send no such header.
    pub header_length: Option<usize>,
}

impl Encoded {
    /// What to send as `Content-Type`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self.header_length {
            Some(_) => "application/octet-stream",
            None => "application/json",
        }
    }
}

/// Writes a reply with the outputs that were asked for (all, where none was named), each in
/// binary or as JSON: an output's own `binary_data` beats the request's `binary_data_output`. One
/// that is wanted as its best classes is what [`classify`] makes of it.
///
/// NaN and infinities become `null` in JSON. An error for an unknown output, and for BYTES that
/// are not UTF-8 where JSON is wanted.
pub fn encode<'a>(
    response: &InferResponse<'a>,
    requested: &[RequestedOutput],
    binary_default: bool,
) -> Result<Encoded> {
    let mut out = Vec::with_capacity(384);
    out.extend_from_slice(b"{\"model_name\":");
    write::string(&mut out, response.model_name);
    out.extend_from_slice(b",\"model_version\":");
    write::string(&mut out, response.model_version);
    if let Some(id) = response.id {
        out.extend_from_slice(b",\"id\":");
        write::string(&mut out, id);
    }
    response.parameters.write(&mut out, None);
    out.extend_from_slice(b",\"outputs\":[");
    let mut in_binary: Vec<Cow<'_, Tensor>> = Vec::new();
    let mut one = |out: &mut Vec<u8>, tensor: Cow<'a, Tensor>, wants_binary| {
        if out.last() == Some(&b'}') {
            out.push(b',');
        }
        if !write_json(out, &tensor, None, wants_binary) {
            return Err(super::not_text(&tensor.name));
        }
        if wants_binary {
            in_binary.push(tensor);
        }
        Ok(())
    };
    if requested.is_empty() {
        for tensor in response.outputs {
            one(&mut out, Cow::Borrowed(tensor), binary_default)?;
        }
    }
    for wanted in requested {
        let tensor = wanted_of(response, wanted)?;
        one(&mut out, tensor, wanted.binary.unwrap_or(binary_default))?;
    }
    out.extend_from_slice(b"]}");
    let header_length = (!in_binary.is_empty()).then_some(out.len());
    for tensor in in_binary {
        binary::write(&mut out, &tensor.data);
    }
    Ok(Encoded {
        body: out,
        header_length,
    })
}

/// The output that was asked for, as it was asked for.
fn wanted_of<'t>(
    response: &InferResponse<'t>,
    wanted: &RequestedOutput,
) -> Result<Cow<'t, Tensor>> {
    let outputs = response.outputs;
    let found = outputs.iter().find(|tensor| tensor.name == wanted.name);
    let tensor = found.ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|tensor| tensor.name.as_str()).collect();
        super::unknown_output(&wanted.name, &names)
    })?;
    Ok(match wanted.classes {
        0 => Cow::Borrowed(tensor),
        k => Cow::Owned(classify(tensor, k, response.labels)?),
    })
}

/// The outputs that were asked for, in their order; all of them where none was named.
pub(crate) fn selected<'t>(
    response: &InferResponse<'t>,
    wanted: &[RequestedOutput],
) -> Result<Vec<Cow<'t, Tensor>>> {
    if wanted.is_empty() {
        return Ok(response.outputs.iter().map(Cow::Borrowed).collect());
    }
    wanted
        .iter()
        .map(|wanted| wanted_of(response, wanted))
        .collect()
}

/// A reply as its receiver reads it: load generators and tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The model's name.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// The request's id, echoed.
    pub id: Option<String>,
    /// The reply's parameters.
    pub parameters: Parameters,
    /// The outputs in order.
    pub outputs: Vec<Tensor>,
}

/// Reads a reply; `null` among floats is NaN.
pub fn decode_response(
    body: &[u8],
    header_length: Option<usize>,
    limits: &Limits,
) -> Result<Reply> {
    let (text, tail) = match header_length {
        None => (body, [].as_slice()),
        Some(length) => super::split(body, length)?,
    };
    let context = Context::new(limits, text.len());
    let (mut reply, mut tensors) = parse(text, &context, ReplySeed(&context))?;
    tensors.fill(&context, tail)?;
    reply.outputs = tensors.tensors;
    Ok(reply)
}

keys!(Key {
    ModelName = "model_name",
    ModelVersion = "model_version",
    Id = "id",
    Parameters = "parameters",
    Outputs = "outputs",
});

struct ReplySeed<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for ReplySeed<'_> {
    type Value = (Reply, Tensors);
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReplySeed<'_> {
    type Value = (Reply, Tensors);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an inference reply as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut reply = Reply::default();
        let mut tensors = Tensors::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::ModelName => {
                    reply.model_name = map.next_value_seed(Text("the name"))?.into_owned();
                }
                Key::ModelVersion => {
                    reply.model_version = map.next_value_seed(Text("the version"))?.into_owned();
                }
                Key::Id => reply.id = Some(map.next_value_seed(Text("the id"))?.into_owned()),
                Key::Parameters => {
                    let own = "";
                    let read = map.next_value_seed(ParametersSeed { context, own })?;
                    reply.parameters = read.others;
                }
                Key::Outputs => tensors = map.next_value_seed(TensorsSeed(context))?,
                Key::Other => map.next_value_seed(Skip { context, depth: 1 })?,
            }
        }
        Ok((reply, tensors))
    }
}
