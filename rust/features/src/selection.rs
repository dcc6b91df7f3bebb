//! Selectors: leaves of an expression that stand for several columns. Before anything is checked
//! they become the columns of the schema, in its order: a feature becomes one feature for each
//! column, and an input of a function of any number of inputs becomes one input for each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_schema::{Error, ErrorKind, Field, Result, Schema};

use crate::expr::Expr;
use crate::expression::{Inputs, LIST_KEY};
use crate::operations::{self, compile};
use crate::spec::{MAX_DEPTH, MAX_FEATURES};
use crate::value::Type;

/// The `op` of a selector.
pub(crate) const SELECT: &str = "select";
/// Stands for the column in a name that is given to a selection.
const COLUMN_MARK: &str = "{}";
/// Most parts of all expressions that selectors may grow into.
const MAX_PARTS: usize = 1_000_000;

/// What a selector asks of a column; what is left out asks nothing.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Selector {
    /// One of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    /// A regular expression that matches the whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// Of one of these dtypes; `numeric` is every dtype of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    dtypes: Option<Vec<String>>,
    /// None that another feature names.
    #[serde(skip_serializing_if = "is_false")]
    others: bool,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drop: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Reads a selector, if an expression is one.
fn selector(map: &Map<String, Value>) -> Option<Result<Selector>> {
    if map.get("op").and_then(Value::as_str) != Some(SELECT) {
        return None;
    }
    let mut keys = map.clone();
    keys.remove("op");
    let read = serde_json::from_value(Value::Object(keys));
    Some(read.map_err(|error| Error::invalid(format!("{SELECT}: {error}"))))
}

fn is_of(field: &Field, dtype: &str) -> Result<bool> {
    if dtype == "numeric" {
        return Ok(Type::from(field.dtype) == Type::Number);
    }
    let known: tidegate_schema::DType = serde_json::from_value(dtype.into()).map_err(|_| {
        Error::invalid(format!(
            "{SELECT}: unknown dtype {dtype:?}: use numeric or a dtype of a schema"
        ))
    })?;
    Ok(field.dtype == known)
}

impl Selector {
    /// The positions of its columns.
    fn columns(&self, schema: &Schema, named: &Named<'_>) -> Result<Vec<usize>> {
        let positions = |names: &[String]| -> Result<BTreeSet<usize>> {
            names.iter().map(|name| schema.resolve(name)).collect()
        };
        let wanted = self.names.as_deref().map(positions).transpose()?;
        let dropped = positions(&self.drop)?;
        let pattern = match &self.pattern {
            Some(pattern) => Some(compile(&format!("^(?:{pattern})$"))?),
            None => None,
        };
        let mut columns = Vec::new();
        for (position, field) in schema.fields().iter().enumerate() {
            let of_dtype = match &self.dtypes {
                None => true,
                Some(dtypes) => {
                    let mut found = false;
                    for dtype in dtypes {
                        found |= is_of(field, dtype)?;
                    }
                    found
                }
            };
            let asked = wanted.as_ref().map_or_else(
                // A target is no feature unless somebody names it, and is then refused.
                || named.target != Some(field.name.as_str()),
                |wanted| wanted.contains(&position),
            );
            let matched = pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&field.name));
            let free = !self.others || !named.columns.contains(&position);
            if of_dtype && asked && matched && free && !dropped.contains(&position) {
                columns.push(position);
            }
        }
        if columns.is_empty() && !self.others {
            return Err(Error::invalid(format!(
                "{} selects no column of the schema",
                Expr::from_value(self.tree())
            )));
        }
        Ok(columns)
    }

    fn tree(&self) -> Value {
        let mut tree = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = tree.as_object_mut() {
            map.insert("op".to_owned(), SELECT.into());
        }
        tree
    }
}

/// Columns that features name, by themselves or in a selection that is not `others`.
struct Named<'a> {
    columns: BTreeSet<usize>,
    target: Option<&'a str>,
}

