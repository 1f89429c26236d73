//! What a page shows of a run only while it goes on: how far each running stage is, and the log.

use maud::{Markup, html};

use crate::key::StagePath;
use crate::report::course::{Course, Trend};
use crate::report::html::Live;
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
            course.epoch().map(|start| ("learning rate".to_owned(), phrase::learning_rate(start.learning_rate))),
        ];
        measures.into_iter().flatten().collect()
    }

    /// The latest line first.
    pub(super) fn log_section(&self) -> Markup {
        html! {
            section.log #log aria-labelledby="log-title" {
                h2 #log-title { "Log" }
                ol.lines tabindex="0" role="group" aria-label="Lines of the log, the latest first" {
                    @for line in self.run.lines.iter().rev() { li { span.quiet { (phrase::clock(line.at)) } " " span { (line.text) } } }
                }
            }
        }
    }
}
