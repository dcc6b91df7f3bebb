//! Targets for fuzzing: any bytes go in, nothing panics but a broken promise.
//!
//! Each target is a plain function that a fuzzer, the mutation test or a property test can drive.
//! What they promise: whatever is accepted has as many elements as its shapes say, keeps within
//! the limits, and writes back to bytes that read to the same; whatever is refused is refused
//! with a short message.

use prost::Message;
use tidegate_schema::{DType, Error, ErrorKind, Field, Result, Schema};

use crate::grpc::{self, messages};
use crate::infer::{self, InferRequest};
use crate::pieces::Pieces;
use crate::rows::{self, Extra};
use crate::{Limits, TensorInfo, columns, json, limits};

/// How far a body got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not JSON at all.
    Malformed,
    /// JSON, but not what was due.
    Refused,
    /// Decoded.
    Accepted,
}

/// Longest message for a refusal, in bytes, whatever the body.
const MESSAGE: usize = 2_000;

/// A target as a fuzzer sees it: any bytes in.
pub type Target = fn(&[u8]) -> Stage;

/// Every target by its name, which is the name of its folder in the kept corpus. Where a body
/// has the length of its JSON part beside it, the first two bytes are that length,
/// little-endian.
pub const TARGETS: &[(&str, Target)] = &[
    ("json", json),
    ("binary", |bytes| prefixed(bytes, binary)),
    ("raw", raw),
    ("rows", rows),
    ("pieces", pieces),
    ("reply", |bytes| reply(bytes, None)),
    ("binary_reply", |bytes| {
        prefixed(bytes, |body, length| reply(body, Some(length)))
    }),
    ("grpc", grpc),
];

/// Drives the target of this name; what a fuzzer calls.
pub fn drive(name: &str, bytes: &[u8]) -> Stage {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(bytes),
        None => broken("a target has this name"),
    }
}

fn prefixed(bytes: &[u8], run: impl Fn(&[u8], usize) -> Stage) -> Stage {
    match bytes {
        [low, high, body @ ..] => run(body, usize::from(u16::from_le_bytes([*low, *high]))),
        _ => Stage::Malformed,
    }
}

/// A schema with a nullable column of each type, and one of the plain types that is not; the kept
/// corpus is made for it.
#[must_use]
pub fn schema() -> Schema {
    let mut fields = Vec::new();
    for dtype in DType::ALL {
        // Types that came after the corpus: its requests do not name them.
        let later = !matches!(
            dtype,
            DType::Bool | DType::Int64 | DType::Float64 | DType::String | DType::Timestamp
        );
        if !later {
            fields.push(Field::required(dtype.name(), dtype));
        }
        fields.push(Field::nullable(format!("maybe_{dtype}"), dtype));
    }
    Schema::new(fields).unwrap_or_else(|error| broken(&error.message))
}

/// A V2 request as JSON.
pub fn json(body: &[u8]) -> Stage {
    request(body, None, body)
}

/// A V2 request with the length of its JSON part.
pub fn binary(body: &[u8], header_length: usize) -> Stage {
    request(
        body,
        Some(header_length),
        body.get(..header_length).unwrap_or_default(),
    )
}

/// A raw body for a model whose only input has two dimensions besides the batch.
pub fn raw(body: &[u8]) -> Stage {
    for datatype in tidegate_schema::Datatype::ALL {
        let input = TensorInfo {
            name: "x".to_owned(),
            datatype,
            shape: vec![-1, 2, -1],
        };
        if let Ok(request) = refusable(infer::decode_raw(body, &[input], &limits())) {
            check(&request);
        }
    }
    Stage::Accepted
}

/// Row JSON, for the schema of [`schema`].
pub fn rows(body: &[u8]) -> Stage {
    let schema = schema();
    let mut stage = stage(body);
    for extra in [Extra::Refuse, Extra::Ignore] {
        let Ok(table) = refusable(rows::decode(body, &schema, extra, &limits())) else {
            continue;
        };
        stage = Stage::Accepted;
        let checked = table.view().and_then(|view| view.check(&schema));
        promise(
            checked.is_ok() && table.rows() <= limits().rows,
            "a decoded table fits",
        );
    }
    stage
}

/// Row JSON that arrives bit by bit, for the schema of [`schema`]. The first byte says how many
/// bytes come at one time, the second how many a piece has at least. Whatever is accepted in one,
/// is accepted in pieces, with as many rows.
pub fn pieces(bytes: &[u8]) -> Stage {
    let [step, least, body @ ..] = bytes else {
        return Stage::Malformed;
    };
    let schema = schema();
    let mut stage = stage(body);
    for extra in [Extra::Refuse, Extra::Ignore] {
        let cut = || -> Result<usize> {
            let mut pieces = Pieces::new(extra);
            let mut found = 0;
            let mut count = |piece: Vec<u8>| -> Result<()> {
                found += rows::decode(&piece, &schema, extra, &limits())?.rows();
                Ok(())
            };
            for bytes in body.chunks(usize::from(*step).max(1)) {
                pieces.feed(bytes)?;
                while let Some(piece) = pieces.next(usize::from(*least)) {
                    count(piece)?;
                }
            }
            if let Some(piece) = pieces.finish()? {
                count(piece)?;
            }
            Ok(found)
        };
        let found = refusable(cut());
        if found.is_ok() {
            stage = Stage::Accepted;
        }
        if let Ok(whole) = rows::decode(body, &schema, extra, &limits()) {
            promise(
                found == Ok(whole.rows()),
                "pieces have the rows of the whole",
            );
        }
    }
    stage
}

