//! From columns to outputs: the part of the path that requests, golden rows and baselines share.

use tidegate_features::Plan;
use tidegate_schema::{Result, Table, Tensor, TensorData};

use crate::backend::Slab;
use crate::split::stack;
use crate::work::Executor;

/// Rows whose matrix stays in the cache between features and model.
pub(crate) const MORSEL_ROWS: usize = 1_024;

/// Computes the features of a table into a matrix that is kept by the caller between calls.
pub(crate) fn features(plan: &Plan, table: &Table<'_>, matrix: &mut Vec<f32>) -> Result<()> {
    matrix.clear();
    matrix.resize(table.rows() * plan.width(), 0.0);
    plan.transform_into(table, matrix)
}

/// Runs a whole table on an executor that nobody else uses.
pub(crate) fn run_table(
    plan: &Plan,
    table: &Table<'_>,
    executor: &mut Executor,
) -> Result<Vec<Tensor>> {
    let mut matrix = Vec::new();
    let mut pieces = Vec::with_capacity(table.rows().div_ceil(MORSEL_ROWS));
    for start in (0..table.rows()).step_by(MORSEL_ROWS) {
        let rows = MORSEL_ROWS.min(table.rows() - start);
        features(plan, &table.slice(start, rows), &mut matrix)?;
        let data = TensorData::Fp32(std::mem::take(&mut matrix));
        pieces.push(executor.run_one(&[Slab {
            shape: &[rows, plan.width()],
            data: &data,
        }])?);
        if let TensorData::Fp32(values) = data {
            matrix = values;
        }
    }
    stack(pieces)
}
