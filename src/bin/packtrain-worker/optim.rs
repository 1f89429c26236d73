//! Stochastic gradient descent, Adam and AdamW, as `torch.optim` defines them.

use packtrain::stage::Optimizer;
use tch::{Device, Tensor};

use crate::kernels::{self, AdamStep, FusedAdam, FusedSgd, SgdStep};
use crate::weights::{Role, Weight, Weights};

/// An optimizer and what it remembers from step to step.
#[derive(Debug)]
pub struct OptimizerState {
    /// Steps done.
    pub steps: u64,
    rule: Rule,
    /// By how much kernels shrink in a step, in units of the learning rate.
    decay: f64,
}

/// How a step is made. Lists have a tensor for every trained tensor, in order and of its shape.
#[derive(Debug)]
enum Rule {
    Sgd {
        momentum: f64,
        nesterov: bool,
        velocities: Vec<Tensor>,
    },
    Adam {
        beta1: f64,
        beta2: f64,
        eps: f64,
        /// Running means of the gradients.
        means: Vec<Tensor>,
        /// Running means of the squared gradients.
        squares: Vec<Tensor>,
    },
}

impl OptimizerState {
    /// Nothing remembered yet.
    pub fn new(optimizer: &Optimizer, weights: &Weights) -> OptimizerState {
        let zeros = || tch::no_grad(|| weights.trained().map(|weight| weight.tensor.zeros_like()).collect());
        let rule = match *optimizer {
            Optimizer::Sgd { momentum, nesterov, .. } => Rule::Sgd { momentum, nesterov, velocities: zeros() },
            Optimizer::Adam { beta1, beta2, eps, .. } | Optimizer::Adamw { beta1, beta2, eps, .. } => {
                Rule::Adam { beta1, beta2, eps, means: zeros(), squares: zeros() }
            }
        };
        let decay = if let Optimizer::Adamw { weight_decay, .. } = *optimizer { weight_decay } else { 0.0 };
        OptimizerState { steps: 0, rule, decay }
    }

    /// What is remembered, by name. The tensors are those in use, not copies.
    pub fn memory(&self) -> Vec<(String, Tensor)> {
        let lists = match &self.rule {
            Rule::Sgd { velocities, .. } => vec![("velocity", velocities)],
            Rule::Adam { means, squares, .. } => vec![("mean", means), ("square", squares)],
        };
        let named = |(name, list): (&'static str, &Vec<Tensor>)| {
            let tensors = list.iter().enumerate().map(|(index, tensor)| (format!("optimizer.{name}.{index}"), tensor.shallow_clone()));
            tensors.collect::<Vec<_>>()
        };
        lists.into_iter().flat_map(named).collect()
    }

    /// Moves every trained tensor along its gradient, given in order; kernels also along that of the penalty `l2 * sum(w^2)`. Gives
    /// the penalty of the kernels as they were, a scalar on the device; `None` without one.
    pub fn step(&mut self, learning_rate: f64, weights: &Weights, gradients: &[Tensor], l2: f64) -> Option<Tensor> {
        self.steps += 1;
        let penalized = l2 > 0.0;
        if weights.device() == Device::Cpu {
            let squares = self.step_in_one_pass(learning_rate, weights, gradients, l2);
            return penalized.then(|| Tensor::from(l2 * squares));
        }
        let penalty = penalized.then(|| weights.squared_norm() * l2);
        tch::no_grad(|| self.step_at_once(learning_rate, weights, gradients, l2));
        penalty
    }