/// A V2 reply.
pub fn reply(body: &[u8], header_length: Option<usize>) -> Stage {
    let text = header_length.map_or(body, |length| body.get(..length).unwrap_or_default());
    match refusable(infer::decode_response(body, header_length, &limits())) {
        Ok(_) => Stage::Accepted,
        Err(_) => stage(text),
    }
}

/// A `ModelInferRequest`. Whatever is accepted, the generated reader accepts too, and reads the
/// same.
pub fn grpc(message: &[u8]) -> Stage {
    // A server reads the target first, and decodes what it finds acceptable.
    let target = refusable(grpc::target(message));
    let request = refusable(grpc::decode(message, &limits()));
    let (Ok(target), Ok(request)) = (target, request) else {
        return Stage::Refused;
    };
    check(&request);
    let Ok(generated) = messages::ModelInferRequest::decode(message) else {
        broken("the generated reader accepts what ours does");
    };
    promise(
        target.model == generated.model_name,
        "the model is the same",
    );
    let id = request.id.unwrap_or_default();
    promise(id == generated.id, "the id is the same");
    let names = |name: &String| !name.starts_with("triton_");
    let due = generated.parameters.keys().filter(|name| names(name));
    promise(
        request.parameters.len() >= due.count(),
        "every parameter is read",
    );
    promise(
        request.outputs.len() == generated.outputs.len()
            && request.inputs.len() == generated.inputs.len(),
        "every tensor is read",
    );
    for (i, (ours, theirs)) in request.inputs.iter().zip(&generated.inputs).enumerate() {
        let shape = ours.shape.iter().map(|&extent| extent as i64);
        promise(
            ours.name == theirs.name
                && ours.data.datatype().name() == theirs.datatype
                && shape.eq(theirs.shape.iter().copied()),
            "a tensor is the same",
        );
        let mut written = Vec::new();
        infer::write_raw(&mut written, &ours.data);
        match generated.raw_input_contents.get(i) {
            // Any byte but 0 is true.
            Some(_) if ours.data.datatype() == tidegate_schema::Datatype::Bool => {}
            Some(raw) => promise(written == *raw, "elements are the same"),
            None => promise(
                ours.data.is_empty() || theirs.contents.is_some(),
                "elements come from somewhere",
            ),
        }
    }
    Stage::Accepted
}

/// Small limits, so that fuzzing meets them.
fn limits() -> Limits {
    Limits {
        rows: 1_000,
        tensors: 64,
        elements: 10_000,
        ..Limits::default()
    }
}

fn request(body: &[u8], header_length: Option<usize>, text: &[u8]) -> Stage {
    let decoded = refusable(infer::decode(body, header_length, &[], &limits()));
    agree(body, header_length, &decoded);
    let Ok(request) = decoded else {
        return stage(text);
    };
    check(&request);
    let schema = schema();
    if let Ok(table) = refusable(columns::from_tensors(&request.inputs, &schema)) {
        let checked = table.view().and_then(|view| view.check(&schema));
        promise(checked.is_ok(), "columns of tensors fit their schema");
    }
    Stage::Accepted
}

/// The short way and the general reader say the same, refusals included.
fn agree(body: &[u8], header_length: Option<usize>, decoded: &Result<InferRequest>) {
    let length = header_length.unwrap_or(body.len());
    let Ok((text, tail)) = infer::split(body, length) else {
        return;
    };
    if length > 0 {
        // Compared as bytes: NaN is not equal to itself.
        let written = |result: &Result<InferRequest>| {
            let result = result.as_ref().map_err(Clone::clone);
            result.and_then(|request| infer::encode_request(request, true))
        };
        let general = infer::decode_general(text, tail, &limits());
        promise(written(&general) == written(decoded), "both readers agree");
    }
}

fn stage(text: &[u8]) -> Stage {
    if json::is_well_formed(text) {
        Stage::Refused
    } else {
        Stage::Malformed
    }
}

fn check(request: &InferRequest) {
    for tensor in &request.inputs {
        let due = limits::product(&tensor.shape);
        promise(
            due == Ok(tensor.data.len()),
            "elements are as many as the shape says",
        );
    }
    for in_binary in [true, false] {
        let Ok(written) = infer::encode_request(request, in_binary) else {
            // Bytes that are not UTF-8 have no JSON.
            promise(!in_binary, "every request can be written in binary");
            continue;
        };
        let read = infer::decode(&written.body, written.header_length, &[], &limits());
        // Compared as bytes: NaN is not equal to itself.
        let again = read.and_then(|read| infer::encode_request(&read, in_binary));
        promise(again == Ok(written), "what was written reads to the same");
    }
}

/// Passes a result on, after holding its refusal to the promise.
fn refusable<T>(result: Result<T>) -> Result<T> {
    if let Err(Error { kind, message, .. }) = &result {
        let callers = matches!(
            kind,
            ErrorKind::InvalidInput | ErrorKind::TooLarge | ErrorKind::Unsupported
        );
        promise(callers, "a refusal is the caller's error");
        promise(
            !message.is_empty() && message.len() <= MESSAGE,
            "a refusal has a short message",
        );
    }
    result
}

fn promise(kept: bool, what: &str) {
    if !kept {
        broken(what);
    }
}

#[allow(clippy::panic)] // The one purpose of this file is to stop the fuzzer here.
fn broken(what: &str) -> ! {
    panic!("broken promise: {what}")
}
