//! Starting, draining and stopping: the threads of the data plane.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_runtime::Runtime;
use tidegate_schema::{Error, Result};
use tokio::sync::watch;

use crate::connection::{self, Http};
use crate::counters::Counters;
use crate::event_loop::event_loop;
use crate::grpc;
use crate::listener;
use crate::log::Level;
use crate::options::Options;
use crate::pulse::Pulses;
use crate::service::{Service, Shared};

/// Most connections that a worker takes in before it looks at its requests again.
const MOST_ACCEPTED: usize = 64;
/// How long to wait when the process has no file descriptor left for a connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);
/// Most workers: more threads than this are a mistake in a setting.
const MOST_WORKERS: usize = 256;
/// What a connection above the limit is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    retry-after: 1\r\nconnection: close\r\ncontent-length: 75\r\n\r\n\
    {\"error\":\"too many connections (limit connections): try again in a second\"}";

/// What the workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Serve,
    Drain,
    Stop,
}

/// A server before it runs.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Binds the address and starts the workers. When this returns, connections are answered.
    pub fn start(runtime: Arc<Runtime>, options: Options) -> Result<Running> {
        if options.workers == 0 || options.workers > MOST_WORKERS {
            return Err(Error::invalid(format!(
                "{} workers cannot be started: give a number from 1 to {MOST_WORKERS}",
                options.workers
            )));
        }
        let (listener, address) = bound(&options.address, &options)?;
        let grpc = match &options.grpc_address {
            Some(address) => Some(bound(address, &options)?),
            None => None,
        };
        let shared = Arc::new(Shared::new(runtime, options.clone(), options.workers)?);
        let (orders, order) = watch::channel(Order::Serve);
        let mut running = Running {
            address,
            grpc_address: grpc.as_ref().map(|(_, address)| *address),
            shared,
            orders: Arc::new(orders),
            workers: Vec::with_capacity(options.workers),
        };
        for counters in &running.shared.counters {
            let share = |listener: &TcpListener| {
                listener
                    .try_clone()
                    .map_err(|error| failed("sharing the listening socket", &error))
            };
            let worker = Worker {
                http: share(&listener)?,
                grpc: grpc.as_ref().map(|(grpc, _)| share(grpc)).transpose()?,
                shared: Arc::clone(&running.shared),
                counters: Arc::clone(counters),
                order: order.clone(),
            };
            let number = running.workers.len();
            let thread = std::thread::Builder::new()
                .name(format!("tidegate-http-{number}"))
                .spawn(move || worker.run())
                .map_err(|error| failed("starting a thread", &error))?;
            running.workers.push(thread);
        }
        Ok(running)
    }
}

/// A listening socket and its address, with the port that was picked if 0 was asked for. Every
/// address is guarded in the same way, whatever is spoken there.
fn bound(address: &str, options: &Options) -> Result<(TcpListener, SocketAddr)> {
    let listener = listener::bind(address)?;
    let address = listener
        .local_addr()
        .map_err(|error| failed("asking for the bound address", &error))?;
    listener::guard(address, &options.access, options.allow_anonymous)?;
    Ok((listener, address))
}

fn failed(doing: &str, error: &std::io::Error) -> Error {
    Error::internal(format!(
        "the server could not start: {doing} failed ({error})"
    ))
}

