//! How an expression runs: one call for each morsel, with the loop compiled into it.

use crate::output::Columns;
use crate::value::{TextBuf, Values};

type Numbers = Box<dyn Fn(&[Values<'_>], &mut [f64]) + Send + Sync>;
type Texts = Box<dyn Fn(&[Values<'_>], usize, &mut TextBuf) + Send + Sync>;
type Spread = Box<dyn Fn(&[Values<'_>], Columns<'_>) + Send + Sync>;

/// The code of one expression with its learned state inside. The call through the box is the one
/// dispatch of a step and morsel; the loop within is specialised for the expression.
pub(crate) enum Kernel {
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
        Self::Numbers(Box::new(move |inputs, out| {
            for (out, &value) in out.iter_mut().zip(inputs[0].numbers()) {
                *out = f(value);
            }
        }))
    }

    /// From two numbers to a number.
    pub(crate) fn zip(f: impl Fn(f64, f64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Numbers(Box::new(move |inputs, out| {
            let pairs = inputs[0].numbers().iter().zip(inputs[1].numbers());
            for (out, (&left, &right)) in out.iter_mut().zip(pairs) {
                *out = f(left, right);
            }
        }))
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
    pub(crate) fn constant(value: f64) -> Self {
        Self::Numbers(Box::new(move |_, out| out.fill(value)))
    }
}
