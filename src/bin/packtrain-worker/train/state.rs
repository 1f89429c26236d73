//! Everything that changes while a network is trained: saved and restored, a training goes on as if nothing had been.

use std::path::Path;

use packtrain::artifact::{Checkpoint, Counters, History, ModelTensor};
use packtrain::stage::{StageError, Train};
use tch::Device;

use crate::net::Classifier;
use crate::optim::OptimizerState;
use crate::weights::{Weights, fill, read_back};

/// A training after some epochs. Random numbers need no state: they depend on the seed and on these counters.
#[derive(Debug)]
pub struct TrainState {
    /// Epochs done.
    pub epoch: u32,
    /// The network's tensors, running statistics included.
    pub weights: Weights,
    pub optimizer: OptimizerState,
    /// Of the epochs done.
    pub history: History,
    /// With `keep: best`, the weights of the best epoch so far.
    pub best: Option<Vec<ModelTensor>>,
}

/// What the names of the best epoch's tensors begin with in a checkpoint.
const BEST: &str = "best.";

impl TrainState {
    /// A new network and its state before the first epoch.
    pub fn new(spec: &Train, seed: u64, classes: usize, device: Device) -> (TrainState, Classifier) {
        let mut weights = Weights::random(seed, device);
        let net = Classifier::new(&spec.model, &mut weights, spec.input.size, classes);
        let optimizer = OptimizerState::new(&spec.optimizer, &weights);
        (TrainState { epoch: 0, weights, optimizer, history: History::default(), best: None }, net)
    }

    /// A copy of everything.
    pub fn checkpoint(&self) -> Checkpoint {
        let counters = Counters { epoch: self.epoch, steps: self.optimizer.steps, history: self.history.clone() };
        let mut tensors = self.weights.save();
        tensors.extend(self.optimizer.memory().iter().map(|(name, tensor)| read_back(name, tensor)));
        let best = self.best.iter().flatten();
        tensors.extend(best.map(|tensor| ModelTensor { name: format!("{BEST}{}", tensor.name), ..tensor.clone() }));
        Checkpoint { counters, tensors }
    }

    /// Becomes the state that a checkpoint holds.
    pub fn restore(&mut self, path: &Path) -> Result<(), StageError> {
        let Checkpoint { counters, tensors } = Checkpoint::read(path)?;
        let unfit = |error: crate::weights::WeightsError| StageError::Input { path: path.to_owned(), reason: error.to_string() };
        self.weights.load(&tensors).map_err(unfit)?;
        self.optimizer.memory().iter().try_for_each(|(name, tensor)| fill(name, tensor, &tensors)).map_err(unfit)?;
        let best = tensors.into_iter().filter_map(|tensor| {
            let name = tensor.name.strip_prefix(BEST)?.to_owned();
            Some(ModelTensor { name, ..tensor })
        });
        self.best = Some(best.collect()).filter(|best: &Vec<_>| !best.is_empty());
        self.optimizer.steps = counters.steps;
        self.epoch = counters.epoch;
        self.history = counters.history;
        Ok(())
    }
}
