//! Loss, accuracy and learning rate over the epochs, one panel below the other.

use std::ops::Range;

use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::element::{Circle, PathElement};
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color, RGBColor, WHITE};

use super::{Area, BLUE, DrawingResult, FONT, GREEN, VERMILLION};
use crate::artifact::{History, HistoryEpoch};

/// Width and height in pixels.
pub const SIZE: (u32, u32) = (840, 900);
/// A rate that falls by more than this is drawn on a logarithmic scale.
const WIDE: f64 = 20.0;

/// One set of axes.
struct Panel<'a> {
    title: &'a str,
    lines: Vec<Line<'a>>,
    range: Range<f64>,
    label: &'a dyn Fn(&f64) -> String,
}

struct Line<'a> {
    name: &'a str,
    colour: RGBColor,
    /// Epoch and value; values that are no numbers are left out.
    points: Vec<(u32, f64)>,
}

/// Draws the three panels.
pub fn draw(history: &History, area: &Area<'_>) -> DrawingResult {
    let epochs = &history.epochs;
    let losses = vec![
        Line::of("training", BLUE, epochs, |epoch| Some(epoch.train_loss)),
        Line::of("validation", VERMILLION, epochs, |epoch| epoch.val_loss),
    ];
    let accuracies = vec![
        Line::of("training", BLUE, epochs, |epoch| Some(epoch.train_accuracy)),
        Line::of("validation", VERMILLION, epochs, |epoch| epoch.val_accuracy),
    ];
    let top = greatest(&losses);
    let [loss, accuracy, rate] = &area.split_evenly((3, 1))[..] else { return Ok(()) };
    Panel { title: "loss", lines: losses, range: 0.0..top * 1.05, label: &|loss| format!("{loss:.2}") }.draw(loss, epochs)?;
    let percent = |accuracy: &f64| format!("{:.0} %", accuracy * 100.0);
    Panel { title: "accuracy", lines: accuracies, range: 0.0..1.0, label: &percent }.draw(accuracy, epochs)?;
    draw_rates(epochs, rate)
}

fn draw_rates(epochs: &[HistoryEpoch], area: &Area<'_>) -> DrawingResult {
    let rates = || epochs.iter().map(|epoch| epoch.learning_rate);
    let least = rates().fold(f64::INFINITY, f64::min);
    let line = Line::of("learning rate", GREEN, epochs, |epoch| Some(epoch.learning_rate));
    let top = greatest(std::slice::from_ref(&line));
    if least > 0.0 && top / least > WIDE {
        let line = Line::of("learning rate", GREEN, epochs, |epoch| Some(epoch.learning_rate.log10()));
        let range = least.log10() - 0.1..top.log10() + 0.1;
        let label = |exponent: &f64| format!("{:.1e}", 10_f64.powf(*exponent));
        return Panel { title: "learning rate", lines: vec![line], range, label: &label }.draw(area, epochs);
    }
    let label = |rate: &f64| if *rate == 0.0 { "0".to_owned() } else { format!("{rate:.1e}") };
    Panel { title: "learning rate", lines: vec![line], range: 0.0..top * 1.05, label: &label }.draw(area, epochs)
}

/// The greatest value of all lines; 1 where there is none above 0.
fn greatest(lines: &[Line<'_>]) -> f64 {
    let greatest = lines.iter().flat_map(|line| &line.points).map(|&(_, value)| value).fold(0.0, f64::max);
    if greatest > 0.0 { greatest } else { 1.0 }
}

impl<'a> Line<'a> {
    fn of(name: &'a str, colour: RGBColor, epochs: &[HistoryEpoch], value: impl Fn(&HistoryEpoch) -> Option<f64>) -> Line<'a> {
        let finite = |epoch: &HistoryEpoch| value(epoch).filter(|value| value.is_finite()).map(|value| (epoch.epoch, value));
        Line { name, colour, points: epochs.iter().filter_map(finite).collect() }
    }
}

impl Panel<'_> {
    fn draw(&self, area: &Area<'_>, epochs: &[HistoryEpoch]) -> DrawingResult {
        let last = epochs.last().map_or(1, |epoch| epoch.epoch);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, (FONT, 22))
            .margin(10)
            .set_label_area_size(plotters::chart::LabelAreaPosition::Left, 64)
            .set_label_area_size(plotters::chart::LabelAreaPosition::Bottom, 40)
            .build_cartesian_2d(0..last + 1, self.range.clone())?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .x_labels(11)
            .y_labels(6)
            .y_label_formatter(&self.label)
            .label_style((FONT, 16))
            .light_line_style(WHITE)
            .draw()?;
        for line in self.lines.iter().filter(|line| !line.points.is_empty()) {
            let style = line.colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), style))?
                .label(line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            // So that a single epoch is seen.
            chart.draw_series(line.points.iter().map(|&point| Circle::new(point, 2, line.colour.filled())))?;
        }
        if self.lines.len() > 1 {
            let position = SeriesLabelPosition::UpperRight;
            chart
                .configure_series_labels()
                .position(position)
                .background_style(WHITE)
                .border_style(BLACK.mix(0.3))
                .label_font((FONT, 16))
                .draw()?;
        }
        Ok(())
    }
}
