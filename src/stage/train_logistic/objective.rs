//! What logistic regression minimises: mean log-loss plus `|w|² / (2·C·N)`, the intercepts unpenalised; and its gradient.
//!
//! The same minimum as scikit-learn's `C·Σ loss + |w|²/2`, in the scaling that its solver sees. Two classes have one vector of
//! weights, that of the second class, as there; more have one each. Sums are in f64, over parts of the rows that do not
//! depend on the number of threads, so neither does the result.

use multiversion::multiversion;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayViewMut1, Axis, s};
use rayon::prelude::*;

use crate::stage::linear_classifier::LinearClassifier;

/// Parts that the rows are divided into, each summed by one thread.
const PARTS: usize = 32;
/// Rows multiplied at once: `[BLOCK,D] f64` is to fit the cache.
const BLOCK: usize = 32;

/// Rows of features with the class of each, as an index below `class_names.len()`.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    /// `[N*D]`.
    pub values: &'a [f32],
    /// D.
    pub dimensions: usize,
    /// `[N]`.
    pub classes: Vec<usize>,
    pub class_names: Vec<String>,
}

/// The function to minimise over some of the rows. Parameters are the weights, row by row, then the intercepts.
pub(super) struct Objective<'a> {
    pub samples: &'a Samples<'a>,
    /// Indices of the rows.
    pub rows: &'a [usize],
    /// Inverse strength of the penalty.
    pub c: f64,
}

/// The sums over a part of the rows.
struct Sums {
    loss: f64,
    /// `[K,D]`.
    weight: Array2<f64>,
    /// `[K]`.
    bias: Array1<f64>,
}

impl Samples<'_> {
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimensions..(row + 1) * self.dimensions]
    }

    /// Vectors of weights: K.
    fn outputs(&self) -> usize {
        if self.class_names.len() == 2 { 1 } else { self.class_names.len() }
    }

    /// Numbers to be found.
    pub(super) fn parameters(&self) -> usize {
        self.outputs() * (self.dimensions + 1)
    }

    /// Weights `[K,D]` and intercepts `[K]`.
    fn split(&self, parameters: &[f64]) -> (Array2<f64>, Array1<f64>) {
        let (weight, bias) = parameters.split_at(self.outputs() * self.dimensions);
        let shape = (self.outputs(), self.dimensions);
        (Array2::from_shape_fn(shape, |(output, column)| weight[output * self.dimensions + column]), bias.to_vec().into())
    }

    /// The classifier with these parameters, of two classes the first with zeros.
    pub(super) fn classifier(&self, parameters: &[f64]) -> LinearClassifier {
        let (mut weight, mut bias) = self.split(parameters);
        if self.outputs() == 1 {
            weight = ndarray::concatenate![Axis(0), Array2::zeros((1, self.dimensions)), weight];
            bias = ndarray::concatenate![Axis(0), Array1::zeros(1), bias];
        }
        LinearClassifier { class_names: self.class_names.clone(), weight, bias }
    }

    /// The fraction of `rows` that these parameters are right about.
    pub(super) fn accuracy(&self, parameters: &[f64], rows: &[usize]) -> f64 {
        let classifier = self.classifier(parameters);
        let right = rows.par_iter().filter(|row| classifier.predict(self.row(**row)) == self.classes[**row]).count();
        right as f64 / rows.len() as f64
    }
}

