//! What training makes small: cross-entropy, with classes weighed and labels smoothed where that is asked for.

use packtrain::stage::{ClassWeights, StageError, Train};
use tch::{Device, Reduction, Tensor};

/// The loss of a batch, without the penalty on kernels.
#[derive(Debug)]
pub struct Objective {
    /// `[C]`.
    class_weights: Option<Tensor>,
    label_smoothing: f64,
}

/// libtorch's default; no label is negative.
const IGNORED_LABEL: i64 = -100;

impl Objective {
    /// For images with these labels; an error if a weight is given for a class that is not there.
    pub fn new(spec: &Train, class_names: &[String], labels: &[i64], device: Device) -> Result<Objective, StageError> {
        let weights = spec.class_weights.as_ref().map(|weights| weigh(weights, class_names, labels)).transpose()?;
        let class_weights = weights.map(|weights| Tensor::from_slice(&weights).to_device(device));
        Ok(Objective { class_weights, label_smoothing: spec.label_smoothing })
    }

    /// The mean over a batch, by weight: `[N,C]` logits and `[N]` labels to a scalar.
    pub fn loss(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        logits.cross_entropy_loss(labels, self.class_weights.as_ref(), Reduction::Mean, IGNORED_LABEL, self.label_smoothing)
    }
}

fn weigh(weights: &ClassWeights, class_names: &[String], labels: &[i64]) -> Result<Vec<f32>, StageError> {
    match weights {
        ClassWeights::Balanced => Ok(balanced(class_names.len(), labels)),
        ClassWeights::ByName(weights) => {
            if let Some(name) = weights.keys().find(|name| !class_names.contains(name)) {
                return Err(StageError::Invalid(format!(
                    "class-weights: there is no class `{name}`; there are {}",
                    class_names.join(", ")
                )));
            }
            Ok(class_names.iter().map(|name| weights.get(name).map_or(1.0, |&weight| weight as f32)).collect())
        }
    }
}

/// A class without images has none to weigh.
fn balanced(classes: usize, labels: &[i64]) -> Vec<f32> {
    let count = |class: usize| labels.iter().filter(|&&label| label == class as i64).count();
    let weight = |images: usize| if images == 0 { 0.0 } else { labels.len() as f32 / (classes * images) as f32 };
    (0..classes).map(|class| weight(count(class))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `F.cross_entropy(torch.tensor([[1., 2., .5], [.2, -1., 3.], [0., 1., 1.]]), torch.tensor([1, 0, 2]), weight=w,
    /// label_smoothing=s)` for no weights and 0.1; (1, 2, 0.5) and 0; (1, 2, 0.5) and 0.1 (torch 2.11).
    const EXPECTED: [f64; 3] = [1.4219493, 1.2102531, 1.2650259];

    #[test]
    fn smoothing_and_weights_are_pytorchs() {
        let logits = Tensor::from_slice(&[1.0_f32, 2.0, 0.5, 0.2, -1.0, 3.0, 0.0, 1.0, 1.0]).view([3, 3]);
        let labels = Tensor::from_slice(&[1_i64, 0, 2]);
        let weights = || Some(Tensor::from_slice(&[1.0_f32, 2.0, 0.5]));
        let loss = |class_weights, label_smoothing| Objective { class_weights, label_smoothing }.loss(&logits, &labels).double_value(&[]);
        let found = [loss(None, 0.1), loss(weights(), 0.0), loss(weights(), 0.1)];
        assert!(found.iter().zip(EXPECTED).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
    }

    /// `sklearn.utils.class_weight.compute_class_weight("balanced", ...)` is the same formula.
    #[test]
    fn balanced_classes_weigh_the_same_in_all() {
        assert_eq!(balanced(3, &[0, 0, 0, 1]), [4.0 / 9.0, 4.0 / 3.0, 0.0]);
    }

    #[test]
    fn a_weight_for_an_unknown_class_is_an_error() {
        let weights = ClassWeights::ByName([("horse".to_owned(), 2.0)].into());
        let names = ["cat", "dog"].map(str::to_owned);
        let error = weigh(&weights, &names, &[0, 1]).unwrap_err();
        assert_eq!(error.to_string(), "class-weights: there is no class `horse`; there are cat, dog");
        let weights = ClassWeights::ByName([("dog".to_owned(), 2.0)].into());
        assert_eq!(weigh(&weights, &names, &[0, 1]).unwrap(), [1.0, 2.0]);
    }
}
