//! Drawings as SVG: curves of a training, the matrix of an evaluation. The only user of `plotters`.
//!
//! The same values give the same bytes. Colours are those of Okabe and Ito (2008), which people with any colour vision can tell
//! apart.

pub(super) mod confusion;
pub(super) mod curves;

use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::{RGBColor, WHITE};

use crate::artifact::ArtifactError;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawingResult = Result<(), DrawingAreaErrorKind<io::Error>>;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILLION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const FONT: &str = "sans-serif";

/// Draws on a white area of `size` pixels and writes it; `description` is what a screen reader says.
pub(super) fn write(
    path: &Path,
    size: (u32, u32),
    description: &str,
    draw: impl Fn(&Area<'_>) -> DrawingResult,
) -> Result<(), ArtifactError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = area.fill(&WHITE).and_then(|()| draw(&area)).and_then(|()| area.present());
        drawn.map_err(|error| ArtifactError::invalid(path, error.to_string()))?;
    }
    let accessible = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{description}\" "), 1);
    std::fs::write(path, accessible).map_err(|source| ArtifactError::io(path, source))
}
