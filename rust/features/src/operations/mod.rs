//! The expressions: one file each, and one line each in [`OPERATIONS`].

mod arithmetic;
mod bucketize;
mod categories;
mod clip;
mod comparison;
mod cross;
mod cyclical;
mod dt;
mod fill_null;
mod hash;
mod is_null;
mod literal;
mod log1p;
mod min_max;
mod one_hot;
mod ordinal;
mod standardize;
mod str_length;
mod str_matches;
mod str_replace;
mod str_rewrite;
mod str_search;
mod str_slice;

use tidegate_schema::{Error, Result};

use crate::expression::Entry;

/// Every expression, with the examples that the property tests run. Columns and aliases are not
/// here: they name things and compute nothing.
pub(crate) const OPERATIONS: &[Entry] = &[
    arithmetic::ADD,
    arithmetic::SUB,
    arithmetic::MUL,
    arithmetic::DIV,
    arithmetic::NEGATE,
    bucketize::ENTRY,
    clip::ENTRY,
    comparison::EQ,
    comparison::NE,
    comparison::LT,
    comparison::LE,
    comparison::GT,
    comparison::GE,
    cross::ENTRY,
    cyclical::ENTRY,
    dt::ENTRY,
    fill_null::ENTRY,
    hash::ENTRY,
    is_null::ENTRY,
    literal::ENTRY,
    log1p::ENTRY,
    min_max::ENTRY,
    one_hot::ENTRY,
    ordinal::ENTRY,
    standardize::ENTRY,
    str_length::LEN_CHARS,
    str_length::LEN_BYTES,
    str_length::TOKEN_COUNT,
    str_matches::ENTRY,
    str_replace::ENTRY,
    str_rewrite::LOWER,
    str_rewrite::UPPER,
    str_rewrite::STRIP,
    str_search::CONTAINS,
    str_search::STARTS_WITH,
    str_search::ENDS_WITH,
    str_slice::ENTRY,
];

/// The line of an expression's name, or an error that lists the names.
pub(crate) fn find(name: &str) -> Result<&'static Entry> {
    OPERATIONS
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = OPERATIONS.iter().map(|entry| entry.name).collect();
            Error::invalid(format!(
                "unknown expression {name:?}: the expressions are alias, col, {}",
                names.join(", ")
            ))
        })
}
