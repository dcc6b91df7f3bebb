//! The rows that a report shows of those that break a rule: the first ones, with their values.

use serde_json::{Map, Value};
use tidegate_schema::{Column, Table};

use super::column::json;

/// The least numbers of all that are pushed, at most so many.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: Vec<u64>,
    limit: usize,
}

impl Rows {
    pub const fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            limit,
        }
    }

    pub fn push(&mut self, row: u64) {
        if self.limit == 0 {
            return;
        }
        let at = self.rows.partition_point(|other| *other < row);
        if at < self.limit {
            self.rows.truncate(self.limit - 1);
            self.rows.insert(at, row);
        }
    }

    #[cfg(test)]
    pub fn into_vec(self) -> Vec<u64> {
        self.rows
    }

    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().copied()
    }
}

/// The first rows that break a rule, with the values of the columns that it looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    rows: Vec<(u64, Map<String, Value>)>,
    limit: usize,
}

/// What is needed to read a row's values: the table, the number of its first row in the stream,
/// and the rule's columns by position and name.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub table: &'a Table<'a>,
    pub before: u64,
    pub columns: &'a [(usize, String)],
}

impl Place<'_> {
    /// The values of a row of the table.
    fn values(&self, row: usize) -> Map<String, Value> {
        let column =
            |position: usize| -> Option<&Column<'_>> { self.table.columns().get(position) };
        self.columns
            .iter()
            .filter_map(|(position, name)| Some((name.clone(), json(column(*position)?, row))))
            .collect()
    }
}

impl Sample {
    pub const fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            limit,
        }
    }

    /// Are there as many as may be?
    pub const fn is_full(&self) -> bool {
        self.rows.len() >= self.limit
    }

    /// Takes a row of the table; rows come in order.
    pub fn push(&mut self, place: Place<'_>, row: usize) {
        if !self.is_full() {
            self.rows
                .push((place.before + row as u64, place.values(row)));
        }
    }

    /// Takes a row that is known by its number only.
    pub fn push_number(&mut self, row: u64) {
        if !self.is_full() {
            self.rows.push((row, Map::new()));
        }
    }

    /// Takes what another has seen in the rows after these.
    pub fn merge(&mut self, other: Self, before: u64) {
        for (row, values) in other.rows {
            if !self.is_full() {
                self.rows.push((row + before, values));
            }
        }
    }

    pub fn into_rows(self) -> Vec<(u64, Map<String, Value>)> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_rows_are_kept() {
        let mut rows = Rows::new(3);
        [9, 4, 7, 1, 8].into_iter().for_each(|row| rows.push(row));
        assert_eq!(rows.into_vec(), [1, 4, 7]);
        let mut none = Rows::new(0);
        none.push(1);
        assert!(none.into_vec().is_empty());
    }
}
