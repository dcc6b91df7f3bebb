//! Distances between samples: cells in, one figure out.

use std::collections::BTreeSet;

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tidegate_drift as drift;
use tidegate_schema::{Error, Result};
use tidegate_sketch as sketch;

use crate::enter::{run, run_attached};
use crate::sketch::{Frequencies, Histogram, Quantiles, lock, rows, slice};

/// Two samples as counts over the same cells: at values, between edges, or by name.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Cells {
    /// The values that cells stand at, or the ends of cells, which are one more.
    places: Vec<f64>,
    baseline: Vec<u64>,
    live: Vec<u64>,
    /// Cells at the end that have no place in an order: the missing.
    unordered: usize,
    /// Are the cells in an order at all?
    ordered: bool,
    /// How far sketches may have moved a rank.
    rank_error: f64,
}

impl Cells {
    fn pooled(pooled: drift::Pooled, rank_error: f64) -> Self {
        Self {
            places: pooled.values,
            baseline: pooled.baseline,
            live: pooled.live,
            unordered: 0,
            ordered: true,
            rank_error,
        }
    }

    /// Cells below, the bins, above, missing of two histograms with one set of edges.
    fn binned(baseline: &sketch::Histogram, live: &sketch::Histogram) -> Result<Self> {
        if baseline.edges() != live.edges() {
            return Err(Error::invalid(
                "histograms with different edges cannot be compared: build both with the same edges",
            ));
        }
        Ok(Self {
            places: baseline.edges().to_vec(),
            baseline: baseline.cells().to_vec(),
            live: live.cells().to_vec(),
            unordered: 1,
            ordered: true,
            rank_error: 0.0,
        })
    }

    /// The cells that are in an order.
    fn in_order(&self, what: &str) -> Result<(&[u64], &[u64])> {
        if !self.ordered {
            return Err(Error::invalid(format!(
                "{what} of values without an order: use a distance of shares, such as total_variation"
            )));
        }
        let end = self.baseline.len() - self.unordered;
        Ok((&self.baseline[..end], &self.live[..end]))
    }

    fn figure(&self, what: &str) -> Result<Option<f64>> {
        let (p, q) = (self.baseline.as_slice(), self.live.as_slice());
        Ok(match what {
            "psi" => drift::psi(p, q),
            "psi_noise" => drift::psi_noise(p, q),
            "jensen_shannon" => drift::jensen_shannon(p, q),
            "hellinger" => drift::hellinger(p, q),
            "total_variation" => drift::total_variation(p, q),
            "chi_square" => drift::chi_square(p, q).map(|(statistic, _)| statistic),
            _ => {
                let (p, q) = self.in_order(what)?;
                match what {
                    "kolmogorov_smirnov" => drift::kolmogorov_smirnov(p, q),
                    "cramer_von_mises" => drift::cramer_von_mises(p, q),
                    "anderson_darling" => drift::anderson_darling(p, q),
                    "wasserstein" if self.unordered == 0 => drift::wasserstein(&self.places, p, q),
                    "wasserstein" => {
                        return Err(Error::invalid(
                            "the Wasserstein distance of histograms: pass values or Quantiles, or ask for its bounds",
                        ));
                    }
                    _ => return Err(Error::invalid(format!("{what} is no distance"))),
                }
            }
        })
    }
}