/// Does a feature have a selector?
fn selects(tree: &Value, depth: usize) -> Result<bool> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!(
            "an expression is nested more than {MAX_DEPTH} deep"
        )));
    }
    let parts: Vec<&Value> = match tree {
        Value::Object(map) if map.get("op").and_then(Value::as_str) == Some(SELECT) => {
            return Ok(true);
        }
        Value::Object(map) => map.values().collect(),
        Value::Array(values) => values.iter().collect(),
        _ => return Ok(false),
    };
    let mut found = false;
    for part in parts {
        // An array of inputs is no level of nesting.
        found |= selects(part, depth + usize::from(tree.is_object()))?;
    }
    Ok(found)
}

/// Takes in the columns that a part of a feature names.
fn name(tree: &Value, schema: &Schema, named: &mut Named<'_>) -> Result<()> {
    match tree {
        Value::Object(map) => {
            if let Some(selector) = selector(map) {
                let selector = selector?;
                if !selector.others {
                    let columns = selector.columns(schema, named)?;
                    named.columns.extend(columns);
                }
                return Ok(());
            }
            if map.get("op").and_then(Value::as_str) == Some("col") {
                let column = map.get("name").and_then(Value::as_str);
                named
                    .columns
                    .extend(column.and_then(|name| schema.position(name)));
            }
            map.values().try_for_each(|part| name(part, schema, named))
        }
        Value::Array(values) => values.iter().try_for_each(|part| name(part, schema, named)),
        _ => Ok(()),
    }
}

struct Expansion<'a> {
    schema: &'a Schema,
    named: Named<'a>,
    parts: usize,
}

impl Expansion<'_> {
    /// The columns that the selectors of an expression stand for, the same number for each.
    fn columns(&self, tree: &Value, found: &mut Vec<Vec<usize>>) -> Result<()> {
        match tree {
            Value::Object(map) => match selector(map) {
                Some(selector) => {
                    let columns = selector?.columns(self.schema, &self.named)?;
                    if let Some(first) = found.first()
                        && first.len() != columns.len()
                    {
                        return Err(Error::invalid(format!(
                            "selections of {} and of {} columns in one expression: select as many in each",
                            first.len(),
                            columns.len()
                        )));
                    }
                    found.push(columns);
                    Ok(())
                }
                None => map.values().try_for_each(|part| self.columns(part, found)),
            },
            Value::Array(values) => values.iter().try_for_each(|part| self.columns(part, found)),
            _ => Ok(()),
        }
    }

    /// The expression for one place of its selections. `next` counts the selectors that are met, in
    /// the order in which [`Self::columns`] meets them.
    fn at(
        &mut self,
        tree: &Value,
        found: &[Vec<usize>],
        place: usize,
        next: &mut usize,
    ) -> Result<Value> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("selections grow into more than {MAX_PARTS} parts: select fewer columns"),
            ));
        }
        let column = |columns: Option<&Vec<usize>>| {
            let position = columns.and_then(|columns| columns.get(place));
            position.and_then(|&position| self.schema.fields().get(position))
        };
        match tree {
            Value::Object(map) if selector(map).is_some() => {
                let field = column(found.get(*next));
                *next += 1;
                let name = field.map_or("", |field| field.name.as_str());
                Ok(Expr::column(name).value().clone())
            }
            Value::Object(map) => {
                let mut made = Map::new();
                let alias = map.get("op").and_then(Value::as_str) == Some("alias");
                for (key, part) in map {
                    let part = match part {
                        Value::String(name) if alias && key == "name" => {
                            let field = column(found.first());
                            let column = field.map_or("", |field| field.name.as_str());
                            name.replace(COLUMN_MARK, column).into()
                        }
                        part => self.at(part, found, place, next)?,
                    };
                    made.insert(key.clone(), part);
                }
                Ok(Value::Object(made))
            }
            Value::Array(values) => {
                let parts = values.iter().map(|part| self.at(part, found, place, next));
                parts.collect::<Result<_>>().map(Value::Array)
            }
            plain => Ok(plain.clone()),
        }
    }

    /// An expression with every selector in it resolved: one expression for each place.
    fn expand(&mut self, tree: &Value) -> Result<Vec<Value>> {
        let tree = self.spread(tree)?;
        let mut found = Vec::new();
        self.columns(&tree, &mut found)?;
        let Some(first) = found.first() else {
            return Ok(vec![tree]);
        };
        (0..first.len())
            .map(|place| self.at(&tree, &found, place, &mut 0))
            .collect()
    }

    /// An expression in which selectors below functions of any number of inputs are resolved.
    fn spread(&mut self, tree: &Value) -> Result<Value> {
        let Value::Object(map) = tree else {
            return Ok(tree.clone());
        };
        let op = map.get("op").and_then(Value::as_str).unwrap_or_default();
        // The inputs of `when` have places of their own: a selection there makes several of them.
        let spreads = op != "when"
            && operations::find(op).is_ok_and(|entry| !matches!(entry.inputs, Inputs::Named(_)));
        let mut made = Map::new();
        for (key, part) in map {
            let part = match part {
                Value::Array(inputs) if key == LIST_KEY && spreads => {
                    let mut all = Vec::with_capacity(inputs.len());
                    for input in inputs {
                        all.extend(self.expand(input)?);
                    }
                    Value::Array(all)
                }
                Value::Array(inputs) if key == LIST_KEY => {
                    let inputs = inputs.iter().map(|input| self.spread(input));
                    Value::Array(inputs.collect::<Result<_>>()?)
                }
                part => self.spread(part)?,
            };
            made.insert(key.clone(), part);
        }
        Ok(Value::Object(made))
    }
}

