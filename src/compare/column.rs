//! The columns of a comparison, and how people name them.

use std::fmt;

use thiserror::Error;

use crate::key::StageId;
use crate::nearest::nearest;

/// What a column is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    Run,
    Name,
    Pipeline,
    Variant,
    Tags,
    Outcome,
    /// A parameter of the manifest, or `stage.key` of a stage.
    Param(String),
    Metric(MetricName),
}

/// A metric of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    pub stage: StageId,
    pub metric: String,
}

/// No single column is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ColumnError {
    #[error("there is no parameter or metric `{name}`; {}", match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", known.join(", ")),
    })]
    Unknown { name: String, meant: Option<String>, known: Vec<String> },
    #[error("`{name}` is a metric of several stages: {}", meant.join(", "))]
    Ambiguous { name: String, meant: Vec<String> },
}

impl Column {
    /// The columns that do not depend on the runs.
    pub(super) const FIXED: [Column; 6] = [Column::Run, Column::Name, Column::Pipeline, Column::Variant, Column::Tags, Column::Outcome];

    /// The column that is meant by its title, or if it is a metric's, by the metric alone.
    pub(super) fn find(name: &str, columns: &[Column]) -> Result<Column, ColumnError> {
        let is_metric = |column: &&Column| matches!(column, Column::Metric(own) if own.metric == name);
        let is_tag = |column: &Column| name == "tag" && *column == Column::Tags;
        if let Some(column) = columns.iter().find(|column| column.to_string() == name || is_tag(column)) {
            return Ok(column.clone());
        }
        match &columns.iter().filter(is_metric).collect::<Vec<_>>()[..] {
            [single] => Ok((*single).clone()),
            [] => Err(unknown(name, columns)),
            several => {
                Err(ColumnError::Ambiguous { name: name.to_owned(), meant: several.iter().map(|column| column.to_string()).collect() })
            }
        }
    }
}

fn unknown(name: &str, columns: &[Column]) -> ColumnError {
    let titles: Vec<String> = columns.iter().map(Column::to_string).collect();
    let metrics = columns.iter().filter_map(|column| match column {
        Column::Metric(own) => Some(own.metric.as_str()),
        _ => None,
    });
    let meant = nearest(name, titles.iter().map(String::as_str).chain(metrics)).map(str::to_owned);
    let dynamic = titles.into_iter().skip(Column::FIXED.len());
    ColumnError::Unknown { name: name.to_owned(), meant, known: dynamic.collect() }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::Run => f.write_str("run"),
            Column::Name => f.write_str("name"),
            Column::Pipeline => f.write_str("pipeline"),
            Column::Variant => f.write_str("variant"),
            Column::Tags => f.write_str("tags"),
            Column::Outcome => f.write_str("outcome"),
            Column::Param(name) => f.write_str(name),
            Column::Metric(MetricName { stage, metric }) => write!(f, "{stage} {metric}"),
        }
    }
}
