//! How columns vary together.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, document};

/// Most columns: their number squared is the memory and the time of a row.
pub const MAX_COVARIANCE_COLUMNS: usize = 256;
/// Rows summed together before they meet the running figures: a block stays in the second cache.
const BLOCK: usize = 256;
/// Values beyond this count as infinite: products of such values still add up without overflow.
const MAX_MAGNITUDE: f64 = 1e140;

/// Means and covariances of every pair of some columns.
///
/// A row in which any value is missing (NaN), infinite or beyond 1e140 enters no figure and is counted as
/// incomplete, so the matrix is the covariance of rows that exist and has no negative eigenvalue.
/// Merging (Chan, Golub and LeVeque 1979, for pairs) agrees with one pass over all rows within 1e-12
/// relative to the standard deviations, in any order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Covariance {
    count: u64,
    incomplete: u64,
    means: Vec<f64>,
    /// Sums of products of deviations: the lower triangle, row by row.
    products: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    count: u64,
    incomplete: u64,
    means: Vec<f64>,
    products: Vec<f64>,
    version: u32,
}

/// The place of a pair in the lower triangle.
const fn place(i: usize, j: usize) -> usize {
    if i >= j {
        i * (i + 1) / 2 + j
    } else {
        j * (j + 1) / 2 + i
    }
}

impl Covariance {
    /// Nothing yet, of this many columns.
    pub fn new(columns: usize) -> Result<Self> {
        if columns == 0 || columns > MAX_COVARIANCE_COLUMNS {
            return Err(Error::argument(format!(
                "covariances of {columns} columns: choose 1 to {MAX_COVARIANCE_COLUMNS}"
            )));
        }
        Ok(Self {
            count: 0,
            incomplete: 0,
            means: vec![0.0; columns],
            products: vec![0.0; place(columns - 1, columns - 1) + 1],
        })
    }

    /// Takes in one row.
    pub fn update(&mut self, row: &[f64]) -> Result<()> {
        self.update_many(row)
    }

    /// Takes in many rows, one after the other; their length is a multiple of the columns.
    pub fn update_many(&mut self, rows: &[f64]) -> Result<()> {
        let width = self.means.len();
        if !rows.len().is_multiple_of(width) {
            return Err(Error::argument(format!(
                "{} numbers are no rows of {width}: pass whole rows",
                rows.len()
            )));
        }
        for block in rows.chunks(BLOCK * width) {
            self.add(&Self::of_block(block, width));
        }
        Ok(())
    }

    /// The corrected two-pass sums of a block, taken from a row of it, so that large common offsets
    /// cost no digits.
    fn of_block(block: &[f64], width: usize) -> Self {
        let complete = |row: &&[f64]| row.iter().all(|x| x.abs() <= MAX_MAGNITUDE);
        let rows = || block.chunks_exact(width).filter(complete);
        let all = block.len() / width;
        let mut found = Self {
            count: rows().count() as u64,
            incomplete: 0,
            means: vec![0.0; width],
            products: vec![0.0; place(width - 1, width - 1) + 1],
        };
        found.incomplete = all as u64 - found.count;
        let Some(shift) = rows().next() else {
            return found;
        };
        let n = found.count as f64;
        for row in rows() {
            for ((mean, x), at) in found.means.iter_mut().zip(row).zip(shift) {
                *mean += x - at;
            }
        }
        for (mean, at) in found.means.iter_mut().zip(shift) {
            *mean = at + *mean / n;
        }
        let mut deviations = vec![0.0; width];
        let mut errors = vec![0.0; width];
        for row in rows() {
            for (i, deviation) in deviations.iter_mut().enumerate() {
                *deviation = row[i] - found.means[i];
                errors[i] += *deviation;
            }
            let mut begin = 0;
            for (i, &mine) in deviations.iter().enumerate() {
                let products = &mut found.products[begin..=begin + i];
                for (product, other) in products.iter_mut().zip(&deviations) {
                    *product += mine * other;
                }
                begin += i + 1;
            }
        }
        for i in 0..width {
            for j in 0..=i {
                found.products[place(i, j)] -= errors[i] * errors[j] / n;
            }
            // Rounding can leave a constant column a little below zero.
            let variance = &mut found.products[place(i, i)];
            *variance = variance.max(0.0);
        }
        found
    }

