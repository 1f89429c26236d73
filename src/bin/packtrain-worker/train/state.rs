//! Everything that changes while a network is trained: saved and restored, a training goes on as if nothing had been.

use packtrain::stage::Train;
use tch::Device;

use crate::net::Classifier;
use crate::optim::OptimizerState;
use crate::weights::Weights;

/// A training after some epochs. Random numbers need no state: they depend on the seed and on these counters.
#[derive(Debug)]
pub struct TrainState {
    /// Epochs done.
    pub epoch: u32,
    /// The network's tensors, running statistics included.
    pub weights: Weights,
    pub optimizer: OptimizerState,
}

impl TrainState {
    /// A new network and its state before the first epoch.
    pub fn new(spec: &Train, seed: u64, classes: usize, device: Device) -> (TrainState, Classifier) {
        let mut weights = Weights::random(seed, device);
        let net = Classifier::new(&spec.model, &mut weights, spec.input.size, classes);
        let optimizer = OptimizerState::new(&spec.optimizer, &weights);
        (TrainState { epoch: 0, weights, optimizer }, net)
    }
}
