//! The loop that drives all connections of a run.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use tidegate_schema::{Error, ErrorKind, Result};

use crate::answer::Parsed;
use crate::connection::{CLOSED, Connection};
use crate::{Arrivals, Case, Checker, Errors, Histogram, Late, Latency, Plan, Report, pin};

/// How often requests are looked through for those that take too long.
const SWEEP: Duration = Duration::from_millis(100);

/// The most connections that are replaced: a server without keep-alive would use up the ports.
const MAX_RECONNECTIONS: u64 = 10_000;

/// Statuses by which a server refuses work that it could do at another time.
const REFUSALS: [u16; 2] = [503, 429];

/// How much of a wrong answer is quoted.
const QUOTE: usize = 300;

/// Makes the load and returns what came of it. Works in a thread of its own, so that binding it
/// to a core leaves the caller where it was.
///
/// # Errors
/// When the plan is out of range, there is no case, or no connection can be made. Wrong answers
/// are no errors of this function: they are counted.
pub fn run(plan: &Plan, cases: &[Case]) -> Result<Report> {
    plan.check()?;
    if cases.is_empty() {
        return Err(Error::invalid(
            "there is no body to send: give at least one",
        ));
    }
    let addresses: Vec<SocketAddr> = plan
        .address
        .to_socket_addrs()
        .map_err(|error| Error::invalid(format!("address {:?}: {error}", plan.address)))?
        .collect();
    std::thread::scope(|scope| {
        let work = || {
            if let Some(cpu) = plan.cpu {
                pin(cpu)?;
            }
            Engine::new(plan, cases, addresses)?.drive()
        };
        std::thread::Builder::new()
            .name("tidegate-load".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|error| Error::internal(format!("no thread for the load: {error}")))?
            .join()
            .map_err(|_| Error::internal("the load generator panicked"))?
    })
}

/// SplitMix64 (Steele, Lea, Flood 2014): order and gaps, the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// In (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// When the requests of an open loop are due. Nothing is stored per request, so falling behind
/// costs no memory.
struct Schedule {
    next: Instant,
    rate: f64,
    arrivals: Arrivals,
    random: Random,
}

impl Schedule {
    fn advance(&mut self) {
        let gaps = match self.arrivals {
            Arrivals::Constant => 1.0,
            Arrivals::Poisson => -self.random.unit().ln(),
        };
        self.next += Duration::from_secs_f64(gaps / self.rate);
    }
}

struct Engine<'a> {
    plan: &'a Plan,
    cases: &'a [Case],
    addresses: Vec<SocketAddr>,
    requests: Vec<Vec<u8>>,
    checker: Checker,
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    schedule: Option<Schedule>,
    random: Random,
    reconnections: u64,
    counted_from: Instant,
    end: Instant,
    tally: Tally,
}

struct Tally {
    latencies: Histogram,
    within: u64,
    refused: u64,
    dropped: u64,
    errors: Errors,
    first_error: Option<String>,
    last: Instant,
}

impl Tally {
    fn error(
        &mut self,
        count: impl FnOnce(&mut Errors) -> &mut u64,
        text: impl FnOnce() -> String,
    ) {
        *count(&mut self.errors) += 1;
        if self.first_error.is_none() {
            self.first_error = Some(text());
        }
    }
}

/// What an event has made of a request.
enum Outcome {
    Partial,
    Right {
        closes: bool,
    },
    Refused {
        closes: bool,
    },
    Wrong {
        status: u16,
        quote: String,
        closes: bool,
    },
    Broken(&'static str),
}

impl<'a> Engine<'a> {
    fn new(plan: &'a Plan, cases: &'a [Case], addresses: Vec<SocketAddr>) -> Result<Self> {
        let poll = Poll::new().map_err(|error| Error::internal(format!("no poll: {error}")))?;
        let now = Instant::now();
        let mut engine = Self {
            plan,
            cases,
            addresses,
            requests: cases.iter().map(|case| plan.request(&case.body)).collect(),
            checker: Checker::new(plan),
            poll,
            connections: Vec::with_capacity(plan.connections),
            idle: (0..plan.connections).rev().collect(),
            schedule: None,
            random: Random(plan.seed),
            reconnections: 0,
            counted_from: now,
            end: now,
            tally: Tally {
                latencies: Histogram::default(),
                within: 0,
                refused: 0,
                dropped: 0,
                errors: Errors::default(),
                first_error: None,
                last: now,
            },
        };
        for index in 0..plan.connections {
            let connection = engine.connect(index)?;
            engine.connections.push(connection);
        }
        let now = Instant::now();
        engine.counted_from = now + Duration::from_secs_f64(plan.warmup_seconds);
        engine.end = engine.counted_from + Duration::from_secs_f64(plan.seconds);
        engine.tally.last = engine.counted_from;
        engine.schedule = plan.rate.map(|rate| Schedule {
            next: now,
            rate,
            arrivals: plan.arrivals,
            random: Random(!plan.seed),
        });
        Ok(engine)
    }

