//! One gRPC connection: hyper's HTTP/2 on this thread, watched for clients that are too slow.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::body::Body;
use super::call;
use crate::options::Limits;
use crate::pulse::{Phase, Pulse, Pulses, Watched};
use crate::service::Service;

/// Bytes that a client may send on one connection, and in one request of it, before we have read
/// them. A large tensor arrives without waiting for us after every 64 KiB.
const WINDOW: u32 = 1024 * 1024;
/// HTTP/2 counts so much for each header beside its name and value.
const HEADER_OVERHEAD: usize = 32;
/// Most headers that fit [`crate::Limits::header_bytes`] as HTTP/2 counts them.
const MAX_HEADERS: usize = 100;

/// What a connection above the limit is told: our settings, and `GOAWAY` with the reason.
pub const TOO_MANY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x54\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\
    too many connections (limit connections): try again in a second or elsewhere";

/// Runs the requests of a connection as tasks of this thread.
#[derive(Clone, Copy, Debug)]
struct Here;

impl<F: Future<Output = ()> + 'static> Executor<F> for Here {
    fn execute(&self, request: F) {
        tokio::task::spawn_local(request);
    }
}

/// What the requests of one connection share.
#[derive(Debug)]
pub struct Peer {
    /// The client.
    pub address: SocketAddr,
    pulse: Rc<Pulse>,
    requests: Cell<usize>,
    closing: watch::Sender<bool>,
}

impl Peer {
    /// A request has begun.
    pub fn enter(self: &Rc<Self>) -> Place {
        if self.requests.replace(self.requests.get() + 1) == 0 {
            self.pulse.enter(Phase::Working);
        }
        Place(Rc::clone(self))
    }

    /// Turns true when streams are to end after what is under way.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }
}

/// A request under way, until its reply is sent or nobody waits for it.
#[derive(Debug)]
pub struct Place(Rc<Peer>);

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.0.requests.get().saturating_sub(1);
        self.0.requests.set(left);
        if left == 0 {
            self.0.pulse.enter(Phase::Idle);
        }
    }
}

/// Counts an open connection until it is dropped.
struct Open(Service);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, as a task of this thread.
pub fn spawn(service: &Service, pulses: &Rc<Pulses>, stream: TcpStream, address: SocketAddr) {
    // Answers are whole: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let (pulse, seat) = pulses.open();
    service.shared.connections.fetch_add(1, Ordering::Relaxed);
    let open = Open(service.clone());
    let peer = Rc::new(Peer {
        address,
        pulse: Rc::clone(&pulse),
        requests: Cell::new(0),
        closing: watch::channel(false).0,
    });
    let handler = {
        let (service, peer) = (service.clone(), Rc::clone(&peer));
        service_fn(move |request| {
            let answer = call::answer(service.clone(), Rc::clone(&peer), request);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let options = &service.shared.options;
    let tls = options.tls.as_ref().map(|tls| tls.grpc());
    let limits = options.limits.clone();
    // Below TLS, so that a handshake that stops is cut as a head that stops.
    let stream = Watched::new(stream, Rc::clone(&pulse));
    let task = tokio::task::spawn_local(async move {
        match tls {
            None => drive(stream, handler, peer, &limits).await,
            // Never in plain text beside TLS: what is no handshake ends here.
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    drive(stream, handler, peer, &limits).await;
                }
            }
        }
        drop((seat, open));
    });
    pulse.runs_as(task.abort_handle());
}

/// Serves requests until the connection ends.
async fn drive<T, S>(stream: T, handler: S, peer: Rc<Peer>, limits: &Limits)
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
    S::Future: 'static,
{
    peer.pulse.multiplex();
    let headers = limits.header_bytes + MAX_HEADERS * HEADER_OVERHEAD;
    let connection = http2::Builder::new(Here)
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(limits.streams).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(headers).unwrap_or(u32::MAX))
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        // A peer that is gone without a word is noticed also while a stream rests.
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.write_timeout)
        .serve_connection(TokioIo::new(stream), handler);
    // What breaks a connection is the client's doing and is said to nobody.
    let _ = Driven { connection, peer }.await;
}

/// A connection that ends gracefully when its pulse says so.
struct Driven<C> {
    connection: C,
    peer: Rc<Peer>,
}

impl<T, S> Future for Driven<http2::Connection<TokioIo<T>, S, Here>>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
    S::Future: 'static,
{
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // First what has arrived: a request that is in the socket already is still answered.
        let outcome = Pin::new(&mut self.connection).poll(context);
        if outcome.is_pending()
            && self.peer.pulse.closing(context)
            && !self.peer.closing.send_replace(true)
        {
            Pin::new(&mut self.connection).graceful_shutdown();
            return Pin::new(&mut self.connection).poll(context);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_well_formed() {
        let (settings, goaway) = TOO_MANY.split_at(9);
        assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let (head, payload) = goaway.split_at(9);
        assert_eq!(head[3], 7);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        assert_eq!(length as usize, payload.len());
        assert!(payload[..8].iter().all(|&byte| byte == 0));
        assert!(payload[8..].starts_with(b"too many connections"));
    }
}
