//! A row of the table: what is measured, beside what, and what was to be reached.
//!
//! All sides of a row run in turn, round by round, and a ratio is taken within each round: times drift on most machines, by more than
//! the differences that are to be seen. Rounds in which others used the machine are repeated, as often as is bearable.

use std::time::Instant;

use packtrain::report::Table;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::measure::{Sample, sample};

/// A row that can be asked for.
pub struct Row {
    pub name: String,
    /// For people, in a line.
    pub what: String,
    pub group: Group,
    unit: Unit,
    contest: Box<Prepare>,
}

/// Makes the data of a row and says who runs.
type Prepare = dyn Fn(&Bench) -> Result<Contest, BenchError>;

/// When a row is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Always.
    Standard,
    /// When it is asked for: how cost grows with the amount of data, and falls with threads.
    Scaling,
}

/// What the numbers of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Mebibytes,
    /// Images a second.
    Images,
}

/// The sides of a row.
pub struct Contest {
    pub ours: Side,
    /// The peers, limits and other points of comparison.
    pub others: Vec<Side>,
    /// Known numbers that are not measured here.
    pub stated: Vec<Stated>,
    pub aim: Aim,
}

/// Something that can be measured once.
pub struct Side {
    pub name: String,
    pub run: Box<dyn FnMut() -> Result<f64, BenchError>>,
    /// A process that does the work, where that is no child that ends with it.
    pub helper: Option<u32>,
}

/// A number from elsewhere.
pub struct Stated {
    pub name: String,
    pub value: f64,
    /// Where it comes from.
    pub source: &'static str,
}

/// What is to be reached.
pub enum Aim {
    /// Nothing in particular: the row shows how things are.
    Shown,
    /// So many times as good as a side.
    Times { side: String, factor: f64 },
    /// This value, or a better one.
    Value(f64),
}

/// What was measured.
pub struct Outcome {
    names: Vec<String>,
    /// By round, in the order of the names; ours is the first.
    rounds: Vec<Vec<Sample>>,
    stated: Vec<Stated>,
    aim: Aim,
}

/// How long a row may take, and how many rounds it is to have at most.
const SECONDS: f64 = 20.0;
const ROUNDS: usize = 25;

/// From so many cores on, others disturb.
const DISTURBING: f64 = 0.25;

impl Row {
    /// A row that is always measured.
    pub fn new(
        name: impl Into<String>,
        what: impl Into<String>,
        unit: Unit,
        contest: impl Fn(&Bench) -> Result<Contest, BenchError> + 'static,
    ) -> Row {
        Row { name: name.into(), what: what.into(), group: Group::Standard, unit, contest: Box::new(contest) }
    }

    /// The same, to be measured only when it is asked for.
    pub fn in_group(self, group: Group) -> Row {
        Row { group, ..self }
    }

    /// Measures the row: every side once for nothing, then all in turn.
    pub fn measure(&self, bench: &Bench) -> Result<Outcome, BenchError> {
        let Contest { ours, others, stated, aim } = (self.contest)(bench)?;
        let mut sides: Vec<Side> = std::iter::once(ours).chain(others).collect();
        let started = Instant::now();
        round(&mut sides, 0)?;
        let each = started.elapsed().as_secs_f64();
        let wanted = ((SECONDS / each) as usize).clamp(bench.rounds, ROUNDS);
        let mut rounds = Vec::new();
        for number in 0..2 * wanted {
            rounds.push(round(&mut sides, number)?);
            if rounds.iter().filter(|round| is_quiet(round)).count() >= wanted {
                break;
            }
        }
        // The quiet ones first, and no more than wanted: those in which others did least.
        rounds.sort_by(|a, b| foreign(a).total_cmp(&foreign(b)));
        rounds.truncate(wanted);
        Ok(Outcome { names: sides.into_iter().map(|side| side.name).collect(), rounds, stated, aim })
    }
}

impl Group {
    /// As it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Group::Standard => "standard",
            Group::Scaling => "scaling",
        }
    }
}

impl Unit {
    fn symbol(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Mebibytes => "MiB",
            Unit::Images => "images/s",
        }
    }

    /// How many times as good the first value is as the second.
    fn times(self, value: f64, other: f64) -> f64 {
        match self {
            Unit::Seconds | Unit::Mebibytes => other / value,
            Unit::Images => value / other,
        }
    }
}

impl Side {
    /// A side whose work is done by this process and by children that end with it.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> Result<f64, BenchError> + 'static) -> Side {
        Side { name: name.into(), run: Box::new(run), helper: None }
    }
}

