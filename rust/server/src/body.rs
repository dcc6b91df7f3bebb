//! Bodies: what is read from a client within a limit, and what is sent.

use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tidegate_runtime::Permit;
use tidegate_schema::{Error, ErrorKind, Result};

use crate::proxy::Passed;
use crate::stream::Streamed;

/// What the server sends: bytes that are all there, or what the control plane says piece by piece.
pub enum Body {
    /// All there.
    Whole(Option<Bytes>),
    /// Passed on from the control plane.
    Passed(Box<Passed>),
    /// Written while the request is still read.
    Streamed(Streamed),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passed(passed) => Pin::new(passed.as_mut()).poll_frame(context),
            Self::Streamed(streamed) => Pin::new(streamed).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Passed(passed) => passed.is_end_stream(),
            Self::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Passed(passed) => passed.size_hint(),
            Self::Streamed(_) => SizeHint::new(),
        }
    }
}

/// The error of a body that passes a limit, which it names.
#[must_use]
pub fn too_large(limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "the body exceeds the limit body_bytes of {limit} bytes: send fewer rows at once, or raise body_bytes"
        ),
    )
}

/// Reads a body of at most `limit` bytes, as far as `permit` lets it in. A body that came in one
/// piece is not copied.
pub async fn collect<B>(body: &mut B, limit: usize, permit: &mut Option<Permit>) -> Result<Bytes>
where
    B: HttpBody<Data = Bytes, Error = Error> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(piece) = next(body).await {
        let piece = piece?;
        let held = first.as_ref().map_or(more.len(), Bytes::len);
        if held + piece.len() > limit {
            return Err(too_large(limit));
        }
        if let Some(permit) = permit {
            permit.hold_bytes(held + piece.len())?;
        }
        if held == 0 && more.is_empty() {
            first = Some(piece);
            if body.is_end_stream() {
                break;
            }
            continue;
        }
        if let Some(first) = first.take() {
            let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0);
            more.reserve(first.len() + piece.len() + rest.min(limit));
            more.extend_from_slice(&first);
        }
        more.extend_from_slice(&piece);
    }
    Ok(first.unwrap_or_else(|| more.freeze()))
}

/// Reads the beginning of a body, as far as `permit` lets it in: all of it, or more than `most` bytes
/// of it. True if it is all.
pub async fn begin<B>(
    body: &mut B,
    most: usize,
    permit: &mut Option<Permit>,
) -> Result<(Bytes, bool)>
where
    B: HttpBody<Data = Bytes, Error = Error> + Unpin,
{
    let mut held = BytesMut::new();
    while let Some(piece) = next(body).await {
        let piece = piece?;
        if let Some(permit) = permit {
            permit.hold_bytes(held.len() + piece.len())?;
        }
        if held.is_empty() && body.is_end_stream() {
            return Ok((piece, true));
        }
        held.extend_from_slice(&piece);
        if held.len() > most {
            let ended = body.is_end_stream();
            return Ok((held.freeze(), ended));
        }
    }
    Ok((held.freeze(), true))
}

/// The error of a body that broke off.
pub fn broken(error: &impl std::fmt::Display) -> Error {
    Error::invalid(format!("the body could not be read to its end: {error}"))
}

/// Reads on without keeping anything, for at most `most` bytes; true when the body has ended. A
/// client that still writes would otherwise be reset before it reads why it was refused.
pub async fn discard<B>(body: &mut B, most: usize) -> bool
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > most as u64 {
        return false;
    }
    let mut left = most;
    while let Some(piece) = next(body).await {
        match piece.map(|piece| left.checked_sub(piece.len())) {
            Ok(Some(rest)) => left = rest,
            Ok(None) | Err(_) => return false,
        }
    }
    true
}

/// The next piece of a body; trailers say nothing to us.
pub async fn next<B>(body: &mut B) -> Option<std::result::Result<Bytes, B::Error>>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Err(error) => return Some(Err(error)),
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
        }
    }
}

