//! The number of the bucket that a value falls into, from 0, with edges where a decision tree on
//! this one column splits the target best. Missing values, and rows without a target, are not
//! learned from; missing in, missing out; a column or a target that does not vary has one bucket.
//! The rows that were learned from get the buckets of a tree that other folds than their own have
//! grown, as with the encodings by the target.
//!
//! The splits are those of scikit-learn's `DecisionTreeRegressor`, and for a target of 0 and 1 or
//! of classes those of its `DecisionTreeClassifier`: of two classes the deviation from the mean and
//! Gini's impurity are the same but for a factor. Up to a million different values, with classes
//! 100,000, they are exact; beyond, values are joined into about 65,536 ranges, so that a split is
//! off by at most 1/32,768 of the rows.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::bucketize::MAX_BUCKETS;
use super::cells::{Cell, Cells};
use super::split::{Classes, Split, Target};
use super::sums::Stat;
use super::target::Folds;
use super::target_classes::{CLASSES, MAX_CLASSES, Places, labels};
use crate::expression::{Entry, Expression, Fit, number};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Values closer than this are one, as in scikit-learn's trees.
const COINCIDE: f64 = 1e-7;
/// A split must be better than an earlier one by more than rounding.
const EQUAL: f64 = 1.0 + 1e-12;
/// Deepest tree.
const MAX_DEPTH: usize = 13;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketizeTree {
    /// Are the values of the target classes, whatever they are? Texts always are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    classes: bool,
    // Left out where they are usual, as they were before they came.
    #[serde(default, skip_serializing_if = "Folds::is_usual")]
    folds: Folds,
    #[serde(default = "three")]
    max_depth: usize,
    /// At most so many buckets, the best splits first; as the depth allows where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_leaves: Option<usize>,
    /// Fewest rows of a bucket.
    #[serde(default = "one")]
    min_rows: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    seed: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
const fn is_zero(seed: &u64) -> bool {
    *seed == 0
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
    folds: Seen,
}

/// What each fold saw.
enum Seen {
    /// Of a target of numbers.
    Numbers(Vec<Cells<Stat>>),
    /// Of a target of classes.
    Classes {
        kind: Type,
        places: Places,
        key: String,
        folds: Vec<Cells<Classes>>,
    },
}

impl Learn {
    /// The edges that all folds teach, or all but one.
    fn edges(&self, without: Option<usize>) -> Vec<f64> {
        match &self.folds {
            Seen::Numbers(folds) => self.bounds.grow(&joined(folds, without)),
            Seen::Classes { folds, .. } => self.bounds.grow(&joined(folds, without)),
        }
    }
}

/// The cells of all folds, or of all but one.
fn joined<T: Target>(folds: &[Cells<T>], without: Option<usize>) -> Vec<Cell<T>> {
    let mut all = Cells::default();
    let folds = folds.iter().enumerate();
    for (_, cells) in folds.filter(|(fold, _)| Some(*fold) != without) {
        all.merge(cells.clone());
    }
    all.finish()
}

/// The bucket of a value; missing stays missing.
fn bucket(edges: &[f64], value: f64) -> f64 {
    if value.is_nan() {
        return value;
    }
    edges.partition_point(|edge| *edge < value) as f64
}

/// A group of cells and how it is best split: the first cell of the right part, the edge, and by
/// how much the split lowers the deviation.
struct Group<'a, T> {
    cells: &'a [Cell<T>],
    depth: usize,
    split: Option<(usize, f64, f64)>,
}

