//! The order of the queue: earliest deadline first within a priority, the more important priority
//! first, and nothing starves.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Priorities that are told apart: 1 to 16, larger ones count as 16.
pub const PRIORITIES: u32 = 16;

/// Where priority 0, which is "none given", stands.
const MIDDLE: u32 = 8;

/// So much longer than the more important one must a work have waited, for each step of priority
/// between them, to go first.
pub const AGEING: Duration = Duration::from_millis(100);

/// A work without a deadline, or with a distant one, is placed as if it had this one: the works
/// with nearer deadlines cannot keep it waiting for ever.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What a work is placed by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which lane: 0 is the most important.
    rank: u32,
    key: Instant,
}

impl Place {
    pub fn new(priority: u32, arrived: Instant, deadline: Option<Instant>) -> Self {
        let patient = arrived + PATIENCE;
        Self {
            rank: rank(priority),
            key: deadline.map_or(patient, |deadline| deadline.min(patient)),
        }
    }
}

/// A work in the queue, and what was asked of it once.
#[derive(Debug)]
pub(crate) struct Entry<W> {
    pub work: W,
    pub rows: usize,
    pub bytes: usize,
    pub arrived: Instant,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
    /// Is that its own deadline, not the objective of all?
    pub own: bool,
    /// When it must have begun.
    pub latest: Option<Instant>,
    /// Runs even if it is predicted to be late: somebody has to find out.
    pub probe: bool,
    pub place: Place,
    /// Given by the queue: of two equals the first one goes first.
    pub sequence: u64,
}

impl<W> Entry<W> {
    fn key(&self) -> (Instant, u64) {
        (self.place.key, self.sequence)
    }

    /// When it is of no use any more if it has not begun.
    pub fn due(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.latest).min()
    }
}

/// The lane of a priority of the protocol.
fn rank(priority: u32) -> u32 {
    match priority {
        0 => MIDDLE - 1,
        given => given.min(PRIORITIES) - 1,
    }
}

/// The works of one priority. Almost always deadlines grow with arrival, and then a lane is a plain
/// first-in-first-out queue; what is more urgent than the last one stands in `urgent`.
#[derive(Debug)]
struct Lane<W> {
    queue: VecDeque<Entry<W>>,
    urgent: BTreeMap<(Instant, u64), Entry<W>>,
    rows: usize,
}

impl<W> Lane<W> {
    /// Takes in a work that goes before others of the plain queue.
    fn overtake(&mut self, entry: Entry<W>) {
        self.urgent.insert(entry.key(), entry);
    }

    fn oldest(&self) -> Option<Instant> {
        let urgent = self
            .urgent
            .first_key_value()
            .map(|(_, entry)| entry.arrived);
        let queue = self.queue.front().map(|entry| entry.arrived);
        urgent.into_iter().chain(queue).min()
    }

    fn urgent_first(&self) -> bool {
        match (self.urgent.first_key_value(), self.queue.front()) {
            (Some((key, _)), Some(front)) => *key < front.key(),
            (urgent, _) => urgent.is_some(),
        }
    }

    fn first(&self) -> Option<&Entry<W>> {
        if self.urgent_first() {
            return self.urgent.first_key_value().map(|(_, entry)| entry);
        }
        self.queue.front()
    }

    fn pop(&mut self) -> Option<Entry<W>> {
        let entry = if self.urgent_first() {
            self.urgent.pop_first().map(|(_, entry)| entry)
        } else {
            self.queue.pop_front()
        }?;
        self.rows -= entry.rows;
        Some(entry)
    }

    /// The rows that go before a key.
    fn rows_before(&self, key: Instant) -> usize {
        if self.queue.back().is_none_or(|last| last.place.key <= key) {
            return self.rows;
        }
        // Exact in the queue would take a walk: its rows are taken as evenly spread.
        let place = self.queue.partition_point(|entry| entry.place.key <= key);
        let urgent: usize = self.urgent.values().map(|entry| entry.rows).sum();
        urgent + (self.rows - urgent) * place / self.queue.len().max(1)
    }
}

/// All that waits, in order.
#[derive(Debug)]
pub(crate) struct Order<W> {
    lanes: Vec<Lane<W>>,
    /// A bit for each lane that holds something.
    occupied: u32,
    sequence: u64,
    works: usize,
}

impl<W> Order<W> {
    pub fn new() -> Self {
        let lane = |_| Lane {
            queue: VecDeque::new(),
            urgent: BTreeMap::new(),
            rows: 0,
        };
        Self {
            lanes: (0..PRIORITIES).map(lane).collect(),
            occupied: 0,
            sequence: 0,
            works: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.works
    }

    /// Rows that would go before a work placed here.
    pub fn rows_before(&self, place: Place) -> usize {
        let lanes = self.lanes.iter().zip(0..);
        lanes
            .take_while(|(_, rank)| *rank <= place.rank)
            .map(|(lane, rank)| {
                if rank < place.rank {
                    lane.rows
                } else {
                    lane.rows_before(place.key)
                }
            })
            .sum()
    }

    /// Puts a work where it belongs.
    pub fn push(&mut self, mut entry: Entry<W>) {
        self.sequence += 1;
        entry.sequence = self.sequence;
        let Some(lane) = self.enter(&entry) else {
            return;
        };
        match lane.queue.back() {
            Some(last) if entry.key() < last.key() => lane.overtake(entry),
            _ => lane.queue.push_back(entry),
        }
    }

    /// Puts back what was just taken.
    pub fn restore(&mut self, entry: Entry<W>) {
        let Some(lane) = self.enter(&entry) else {
            return;
        };
        match lane.queue.front() {
            Some(front) if front.key() < entry.key() => lane.overtake(entry),
            _ => lane.queue.push_front(entry),
        }
    }

    /// The lane of a work that comes in, which counts it from now on.
    fn enter(&mut self, entry: &Entry<W>) -> Option<&mut Lane<W>> {
        let lane = self.lanes.get_mut(entry.place.rank as usize)?;
        self.occupied |= 1 << entry.place.rank;
        self.works += 1;
        lane.rows += entry.rows;
        Some(lane)
    }

    /// The lane whose turn it is: the most important one, unless another has aged beyond it.
    fn turn(&self, now: Instant) -> Option<usize> {
        if self.occupied == 0 {
            return None;
        }
        let first = self.occupied.trailing_zeros();
        let mut others = self.occupied & !(1 << first);
        let mut turn = (Duration::ZERO, first);
        while others != 0 {
            let rank = others.trailing_zeros();
            others &= !(1 << rank);
            let lane = self.lanes.get(rank as usize);
            let waited = lane
                .and_then(Lane::oldest)
                .map_or(Duration::ZERO, |oldest| {
                    now.saturating_duration_since(oldest)
                });
            if let Some(excess) = waited.checked_sub(AGEING * (rank - first))
                && excess > turn.0
            {
                turn = (excess, rank);
            }
        }
        Some(turn.1 as usize)
    }

    /// The work whose turn it is.
    pub fn first(&self, now: Instant) -> Option<&Entry<W>> {
        self.turn(now)
            .and_then(|turn| self.lanes.get(turn))
            .and_then(Lane::first)
    }

    /// Takes the work whose turn it is.
    pub fn pop(&mut self, now: Instant) -> Option<Entry<W>> {
        let turn = self.turn(now)?;
        let lane = self.lanes.get_mut(turn)?;
        let entry = lane.pop()?;
        if lane.oldest().is_none() {
            self.occupied &= !(1 << turn);
        }
        self.works -= 1;
        Some(entry)
    }
}