/// The error of a `Content-Encoding` that we do not read.
pub fn unknown_coding(coding: &[u8]) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "content encoding {:?} is not supported: send gzip, deflate or none",
            String::from_utf8_lossy(coding)
        ),
    )
}

/// The error of a body that is not coded as it says.
pub fn not_coded(error: &std::io::Error) -> Error {
    Error::invalid(format!("the body is not what its encoding says: {error}"))
}

/// Undoes the `Content-Encoding` of a request; what comes out is bounded too.
pub fn decompress(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes> {
    match headers.get(CONTENT_ENCODING) {
        None => Ok(body),
        Some(coding) => undo(coding.as_bytes(), body, limit),
    }
}

/// Undoes a coding by its name; what comes out is at most `limit` bytes.
pub fn undo(coding: &[u8], body: Bytes, limit: usize) -> Result<Bytes> {
    let mut plain = Vec::new();
    let most = limit as u64 + 1;
    let outcome = match coding.to_ascii_lowercase().as_slice() {
        b"identity" | b"" => return Ok(body),
        b"gzip" | b"x-gzip" => flate2::read::MultiGzDecoder::new(&body[..])
            .take(most)
            .read_to_end(&mut plain),
        b"deflate" => flate2::read::ZlibDecoder::new(&body[..])
            .take(most)
            .read_to_end(&mut plain),
        other => return Err(unknown_coding(other)),
    };
    outcome.map_err(|error| not_coded(&error))?;
    if plain.len() > limit {
        return Err(too_large(limit));
    }
    Ok(plain.into())
}

/// Bodies below this are sent as they are: compressing them costs more than it saves.
const SMALLEST_COMPRESSED: usize = 4096;

/// A content coding that a client accepts and that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls deflate.
    Deflate,
}

impl Coding {
    /// The first coding that the client accepts, for a body worth it.
    #[must_use]
    pub fn accepted(headers: &HeaderMap, bytes: usize) -> Option<Self> {
        if bytes < SMALLEST_COMPRESSED {
            return None;
        }
        let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
        accepted.split(',').find_map(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            if matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000") {
                return None;
            }
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => Some(Self::Gzip),
                "deflate" => Some(Self::Deflate),
                _ => None,
            }
        })
    }

    /// The name in `Content-Encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The body in this coding.
    pub fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(body.len() / 2);
        let level = flate2::Compression::fast();
        match self {
            Self::Gzip => flate2::read::GzEncoder::new(body, level).read_to_end(&mut out)?,
            Self::Deflate => flate2::read::ZlibEncoder::new(body, level).read_to_end(&mut out)?,
        };
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn coded(name: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        headers
    }

    #[test]
    fn codings_round_trip_and_bombs_are_refused() {
        let plain = vec![b'x'; 100_000];
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed: Bytes = coding.compress(&plain).unwrap().into();
            let headers = coded(coding.name());
            assert_eq!(
                decompress(&headers, packed.clone(), 100_000).unwrap(),
                plain
            );
            let error = decompress(&headers, packed.clone(), 99_999).unwrap_err();
            assert_eq!(error.kind, ErrorKind::TooLarge);
            assert!(error.message.contains("body_bytes"), "{error}");
            let error = decompress(&headers, packed.slice(0..20), 100_000).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidInput);
        }
        let error = decompress(&coded("br"), Bytes::new(), 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
    }

    #[test]
    fn small_answers_and_refused_codings_stay_plain() {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT_ENCODING,
            HeaderValue::from_static("gzip;q=0, deflate"),
        );
        assert_eq!(Coding::accepted(&headers, 10_000), Some(Coding::Deflate));
        assert_eq!(Coding::accepted(&headers, 100), None);
        assert_eq!(Coding::accepted(&HeaderMap::new(), 10_000), None);
    }
}
