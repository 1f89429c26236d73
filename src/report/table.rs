//! Text in aligned columns.

use std::fmt;

/// Rows of cells; each column is as wide as its widest cell.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table that begins with this row.
    pub fn with_header<const N: usize>(header: [&str; N]) -> Table {
        Table { rows: vec![header.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.to_vec());
    }

    /// Whether there is no row but the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
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
