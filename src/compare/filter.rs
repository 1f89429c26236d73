//! Which rows of a comparison are wanted: `lr>0.001`, `tag=paper`.

use std::str::FromStr;

use thiserror::Error;

use crate::compare::{Column, ColumnError, Row};
use crate::record::Label;

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub(super) column: String,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    #[error("`{0}` is no condition; write `name=value`, or `!=`, `<`, `<=`, `>`, `>=` instead of `=`")]
    Form(String),
    #[error("`{0}` is no number, and only numbers are less or greater than others")]
    NoNumber(String),
}

/// Longer ones first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Filter {
    /// Whether a row fits. A cell without content is unequal to everything, and neither less nor greater.
    pub(super) fn fits(&self, row: &Row, columns: &[Column]) -> Result<bool, ColumnError> {
        let column = Column::find(&self.column, columns)?;
        if column == Column::Tags {
            let has = row.tags.iter().map(Label::as_str).any(|tag| tag == self.value);
            return Ok(has == (self.operator == Operator::Equal));
        }
        let Some(cell) = row.cell(&column) else { return Ok(self.operator == Operator::NotEqual) };
        Ok(match (cell.number(), number(&self.value)) {
            (Some(own), Some(wanted)) => match self.operator {
                Operator::Equal => own == wanted,
                Operator::NotEqual => own != wanted,
                Operator::Less => own < wanted,
                Operator::LessOrEqual => own <= wanted,
                Operator::Greater => own > wanted,
                Operator::GreaterOrEqual => own >= wanted,
            },
            _ => (cell.plain() == self.value) == (self.operator == Operator::Equal),
        })
    }
}

/// A number, or a percentage as metrics are shown.
fn number(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        let malformed = || FilterError::Form(text.to_owned());
        let at = text.find(['!', '<', '>', '=']).ok_or_else(malformed)?;
        let (column, rest) = text.split_at(at);
        let found = OPERATORS.iter().find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)));
        let (value, operator) = found.ok_or_else(malformed)?;
        let (column, value) = (column.trim().to_owned(), value.trim().to_owned());
        if column.is_empty() || value.is_empty() {
            return Err(malformed());
        }
        let is_ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_ordered && number(&value).is_none() {
            return Err(FilterError::NoNumber(value));
        }
        Ok(Filter { column, operator, value })
    }
}
