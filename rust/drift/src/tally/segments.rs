//! The values of a column by which rows are told apart.

use tidegate_schema::Column;

use crate::quality::SEGMENT_NAME_LIMIT;
use crate::{Baseline, NO_SEGMENT, OTHER_SEGMENT, Reference, Role};

/// Most values that are told apart, that of rows without one among them; the rest is one segment.
pub const SEGMENTS: usize = 16;

/// The place of further values, and that of none.
const OTHER: usize = SEGMENTS;
const MISSING: usize = SEGMENTS + 1;
/// Most values with a name of their own.
const NAMED: usize = SEGMENTS - 1;

/// Which values are told apart: the most frequent of a baseline, so that every version and every
/// replica tells the same ones apart. Where the baseline does not name the column's values (whole
/// numbers, or no baseline) it is the first that come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    names: Vec<String>,
    /// Is there room for values that come?
    open: bool,
}

/// A name of a segment as a number that a float holds exactly: 53 bits of FNV-1a.
#[must_use]
pub fn segment_key(name: &str) -> u64 {
    fnv(name.as_bytes()) >> 11
}

/// FNV-1a over bytes: tells names apart, and is no protection against anybody.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Segments {
    /// The segments of a column.
    #[must_use]
    pub fn new(column: &str, baseline: Option<&Baseline>) -> Self {
        let mut watched = baseline.map_or_else(Default::default, |baseline| {
            baseline.columns().iter().collect::<Vec<_>>()
        });
        watched.retain(|watched| watched.role == Role::Feature && watched.name == column);
        let Some(Reference::Categorical(known)) = watched.first().map(|watched| &watched.reference)
        else {
            return Self {
                names: Vec::new(),
                open: true,
            };
        };
        let mut values: Vec<(&str, u64)> = known
            .values()
            .filter(|(name, _)| name.len() <= SEGMENT_NAME_LIMIT)
            .collect();
        // Those of a bool column stand in another order; equal counts keep that of the values.
        values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self {
            names: values
                .into_iter()
                .take(NAMED)
                .map(|(name, _)| name.to_owned())
                .collect(),
            open: false,
        }
    }

    /// The place of a value's segment, whose name [`Segments::named`] tells.
    pub fn place(&mut self, value: Option<&str>) -> usize {
        let Some(value) = value else {
            return MISSING;
        };
        if let Some(place) = self.names.iter().position(|name| name == value) {
            return place;
        }
        if !self.open || self.names.len() >= NAMED || value.len() > SEGMENT_NAME_LIMIT {
            return OTHER;
        }
        self.names.push(value.to_owned());
        self.names.len() - 1
    }

    /// The place of the segment of a row of the column.
    pub fn of(&mut self, column: &Column<'_>, row: usize) -> usize {
        match column {
            Column::String(values) => self.place(values.get(row)),
            Column::Int64(values) => {
                let value = values.get(row).map(|value| value.to_string());
                self.place(value.as_deref())
            }
            Column::Bool(values) => {
                let value = values.get(row);
                self.place(value.map(|value| if value == 0 { "false" } else { "true" }))
            }
            _ => MISSING,
        }
    }

    /// The name of a place.
    #[must_use]
    pub fn named(&self, place: usize) -> &str {
        match self.names.get(place) {
            Some(name) => name,
            None if place == MISSING => NO_SEGMENT,
            None => OTHER_SEGMENT,
        }
    }

    /// The segment whose [`segment_key`] this is; `None` for one that is not known.
    #[must_use]
    pub fn by_key(&self, key: u64) -> Option<&str> {
        let names = self.names.iter().map(String::as_str);
        names
            .chain([OTHER_SEGMENT, NO_SEGMENT])
            .find(|name| segment_key(name) == key)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_schema::{ColumnBuf, DType};

    use super::*;

    #[test]
    fn the_first_values_are_told_apart_and_the_rest_is_one() {
        let mut segments = Segments::new("day", None);
        let mut column = ColumnBuf::new(DType::Int64, 0);
        (0..40).for_each(|day| column.push_i64(day).unwrap());
        column.push_null();
        let view = column.view();
        let places: Vec<usize> = (0..41).map(|row| segments.of(&view, row)).collect();
        let names: Vec<&str> = places.iter().map(|place| segments.named(*place)).collect();
        assert_eq!((names[0], names[14]), ("0", "14"));
        assert!(names[15..40].iter().all(|name| *name == OTHER_SEGMENT));
        assert_eq!(names[40], NO_SEGMENT);
        assert_eq!(segments.clone().place(Some("14")), places[14]);
        for name in ["0", "14", OTHER_SEGMENT, NO_SEGMENT] {
            assert_eq!(segments.by_key(segment_key(name)), Some(name));
        }
        assert_eq!(segments.by_key(segment_key("39")), None);
    }

    #[test]
    fn keys_are_whole_numbers_of_a_float() {
        for name in ["", "EWR", "Zürich", OTHER_SEGMENT] {
            let key = segment_key(name);
            assert_eq!(key as f64 as u64, key);
        }
        // Of all releases, since rows that wait for their labels carry it.
        assert_eq!(segment_key(""), 0xcbf2_9ce4_8422_2325 >> 11);
    }
}
