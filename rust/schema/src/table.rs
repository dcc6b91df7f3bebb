//! Borrowed columns of equal length, in the order of a schema.

use crate::{Column, Error, Result, Schema};

/// Columns of equal length, in the order of the schema that the producer resolved them against.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
}

impl<'a> Table<'a> {
    /// A table of these columns, each of `rows` values.
    pub fn new(columns: Vec<Column<'a>>, rows: usize) -> Result<Self> {
        for (position, column) in columns.iter().enumerate() {
            if column.len() != rows {
                return Err(Error::invalid(format!(
                    "column {position} has {} rows where {rows} are due: columns must be of one length",
                    column.len()
                )));
            }
        }
        Ok(Self { columns, rows })
    }

    /// The columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The rows `start .. start + rows`.
    #[must_use]
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        let columns = self
            .columns
            .iter()
            .map(|column| column.slice(start, rows))
            .collect();
        Self { columns, rows }
    }

    /// Checks number, types and nulls of the columns against a schema, and names the first that
    /// does not fit with its row.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        if self.columns.len() != schema.len() {
            return Err(Error::invalid(format!(
                "the table has {} columns where the schema has {}",
                self.columns.len(),
                schema.len()
            )));
        }
        for (column, field) in self.columns.iter().zip(schema.fields()) {
            if column.dtype() != field.dtype {
                let message = format!(
                    "column {:?} is {} where the schema says {}",
                    field.name,
                    column.dtype(),
                    field.dtype
                );
                return Err(Error::invalid(message).mistyped(&field.name));
            }
            if !field.nullable
                && let Some(row) = (0..self.rows).find(|&row| column.is_missing(row))
            {
                return Err(Error::invalid(format!(
                    "column {:?} is missing in row {row} but may not be: send a value, or make the column nullable",
                    field.name
                )));
            }
        }
        Ok(())
    }
}
