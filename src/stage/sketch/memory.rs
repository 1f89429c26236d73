//! How much memory a training takes, by its network and its batch. An estimate: libtorch's allocators and convolutions decide.

use crate::stage::sketch::Sketch;
use crate::stage::{MemorySize, Optimizer, Precision, Train};

/// Bytes of the worker with libtorch loaded and nothing in it.
const PROGRAM: u64 = 180 << 20;

/// An estimate does not pretend to know more.
const ROUNDED: u64 = 10 << 20;

/// Batches of images that exist at a time: the one that is learnt from, one that is ready, one that is being made.
const BATCHES: u64 = 3;

/// Outputs of the largest layer that exist in a backward pass beside what is kept: gradients and the convolutions' own room.
const IN_PASSING: u64 = 3;

impl Train {
    /// The most memory of the CPU that this training takes there, about. None if the network cannot take such images.
    pub fn memory(&self, classes: u64) -> Option<MemorySize> {
        let sketch = self.model.sketch(self.input.size, classes)?;
        let weights = 4 * sketch.weights();
        let state = weights * (1 + self.optimizer.numbers_per_weight());
        let step = weights + self.step(&sketch);
        // A checkpoint is a copy of the state, then its bytes are another; about as much again was seen to go into writing them.
        let checkpoint = 3 * state;
        Some(MemorySize((PROGRAM + state + step.max(checkpoint)).next_multiple_of(ROUNDED)))
    }

    /// Bytes of a batch on its way through the network and back.
    fn step(&self, sketch: &Sketch) -> u64 {
        let number = match self.precision {
            Precision::Fp32 => 4,
            Precision::Bf16 => 2,
        };
        let side = u64::from(self.input.size);
        let image = number * (sketch.kept() + IN_PASSING * sketch.largest()) + 8 * sketch.places() + BATCHES * 4 * 3 * side * side;
        u64::from(self.batch) * image
    }
}

impl Optimizer {
    /// What is remembered for every number that is learnt.
    fn numbers_per_weight(&self) -> u64 {
        match self {
            Optimizer::Sgd { .. } => 1,
            Optimizer::Adam { .. } | Optimizer::Adamw { .. } => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The most resident memory of release workers on a CPU with two cores, libtorch 2.11, in MiB, as `VmHWM` of `/proc/PID/status`
    /// had it; two epochs on 192 photographs in two classes.
    #[test]
    fn the_estimate_is_near_what_trainings_took() {
        let sgd = json!({ "sgd": { "lr": 0.01 } });
        let adam = json!({ "adam": { "lr": 0.001 } });
        let measured = [
            ("mini-googlenet", 32, 8, &sgd, 245.0),
            ("mini-googlenet", 32, 64, &sgd, 653.0),
            ("mini-googlenet", 64, 64, &adam, 1805.0),
            ("alexnet", 113, 8, &sgd, 934.0),
            ("alexnet", 227, 64, &adam, 2891.0),
            ("alexnet", 227, 96, &sgd, 2306.0),
            ("deeper-googlenet", 64, 96, &sgd, 1752.0),
        ];
        for (network, size, batch, optimizer, took) in measured {
            let estimate = training(network, size, batch, optimizer).memory(2).unwrap().0 as f64 / f64::from(1 << 20);
            let error = estimate / took - 1.0;
            assert!(error.abs() < 0.1, "{network} {size} {batch}: {estimate:.0} MiB, took {took}: {:+.0} %", error * 100.0);
        }
    }

    fn training(network: &str, size: u32, batch: u32, optimizer: &Value) -> Train {
        let spec = json!({
            "train": "pack.train", "model": { network: {} }, "input": { "size": size }, "optimizer": optimizer, "epochs": 2, "batch": batch
        });
        serde_json::from_value(spec).unwrap()
    }
}