/// Features without selectors, or `None` where there were none.
pub(crate) fn expand(
    schema: &Schema,
    features: &[Expr],
    target: Option<&str>,
) -> Result<Option<Vec<Expr>>> {
    let mut has = Vec::with_capacity(features.len());
    for feature in features {
        has.push(selects(feature.value(), 0)?);
    }
    if !has.contains(&true) {
        return Ok(None);
    }
    let mut named = Named {
        columns: BTreeSet::new(),
        target,
    };
    for feature in features {
        name(feature.value(), schema, &mut named).map_err(|error| error.at(feature.to_string()))?;
    }
    let mut expansion = Expansion {
        schema,
        named,
        parts: 0,
    };
    let mut all = Vec::new();
    for (feature, has) in features.iter().zip(has) {
        if !has {
            all.push(feature.clone());
            continue;
        }
        let expanded = expansion
            .expand(feature.value())
            .map_err(|error| error.at(feature.to_string()))?;
        all.extend(expanded.into_iter().map(Expr::from_value));
        if all.len() > MAX_FEATURES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("selections make more than {MAX_FEATURES} features: select fewer columns"),
            ));
        }
    }
    Ok(Some(all))
}

/// How a selector is written in Python.
pub(crate) fn write(map: &Map<String, Value>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let Some(Ok(selector)) = selector(map) else {
        return f.write_str("select(?)");
    };
    let mut arguments: Vec<String> = Vec::new();
    let quoted = |texts: &[String]| -> Vec<String> {
        texts.iter().map(|text| format!("{text:?}")).collect()
    };
    let function = if let Some(names) = &selector.names {
        arguments.extend(quoted(names));
        "cols"
    } else if let Some(pattern) = &selector.pattern {
        arguments.push(format!("{pattern:?}"));
        "matching"
    } else if let Some(dtypes) = &selector.dtypes {
        arguments.extend(quoted(dtypes));
        "of_dtype"
    } else if selector.others {
        "others"
    } else {
        "every"
    };
    if !selector.drop.is_empty() {
        arguments.push(format!("drop=[{}]", quoted(&selector.drop).join(", ")));
    }
    write!(f, "{function}({})", arguments.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_schema::DType;

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::nullable("dep_delay", DType::Float64),
            Field::nullable("carrier", DType::String),
            Field::nullable("arr_delay", DType::Float64),
            Field::nullable("seats", DType::Int64),
            Field::nullable("late", DType::Bool),
        ])
        .unwrap()
    }

    fn texts(features: &[Value], target: Option<&str>) -> Result<Vec<String>> {
        let features: Vec<Expr> = features.iter().cloned().map(Expr::from_value).collect();
        let expanded = expand(&schema(), &features, target)?;
        Ok(expanded
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect())
    }

    #[test]
    fn selectors_become_columns_in_the_order_of_the_schema() {
        let numeric = json!({"op": "select", "dtypes": ["numeric"]});
        let delays = json!({"op": "select", "pattern": ".*_delay"});
        let standardized = json!({"op": "standardize", "input": {"op": "fill_null", "strategy": "median", "input": numeric}});
        assert_eq!(
            texts(&[standardized], None).unwrap(),
            [
                r#"col("dep_delay").fill_null(strategy="median").standardize()"#,
                r#"col("arr_delay").fill_null(strategy="median").standardize()"#,
                r#"col("seats").fill_null(strategy="median").standardize()"#,
            ]
        );
        let total = json!({"op": "log1p", "input": {"op": "row_sum", "inputs": [{"op": "abs", "input": delays}, {"op": "col", "name": "seats"}]}});
        assert_eq!(
            texts(&[total], None).unwrap(),
            [r#"row_sum(col("dep_delay").abs(), col("arr_delay").abs(), col("seats")).log1p()"#]
        );
        let both = json!({"op": "sub", "left": delays, "right": {"op": "alias", "name": "{}_log", "input": {"op": "log1p", "input": delays}}});
        assert_eq!(
            texts(&[both], None).unwrap(),
            [
                r#"(col("dep_delay") - col("dep_delay").log1p().alias("dep_delay_log"))"#,
                r#"(col("arr_delay") - col("arr_delay").log1p().alias("arr_delay_log"))"#,
            ]
        );
        let by_name = json!({"op": "select", "names": ["seats", "dep_delay"]});
        let others = json!({"op": "select", "others": true, "drop": ["carrier"]});
        assert_eq!(
            texts(&[others.clone(), by_name.clone()], Some("late")).unwrap(),
            [
                r#"col("arr_delay")"#,
                r#"col("dep_delay")"#,
                r#"col("seats")"#
            ]
        );
        let choice = json!({"op": "when", "inputs": [{"op": "gt", "left": delays, "right": {"op": "literal", "value": 0}}, delays]});
        assert_eq!(texts(&[choice], None).unwrap().len(), 2);
        assert!(
            texts(&[json!({"op": "col", "name": "seats"})], None)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn errors_name_the_expression() {
        let cases = [
            (
                json!({"op": "select", "names": ["seat"]}),
                r#"cols("seat"): unknown column "seat": did you mean "seats"?"#,
            ),
            (
                json!({"op": "select", "pattern": "x.*"}),
                r#"matching("x.*") selects no column"#,
            ),
            (
                json!({"op": "select", "dtypes": ["text"]}),
                r#"unknown dtype "text""#,
            ),
            (
                json!({"op": "select", "pattern": "("}),
                "cannot be used: unclosed group",
            ),
            (json!({"op": "select", "like": "x"}), "unknown field `like`"),
            (
                json!({"op": "add", "left": {"op": "select", "pattern": ".*_delay"}, "right": {"op": "select", "dtypes": ["numeric"]}}),
                "selections of 2 and of 3 columns in one expression",
            ),
        ];
        for (feature, message) in cases {
            let error = texts(&[feature], None).unwrap_err();
            assert!(error.message.contains(message), "{error}");
        }
        let mut deep = json!({"op": "select"});
        for _ in 0..40 {
            deep = json!({"op": "row_sum", "inputs": [{"op": "add", "left": deep, "right": {"op": "select"}}]});
        }
        let error = texts(&[deep], None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
    }
}
