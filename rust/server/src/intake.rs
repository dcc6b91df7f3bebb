//! How many requests a turn of the event loop takes in, and which, when more come than it can read
//! within their objective.
//!
//! A server that reads all that is readable before it answers makes everybody wait for everybody:
//! at three times its capacity each request is read so late that it has to be refused. So where a
//! model has an objective, a turn reads for a quarter of it at most, and what finds no room stands
//! in line unread, which costs nearly nothing. The line is served in order while that is quick
//! enough. When it is not, the newest go first, whose answers are still of use, and the oldest are
//! read beside them, mostly to be refused ("adaptive LIFO": B. Maurer, Fail at Scale, ACM Queue
//! 13(8), 2015).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The part of the objective for which a turn reads at most.
const READING_SHARE: u32 = 4;
/// The part of the objective that may be spent in line before the newest go first.
const PATIENCE_SHARE: u32 = 2;
/// Where the newest go first, one of so many is the oldest.
const AN_OLD_ONE_IN: usize = 6;
/// Fewest and most requests of a turn.
const FEWEST: usize = 8;
const MOST: usize = 1024;
/// How often the models are asked for their objectives.
const AIM_EVERY: Duration = Duration::from_millis(100);
/// From this part of the objective on it matters how long the loop did not look at its sockets, so
/// that requests are asked since when they have been there.
const NOTICED_SHARE: u32 = 20;
/// Of the time a request takes, so much is learned from one turn.
const LEARNED: f64 = 0.1;

/// Where a request that is to be read stands.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Nothing has come.
    #[default]
    Outside,
    /// In its socket since then, and in line.
    Waiting(Instant),
    /// Let in; in its socket since then, where that is known.
    Entered(Option<Instant>),
}

/// A connection's place in line.
#[derive(Debug, Default)]
pub struct Place {
    state: Cell<State>,
    waker: RefCell<Option<Waker>>,
}

impl Place {
    /// Since when the request that was read last could be read, where that is known; the next one
    /// begins outside.
    pub fn leave(&self) -> Option<Instant> {
        match self.state.take() {
            State::Entered(since) => since,
            State::Outside | State::Waiting(_) => None,
        }
    }

