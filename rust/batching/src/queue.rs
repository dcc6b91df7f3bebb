//! The queue: bounded in rows and bytes, ordered by priority and deadline, cut by the policy. Not
//! shared and without a clock: its owner puts a lock around it and says what time it is.

use std::time::{Duration, Instant};

use crate::Work;
use crate::cost::CostCurve;
use crate::limits::Limits;
use crate::order::{Entry, Order, Place};
use crate::policy::{self, Cutter, Fate};
use crate::refusal::{Reason, Refusal, Refused};

/// An idle model that has not run for so long takes a work even if it is predicted to be late:
/// otherwise one wrong estimate would refuse everything for ever. Twice as long after each such
/// work that was followed by no other, up to [`PROBE_AT_MOST_AFTER`]: a first batch that was slow
/// by chance is soon corrected, and a model that is too slow costs little.
pub const PROBE_AFTER: Duration = Duration::from_millis(8);
/// The longest time of [`PROBE_AFTER`].
pub const PROBE_AT_MOST_AFTER: Duration = Duration::from_secs(1);

/// After so many doublings the longest time is reached.
const MOST_DOUBLINGS: u32 = 7;

/// A batch that left the queue.
#[derive(Debug)]
pub struct Taken<W> {
    /// The works to execute, in their order; empty when nothing that waited was worth it.
    pub batch: Vec<W>,
    /// Their rows.
    pub rows: usize,
    /// The works that are not executed, to be told outside of any lock.
    pub refused: Vec<Refused<W>>,
}

/// What a work asks of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// As [`Work::rows`].
    pub rows: usize,
    /// As [`Work::bytes`].
    pub bytes: usize,
    /// As [`Work::arrived`].
    pub arrived: Instant,
    /// As [`Work::waited`].
    pub waited: Duration,
    /// As [`Work::deadline`].
    pub deadline: Option<Instant>,
    /// As [`Work::priority`].
    pub priority: u32,
}

impl Terms {
    /// What this work asks.
    pub fn of(work: &impl Work) -> Self {
        Self {
            rows: work.rows(),
            bytes: work.bytes(),
            arrived: work.arrived(),
            waited: work.waited(),
            deadline: work.deadline(),
            priority: work.priority(),
        }
    }
}

/// How an admitted work stands in the queue.
struct Admitted {
    place: Place,
    deadline: Option<Instant>,
    own: bool,
    latest: Option<Instant>,
    probe: bool,
}

/// One of the backends that take from the queue.
#[derive(Debug, Default)]
struct Instance {
    curve: CostCurve,
    /// What it runs: since when, and how many rows.
    running: Option<(Instant, usize)>,
}

/// Works in the order in which they run, and what is known of those who run them.
#[derive(Debug)]
pub struct Queue<W> {
    order: Order<W>,
    rows: usize,
    weight: usize,
    bytes: usize,
    /// Works that have a deadline or a latest beginning.
    timed: usize,
    /// Works with deadlines of their own.
    own: usize,
    /// No work has to be answered or begun before this time.
    due: Option<Instant>,
    limits: Limits,
    instances: Vec<Instance>,
    /// When a cost was last learned.
    learned: Option<Instant>,
    /// Works that were taken although they were predicted to be late, since the last that was not.
    probes: u32,
    /// Has anything left since all that waits was looked through?
    moved: bool,
}

/// What is left of a time when so much of it was waited unseen.
fn left_of(time: Duration, waited: Duration) -> Duration {
    time.saturating_sub(waited)
}

impl<W: Work> Queue<W> {
    /// An empty queue before so many instances.
    #[must_use]
    pub fn new(limits: Limits, instances: usize) -> Self {
        Self {
            order: Order::new(),
            rows: 0,
            weight: 0,
            bytes: 0,
            timed: 0,
            own: 0,
            due: None,
            limits,
            instances: (0..instances.max(1)).map(|_| Instance::default()).collect(),
            learned: None,
            probes: 0,
            moved: true,
        }
    }

    /// Would a work with these terms be refused now?
    ///
    /// # Errors
    /// The refusal.
    pub fn ask(&self, terms: &Terms) -> Result<(), Refusal> {
        self.admit(terms).map(|_| ())
    }

