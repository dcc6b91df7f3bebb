//! Rules about rows that need no register: one pass over a column's own values.
//!
//! The engine computes with floats, one expression a pass. Three shapes make up most rules, and
//! each has a shorter way to the same answer: a value that is there, bounds of a column, one column
//! against another. A fourth way takes any expression of a single column of texts: what it says of
//! a text of up to seven bytes, which most codes are, is remembered, and looked up from then on.

use serde_json::Value;
use tidegate_schema::{Column, DType, Primitive, Result, Schema, Strings, Table, Validity};

use super::memo::Memo;
use crate::expr::Expr;
use crate::graph::Graph;
use crate::program::Program;
use crate::wide;

/// A rule with a shorter way.
pub(super) enum Fused {
    /// The value is there.
    Present { column: usize },
    /// The value lies between bounds, which are within.
    Range { column: usize, low: f64, high: f64 },
    /// One column against another of its type.
    Compare {
        left: usize,
        right: usize,
        sign: Sign,
    },
    /// Any expression of one column of texts.
    Text {
        column: usize,
        predicate: Box<Predicate>,
    },
}

/// How two columns are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Sign {
    fn read(op: &str) -> Option<Self> {
        Some(match op {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            _ => return None,
        })
    }

    /// The same with its sides changed.
    const fn turned(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::Ne => Self::Ne,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
        }
    }
}

/// An expression of one column of texts, compiled by itself.
pub(super) struct Predicate {
    schema: Schema,
    program: Program,
    node: usize,
}

impl Predicate {
    fn new(expression: &Expr, schema: &Schema) -> Result<Self> {
        let graph = Graph::build(schema, std::slice::from_ref(expression), false)?;
        let node = graph
            .features
            .first()
            .map_or(0, crate::graph::Feature::node);
        let program = Program::compile(&graph, &[node], false)?.lenient();
        Ok(Self {
            schema: graph.schema,
            program,
            node,
        })
    }

    /// What the expression says of texts, morsel by morsel.
    pub fn run(&self, texts: Strings<'_>, mut each: impl FnMut(&[f64])) -> Result<()> {
        let rows = texts.len();
        let table = Table::new(vec![Column::String(texts)], rows)?;
        self.program.run_each(&table, &self.schema, 0, |view| {
            each(view.node(self.node).numbers());
            Ok(())
        })
    }

    /// What it says of one text.
    pub fn ask(&self, text: Option<&str>) -> Result<f64> {
        let bits = [0];
        let validity = match text {
            Some(_) => Validity::ALL,
            None => Validity::bitmap(&bits, 0),
        };
        let mut said = f64::NAN;
        self.run(
            Strings::slices(&[text.unwrap_or_default()], validity),
            |values| said = values.first().copied().unwrap_or(f64::NAN),
        )?;
        Ok(said)
    }
}

/// The op and a key of an expression in JSON.
fn op(value: &Value) -> Option<&str> {
    value.get("op")?.as_str()
}

fn column<'a>(value: &'a Value, schema: &Schema) -> Option<(usize, DType, &'a str)> {
    if op(value)? != "col" {
        return None;
    }
    let name = value.get("name")?.as_str()?;
    let position = schema.position(name)?;
    Some((position, schema.fields().get(position)?.dtype, name))
}

fn number(value: &Value) -> Option<f64> {
    if op(value)? != "literal" {
        return None;
    }
    value.get("value")?.as_f64()
}

/// Is a column of this type compared value by value as it lies in memory?
const fn plain(dtype: DType) -> bool {
    matches!(dtype, DType::Int64 | DType::Float64 | DType::Timestamp)
}

/// A column and its bounds, which are within.
fn range(value: &Value, schema: &Schema) -> Option<(usize, f64, f64)> {
    let name = op(value)?;
    let (left, right) = (value.get("left")?, value.get("right")?);
    if name == "and" {
        let (column, low, high) = range(left, schema)?;
        let (other, least, greatest) = range(right, schema)?;
        return (column == other).then(|| (column, low.max(least), high.min(greatest)));
    }
    let sign = Sign::read(name)?;
    let (found, bound, sign) = match (column(left, schema), number(right)) {
        (Some(found), Some(bound)) => (found, bound, sign),
        _ => (column(right, schema)?, number(left)?, sign.turned()),
    };
    let (position, dtype, _) = found;
    if !plain(dtype) {
        return None;
    }
    let (low, high) = match sign {
        Sign::Eq => (bound, bound),
        Sign::Ge => (bound, f64::INFINITY),
        Sign::Gt => (bound.next_up(), f64::INFINITY),
        Sign::Le => (f64::NEG_INFINITY, bound),
        Sign::Lt => (f64::NEG_INFINITY, bound.next_down()),
        Sign::Ne => return None,
    };
    Some((position, low, high))
}

