//! Takes a baseline: update, merge, finish.

use tidegate_schema::{Column, DType, Error, Result, Schema, Table};
use tidegate_sketch::{DISTINCT_LIMIT, Frequencies, Moments, Overflow, Quantiles};

use crate::baseline::check;
use crate::blocks::blocks;
use crate::error::lift;
use crate::{Baseline, Categorical, Numeric, Reference, Role, Watched};

/// Quantile bins of a numeric column unless told otherwise.
pub const BINS: usize = 10;
/// Most bins that can be asked for; every live value is compared with each edge.
pub const MAX_BINS: usize = 100;

/// Summaries of one column while the baseline is taken.
#[derive(Clone, Debug)]
enum Summary {
    Numeric {
        quantiles: Box<Quantiles>,
        moments: Moments,
    },
    Strings(Frequencies),
    Bools {
        falses: u64,
        trues: u64,
        missing: u64,
    },
}

/// Takes a baseline from tables, in any number of pieces.
///
/// Up to a million values a column and 100,000 distinct texts a column the result does not depend
/// on how the rows were cut into pieces or in which order those were merged (moments: within
/// 1e-12). Beyond, numeric counts carry the rank error of [`Quantiles`], and texts that came after
/// the bound count as other.
#[derive(Clone, Debug)]
pub struct BaselineBuilder {
    bins: usize,
    rows: u64,
    columns: Vec<(String, DType, Role, Summary)>,
}

impl BaselineBuilder {
    /// A builder for these columns: the model's inputs and the columns of its answer.
    pub fn new(inputs: &Schema, outputs: &Schema) -> Result<Self> {
        let roles = [(inputs, Role::Feature), (outputs, Role::Prediction)];
        let mut columns = Vec::with_capacity(inputs.len() + outputs.len());
        for (schema, role) in roles {
            for field in schema.fields() {
                let summary = match field.dtype {
                    DType::Int64
                    | DType::Float64
                    | DType::Timestamp
                    | DType::Date
                    | DType::Duration
                    | DType::NumberList
                    | DType::TextList => Summary::Numeric {
                        quantiles: Box::default(),
                        moments: Moments::new(),
                    },
                    DType::String => Summary::Strings(
                        Frequencies::new(DISTINCT_LIMIT, Overflow::Other).map_err(lift)?,
                    ),
                    DType::Bool => Summary::Bools {
                        falses: 0,
                        trues: 0,
                        missing: 0,
                    },
                };
                columns.push((field.name.clone(), field.dtype, role, summary));
            }
        }
        Ok(Self {
            bins: BINS,
            rows: 0,
            columns,
        })
    }

    /// Another number of quantile bins: 2 to [`MAX_BINS`].
    pub fn with_bins(mut self, bins: usize) -> Result<Self> {
        if !(2..=MAX_BINS).contains(&bins) {
            return Err(Error::invalid(format!(
                "{bins} bins: use 2 to {MAX_BINS} (the default is {BINS})"
            )));
        }
        self.bins = bins;
        Ok(self)
    }

    /// Takes in a table whose columns are the inputs, then the outputs.
    pub fn update(&mut self, table: &Table<'_>) -> Result<()> {
        check(table, self.columns.iter().map(|c| (c.0.as_str(), c.1)))?;
        for (column, (_, _, _, summary)) in table.columns().iter().zip(&mut self.columns) {
            summary.update(column)?;
        }
        self.rows += table.rows() as u64;
        Ok(())
    }

    /// Takes in all that another builder of the same columns has seen.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let same = self.columns.len() == other.columns.len()
            && self
                .columns
                .iter()
                .zip(&other.columns)
                .all(|(a, b)| (&a.0, a.1, a.2) == (&b.0, b.1, b.2));
        if !same || self.bins != other.bins {
            return Err(Error::invalid(
                "baselines of different columns or bins cannot be merged: build both alike",
            ));
        }
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.3.merge(&theirs.3)?;
        }
        self.rows += other.rows;
        Ok(())
    }

    /// Fixes the cells; an error if no row was seen.
    pub fn finish(self) -> Result<Baseline> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, dtype, role, summary) in self.columns {
            let reference = summary.finish(self.bins)?;
            columns.push(Watched {
                name,
                dtype,
                role,
                reference,
            });
        }
        Baseline::new(self.rows, columns)
    }
}

impl Summary {
    fn update(&mut self, column: &Column<'_>) -> Result<()> {
        match (self, column) {
            (Self::Strings(frequencies), Column::String(strings)) => {
                for row in 0..strings.len() {
                    match strings.get(row) {
                        Some(text) => frequencies.update(text).map_err(lift)?,
                        None => frequencies.update_missing(1),
                    }
                }
            }
            (
                Self::Bools {
                    falses,
                    trues,
                    missing,
                },
                Column::Bool(bools),
            ) => {
                for row in 0..bools.values.len() {
                    match bools.get(row) {
                        None => *missing += 1,
                        Some(0) => *falses += 1,
                        Some(_) => *trues += 1,
                    }
                }
            }
            (Self::Numeric { quantiles, moments }, column) => blocks(column, |values| {
                quantiles.update_many(values);
                moments.update_many(values);
            }),
            // The dtypes were checked.
            _ => return Err(Error::internal("a column of another type was let through")),
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        match (self, other) {
            (
                Self::Numeric { quantiles, moments },
                Self::Numeric {
                    quantiles: more_quantiles,
                    moments: more_moments,
                },
            ) => {
                quantiles.merge(more_quantiles);
                moments.merge(more_moments);
            }
            (Self::Strings(mine), Self::Strings(theirs)) => mine.merge(theirs).map_err(lift)?,
            (
                Self::Bools {
                    falses,
                    trues,
                    missing,
                },
                Self::Bools {
                    falses: more_falses,
                    trues: more_trues,
                    missing: more_missing,
                },
            ) => {
                *falses += more_falses;
                *trues += more_trues;
                *missing += more_missing;
            }
            _ => return Err(Error::internal("summaries of different kinds met")),
        }
        Ok(())
    }

    fn finish(self, bins: usize) -> Result<Reference> {
        Ok(match self {
            Self::Numeric { quantiles, moments } => {
                Reference::Numeric(Numeric::new(&quantiles, &moments, bins)?)
            }
            Self::Strings(frequencies) => {
                Reference::Categorical(Categorical::of_strings(&frequencies))
            }
            Self::Bools {
                falses,
                trues,
                missing,
            } => Reference::Categorical(Categorical::of_bools(falses, trues, missing)),
        })
    }
}
