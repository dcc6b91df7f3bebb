//! A body that must come fast enough by a time of its own.
//!
//! Over HTTP/1.1 the connection is watched, which costs no timer. Here are the bodies that this
//! does not fit: those that share a connection, and those that are read while others are worked
//! on. Only time in which we wait for the client counts.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tidegate_schema::{Error, Result};
use tokio::time::Sleep;

use crate::body;
use crate::options::Limits;

/// A body that may take a time, after which it must have come at [`Limits::SLOWEST_BODY`] on
/// average. No pause may be longer than that time, however much has come.
pub struct Paced<B> {
    body: B,
    /// Without one nothing is watched.
    timeout: Option<Duration>,
    received: u64,
    waited: Duration,
    /// Since when we wait, and what ends that.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> Paced<B> {
    /// A body that is not watched yet.
    pub const fn new(body: B) -> Self {
        Self {
            body,
            timeout: None,
            received: 0,
            waited: Duration::ZERO,
            waiting: None,
        }
    }

    /// From now on it is watched.
    pub const fn within(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Is the client too late?
    fn late(&mut self, timeout: Duration, context: &mut Context<'_>) -> Poll<()> {
        let earned = Duration::from_secs(self.received / Limits::SLOWEST_BODY);
        let left = timeout.saturating_add(earned).saturating_sub(self.waited);
        let left = left.min(timeout);
        let (_, timer) = self
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        timer.as_mut().poll(context)
    }
}

impl<B> HttpBody for Paced<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let Some(timeout) = self.timeout else {
                return Poll::Pending;
            };
            return self.late(timeout, context).map(|()| {
                Some(Err(Error::invalid(
                    "the body did not come in time (limit body_timeout): send it faster, or send less",
                )))
            });
        };
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| body::broken(&error))?;
            self.received += frame.data_ref().map_or(0, Bytes::len) as u64;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Gives a piece after each of these pauses, then nothing for ever.
    struct Dripping {
        pauses: VecDeque<(Duration, usize)>,
        timer: Option<Pin<Box<Sleep>>>,
    }

    impl HttpBody for Dripping {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
            let Some((pause, size)) = self.pauses.front().copied() else {
                return Poll::Pending;
            };
            if !pause.is_zero() {
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                std::task::ready!(timer.as_mut().poll(context));
            }
            self.timer = None;
            self.pauses.pop_front();
            Poll::Ready(Some(Ok(Frame::data(vec![0; size].into()))))
        }
    }

    fn pieces(pauses: &[(u64, usize)], timeout: Option<u64>) -> usize {
        let pauses = pauses
            .iter()
            .map(|(pause, size)| (Duration::from_millis(*pause), *size));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let mut body = Paced::new(Dripping {
                pauses: pauses.collect(),
                timer: None,
            });
            if let Some(timeout) = timeout {
                body.within(Duration::from_millis(timeout));
            }
            let mut came = 0;
            loop {
                match body::next(&mut body).await {
                    Some(Ok(_)) => came += 1,
                    Some(Err(error)) => {
                        assert!(error.message.contains("body_timeout"), "{error}");
                        return came;
                    }
                    None => return usize::MAX,
                }
            }
        })
    }

    #[test]
    fn a_body_that_stops_is_given_up() {
        assert_eq!(pieces(&[], Some(20)), 0);
        assert_eq!(pieces(&[(0, 10), (0, 10)], Some(20)), 2);
    }

    #[test]
    fn drops_do_not_earn_time() {
        let drops = [(40, 1); 100];
        let came = pieces(&drops, Some(400));
        assert!(came < 50, "{came}");
    }

    #[test]
    fn what_comes_fast_earns_time() {
        let minute = 60 * Limits::SLOWEST_BODY as usize;
        let mut some = vec![(0, minute)];
        some.extend([(100, 1); 8]);
        assert_eq!(pieces(&some, Some(400)), 9);
        // But nobody may stop for all of it.
        some.push((10_000, 1));
        assert_eq!(pieces(&some, Some(400)), 9);
    }
}