/// The first line of the table.
pub fn header() -> Table {
    Table::with_header(["row", "unit", "packtrain", "spread", "beside", "value", "ratio", "aim", "reached", "foreign cores"])
}

impl Outcome {
    /// The row's lines: ours, and each other side below the one before.
    pub fn lines(&self, row: &Row) -> Vec<Vec<String>> {
        let ours = self.column(0);
        let (aim, reached) = self.verdict(row.unit);
        let foreign = self.rounds.iter().map(|round| foreign(round)).fold(0.0, f64::max);
        let own = [row.name.clone(), row.unit.symbol().to_owned(), number(median(&ours)), spread(&ours)];
        let measured = (1..self.names.len())
            .map(|index| [self.names[index].clone(), number(median(&self.column(index))), times(self.ratio(row.unit, index))]);
        let stated = self
            .stated
            .iter()
            .map(|stated| [format!("{} *", stated.name), number(stated.value), times(row.unit.times(median(&ours), stated.value))]);
        let mut beside: Vec<[String; 3]> = measured.chain(stated).collect();
        if beside.is_empty() {
            beside.push(Default::default());
        }
        let last = [aim, reached.to_owned(), format!("{foreign:.2}")];
        let line = |(index, beside): (usize, [String; 3])| match index {
            0 => own.iter().cloned().chain(beside).chain(last.iter().cloned()).collect(),
            _ => std::iter::repeat_n(String::new(), own.len()).chain(beside).collect(),
        };
        beside.into_iter().enumerate().map(line).collect()
    }

    /// Where stated numbers come from.
    pub fn notes(&self, row: &Row) -> Vec<String> {
        self.stated.iter().map(|stated| format!("* {}, {}: {}", row.name, stated.name, stated.source)).collect()
    }

    fn verdict(&self, unit: Unit) -> (String, &'static str) {
        let (aim, is_reached) = match &self.aim {
            Aim::Shown => return (String::new(), ""),
            Aim::Value(value) => (format!("{} {}", number(*value), unit.symbol()), unit.times(median(&self.column(0)), *value) >= 1.0),
            Aim::Times { side, factor } => {
                let aim = format!("{} {side}", times(*factor));
                let Some(ratio) = self.ratio_to(unit, side) else { return (aim, "not measured") };
                (aim, ratio >= *factor)
            }
        };
        (aim, if is_reached { "yes" } else { "no" })
    }

    fn ratio_to(&self, unit: Unit, side: &str) -> Option<f64> {
        let measured = self.names.iter().position(|name| name == side).map(|index| self.ratio(unit, index));
        let stated = || self.stated.iter().find(|stated| stated.name == side);
        measured.or_else(|| stated().map(|stated| unit.times(median(&self.column(0)), stated.value)))
    }

    /// The median of the rounds' ratios.
    fn ratio(&self, unit: Unit, index: usize) -> f64 {
        median(&self.rounds.iter().map(|round| unit.times(round[0].value, round[index].value)).collect::<Vec<_>>())
    }

    fn column(&self, index: usize) -> Vec<f64> {
        self.rounds.iter().map(|round| round[index].value).collect()
    }
}

/// Runs every side once, beginning with another one in every round and every other time backwards: each finds caches as the one before
/// left them.
fn round(sides: &mut [Side], number: usize) -> Result<Vec<Sample>, BenchError> {
    let count = sides.len();
    let mut samples = (0..count)
        .map(|turn| {
            let turn = if number.is_multiple_of(2) { turn } else { count - 1 - turn };
            let side = (turn + number / 2) % count;
            Ok((side, sample(sides[side].helper, &mut sides[side].run)?))
        })
        .collect::<Result<Vec<_>, BenchError>>()?;
    samples.sort_by_key(|(side, _)| *side);
    Ok(samples.into_iter().map(|(_, sample)| sample).collect())
}

fn is_quiet(round: &[Sample]) -> bool {
    foreign(round) < DISTURBING
}

fn foreign(round: &[Sample]) -> f64 {
    round.iter().map(|sample| sample.foreign).fold(0.0, f64::max)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Half the distance between the lower and the upper quartile, as a part of the median.
fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let (Some(low), Some(high)) = (sorted.get(last / 4), sorted.get(last - last / 4)) else { return String::new() };
    format!("±{:.0} %", 100.0 * (high - low) / 2.0 / median(values))
}

/// Three significant digits.
fn number(value: f64) -> String {
    let digits = 2 - value.abs().max(1e-9).log10().floor() as i32;
    format!("{value:.0$}", digits.clamp(0, 6) as usize)
}

fn times(ratio: f64) -> String {
    format!("{}×", number(ratio))
}
