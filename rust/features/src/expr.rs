//! An expression as people write it: a tree in JSON.

use std::fmt;

use serde_json::{Map, Value, json};
use tidegate_schema::{Error, Result};

use crate::expression::{Inputs, LIST_KEY};
use crate::operations;
use crate::selection::{self, SELECT};

/// An expression that is not yet checked against a schema: `{"op": …}` with its inputs and
/// parameters as further keys. Its text is how it would be written in Python.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr(Value);

impl Expr {
    /// Reads an expression from JSON. It is checked when a feature set is made of it.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| Error::invalid(format!("not an expression: {error}")))
    }

    /// The expression as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    pub(crate) const fn from_value(value: Value) -> Self {
        Self(value)
    }

    pub(crate) const fn value(&self) -> &Value {
        &self.0
    }

    /// A column of the input.
    #[must_use]
    pub fn column(name: &str) -> Self {
        Self(json!({"op": "col", "name": name}))
    }

    /// An expression of this one: `apply("clip", &[("low", 0.into())])`.
    #[must_use]
    pub fn apply(self, op: &str, parameters: &[(&str, Value)]) -> Self {
        let mut map = Map::new();
        for (name, value) in parameters {
            map.insert((*name).to_owned(), value.clone());
        }
        map.insert("op".to_owned(), op.into());
        map.insert("input".to_owned(), self.0);
        Self(Value::Object(map))
    }

    /// An expression of this one and another: `combine("div", other)`.
    #[must_use]
    pub fn combine(self, op: &str, right: Self) -> Self {
        Self(json!({"op": op, "left": self.0, "right": right.0}))
    }

    /// The same expression under a name of its own.
    #[must_use]
    pub fn alias(self, name: &str) -> Self {
        self.apply("alias", &[("name", name.into())])
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expression(&self.0, f)
    }
}

/// The sign by which an expression of two inputs is written.
fn sign(op: &str) -> Option<&'static str> {
    Some(match op {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "eq" => "==",
        "ne" => "!=",
        "lt" => "<",
        "le" => "<=",
        "gt" => ">",
        "ge" => ">=",
        "and" => "&",
        "or" => "|",
        "xor" => "^",
        "pow" => "**",
        "mod" => "%",
        "floor_div" => "//",
        _ => return None,
    })
}

fn write_value(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Bool(true) => f.write_str("True"),
        Value::Bool(false) => f.write_str("False"),
        Value::Null => f.write_str("None"),
        value => write!(f, "{value}"),
    }
}

/// `when(c).then(x).when(d).then(y).otherwise(z)`.
fn write_when(inputs: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let inputs = inputs.as_array().map_or(&[][..], Vec::as_slice);
    let (branches, otherwise) = inputs.as_chunks::<2>();
    let mut point = "";
    for [condition, value] in branches {
        write!(f, "{point}when(")?;
        write_expression(condition, f)?;
        f.write_str(").then(")?;
        write_expression(value, f)?;
        f.write_str(")")?;
        point = ".";
    }
    if let Some(otherwise) = otherwise.first() {
        f.write_str(".otherwise(")?;
        write_expression(otherwise, f)?;
        f.write_str(")")?;
    }
    Ok(())
}

fn write_expression(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(map) = value.as_object() else {
        return write_value(value, f);
    };
    let field = |key: &str| map.get(key).unwrap_or(&Value::Null);
    let op = field("op").as_str().unwrap_or("?");
    match op {
        "col" => return write!(f, "col({})", field("name")),
        "literal" => return write_value(field("value"), f),
        "negate" | "not" => {
            f.write_str(if op == "not" { "~" } else { "-" })?;
            return write_expression(field("input"), f);
        }
        _ => {}
    }
    if let Some(sign) = sign(op) {
        f.write_str("(")?;
        write_expression(field("left"), f)?;
        write!(f, " {sign} ")?;
        write_expression(field("right"), f)?;
        return f.write_str(")");
    }
    if op == SELECT {
        return selection::write(map, f);
    }
    if op == "when" {
        return write_when(field(LIST_KEY), f);
    }
    let kind = operations::find(op).map_or(Inputs::Named(&["input"]), |entry| entry.inputs);
    let inputs = kind.peek(map);
    let mut inputs = inputs.into_iter();
    // What has any number of inputs is a function in Python, all else is a method of its first.
    if !matches!(kind, Inputs::List(_))
        && let Some(first) = inputs.next()
    {
        write_expression(first, f)?;
    }
    if op == "dt" {
        return write!(f, ".dt.{}()", field("part").as_str().unwrap_or("?"));
    }
    match (kind, op.split_once('_')) {
        (Inputs::List(_), _) => write!(f, "{op}(")?,
        (_, Some((space @ ("str" | "list"), method))) => write!(f, ".{space}.{method}(")?,
        _ => write!(f, ".{op}(")?,
    }
    let mut separator = "";
    for input in inputs {
        f.write_str(separator)?;
        write_expression(input, f)?;
        separator = ", ";
    }
    for (key, value) in map {
        let shown = match kind {
            Inputs::Named(keys) | Inputs::NamedOrList(keys) => !keys.contains(&key.as_str()),
            Inputs::List(_) => true,
        };
        if !shown || matches!(key.as_str(), "op" | LIST_KEY | "state") || value.is_null() {
            continue;
        }
        f.write_str(separator)?;
        separator = ", ";
        if op == "alias" {
            write_value(value, f)?;
        } else {
            write!(f, "{key}=")?;
            write_value(value, f)?;
        }
    }
    f.write_str(")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_python_is_written() {
        let x = Expr::column("x");
        let cases = [
            (x.clone().apply("log1p", &[]), r#"col("x").log1p()"#),
            (
                x.clone().apply("dt", &[("part", "hour".into())]),
                r#"col("x").dt.hour()"#,
            ),
            (
                x.clone().combine("div", Expr::column("y")).alias("r"),
                r#"(col("x") / col("y")).alias("r")"#,
            ),
            (
                x.clone().combine("cross", Expr::column("y")),
                r#"col("x").cross(col("y"))"#,
            ),
            (
                Expr::from_value(
                    json!({"op": "coalesce", "inputs": [x.0, {"op": "literal", "value": 2}]}),
                ),
                r#"coalesce(col("x"), 2)"#,
            ),
            (
                Expr::from_value(
                    json!({"op": "when", "inputs": [x.0, x.0, x.0, x.0, {"op": "literal", "value": 2}]}),
                ),
                r#"when(col("x")).then(col("x")).when(col("x")).then(col("x")).otherwise(2)"#,
            ),
            (
                Expr::from_value(json!({"op": "cross", "inputs": [x.0, x.0, x.0]})),
                r#"col("x").cross(col("x"), col("x"))"#,
            ),
            (
                x.clone()
                    .apply("is_null", &[])
                    .combine("or", Expr::column("y").apply("not", &[])),
                r#"(col("x").is_null() | ~col("y"))"#,
            ),
            (
                x.apply(
                    "one_hot",
                    &[("min_count", 5.into()), ("unknown", false.into())],
                ),
                r#"col("x").one_hot(min_count=5, unknown=False)"#,
            ),
        ];
        for (expression, text) in cases {
            assert_eq!(expression.to_string(), text);
            assert_eq!(Expr::from_json(&expression.to_json()).unwrap(), expression);
        }
    }
}
