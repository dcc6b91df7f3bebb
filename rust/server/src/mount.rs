//! The service without a socket, for somebody's own ASGI server: bytes in, bytes out.
//!
//! Requests come from any thread and are answered by one event loop of ours, so that what has
//! gathered is queued before the model is given work, as behind a socket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use tidegate_runtime::Runtime;
use tidegate_schema::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use crate::access::{Credentials, of_control};
use crate::errors;
use crate::event_loop::event_loop;
use crate::options::Options;
use crate::reply::Reply;
use crate::routes::{self, Found, Route};
use crate::service::{Service, Shared};
use crate::trace::Trace;

/// The outer server knows the peer; here all who are not known are one.
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What is told when a request is answered.
type Done = Box<dyn FnOnce(Reply) + Send>;

struct Asked {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
    done: Done,
    cancelled: oneshot::Receiver<()>,
}

/// A request under way. Dropping it cancels the request, and `done` is then not called.
#[derive(Debug)]
#[must_use = "dropping a ticket cancels its request"]
pub struct MountTicket {
    _cancel: oneshot::Sender<()>,
}

/// The service of a runtime, without a socket. Dropping it ends its thread.
#[derive(Debug)]
pub struct Mount {
    asked: Option<mpsc::Sender<Asked>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

impl Mount {
    /// Starts the thread. Of the options, the limits and `echo` count.
    pub fn start(runtime: Arc<Runtime>, options: Options) -> Result<Self> {
        let (asked, inbox) = mpsc::channel(options.limits.connections.max(1));
        let shared = Arc::new(Shared::new(runtime, options, 1)?);
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("tidegate-mount".to_owned())
            .spawn(move || work(served, inbox))
            .map_err(|error| Error::internal(format!("no thread to serve with: {error}")))?;
        Ok(Self {
            asked: Some(asked),
            shared,
            thread: Some(thread),
        })
    }

    /// Is this path the service's? Otherwise somebody else must answer.
    #[must_use]
    pub fn knows(&self, method: &Method, path: &str) -> bool {
        let echo = self.shared.options.echo;
        match routes::find(method, path) {
            Ok(Found::Control) => false,
            Ok(Found::Here(Route::Echo, _)) => echo,
            Ok(Found::WrongMethod(_)) => echo || path.trim_end_matches('/') != "/v2/echo",
            Ok(Found::Here(..)) | Err(_) => true,
        }
    }

    /// What a request is refused with that somebody else answers; `None` if it is let in.
    #[must_use]
    pub fn refusal(&self, method: &Method, target: &Uri, headers: &HeaderMap) -> Option<Reply> {
        let asked = of_control(method, target.path(), target.query());
        let admitted = self.shared.options.access.admit(
            Credentials::of(headers),
            PEER,
            asked.action,
            asked.model.as_deref(),
        );
        admitted.err().map(|refusal| errors::refusal(&refusal))
    }

    /// The id of a request that somebody else answers: its own if it has a sane one, else a new one.
    #[must_use]
    pub fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        Trace::of(headers, &self.shared.ids).id
    }

    /// Asks; `done` is told the answer in the service's thread and must not block.
    ///
    /// # Errors
    /// `Overloaded` when as many requests wait as there may be connections, `Closed` when the
    /// thread has ended.
    pub fn ask(
        &self,
        method: Method,
        target: Uri,
        headers: HeaderMap,
        body: Bytes,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<MountTicket> {
        let (cancel, cancelled) = oneshot::channel();
        let asked = Asked {
            method,
            target,
            headers,
            body,
            done: Box::new(done),
            cancelled,
        };
        let sent = match &self.asked {
            Some(sender) => sender.try_send(asked),
            None => Err(mpsc::error::TrySendError::Closed(asked)),
        };
        match sent {
            Ok(()) => Ok(MountTicket { _cancel: cancel }),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Error::new(
                ErrorKind::Overloaded,
                "too many requests wait (limit connections): try again later",
            )),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::new(
                ErrorKind::Closed,
                "the mounted service is closed: mount the runtime again",
            )),
        }
    }

    /// Ends the thread; requests under way are dropped. May be called again.
    pub fn close(&mut self) {
        self.asked = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Asked>) {
    let Ok(event_loop) = event_loop() else {
        return;
    };
    let Some(counters) = shared.counters.first().map(Arc::clone) else {
        return;
    };
    event_loop.block_on(async move {
        let service = Service::new(shared, counters);
        let turn = std::rc::Rc::clone(&service.turn);
        tokio::task::spawn_local(async move { turn.run().await });
        while let Some(asked) = inbox.recv().await {
            tokio::task::spawn_local(answer(service.clone(), asked));
        }
    });
    event_loop.shutdown_background();
}

async fn answer(service: Service, asked: Asked) {
    let Asked {
        method,
        target,
        headers,
        body,
        done,
        cancelled,
    } = asked;
    tokio::select! {
        biased;
        reply = service.reply(&method, &target, &headers, body) => done(reply),
        _ = cancelled => {}
    }
}
