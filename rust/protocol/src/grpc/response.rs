//! Replies to requests for inference.

use tidegate_schema::{Result, Tensor};

use super::parameters;
use super::wire::{put_bytes, put_length, put_varint};
use crate::Parameters;
use crate::infer::{InferResponse, RequestedOutput, raw_size, selected, write_raw};

/// Appends a `ModelInferResponse` with the outputs that were asked for (all, where none was
/// named). Their elements go as bytes, one entry for each output, even for an empty one.
pub fn encode(
    out: &mut Vec<u8>,
    response: &InferResponse<'_>,
    wanted: &[RequestedOutput],
) -> Result<()> {
    put_bytes(out, 1, response.model_name.as_bytes());
    put_bytes(out, 2, response.model_version.as_bytes());
    if let Some(id) = response.id {
        put_bytes(out, 3, id.as_bytes());
    }
    parameters::write(out, 4, response.parameters);
    let outputs = selected(response, wanted)?;
    let (mut output, mut shape) = (Vec::new(), Vec::new());
    for tensor in &outputs {
        output.clear();
        shape.clear();
        describe(&mut output, &mut shape, tensor);
        put_bytes(out, 5, &output);
    }
    for tensor in &outputs {
        put_length(out, 6, raw_size(&tensor.data));
        write_raw(out, &tensor.data);
    }
    Ok(())
}

fn describe(output: &mut Vec<u8>, shape: &mut Vec<u8>, tensor: &Tensor) {
    put_bytes(output, 1, tensor.name.as_bytes());
    put_bytes(output, 2, tensor.data.datatype().name().as_bytes());
    for &extent in &tensor.shape {
        put_varint(shape, extent as u64);
    }
    if !shape.is_empty() {
        put_bytes(output, 3, shape);
    }
}

/// What one reply of a stream says.
#[derive(Clone, Copy, Debug)]
pub enum StreamReply<'a> {
    /// The outputs.
    Answer(&'a InferResponse<'a>, &'a [RequestedOutput]),
    /// What went wrong with the request of this id.
    Refusal {
        /// One sentence.
        message: &'a str,
        /// The version that was to answer, where it was chosen.
        version: Option<&'a str>,
        /// The request's id, where it had one.
        id: Option<&'a str>,
        /// The parameters of the reply.
        parameters: &'a Parameters,
    },
}

/// Appends a `ModelStreamInferResponse`. The reply to a request that failed carries its id too, so
/// that a client with several requests under way knows which one it was.
pub fn encode_stream(out: &mut Vec<u8>, reply: &StreamReply<'_>) -> Result<()> {
    let mut inner = Vec::with_capacity(256);
    match reply {
        StreamReply::Answer(response, wanted) => encode(&mut inner, response, wanted)?,
        StreamReply::Refusal {
            message,
            version,
            id,
            parameters,
        } => {
            put_bytes(out, 1, message.as_bytes());
            if let Some(version) = version {
                put_bytes(&mut inner, 2, version.as_bytes());
            }
            if let Some(id) = id {
                put_bytes(&mut inner, 3, id.as_bytes());
            }
            parameters::write(&mut inner, 4, parameters);
        }
    }
    put_bytes(out, 2, &inner);
    Ok(())
}