    /// Puts a work into its place.
    ///
    /// # Errors
    /// Gives the work back when its rows or bytes do not fit, or when it cannot be answered in
    /// time. A work without rows weighs as one row, so that empty requests are bounded too.
    pub fn push(&mut self, work: W) -> Result<(), Refused<W>> {
        let terms = Terms::of(&work);
        let Admitted {
            place,
            deadline,
            own,
            latest,
            probe,
        } = match self.admit(&terms) {
            Ok(admitted) => admitted,
            Err(refusal) => return Err(Refused { work, refusal }),
        };
        if probe {
            self.probes = self.probes.saturating_add(1);
        } else if deadline.is_some() || latest.is_some() {
            self.probes = 0;
        }
        self.weight += terms.rows.max(1);
        self.rows += terms.rows;
        self.bytes += terms.bytes;
        let due = deadline.into_iter().chain(latest).min();
        self.timed += usize::from(due.is_some());
        self.own += usize::from(own);
        self.due = self.due.into_iter().chain(due).min();
        self.order.push(Entry {
            work,
            rows: terms.rows,
            bytes: terms.bytes,
            arrived: terms.arrived,
            deadline,
            own,
            latest,
            probe,
            place,
            sequence: 0,
        });
        Ok(())
    }

    fn admit(&self, terms: &Terms) -> Result<Admitted, Refusal> {
        let Terms {
            rows,
            bytes,
            arrived,
            waited,
            ..
        } = *terms;
        if rows > self.limits.max_queue_rows || bytes > self.limits.max_queue_bytes {
            return Err(Reason::TooLarge.into());
        }
        if let Some(reason) = self.no_room(rows, bytes) {
            return Err(Refusal {
                reason,
                retry_after: self.drained(arrived),
            });
        }
        let objective = self
            .limits
            .objective
            .map(|time| arrived + left_of(time, waited));
        let deadline = terms.deadline.into_iter().chain(objective).min();
        let own = terms.deadline.is_some() && deadline == terms.deadline;
        let latest = self
            .limits
            .max_delay
            .map(|time| arrived + left_of(time, waited));
        let place = Place::new(terms.priority, arrived, deadline);
        let mut admitted = Admitted {
            place,
            deadline,
            own,
            latest,
            probe: false,
        };
        if deadline.is_none() && latest.is_none() {
            return Ok(admitted);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(arrived));
        let Some(forecast) = self.forecast(arrived, place, rows, left, own) else {
            return Ok(admitted);
        };
        let late = left.map(|left| (Reason::Deadline, forecast.finish.saturating_sub(left)));
        let delayed = self
            .limits
            .max_delay
            .map(|delay| left_of(delay, waited))
            .map(|delay| (Reason::Delay, forecast.start.saturating_sub(delay)));
        let worst = late.into_iter().chain(delayed).max_by_key(|(_, by)| *by);
        if let Some((reason, by)) = worst.filter(|(_, by)| !by.is_zero()) {
            if !self.is_stale(arrived) {
                return Err(Refusal {
                    reason,
                    retry_after: Some(by),
                });
            }
            admitted.probe = true;
        }
        Ok(admitted)
    }

    /// Why so much does not fit, if it does not.
    fn no_room(&self, rows: usize, bytes: usize) -> Option<Reason> {
        let weight = self.weight.saturating_add(rows.max(1));
        if weight > self.limits.max_queue_rows {
            Some(Reason::Rows)
        } else if self.bytes.saturating_add(bytes) > self.limits.max_queue_bytes {
            Some(Reason::Bytes)
        } else {
            None
        }
    }

    /// Would nothing be learned if this work were refused too?
    fn is_stale(&self, now: Instant) -> bool {
        let idle = self.instances.iter().all(|i| i.running.is_none());
        let pause = PROBE_AFTER.saturating_mul(1 << self.probes.min(MOST_DOUBLINGS));
        let pause = pause.min(PROBE_AT_MOST_AFTER);
        let recent = |learned| now.saturating_duration_since(learned) < pause;
        idle && self.order.len() == 0 && !self.learned.is_some_and(recent)
    }

    /// The curve of the instance that has run first; all are of the same kind.
    fn curve(&self) -> Option<&CostCurve> {
        let mut curves = self.instances.iter().map(|instance| &instance.curve);
        curves.find(|curve| curve.is_known())
    }

    /// When a work placed here would be answered, if it has so much time left.
    fn forecast(
        &self,
        now: Instant,
        place: Place,
        rows: usize,
        left: Option<Duration>,
        own: bool,
    ) -> Option<policy::Forecast> {
        let curve = self.curve()?;
        let most = self.limits.max_batch_rows;
        let size = policy::steady(curve, most, left.unwrap_or(Duration::MAX));
        // What has waited unseen must leave time for half of a good batch: small ones would be the
        // end of the throughput where all have waited.
        let good = self.limits.objective.filter(|_| !own);
        let good = good.map_or(0, |objective| policy::steady(curve, most, objective) / 2);
        let size = size.max(good);
        let ahead = policy::Ahead {
            rows: self.order.rows_before(place),
            size,
            instances: self.instances.len(),
            busy: self.busy(now),
            fill: left.is_some() && !own,
        };
        policy::forecast(curve, ahead, rows)
    }