    /// On a card, where starting a computation takes longer than doing it for most tensors: all that are treated alike in one step.
    fn step_at_once(&self, learning_rate: f64, weights: &Weights, gradients: &[Tensor], l2: f64) {
        for (role, penalty, decay) in [(Role::Kernel, 2.0 * l2, self.decay), (Role::Offset, 0.0, 0.0)] {
            let of_role: Vec<_> = weights.trained().enumerate().filter(|(_, weight)| weight.role == role).collect();
            let tensors: Vec<_> = of_role.iter().map(|(_, weight)| &weight.tensor).collect();
            match &self.rule {
                Rule::Sgd { momentum, nesterov, velocities } => {
                    let step = FusedSgd { learning_rate, momentum: *momentum, penalty, nesterov: *nesterov };
                    kernels::fused_sgd(step, [&tensors, &picked(gradients, &of_role), &picked(velocities, &of_role)]);
                }
                Rule::Adam { beta1, beta2, eps, means, squares } => {
                    let (beta1, beta2, eps, steps) = (*beta1, *beta2, *eps, self.steps);
                    let step = FusedAdam { learning_rate, beta1, beta2, eps, penalty, decay, steps };
                    let [gradients, means, squares] = [gradients, means, squares].map(|list| picked(list, &of_role));
                    kernels::fused_adam(step, [&tensors, &gradients, &means, &squares]);
                }
            }
        }
    }

    /// The same on the CPU, where every pass over the weights of AlexNet takes as long as a few images. Gives `sum(w^2)` over all kernels as
    /// they were.
    fn step_in_one_pass(&self, learning_rate: f64, weights: &Weights, gradients: &[Tensor], l2: f64) -> f64 {
        let mut squares = 0.0;
        for (index, (weight, gradient)) in weights.trained().zip(gradients).enumerate() {
            let is_kernel = weight.role == Role::Kernel;
            let (penalty, decay) = if is_kernel { (2.0 * l2, self.decay) } else { (0.0, 0.0) };
            let of_tensor = match &self.rule {
                Rule::Sgd { momentum, nesterov, velocities } => {
                    let (learning_rate, momentum, penalty) = (learning_rate as f32, *momentum as f32, penalty as f32);
                    let step = SgdStep { learning_rate, momentum, penalty, nesterov: *nesterov };
                    kernels::sgd_step(step, &weight.tensor, gradient, &velocities[index])
                }
                Rule::Adam { beta1, beta2, eps, means, squares } => {
                    let [correction1, correction2] = [beta1, beta2].map(|beta| 1.0 - beta.powf(self.steps as f64));
                    let step = AdamStep {
                        step_size: (learning_rate / correction1) as f32,
                        beta1: *beta1 as f32,
                        beta2: *beta2 as f32,
                        eps: *eps as f32,
                        root_correction: correction2.sqrt() as f32,
                        penalty: penalty as f32,
                        shrink: (1.0 - learning_rate * decay) as f32,
                    };
                    kernels::adam_step(step, &weight.tensor, gradient, [&means[index], &squares[index]])
                }
            };
            if is_kernel {
                squares += of_tensor;
            }
        }
        squares
    }
}

/// The tensors of a list that belong to some weights.
fn picked<'a>(list: &'a [Tensor], weights: &[(usize, &Weight)]) -> Vec<&'a Tensor> {
    weights.iter().map(|(index, _)| &list[*index]).collect()
}

/// Shortens gradients, all by the same factor, so that their norm together is at most `norm`, as
/// `torch.nn.utils.clip_grad_norm_` does. Reads nothing back from the device.
pub fn clip(gradients: Vec<Tensor>, norm: f64) -> Vec<Tensor> {
    let norms: Vec<_> = gradients.iter().map(Tensor::norm).collect();
    let factor = (Tensor::stack(&norms, 0).norm() + 1e-6).reciprocal() * norm;
    let factor = factor.clamp_max(1.0);
    gradients.into_iter().map(|gradient| gradient * &factor).collect()
}

#[cfg(test)]
mod tests {
    use packtrain::artifact::ModelTensor;

    use super::*;
    use crate::net::reference;

