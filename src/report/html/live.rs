//! What a page shows of a run only while it goes on: how far each running stage is, and the log.

use maud::{Markup, html};

use crate::key::StagePath;
use crate::report::course::{Course, Trend};
use crate::report::html::Live;
use crate::report::html::curves;
use crate::report::phrase;

impl Live<'_> {
    /// The running stages.
    pub(super) fn now_section(&self) -> Markup {
        html! {
            section.now #now aria-labelledby="now-title" {
                h2 #now-title { "Now" }
                @if self.run.courses.is_empty() { p.quiet { "No stage runs at this moment." } }
                div.tasks { @for (stage, course) in &self.run.courses { (self.task(stage, course)) } }
            }
        }
    }

    fn task(&self, stage: &StagePath, course: &Course) -> Markup {
        let activity = match (course.epoch(), course.pass()) {
            (Some(start), _) => format!("epoch {} of {}", start.epoch, start.epochs),
            (None, Some(pass)) => format!("{}, {} of {} {}", pass.activity, pass.done, pass.total, pass.unit.as_str()),
            (None, None) => "at work".to_owned(),
        };
        html! {
            div.task #(format!("now-{stage}")) {
                h3 { (stage) " " span.of { (activity) } }
                @match course.share() {
                    Some(share) => progress max="1" value=(format!("{share:.4}")) aria-label=(format!("{stage}, how much is done")) {},
                    None => progress aria-label=(format!("{stage}, at work")) {},
                }
                dl.measures { @for (name, value) in self.measures(course) { div { dt { (name) } dd { (value) } } } }
            }
        }
    }

    fn measures(&self, course: &Course) -> Vec<(String, String)> {
        let speed = course.rate().zip(course.pass()).map(|(rate, pass)| (format!("{}/s", pass.unit.as_str()), phrase::rate(rate)));
        let last = |trend: Trend| Some((trend.name.to_owned(), phrase::metric(trend.name, *trend.values.last()?)));
        let measures = [
            Some(("running for".to_owned(), phrase::whole_seconds(course.seconds(self.now)))),
            course.seconds_left(self.now).map(|left| ("time left".to_owned(), phrase::whole_seconds(left))),
            speed,
            last(course.losses()),
            last(course.accuracies()),
            course.epoch().map(|start| ("learning rate".to_owned(), curves::rate(start.learning_rate))),
        ];
        measures.into_iter().flatten().collect()
    }

    /// The latest line first.
    pub(super) fn log_section(&self) -> Markup {
        html! {
            section.log #log aria-labelledby="log-title" {
                h2 #log-title { "Log" }
                ol.lines tabindex="0" role="group" aria-label="Lines of the log, the latest first" {
                    @for line in self.run.lines.iter().rev() { li { span.quiet { (clock(line.at)) } " " span { (line.text) } } }
                }
            }
        }
    }
}

/// A time after the run's beginning: `0:07`, `1:02:03`.
fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_clock_has_hours_once_there_are_some() {
        assert_eq!([0.4, 67.0, 3723.9].map(super::clock), ["0:00", "1:07", "1:02:03"]);
    }
}