#[pymethods]
impl Cells {
    #[staticmethod]
    fn of_values(
        py: Python<'_>,
        baseline: PyReadonlyArray1<'_, f64>,
        live: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Self> {
        let (baseline, live) = (slice(&baseline)?, slice(&live)?);
        run(py, || {
            Ok(Self::pooled(drift::Pooled::of_values(baseline, live), 0.0))
        })
    }

    #[staticmethod]
    fn of_quantiles(py: Python<'_>, baseline: &Quantiles, live: &Quantiles) -> PyResult<Self> {
        run(py, || {
            let (baseline, live) = (lock(&baseline.0).clone(), lock(&live.0).clone());
            let error = baseline.rank_error() + live.rank_error();
            Ok(Self::pooled(
                drift::Pooled::of_quantiles(&baseline, &live),
                error,
            ))
        })
    }

    #[staticmethod]
    fn of_histograms(py: Python<'_>, baseline: &Histogram, live: &Histogram) -> PyResult<Self> {
        run(py, || {
            let (baseline, live) = (lock(&baseline.0).clone(), lock(&live.0).clone());
            Self::binned(&baseline, &live)
        })
    }

    /// Values in the quantile bins of the baseline.
    #[staticmethod]
    #[pyo3(signature = (baseline, live, bins=None))]
    fn of_bins(
        py: Python<'_>,
        baseline: PyReadonlyArray1<'_, f64>,
        live: PyReadonlyArray1<'_, f64>,
        bins: Option<usize>,
    ) -> PyResult<Self> {
        let (baseline, live) = (slice(&baseline)?, slice(&live)?);
        run(py, || {
            let mut quantiles = sketch::Quantiles::new();
            quantiles.update_many(baseline);
            let moments = sketch::Moments::new();
            let numeric = drift::Numeric::new(&quantiles, &moments, bins.unwrap_or(drift::BINS))?;
            let binned = numeric.histogram();
            let mut counts = vec![0; binned.cells().len()];
            binned.cuts().count(live, &mut counts);
            Ok(Self {
                places: binned.edges().to_vec(),
                baseline: binned.cells().to_vec(),
                live: counts,
                unordered: 1,
                ordered: true,
                rank_error: 0.0,
            })
        })
    }

    /// One cell for each text, one for what came after a limit, one for the missing.
    #[staticmethod]
    fn of_frequencies(
        py: Python<'_>,
        baseline: &Frequencies,
        live: &Frequencies,
    ) -> PyResult<Self> {
        run(py, || {
            let (baseline, live) = (lock(&baseline.0).clone(), lock(&live.0).clone());
            let sides = [&baseline, &live];
            let texts: BTreeSet<&str> = sides
                .iter()
                .flat_map(|side| side.sorted())
                .map(|(text, _)| text)
                .collect();
            let [baseline, live] = sides.map(|side| {
                let counts = texts.iter().map(|text| side.get(text));
                counts.chain([side.other(), side.missing()]).collect()
            });
            Ok(Self {
                places: Vec::new(),
                baseline,
                live,
                unordered: 0,
                ordered: false,
                rank_error: 0.0,
            })
        })
    }

    /// Counts that somebody else took, cell by cell in rising order.
    #[staticmethod]
    fn of_counts(baseline: Vec<u64>, live: Vec<u64>) -> PyResult<Self> {
        run_attached(|| {
            if baseline.len() != live.len() {
                return Err(Error::invalid(format!(
                    "counts of {} and {} cells: count both over the same cells",
                    baseline.len(),
                    live.len()
                )));
            }
            Ok(Self {
                places: (0..baseline.len()).map(|at| at as f64).collect(),
                baseline,
                live,
                unordered: 0,
                ordered: true,
                rank_error: 0.0,
            })
        })
    }

    fn distance(&self, py: Python<'_>, what: &str) -> PyResult<Option<f64>> {
        run(py, || self.figure(what))
    }

    /// Between which figures the distance of the raw values lies.
    fn bounds(
        &self,
        py: Python<'_>,
        what: &str,
        least: f64,
        greatest: f64,
    ) -> PyResult<Option<(f64, f64)>> {
        run(py, || {
            let (p, q) = self.in_order(what)?;
            let smirnov = what == "kolmogorov_smirnov";
            if self.unordered > 0 {
                let ends: Vec<f64> = [least]
                    .into_iter()
                    .chain(self.places.iter().map(|edge| edge.clamp(least, greatest)))
                    .chain([greatest])
                    .collect();
                return Ok(if smirnov {
                    drift::kolmogorov_smirnov_bounds(p, q)
                } else {
                    drift::wasserstein_bounds(&ends, p, q)
                });
            }
            let reach = if smirnov { 1.0 } else { greatest - least };
            let error = self.rank_error * reach;
            Ok(self
                .figure(what)?
                .map(|found| ((found - error).max(0.0), (found + error).min(reach))))
        })
    }

    /// The chance of a Kolmogorov–Smirnov distance as great without drift.
    fn kolmogorov_p(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        run(py, || {
            let (p, q) = self.in_order("kolmogorov_smirnov")?;
            let (n, m) = (p.iter().sum(), q.iter().sum());
            Ok(drift::kolmogorov_smirnov(p, q).map(|found| drift::kolmogorov_p(found, n, m)))
        })
    }

    #[getter]
    fn degrees_of_freedom(&self) -> Option<u64> {
        drift::chi_square(&self.baseline, &self.live).map(|(_, freedom)| freedom)
    }

    /// The counts of both samples.
    fn counts<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<u64>>) {
        (
            PyArray1::from_slice(py, &self.baseline),
            PyArray1::from_slice(py, &self.live),
        )
    }
}

/// The kernel two-sample test of rows.
#[pyfunction]
#[pyo3(signature = (baseline, live, features=None, permutations=None, seed=None))]
pub fn maximum_mean_discrepancy(
    py: Python<'_>,
    baseline: PyReadonlyArray2<'_, f64>,
    live: PyReadonlyArray2<'_, f64>,
    features: Option<usize>,
    permutations: Option<usize>,
    seed: Option<u64>,
) -> PyResult<(f64, f64)> {
    let ((baseline, width), (live, also)) = (rows(&baseline)?, rows(&live)?);
    let usual = drift::Kernels::default();
    let kernels = drift::Kernels {
        features: features.unwrap_or(usual.features),
        permutations: permutations.unwrap_or(usual.permutations),
        seed: seed.unwrap_or(usual.seed),
    };
    run(py, || {
        if width != also {
            return Err(Error::invalid(format!(
                "rows of {width} and {also} numbers: compare the same columns"
            )));
        }
        let found = drift::maximum_mean_discrepancy(baseline, live, width, kernels)?;
        Ok((found.statistic, found.p_value))
    })
}
