//! What a connection is doing and since when, so that clients that are too slow can be cut.
//!
//! A timer for each request costs an allocation and two clock readings. Here a connection only
//! notes the worker's coarse clock, and one sweep a tick looks at all of them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::arrival::Arrivals;
use crate::intake::{Intake, Place};
use crate::options::Limits;

/// Longest time between two sweeps; limits are kept to this precision.
const LONGEST_TICK: Duration = Duration::from_millis(250);
/// Shortest time between two sweeps, for very small limits.
const SHORTEST_TICK: Duration = Duration::from_millis(5);

/// Bytes from which a write shows that an answer still goes out. An HTTP/2 client that takes no
/// answer can make us write less than this for ever: a ping is one frame of 17 bytes.
const LEAST_PROGRESS: usize = 256;

/// What the server waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// For the next request.
    Idle,
    /// For the rest of a head.
    Head,
    /// For the rest of a body.
    Body,
    /// For itself: a client is not to blame.
    Working,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Pulse {
    clock: Rc<Cell<Instant>>,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Bytes that came in this phase.
    received: Cell<u64>,
    /// Since when the client takes no more bytes.
    blocked: Cell<Option<Instant>>,
    /// Requests that are worked on; more than one over HTTP/2 only.
    requests: Cell<usize>,
    /// Do requests share the connection (HTTP/2)? Bytes then belong to no one of them.
    shared: Cell<bool>,
    closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    task: RefCell<Option<AbortHandle>>,
    intake: Rc<Intake>,
    place: Rc<Place>,
}

impl Pulse {
    /// A request has come; the connection is not idle until it and every other is answered.
    pub fn begin(self: &Rc<Self>, version: http::Version) -> Busy {
        self.requests.set(self.requests.get() + 1);
        self.shared.set(version == http::Version::HTTP_2);
        self.enter(Phase::Working);
        Busy(Rc::clone(self))
    }

