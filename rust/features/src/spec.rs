//! What is to be computed: a schema and expressions, checked but not yet fitted.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tidegate_schema::{DType, Error, Field, Result, Schema};

use crate::explain::explain;
use crate::expr::Expr;
use crate::graph::Graph;
use crate::selection::expand;
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
    /// Without selectors.
    features: Vec<Expr>,
    /// As they were written, where a selector is among them.
    written: Option<Vec<Expr>>,
    target: Option<String>,
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
    /// The column of the target; only in specifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
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
            Type::NumberList | Type::TextList => {
                "end it with a number of the list, as in .list.len()"
            }
            Type::Bool | Type::Number | Type::Columns => continue,
        };
        return Err(Error::invalid(format!(
            "feature {} is {kind}, which the matrix of numbers cannot hold: {mend}",
            feature.text
        )));
    }
    check_unique(
        // What names each of its columns by itself has no name of its own.
        graph
            .features
            .iter()
            .filter(|feature| !feature.stem.is_empty())
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
    /// Checks features against a schema. Selectors become its columns.
    pub fn new(schema: Schema, features: Vec<Expr>) -> Result<Self> {
        Self::build(schema, features, None)
    }

    fn build(schema: Schema, features: Vec<Expr>, target: Option<&str>) -> Result<Self> {
        let (features, written) = match expand(&schema, &features, target)? {
            Some(expanded) => (expanded, Some(features)),
            None => (features, None),
        };
        let graph = resolve(&schema, &features, false)?;
        Ok(Self {
            schema,
            features,
            written,
            target: target.map(str::to_owned),
            graph,
        })
    }

    /// The same features with the column of the schema that they learn from, where they do. It is
    /// there to fit and not to serve, so no feature may be made of it.
    pub fn with_target(mut self, name: &str) -> Result<Self> {
        let position = self.schema.resolve(name)?;
        check_target(&self.schema.fields()[position])?;
        // Selectors leave the target out, which was not known when they became columns.
        if let Some(written) = self.written.take() {
            self = Self::build(self.schema, written, Some(name))?;
        }
        if self.graph.schema.position(name).is_some() {
            return Err(Error::invalid(format!(
                "column {name:?} is the target and cannot be a feature as well: it is not known when serving"
            )));
        }
        self.target = Some(name.to_owned());
        Ok(self)
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
        let spec = Self::new(schema, features)?;
        match document.target {
            Some(target) => spec.with_target(&target),
            None => Ok(spec),
        }
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
            target: self.target.clone(),
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

    /// The column that the features learn from, if one was named.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Does a feature learn from a target?
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.graph.supervised().is_some()
    }

    /// Can all that learns from a target learn from one of classes?
    #[must_use]
    pub fn learns_classes(&self) -> bool {
        self.graph.check_target(Type::Text).is_ok()
    }

    /// The column of the target. Rows in which it is missing teach nothing, so it may be.
    pub(crate) fn target_field(&self) -> Result<Option<Field>> {
        let Some(name) = &self.target else {
            return Ok(None);
        };
        let field = &self.schema.fields()[self.schema.resolve(name)?];
        Ok(Some(Field::nullable(name, field.dtype)))
    }

    /// The features, without selectors.
    #[must_use]
    pub fn features(&self) -> &[Expr] {
        &self.features
    }

    /// What is to be computed and learned, in order: each part once, with what shares it.
    #[must_use]
    pub fn explain(&self) -> String {
        explain(&self.graph, self.target(), None)
    }

    /// The names of the matrix's columns, or `None` where they depend on what a fit learns.
    pub fn names(&self) -> Result<Option<Vec<String>>> {
        let mut names = Vec::with_capacity(self.graph.features.len());
        for feature in &self.graph.features {
            if self.graph.learns_columns(feature) {
                return Ok(None);
            }
            names.extend(self.graph.names(feature)?);
        }
        Ok(Some(names))
    }

    /// How often the data is read by a fit: once for each level of nested learning.
    #[must_use]
    pub fn passes(&self) -> usize {
        let deepest = self.graph.nodes.iter().map(|node| node.level).max();
        deepest.unwrap_or(0).max(1)
    }
}

/// Checks that a column can be a target.
pub(crate) fn check_target(field: &Field) -> Result<()> {
    if matches!(
        field.dtype,
        DType::Bool | DType::Int64 | DType::Float64 | DType::String
    ) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "target {:?} is {}: a target is a bool, a number or a text, so compare it with something first",
        field.name, field.dtype
    )))
}

pub(crate) fn schema_value(schema: &Schema) -> Result<Value> {
    serde_json::from_str(&schema.to_json())
        .map_err(|error| Error::internal(format!("a schema has no JSON: {error}")))
}