    /// Until an instance is free.
    fn busy(&self, now: Instant) -> Duration {
        let busy = self.instances.iter().map(|instance| {
            let left = instance.running.and_then(|(since, rows)| {
                let cost = instance.curve.bound(rows)?;
                Some(cost.saturating_sub(now.saturating_duration_since(since)))
            });
            left.unwrap_or_default()
        });
        busy.min().unwrap_or_default()
    }

    /// When all that waits will have run.
    #[must_use]
    pub fn drained(&self, now: Instant) -> Option<Duration> {
        let curve = self.curve()?;
        let ahead = policy::Ahead {
            rows: self.rows,
            size: curve.best(self.limits.max_batch_rows).max(1),
            instances: self.instances.len(),
            busy: self.busy(now),
            fill: false,
        };
        policy::forecast(curve, ahead, 0).map(|f| f.finish)
    }

    /// Refuses what waits in vain: abandoned or too late. For when a queue is full, and when
    /// nobody takes from it for a while.
    pub fn shed(&mut self, now: Instant) -> Vec<Refused<W>> {
        let mut refused = Vec::new();
        while let Some(first) = self.order.first(now) {
            let Some(reason) = self.unwanted(first, now) else {
                break;
            };
            let Some(entry) = self.order.pop(now) else {
                break;
            };
            refused.push(self.refuse(entry, reason, now));
        }
        refused
    }

    /// As [`Queue::shed`] for all that waits, wherever it stands: at most once between two batches,
    /// since it looks at everything.
    pub fn sweep(&mut self, now: Instant) -> Vec<Refused<W>> {
        if !std::mem::take(&mut self.moved) {
            return Vec::new();
        }
        self.expire(now)
    }

    /// Refuses all that waits in vain. For when the time of [`Queue::due`] has come.
    pub fn expire(&mut self, now: Instant) -> Vec<Refused<W>> {
        let mut refused = Vec::new();
        let mut kept = Vec::with_capacity(self.order.len());
        while let Some(entry) = self.order.pop(now) {
            match self.unwanted(&entry, now) {
                Some(reason) => refused.push(self.refuse(entry, reason, now)),
                None => kept.push(entry),
            }
        }
        self.due = kept.iter().filter_map(Entry::due).min();
        for entry in kept.into_iter().rev() {
            self.order.restore(entry);
        }
        refused
    }

    fn unwanted(&self, entry: &Entry<W>, now: Instant) -> Option<Reason> {
        // Whoever waits until a deadline of its own goes when it has come.
        let late = entry.work.deadline().is_some_and(|end| now >= end);
        if entry.work.abandoned() && !late {
            return Some(Reason::Abandoned);
        }
        if let Some(deadline) = entry.deadline {
            let needs = if entry.probe {
                None
            } else {
                self.curve().and_then(|curve| curve.bound(entry.rows))
            };
            let end = now.checked_add(needs.unwrap_or_default());
            if now >= deadline || end.is_none_or(|end| end > deadline) {
                return Some(Reason::Deadline);
            }
        }
        let delayed = entry.latest.is_some_and(|latest| now > latest);
        (delayed && !entry.probe).then_some(Reason::Delay)
    }

    /// Would it make its batch so small that the others were late?
    fn hampers(&self, first: &Entry<W>, within: usize) -> bool {
        let Some(objective) = self.limits.objective else {
            return false;
        };
        if first.own || first.probe || within >= self.limits.max_batch_rows {
            return false;
        }
        self.curve().is_some_and(|curve| {
            let steady = policy::steady(curve, self.limits.max_batch_rows, objective);
            policy::hampers(within, self.rows, steady)
        })
    }

    fn refuse(&mut self, entry: Entry<W>, reason: Reason, now: Instant) -> Refused<W> {
        self.left(&entry);
        let retry_after = match reason {
            Reason::Abandoned => None,
            _ => self.drained(now),
        };
        Refused {
            work: entry.work,
            refusal: Refusal {
                reason,
                retry_after,
            },
        }
    }

    fn left(&mut self, entry: &Entry<W>) {
        self.rows -= entry.rows;
        self.weight -= entry.rows.max(1);
        self.bytes -= entry.bytes;
        self.timed -= usize::from(entry.due().is_some());
        self.own -= usize::from(entry.own);
        if self.timed == 0 {
            self.due = None;
        }
        self.moved = true;
    }

