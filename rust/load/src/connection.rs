//! One keep-alive connection: a request goes out, an answer comes back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::answer::{MAX_ANSWER, Parsed, parse};

/// Room for the answers of one-row requests, so that one read fetches them whole.
const FIRST_BUFFER: usize = 16 * 1024;

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// Which case.
    pub case: usize,
    /// When it should have been sent: latencies count from here.
    pub due: Instant,
    /// When it was sent: the timeout counts from here.
    pub begun: Instant,
    /// Bytes written so far.
    written: usize,
}

pub(crate) struct Connection {
    pub stream: TcpStream,
    pub pending: Option<Pending>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects and waits for it: on a benchmark's own machine that takes microseconds.
    pub(crate) fn open(addresses: &[SocketAddr], timeout: Duration) -> io::Result<Self> {
        let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
        for address in addresses {
            match net::TcpStream::connect_timeout(address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    return Ok(Self {
                        stream: TcpStream::from_std(stream),
                        pending: None,
                        buffer: vec![0; FIRST_BUFFER],
                        filled: 0,
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Begins a request.
    pub(crate) fn send(
        &mut self,
        request: &[u8],
        case: usize,
        due: Instant,
        now: Instant,
    ) -> io::Result<()> {
        self.pending = Some(Pending {
            case,
            due,
            begun: now,
            written: 0,
        });
        self.write(request)
    }

    /// Writes what the socket takes; the rest follows when it is writable again.
    pub(crate) fn write(&mut self, request: &[u8]) -> io::Result<()> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        while let Some(rest) = request
            .get(pending.written..)
            .filter(|rest| !rest.is_empty())
        {
            match self.stream.write(rest) {
                Ok(count) => pending.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has come. `to_end` reads until the socket has no more, even after a short read:
    /// needed when the poll has seen the other side close, since it tells that only once.
    pub(crate) fn receive(&mut self, to_end: bool) -> Parsed<'_> {
        let mut ended = false;
        loop {
            if self.filled == self.buffer.len() {
                if self.filled > MAX_ANSWER {
                    return Parsed::Malformed("the answer is larger than 64 MiB");
                }
                self.buffer.resize(2 * self.filled, 0);
            }
            let Some(room) = self.buffer.get_mut(self.filled..) else {
                return Parsed::Malformed("the buffer is out of step");
            };
            match self.stream.read(room) {
                Ok(0) => ended = true,
                Ok(count) => {
                    // A short read has emptied the socket (epoll(7)): no second call is needed.
                    let short = count < room.len();
                    self.filled += count;
                    if !short || to_end {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => ended = true,
            }
            break;
        }
        let received = self.buffer.get(..self.filled).unwrap_or(&[]);
        match parse(received, ended) {
            Parsed::Malformed(_) if received.is_empty() && ended => Parsed::Malformed(CLOSED),
            Parsed::Complete(answer) if answer.consumed < received.len() => {
                Parsed::Malformed("bytes follow the answer")
            }
            parsed => parsed,
        }
    }

    /// The answer is dealt with.
    pub(crate) fn finish(&mut self) {
        self.filled = 0;
        self.pending = None;
    }
}

/// Told by [`Connection::receive`] when the other side has closed between two answers.
pub(crate) const CLOSED: &str = "the connection was closed";
