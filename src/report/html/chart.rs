//! Lines over epochs as inline SVG. Colours are classes, so that they follow the page's light or dark; a line differs from others
//! by its dashes too. plotters draws the figures that stand alone: its colours are numbers, which no theme can change.

use maud::{Markup, html};

use crate::report::html::graph::shortened;

/// Values over epochs.
pub(super) struct Series {
    pub(super) name: String,
    /// Which colour and dashes.
    pub(super) style: usize,
    pub(super) points: Vec<(u32, f64)>,
}

/// What a chart shows.
pub(super) struct Chart<'a> {
    /// Of its element, unique on the page.
    pub(super) id: String,
    pub(super) title: &'a str,
    pub(super) series: Vec<Series>,
    pub(super) scale: Scale,
    pub(super) label: fn(f64) -> String,
}

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Fractions, from 0 to 1 at most.
    Fraction,
    /// By powers of ten where values differ by more than this factor, else from 0.
    LogarithmicAbove(f64),
}

/// A range of values that is drawn, with the values that are written beside it.
#[derive(Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    is_logarithmic: bool,
}

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 430.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 214.0;
/// For learning rates: a schedule that falls in steps falls by tenths.
pub(super) const RATES: Scale = Scale::LogarithmicAbove(20.0);
/// For losses: few trainings end below a hundredth of their first loss, unless that was an accident.
pub(super) const LOSSES: Scale = Scale::LogarithmicAbove(100.0);
/// With more points, dots would hide the line.
const MOST_DOTS: usize = 40;
/// Different styles of lines.
pub(super) const STYLES: usize = 6;

impl Chart<'_> {
    /// The figure; nothing where there is no point.
    pub(super) fn figure(&self) -> Markup {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (Some(first), Some(last)) = (points().map(|point| point.0).min(), points().map(|point| point.0).max()) else {
            return html! {};
        };
        let axis = Axis::of(&points().map(|point| point.1).collect::<Vec<_>>(), self.scale);
        let title = format!("{}-title", self.id);
        html! {
            figure.chart {
                figcaption { (self.title) }
                @if self.series.len() > 1 { (self.legend()) }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby=(title) {
                    title #(title) { (self.description()) }
                    @for tick in &axis.ticks {
                        line.grid x1=(LEFT) x2=(RIGHT) y1=(tenths(axis.y(*tick))) y2=(tenths(axis.y(*tick))) {}
                        text.tick.left x=(LEFT - 7.0) y=(tenths(axis.y(*tick) + 4.0)) { ((self.label)(*tick)) }
                    }
                    @for epoch in epochs(first, last) {
                        text.tick x=(tenths(x(epoch, first, last))) y=(BOTTOM + 17.0) { (epoch) }
                    }
                    text.tick x=((LEFT + RIGHT) / 2.0) y=(HEIGHT - 3.0) { "epoch" }
                    @for series in &self.series { (series.drawn(&axis, (first, last), self.label)) }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for series in self.series.iter().filter(|series| !series.points.is_empty()) {
                    li {
                        svg.key viewBox="0 0 26 10" width="26" height="10" aria-hidden="true" {
                            path class={ "line l" (series.style % STYLES) } d="M0 5h26" {}
                        }
                        (shortened(&series.name, 48))
                    }
                }
            }
        }
    }

    fn description(&self) -> String {
        let told = self.series.iter().filter_map(|series| {
            let ((from, first), (to, last)) = (series.points.first()?, series.points.last()?);
            Some(format!(" {}: {} in epoch {from}, {} in epoch {to}.", series.name, (self.label)(*first), (self.label)(*last)))
        });
        format!("{} over the epochs.{}", self.title, told.collect::<String>())
    }
}

impl Series {
    fn drawn(&self, axis: &Axis, (first, last): (u32, u32), label: fn(f64) -> String) -> Markup {
        let places: Vec<(f64, f64)> =
            self.points.iter().map(|&(epoch, value)| (tenths(x(epoch, first, last)), tenths(axis.y(value)))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x} {y}")).collect();
        let style = self.style % STYLES;
        html! {
            @if !places.is_empty() { path class={ "line l" (style) } d={ "M" (path.join("L")) } {} }
            @if places.len() <= MOST_DOTS {
                @for ((x, y), (epoch, value)) in places.iter().zip(&self.points) {
                    circle class={ "dot l" (style) } cx=(x) cy=(y) r="2.6" { title { (self.name) ", epoch " (epoch) ": " (label(*value)) } }
                }
            }
        }
    }
}

impl Axis {
    fn of(values: &[f64], scale: Scale) -> Axis {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if let Scale::LogarithmicAbove(wide) = scale
            && least > 0.0
            && most / least > wide
        {
            let (low, high) = (least.log10().floor(), most.log10().ceil());
            let ticks = (low as i32..=high as i32).map(|power| 10_f64.powi(power)).collect();
            return Axis { low, high, ticks, is_logarithmic: true };
        }
        let step = step(if most > 0.0 { most } else { 1.0 });
        let wanted = if most > 0.0 { (most / step - 1e-9).ceil() * step } else { 1.0 };
        let high = if scale == Scale::Fraction { wanted.min(1.0) } else { wanted };
        let ticks = (0..=(high / step + 1e-9) as u32).map(|tick| f64::from(tick) * step).collect();
        Axis { low: 0.0, high, ticks, is_logarithmic: false }
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.is_logarithmic { value.log10() } else { value };
        BOTTOM - (value - self.low) / (self.high - self.low) * (BOTTOM - TOP)
    }
}

/// The round number that divides `range` into four to eight parts.
fn step(range: f64) -> f64 {
    let power = 10_f64.powf((range / 4.0).log10().floor());
    [5.0, 2.5, 2.0, 1.0].into_iter().map(|factor| factor * power).find(|step| range / step >= 4.0).unwrap_or(power)
}

/// The epochs that are written below: at most ten.
fn epochs(first: u32, last: u32) -> impl Iterator<Item = u32> {
    let step = [1, 2, 5, 10, 20, 50, 100, 200, 500].into_iter().find(|step| (last - first) / step < 10).unwrap_or(1000);
    (first..=last).filter(move |epoch| epoch % step == 0 || step == 1)
}

fn x(epoch: u32, first: u32, last: u32) -> f64 {
    let part = if last == first { 0.5 } else { f64::from(epoch - first) / f64::from(last - first) };
    LEFT + 8.0 + part * (RIGHT - LEFT - 16.0)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        let axis = |values: &[f64], scale| Axis::of(values, scale);
        assert_eq!(axis(&[0.2, 1.7], LOSSES).ticks, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]);
        assert_eq!(axis(&[0.99], Scale::Fraction).ticks, [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(axis(&[1e-2, 1e-4], Scale::LogarithmicAbove(20.0)).ticks, [1e-4, 1e-3, 1e-2]);
        assert_eq!(axis(&[0.0], LOSSES).ticks, [0.0, 0.25, 0.5, 0.75, 1.0]);
        let axis = axis(&[3.0, 7.9], LOSSES);
        assert!((axis.low..=axis.high).contains(&7.9) && axis.y(axis.high) == TOP && axis.y(0.0) == BOTTOM);
    }

    #[test]
    fn at_most_ten_epochs_are_written() {
        assert_eq!(epochs(1, 8).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(epochs(1, 75).collect::<Vec<_>>(), [10, 20, 30, 40, 50, 60, 70]);
    }
}