    /// Cuts the next batch for an instance, or nothing when the queue is empty.
    pub fn take(&mut self, instance: usize, now: Instant) -> Option<Taken<W>> {
        if self.order.len() == 0 {
            return None;
        }
        let idle = self.instances.iter().enumerate();
        let idle = idle.filter(|(i, other)| *i != instance && other.running.is_none());
        let idle = idle.count();
        let most = self.rows.min(self.limits.max_batch_rows);
        let own = self.instances.get_mut(instance)?;
        let most = match own.curve.estimate(most) {
            cost if idle > 0 => policy::share(most, idle, cost),
            _ => most,
        };
        let mut cutter = Cutter::new(own.curve.choose(most));
        let mut batch: Vec<W> = Vec::with_capacity(self.order.len().min(most.max(1)));
        let mut refused = Vec::new();
        let mut passed_over = Vec::new();
        let mut tightest: Option<Instant> = None;
        while !cutter.is_full() {
            let Some(entry) = self.order.pop(now) else {
                break;
            };
            if let Some(reason) = self.unwanted(&entry, now) {
                refused.push(self.refuse(entry, reason, now));
                continue;
            }
            let within = match entry.deadline {
                // Only what is more urgent than all before can make the batch smaller.
                Some(deadline) if tightest.is_none_or(|tightest| deadline < tightest) => {
                    let left = deadline.saturating_duration_since(now);
                    let curve = self.instances.get(instance).map(|own| &own.curve);
                    let within = curve.map_or(most, |curve| curve.rows_within(left, most));
                    if batch.is_empty() && self.hampers(&entry, within) {
                        refused.push(self.refuse(entry, Reason::Deadline, now));
                        continue;
                    }
                    tightest = Some(deadline);
                    within
                }
                _ => usize::MAX,
            };
            let first = batch.first();
            let compatible = first.is_none_or(|first| first.compatible(&entry.work));
            match cutter.consider(entry.rows, compatible, within) {
                Fate::Take => {
                    self.left(&entry);
                    batch.push(entry.work);
                }
                Fate::PassOver => passed_over.push(entry),
                Fate::Stop => {
                    passed_over.push(entry);
                    break;
                }
            }
        }
        for entry in passed_over.into_iter().rev() {
            self.order.restore(entry);
        }
        if !batch.is_empty() {
            self.begin(instance, now, cutter.rows());
        }
        Some(Taken {
            batch,
            rows: cutter.rows(),
            refused,
        })
    }

    /// An instance runs so many rows from now on; [`Queue::take`] says so by itself.
    pub fn begin(&mut self, instance: usize, now: Instant, rows: usize) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.running = Some((now, rows));
        }
    }

    /// What an instance ran since `begin` has ended; its time is learned unless it failed.
    pub fn done(&mut self, instance: usize, begin: Instant, end: Instant, rows: Option<usize>) {
        let Some(instance) = self.instances.get_mut(instance) else {
            return;
        };
        // Whoever took the slot since then runs something else.
        if instance.running.is_some_and(|(since, _)| since == begin) {
            instance.running = None;
        }
        if let Some(rows) = rows {
            let time = end.saturating_duration_since(begin);
            instance.curve.learn(rows, time);
            self.learned = Some(end);
        }
    }

    /// Has an instance nothing to do?
    #[must_use]
    pub fn has_idle(&self) -> bool {
        self.instances.iter().any(|other| other.running.is_none())
    }

    /// The work that the next batch of an instance is at most. Whoever runs it is disturbed by
    /// others in any case.
    #[must_use]
    pub fn next_cost(&self, instance: usize, now: Instant) -> Option<Duration> {
        let first = self.order.first(now).map_or(0, |entry| entry.rows);
        let rows = self.rows.min(self.limits.max_batch_rows).max(first);
        self.instances.get(instance)?.curve.work(rows)
    }

    /// The rows into which a large work is best cut: the size that is known to be the best for
    /// throughput, or the most that a batch may have.
    #[must_use]
    pub fn piece_rows(&self) -> usize {
        let most = self.limits.max_batch_rows;
        self.curve().map_or(most, |curve| curve.best(most))
    }

    /// What is known of the costs of an instance.
    #[must_use]
    pub fn curves(&self) -> Vec<CostCurve> {
        self.instances.iter().map(|i| i.curve.clone()).collect()
    }

    /// Does a work in it have to be answered, or begun, by some time?
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.timed > 0
    }

    /// When a work may have to be refused, if none is taken until then.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Does a work in it have a deadline of its own?
    #[must_use]
    pub fn has_own_deadlines(&self) -> bool {
        self.own > 0
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.len() == 0
    }

    /// The rows that wait.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
