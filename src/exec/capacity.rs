//! What the machine has, and what the running stages have taken of it.

use std::num::NonZero;
use std::thread::available_parallelism;

use crate::exec::worker::worker_hello;
use crate::manifest::PipelineStage;
use crate::preflight::machine_memory;
use crate::stage::{Device, MemorySize, StageSpec};

/// A stage on a GPU leaves the other cores to stages that pack; its own prepare its batches.
const CPUS_BESIDE_GPU: usize = 4;

/// What is free.
#[derive(Debug)]
pub(super) struct Capacity {
    device: Device,
    total: Resources,
    free: Resources,
    /// The GPUs that no stage has; none before one is asked for.
    free_gpus: Option<Vec<usize>>,
    gpus: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resources {
    /// Stages at once.
    stages: usize,
    cpus: usize,
    memory: MemorySize,
}

/// What one stage has while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allotment {
    pub cpus: usize,
    memory: MemorySize,
    gpu: Option<usize>,
    pub device: Device,
}

/// The answer to a stage that wants to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Now(Allotment),
    /// When others have ended.
    Later,
    /// More than the machine has; says of what.
    Never(String),
}

impl Capacity {
    /// Of this machine; at most `jobs` stages at once.
    pub(super) fn of_machine(device: Device, jobs: Option<usize>) -> Capacity {
        let cpus = available_parallelism().map_or(1, NonZero::get);
        Capacity::new(device, Resources { stages: jobs.unwrap_or(usize::MAX), cpus, memory: machine_memory() })
    }

    fn new(device: Device, total: Resources) -> Capacity {
        Capacity { device, total, free: total, free_gpus: None, gpus: 0 }
    }

    /// All the cores; a stage that has fewer is told so.
    pub(super) fn cpus(&self) -> usize {
        self.total.cpus
    }

    /// Gives a stage what it needs, if there is room.
    pub(super) fn take(&mut self, stage: &PipelineStage) -> Room {
        let needs = &stage.execution.needs;
        let wants_gpu = needs.gpus.map_or(stage.spec.needs_worker(), |gpus| gpus > 0);
        let on_gpu = wants_gpu && self.gpus() > 0;
        let known = || stage.spec.memory().filter(|_| !on_gpu);
        let memory = needs.memory.or_else(known).unwrap_or(MemorySize(0));
        if let Some(reason) = self.lack(stage, memory) {
            return Room::Never(reason);
        }
        let cpus = match needs.cpus {
            Some(cpus) => cpus,
            None if matches!(stage.spec, StageSpec::Command(_)) => 1,
            None if on_gpu => self.free.cpus.min(CPUS_BESIDE_GPU),
            None if stage.spec.needs_worker() => self.total.cpus,
            None => self.free.cpus,
        };
        let gpu = self.free_gpus.as_ref().and_then(|free| free.first().copied());
        if self.free.stages == 0 || cpus == 0 || cpus > self.free.cpus || memory > self.free.memory || (on_gpu && gpu.is_none()) {
            return Room::Later;
        }
        let gpu = gpu.filter(|_| on_gpu);
        let device = match gpu {
            Some(gpu) => Device::Cuda(gpu),
            None if needs.gpus == Some(0) => Device::Cpu,
            None => self.device,
        };
        let allotment = Allotment { cpus, memory, gpu, device };
        self.change(&allotment);
        Room::Now(allotment)
    }

    /// A stage has ended.
    pub(super) fn give_back(&mut self, allotment: &Allotment) {
        self.free.stages += 1;
        self.free.cpus += allotment.cpus;
        self.free.memory.0 += allotment.memory.0;
        if let (Some(free), Some(gpu)) = (&mut self.free_gpus, allotment.gpu) {
            free.push(gpu);
        }
    }

    fn change(&mut self, taken: &Allotment) {
        self.free.stages -= 1;
        self.free.cpus -= taken.cpus;
        self.free.memory.0 -= taken.memory.0;
        if let (Some(free), Some(gpu)) = (&mut self.free_gpus, taken.gpu) {
            free.retain(|other| *other != gpu);
        }
    }

