//! A running stage in one line that fits the terminal: name, bar, epoch, speed, time left, the courses of loss and accuracy.

use console::{Style, measure_text_width, truncate_str};

use crate::report::course::{Course, Trend};
use crate::report::glyphs::Glyphs;
use crate::report::phrase;

/// How much a line tells. Of several levels the first that fits is taken.
struct Detail {
    bar: usize,
    /// Of each course.
    spark: usize,
    speed: Speed,
    has_time_left: bool,
    has_accuracy: bool,
    /// How many units are done of how many.
    has_count: bool,
}

enum Speed {
    /// `412 images/s`
    Long,
    /// `412/s`
    Short,
    None,
}

const DETAILS: [Detail; 9] = [
    Detail { bar: 24, spark: 20, speed: Speed::Long, has_time_left: true, has_accuracy: true, has_count: true },
    Detail { bar: 18, spark: 10, speed: Speed::Long, has_time_left: true, has_accuracy: true, has_count: true },
    Detail { bar: 12, spark: 8, speed: Speed::Long, has_time_left: true, has_accuracy: true, has_count: false },
    Detail { bar: 10, spark: 6, speed: Speed::Short, has_time_left: true, has_accuracy: true, has_count: false },
    Detail { bar: 6, spark: 4, speed: Speed::Short, has_time_left: true, has_accuracy: true, has_count: false },
    Detail { bar: 10, spark: 4, speed: Speed::None, has_time_left: true, has_accuracy: false, has_count: false },
    Detail { bar: 0, spark: 4, speed: Speed::None, has_time_left: true, has_accuracy: false, has_count: false },
    Detail { bar: 0, spark: 0, speed: Speed::None, has_time_left: true, has_accuracy: false, has_count: false },
    Detail { bar: 0, spark: 0, speed: Speed::None, has_time_left: false, has_accuracy: false, has_count: false },
];

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
        known.map(|trend| format!("  {}", told(trend, spark, look.glyphs))).collect()
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
    if let (Some(rate), Some(pass)) = (course.rate(), course.pass()) {
        match detail.speed {
            Speed::Long => parts.push(quiet.apply_to(format!("{} {}/s", phrase::rate(rate), pass.unit.as_str())).to_string()),
            Speed::Short => parts.push(quiet.apply_to(format!("{}/s", phrase::rate(rate))).to_string()),
            Speed::None => {}
        }
    }
    if let Some(left) = course.seconds_left(now).filter(|_| detail.has_time_left) {
        parts.push(format!("{} left", phrase::whole_seconds(left)));
    }
    let trends = [Some(course.losses()), detail.has_accuracy.then(|| course.accuracies())];
    let shown = trends.into_iter().flatten().filter(|trend| detail.spark > 0 && !trend.values.is_empty());
    parts.extend(shown.map(|trend| told(&trend, detail.spark, glyphs)));
    parts
}

/// `loss ▇▅▃▂ 0.5123`
fn told(trend: &Trend, spark: usize, glyphs: &Glyphs) -> String {
    let last = trend.values.last().map(|value| phrase::metric(trend.name, *value)).unwrap_or_default();
    let spark = Style::new().for_stderr().cyan().apply_to(glyphs.sparkline(&trend.values, spark)).to_string();
    format!("{} {spark} {last}", trend.name)
}
