//! The number of the bucket that a value falls into, from 0. A value on an edge belongs to the
//! bucket above it; values outside what `fit` saw belong to the first or last bucket. Missing
//! values are not learned from; missing in, missing out; a column without a value has one bucket.
//!
//! `quantile` puts the edges at quantiles (linear between values) and drops edges that coincide,
//! `uniform` spaces them evenly; both agree with scikit-learn's `KBinsDiscretizer`. `edges` are
//! given inner edges, as for NumPy's `digitize`.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::{Moments, Quantiles};

use crate::expression::{Entry, Expression, Fit, number, sketch};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Most buckets.
pub(super) const MAX_BUCKETS: usize = 10_000;
/// Up to so many edges counting all of them is faster than searching.
const COUNTED_EDGES: usize = 24;
/// Quantiles closer than this are one, as in `KBinsDiscretizer`.
const COINCIDE: f64 = 1e-8;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Quantile,
    Uniform,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucketize {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buckets: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<Method>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edges: Option<Vec<f64>>,
}

/// The inner edges, rising.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    edges: Vec<f64>,
}

enum Learn {
    Quantile(usize, Box<Quantiles>),
    Uniform(usize, Moments),
}

impl Fit for Learn {
    type State = State;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        match self {
            Self::Quantile(_, quantiles) => quantiles.update_many(inputs[0].numbers()),
            Self::Uniform(_, moments) => moments.update_many(inputs[0].numbers()),
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::Quantile(_, left), Self::Quantile(_, right)) => left.merge(&right),
            (Self::Uniform(_, left), Self::Uniform(_, right)) => left.merge(&right),
            _ => return Err(Error::internal("two methods of bucketize met")),
        }
        Ok(())
    }

    fn finish(self) -> Result<State> {
        let edges = match self {
            Self::Quantile(buckets, quantiles) => {
                let shares: Vec<f64> = (0..=buckets).map(|i| i as f64 / buckets as f64).collect();
                let all = quantiles.quantiles(&shares).map_err(sketch)?;
                let mut kept: Vec<f64> = Vec::new();
                for edge in all.unwrap_or_default() {
                    if kept.last().is_none_or(|last| edge - last > COINCIDE) {
                        kept.push(edge);
                    }
                }
                // The outermost edges bound nothing.
                kept.pop();
                kept.drain(..kept.len().min(1));
                kept
            }
            Self::Uniform(buckets, moments) => match (moments.min(), moments.max()) {
                (Some(min), Some(max)) if min < max => (1..buckets)
                    .map(|i| min + (max - min) / buckets as f64 * i as f64)
                    .collect(),
                _ => Vec::new(),
            },
        };
        Ok(State { edges })
    }
}

fn rising(edges: &[f64]) -> bool {
    edges.iter().all(|edge| edge.is_finite())
        && edges.windows(2).all(|pair| pair[0] < pair[1])
        && edges.len() < MAX_BUCKETS
}

impl Expression for Bucketize {
    const NAME: &'static str = "bucketize";
    type Fit = Learn;

    fn check(&self) -> Result<()> {
        match (self.buckets, &self.edges) {
            (Some(buckets), None) if (2..=MAX_BUCKETS).contains(&buckets) => Ok(()),
            (Some(buckets), None) => Err(Error::invalid(format!(
                "{buckets} buckets: use 2 to {MAX_BUCKETS}"
            ))),
            (None, Some(edges)) if self.method.is_none() => {
                if !edges.is_empty() && rising(edges) {
                    return Ok(());
                }
                Err(Error::invalid(format!(
                    "edges {edges:?} must be finite, rising and 1 to {} in number",
                    MAX_BUCKETS - 1
                )))
            }
            _ => Err(Error::invalid(
                "takes either a number of buckets with a method (quantile or uniform), or edges",
            )),
        }
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Learn> {
        let buckets = self.buckets?;
        Some(match self.method.unwrap_or(Method::Quantile) {
            Method::Quantile => Learn::Quantile(buckets, Box::new(Quantiles::new())),
            Method::Uniform => Learn::Uniform(buckets, Moments::new()),
        })
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let edges = self.edges.clone().unwrap_or(state.edges);
        if !rising(&edges) {
            return Err(Error::state("bucketize: the edges do not rise"));
        }
        let edges = edges.into_boxed_slice();
        if edges.len() <= COUNTED_EDGES {
            return Ok(Kernel::map(move |value| {
                let below = edges
                    .iter()
                    .fold(0.0, |sum, edge| sum + f64::from(*edge <= value));
                if value.is_nan() { value } else { below }
            }));
        }
        Ok(Kernel::map(move |value| {
            if value.is_nan() {
                return value;
            }
            edges.partition_point(|edge| *edge <= value) as f64
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_bucket", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Bucketize>(&[
    r#"{"op":"bucketize","buckets":5,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"bucketize","buckets":40,"method":"quantile","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"bucketize","buckets":4,"method":"uniform","input":{"op":"col","name":"n"}}"#,
    r#"{"op":"bucketize","edges":[-1,0,2.5],"input":{"op":"col","name":"x"}}"#,
]);