    fn admit(&self) {
        if let State::Waiting(since) = self.state.get() {
            self.state.set(State::Entered(Some(since)));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn waited(&self, now: Instant) -> Duration {
        match self.state.get() {
            State::Waiting(since) => now.saturating_duration_since(since),
            State::Outside | State::Entered(_) => Duration::ZERO,
        }
    }
}

/// What decides whether a connection may read its next request. One for each worker.
pub struct Intake {
    /// Tells the tightest objective of all models.
    aim: Box<dyn Fn() -> Option<Duration>>,
    /// What it told last, and when; without an objective everything is read at once.
    objective: Cell<Option<Duration>>,
    aimed: Cell<Option<Instant>>,
    draining: Cell<bool>,
    /// How long the loop did not look at its sockets before it did so last.
    away: Cell<Duration>,
    /// Requests that may still be read in this turn, and those that were.
    room: Cell<usize>,
    read: Cell<usize>,
    /// Seconds that reading one takes, and that reading those takes that were let in from the line.
    cost: Cell<f64>,
    expected: Cell<f64>,
    /// The oldest first.
    line: RefCell<VecDeque<Weak<Place>>>,
    /// Is there something for the end of a turn to do?
    pub(crate) due: Notify,
}

impl Intake {
    /// An intake for models of which this tells the tightest objective.
    pub fn new(aim: impl Fn() -> Option<Duration> + 'static) -> Self {
        Self {
            aim: Box::new(aim),
            objective: Cell::default(),
            aimed: Cell::default(),
            draining: Cell::default(),
            away: Cell::default(),
            room: Cell::default(),
            read: Cell::default(),
            cost: Cell::default(),
            expected: Cell::default(),
            line: RefCell::default(),
            due: Notify::new(),
        }
    }

    fn objective(&self, now: Instant) -> Option<Duration> {
        let known = |aimed: Instant| now.saturating_duration_since(aimed) < AIM_EVERY;
        if !self.aimed.get().is_some_and(known) {
            self.aimed.set(Some(now));
            self.objective.set((self.aim)());
        }
        self.objective.get().filter(|_| !self.draining.get())
    }

    /// May the connection at this place read its next request now? If not, it is woken when it may.
    /// `waited` tells for how long that could have been read, and is asked only if it matters.
    pub fn enter(
        &self,
        place: &Rc<Place>,
        waker: &Waker,
        waited: impl FnOnce() -> Option<Duration>,
    ) -> bool {
        match place.state.get() {
            State::Entered(_) => return true,
            State::Waiting(_) => {
                let mut kept = place.waker.borrow_mut();
                if kept.as_ref().is_none_or(|kept| !kept.will_wake(waker)) {
                    *kept = Some(waker.clone());
                }
                return false;
            }
            State::Outside => {}
        }
        let objective = self.objective.get().filter(|_| !self.draining.get());
        let away = self.away.get();
        let matters = objective.is_some_and(|objective| away >= objective / NOTICED_SHARE);
        let waited = if matters { waited() } else { None };
        let since = |waited| Instant::now().checked_sub(waited);
        let room = self.room.get();
        if objective.is_none() || room > 0 {
            self.room.set(room.saturating_sub(1));
            self.read.set(self.read.get() + 1);
            place.state.set(State::Entered(waited.and_then(since)));
            return true;
        }
        // Half of the time in which it may have come, if nobody knows better.
        let since = since(waited.unwrap_or(away / 2)).unwrap_or_else(Instant::now);
        place.state.set(State::Waiting(since));
        *place.waker.borrow_mut() = Some(waker.clone());
        self.line.borrow_mut().push_back(Rc::downgrade(place));
        self.due.notify_one();
        false
    }

    /// A turn has ended, in which so much time was spent on reading, and so much since the loop had
    /// looked at its sockets; lets in the next.
    pub fn turn(&self, reading: Duration, away: Duration, now: Instant) {
        self.away.set(away);
        let read = self.read.take();
        if read >= FEWEST {
            let cost = reading.as_secs_f64() / read as f64;
            let known = self.cost.get();
            let known = if known > 0.0 { known } else { cost };
            self.cost.set(known + LEARNED * (cost - known));
        }
        let Some(objective) = self.objective(now) else {
            self.let_all_in();
            return;
        };
        let budget = (objective / READING_SHARE).as_secs_f64();
        let most = (budget / self.cost.get().max(1e-9)) as usize;
        self.room.set(most.clamp(FEWEST, MOST));
        self.let_in(objective / PATIENCE_SHARE, now);
        if !self.line.borrow().is_empty() {
            self.due.notify_one();
        }
    }

    fn let_in(&self, patience: Duration, now: Instant) {
        let mut line = self.line.borrow_mut();
        let mut room = self.room.get();
        let mut entered = 0;
        while room > 0 {
            // Who has gone since stands in nobody's way.
            while line.front().is_some_and(|place| place.strong_count() == 0) {
                line.pop_front();
            }
            let late = |place: &Weak<Place>| {
                let place = place.upgrade();
                place.is_some_and(|place| place.waited(now) > patience)
            };
            let Some(oldest) = line.front() else { break };
            let from_the_end = late(oldest) && entered % AN_OLD_ONE_IN != 0;
            let next = if from_the_end {
                line.pop_back()
            } else {
                line.pop_front()
            };
            if let Some(place) = next.and_then(|place| place.upgrade()) {
                place.admit();
                room -= 1;
                entered += 1;
            }
        }
        self.room.set(room);
        self.read.set(entered);
        self.expected.set(entered as f64 * self.cost.get());
    }

    /// How long this turn is likely to read: for those who stood in line, since nobody knows who
    /// else comes.
    pub fn expected(&self) -> Duration {
        Duration::try_from_secs_f64(self.expected.get()).unwrap_or_default()
    }

    /// Everybody in line may read: there is no objective any more, or the server drains.
    fn let_all_in(&self) {
        self.expected.set(0.0);
        for place in self.line.take() {
            if let Some(place) = place.upgrade() {
                place.admit();
            }
        }
    }

    /// From now on everything is read at once: what has come is to be answered before the end.
    pub fn open(&self) {
        self.draining.set(true);
        self.let_all_in();
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake")
            .field("objective", &self.objective)
            .field("line", &self.line.borrow().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Duration = Duration::from_millis(8);
    const QUICK: Duration = Duration::from_micros(800);

    /// An intake that has learned that a request takes a tenth of a millisecond, so that a turn
    /// reads twenty.
    fn learned() -> Intake {
        let intake = Intake::new(|| Some(OBJECTIVE));
        let now = Instant::now();
        intake.turn(Duration::ZERO, QUICK, now);
        for _ in 0..100 {
            for _ in 0..FEWEST {
                assert!(intake.enter(&Rc::default(), Waker::noop(), || None));
            }
            intake.turn(QUICK, QUICK, now);
        }
        intake
    }

    fn crowd(intake: &Intake, count: usize) -> (usize, Vec<Rc<Place>>) {
        let mut line = Vec::new();
        let mut entered = 0;
        for _ in 0..count {
            let place = Rc::default();
            if intake.enter(&place, Waker::noop(), || None) {
                entered += 1;
            } else {
                line.push(place);
            }
        }
        (entered, line)
    }

    fn entered(line: &[Rc<Place>]) -> Vec<usize> {
        let is_in = |place: &Rc<Place>| matches!(place.state.get(), State::Entered(_));
        let all = line.iter().enumerate();
        all.filter(|(_, place)| is_in(place))
            .map(|(i, _)| i)
            .collect()
    }

    #[test]
    fn without_an_objective_all_are_read() {
        let intake = Intake::new(|| None);
        assert_eq!(crowd(&intake, 5_000).0, 5_000);
        intake.turn(Duration::from_secs(1), QUICK, Instant::now());
        assert_eq!(crowd(&intake, 5_000).0, 5_000);
    }

    #[test]
    fn a_turn_reads_for_a_quarter_of_the_objective_and_the_rest_in_order() {
        let intake = learned();
        let (first, line) = crowd(&intake, 50);
        assert_eq!(first, 20);
        let now = Instant::now();
        intake.turn(2 * QUICK, QUICK, now);
        assert_eq!(entered(&line), (0..20).collect::<Vec<_>>());
        let since = |place: &Rc<Place>| place.leave().unwrap();
        assert!(
            line.iter()
                .take(20)
                .all(|place| since(place).elapsed() < OBJECTIVE)
        );
        intake.turn(2 * QUICK, QUICK, now);
        assert_eq!(entered(&line), (20..30).collect::<Vec<_>>());
        // What found no place in the line may be used by whoever comes.
        assert_eq!(crowd(&intake, 50).0, 10);
    }

    #[test]
    fn where_the_oldest_have_waited_too_long_the_newest_go_first() {
        let intake = learned();
        let (_, line) = crowd(&intake, 120);
        let later = Instant::now() + OBJECTIVE;
        intake.turn(2 * QUICK, QUICK, later);
        let mut due: Vec<usize> = (0..4).chain(84..100).collect();
        assert_eq!(entered(&line), due);
        intake.turn(2 * QUICK, QUICK, later);
        due = (0..8).chain(68..100).collect();
        assert_eq!(entered(&line), due, "the oldest are not forgotten");
    }

    #[test]
    fn a_request_is_asked_since_when_it_came_where_that_matters() {
        let intake = learned();
        let place = Rc::default();
        let unasked = || panic!("the loop was not away for long");
        intake.turn(QUICK, OBJECTIVE / (2 * NOTICED_SHARE), Instant::now());
        assert!(intake.enter(&place, Waker::noop(), unasked));
        assert_eq!(place.leave(), None);
        intake.turn(QUICK, OBJECTIVE / NOTICED_SHARE, Instant::now());
        assert!(intake.enter(&place, Waker::noop(), || Some(OBJECTIVE)));
        assert!(place.leave().unwrap().elapsed() >= OBJECTIVE);
        let (_, mut line) = crowd(&intake, 20);
        let last = line.pop().unwrap();
        assert!(last.waited(Instant::now()) >= OBJECTIVE / NOTICED_SHARE / 2);
    }

    #[test]
    fn who_has_gone_is_not_waited_for() {
        let intake = learned();
        let (_, mut line) = crowd(&intake, 120);
        line.drain(..90);
        intake.turn(2 * QUICK, QUICK, Instant::now() + OBJECTIVE);
        assert_eq!(entered(&line), (0..10).collect::<Vec<_>>());
        assert!(intake.line.borrow().is_empty());
    }

    #[test]
    fn a_server_that_drains_reads_all() {
        let intake = learned();
        let (_, line) = crowd(&intake, 200);
        intake.open();
        assert_eq!(entered(&line).len(), line.len());
        assert_eq!(crowd(&intake, 200).0, 200);
    }
}
