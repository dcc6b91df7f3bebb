//! What a tree asks of a target along a column: how much lower the impurity is when rows are split.

use super::sums::Stat;

/// A group whose target deviates less than this is not split.
const PURE: f64 = f64::EPSILON;

/// What some rows had as their target.
pub(super) trait Target: Clone + Default + std::fmt::Debug + Send + 'static {
    /// Up to so many different values of a column each has a cell of its own, and all is exact.
    const EXACT: usize;
    /// Rows that are split into a left and a right part.
    type Split: Split<Self>;

    fn add(&mut self, target: f64);
    fn merge(&mut self, other: &Self);
    fn count(&self) -> u64;
    /// All of the rows on the right; `None` if there is nothing to be gained.
    fn split(&self) -> Option<Self::Split>;
}

/// Rows that go from the right to the left.
pub(super) trait Split<T> {
    fn push(&mut self, rows: &T);
    /// By how much the impurity of all rows is lower, times their number.
    fn gain(&self, left: u64, right: u64) -> f64;
}

impl Target for Stat {
    const EXACT: usize = 1_000_000;
    type Split = Means;

    fn add(&mut self, target: f64) {
        Self::add(self, target);
    }

    fn merge(&mut self, other: &Self) {
        Self::merge(self, other);
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn split(&self) -> Option<Means> {
        // One class or one value has no deviation, whatever it is split by.
        let varies = self.count >= 2 && self.variance() > PURE;
        varies.then(|| Means {
            mean: self.mean(),
            sum: 0.0,
        })
    }
}

/// The deviation from the mean. What is to be made large: the deviations of both parts are what the
/// squares of their sums take away from the sum of all squares. Targets are taken from their mean,
/// which costs no digits where they are large.
pub(super) struct Means {
    mean: f64,
    sum: f64,
}

impl Split<Stat> for Means {
    fn push(&mut self, rows: &Stat) {
        self.sum += rows.sum() - self.mean * rows.count as f64;
    }

    fn gain(&self, left: u64, right: u64) -> f64 {
        self.sum * self.sum / left as f64 + self.sum * self.sum / right as f64
    }
}

/// Rows of each class.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes(Vec<u64>);

impl Classes {
    /// The same counts with classes at other places.
    pub(super) fn moved(&self, places: &[usize]) -> Self {
        let mut moved = Self::default();
        for (&rows, &place) in self.0.iter().zip(places) {
            moved.put(place, rows);
        }
        moved
    }

    fn put(&mut self, class: usize, rows: u64) {
        if self.0.len() <= class {
            self.0.resize(class + 1, 0);
        }
        if let Some(count) = self.0.get_mut(class) {
            *count += rows;
        }
    }
}

impl Target for Classes {
    // A cell holds a count for each class.
    const EXACT: usize = 100_000;
    type Split = Gini;

    fn add(&mut self, target: f64) {
        self.put(target as usize, 1);
    }

    fn merge(&mut self, other: &Self) {
        for (class, &rows) in other.0.iter().enumerate() {
            self.put(class, rows);
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    fn split(&self) -> Option<Gini> {
        let all: Vec<f64> = self.0.iter().map(|&rows| rows as f64).collect();
        let squares: f64 = all.iter().map(|rows| rows * rows).sum();
        let several = all.iter().filter(|rows| **rows > 0.0).count() > 1;
        several.then(|| Gini {
            whole: squares / self.count() as f64,
            left: vec![0.0; all.len()],
            all,
        })
    }
}

/// Gini's impurity: one less the squares of the shares of the classes.
pub(super) struct Gini {
    all: Vec<f64>,
    left: Vec<f64>,
    /// The squares of all counts over the rows.
    whole: f64,
}

impl Split<Classes> for Gini {
    fn push(&mut self, rows: &Classes) {
        for (left, &rows) in self.left.iter_mut().zip(&rows.0) {
            *left += rows as f64;
        }
    }

    fn gain(&self, left: u64, right: u64) -> f64 {
        let (mut one, mut other) = (0.0, 0.0);
        for (all, left) in self.all.iter().zip(&self.left) {
            one += left * left;
            other += (all - left) * (all - left);
        }
        one / left as f64 + other / right as f64 - self.whole
    }
}