    /// Takes in all that another of as many columns has seen.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.means.len() != other.means.len() {
            return Err(Error::argument(format!(
                "covariances of {} and {} columns do not merge: choose the same columns",
                self.means.len(),
                other.means.len()
            )));
        }
        self.add(other);
        Ok(())
    }

    fn add(&mut self, other: &Self) {
        self.incomplete += other.incomplete;
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.count = other.count;
            self.means.copy_from_slice(&other.means);
            self.products.copy_from_slice(&other.products);
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let apart: Vec<f64> = other
            .means
            .iter()
            .zip(&self.means)
            .map(|(theirs, mine)| theirs - mine)
            .collect();
        for i in 0..apart.len() {
            for j in 0..=i {
                let at = place(i, j);
                self.products[at] += other.products[at] + apart[i] * apart[j] * (n * (m / (n + m)));
            }
        }
        for (mean, apart) in self.means.iter_mut().zip(&apart) {
            *mean += apart * (m / (n + m));
        }
        self.count += other.count;
    }

    /// Complete rows seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Rows seen with a missing or infinite value.
    #[must_use]
    pub const fn incomplete(&self) -> u64 {
        self.incomplete
    }

    /// How many columns there are.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.means.len()
    }

    /// The means of the columns; `None` without complete rows.
    #[must_use]
    pub fn means(&self) -> Option<&[f64]> {
        (self.count > 0).then_some(self.means.as_slice())
    }

    /// The covariance matrix, row by row, with `count − ddof` in the denominator; `None` without more
    /// than `ddof` complete rows.
    #[must_use]
    pub fn matrix(&self, ddof: u64) -> Option<Vec<f64>> {
        let spare = (self.count > ddof).then(|| (self.count - ddof) as f64)?;
        let width = self.means.len();
        Some(
            (0..width * width)
                .map(|at| self.products[place(at / width, at % width)] / spare)
                .collect(),
        )
    }

    /// The correlation matrix, row by row; NaN where a column is constant. `None` without complete rows.
    #[must_use]
    pub fn correlation(&self) -> Option<Vec<f64>> {
        let width = self.means.len();
        let deviation = |i: usize| self.products[place(i, i)].sqrt();
        (self.count > 0).then(|| {
            (0..width * width)
                .map(|at| (at / width, at % width))
                .map(|(i, j)| {
                    if i == j && self.products[place(i, i)] > 0.0 {
                        return 1.0;
                    }
                    let share = self.products[place(i, j)] / deviation(i) / deviation(j);
                    // NaN stays NaN.
                    share.clamp(-1.0, 1.0)
                })
                .collect()
        })
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Covariance::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("covariances", text)
    }
}

impl From<Covariance> for Document {
    fn from(covariance: Covariance) -> Self {
        Self {
            count: covariance.count,
            incomplete: covariance.incomplete,
            means: covariance.means,
            products: covariance.products,
            version: document::VERSION,
        }
    }
}

impl TryFrom<Document> for Covariance {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("covariances", document.version)?;
        let mut covariance = Self::new(document.means.len())?;
        let width = covariance.means.len();
        if document.products.len() != covariance.products.len()
            || (0..width).any(|i| document.products[place(i, i)] < 0.0)
        {
            return Err(Error::state("covariances with a damaged matrix"));
        }
        covariance.count = document.count;
        covariance.incomplete = document.incomplete;
        covariance.means = document.means;
        covariance.products = document.products;
        Ok(covariance)
    }
}
