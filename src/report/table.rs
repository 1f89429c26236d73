//! Text in aligned columns.

use std::fmt;

/// Rows of cells; each column is as wide as its widest cell.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table that begins with this row.
    pub fn with_header<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Table {
        Table { rows: vec![header.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Whether there is no row but the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The table without the columns that have nothing but a header.
    pub fn without_empty_columns(mut self) -> Table {
        let columns = self.rows.first().map_or(0, Vec::len);
        let is_filled = |column: usize| self.rows.iter().skip(1).any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()));
        let filled: Vec<bool> = (0..columns).map(is_filled).collect();
        for row in &mut self.rows {
            let mut filled = filled.iter();
            row.retain(|_| filled.next().is_none_or(|filled| *filled));
        }
        self
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let cells: Vec<String> = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", self.width(column))).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}