    fn connect(&self, index: usize) -> Result<Connection> {
        let timeout = Duration::from_secs_f64(self.plan.timeout_seconds);
        let fail = |error: std::io::Error| {
            let address = &self.plan.address;
            let message = format!("cannot connect to {address}: {error}; is the server up?");
            Error::new(ErrorKind::Backend, message)
        };
        let mut connection = Connection::open(&self.addresses, timeout).map_err(fail)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut connection.stream, Token(index), both)
            .map_err(fail)?;
        Ok(connection)
    }

    /// Replaces a connection that is of no more use; its request is given up.
    fn reconnect(&mut self, index: usize) -> Result<()> {
        self.reconnections += 1;
        if self.reconnections > MAX_RECONNECTIONS {
            let (address, first) = (&self.plan.address, self.tally.first_error.as_deref());
            let message = format!(
                "{address} keeps closing connections ({}): look into the server's log",
                first.unwrap_or("as its answers announce")
            );
            return Err(Error::new(ErrorKind::Backend, message));
        }
        let fresh = self.connect(index)?;
        if let Some(connection) = self.connections.get_mut(index) {
            if connection.pending.is_some() {
                self.idle.push(index);
            }
            *connection = fresh;
        }
        Ok(())
    }

    fn drive(mut self) -> Result<Report> {
        let mut events = Events::with_capacity(1_024);
        let timeout = Duration::from_secs_f64(self.plan.timeout_seconds);
        let give_up = self.end + timeout;
        let mut sweep = Instant::now() + SWEEP;
        loop {
            let now = Instant::now();
            self.issue(now)?;
            if self.finished(now) || now >= give_up {
                break;
            }
            let wait = self.wait(now);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(Error::internal(format!("the poll failed: {error}")));
                }
                _ => {}
            }
            for event in &events {
                self.handle(event)?;
            }
            if now >= sweep {
                sweep = now + SWEEP;
                self.sweep(now, timeout)?;
            }
        }
        Ok(self.report())
    }

    fn enough(&self) -> bool {
        let counted = self.tally.latencies.count();
        self.plan.requests.is_some_and(|limit| counted >= limit)
    }

    fn finished(&self, now: Instant) -> bool {
        if self.enough() {
            return true;
        }
        match &self.schedule {
            None => now >= self.end,
            // What was due is still answered, or slow answers would be left out of the picture.
            Some(schedule) => {
                schedule.next >= self.end && self.idle.len() == self.connections.len()
            }
        }
    }

    /// Sends on idle connections whatever is due.
    fn issue(&mut self, now: Instant) -> Result<()> {
        loop {
            let due = match &self.schedule {
                None if now < self.end => now,
                Some(schedule) if schedule.next <= now && schedule.next < self.end => schedule.next,
                _ => return Ok(()),
            };
            let Some(index) = self.idle.pop() else {
                if self.plan.late == Late::Drop
                    && let Some(schedule) = &mut self.schedule
                {
                    schedule.advance();
                    if self.counts(due) {
                        self.tally.dropped += 1;
                    }
                    continue;
                }
                return Ok(());
            };
            if let Some(schedule) = &mut self.schedule {
                schedule.advance();
            }
            self.send(index, due)?;
        }
    }

    fn send(&mut self, index: usize, due: Instant) -> Result<()> {
        let case = self.random.below(self.requests.len());
        let Some(request) = self.requests.get(case) else {
            return Ok(());
        };
        // Read as late as possible: a closed loop's latency begins with the write.
        let now = Instant::now();
        let due = if self.schedule.is_some() { due } else { now };
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if let Err(error) = connection.send(request, case, due, now) {
            self.tally.error(
                |errors| &mut errors.closed,
                || format!("sending failed: {error}"),
            );
            self.reconnect(index)?;
        }
        Ok(())
    }

    fn wait(&self, now: Instant) -> Duration {
        let next = match &self.schedule {
            Some(schedule) if !self.idle.is_empty() && schedule.next < self.end => {
                // The poll rounds up to milliseconds: the last one is spent polling.
                let left = schedule.next.saturating_duration_since(now);
                return left.saturating_sub(Duration::from_millis(1)).min(SWEEP);
            }
            _ => self.end.saturating_duration_since(now),
        };
        if next.is_zero() {
            SWEEP
        } else {
            next.min(SWEEP)
        }
    }

    fn handle(&mut self, event: &Event) -> Result<()> {
        let index = event.token().0;
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if event.is_writable() {
            let request = connection.pending.and_then(|p| self.requests.get(p.case));
            if let Some(request) = request {
                // A failure shows again when the answer is read.
                let _ = connection.write(request);
            }
        }
        let over = event.is_read_closed() || event.is_error();
        if !event.is_readable() && !over {
            return Ok(());
        }
        let pending = connection.pending;
        let case = pending.and_then(|pending| self.cases.get(pending.case));
        let outcome = match connection.receive(over) {
            Parsed::Partial => Outcome::Partial,
            Parsed::Malformed(reason) => Outcome::Broken(reason),
            Parsed::Complete(answer) => match case {
                None => Outcome::Broken("an answer came without a request"),
                Some(case) if self.checker.holds(&answer, &case.expect) => Outcome::Right {
                    closes: answer.closes,
                },
                Some(_) if REFUSALS.contains(&answer.status) => Outcome::Refused {
                    closes: answer.closes,
                },
                Some(_) => Outcome::Wrong {
                    status: answer.status,
                    quote: String::from_utf8_lossy(
                        answer.body.get(..QUOTE).unwrap_or(&answer.body),
                    )
                    .into_owned(),
                    closes: answer.closes,
                },
            },
        };
        let now = Instant::now();
        let closes = match outcome {
            Outcome::Partial => return Ok(()),
            Outcome::Right { closes } => {
                if let Some(pending) = pending {
                    self.count(pending.due, now);
                }
                closes
            }
            Outcome::Refused { closes } => {
                if pending.is_some_and(|pending| self.counts(self.moment(pending.due, now))) {
                    self.tally.refused += 1;
                }
                closes
            }
            Outcome::Wrong {
                status,
                quote,
                closes,
            } => {
                let body = case.map(|case| {
                    String::from_utf8_lossy(case.body.get(..QUOTE).unwrap_or(&case.body))
                        .into_owned()
                });
                let text = || {
                    format!(
                        "status {status}, {quote} as answer to {}",
                        body.unwrap_or_default()
                    )
                };
                self.tally.error(
                    |errors| {
                        if status == 200 {
                            &mut errors.mismatch
                        } else {
                            &mut errors.status
                        }
                    },
                    text,
                );
                closes
            }
            Outcome::Broken(reason) => {
                // A server may close a connection that nobody uses.
                if pending.is_some() {
                    self.tally.error(
                        |errors| {
                            if reason == CLOSED {
                                &mut errors.closed
                            } else {
                                &mut errors.malformed
                            }
                        },
                        || reason.to_owned(),
                    );
                }
                self.reconnect(index)?;
                return Ok(());
            }
        };
        if closes {
            return self.reconnect(index);
        }
        if let Some(connection) = self.connections.get_mut(index) {
            connection.finish();
        }
        if self.schedule.is_none() && now < self.end && !self.enough() {
            return self.send(index, now);
        }
        self.idle.push(index);
        Ok(())
    }

    /// The moment by which a request belongs to the time that counts: a closed loop's by its end,
    /// an open loop's by when it was due.
    fn moment(&self, due: Instant, now: Instant) -> Instant {
        if self.schedule.is_some() { due } else { now }
    }

    fn counts(&self, moment: Instant) -> bool {
        moment >= self.counted_from && moment < self.end && !self.enough()
    }

    /// Counts a right answer, if it belongs to the time that counts.
    fn count(&mut self, due: Instant, now: Instant) {
        if self.counts(self.moment(due, now)) {
            let took = now.saturating_duration_since(due);
            let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.tally.latencies.record(nanoseconds);
            let limit = self.plan.within_seconds;
            if limit.is_none_or(|limit| took.as_secs_f64() <= limit) {
                self.tally.within += 1;
            }
            self.tally.last = now;
        }
    }

    fn sweep(&mut self, now: Instant, timeout: Duration) -> Result<()> {
        for index in 0..self.connections.len() {
            let pending = self
                .connections
                .get(index)
                .and_then(|connection| connection.pending);
            if pending.is_some_and(|pending| now.saturating_duration_since(pending.begun) > timeout)
            {
                self.tally.error(
                    |errors| &mut errors.timeout,
                    || format!("no answer within {} s", timeout.as_secs_f64()),
                );
                self.reconnect(index)?;
            }
        }
        Ok(())
    }

    fn report(mut self) -> Report {
        let cut_short = self.enough();
        if let (Some(schedule), false) = (&mut self.schedule, cut_short) {
            // Due, but never sent or never answered.
            let mut lost = (self.connections.len() - self.idle.len()) as u64;
            while schedule.next < self.end {
                lost += 1;
                schedule.advance();
            }
            if lost > 0 {
                self.tally.errors.timeout += lost;
                let text = || format!("{lost} requests were due but not answered in time");
                self.tally.first_error.get_or_insert_with(text);
            }
        }
        let end = if cut_short { self.tally.last } else { self.end };
        let seconds = end
            .saturating_duration_since(self.counted_from)
            .as_secs_f64();
        let requests = self.tally.latencies.count();
        Report {
            requests,
            seconds,
            rate: if seconds > 0.0 {
                requests as f64 / seconds
            } else {
                0.0
            },
            within: self.tally.within,
            refused: self.tally.refused,
            dropped: self.tally.dropped,
            latency_us: Latency::of(&self.tally.latencies),
            errors: self.tally.errors,
            first_error: self.tally.first_error,
        }
    }
}