    /// What the stage asks for and the machine does not have, even if nothing else runs.
    fn lack(&self, stage: &PipelineStage, memory: MemorySize) -> Option<String> {
        let needs = &stage.execution.needs;
        let cpus = needs.cpus.filter(|cpus| *cpus > self.total.cpus);
        let cpus = cpus.map(|cpus| format!("it needs {cpus} CPU cores, but this machine has {}", self.total.cpus));
        let memory = (memory > self.total.memory).then(|| match needs.memory {
            Some(_) => format!("it needs {memory} of memory, but this machine has {}", self.total.memory),
            None => format!(
                "it takes about {memory} of memory, but this machine has {}; take a smaller `batch`, or give `needs: {{ memory: … }}` \
                 if you know better",
                self.total.memory
            ),
        });
        let gpus = needs.gpus.filter(|gpus| *gpus > 0 && self.gpus == 0);
        cpus.or(memory).or(gpus.map(|_| "it needs a GPU, but there is none that it may use".to_owned()))
    }

    /// How many GPUs there are; looked for when a stage first wants one.
    fn gpus(&mut self) -> usize {
        if self.free_gpus.is_none() {
            let found = match self.device {
                Device::Cpu => Vec::new(),
                Device::Cuda(index) => vec![index],
                Device::Auto => visible_gpus(),
            };
            self.gpus = found.len();
            self.free_gpus = Some(found);
        }
        self.gpus
    }
}

