//! One connection: HTTP/1.1 with keep-alive and pipelining, or HTTP/2, watched for slow clients.
//!
//! Which of the two is seen by its first bytes: HTTP/2 begins with a preface that is no HTTP/1
//! request, so both share the port without encryption and without an upgrade.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::options::Limits;
use crate::pulse::{Pulse, Pulses, Watched};
use crate::service::Service;
use crate::task::Here;

/// Most headers of one request: hyper's own limit for HTTP/1.1, where it answers 431 without a body.
/// It is not set, even to the same: hyper would then fill two tables of that length for each
/// request, 2 % of its CPU time.
const MAX_HEADERS: usize = 100;
/// Most bytes that are read ahead on one connection. The head must fit, so this is also where
/// hyper gives up on a head that never ends, whatever the limit on headers says.
const READ_AHEAD: usize = 256 * 1024;
/// Bytes that a client may send on one HTTP/2 connection, and in one request of it, before we have
/// read them. A large tensor arrives without waiting for us after every 64 KiB.
const WINDOW: u32 = 1024 * 1024;
/// HTTP/2 counts so much for each header beside its name and value.
const HEADER_OVERHEAD: usize = 32;

/// How connections are served; made once for each worker.
pub struct Http(auto::Builder<Here>);

impl Http {
    /// HTTP/1.1 and HTTP/2 within these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let mut builder = auto::Builder::new(Here);
        builder.http1().max_buf_size(READ_AHEAD).half_close(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(number(limits.streams))
            // Above our own limit, so that who exceeds it is told which.
            .max_header_list_size(number(READ_AHEAD))
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            // A peer that is gone without a word is noticed also while a stream rests.
            .keep_alive_interval(limits.idle_timeout)
            .keep_alive_timeout(limits.write_timeout);
        Self(builder)
    }

    /// HTTP/2 only, with heads as small as gRPC's.
    #[must_use]
    pub fn grpc(limits: &Limits) -> Self {
        let Self(mut builder) = Self::new(limits);
        let headers = limits.header_bytes + MAX_HEADERS * HEADER_OVERHEAD;
        builder.http2().max_header_list_size(number(headers));
        Self(builder.http2_only())
    }

    /// Serves requests until the connection ends, gracefully when its pulse says so.
    /// `closing` is told of that, once.
    pub async fn drive<T, S, B>(&self, stream: T, handler: S, pulse: &Pulse, closing: impl FnOnce())
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
        S: Handler<B>,
        B: HttpBody<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let mut closing = Some(closing);
        let mut connection = pin!(self.0.serve_connection(TokioIo::new(stream), handler));
        poll_fn(|context| {
            // First what has arrived: a request that is in the socket already is still answered.
            // What breaks a connection is the client's doing and is said to nobody.
            let mut outcome = connection.as_mut().poll(context).map(drop);
            // hyper hands over a body when it is polled again, and mostly the body has come with
            // the head: to wait behind all other connections for it would be a turn lost.
            if outcome.is_pending() && pulse.waits_for_body() {
                outcome = connection.as_mut().poll(context).map(drop);
            }
            if outcome.is_pending()
                && pulse.closing(context)
                && let Some(closing) = closing.take()
            {
                closing();
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(context).map(drop);
            }
            outcome
        })
        .await;
    }
}

/// Counts an open connection until it is dropped.
pub struct Open(pub Service);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, as a task of this thread.
pub fn spawn(
    http: &Rc<Http>,
    service: &Service,
    pulses: &Rc<Pulses>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    // Answers are whole: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let (pulse, seat) = pulses.open();
    service.shared.connections.fetch_add(1, Ordering::Relaxed);
    let open = Open(service.clone());
    let handler = {
        let (service, pulse) = (service.clone(), Rc::clone(&pulse));
        service_fn(move |request| service.clone().serve(request, peer, Rc::clone(&pulse)))
    };
    let kept = Rc::clone(&pulse);
    let http = Rc::clone(http);
    let tls = service.shared.options.tls.as_ref().map(|tls| tls.http());
    // Below TLS, so that a handshake that stops is cut as a head that stops.
    let stream = Watched::new(stream, Rc::clone(&pulse));
    let task = tokio::task::spawn_local(async move {
        match tls {
            None => http.drive(stream, handler, &pulse, || {}).await,
            // In memory of its own: the state of a session is larger than all that a connection
            // without TLS holds.
            Some(acceptor) => {
                Box::pin(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        http.drive(stream, handler, &pulse, || {}).await;
                    }
                })
                .await;
            }
        }
        drop((seat, open));
    });
    kept.runs_as(task.abort_handle());
}

/// A number of the settings of HTTP/2, which are 32 bits.
fn number(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// What answers a request, as hyper wants it.
pub trait Handler<B>:
    hyper::service::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error = Infallible,
        Future: 'static,
    >
{
}

impl<S, B> Handler<B> for S where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: 'static,
        >
{
}