impl Fused {
    /// The shorter way of an expression over columns, if it has one.
    pub fn new(expression: &Value, schema: &Schema, columns: &[String]) -> Result<Option<Self>> {
        if let Some(present) = present(expression, schema) {
            return Ok(Some(present));
        }
        if let Some((column, low, high)) = range(expression, schema) {
            return Ok(Some(Self::Range { column, low, high }));
        }
        if let Some(compare) = compare(expression, schema) {
            return Ok(Some(compare));
        }
        let [only] = columns else { return Ok(None) };
        let column = schema.resolve(only)?;
        if schema.fields().get(column).map(|field| field.dtype) != Some(DType::String) {
            return Ok(None);
        }
        let predicate = Predicate::new(&Expr::from_value(expression.clone()), schema)?;
        Ok(Some(Self::Text {
            column,
            predicate: Box::new(predicate),
        }))
    }

    /// The same over another schema that has the same columns at other places.
    pub fn placed(&mut self, from: &Schema, to: &Schema) -> Result<()> {
        let place = |position: &mut usize| -> Result<()> {
            if let Some(field) = from.fields().get(*position) {
                *position = to.resolve(&field.name)?;
            }
            Ok(())
        };
        match self {
            Self::Present { column } | Self::Range { column, .. } | Self::Text { column, .. } => {
                place(column)
            }
            Self::Compare { left, right, .. } => {
                place(left)?;
                place(right)
            }
        }
    }

    /// Is it a look at values alone, without an expression?
    pub const fn is_plain(&self) -> bool {
        !matches!(self, Self::Text { .. })
    }

