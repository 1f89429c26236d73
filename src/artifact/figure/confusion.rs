//! A confusion matrix: rows are true classes, columns predicted ones, the shade of a cell is its part of the row.

use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, FontTransform, IntoFont, RGBColor, TextStyle, WHITE};

use super::{Area, BLUE, DrawingResult, FONT};
use crate::artifact::{ClassReport, Evaluation};

/// With more classes than this, counts would not fit into their cells.
const MOST_COUNTS: usize = 20;
/// With more classes than this, names would overlap.
const MOST_NAMES: usize = 60;
/// Longer names are cut, in characters.
const LONGEST_NAME: usize = 18;
/// Pixels around the whole.
const MARGIN: i32 = 20;
/// Pixels for `predicted` and `true`.
const AXIS: i32 = 24;
/// Pixels for the names of classes.
const NAMES: i32 = 140;

/// Width and height in pixels that the matrix needs.
pub fn size(evaluation: &Evaluation) -> (u32, u32) {
    let grid = Grid::of(evaluation);
    let side = (grid.corner(grid.classes, 0).1 + MARGIN) as u32;
    (side, side)
}

/// Draws the matrix.
pub fn draw(evaluation: &Evaluation, area: &Area<'_>) -> DrawingResult {
    let grid = Grid::of(evaluation);
    for (row, counts) in evaluation.confusion.iter().enumerate() {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        for (column, &count) in counts.iter().enumerate() {
            let part = count as f64 / total;
            area.draw(&Rectangle::new([grid.corner(row, column), grid.corner(row + 1, column + 1)], shade(part).filled()))?;
            if grid.classes <= MOST_COUNTS && count > 0 {
                let ink = if part > 0.5 { WHITE } else { BLACK };
                area.draw(&Text::new(count.to_string(), grid.middle(row, column), text(HPos::Center).color(&ink)))?;
            }
        }
    }
    area.draw(&Rectangle::new([grid.corner(0, 0), grid.corner(grid.classes, grid.classes)], BLACK.stroke_width(1)))?;
    draw_names(&evaluation.classes, &grid, area)
}

fn draw_names(classes: &[ClassReport], grid: &Grid, area: &Area<'_>) -> DrawingResult {
    let upwards = FontTransform::Rotate270;
    let (left, middle) = (grid.corner(0, 0).0, grid.middle(grid.classes / 2, grid.classes / 2));
    area.draw(&Text::new("predicted", (middle.0, MARGIN), text(HPos::Center)))?;
    area.draw(&Text::new("true", (MARGIN, middle.1), text(HPos::Center).transform(upwards.clone())))?;
    if classes.len() > MOST_NAMES {
        return Ok(());
    }
    for (index, class) in classes.iter().enumerate() {
        let (x, y) = grid.middle(index, index);
        let name = shortened(&class.name);
        area.draw(&Text::new(name.clone(), (left - 6, y), text(HPos::Right)))?;
        area.draw(&Text::new(name, (x, left - 6), text(HPos::Left).transform(upwards.clone())))?;
    }
    Ok(())
}

/// Where the cells lie.
struct Grid {
    classes: usize,
    /// Side of a cell, in pixels.
    cell: i32,
    /// Left and upper edge of the first cell, in pixels.
    origin: i32,
}

impl Grid {
    fn of(evaluation: &Evaluation) -> Grid {
        let classes = evaluation.classes.len();
        let cell = match classes {
            0..=MOST_COUNTS => 44,
            _ if classes <= MOST_NAMES => 16,
            _ => 4,
        };
        let names = if classes <= MOST_NAMES { NAMES } else { 0 };
        Grid { classes, cell, origin: MARGIN + AXIS + names }
    }

    /// The upper left corner of a cell, as x and y.
    fn corner(&self, row: usize, column: usize) -> (i32, i32) {
        (self.origin + column as i32 * self.cell, self.origin + row as i32 * self.cell)
    }

    fn middle(&self, row: usize, column: usize) -> (i32, i32) {
        let (x, y) = self.corner(row, column);
        (x + self.cell / 2, y + self.cell / 2)
    }
}

fn text(horizontal: HPos) -> TextStyle<'static> {
    TextStyle::from((FONT, 16).into_font()).pos(Pos::new(horizontal, VPos::Center))
}

/// From white for nothing to blue for all.
fn shade(part: f64) -> RGBColor {
    let mix = |channel: u8| (255.0 + part * (f64::from(channel) - 255.0)).round() as u8;
    RGBColor(mix(BLUE.0), mix(BLUE.1), mix(BLUE.2))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}
