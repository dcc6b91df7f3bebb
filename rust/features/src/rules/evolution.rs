//! What has changed between two schemas, and who can still read what.

use serde::Serialize;
use tidegate_schema::{DType, Schema};

/// Who can read data across a change, in the terms of schema registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// Readers of the new schema read old data, and readers of the old schema read new data.
    Full,
    /// Readers of the new schema read old data: upgrade readers first.
    Backward,
    /// Readers of the old schema read new data: upgrade writers first.
    Forward,
    /// Neither.
    None,
}

impl Compatibility {
    /// What is left when both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Full, other) => other,
            (one, Self::Full) => one,
            (Self::Backward, Self::Backward) => Self::Backward,
            (Self::Forward, Self::Forward) => Self::Forward,
            _ => Self::None,
        }
    }
}

/// One difference between two schemas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The column.
    pub column: String,
    /// What has become of it.
    pub change: String,
    /// Who can still read what.
    pub compatibility: Compatibility,
}

/// The changes from one schema to another, in the order of the new one, then what was removed.
///
/// A nullable column may come and go, since an absent one is all missing. A column may become
/// nullable for new readers, and stop being so for old ones. Integers widen to floats. The order
/// of columns means nothing, since columns are found by name.
#[must_use]
pub fn compare(old: &Schema, new: &Schema) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |column: &str, change: String, compatibility| {
        changes.push(Change {
            column: column.to_owned(),
            change,
            compatibility,
        });
    };
    for field in new.fields() {
        let before = old
            .position(&field.name)
            .and_then(|at| old.fields().get(at));
        let Some(before) = before else {
            let (word, compatibility) = if field.nullable {
                ("added, nullable", Compatibility::Full)
            } else {
                ("added, required", Compatibility::Forward)
            };
            add(
                &field.name,
                format!("{word}: {}", field.dtype),
                compatibility,
            );
            continue;
        };
        if before.dtype != field.dtype {
            let compatibility = match (before.dtype, field.dtype) {
                (DType::Int64, DType::Float64) => Compatibility::Backward,
                (DType::Float64, DType::Int64) => Compatibility::Forward,
                _ => Compatibility::None,
            };
            let change = format!("type {} -> {}", before.dtype, field.dtype);
            add(&field.name, change, compatibility);
        }
        match (before.nullable, field.nullable) {
            (false, true) => add(
                &field.name,
                "may be missing".to_owned(),
                Compatibility::Backward,
            ),
            (true, false) => add(
                &field.name,
                "may no longer be missing".to_owned(),
                Compatibility::Forward,
            ),
            _ => {}
        }
    }
    for field in old.fields() {
        if new.position(&field.name).is_none() {
            let compatibility = if field.nullable {
                Compatibility::Full
            } else {
                Compatibility::Backward
            };
            add(&field.name, "removed".to_owned(), compatibility);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use tidegate_schema::Field;

    use super::*;

    fn one(old: &[Field], new: &[Field]) -> Compatibility {
        let changes = compare(
            &Schema::new(old.to_vec()).unwrap(),
            &Schema::new(new.to_vec()).unwrap(),
        );
        changes.iter().fold(Compatibility::Full, |all, change| {
            all.and(change.compatibility)
        })
    }

    #[test]
    fn each_change_says_who_can_still_read() {
        use Compatibility::{Backward, Forward, Full, None};
        let integer = Field::required("x", DType::Int64);
        let float = Field::required("x", DType::Float64);
        let optional = Field::nullable("x", DType::Int64);
        let text = Field::required("x", DType::String);
        let more = Field::nullable("y", DType::Bool);
        let due = Field::required("y", DType::Bool);
        for (old, new, expected) in [
            (vec![integer.clone()], vec![integer.clone()], Full),
            (vec![integer.clone()], vec![float.clone()], Backward),
            (vec![float], vec![integer.clone()], Forward),
            (vec![integer.clone()], vec![optional.clone()], Backward),
            (vec![optional], vec![integer.clone()], Forward),
            (vec![integer.clone()], vec![text], None),
            (
                vec![integer.clone()],
                vec![integer.clone(), more.clone()],
                Full,
            ),
            (vec![integer.clone(), more], vec![integer.clone()], Full),
            (
                vec![integer.clone()],
                vec![integer.clone(), due.clone()],
                Forward,
            ),
            (
                vec![integer.clone(), due.clone()],
                vec![integer.clone()],
                Backward,
            ),
            (vec![integer.clone()], vec![due], None),
        ] {
            assert_eq!(one(&old, &new), expected, "{old:?} -> {new:?}");
        }
    }
}