impl Objective<'_> {
    /// The value; writes the gradient.
    pub(super) fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let (weight, bias) = self.samples.split(parameters);
        let part = self.rows.len().div_ceil(PARTS).max(1);
        let parts: Vec<Sums> = self.rows.par_chunks(part).map(|rows| self.sum(rows, &weight, &bias)).collect();
        let mut total = Sums::zero(weight.dim());
        parts.iter().for_each(|part| total.add(part));

        let scale = 1.0 / self.rows.len() as f64;
        let penalty = scale / self.c;
        total.weight *= scale;
        total.weight.scaled_add(penalty, &weight);
        total.bias *= scale;
        gradient.iter_mut().zip(total.weight.iter().chain(&total.bias)).for_each(|(gradient, sum)| *gradient = *sum);
        total.loss * scale + 0.5 * penalty * weight.iter().map(|w| w * w).sum::<f64>()
    }

    fn sum(&self, rows: &[usize], weight: &Array2<f64>, bias: &Array1<f64>) -> Sums {
        if weight.nrows() == 1 { self.sum_by_row(rows, &weight.row(0).to_vec(), bias[0]) } else { self.sum_by_block(rows, weight, bias) }
    }

    /// With a single vector of weights a row is read once for both products; a matrix product would mostly copy.
    fn sum_by_row(&self, rows: &[usize], weight: &[f64], bias: f64) -> Sums {
        let (mut loss, mut bias_gradient) = (0.0, 0.0);
        let mut gradient = vec![0.0; weight.len()];
        for &row in rows {
            let x = self.samples.row(row);
            let (row_loss, residual) = logistic_loss(dot(x, weight) + bias, self.samples.classes[row]);
            loss += row_loss;
            bias_gradient += residual;
            add_scaled(&mut gradient, residual, x);
        }
        Sums { loss, weight: Array1::from(gradient).insert_axis(Axis(0)), bias: Array1::from_elem(1, bias_gradient) }
    }

    fn sum_by_block(&self, rows: &[usize], weight: &Array2<f64>, bias: &Array1<f64>) -> Sums {
        let mut sums = Sums::zero(weight.dim());
        let mut buffer = Array2::zeros((BLOCK, self.samples.dimensions));
        for rows in rows.chunks(BLOCK) {
            let mut x = buffer.slice_mut(s![..rows.len(), ..]);
            for (mut target, &row) in x.outer_iter_mut().zip(rows) {
                target.iter_mut().zip(self.samples.row(row)).for_each(|(target, value)| *target = f64::from(*value));
            }
            let mut residuals = x.dot(&weight.t()) + bias;
            for (mut residual, &row) in residuals.outer_iter_mut().zip(rows) {
                sums.loss += softmax_loss(&mut residual, self.samples.classes[row]);
            }
            general_mat_mul(1.0, &residuals.t(), &x, 1.0, &mut sums.weight);
            sums.bias += &residuals.sum_axis(Axis(0));
        }
        sums
    }
}

impl Sums {
    fn zero((outputs, dimensions): (usize, usize)) -> Sums {
        Sums { loss: 0.0, weight: Array2::zeros((outputs, dimensions)), bias: Array1::zeros(outputs) }
    }

    fn add(&mut self, other: &Sums) {
        self.loss += other.loss;
        self.weight += &other.weight;
        self.bias += &other.bias;
    }
}

/// The log-loss of a row of two classes, and its derivative by the logit of the second.
fn logistic_loss(logit: f64, class: usize) -> (f64, f64) {
    let target = class as f64;
    let loss = logit.max(0.0) + (-logit.abs()).exp().ln_1p() - target * logit;
    (loss, 1.0 / (1.0 + (-logit).exp()) - target)
}

/// The log-loss of one row; its logits become the derivative of the loss by each of them.
fn softmax_loss(logits: &mut ArrayViewMut1<'_, f64>, class: usize) -> f64 {
    let greatest = logits.fold(f64::NEG_INFINITY, |greatest, logit| greatest.max(*logit));
    let logit = logits[class] - greatest;
    logits.mapv_inplace(|logit| (logit - greatest).exp());
    let sum = logits.sum();
    *logits /= sum;
    logits[class] -= 1.0;
    sum.ln() - logit
}

/// Eight sums side by side, which the compiler turns into vector instructions. Those that multiply and add in one are not used: every
/// processor is to give the same bits.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn dot(x: &[f32], weight: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (x_chunks, weight_chunks) = (x.chunks_exact(LANES), weight.chunks_exact(LANES));
    let rest = x_chunks.remainder().iter().zip(weight_chunks.remainder());
    let rest: f64 = rest.map(|(x, weight)| f64::from(*x) * weight).sum();
    let mut lanes = [0.0; LANES];
    for (x, weight) in x_chunks.zip(weight_chunks) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(x[lane]) * weight[lane];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn add_scaled(sum: &mut [f64], factor: f64, x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * f64::from(*x));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        for classes in [2, 3] {
            let values: Vec<f32> = (0..70 * 4).map(|i| (i as f32 * 0.7).sin()).collect();
            let samples = Samples {
                values: &values,
                dimensions: 4,
                classes: (0..70).map(|i| i * i % classes).collect(),
                class_names: (0..classes).map(|class| class.to_string()).collect(),
            };
            let rows: Vec<usize> = (0..70).filter(|row| row % 3 != 0).collect();
            let objective = Objective { samples: &samples, rows: &rows, c: 0.3 };
            let at: Vec<f64> = (0..samples.parameters()).map(|i| (i as f64).cos()).collect();
            let value = |at: &[f64]| objective.evaluate(at, &mut vec![0.0; at.len()]);

            let mut gradient = vec![0.0; at.len()];
            objective.evaluate(&at, &mut gradient);
            for (i, slope) in gradient.into_iter().enumerate() {
                let (mut above, mut below) = (at.clone(), at.clone());
                above[i] += 1e-5;
                below[i] -= 1e-5;
                let expected = (value(&above) - value(&below)) / 2e-5;
                assert!((slope - expected).abs() < 1e-8, "{classes} classes, parameter {i}: {slope} is not {expected}");
            }
        }
    }
}
