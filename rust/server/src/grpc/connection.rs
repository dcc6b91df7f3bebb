//! One gRPC connection: HTTP/2 on this thread, watched for clients that are too slow.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::body::Body;
use super::call;
use crate::connection::{Handler, Http, Open};
use crate::pulse::{Pulse, Pulses, Watched};
use crate::service::Service;

/// What a connection above the limit is told: our settings, and `GOAWAY` with the reason.
pub const TOO_MANY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x54\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\
    too many connections (limit connections): try again in a second or elsewhere";

/// What the requests of one connection share.
#[derive(Debug)]
pub struct Peer {
    /// The client.
    pub address: SocketAddr,
    /// What the connection is doing.
    pub pulse: Rc<Pulse>,
    closing: watch::Sender<bool>,
}

impl Peer {
    /// Turns true when streams are to end after what is under way.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }
}

/// Serves a connection until it ends, as a task of this thread.
pub fn spawn(
    http: &Rc<Http>,
    service: &Service,
    pulses: &Rc<Pulses>,
    stream: TcpStream,
    address: SocketAddr,
) {
    // Answers are whole: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let (pulse, seat) = pulses.open();
    service.shared.connections.fetch_add(1, Ordering::Relaxed);
    let open = Open(service.clone());
    let peer = Rc::new(Peer {
        address,
        pulse: Rc::clone(&pulse),
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
    let http = Rc::clone(http);
    // Below TLS, so that a handshake that stops is cut as a head that stops.
    let stream = Watched::new(stream, Rc::clone(&pulse));
    let task = tokio::task::spawn_local(async move {
        match tls {
            None => drive(&http, stream, handler, &peer).await,
            // Never in plain text beside TLS: what is no handshake ends here.
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    drive(&http, stream, handler, &peer).await;
                }
            }
        }
        drop((seat, open));
    });
    pulse.runs_as(task.abort_handle());
}

/// Serves requests until the connection ends; streams are told when it is to end.
async fn drive<T, S>(http: &Http, stream: T, handler: S, peer: &Peer)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Handler<Body>,
{
    peer.pulse.share();
    let closing = || {
        peer.closing.send_replace(true);
    };
    http.drive(stream, handler, &peer.pulse, closing).await;
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