    /// How many rows of some break the rule, and how many it says nothing of.
    pub fn count(&self, morsel: &[Column<'_>], memo: &mut Memo) -> Result<(u64, u64)> {
        Ok(match self {
            Self::Present { column } => (morsel.get(*column).map_or(0, missing), 0),
            Self::Range { column, low, high } => match morsel.get(*column) {
                Some(Column::Float64(values)) => {
                    floats(values, |value| !(value >= *low && value <= *high))
                }
                Some(Column::Int64(values) | Column::Timestamp(values)) => {
                    let (low, high) = whole(*low, *high);
                    integers(values, low, high)
                }
                _ => (0, 0),
            },
            Self::Compare { left, right, sign } => {
                let (mut failures, mut unknown) = (0, 0);
                compared(
                    morsel.get(*left),
                    morsel.get(*right),
                    *sign,
                    |holds| match holds {
                        Some(holds) => failures += u64::from(!holds),
                        None => unknown += 1,
                    },
                );
                (failures, unknown)
            }
            Self::Text { column, predicate } => match morsel.get(*column) {
                Some(Column::String(texts)) => memo.count(*texts, predicate)?,
                _ => (0, 0),
            },
        })
    }

    /// Calls `each` with the position of every row of a morsel that breaks the rule; `unknown`
    /// says whether a missing result does.
    pub fn rows(
        &self,
        morsel: &[Column<'_>],
        unknown: bool,
        each: &mut dyn FnMut(usize),
    ) -> Result<()> {
        match self {
            Self::Present { column } => {
                if let Some(column) = morsel.get(*column) {
                    (0..column.len())
                        .filter(|row| column.is_missing(*row))
                        .for_each(each);
                }
            }
            Self::Range { column, low, high } => {
                let Some(column) = morsel.get(*column) else {
                    return Ok(());
                };
                let (least, greatest) = whole(*low, *high);
                for row in 0..column.len() {
                    let broken = match column {
                        _ if column.is_missing(row) => unknown,
                        Column::Float64(values) => {
                            let value = values.values[row];
                            !(value >= *low && value <= *high)
                        }
                        Column::Int64(values) | Column::Timestamp(values) => {
                            !(least..=greatest).contains(&values.values[row])
                        }
                        _ => false,
                    };
                    if broken {
                        each(row);
                    }
                }
            }
            Self::Compare { left, right, sign } => {
                let mut row = 0;
                compared(morsel.get(*left), morsel.get(*right), *sign, |holds| {
                    if holds.map_or(unknown, |holds| !holds) {
                        each(row);
                    }
                    row += 1;
                });
            }
            Self::Text { column, predicate } => {
                if let Some(Column::String(texts)) = morsel.get(*column) {
                    let mut row = 0;
                    predicate.run(*texts, |values| {
                        for value in values {
                            if *value == 0.0 || (unknown && value.is_nan()) {
                                each(row);
                            }
                            row += 1;
                        }
                    })?;
                }
            }
        }
        Ok(())
    }
}

fn present(expression: &Value, schema: &Schema) -> Option<Fused> {
    if op(expression)? != "not" {
        return None;
    }
    let inner = expression.get("input")?;
    if op(inner)? != "is_null" {
        return None;
    }
    let (column, _, _) = column(inner.get("input")?, schema)?;
    Some(Fused::Present { column })
}

fn compare(expression: &Value, schema: &Schema) -> Option<Fused> {
    let sign = Sign::read(op(expression)?)?;
    let (left, dtype, _) = column(expression.get("left")?, schema)?;
    let (right, other, _) = column(expression.get("right")?, schema)?;
    (plain(dtype) && dtype == other).then_some(Fused::Compare { left, right, sign })
}

/// Bounds of floats as bounds of integers. Beyond 64 bits there is no integer to keep out.
fn whole(low: f64, high: f64) -> (i64, i64) {
    (low.ceil() as i64, high.floor() as i64)
}

/// How many values of a column are missing.
fn missing(column: &Column<'_>) -> u64 {
    let rows = column.len();
    match column {
        Column::Float64(values) => floats(values, |_| false).1,
        Column::Bool(values) => absent(&values.validity, rows),
        Column::Int64(values)
        | Column::Timestamp(values)
        | Column::Date(values)
        | Column::Duration(values) => absent(&values.validity, rows),
        Column::NumberList(lists) => absent(&lists.validity(), rows),
        Column::TextList(lists) => absent(&lists.validity(), rows),
        Column::String(texts) => absent(&texts.validity(), rows),
    }
}

fn absent(validity: &Validity<'_>, rows: usize) -> u64 {
    let mut missing = 0;
    validity.each_missing(rows, |_| missing += 1);
    missing
}

/// How many values are bad, and how many are missing. All are looked at as if they were there,
/// which leaves the loop without a branch; few are missing, and those are taken back.
fn floats(values: &Primitive<'_, f64>, bad: impl Fn(f64) -> bool) -> (u64, u64) {
    let (mut failures, mut unknown) = wide::run(values.values.len(), || {
        let (mut failures, mut unknown) = (0, 0);
        for &value in values.values {
            failures += u64::from(bad(value) & !value.is_nan());
            unknown += u64::from(value.is_nan());
        }
        (failures, unknown)
    });
    values.validity.each_missing(values.values.len(), |row| {
        let value = values.values[row];
        if !value.is_nan() {
            unknown += 1;
            failures -= u64::from(bad(value));
        }
    });
    (failures, unknown)
}

/// How many values lie outside of bounds, and how many are missing; as [`floats`] does it.
fn integers(values: &Primitive<'_, i64>, low: i64, high: i64) -> (u64, u64) {
    let rows = values.values.len();
    let mut unknown = 0;
    if low > high {
        values.validity.each_missing(rows, |_| unknown += 1);
        return (rows as u64 - unknown, unknown);
    }
    // One comparison in place of two: what lies below wraps around to what is far above.
    let span = high.wrapping_sub(low) as u64;
    let bad = |value: i64| u64::from(value.wrapping_sub(low) as u64 > span);
    let mut failures: u64 = wide::run(rows, || values.values.iter().map(|value| bad(*value)).sum());
    values.validity.each_missing(rows, |row| {
        unknown += 1;
        failures -= bad(values.values[row]);
    });
    (failures, unknown)
}

/// Calls `each` with what a comparison says of every row; `None` where a side is missing.
fn compared(
    left: Option<&Column<'_>>,
    right: Option<&Column<'_>>,
    sign: Sign,
    each: impl FnMut(Option<bool>),
) {
    match (left, right) {
        (
            Some(Column::Int64(left) | Column::Timestamp(left)),
            Some(Column::Int64(right) | Column::Timestamp(right)),
        ) => pairs(left, right, sign, |_| true, each),
        (Some(Column::Float64(left)), Some(Column::Float64(right))) => {
            pairs(left, right, sign, |value: f64| !value.is_nan(), each);
        }
        _ => {}
    }
}

fn pairs<T: Copy + PartialOrd>(
    left: &Primitive<'_, T>,
    right: &Primitive<'_, T>,
    sign: Sign,
    is: impl Fn(T) -> bool,
    mut each: impl FnMut(Option<bool>),
) {
    let mut walk = |holds: fn(T, T) -> bool| {
        let values = left.values.iter().zip(right.values);
        for (row, (&one, &other)) in values.enumerate() {
            let there = left.validity.get(row) & right.validity.get(row) & is(one) & is(other);
            each(there.then(|| holds(one, other)));
        }
    };
    match sign {
        Sign::Eq => walk(|left, right| left == right),
        Sign::Ne => walk(|left, right| left != right),
        Sign::Lt => walk(|left, right| left < right),
        Sign::Le => walk(|left, right| left <= right),
        Sign::Gt => walk(|left, right| left > right),
        Sign::Ge => walk(|left, right| left >= right),
    }
}
