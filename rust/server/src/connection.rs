//! One connection: hyper's HTTP/1.1 loop with keep-alive and pipelining, watched for slow clients.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::pulse::{Pulse, Pulses, Watched};
use crate::service::Service;

/// Most bytes that are read ahead on one connection. The head must fit, so this is also where
/// hyper gives up on a head that never ends, whatever the limit on headers says.
const READ_AHEAD: usize = 256 * 1024;

/// Counts an open connection until it is dropped.
struct Open(Service);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, as a task of this thread.
pub fn spawn(service: &Service, pulses: &Rc<Pulses>, stream: TcpStream, peer: SocketAddr) {
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
    let tls = service
        .shared
        .options
        .tls
        .as_ref()
        .map(|tls| tls.acceptor());
    // Below TLS, so that a handshake that stops is cut as a head that stops.
    let stream = Watched::new(stream, Rc::clone(&pulse));
    let task = tokio::task::spawn_local(async move {
        match tls {
            None => drive(stream, handler, pulse).await,
            // In memory of its own: the state of a session is larger than all that a connection
            // without TLS holds.
            Some(acceptor) => {
                Box::pin(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drive(stream, handler, pulse).await;
                    }
                })
                .await;
            }
        }
        drop((seat, open));
    });
    kept.runs_as(task.abort_handle());
}

/// Serves requests until the connection ends.
async fn drive<T, S>(stream: T, handler: S, pulse: Rc<Pulse>)
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Handler,
{
    // At most 100 headers, hyper's own limit (431 without a body). Set here, even to the same, it
    // would fill two tables of that length for each request: 2 % of its CPU time.
    let connection = http1::Builder::new()
        .max_buf_size(READ_AHEAD)
        .pipeline_flush(true)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), handler);
    // What breaks a connection is the client's doing and is said to nobody.
    let _ = Driven { connection, pulse }.await;
}

/// What answers a request, as hyper wants it.
trait Handler:
    hyper::service::HttpService<
        hyper::body::Incoming,
        ResBody = crate::body::Body,
        Error = std::convert::Infallible,
    >
{
}

impl<S> Handler for S where
    S: hyper::service::HttpService<
            hyper::body::Incoming,
            ResBody = crate::body::Body,
            Error = std::convert::Infallible,
        >
{
}

/// A connection that ends gracefully when its pulse says so.
struct Driven<C> {
    connection: C,
    pulse: Rc<Pulse>,
}

impl<T, S> Future for Driven<http1::Connection<TokioIo<T>, S>>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Handler,
{
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // First what has arrived: a request that is in the socket already is still answered.
        let outcome = Pin::new(&mut self.connection).poll(context);
        if outcome.is_pending() && self.pulse.closing(context) {
            Pin::new(&mut self.connection).graceful_shutdown();
            return Pin::new(&mut self.connection).poll(context);
        }
        outcome
    }
}
