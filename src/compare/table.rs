//! A table over runs and variants: which columns it has, which rows, in which order.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::compare::{Cell, Column, ColumnError, Filter, Nature, Row};
use crate::event::RunOutcome;

/// Rows with the columns that tell them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// Every column that there could be, of rows that were filtered out too.
    all: Vec<Column>,
}

/// Which way to sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The best first; of what is neither better nor worse, the least.
    BestFirst,
    Ascending,
    Descending,
}

impl Comparison {
    /// The rows that fit all filters, with the columns that differ and all metrics.
    pub fn new(mut rows: Vec<Row>, filters: &[Filter]) -> Result<Comparison, ColumnError> {
        let all = all_columns(&rows);
        // Without runs there are no columns that a filter could be wrong about.
        for filter in if rows.is_empty() { &[] } else { filters } {
            let fits = rows.iter().map(|row| filter.fits(row, &all)).collect::<Result<Vec<_>, _>>()?;
            let mut fits = fits.into_iter();
            rows.retain(|_| fits.next().unwrap_or(false));
        }
        Ok(Comparison { columns: telling_columns(&rows), rows, all })
    }

    /// A row for each variant of one run, with its metrics; no columns but the first if there is none.
    pub fn of_variants(rows: Vec<Row>) -> Comparison {
        let all: Vec<Column> = [Column::Variant].into_iter().chain(metric_columns(&rows)).collect();
        Comparison { columns: all.clone(), rows, all }
    }