    /// What `tests/reference/optimizers.py` prints: a kernel and an offset of four numbers each after 20 steps.
    const SGD: [f32; 8] = [-0.0349506, -0.0592943, 0.0475704, 0.2013314, 0.4207571, -0.1513693, 0.0524548, -0.1930825];
    const MOMENTUM: [f32; 8] = [-1.1268255, 0.4249423, 0.7178013, 0.3014835, 0.7708979, -0.2484522, -0.0234415, 0.0068004];
    const NESTEROV: [f32; 8] = [-0.9924034, 0.3238112, 0.3049544, 0.2335396, 0.7302849, -0.2276284, 0.0234913, -0.1280167];
    const ADAM: [f32; 8] = [0.0519687, -1.032966, 2.0216436, 0.1818288, 0.7373853, -0.2964088, 0.1392965, -0.3348622];
    const ADAMW: [f32; 8] = [-0.0344376, -0.7711839, 1.5780925, 0.1919964, 0.7373853, -0.2964088, 0.1392965, -0.3348622];

    type MakeStep = fn(&mut OptimizerState, f64, &Weights, &[Tensor], f64);

    /// As on the test's device, and as on a card.
    const WAYS: [MakeStep; 2] = [
        |state, learning_rate, weights, gradients, l2| drop(state.step(learning_rate, weights, gradients, l2)),
        |state, learning_rate, weights, gradients, l2| {
            state.steps += 1;
            state.step_at_once(learning_rate, weights, gradients, l2);
        },
    ];

    fn assert_twenty_steps(optimizer: &Optimizer, l2: f64, expected: &[f32]) {
        WAYS.iter().for_each(|make_step| assert_close(&after_twenty_steps(optimizer, l2, *make_step), expected));
    }

    fn after_twenty_steps(optimizer: &Optimizer, l2: f64, make_step: MakeStep) -> Vec<f32> {
        let mut weights = Weights::zero(reference::device());
        let kernel = weights.kernel("kernel".into(), &[1, 4]);
        let offset = weights.offset("offset".into(), 4, 0.0);
        let tensor = |name: &str, shape: &[usize], values: &[f32]| ModelTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let start = [tensor("kernel", &[1, 4], &[1.0, -2.0, 3.0, 0.5]), tensor("offset", &[4], &[0.1, 0.2, -0.3, 0.4])];
        weights.load(&start).unwrap();

        let slope = Tensor::from_slice(&[0.5_f32, 1.0, 1.5, 2.0]).to_device(reference::device());
        let pull = Tensor::from_slice(&[0.3_f32, -0.2, 0.1, -0.4]).to_device(reference::device());
        let mut state = OptimizerState::new(optimizer, &weights);
        for _ in 0..20 {
            let gradients = tch::no_grad(|| [&kernel * &slope + &pull, &offset * &slope - &pull]);
            make_step(&mut state, optimizer.learning_rate(), &weights, &gradients, l2);
        }
        weights.save().into_iter().flat_map(|tensor| tensor.values).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    #[test]
    fn sgd_is_pytorchs() {
        let assert_sgd = |lr, momentum, nesterov, expected| assert_twenty_steps(&Optimizer::Sgd { lr, momentum, nesterov }, 0.01, expected);
        assert_sgd(0.1, 0.0, false, &SGD);
        assert_sgd(0.05, 0.9, false, &MOMENTUM);
        assert_sgd(0.05, 0.9, true, &NESTEROV);
    }

    #[test]
    fn adam_is_pytorchs() {
        let adam = Optimizer::Adam { lr: 0.05, beta1: 0.9, beta2: 0.99, eps: 1e-8 };
        assert_twenty_steps(&adam, 0.01, &ADAM);
    }

    #[test]
    fn adamw_is_pytorchs() {
        let adamw = Optimizer::Adamw { lr: 0.05, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.2 };
        assert_twenty_steps(&adamw, 0.0, &ADAMW);
    }

    /// The norm of (3, 4) and (12) together is 13.
    #[test]
    fn long_gradients_are_shortened_together_and_short_ones_left() {
        let clipped = |norm: f64| {
            let clipped = clip(vec![Tensor::from_slice(&[3.0_f32, 4.0]), Tensor::from_slice(&[12.0_f32])], norm);
            clipped.iter().flat_map(|gradient| Vec::<f32>::try_from(gradient).unwrap()).collect::<Vec<_>>()
        };
        assert_close(&clipped(6.5), &[1.5, 2.0, 6.0]);
        assert_eq!(clipped(14.0), [3.0, 4.0, 12.0]);
    }
}
