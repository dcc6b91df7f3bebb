//! V2 inference: requests and replies, as JSON or with the binary tensor extension.
//!
//! A body is JSON, then the bytes of the tensors that say `binary_data_size`, in order,
//! little-endian, without padding. The header `Inference-Header-Content-Length` is the length of
//! the JSON part; without it the whole body is JSON; `0` means one raw tensor and no JSON.

mod binary;
mod classification;
mod plain;
mod request;
mod response;
mod tensor;

pub(crate) use binary::{read as read_raw, size as raw_size, write as write_raw};
pub use classification::classify;
pub use request::{
    InferRequest, RequestedOutput, check_outputs, decode, decode_raw, encode_request,
};
pub(crate) use request::{decode_general, requested, reserved, unique};
pub(crate) use response::selected;
pub use response::{Encoded, InferResponse, Reply, decode_response, encode};

use crate::json::{Result, quote};
use tidegate_schema::Error;

/// Cuts a body into its JSON and what follows.
pub(crate) fn split(body: &[u8], length: usize) -> Result<(&[u8], &[u8])> {
    body.split_at_checked(length).ok_or_else(|| {
        Error::invalid(format!(
            "Inference-Header-Content-Length is {length} but the body has {} bytes: send the \
             length of the JSON part",
            body.len()
        ))
    })
}

#[cold]
fn unknown_output(name: &str, names: &[&str]) -> Error {
    Error::invalid(format!(
        "unknown output {}: the outputs are {}",
        quote(name),
        names.join(", ")
    ))
}

#[cold]
fn not_text(name: &str) -> Error {
    Error::invalid(format!(
        "tensor {name:?} holds bytes that are not UTF-8, which JSON cannot carry: use binary_data"
    ))
}
