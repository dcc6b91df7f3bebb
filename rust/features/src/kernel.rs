//! How an expression runs: one call for each morsel, with the loop compiled into it.

use std::sync::Arc;

use crate::output::Columns;
use crate::value::{TextBuf, Values};
use crate::wide;

type Numbers = Box<dyn Fn(&[Values<'_>], &mut [f64]) + Send + Sync>;
type Texts = Box<dyn Fn(&[Values<'_>], usize, &mut TextBuf) + Send + Sync>;
type Spread = Box<dyn Fn(&[Values<'_>], Columns<'_>) + Send + Sync>;

/// From a number to a number, each by itself: what can be done in place, right behind what computed
/// the numbers, as a part of its step.
pub(crate) trait Map: Send + Sync {
    /// Into other memory.
    fn run(&self, values: &[f64], out: &mut [f64]);
    /// In place.
    fn run_in_place(&self, values: &mut [f64]);
}

struct Each<F>(F);

impl<F: Fn(f64) -> f64 + Send + Sync> Map for Each<F> {
    fn run(&self, values: &[f64], out: &mut [f64]) {
        wide::run(values.len(), || each(values, out, &self.0));
    }

    fn run_in_place(&self, values: &mut [f64]) {
        wide::run(values.len(), || each_in_place(values, &self.0));
    }
}

/// A function in two forms of one result: the second where there are wide registers.
struct Either<F, G>(F, G);

impl<F, G> Map for Either<F, G>
where
    F: Fn(f64) -> f64 + Send + Sync,
    G: Fn(f64) -> f64 + Send + Sync,
{
    fn run(&self, values: &[f64], out: &mut [f64]) {
        // Only one of them runs, but both would borrow the output.
        let out = std::cell::Cell::new(out);
        wide::either(
            values.len(),
            || each(values, out.take(), &self.0),
            || each(values, out.take(), &self.1),
        );
    }

    fn run_in_place(&self, values: &mut [f64]) {
        let rows = values.len();
        let values = std::cell::Cell::new(values);
        wide::either(
            rows,
            || each_in_place(values.take(), &self.0),
            || each_in_place(values.take(), &self.1),
        );
    }
}

#[inline(always)]
fn each(values: &[f64], out: &mut [f64], f: &impl Fn(f64) -> f64) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = f(value);
    }
}

#[inline(always)]
fn each_in_place(values: &mut [f64], f: &impl Fn(f64) -> f64) {
    for value in values {
        *value = f(*value);
    }
}

/// From two numbers to a number.
pub(crate) trait Zip: Send + Sync {
    /// Writes one number for each pair.
    fn run(&self, left: &[f64], right: &[f64], out: &mut [f64]);
    /// The same with a constant on the left.
    fn with_left(self: Arc<Self>, left: f64) -> Arc<dyn Map>;
    /// The same with a constant on the right.
    fn with_right(self: Arc<Self>, right: f64) -> Arc<dyn Map>;
}

struct Pair<F>(F);

impl<F: Fn(f64, f64) -> f64 + Send + Sync + 'static> Zip for Pair<F> {
    fn run(&self, left: &[f64], right: &[f64], out: &mut [f64]) {
        wide::run(left.len(), || {
            let pairs = left.iter().zip(right);
            for (out, (&left, &right)) in out.iter_mut().zip(pairs) {
                *out = self.0(left, right);
            }
        });
    }

    fn with_left(self: Arc<Self>, left: f64) -> Arc<dyn Map> {
        Arc::new(Each(move |right| self.0(left, right)))
    }

    fn with_right(self: Arc<Self>, right: f64) -> Arc<dyn Map> {
        Arc::new(Each(move |left| self.0(left, right)))
    }
}

/// The code of one expression with its learned state inside. The call through the pointer is the one
/// dispatch of a step and morsel; the loop within is specialised for the expression.
pub(crate) enum Kernel {
    /// The same number in every row.
    Constant(f64),
    /// Writes one number for each number of the one input.
    Map(Arc<dyn Map>),
    /// Writes one number for each pair of the two inputs.
    Zip(Arc<dyn Zip>),
    /// Writes one number a row.
    Numbers(Numbers),
    /// Writes one text a row, for so many rows, into a cleared buffer.
    Texts(Texts),
    /// Writes several columns of the matrix, which are zero before.
    Columns {
        /// How many columns.
        count: usize,
        /// Writes them.
        run: Spread,
    },
}

impl Kernel {
    /// From a number to a number.
    pub(crate) fn map(f: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Map(Arc::new(Each(f)))
    }

    /// From a number to a number, with another form of the same where registers are wide.
    pub(crate) fn map_either(
        f: impl Fn(f64) -> f64 + Send + Sync + 'static,
        wide: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self::Map(Arc::new(Either(f, wide)))
    }

    /// From two numbers to a number.
    pub(crate) fn zip(f: impl Fn(f64, f64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Zip(Arc::new(Pair(f)))
    }

    /// From a text to a number.
    pub(crate) fn read(f: impl Fn(Option<&str>) -> f64 + Send + Sync + 'static) -> Self {
        Self::Numbers(Box::new(move |inputs, out| {
            let mut out = out.iter_mut();
            inputs[0].texts().for_each(|text| {
                if let Some(out) = out.next() {
                    *out = f(text);
                }
            });
        }))
    }

    /// From a text to a text, which `f` writes behind what the buffer has; missing stays missing.
    pub(crate) fn rewrite(f: impl Fn(&str, &mut String) + Send + Sync + 'static) -> Self {
        Self::Texts(Box::new(move |inputs, _, out| {
            inputs[0].texts().for_each(|text| match text {
                Some(text) => out.push_with(|out| {
                    f(text, out);
                    true
                }),
                None => out.push(None),
            });
        }))
    }

    /// The same number in every row.
    pub(crate) const fn constant(value: f64) -> Self {
        Self::Constant(value)
    }

    /// Writes one number a row; false if that is not what the kernel writes.
    pub(crate) fn write_numbers(&self, inputs: &[Values<'_>], out: &mut [f64]) -> bool {
        match (self, inputs) {
            (Self::Constant(value), _) => out.fill(*value),
            (Self::Map(map), [input, ..]) => map.run(input.numbers(), out),
            (Self::Zip(zip), [left, right, ..]) => zip.run(left.numbers(), right.numbers(), out),
            (Self::Numbers(run), _) => run(inputs, out),
            _ => return false,
        }
        true
    }
}