/// The best split of a group, the first of equal ones.
fn split<T: Target>(cells: &[Cell<T>], min_rows: u64) -> Option<(usize, f64, f64)> {
    let mut all = T::default();
    cells.iter().for_each(|cell| all.merge(&cell.stat));
    let mut split = all.split()?;
    let mut count = 0;
    let mut best: Option<(usize, f64, f64)> = None;
    for (place, pair) in cells.windows(2).enumerate() {
        let [left, right] = pair else { continue };
        count += left.stat.count();
        split.push(&left.stat);
        let rest = all.count() - count;
        if right.low <= left.high + COINCIDE || count < min_rows || rest < min_rows {
            continue;
        }
        let gain = split.gain(count, rest);
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
    fn group<'a, T: Target>(&self, cells: &'a [Cell<T>], depth: usize) -> Group<'a, T> {
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
    fn grow<T: Target>(&self, cells: &[Cell<T>]) -> Vec<f64> {
        let most = self.max_leaves.unwrap_or(MAX_BUCKETS);
        let mut groups = vec![self.group(cells, 0)];
        let mut edges: Vec<f64> = Vec::new();
        while edges.len() + 1 < most {
            // The best split of all groups; of equal ones the leftmost.
            let gain =
                |group: &Group<'_, T>| group.split.map_or(f64::NEG_INFINITY, |split| split.2);
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
        let [values, target, rows] = inputs else {
            return Err(Error::internal("a tree without a target"));
        };
        let rows = values.numbers().iter().zip(rows.numbers());
        let (deal, seed) = (self.bounds.folds, self.bounds.seed);
        match &mut self.folds {
            Seen::Numbers(folds) => {
                for ((&value, &row), &target) in rows.zip(target.numbers()) {
                    if !value.is_nan() && !target.is_nan() {
                        folds[deal.of(row as u64, seed)].update(value, target);
                    }
                }
            }
            Seen::Classes {
                kind,
                places,
                key,
                folds,
            } => {
                let labels = labels(places, *kind, target, key)?;
                for ((&value, &row), label) in rows.zip(&labels) {
                    if let (false, Some(label)) = (value.is_nan(), label) {
                        folds[deal.of(row as u64, seed)].update(value, *label as f64);
                    }
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        match (&mut self.folds, other.folds) {
            (Seen::Numbers(folds), Seen::Numbers(others)) => {
                let pairs = folds.iter_mut().zip(others);
                pairs.for_each(|(cells, others)| cells.merge(others));
                Ok(())
            }
            (
                Seen::Classes { places, folds, .. },
                Seen::Classes {
                    places: theirs,
                    folds: others,
                    ..
                },
            ) => {
                let moved = places.join(&theirs, MAX_CLASSES, CLASSES)?;
                for (cells, mut others) in folds.iter_mut().zip(others) {
                    others.change(|seen| *seen = seen.moved(&moved));
                    cells.merge(others);
                }
                Ok(())
            }
            _ => Err(Error::internal("two trees of different targets met")),
        }
    }

    fn training(&self) -> Result<Option<Kernel>> {
        let (folds, seed) = (self.bounds.folds, self.bounds.seed);
        let trees: Vec<Vec<f64>> = (0..folds.count())
            .map(|fold| self.edges(Some(fold)))
            .collect();
        Ok(Some(Kernel::Numbers(Box::new(move |inputs, out| {
            let rows = inputs[0].numbers().iter().zip(inputs[1].numbers());
            for (out, (&value, &row)) in out.iter_mut().zip(rows) {
                *out = bucket(&trees[folds.of(row as u64, seed)], value);
            }
        }))))
    }

    fn finish(self) -> Result<State> {
        Ok(State {
            edges: self.edges(None),
        })
    }
}

impl Expression for BucketizeTree {
    const NAME: &'static str = "bucketize_tree";
    const SUPERVISED: bool = true;
    type Fit = Learn;

    fn check(&self) -> Result<()> {
        self.folds.check()?;
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

    fn learns_classes(&self) -> bool {
        // Texts are classes without being called so.
        true
    }

    fn fit(&self, inputs: &[Type]) -> Option<Learn> {
        let target = inputs.last().copied()?;
        let folds = if self.classes || target == Type::Text {
            Seen::Classes {
                kind: target,
                places: Places::default(),
                key: String::new(),
                folds: vec![Cells::default(); self.folds.count()],
            }
        } else {
            Seen::Numbers(vec![Cells::default(); self.folds.count()])
        };
        Some(Learn {
            bounds: *self,
            folds,
        })
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let edges = state.edges;
        let rising = edges.iter().all(|edge| edge.is_finite())
            && edges.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || edges.len() >= MAX_BUCKETS {
            return Err(Error::state("bucketize_tree: the edges do not rise"));
        }
        Ok(Kernel::map(move |value| bucket(&edges, value)))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_bucket", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<BucketizeTree>(&[
    r#"{"op":"bucketize_tree","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"bucketize_tree","classes":true,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"bucketize_tree","max_depth":5,"max_leaves":4,"min_rows":2,"input":{"op":"col","name":"n"}}"#,
]);