    /// Shows these columns instead.
    pub fn choose(&mut self, names: &[String]) -> Result<(), ColumnError> {
        self.columns = names.iter().map(|name| Column::find(name.trim(), &self.all)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Sorts the rows by a column, those without a value last; equal ones stay in order.
    pub fn sort(&mut self, name: &str, order: Order) -> Result<(), ColumnError> {
        let column = Column::find(name, &self.all)?;
        let descends = match (order, &column) {
            (Order::BestFirst, Column::Metric(metric)) => Nature::of(&metric.metric).is_better(1.0) == Some(true),
            (Order::BestFirst | Order::Ascending, _) => false,
            (Order::Descending, _) => true,
        };
        self.rows.sort_by(|a, b| match (a.cell(&column), b.cell(&column)) {
            (Some(a), Some(b)) => {
                let ascending = match (a.number(), b.number()) {
                    (Some(a), Some(b)) => a.total_cmp(&b),
                    _ => a.plain().cmp(&b.plain()),
                };
                if descends { ascending.reverse() } else { ascending }
            }
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        Ok(())
    }
}

/// Every column that there could be.
fn all_columns(rows: &[Row]) -> Vec<Column> {
    Column::FIXED.into_iter().chain(params(rows).map(Column::Param)).chain(metric_columns(rows)).collect()
}

fn telling_columns(rows: &[Row]) -> Vec<Column> {
    let differs = |column: &Column| {
        let mut known = rows.iter().filter(|row| knows(row, column)).map(|row| row.cell(column));
        known.next().is_some_and(|first| known.any(|other| other != first))
    };
    let is_there = |column: &Column| rows.iter().any(|row| row.cell(column).is_some());
    let mut params: Vec<Column> = params(rows).map(Column::Param).filter(differs).collect();
    // A value that the manifest's parameters have already is not told again as that of a stage.
    params.sort_by_key(is_of_stage);
    let mut told: Vec<Column> = Vec::new();
    for param in params {
        let is_told = |other: &Column| rows.iter().all(|row| !knows(row, &param) || is_same(row.cell(&param), row.cell(other)));
        if !is_of_stage(&param) || !told.iter().any(is_told) {
            told.push(param);
        }
    }
    let about = [
        (Column::Name, is_there(&Column::Name)),
        (Column::Pipeline, differs(&Column::Pipeline)),
        (Column::Tags, is_there(&Column::Tags)),
        (Column::Outcome, rows.iter().any(|row| row.outcome != RunOutcome::Succeeded.as_str())),
    ];
    let about = about.into_iter().filter_map(|(column, is_told)| is_told.then_some(column));
    // A variant's name says what its parameters say, unless none does.
    let variant = (told.is_empty() && is_there(&Column::Variant)).then_some(Column::Variant);
    [Column::Run].into_iter().chain(about).chain(variant).chain(told).chain(metric_columns(rows)).collect()
}

/// A list of one value is that value: `c: [0.1]` is what `c: ['${c}']` became.
fn is_same(a: Option<Cell<'_>>, b: Option<Cell<'_>>) -> bool {
    let alone = |cell: &Option<Cell<'_>>| match cell {
        Some(Cell::Value(Value::Array(values))) if values.len() == 1 => values[0].clone(),
        Some(cell) => cell.number().map_or_else(|| Value::from(cell.plain()), Value::from),
        None => Value::Null,
    };
    let (a, b) = (alone(&a), alone(&b));
    a == b || a.as_f64().is_some_and(|number| b.as_f64() == Some(number))
}

/// Of a stage that gave no result, no parameter is known; of any other, one that is not there is not given.
fn knows(row: &Row, column: &Column) -> bool {
    let Column::Param(name) = column else { return true };
    name.split_once('.').is_none_or(|(stage, _)| row.params.keys().any(|own| own.split_once('.').is_some_and(|(of, _)| of == stage)))
}

fn is_of_stage(column: &Column) -> bool {
    matches!(column, Column::Param(name) if name.contains('.'))
}

fn params(rows: &[Row]) -> impl Iterator<Item = String> {
    rows.iter().flat_map(|row| row.params.keys().cloned()).collect::<BTreeSet<_>>().into_iter()
}

/// The metrics of all rows in the order in which they first appear.
fn metric_columns(rows: &[Row]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.metrics) {
        let column = Column::Metric(name.clone());
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::compare::MetricName;

    fn row(run: &str, lr: f64, metrics: &[(&str, &str, f64)]) -> Row {
        let name = |stage: &str, metric: &str| MetricName { stage: stage.parse().unwrap(), metric: metric.to_owned() };
        Row {
            run: run.to_owned(),
            name: None,
            tags: BTreeSet::from([format!("tag-{run}").parse().unwrap()]),
            pipeline: "dogs".to_owned(),
            outcome: "succeeded",
            variant: None,
            params: BTreeMap::from([
                ("lr".to_owned(), json!(lr)),
                ("train.optimizer.adam.lr".to_owned(), json!(lr)),
                ("train.batch".to_owned(), json!(if run == "c" { 32 } else { 64 })),
                ("same".to_owned(), json!("x")),
            ]),
            metrics: metrics.iter().map(|(stage, metric, value)| (name(stage, metric), *value)).collect(),
            stages: Vec::new(),
            is_complete: true,
        }
    }

    fn rows() -> Vec<Row> {
        vec![
            row("a", 0.01, &[("eval", "rank-1", 0.5), ("train", "val-loss", 1.5), ("ten-crop", "gain", 0.0)]),
            row("b", 0.001, &[("eval", "rank-1", 0.75), ("train", "val-loss", 0.5)]),
            row("c", 0.1, &[("train", "val-loss", 2.5)]),
        ]
    }

    fn runs(comparison: &Comparison) -> String {
        comparison.rows.iter().map(|row| row.run.as_str()).collect()
    }

    fn filtered(filter: &str) -> Result<String, String> {
        let filter: Filter = filter.parse().map_err(|error: crate::compare::FilterError| error.to_string())?;
        Comparison::new(rows(), &[filter]).map(|found| runs(&found)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_columns_are_what_differs_and_every_metric() {
        let titles: Vec<String> = Comparison::new(rows(), &[]).unwrap().columns.iter().map(Column::to_string).collect();
        assert_eq!(titles, ["run", "tags", "lr", "train.batch", "eval rank-1", "train val-loss", "ten-crop gain"]);
    }

    #[test]
    fn a_stage_without_a_result_does_not_differ_by_what_is_not_known_of_it() {
        let mut rows = rows();
        rows.truncate(2);
        rows[1].params.retain(|name, _| !name.contains('.'));
        let titles: Vec<String> = Comparison::new(rows, &[]).unwrap().columns.iter().map(Column::to_string).collect();
        assert_eq!(titles, ["run", "tags", "lr", "eval rank-1", "train val-loss", "ten-crop gain"]);
    }

    #[test]
    fn the_best_comes_first_and_what_was_not_measured_last() {
        let sorted = |name: &str, order| {
            let mut comparison = Comparison::new(rows(), &[]).unwrap();
            comparison.sort(name, order).map(|()| runs(&comparison)).map_err(|error| error.to_string())
        };
        assert_eq!(sorted("rank-1", Order::BestFirst).unwrap(), "bac");
        assert_eq!(sorted("eval rank-1", Order::Ascending).unwrap(), "abc");
        assert_eq!(sorted("val-loss", Order::BestFirst).unwrap(), "bac");
        assert_eq!(sorted("val-loss", Order::Descending).unwrap(), "cab");
        assert_eq!(sorted("lr", Order::BestFirst).unwrap(), "bac");
        assert_eq!(sorted("rank1", Order::BestFirst).unwrap_err(), "there is no parameter or metric `rank1`; did you mean `rank-1`?");
    }

    #[test]
    fn a_filter_compares_numbers_texts_and_tags() {
        let cases = [
            ("lr>0.001", "ac"),
            ("lr<=1e-2", "ab"),
            ("rank-1 >= 75%", "b"),
            ("eval rank-1!=0.5", "bc"),
            ("tag=tag-a", "a"),
            ("tag!=tag-a", "bc"),
            ("run==b", "b"),
            ("same=y", ""),
        ];
        for (filter, expected) in cases {
            assert_eq!(filtered(filter).unwrap(), expected, "{filter}");
        }
        let errors = ["lr", "=3", "lr>big", "rank>3"].map(|filter| filtered(filter).unwrap_err());
        let form = |text: &str| format!("`{text}` is no condition; write `name=value`, or `!=`, `<`, `<=`, `>`, `>=` instead of `=`");
        assert_eq!(errors[..2], [form("lr"), form("=3")]);
        assert_eq!(errors[2], "`big` is no number, and only numbers are less or greater than others");
        assert!(errors[3].starts_with("there is no parameter or metric `rank`; "), "{}", errors[3]);
    }
}