/// The CUDA devices that the worker sees. It takes a while to load libtorch, so it is only asked where there is a card.
fn visible_gpus() -> Vec<usize> {
    if std::fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count) == 0 {
        return Vec::new();
    }
    let devices = worker_hello().map(|hello| hello.devices).unwrap_or_default();
    devices
        .iter()
        .filter_map(|name| match name.parse() {
            Ok(Device::Cuda(index)) => Some(index),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Written;
    use crate::stage::Execution;

    const GIB: u64 = 1 << 30;

    fn capacity(device: Device) -> Capacity {
        Capacity::new(device, Resources { stages: 3, cpus: 4, memory: MemorySize(8 * GIB) })
    }

    fn stage(spec: Value, needs: Value) -> PipelineStage {
        let spec: StageSpec = serde_json::from_value(spec).unwrap();
        let execution: Execution = serde_json::from_value(json!({ "needs": needs })).unwrap();
        PipelineStage { id: "stage".parse().unwrap(), spec, seed: 0, execution, written: Written::default(), inputs: Vec::new() }
    }

    fn mean(needs: Value) -> PipelineStage {
        stage(json!({ "kind": "compute-mean", "images": "pack" }), needs)
    }

    fn network(needs: Value) -> PipelineStage {
        stage(json!({ "kind": "evaluate", "images": "pack", "model": "train" }), needs)
    }

    fn training(batch: u32, needs: Value) -> PipelineStage {
        let optimizer = json!({ "sgd": { "lr": 0.1 } });
        let spec = json!({ "kind": "train", "train": "pack", "model": { "alexnet": {} }, "input": { "size": 227 }, "optimizer": optimizer,
            "epochs": 1, "batch": batch });
        stage(spec, needs)
    }

    fn cpus_and_device(room: &Room) -> (usize, Device) {
        match room {
            Room::Now(allotment) => (allotment.cpus, allotment.device),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stage_takes_what_it_needs_and_gives_it_back() {
        let mut capacity = capacity(Device::Cpu);
        let first = capacity.take(&mean(json!({ "cpus": 3, "memory": "5 GiB" })));
        assert_eq!(cpus_and_device(&first), (3, Device::Cpu));
        assert_eq!(capacity.take(&mean(json!({ "cpus": 2 }))), Room::Later);
        assert_eq!(capacity.take(&mean(json!({ "cpus": 1, "memory": "4 GiB" }))), Room::Later);
        // What is not given is what is free.
        assert_eq!(cpus_and_device(&capacity.take(&mean(json!({})))).0, 1);
        assert_eq!(capacity.take(&mean(json!({}))), Room::Later);
        let Room::Now(first) = first else { panic!() };
        capacity.give_back(&first);
        assert_eq!(cpus_and_device(&capacity.take(&mean(json!({ "cpus": 2, "memory": "8 GiB" })))).0, 2);
    }

    #[test]
    fn no_more_stages_run_at_once_than_were_asked_for() {
        let mut capacity = capacity(Device::Cpu);
        for _ in 0..3 {
            cpus_and_device(&capacity.take(&mean(json!({ "cpus": 1 }))));
        }
        assert_eq!(capacity.take(&mean(json!({ "cpus": 1 }))), Room::Later);
    }

    #[test]
    fn a_network_on_the_cpu_has_all_cores_unless_it_asks_for_fewer() {
        let mut capacity = capacity(Device::Auto);
        capacity.free_gpus = Some(Vec::new());
        let Room::Now(small) = capacity.take(&network(json!({ "cpus": 1 }))) else { panic!() };
        assert_eq!(capacity.take(&network(json!({}))), Room::Later);
        capacity.give_back(&small);
        assert_eq!(cpus_and_device(&capacity.take(&network(json!({})))), (4, Device::Auto));
    }

    #[test]
    fn a_training_takes_the_memory_that_its_network_and_batch_are_known_to_take() {
        let (mut on_cpu, mut on_gpu) = (capacity(Device::Cpu), capacity(Device::Cuda(0)));
        for capacity in [&mut on_cpu, &mut on_gpu] {
            cpus_and_device(&capacity.take(&mean(json!({ "cpus": 1, "memory": "6 GiB" }))));
        }
        let large = |needs| training(256, needs);
        assert_eq!(on_cpu.take(&large(json!({ "cpus": 1 }))), Room::Later);
        assert_eq!(cpus_and_device(&on_gpu.take(&large(json!({ "cpus": 1 })))), (1, Device::Cuda(0)));
        assert_eq!(cpus_and_device(&on_cpu.take(&large(json!({ "cpus": 1, "memory": "2 GiB" })))), (1, Device::Cpu));
    }

    #[test]
    fn networks_share_out_the_gpus_and_others_go_on_beside_them() {
        let mut capacity = capacity(Device::Auto);
        (capacity.free_gpus, capacity.gpus) = (Some(vec![0, 1]), 2);
        assert_eq!(cpus_and_device(&capacity.take(&network(json!({ "cpus": 1 })))), (1, Device::Cuda(0)));
        assert_eq!(cpus_and_device(&capacity.take(&network(json!({ "cpus": 1 })))), (1, Device::Cuda(1)));
        assert_eq!(capacity.take(&network(json!({ "cpus": 1 }))), Room::Later);
        assert_eq!(cpus_and_device(&capacity.take(&network(json!({ "cpus": 1, "gpus": 0 })))), (1, Device::Cpu));
    }

    #[test]
    fn what_the_machine_does_not_have_is_refused_at_once() {
        let refusal = |stage| match capacity(Device::Cpu).take(&stage) {
            Room::Never(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(mean(json!({ "cpus": 5 }))), "it needs 5 CPU cores, but this machine has 4");
        assert_eq!(refusal(mean(json!({ "memory": "9 GiB" }))), "it needs 9 GiB of memory, but this machine has 8 GiB");
        assert_eq!(refusal(network(json!({ "gpus": 1 }))), "it needs a GPU, but there is none that it may use");
        assert_eq!(
            refusal(training(1024, json!({}))),
            "it takes about 14.1 GiB of memory, but this machine has 8 GiB; take a smaller `batch`, or give `needs: { memory: … }` if you \
             know better"
        );
        assert_eq!(cpus_and_device(&capacity(Device::Cuda(2)).take(&network(json!({ "gpus": 1 })))), (4, Device::Cuda(2)));
    }
}
