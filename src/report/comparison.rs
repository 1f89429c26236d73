//! Runs and variants in a table.

use serde_json::{Map, Value, json};

use crate::compare::{Cell, Column, Comparison, Row};
use crate::report::{Table, phrase};

/// The comparison for people: fractions in percent.
pub fn comparison(comparison: &Comparison) -> Table {
    table(comparison, |cell| match cell {
        Cell::Metric(name, value) => phrase::metric(name, value),
        other => other.plain(),
    })
}

/// The comparison for programs: all numbers in full.
pub fn plain_comparison(comparison: &Comparison) -> Table {
    table(comparison, |cell| cell.plain())
}

/// A list with an object for each row, whose keys are the columns' titles.
pub fn comparison_json(comparison: &Comparison) -> Value {
    let value = |cell: Cell<'_>| match cell {
        Cell::Text(text) => json!(text),
        Cell::Value(value) => value.clone(),
        Cell::Metric(_, value) => json!(value),
    };
    let object = |row: &Row| -> Map<String, Value> {
        let cell = |column: &Column| (column.to_string(), row.cell(column).map(value).unwrap_or_default());
        comparison.columns.iter().map(cell).collect()
    };
    comparison.rows.iter().map(|row| Value::Object(object(row))).collect()
}

fn table(comparison: &Comparison, shown: impl Fn(Cell<'_>) -> String) -> Table {
    let Comparison { columns, rows, .. } = comparison;
    let mut table = Table::with_header(columns.iter().map(Column::to_string));
    for row in rows {
        table.push(columns.iter().map(|column| row.cell(column).map(&shown).unwrap_or_default()));
    }
    table
}
