//! What is to be computed: a schema and expressions, checked but not yet fitted.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tidegate_schema::{Error, Result, Schema};

use crate::expr::Expr;
use crate::graph::Graph;
use crate::value::Type;

/// Most features of a set.
pub const MAX_FEATURES: usize = 10_000;
/// Deepest nesting of an expression.
pub const MAX_DEPTH: usize = 100;
/// Most columns of the matrix.
pub const MAX_WIDTH: usize = 100_000;

/// The version written into serialised specifications and plans.
pub(crate) const VERSION: u32 = 1;

/// A schema and the features over it, checked: columns exist, types fit, names are unique.
pub struct FeatureSpec {
    schema: Schema,
    features: Vec<Expr>,
    pub(crate) graph: Graph,
}

/// The serialised form, also of a plan, whose expressions carry their states.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub features: Vec<Value>,
    /// Rows that were learned from; only in plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    pub schema: Value,
    pub version: u32,
}

impl Document {
    /// Reads a document of this or any earlier version.
    pub(crate) fn read(text: &str, what: &str) -> Result<(Self, Schema)> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong = |error: serde_json::Error| Error::state(format!("not a {what}: {error}"));
        let Version { version } = serde_json::from_str(text).map_err(wrong)?;
        if version > VERSION {
            return Err(Error::state(format!(
                "{what} version {version} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate"
            )));
        }
        let document: Self = serde_json::from_str(text).map_err(wrong)?;
        let schema = Schema::from_json(&document.schema.to_string())?;
        Ok((document, schema))
    }

    /// Canonical JSON: sorted keys, no white space.
    pub(crate) fn write(&self) -> Result<String> {
        serde_json::to_value(self)
            .map(|value| value.to_string())
            .map_err(|error| Error::internal(format!("a feature set has no JSON: {error}")))
    }
}

/// `sha256:` and the hexadecimal digest of a text.
pub(crate) fn digest(text: &str) -> String {
    let mut out = String::with_capacity(71);
    out.push_str("sha256:");
    for byte in Sha256::digest(text.as_bytes()) {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

/// Resolves features and checks that each can be an output.
pub(crate) fn resolve(schema: &Schema, features: &[Expr], fitted: bool) -> Result<Graph> {
    if features.is_empty() {
        return Err(Error::invalid(
            "a feature set without features: give at least one expression",
        ));
    }
    if features.len() > MAX_FEATURES {
        return Err(Error::new(
            tidegate_schema::ErrorKind::TooLarge,
            format!(
                "{} features exceed the limit of {MAX_FEATURES}",
                features.len()
            ),
        ));
    }
    let graph = Graph::build(schema, features, fitted)?;
    for feature in &graph.features {
        let kind = graph.nodes[feature.node()].kind;
        let mend = match kind {
            Type::Text => "end it with one_hot, ordinal or hash",
            Type::Timestamp => "end it with a part of the time, as in .dt.hour()",
            Type::Bool | Type::Number | Type::Columns => continue,
        };
        return Err(Error::invalid(format!(
            "feature {} is {kind}, which the matrix of numbers cannot hold: {mend}",
            feature.text
        )));
    }
    check_unique(
        graph
            .features
            .iter()
            .map(|feature| (feature.stem.as_str(), feature.text.as_str())),
    )?;
    Ok(graph)
}

/// Checks that names differ, and says which features share one.
pub(crate) fn check_unique<'a>(names: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for (name, text) in names {
        if let Some(other) = seen.insert(name, text) {
            return Err(Error::invalid(format!(
                "{other} and {text} are both named {name:?}: give one of them a name with .alias(…)"
            )));
        }
    }
    Ok(())
}

impl FeatureSpec {
    /// Checks features against a schema.
    pub fn new(schema: Schema, features: Vec<Expr>) -> Result<Self> {
        let graph = resolve(&schema, &features, false)?;
        Ok(Self {
            schema,
            features,
            graph,
        })
    }

    /// Reads what [`FeatureSpec::to_json`] wrote, or somebody's `{"schema", "features", "version"}`.
    pub fn from_json(text: &str) -> Result<Self> {
        let (document, schema) = Document::read(text, "feature set")?;
        if document.rows.is_some() {
            return Err(Error::state(
                "this feature set is fitted: read it as a plan",
            ));
        }
        let features = document
            .features
            .into_iter()
            .map(Expr::from_value)
            .collect();
        Self::new(schema, features)
    }

    /// Canonical JSON of the schema and the features with all defaults written out.
    pub fn to_json(&self) -> Result<String> {
        Document {
            features: self
                .graph
                .features
                .iter()
                .map(|feature| self.graph.document(feature))
                .collect::<Result<_>>()?,
            rows: None,
            schema: schema_value(&self.schema)?,
            version: VERSION,
        }
        .write()
    }

    /// The schema that the features were checked against.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The columns that the features use, in the schema's order: what tables to fit must have.
    #[must_use]
    pub const fn input_schema(&self) -> &Schema {
        &self.graph.schema
    }

    /// The features.
    #[must_use]
    pub fn features(&self) -> &[Expr] {
        &self.features
    }

    /// How often the data is read by a fit: once for each level of nested learning.
    #[must_use]
    pub fn passes(&self) -> usize {
        let deepest = self.graph.nodes.iter().map(|node| node.level).max();
        deepest.unwrap_or(0).max(1)
    }
}

pub(crate) fn schema_value(schema: &Schema) -> Result<Value> {
    serde_json::from_str(&schema.to_json())
        .map_err(|error| Error::internal(format!("a schema has no JSON: {error}")))
}
