//! Numeric columns as blocks of floats in which NaN is missing: the one form the kernels read.

use tidegate_schema::{Column, Lists, Primitive};

/// Values a block: what one kernel leaves in the first cache the next one finds there.
pub(crate) const BLOCK: usize = 256;
/// Values of a short block.
const FEW: usize = 8;

/// Hands the values of a numeric column on, block by block. Integers and timestamps become the
/// nearest float (exact up to 2⁵³). Columns that are not numeric have no blocks.
pub(crate) fn blocks(column: &Column<'_>, mut each: impl FnMut(&[f64])) {
    match column {
        Column::Float64(column) if column.validity.is_all() => {
            column.values.chunks(BLOCK).for_each(each);
        }
        Column::Float64(column) => any_length(column, |value| value, &mut each),
        Column::Int64(column) | Column::Timestamp(column) => {
            any_length(column, |value| value as f64, &mut each);
        }
        // Dates in days, time spans in microseconds.
        Column::Date(column) | Column::Duration(column) => {
            any_length(column, |value| value as f64, &mut each);
        }
        // Of lists it is their lengths that are watched.
        Column::NumberList(lists) => lengths(lists, &mut each),
        Column::TextList(lists) => lengths(lists, &mut each),
        Column::Bool(_) | Column::String(_) => {}
    }
}

fn lengths<I: Copy>(lists: &Lists<'_, I>, each: &mut impl FnMut(&[f64])) {
    let mut block = [0.0; BLOCK];
    let mut row = 0;
    while row < lists.len() {
        let rows = BLOCK.min(lists.len() - row);
        for (place, to) in block.iter_mut().take(rows).enumerate() {
            *to = lists
                .range(row + place)
                .map_or(f64::NAN, |range| range.len() as f64);
        }
        each(block.get(..rows).unwrap_or_default());
        row += rows;
    }
}

/// A request has few rows: clearing a whole block for one value would cost more than counting it.
fn any_length<T: Copy>(
    column: &Primitive<'_, T>,
    convert: impl Fn(T) -> f64,
    each: &mut impl FnMut(&[f64]),
) {
    if column.values.len() <= FEW {
        converted::<T, FEW>(column, convert, each);
    } else {
        converted::<T, BLOCK>(column, convert, each);
    }
}

fn converted<T: Copy, const BLOCK: usize>(
    column: &Primitive<'_, T>,
    convert: impl Fn(T) -> f64,
    each: &mut impl FnMut(&[f64]),
) {
    let mut block = [0.0; BLOCK];
    for (number, values) in column.values.chunks(BLOCK).enumerate() {
        for (to, from) in block.iter_mut().zip(values) {
            *to = convert(*from);
        }
        if !column.validity.is_all() {
            let validity = column.validity.skip(number * BLOCK);
            for (row, to) in block.iter_mut().take(values.len()).enumerate() {
                if !validity.get(row) {
                    *to = f64::NAN;
                }
            }
        }
        each(block.get(..values.len()).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schema::{ColumnBuf, DType};

    #[test]
    fn nulls_become_nan_wherever_the_blocks_begin() {
        for dtype in [DType::Int64, DType::Float64, DType::Timestamp] {
            let mut column = ColumnBuf::new(dtype, 0);
            for row in 0..1000 {
                match (row % 7, dtype) {
                    (3, _) => column.push_null(),
                    (_, DType::Timestamp) => column.push_timestamp(row).unwrap(),
                    _ => column.push_i64(row).unwrap(),
                }
            }
            for start in [0, 1, 255, 256, 300] {
                let mut found = Vec::new();
                blocks(&column.view().slice(start, 1000 - start), |b| {
                    found.extend_from_slice(b)
                });
                assert_eq!(found.len(), 1000 - start);
                for (at, value) in found.into_iter().enumerate() {
                    let row = at + start;
                    assert!(if row % 7 == 3 {
                        value.is_nan()
                    } else {
                        value == row as f64
                    });
                }
            }
        }
    }
}
