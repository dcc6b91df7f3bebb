//! An HTTP/1.1 answer out of a connection's bytes: fixed length, chunked, or until the end.

use std::borrow::Cow;

/// The largest answer that is gathered; a larger one is an error of the server under test.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Header fields understood in an answer.
const MAX_HEADERS: usize = 64;

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body, freed of its framing.
    pub body: Cow<'a, [u8]>,
    /// How many bytes of the buffer it took.
    pub consumed: usize,
    /// Whether the server will close the connection.
    pub closes: bool,
}

/// What the bytes so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// More bytes are due.
    Partial,
    /// An answer.
    Complete(Answer<'a>),
    /// No HTTP: says why.
    Malformed(&'static str),
}

/// Reads an answer from the bytes received so far; `ended` says that no more will come.
#[must_use]
pub fn parse(bytes: &[u8], ended: bool) -> Parsed<'_> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut fields);
    let start = match head.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) if ended => return Parsed::Malformed("ends in its head"),
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Malformed("the head is no HTTP/1.1"),
    };
    let status = head.code.unwrap_or(0);
    let mut length = None;
    let mut chunked = false;
    let mut closes = head.version == Some(0);
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).unwrap_or("");
            match text.trim().parse::<usize>() {
                Ok(value) if value <= MAX_ANSWER => length = Some(value),
                _ => return Parsed::Malformed("content-length is no possible length"),
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = field.value.eq_ignore_ascii_case(b"chunked");
        } else if field.name.eq_ignore_ascii_case("connection") {
            closes = field.value.eq_ignore_ascii_case(b"close");
        }
    }
    let rest = bytes.get(start..).unwrap_or(&[]);
    let complete = |body, taken, closes| {
        Parsed::Complete(Answer {
            status,
            body,
            consumed: start + taken,
            closes,
        })
    };
    if status / 100 == 1 || status == 204 || status == 304 {
        return complete(Cow::Borrowed(&[][..]), 0, closes);
    }
    if chunked {
        return match dechunk(rest) {
            Chunks::Complete(body, taken) => complete(Cow::Owned(body), taken, closes),
            Chunks::Partial if ended => Parsed::Malformed("ends within a chunk"),
            Chunks::Partial => Parsed::Partial,
            Chunks::Malformed => Parsed::Malformed("a chunk has no possible length"),
        };
    }
    match length {
        Some(length) => match rest.get(..length) {
            Some(body) => complete(Cow::Borrowed(body), length, closes),
            None if ended => Parsed::Malformed("ends before its content-length"),
            None => Parsed::Partial,
        },
        None if ended => complete(Cow::Borrowed(rest), rest.len(), true),
        None => Parsed::Partial,
    }
}

enum Chunks {
    Complete(Vec<u8>, usize),
    Partial,
    Malformed,
}

/// Trailers are not sent by any server under test, so the last chunk must be followed by none.
fn dechunk(bytes: &[u8]) -> Chunks {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let (skip, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Chunks::Partial,
            Err(_) => return Chunks::Malformed,
        };
        let Ok(size) = usize::try_from(size) else {
            return Chunks::Malformed;
        };
        if size > MAX_ANSWER - body.len() {
            return Chunks::Malformed;
        }
        let Some(chunk) = rest.get(skip..skip + size + 2) else {
            return Chunks::Partial;
        };
        let Some(data) = chunk.strip_suffix(b"\r\n") else {
            return Chunks::Malformed;
        };
        at += skip + size + 2;
        if size == 0 {
            return Chunks::Complete(body, at);
        }
        body.extend_from_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8], ended: bool) -> (u16, Vec<u8>, usize, bool) {
        match parse(bytes, ended) {
            Parsed::Complete(a) => (a.status, a.body.into_owned(), a.consumed, a.closes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fixed_length_takes_its_bytes_and_no_more() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-Length: 2\r\n\r\nhiHTTP/1.1";
        assert_eq!(body(bytes, false), (200, b"hi".to_vec(), 40, false));
        for cut in 0..40 {
            assert_eq!(parse(&bytes[..cut], false), Parsed::Partial, "{cut}");
        }
    }

    #[test]
    fn chunks_are_joined() {
        let bytes = b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
            3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let length = bytes.len();
        assert_eq!(body(bytes, false), (503, b"abcde".to_vec(), length, true));
        for cut in 0..length {
            assert_eq!(parse(&bytes[..cut], false), Parsed::Partial, "{cut}");
        }
    }

    #[test]
    fn without_a_length_the_end_decides() {
        let bytes = b"HTTP/1.0 200 OK\r\n\r\nrest";
        assert_eq!(parse(bytes, false), Parsed::Partial);
        assert_eq!(body(bytes, true), (200, b"rest".to_vec(), 23, true));
    }

    #[test]
    fn nonsense_is_named() {
        for bytes in [
            &b"SMTP ready\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n",
        ] {
            assert!(matches!(parse(bytes, false), Parsed::Malformed(_)));
        }
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        assert!(matches!(parse(cut, true), Parsed::Malformed(_)));
    }
}