    /// Goes to another phase.
    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.get());
        self.received.set(0);
    }

    /// The connection has many requests at once: bytes do not tell which request they are of, and
    /// between requests a client may say that it is alive. So only the first bytes are waited for
    /// as a head; from then on the connection rests, or works for at least one request.
    pub fn share(&self) {
        self.shared.set(true);
    }

    /// Should the connection be asked to end before it is cut? Once, where its client would not
    /// know whether a request that it has just sent was read.
    fn asks_first(&self) -> bool {
        self.shared.get() && self.phase.get() == Phase::Idle && !self.closing.get()
    }

    /// May the next request be read? Requests that share a connection are not kept waiting for
    /// each other. `waited` tells how long it has been in the socket.
    fn may_read(&self, context: &Context<'_>, waited: impl FnOnce() -> Option<Duration>) -> bool {
        let between = match self.phase.get() {
            Phase::Idle => true,
            Phase::Head => self.received.get() == 0,
            Phase::Body | Phase::Working => false,
        };
        let waker = context.waker();
        !between || self.shared.get() || self.intake.enter(&self.place, waker, waited)
    }

    fn read(&self, bytes: usize) {
        match (self.phase.get(), self.shared.get()) {
            (Phase::Idle, false) => self.enter(Phase::Head),
            (Phase::Head, true) => self.enter(Phase::Idle),
            _ => {}
        }
        self.received.set(self.received.get() + bytes as u64);
    }

    /// Has the client overstayed a limit?
    fn overdue(&self, limits: &Limits) -> bool {
        let now = self.clock.get();
        if let Some(since) = self.blocked.get()
            && now.duration_since(since) > limits.write_timeout
        {
            return true;
        }
        let passed = now.duration_since(self.since.get());
        match self.phase.get() {
            Phase::Idle => passed > limits.idle_timeout,
            Phase::Head => passed > limits.head_timeout,
            Phase::Body => {
                let earned = Duration::from_secs(self.received.get() / Limits::SLOWEST_BODY);
                passed > limits.body_timeout + earned
            }
            Phase::Working => false,
        }
    }

    /// Asks the connection to end after the request it is at.
    fn close(&self) {
        self.closing.set(true);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Is the connection to end? Keeps the waker of whoever asks.
    pub fn closing(&self, context: &Context<'_>) -> bool {
        let mut waker = self.waker.borrow_mut();
        match waker.as_ref() {
            Some(kept) if kept.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
        self.closing.get()
    }

    /// Is the rest of a request due?
    pub fn waits_for_body(&self) -> bool {
        self.phase.get() == Phase::Body
    }

    /// Keeps what ends the connection's task.
    pub fn runs_as(&self, task: AbortHandle) {
        *self.task.borrow_mut() = Some(task);
    }
}

/// A request under way on a connection.
#[derive(Debug)]
pub struct Busy(Rc<Pulse>);

impl Busy {
    /// Do other requests share its connection (HTTP/2)?
    #[must_use]
    pub fn shared(&self) -> bool {
        self.0.shared.get()
    }

    /// Since when the request could be read, where that is known.
    #[must_use]
    pub fn readable(&self) -> Option<Instant> {
        self.0.place.leave()
    }

    /// The request goes to another phase. Where requests share the connection, none is waited
    /// for by its bytes: its own time is watched instead.
    pub fn enter(&self, phase: Phase) {
        if !self.0.shared.get() {
            self.0.enter(phase);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let left = self.0.requests.get().saturating_sub(1);
        self.0.requests.set(left);
        if left == 0 {
            self.0.enter(Phase::Idle);
        }
    }
}

/// The connections of one worker.
#[derive(Debug)]
pub struct Pulses {
    clock: Rc<Cell<Instant>>,
    intake: Rc<Intake>,
    open: RefCell<HashMap<u64, Weak<Pulse>>>,
    next: Cell<u64>,
    closing: Cell<bool>,
    empty: Notify,
}

/// A connection's place among the worker's; gives it back when dropped.
#[derive(Debug)]
pub struct Seat {
    pulses: Rc<Pulses>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.pulses.open.borrow_mut();
        open.remove(&self.number);
        if open.is_empty() {
            self.pulses.empty.notify_one();
        }
    }
}

impl Pulses {
    /// No connections yet.
    #[must_use]
    pub fn new(intake: Rc<Intake>) -> Rc<Self> {
        Rc::new(Self {
            intake,
            clock: Rc::new(Cell::new(Instant::now())),
            open: RefCell::default(),
            next: Cell::new(0),
            closing: Cell::new(false),
            empty: Notify::new(),
        })
    }

    /// Takes in a connection, which must send a head first.
    pub fn open(self: &Rc<Self>) -> (Rc<Pulse>, Seat) {
        let number = self.next.get();
        self.next.set(number + 1);
        let pulse = Rc::new(Pulse {
            clock: Rc::clone(&self.clock),
            phase: Cell::new(Phase::Head),
            since: Cell::new(self.clock.get()),
            received: Cell::new(0),
            requests: Cell::new(0),
            shared: Cell::new(false),
            blocked: Cell::new(None),
            closing: Cell::new(self.closing.get()),
            waker: RefCell::new(None),
            task: RefCell::new(None),
            intake: Rc::clone(&self.intake),
            place: Rc::default(),
        });
        self.open.borrow_mut().insert(number, Rc::downgrade(&pulse));
        let seat = Seat {
            pulses: Rc::clone(self),
            number,
        };
        (pulse, seat)
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.open.borrow().len()
    }

    fn all(&self) -> Vec<Rc<Pulse>> {
        self.open
            .borrow()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Moves the clock and cuts whoever is overdue, for ever. `cut` is told of each.
    pub async fn sweep(self: Rc<Self>, limits: Limits, cut: impl Fn()) {
        let shortest = limits
            .head_timeout
            .min(limits.idle_timeout)
            .min(limits.body_timeout)
            .min(limits.write_timeout);
        let tick = (shortest / 4).clamp(SHORTEST_TICK, LONGEST_TICK);
        loop {
            tokio::time::sleep(tick).await;
            self.clock.set(Instant::now());
            for pulse in self.all() {
                if !pulse.overdue(&limits) {
                    continue;
                }
                if pulse.asks_first() {
                    pulse.close();
                    pulse.enter(Phase::Idle);
                } else if let Some(task) = pulse.task.borrow_mut().take() {
                    cut();
                    task.abort();
                }
            }
        }
    }

    /// Asks every connection, now and later, to end after the request it is at.
    pub fn close(&self) {
        self.closing.set(true);
        self.intake.open();
        for pulse in self.all() {
            pulse.close();
        }
    }

    /// Waits until no connection is left.
    pub async fn emptied(&self) {
        while !self.open.borrow().is_empty() {
            self.empty.notified().await;
        }
    }
}

/// A socket that notes what passes, and is read when it is its turn.
pub struct Watched {
    stream: TcpStream,
    arrivals: Arrivals,
    pulse: Rc<Pulse>,
}

impl Watched {
    /// Notes what passes through the socket.
    pub fn new(stream: TcpStream, pulse: Rc<Pulse>) -> Self {
        Self {
            stream,
            arrivals: Arrivals::default(),
            pulse,
        }
    }

    fn written(&self, outcome: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        match &outcome {
            Poll::Ready(written) => {
                self.pulse.blocked.set(None);
                let much = written.as_ref().is_ok_and(|bytes| *bytes >= LEAST_PROGRESS);
                if much && self.pulse.phase.get() == Phase::Idle {
                    // A long answer still goes out: that is no rest.
                    self.pulse.since.set(self.pulse.clock.get());
                }
            }
            Poll::Pending if self.pulse.blocked.get().is_none() => {
                self.pulse.blocked.set(Some(self.pulse.clock.get()));
            }
            Poll::Pending => {}
        }
        outcome
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // Who has nothing to read takes nobody's turn.
        if let Err(error) = ready!(self.stream.poll_read_ready(context)) {
            return Poll::Ready(Err(error));
        }
        let waited = || self.arrivals.waited(&self.stream);
        if !self.pulse.may_read(context, waited) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = buffer.filled().len() - before;
        if came > 0 {
            self.pulse.read(came);
        }
        outcome
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.written(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
