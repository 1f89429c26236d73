//! Text in aligned columns.

use std::{fmt, io};

use crate::artifact::write_csv;

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

    /// The table in Markdown, aligned too.
    pub fn to_markdown(&self) -> String {
        let escaped = |cell: &String| cell.replace('|', "\\|");
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(escaped).collect()).collect();
        let table = Table { rows };
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let widths = table.widths();
        let padded = |row: &Vec<String>| row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let columns = table.rows.first().map_or(0, Vec::len);
        let rule = widths.iter().take(columns).map(|width| "-".repeat((*width).max(3))).collect();
        let mut lines = table.rows.iter().map(|row| line(padded(row)));
        lines.next().unwrap_or_default() + &line(rule) + &lines.collect::<String>()
    }

    /// Writes the table as comma-separated values.
    pub fn write_csv(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write_csv(out, &self.rows)
    }

    /// Of every column.
    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}
