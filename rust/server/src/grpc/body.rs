//! Bodies of replies: messages, then the status as trailers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use super::status::{Status, success};
use crate::pulse::Busy;
use crate::task::Aborting;

/// One thing that a stream sends: a message with its prefix, or how it ended.
pub type Sent = Result<Bytes, Status>;

/// What is sent after the head.
pub enum Body {
    /// The head says it all.
    Empty,
    /// One message and success.
    Whole {
        /// The message with its prefix.
        message: Option<Bytes>,
        /// Are the trailers sent?
        ended: bool,
        /// The request is under way until this is sent.
        _busy: Busy,
    },
    /// Messages as they come from a task, which ends with this body.
    Stream {
        /// The messages.
        replies: mpsc::Receiver<Sent>,
        /// Are the trailers sent?
        ended: bool,
        /// Ends the task when the client has gone.
        _task: Aborting,
        /// The request is under way until this is sent.
        _busy: Busy,
    },
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole { message, ended, .. } => Poll::Ready(match message.take() {
                Some(message) => Some(Ok(Frame::data(message))),
                None if *ended => None,
                None => {
                    *ended = true;
                    Some(Ok(Frame::trailers(success())))
                }
            }),
            Self::Stream { ended: true, .. } => Poll::Ready(None),
            Self::Stream { replies, ended, .. } => {
                let trailers = match std::task::ready!(replies.poll_recv(context)) {
                    Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                    None => success(),
                    Some(Err(status)) => {
                        let mut trailers = HeaderMap::new();
                        status.write(&mut trailers);
                        trailers
                    }
                };
                *ended = true;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
