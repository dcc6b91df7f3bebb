//! Messages out of a request's body: five bytes of prefix and the message, again and again.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Body as HttpBody;
use tidegate_schema::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::body::{self, too_large};
use crate::options::Limits;

/// One byte that says whether the message is compressed, and its length.
pub const PREFIX: usize = 5;

/// The messages of one request.
#[derive(Debug)]
pub struct Messages<B> {
    body: B,
    /// What has come of the next message, and maybe of later ones; in one piece as it came.
    held: Bytes,
    /// The same, where it had to be joined; then `held` is empty.
    joined: BytesMut,
    limit: usize,
    patience: Duration,
    /// Since when the message that is being received is due, and bytes that came since.
    waiting: Option<(Instant, u64)>,
    coding: Vec<u8>,
}

#[cold]
fn cut_off() -> Error {
    Error::invalid("the request ends within a message: send all the bytes that its prefix says")
}

impl<B> Messages<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    /// Reads messages of at most `limit` bytes, which are compressed with `coding` where their
    /// prefix says so.
    pub fn new(body: B, limit: usize, limits: &Limits, coding: &[u8]) -> Self {
        Self {
            body,
            held: Bytes::new(),
            joined: BytesMut::new(),
            limit,
            patience: limits.body_timeout,
            waiting: None,
            coding: coding.to_vec(),
        }
    }

    /// The only message of a request that has one.
    pub async fn only(&mut self) -> Result<Bytes> {
        self.waiting = Some((Instant::now(), 0));
        let Some(message) = self.next().await? else {
            return Err(Error::invalid(
                "the request has no message: send one, even if it is empty",
            ));
        };
        if !self.body.is_end_stream() || !self.is_empty() {
            self.waiting = Some((Instant::now(), 0));
            if self.next().await?.is_some() {
                return Err(Error::invalid(
                    "the request has more than one message: this method takes one",
                ));
            }
        }
        Ok(message)
    }

    /// The next message; `None` at the end. Nothing is lost when this is dropped before its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some((compressed, message)) = self.take()? {
                self.waiting = None;
                return self.plain(compressed, message).map(Some);
            }
            let Some(piece) = self.piece().await? else {
                return if self.is_empty() {
                    Ok(None)
                } else {
                    Err(cut_off())
                };
            };
            if let Some((_, received)) = &mut self.waiting {
                *received += piece.len() as u64;
            }
            if self.is_empty() {
                self.held = piece;
            } else {
                if self.joined.is_empty() {
                    self.joined.extend_from_slice(&self.held);
                    self.held = Bytes::new();
                }
                self.joined.extend_from_slice(&piece);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.joined.is_empty()
    }

    /// Takes the next message out of what has come, if all of it has.
    fn take(&mut self) -> Result<Option<(bool, Bytes)>> {
        let come: &[u8] = if self.joined.is_empty() {
            &self.held
        } else {
            &self.joined
        };
        let Some((&[flag, a, b, c, d], rest)) = come.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        if flag > 1 {
            return Err(Error::invalid(format!(
                "a message's prefix begins with {flag}: 0 or 1 is due, for plain or compressed"
            )));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.limit {
            return Err(too_large(self.limit));
        }
        if rest.len() < length {
            return Ok(None);
        }
        if !self.joined.is_empty() {
            self.held = self.joined.split().freeze();
        }
        self.held.advance(PREFIX);
        Ok(Some((flag == 1, self.held.split_to(length))))
    }

    fn plain(&self, compressed: bool, message: Bytes) -> Result<Bytes> {
        if !compressed {
            return Ok(message);
        }
        if matches!(self.coding.as_slice(), b"" | b"identity") {
            return Err(Error::invalid(
                "a message is compressed but grpc-encoding names no coding: name gzip or deflate",
            ));
        }
        body::undo(&self.coding, message, self.limit)
    }

    /// The next piece of the body, for which a client that has begun a message has only so long.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        if self.waiting.is_none() && !self.is_empty() {
            self.waiting = Some((Instant::now(), 0));
        }
        let next = body::next(&mut self.body);
        let piece = match self.waiting {
            None => next.await,
            Some((since, received)) => {
                let earned = Duration::from_secs(received / Limits::SLOWEST_BODY);
                let end = since + self.patience + earned;
                tokio::time::timeout_at(end, next).await.map_err(|_| {
                    Error::new(
                        ErrorKind::Deadline,
                        "the message did not arrive in time (limit body_timeout): send it faster, or raise body_timeout",
                    )
                })?
            }
        };
        piece.transpose().map_err(|error| {
            Error::new(
                ErrorKind::Cancelled,
                format!("the request could not be read to its end: {error}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    /// Pieces one after the other; then the end, or a wait without end.
    struct Pieces(VecDeque<Bytes>, bool);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
            match self.0.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            out.push(0);
            out.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
            out.extend_from_slice(message);
        }
        out
    }

    fn reader(pieces: Vec<Vec<u8>>, ends: bool, limit: usize) -> Messages<Pieces> {
        let pieces = pieces.into_iter().map(Bytes::from).collect();
        let limits = Limits {
            body_timeout: Duration::from_millis(50),
            ..Limits::default()
        };
        Messages::new(Pieces(pieces, ends), limit, &limits, b"gzip")
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn messages_come_out_however_they_are_cut() {
        let due: [&[u8]; 4] = [b"one", b"", b"three, which is longer", b"4"];
        let bytes = framed(&due);
        for size in 1..=bytes.len() {
            let pieces = bytes.chunks(size).map(<[u8]>::to_vec).collect();
            let mut messages = reader(pieces, true, 100);
            run(async {
                for message in due {
                    assert_eq!(messages.next().await.unwrap().unwrap(), message, "{size}");
                }
                assert_eq!(messages.next().await.unwrap(), None);
            });
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let refuse = |pieces, ends, part: &str| {
            let mut messages = reader(pieces, ends, 100);
            let error = run(messages.only()).unwrap_err();
            assert!(error.message.contains(part), "{error}");
            error.kind
        };
        refuse(vec![], true, "no message");
        refuse(vec![framed(&[b"one", b"two"])], true, "more than one");
        refuse(vec![framed(&[b"one"])[..6].to_vec()], true, "ends within");
        refuse(vec![vec![2, 0, 0, 0, 0]], true, "begins with 2");
        refuse(vec![vec![1, 0, 0, 0, 1, 7]], true, "its encoding");
        // Four gigabytes are refused at their prefix, not when they have come.
        let kind = refuse(vec![vec![0, 255, 255, 255, 255]], false, "body_bytes");
        assert_eq!(kind, ErrorKind::TooLarge);
        let kind = refuse(vec![framed(&[b"one"])[..6].to_vec()], false, "body_timeout");
        assert_eq!(kind, ErrorKind::Deadline);
        let kind = refuse(vec![], false, "body_timeout");
        assert_eq!(kind, ErrorKind::Deadline);
    }

    #[test]
    fn compressed_messages_are_inflated_within_the_limit() {
        let packed = body::Coding::Gzip.compress(&[7; 1000]).unwrap();
        let mut bytes = framed(&[&packed]);
        bytes[0] = 1;
        let mut messages = reader(vec![bytes.clone()], true, 1000);
        assert_eq!(run(messages.only()).unwrap(), vec![7; 1000]);
        let mut messages = reader(vec![bytes], true, 999);
        let error = run(messages.only()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
    }
}
