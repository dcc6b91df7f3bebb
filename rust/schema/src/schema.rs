//! Ordered, typed columns of raw input, with a fingerprint that is the same on every machine.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{DType, Error, Result};

/// The version written into serialised schemas.
const VERSION: u32 = 1;
/// Most columns a schema may have: a bound on what a request can make us allocate.
pub const MAX_FIELDS: usize = 10_000;

/// One raw column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Unique within the schema; not empty.
    pub name: String,
    /// The type of the values.
    pub dtype: DType,
    /// May values be missing?
    pub nullable: bool,
}

impl Field {
    /// A column that may have missing values.
    pub fn nullable(name: impl Into<String>, dtype: DType) -> Self {
        Self {
            name: name.into(),
            dtype,
            nullable: true,
        }
    }

    /// A column whose values are always there.
    pub fn required(name: impl Into<String>, dtype: DType) -> Self {
        Self {
            name: name.into(),
            dtype,
            nullable: false,
        }
    }
}

/// Ordered, typed columns of raw input.
#[derive(Clone, Debug)]
pub struct Schema {
    fields: Vec<Field>,
    index: HashMap<String, usize>,
}

/// The serialised form; field order is the canonical order of its keys.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    fields: Vec<Field>,
    version: u32,
}

impl Schema {
    /// A schema of these columns; names must be unique and not empty.
    pub fn new(fields: Vec<Field>) -> Result<Self> {
        if fields.len() > MAX_FIELDS {
            return Err(Error::invalid(format!(
                "a schema of {} columns exceeds the limit of {MAX_FIELDS}",
                fields.len()
            )));
        }
        let mut index = HashMap::with_capacity(fields.len());
        for (position, field) in fields.iter().enumerate() {
            if field.name.is_empty() {
                return Err(Error::invalid(format!(
                    "column {position} has an empty name: give every column a name"
                )));
            }
            if index.insert(field.name.clone(), position).is_some() {
                return Err(Error::invalid(format!(
                    "column {:?} appears twice: column names must be unique",
                    field.name
                )));
            }
        }
        Ok(Self { fields, index })
    }

    /// The columns in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How many columns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True for a schema without columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Where a column stands.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Where a column stands, or an error that names the nearest column.
    pub fn resolve(&self, name: &str) -> Result<usize> {
        self.position(name).ok_or_else(|| {
            let hint = match self.nearest(name) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!(
                    "the columns are {}",
                    self.fields
                        .iter()
                        .map(|f| f.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            };
            Error::invalid(format!("unknown column {name:?}: {hint}"))
        })
    }

    /// The column whose name is nearest to a misspelt one, if any is near.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .map(|field| (edit_distance(name, &field.name), field.name.as_str()))
            .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
            .min()
            .map(|(_, candidate)| candidate)
    }

    /// The schema of some of the columns, in the order given.
    pub fn select(&self, positions: &[usize]) -> Result<Self> {
        let mut fields = Vec::with_capacity(positions.len());
        for &position in positions {
            let field = self.fields.get(position).ok_or_else(|| {
                Error::internal(format!("column position {position} is outside the schema"))
            })?;
            fields.push(field.clone());
        }
        Self::new(fields)
    }

    /// Canonical JSON: sorted keys, no white space, columns in order.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            fields: self.fields.clone(),
            version: VERSION,
        };
        // `Value` sorts keys, which makes the text canonical.
        serde_json::to_value(&document)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }

    /// Reads what [`Schema::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        let document: Document = serde_json::from_str(text)
            .map_err(|error| Error::state(format!("not a schema: {error}")))?;
        if document.version > VERSION {
            return Err(Error::state(format!(
                "schema version {} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate",
                document.version
            )));
        }
        Self::new(document.fields)
    }

    /// `sha256:` and the hexadecimal digest of the canonical JSON.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.to_json().as_bytes());
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in digest {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Schema {}

/// Levenshtein distance over characters (two-row dynamic programme).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    let mut current = vec![0; b.len() + 1];
    for (i, x) in a.chars().enumerate() {
        current[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitution = previous[j] + usize::from(x != *y);
            current[j + 1] = substitution.min(previous[j + 1] + 1).min(current[j] + 1);
        }
        std::mem::swap(&mut previous, &mut current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Schema {
        Schema::new(vec![
            Field::required("distance", DType::Float64),
            Field::nullable("carrier", DType::String),
        ])
        .unwrap()
    }

    #[test]
    fn round_trips_through_canonical_json() {
        let schema = sample();
        let text = schema.to_json();
        assert_eq!(
            text,
            r#"{"fields":[{"dtype":"float64","name":"distance","nullable":false},{"dtype":"string","name":"carrier","nullable":true}],"version":1}"#
        );
        assert_eq!(Schema::from_json(&text).unwrap(), schema);
    }

    #[test]
    fn fingerprint_depends_on_order_and_type() {
        let schema = sample();
        assert!(schema.fingerprint().starts_with("sha256:"));
        assert_ne!(
            schema.fingerprint(),
            schema.select(&[1, 0]).unwrap().fingerprint()
        );
    }

    #[test]
    fn unknown_column_names_the_nearest() {
        let error = sample().resolve("distanse").unwrap_err();
        assert_eq!(
            error.message,
            r#"unknown column "distanse": did you mean "distance"?"#
        );
    }

    #[test]
    fn duplicate_and_empty_names_are_refused() {
        let twice = vec![
            Field::nullable("a", DType::Bool),
            Field::nullable("a", DType::Int64),
        ];
        assert!(Schema::new(twice).unwrap_err().message.contains("twice"));
        assert!(Schema::new(vec![Field::nullable("", DType::Bool)]).is_err());
    }

    #[test]
    fn a_future_version_is_refused_with_the_mend() {
        let error = Schema::from_json(r#"{"fields":[],"version":2}"#).unwrap_err();
        assert!(error.message.contains("upgrade tidegate"), "{error}");
    }
}
