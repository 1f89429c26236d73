//! The rows that a model was wrong about, with their pictures.

use std::cmp::Ordering;

use crate::artifact::{ImagesFile, PictureError, PredictedRow};
use crate::dossier::{Limits, Thumbnail, seen};

/// The most telling wrong predictions of an evaluation.
#[derive(Debug, Default)]
pub struct Mistakes {
    /// Wrong rows in all.
    pub wrong: usize,
    pub rows: usize,
    /// With the highest probability of a wrong class, the highest first.
    pub most_confident: Vec<Mistake>,
    /// With the lowest probability of the true class, the lowest first; empty where these are the most confident ones too.
    pub worst: Vec<Mistake>,
}

/// A wrong prediction.
#[derive(Debug, Clone)]
pub struct Mistake {
    pub row: PredictedRow,
    /// `None` where its image is not at hand.
    pub picture: Option<Thumbnail>,
}

impl Mistakes {
    /// Chooses among the rows of `predictions.csv`; `images` are those that were evaluated, if they are at hand.
    pub(super) fn among(rows: &[PredictedRow], images: Option<&ImagesFile>, limits: Limits) -> Result<Mistakes, PictureError> {
        let wrong: Vec<usize> = (0..rows.len()).filter(|row| !rows[*row].is_correct()).collect();
        let first = |by: &dyn Fn(&PredictedRow) -> f64| {
            let mut sorted = wrong.clone();
            sorted.sort_by(|a, b| by(&rows[*a]).partial_cmp(&by(&rows[*b])).unwrap_or(Ordering::Equal));
            sorted.truncate(limits.mistakes);
            sorted
        };
        let confident = first(&|row| -row.probability);
        let worst = first(&|row| row.of_label.unwrap_or(0.0));
        // With two classes the one is the other's complement.
        let worst = if worst.iter().all(|row| confident.contains(row)) { Vec::new() } else { worst };
        let shown = |chosen: Vec<usize>| {
            let mistake = |row: usize| {
                let is_same = |images: &&ImagesFile| images.rows().paths.get(row) == Some(&rows[row].path);
                let picture = images.filter(is_same).map(|images| seen::packed(images, row)).transpose()?;
                Ok(Mistake { row: rows[row].clone(), picture })
            };
            chosen.into_iter().map(mistake).collect::<Result<_, PictureError>>()
        };
        Ok(Mistakes { wrong: wrong.len(), rows: rows.len(), most_confident: shown(confident)?, worst: shown(worst)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, label: &str, predicted: &str, probability: f64, of_label: f64) -> PredictedRow {
        let (path, label, predicted) = (path.to_owned(), label.to_owned(), predicted.to_owned());
        PredictedRow { path, label, predicted, probability, of_label: Some(of_label) }
    }

    fn paths(mistakes: &[Mistake]) -> Vec<&str> {
        mistakes.iter().map(|mistake| mistake.row.path.as_str()).collect()
    }

    const LIMITS: Limits = Limits { mistakes: 2, samples: 1, epochs: 1 };

    #[test]
    fn the_most_confident_mistakes_need_not_be_the_worst() {
        let rows = [
            row("right", "a", "a", 0.99, 0.99),
            row("sure", "a", "b", 0.90, 0.08),
            row("unsure", "a", "b", 0.40, 0.35),
            row("far off", "a", "b", 0.60, 0.00),
        ];
        let mistakes = Mistakes::among(&rows, None, LIMITS).unwrap();
        assert_eq!((mistakes.wrong, mistakes.rows), (3, 4));
        assert_eq!(paths(&mistakes.most_confident), ["sure", "far off"]);
        assert!(mistakes.worst.is_empty());
        let rows = [&rows[..], &[row("surer", "a", "b", 0.80, 0.10)]].concat();
        let mistakes = Mistakes::among(&rows, None, LIMITS).unwrap();
        assert_eq!(paths(&mistakes.most_confident), ["sure", "surer"]);
        assert_eq!(paths(&mistakes.worst), ["far off", "sure"]);
    }
}
