//! The stages of a pipeline in an order in which each comes after those that it needs.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::key::StageId;
use crate::manifest::{Pipeline, PipelineInputSource, PipelineStage};
use crate::plan::selection::{Selection, with_upstream};

/// A pipeline with its stages in order.
#[derive(Debug)]
pub struct Plan<'a> {
    pub pipeline: &'a Pipeline,
    order: Vec<&'a PipelineStage>,
    /// Stages that others need but that were not chosen: they are reused or, if that cannot be, missing.
    only_reused: BTreeSet<StageId>,
}

impl<'a> Plan<'a> {
    /// Orders the stages. Stages that do not depend on each other keep the manifest's order.
    pub fn new(pipeline: &'a Pipeline) -> Plan<'a> {
        let mut graph: DiGraph<usize, ()> = DiGraph::new();
        // toposort takes nodes without an order among them last to first.
        let nodes: Vec<NodeIndex> = (0..pipeline.stages.len()).rev().map(|index| graph.add_node(index)).collect();
        let node = |index: usize| nodes[nodes.len() - 1 - index];
        let by_id: BTreeMap<_, _> = pipeline.stages.iter().enumerate().map(|(index, stage)| (&stage.id, index)).collect();
        for (index, stage) in pipeline.stages.iter().enumerate() {
            for needed in upstream(stage) {
                if let Some(needed) = by_id.get(needed) {
                    graph.update_edge(node(*needed), node(index), ());
                }
            }
        }
        // A pipeline has no cycle; if one had, the manifest's order would do no harm.
        let sorted = toposort(&graph, None).map(|nodes| nodes.into_iter().map(|node| graph[node]).collect());
        let indices: Vec<usize> = sorted.unwrap_or_else(|_| (0..pipeline.stages.len()).collect());
        let order = indices.into_iter().map(|index| &pipeline.stages[index]).collect();
        Plan { pipeline, order, only_reused: BTreeSet::new() }
    }

    /// The plan of what was chosen and what that needs.
    pub fn select(self, selection: &Selection) -> Plan<'a> {
        let chosen = selection.of(&self);
        let needed = with_upstream(&self, &chosen);
        let order = self.order.into_iter().filter(|stage| needed.contains(&stage.id)).collect();
        Plan { pipeline: self.pipeline, order, only_reused: needed.difference(&chosen).cloned().collect() }
    }

    /// Whether the stage may run; else it is only looked at because a chosen one needs it.
    pub fn may_run(&self, id: &StageId) -> bool {
        !self.only_reused.contains(id)
    }

    /// The stages, each after those that it needs.
    pub fn stages(&self) -> &[&'a PipelineStage] {
        &self.order
    }

    /// The stage with this name.
    pub fn stage(&self, id: &StageId) -> Option<&'a PipelineStage> {
        self.order.iter().copied().find(|stage| stage.id == *id)
    }
}

/// The stages that a stage needs, in the order of its inputs.
pub fn upstream(stage: &PipelineStage) -> impl Iterator<Item = &StageId> {
    stage.inputs.iter().filter_map(|input| match &input.source {
        PipelineInputSource::Output { stage, .. } => Some(stage),
        PipelineInputSource::File(_) | PipelineInputSource::ImageFolder(_) | PipelineInputSource::Folder(_) => None,
    })
}
