//! The number of the bucket that a value falls into, from 0, with edges where a decision tree on
//! this one column splits the target best. Missing values, and rows without a target, are not
//! learned from; missing in, missing out; a column or a target that does not vary has one bucket.
//!
//! The splits are those of scikit-learn's `DecisionTreeRegressor`, and for a target of 0 and 1
//! those of its `DecisionTreeClassifier`: the deviation from the mean and Gini's impurity are the
//! same there but for a factor. Up to a million different values they are exact; beyond, values are
//! joined into about 65,536 ranges, so that a split is off by at most 1/32,768 of the rows.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::bucketize::MAX_BUCKETS;
use super::cells::{Cell, Cells};
use super::sums::Stat;
use crate::expression::{Entry, Expression, Fit, number};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Values closer than this are one, as in scikit-learn's trees.
const COINCIDE: f64 = 1e-7;
/// A group whose target deviates less than this is not split.
const PURE: f64 = f64::EPSILON;
/// A split must be better than an earlier one by more than rounding.
const EQUAL: f64 = 1.0 + 1e-12;
/// Deepest tree.
const MAX_DEPTH: usize = 13;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketizeTree {
    #[serde(default = "three")]
    max_depth: usize,
    /// At most so many buckets, the best splits first; as the depth allows where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_leaves: Option<usize>,
    /// Fewest rows of a bucket.
    #[serde(default = "one")]
    min_rows: u64,
}

const fn three() -> usize {
    3
}

const fn one() -> u64 {
    1
}

/// The inner edges, rising; a value on an edge lies below it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    edges: Vec<f64>,
}

struct Learn {
    bounds: BucketizeTree,
    cells: Cells,
}

/// A group of cells and how it is best split: the first cell of the right part, the edge, and by
/// how much the split lowers the deviation.
struct Group<'a> {
    cells: &'a [Cell],
    depth: usize,
    split: Option<(usize, f64, f64)>,
}

/// The best split of a group, the first of equal ones.
fn split(cells: &[Cell], min_rows: u64) -> Option<(usize, f64, f64)> {
    let mut all = Stat::default();
    cells.iter().for_each(|cell| all.merge(&cell.stat));
    // One class or one value has no deviation, whatever it is split by.
    if all.count < 2 || all.variance() <= PURE {
        return None;
    }
    // What is to be made large: the deviations of both parts are what the squares of their sums
    // take away from the sum of all squares. Targets are taken from their mean, which costs no
    // digits where they are large.
    let mean = all.mean();
    let (mut count, mut sum) = (0, 0.0);
    let mut best: Option<(usize, f64, f64)> = None;
    for (place, pair) in cells.windows(2).enumerate() {
        let [left, right] = pair else { continue };
        count += left.stat.count;
        sum += left.stat.sum() - mean * left.stat.count as f64;
        let rest = all.count - count;
        if right.low <= left.high + COINCIDE || count < min_rows || rest < min_rows {
            continue;
        }
        let gain = sum * sum / count as f64 + sum * sum / rest as f64;
        if best.is_none_or(|best| gain > best.2 * EQUAL) {
            // Halves, so that the sum does not overflow.
            let middle = left.high / 2.0 + right.low / 2.0;
            let edge = if middle == right.low {
                left.high
            } else {
                middle
            };
            best = Some((place + 1, edge, gain));
        }
    }
    best
}

impl BucketizeTree {
    fn group<'a>(&self, cells: &'a [Cell], depth: usize) -> Group<'a> {
        let split = if depth < self.max_depth {
            split(cells, self.min_rows)
        } else {
            None
        };
        Group {
            cells,
            depth,
            split,
        }
    }

    /// The edges of the tree, rising.
    fn grow(&self, cells: &[Cell]) -> Vec<f64> {
        let most = self.max_leaves.unwrap_or(MAX_BUCKETS);
        let mut groups = vec![self.group(cells, 0)];
        let mut edges: Vec<f64> = Vec::new();
        while edges.len() + 1 < most {
            // The best split of all groups; of equal ones the leftmost.
            let gain = |group: &Group<'_>| group.split.map_or(f64::NEG_INFINITY, |split| split.2);
            let mut best = 0;
            for (place, group) in groups.iter().enumerate() {
                if groups
                    .get(best)
                    .is_none_or(|known| gain(group) > gain(known))
                {
                    best = place;
                }
            }
            let Some((group, (place, edge, _))) = groups
                .get(best)
                .and_then(|group| group.split.map(|split| (group, split)))
            else {
                break;
            };
            let (left, right) = group.cells.split_at(place);
            let depth = group.depth + 1;
            let parts = [self.group(left, depth), self.group(right, depth)];
            groups.splice(best..=best, parts);
            edges.push(edge);
        }
        edges.sort_unstable_by(f64::total_cmp);
        edges
    }
}

impl Fit for Learn {
    type State = State;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        let [values, target, ..] = inputs else {
            return Err(Error::internal("a tree without a target"));
        };
        for (&value, &target) in values.numbers().iter().zip(target.numbers()) {
            if !value.is_nan() && !target.is_nan() {
                self.cells.update(value, target);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.cells.merge(other.cells);
        Ok(())
    }

    fn finish(self) -> Result<State> {
        Ok(State {
            edges: self.bounds.grow(&self.cells.finish()),
        })
    }
}

impl Expression for BucketizeTree {
    const NAME: &'static str = "bucketize_tree";
    const SUPERVISED: bool = true;
    type Fit = Learn;

    fn check(&self) -> Result<()> {
        if !(1..=MAX_DEPTH).contains(&self.max_depth) {
            return Err(Error::invalid(format!(
                "max_depth {}: use 1 to {MAX_DEPTH}",
                self.max_depth
            )));
        }
        if self
            .max_leaves
            .is_some_and(|leaves| !(2..=MAX_BUCKETS).contains(&leaves))
        {
            return Err(Error::invalid(format!(
                "max_leaves {}: use 2 to {MAX_BUCKETS}",
                self.max_leaves.unwrap_or_default()
            )));
        }
        if self.min_rows == 0 {
            return Err(Error::invalid(
                "min_rows is 0: use 1 for buckets of any size",
            ));
        }
        Ok(())
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Learn> {
        Some(Learn {
            bounds: *self,
            cells: Cells::default(),
        })
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let edges = state.edges;
        let rising = edges.iter().all(|edge| edge.is_finite())
            && edges.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || edges.len() >= MAX_BUCKETS {
            return Err(Error::state("bucketize_tree: the edges do not rise"));
        }
        Ok(Kernel::map(move |value| {
            if value.is_nan() {
                return value;
            }
            edges.partition_point(|edge| *edge < value) as f64
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_bucket", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<BucketizeTree>(&[
    r#"{"op":"bucketize_tree","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"bucketize_tree","max_depth":5,"max_leaves":4,"min_rows":2,"input":{"op":"col","name":"n"}}"#,
]);
