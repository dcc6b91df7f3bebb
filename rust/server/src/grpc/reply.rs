//! Replies: a message, a stream of them, or a status alone.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use prost::Message;
use tidegate_schema::{Error, Result};

use super::body::Body;
use super::messages::PREFIX;
use super::status::Status;
use crate::pulse::Busy;

/// What gRPC is sent as.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// A message with the prefix that goes before it, written by `write`.
pub fn framed(capacity: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Bytes> {
    let mut out = Vec::with_capacity(PREFIX + capacity);
    out.resize(PREFIX, 0);
    write(&mut out)?;
    let length = u32::try_from(out.len() - PREFIX).map_err(|_| {
        Error::invalid("the answer exceeds the 4 GiB of one message: send fewer rows at once")
    })?;
    if let Some(place) = out.get_mut(1..PREFIX) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(out.into())
}

/// A generated message with its prefix.
pub fn message(message: &impl Message) -> Result<Bytes> {
    framed(message.encoded_len(), |out| {
        message.encode(out).map_err(|error| {
            Error::internal(format!(
                "an answer could not be written as protobuf: {error}"
            ))
        })
    })
}

/// The head that every reply of gRPC has.
pub fn head(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// One message and success.
pub fn whole(message: Bytes, busy: Busy) -> Response<Body> {
    head(Body::Whole {
        message: Some(message),
        ended: false,
        _busy: busy,
    })
}

/// A status alone.
pub fn refused(status: &Status) -> Response<Body> {
    let mut response = head(Body::Empty);
    status.write(response.headers_mut());
    response
}

/// For what is HTTP/2 but not gRPC.
pub fn no_grpc(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}
