//! A running stage in one line that fits the terminal: name, bar, epoch, speed, time left, the courses of loss and accuracy.

use console::{Style, measure_text_width, truncate_str};

use crate::event::Unit;
use crate::report::course::{Course, Trend};
use crate::report::glyphs::Glyphs;
use crate::report::phrase;

/// How much a line tells. Of several levels the first that fits is taken.
struct Detail {
    bar: usize,
    /// Of each course.
    spark: usize,
    words: Words,
    has_speed: bool,
    has_time_left: bool,
    has_accuracy: bool,
    /// How many units are done of how many.
    has_count: bool,
}

#[derive(Clone, Copy)]
enum Words {
    /// `412 images/s`, `3 min 20 s left`, `val accuracy`
    Long,
    /// `412/s`, `3:20 left`, `val acc`
    Short,
}

const FULL: Detail =
    Detail { bar: 24, spark: 20, words: Words::Long, has_speed: true, has_time_left: true, has_accuracy: true, has_count: true };
const SHORT: Detail = Detail { bar: 10, spark: 6, words: Words::Short, has_count: false, ..FULL };
const BARE: Detail = Detail { bar: 0, spark: 4, has_speed: false, has_accuracy: false, ..SHORT };

const DETAILS: [Detail; 10] = [
    FULL,
    Detail { bar: 18, spark: 10, ..FULL },
    Detail { bar: 12, spark: 8, has_count: false, ..FULL },
    SHORT,
    Detail { bar: 6, spark: 4, ..SHORT },
    Detail { bar: 6, spark: 4, has_speed: false, ..SHORT },
    Detail { bar: 10, ..BARE },
    BARE,
    Detail { spark: 0, ..BARE },
    Detail { spark: 0, has_time_left: false, ..BARE },
];

/// Even the course of a single epoch has so much room.
const LEAST_SPARK: usize = 4;

/// A stage's name takes at most this share of the line.
const NAME_SHARE: usize = 3;

/// Where lines are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The width that a line may have.
    pub(super) columns: usize,
    pub(super) glyphs: &'static Glyphs,
}

/// The line of a running stage.
pub(super) fn running(name: &str, course: &Course, now: f64, look: Look) -> String {
    let Look { columns, glyphs } = look;
    let name = truncate_str(name, (columns / NAME_SHARE).max(8), &glyphs.cut.to_string()).into_owned();
    let name = Style::new().for_stderr().bold().apply_to(name).to_string();
    let with = |detail: &Detail| format!("{name}  {}", parts(course, now, detail, glyphs).join("  "));
    let line = DETAILS.iter().map(with).find(|line| measure_text_width(line) <= columns);
    line.unwrap_or_else(|| truncate_str(&name, columns, &glyphs.cut.to_string()).into_owned())
}

/// The courses of a training that ended, as far as there is room for them beside what is told already.
pub(super) fn ended(course: &Course, taken: usize, look: Look) -> String {
    let trends = [course.losses(), course.accuracies()];
    let drawn = |spark: usize| -> String {
        let known = trends.iter().filter(|trend| trend.values.len() > 1);
        known.map(|trend| format!("  {}", told(trend, trend.name, spark.min(trend.values.len()), look.glyphs))).collect()
    };
    let fits = |text: &String| taken + measure_text_width(text) <= look.columns;
    [20, 10, 6].into_iter().map(drawn).find(fits).unwrap_or_default()
}

fn parts(course: &Course, now: f64, detail: &Detail, glyphs: &Glyphs) -> Vec<String> {
    let quiet = Style::new().for_stderr().dim();
    let mut parts = Vec::new();
    if let Some(share) = course.share().filter(|_| detail.bar > 0) {
        let (done, open) = glyphs.bar(share, detail.bar);
        parts.push(format!("{}{}", Style::new().for_stderr().cyan().apply_to(done), quiet.apply_to(open)));
    }
    match (course.epoch(), course.pass()) {
        (Some(start), _) => parts.push(format!("epoch {}/{}", start.epoch, start.epochs)),
        (None, Some(pass)) if detail.has_count => parts.push(format!("{} {}/{}", pass.activity, pass.done, pass.total)),
        (None, Some(pass)) => parts.push(pass.activity.clone()),
        (None, None) => parts.push(format!("running, {}", phrase::whole_seconds(course.seconds(now)))),
    }
    if let (Some(rate), Some(pass), true) = (course.rate(), course.pass(), detail.has_speed) {
        parts.push(quiet.apply_to(detail.words.speed(rate, pass.unit)).to_string());
    }
    if let Some(left) = course.seconds_left(now).filter(|_| detail.has_time_left) {
        parts.push(format!("{} left", detail.words.time(left)));
    }
    let trends = [Some(course.losses()), detail.has_accuracy.then(|| course.accuracies())];
    let shown = trends.into_iter().flatten().filter(|trend| detail.spark > 0 && !trend.values.is_empty());
    // As wide as it will become, so that nothing beside it moves.
    let spark = course.epoch().map_or(detail.spark, |start| detail.spark.min((start.epochs as usize).max(LEAST_SPARK)));
    parts.extend(shown.map(|trend| told(&trend, detail.words.name(&trend), spark, glyphs)));
    parts
}

impl Words {
    fn speed(self, rate: f64, unit: Unit) -> String {
        match self {
            Words::Long => format!("{} {}/s", phrase::rate(rate), unit.as_str()),
            Words::Short => format!("{}/s", phrase::rate(rate)),
        }
    }

    fn time(self, seconds: f64) -> String {
        match self {
            Words::Long => phrase::whole_seconds(seconds),
            Words::Short => phrase::clock(seconds),
        }
    }

    fn name(self, trend: &Trend) -> &'static str {
        match self {
            Words::Long => trend.name,
            Words::Short => trend.short,
        }
    }
}

/// `loss ▇▅▃▂ 0.5123`
fn told(trend: &Trend, name: &str, spark: usize, glyphs: &Glyphs) -> String {
    let last = trend.values.last().map(|value| phrase::metric(trend.name, *value)).unwrap_or_default();
    let course = format!("{:spark$}", glyphs.sparkline(&trend.values, spark));
    format!("{name} {} {last}", Style::new().for_stderr().cyan().apply_to(course))
}
