//! The expressions: one file each, and one line each in [`OPERATIONS`].

mod arithmetic;
mod base_n;
mod bucketize;
mod bucketize_tree;
mod categories;
mod cells;
mod clip;
mod clip_quantiles;
mod coalesce;
mod comparison;
mod count_encode;
mod cross;
mod cyclical;
mod dt;
mod elementary;
mod fill_null;
mod geo;
mod geohash;
mod group_rare;
mod hash;
mod hash_vector;
mod holidays;
mod in_zone;
mod is_in;
mod is_null;
mod learn;
mod list_contains;
mod list_get;
mod list_number;
mod literal;
mod log;
mod logic;
mod max_abs;
mod min_max;
mod minimum;
mod normal;
mod one_hot;
mod ordinal;
mod polynomial;
mod power;
mod power_transform;
mod quantile_transform;
mod robust;
mod round;
mod row;
mod row_logic;
mod safe_divide;
mod since;
mod split;
mod standardize;
mod str_hash_ngrams;
mod str_length;
mod str_matches;
mod str_replace;
mod str_rewrite;
mod str_search;
mod str_slice;
mod str_tfidf;
mod sums;
mod tally;
mod target;
mod target_classes;
mod target_mean;
mod tokens;
mod weight_of_evidence;
mod when;

use tidegate_schema::{Error, Result};

pub(crate) use self::str_matches::compile;
use crate::expression::{Entry, takes};
use crate::value::Type;

/// Every expression, with the examples that the property tests run. Columns and aliases are not
/// here: they name things and compute nothing.
pub(crate) const OPERATIONS: &[Entry] = &[
    arithmetic::ADD,
    arithmetic::SUB,
    arithmetic::MUL,
    arithmetic::DIV,
    arithmetic::NEGATE,
    base_n::ENTRY,
    bucketize::ENTRY,
    bucketize_tree::ENTRY,
    clip::ENTRY,
    clip_quantiles::ENTRY,
    coalesce::ENTRY,
    comparison::EQ,
    comparison::NE,
    comparison::LT,
    comparison::LE,
    comparison::GT,
    comparison::GE,
    count_encode::ENTRY,
    cross::ENTRY,
    cyclical::ENTRY,
    dt::ENTRY,
    elementary::ABS,
    elementary::CEIL,
    elementary::EXP,
    elementary::EXPM1,
    elementary::FLOOR,
    elementary::LOG1P,
    elementary::SIGN,
    elementary::SQRT,
    fill_null::ENTRY,
    geo::HAVERSINE,
    geo::BEARING,
    geo::IN_BOX,
    geohash::ENTRY,
    group_rare::ENTRY,
    hash::ENTRY,
    hash_vector::ENTRY,
    holidays::IS_HOLIDAY,
    holidays::DAYS_TO_HOLIDAY,
    in_zone::ENTRY,
    is_in::ENTRY,
    is_null::IS_NULL,
    is_null::IS_NOT_NULL,
    list_contains::ENTRY,
    list_get::ENTRY,
    list_number::LEN,
    list_number::MEAN,
    list_number::MIN,
    list_number::MAX,
    list_number::SUM,
    literal::ENTRY,
    log::ENTRY,
    logic::AND,
    logic::OR,
    logic::XOR,
    logic::NOT,
    max_abs::ENTRY,
    min_max::ENTRY,
    one_hot::ENTRY,
    ordinal::ENTRY,
    polynomial::ENTRY,
    power::POW,
    power::MOD,
    power::FLOOR_DIV,
    power_transform::ENTRY,
    quantile_transform::ENTRY,
    robust::ENTRY,
    round::ENTRY,
    row::SUM,
    row::MEAN,
    row::MIN,
    row::MAX,
    row::MEDIAN,
    row::STD,
    row_logic::ANY,
    row_logic::ALL,
    row_logic::COUNT_NULL,
    safe_divide::ENTRY,
    since::ENTRY,
    standardize::ENTRY,
    str_hash_ngrams::ENTRY,
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
    str_tfidf::ENTRY,
    target_mean::ENTRY,
    weight_of_evidence::ENTRY,
    when::ENTRY,
];

/// The one type of several values, of which all can be the result; a bool beside numbers is one.
fn same_type(inputs: &[Type]) -> Result<Type> {
    let first = inputs.first().copied().unwrap_or(Type::Number);
    if first == Type::Columns {
        return Err(takes("one value", Type::Columns));
    }
    if inputs.iter().all(|kind| *kind == first) {
        return Ok(first);
    }
    if inputs.iter().all(|kind| kind.is_number()) {
        return Ok(Type::Number);
    }
    let other = inputs.iter().find(|kind| **kind != first);
    Err(Error::invalid(format!(
        "takes values of one type but gets {first} and {}: bring them to one type",
        other.unwrap_or(&first)
    )))
}

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
