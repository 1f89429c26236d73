//! The linear classifier of features that `train` finds and `evaluate` applies, and its tensors in a model file.
//!
//! A model file holds `weight` `[C,D]` and `bias` `[C]`; the probabilities are the softmax of `weight · x + bias`. Of two
//! classes the first has zeros, so that softmax is the logistic function of the second's logit.

use std::path::Path;

use ndarray::{Array1, Array2};
use rayon::prelude::*;
use serde_json::Value;

use crate::artifact::{ModelFile, ModelHeader, ModelTensor};
use crate::stage::StageError;

/// A classifier of vectors of D features into C classes.
#[derive(Debug, Clone)]
pub(super) struct LinearClassifier {
    /// `[C]`.
    pub class_names: Vec<String>,
    /// `[C,D]`.
    pub weight: Array2<f64>,
    /// `[C]`.
    pub bias: Array1<f64>,
}

/// The key of a classifier's architecture in a model's header.
const ARCHITECTURE: &str = "logistic-regression";

impl LinearClassifier {
    /// Reads a model; an error if it is a network.
    pub(super) fn read(path: &Path) -> Result<LinearClassifier, StageError> {
        let invalid = |reason: String| StageError::Input { path: path.to_owned(), reason };
        let file = ModelFile::read(path)?;
        let header = file.header.ok_or_else(|| invalid("not a model that packtrain trained".to_owned()))?;
        if header.architecture.get(ARCHITECTURE).is_none() {
            let network = architecture_name(&header.architecture);
            return Err(invalid(format!("is a network ({network}), which evaluates images, not features")));
        }
        let tensor = |name: &str| file.tensors.iter().find(|tensor| tensor.name == name);
        let (Some(weight), Some(bias)) = (tensor("weight"), tensor("bias")) else {
            return Err(invalid("has no tensors `weight` and `bias`".to_owned()));
        };
        let classes = header.class_names.len();
        let dimensions = weight.shape.get(1).copied().unwrap_or(0);
        let numbers = |tensor: &ModelTensor| tensor.values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
        match Array2::from_shape_vec((classes, dimensions), numbers(weight)) {
            Ok(weight) if bias.values.len() == classes => {
                let bias = numbers(bias).into();
                Ok(LinearClassifier { class_names: header.class_names, weight, bias })
            }
            _ => Err(invalid(format!("its tensors do not fit its {classes} classes"))),
        }
    }

    /// Writes a model; `architecture` is the classifier as in a manifest.
    pub(super) fn write(&self, path: &Path, architecture: Value) -> Result<(), StageError> {
        let tensor = |name: &str, shape: &[usize], values: &mut dyn Iterator<Item = &f64>| ModelTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.map(|value| *value as f32).collect(),
        };
        let header = ModelHeader { architecture, class_names: self.class_names.clone(), input: None };
        let tensors =
            [tensor("weight", self.weight.shape(), &mut self.weight.iter()), tensor("bias", self.bias.shape(), &mut self.bias.iter())];
        Ok(ModelFile::write(path, &header, &tensors)?)
    }

    /// Features of a row: D.
    pub(super) fn dimensions(&self) -> usize {
        self.weight.ncols()
    }

    /// The most probable class of a row, the first of equal ones.
    pub(super) fn predict(&self, row: &[f32]) -> usize {
        let logits = self.logits(row);
        (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
    }

    /// The probabilities of rows `[N*D]`: `[N*C]`.
    pub(super) fn probabilities(&self, rows: &[f32]) -> Vec<f32> {
        rows.par_chunks_exact(self.dimensions().max(1)).flat_map_iter(|row| self.softmax(row)).collect()
    }

    fn softmax(&self, row: &[f32]) -> Vec<f32> {
        let logits = self.logits(row);
        let greatest = logits.fold(f64::NEG_INFINITY, |greatest, logit| greatest.max(*logit));
        let powers = logits.mapv(|logit| (logit - greatest).exp());
        let sum = powers.sum();
        powers.iter().map(|power| (power / sum) as f32).collect()
    }

    fn logits(&self, row: &[f32]) -> Array1<f64> {
        let x: Array1<f64> = row.iter().map(|value| f64::from(*value)).collect();
        self.weight.dot(&x) + &self.bias
    }
}

fn architecture_name(architecture: &Value) -> &str {
    let key = architecture.as_object().and_then(|object| object.keys().next()).map(String::as_str);
    key.or(architecture.as_str()).unwrap_or("of an unknown kind")
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn probabilities_are_the_softmax_of_the_logits() {
        let class_names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let weight = array![[0.0, 0.0], [1.0, -1.0], [0.5, 1000.0]];
        let classifier = LinearClassifier { class_names, weight, bias: array![0.0, 0.5, -1.0] };
        // Logits (0, 2.5, 0) and (0, -0.5, 999): 1 / (2 + e^2.5) = 0.07050946, and no overflow.
        let expected = [0.07050946, 0.8589811, 0.07050946, 0.0, 0.0, 1.0];
        let found = classifier.probabilities(&[2.0, 0.0, 0.0, 1.0]);
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
        assert_eq!([classifier.predict(&[2.0, 0.0]), classifier.predict(&[-2.0, 0.0])], [1, 0]);
    }
}