/// A server that runs. Dropping it stops it at once; [`Running::drain`] is the polite way.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    grpc_address: Option<SocketAddr>,
    shared: Arc<Shared>,
    orders: Arc<watch::Sender<Order>>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where it listens, with the port that was picked if 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for gRPC, if it does.
    #[must_use]
    pub const fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// From now on readiness is refused, so that load balancers send traffic elsewhere; requests
    /// are still served. [`Running::drain`] does this first.
    pub fn begin_drain(&self) {
        self.shared.begin_drain();
    }

    /// What ends the server while somebody else drains it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.orders))
    }

    /// Takes no new connection, lets requests in flight finish for at most `grace`, then stops.
    /// True if all of them finished. Blocks.
    pub fn drain(mut self, grace: Duration) -> bool {
        self.shared.log.write(
            Level::Info,
            None,
            format_args!(
                "draining: requests in flight have {} s",
                grace.as_secs_f64()
            ),
        );
        self.shared.begin_drain();
        self.orders.send_if_modified(|order| {
            let serving = *order == Order::Serve;
            if serving {
                *order = Order::Drain;
            }
            serving
        });
        let end = std::time::Instant::now() + grace;
        while self.workers.iter().any(|worker| !worker.is_finished()) {
            if std::time::Instant::now() >= end {
                self.end();
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let broken_off = *self.orders.borrow() == Order::Stop;
        self.end();
        !broken_off
    }

    /// Stops at once; requests in flight are broken off. Blocks until the threads have ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.begin_drain();
        self.orders.send_replace(Order::Stop);
        for worker in self.workers.drain(..) {
            // A worker that panicked has ended too.
            let _ = worker.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a server from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<Order>>);

impl Stopper {
    /// Tells the workers to break off; a [`Running::drain`] in another thread then returns false.
    pub fn stop(&self) {
        self.0.send_replace(Order::Stop);
    }
}

/// One thread of the data plane.
struct Worker {
    http: TcpListener,
    grpc: Option<TcpListener>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    order: watch::Receiver<Order>,
}

impl Worker {
    fn run(self) {
        if let Ok(event_loop) = event_loop() {
            event_loop.block_on(self.serve());
            // What still runs on a blocking thread is not waited for.
            event_loop.shutdown_background();
        }
    }

    async fn serve(self) {
        let Self {
            http,
            grpc,
            shared,
            counters,
            mut order,
        } = self;
        let service = Service::new(Arc::clone(&shared), Arc::clone(&counters));
        let turn = Rc::clone(&service.turn);
        let pulses = Pulses::new(Rc::clone(&turn.intake));
        tokio::task::spawn_local(async move { turn.run().await });
        let (cut, log) = (Arc::clone(&counters), Arc::clone(&shared.log));
        tokio::task::spawn_local(Rc::clone(&pulses).sweep(
            shared.options.limits.clone(),
            move || {
                cut.cut.fetch_add(1, Ordering::Relaxed);
                log.write(
                    Level::Warning,
                    None,
                    "a connection was cut: its client was too slow",
                );
            },
        ));
        let door = |listener, protocol| {
            Some(Door {
                listener: tokio::net::TcpListener::from_std(listener).ok()?,
                protocol,
                service: service.clone(),
                pulses: Rc::clone(&pulses),
                counters: Arc::clone(&counters),
            })
        };
        let limits = &shared.options.limits;
        let http = door(http, Protocol::Http(Rc::new(Http::new(limits))));
        let grpc = grpc.and_then(|grpc| door(grpc, Protocol::Grpc(Rc::new(Http::grpc(limits)))));
        tokio::select! {
            () = open(http.as_ref()) => {}
            () = open(grpc.as_ref()) => {}
            _ = order.wait_for(|order| *order != Order::Serve) => {}
        }
        for door in [http, grpc].into_iter().flatten() {
            door.take_in_the_rest();
        }
        pulses.close();
        tokio::select! {
            () = pulses.emptied() => {}
            _ = order.wait_for(|order| *order == Order::Stop) => {}
        }
    }
}

/// What a door's clients speak.
enum Protocol {
    Http(Rc<Http>),
    Grpc(Rc<Http>),
}

/// Takes in connections for ever; waits for ever where there is no door.
async fn open(door: Option<&Door>) {
    match door {
        Some(door) => door.open().await,
        None => std::future::pending().await,
    }
}

/// Where connections come in.
struct Door {
    protocol: Protocol,
    listener: tokio::net::TcpListener,
    service: Service,
    pulses: Rc<Pulses>,
    counters: Arc<Counters>,
}

impl Door {
    /// Takes in connections for ever.
    async fn open(&self) {
        let mut taken = 0;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.take_in(stream, peer),
                // The client has gone again, or we are out of file descriptors.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
            }
            taken += 1;
            if taken == MOST_ACCEPTED || self.has_its_share() {
                taken = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Has this worker more than its share of the connections? Another may be idle: it should get
    /// the next one. A turn of a busy worker is long, so that one connection a turn would keep a
    /// crowd waiting for seconds.
    fn has_its_share(&self) -> bool {
        let shared = &self.service.shared;
        let open = shared.connections.load(Ordering::Relaxed);
        self.pulses.len() * shared.counters.len() > open
    }

    fn take_in(&self, stream: tokio::net::TcpStream, peer: SocketAddr) {
        let shared = &self.service.shared;
        if shared.connections.load(Ordering::Relaxed) >= shared.options.limits.connections {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            shared.log.write(
                Level::Warning,
                None,
                format_args!("{peer} was sent away: as many connections are open as the limit connections says"),
            );
            // A client that waits for a handshake could not read it.
            if shared.options.tls.is_none()
                && let Ok(mut stream) = stream.into_std()
            {
                // The socket's buffer is empty, so this fits without waiting.
                let _ = stream.write_all(match &self.protocol {
                    Protocol::Http(_) => TOO_MANY,
                    Protocol::Grpc(_) => grpc::TOO_MANY,
                });
            }
            return;
        }
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        match &self.protocol {
            Protocol::Http(http) => {
                connection::spawn(http, &self.service, &self.pulses, stream, peer);
            }
            Protocol::Grpc(http) => grpc::spawn(http, &self.service, &self.pulses, stream, peer),
        }
    }

    /// Takes in what has connected before the door closes: it would be reset otherwise.
    fn take_in_the_rest(&self) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(Ok((stream, peer))) =
            self.listener.poll_accept(&mut context)
        {
            self.take_in(stream, peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_well_formed() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
