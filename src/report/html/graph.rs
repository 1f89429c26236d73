//! The stages as a graph, drawn from the top down: every stage stands a row below all that it needs.
//!
//! Rows are ordered so that lines seldom cross; a line that passes rows gets a place in each of them, as Sugiyama, Tagawa and Toda
//! (1981) have it. Pipelines have a dozen stages: a library for large graphs would bring its own colours and fonts.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::dossier::StageDossier;
use crate::key::StageId;
use crate::record::StageState;
use crate::report::html::subject::Subject;
use crate::report::{bytes, seconds};

const WIDTH: f64 = 156.0;
const HEIGHT: f64 = 62.0;
/// Between neighbours.
const GAP: f64 = 20.0;
/// Between rows.
const DROP: f64 = 34.0;
/// Of a place that a line passes through.
const PASSAGE: f64 = 26.0;
const SWEEPS: usize = 8;

/// A place in a row: a stage, or where a line to a stage passes.
#[derive(Debug)]
struct Node {
    stage: Option<usize>,
    row: usize,
    /// The nodes a row above that it is joined to.
    above: Vec<usize>,
    /// Its middle.
    x: f64,
}

/// Where everything lies.
#[derive(Debug)]
struct Layout {
    nodes: Vec<Node>,
    /// The nodes of each row from left to right.
    rows: Vec<Vec<usize>>,
    width: f64,
}

/// The graph of a subject's stages.
pub(super) fn figure(subject: &Subject<'_>) -> Markup {
    let stages = &subject.chapter.stages;
    let needs: Vec<Vec<usize>> = stages.iter().map(|stage| needed(stage, stages)).collect();
    let layout = Layout::of(&needs);
    let height = layout.rows.len() as f64 * (HEIGHT + DROP) - DROP + 4.0;
    let title = format!("{}-graph", subject.id);
    html! {
        figure.graph {
            div.scroll tabindex="0" role="group" aria-label="Graph of the stages" {
                svg viewBox={ "0 0 " (layout.width) " " (height) } width=(layout.width) height=(height) role="img" aria-labelledby=(title) {
                    title #(title) { (description(subject)) }
                    @for (index, node) in layout.nodes.iter().enumerate() {
                        @for above in &node.above { path.edge d=(layout.line(*above, index)) {} }
                        @if node.stage.is_none() { path.edge d={ "M" (node.x) " " (top(node.row)) "v" (HEIGHT) } {} }
                    }
                    @for node in &layout.nodes {
                        @if let Some(stage) = node.stage { (drawn(&stages[stage], node, subject.is_live)) }
                    }
                }
            }
            figcaption { "What ran, what was reused. An arrow leads from a stage to those that take its output." }
        }
    }
}

/// Indices of the stages that a stage needs.
fn needed(stage: &StageDossier, stages: &[StageDossier]) -> Vec<usize> {
    let place = |name: &StageId| stages.iter().position(|other| other.record.stage.stage == *name);
    stage.record.needs.iter().filter_map(place).collect()
}

fn drawn(stage: &StageDossier, node: &Node, is_live: bool) -> Markup {
    let (class, words) = state(stage, is_live);
    let (left, top) = (node.x - WIDTH / 2.0, top(node.row));
    html! {
        g class={ "stage " (class) } {
            rect x=(left) y=(top) width=(WIDTH) height=(HEIGHT) rx="8" {}
            text.name x=(node.x) y=(top + 21.0) { (shortened(&stage.record.stage.stage.to_string(), 19)) }
            text.kind x=(node.x) y=(top + 37.0) { (stage.record.kind) }
            text.state x=(node.x) y=(top + 53.0) { (words) }
        }
    }
}

/// A class for the style, and words; of a run that goes on, or of one that is over.
pub(super) fn state(stage: &StageDossier, is_live: bool) -> (&'static str, String) {
    match stage.record.state {
        StageState::Pending if is_live => ("not-run", "to come".to_owned()),
        StageState::Pending | StageState::NotRun => ("not-run", "not run".to_owned()),
        StageState::Running if is_live => ("at-work", "● running".to_owned()),
        StageState::Running => ("running", "was running".to_owned()),
        StageState::Reused if stage.record.from_remote.is_some() => ("reused", "↺ from the remote".to_owned()),
        StageState::Reused => ("reused", "↺ reused".to_owned()),
        StageState::Finished => ("ran", format!("✓ ran in {}", seconds(stage.record.seconds))),
        StageState::Unpublished => ("ran", "ran, not cached".to_owned()),
        StageState::Failed => ("failed", "✗ failed".to_owned()),
        StageState::Superseded => ("not-run", "stopped: no longer wanted".to_owned()),
    }
}

/// The size of what a stage left, if the cache knows.
pub(super) fn size(stage: &StageDossier) -> Option<String> {
    stage.result.as_ref().map(|result| bytes(result.files.iter().map(|file| file.size).sum()))
}

/// The graph in words.
fn description(subject: &Subject<'_>) -> String {
    let sentence = |stage: &StageDossier| {
        let needs: Vec<String> = stage.record.needs.iter().map(ToString::to_string).collect();
        let after = if needs.is_empty() { String::new() } else { format!(", after {}", crate::report::list(&needs)) };
        let (_, words) = state(stage, subject.is_live);
        format!("{} ({}{after}): {}.", stage.record.stage.stage, stage.record.kind, words.trim_start_matches(['✓', '↺', '✗', '●', ' ']))
    };
    subject.chapter.stages.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

fn top(row: usize) -> f64 {
    2.0 + row as f64 * (HEIGHT + DROP)
}

/// A text of at most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

impl Layout {
    /// `needs` names, for every stage, the stages before it.
    fn of(needs: &[Vec<usize>]) -> Layout {
        let mut nodes: Vec<Node> = Vec::new();
        let mut rows: Vec<Vec<usize>> = Vec::new();
        let depths = depths(needs);
        for (stage, &row) in depths.iter().enumerate() {
            nodes.push(Node { stage: Some(stage), row, above: Vec::new(), x: 0.0 });
        }
        let mut passages: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (stage, needed) in needs.iter().enumerate() {
            for &from in needed.iter().filter(|from| depths[**from] < depths[stage]) {
                let mut above = from;
                for row in depths[from] + 1..depths[stage] {
                    // Lines from the same stage share their way.
                    above = *passages.entry((from, row)).or_insert_with(|| {
                        nodes.push(Node { stage: None, row, above: vec![above], x: 0.0 });
                        nodes.len() - 1
                    });
                }
                nodes[stage].above.push(above);
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            rows.resize(rows.len().max(node.row + 1), Vec::new());
            rows[node.row].push(index);
        }
        let mut layout = Layout { nodes, rows, width: 0.0 };
        layout.order();
        layout
    }

    /// Puts every node near the middle of those that it is joined to.
    fn order(&mut self) {
        self.spread();
        for sweep in 0..SWEEPS {
            for row in 0..self.rows.len() {
                let row = if sweep % 2 == 0 { row } else { self.rows.len() - 1 - row };
                let wished: BTreeMap<usize, f64> = self.rows[row].iter().map(|&node| (node, self.wished(node))).collect();
                self.rows[row].sort_by(|a, b| wished[a].total_cmp(&wished[b]));
            }
            self.spread();
        }
    }

    /// The mean place of the neighbours above and below.
    fn wished(&self, node: usize) -> f64 {
        let below = (0..self.nodes.len()).filter(|other| self.nodes[*other].above.contains(&node));
        let neighbours: Vec<f64> = self.nodes[node].above.iter().copied().chain(below).map(|other| self.nodes[other].x).collect();
        if neighbours.is_empty() { self.nodes[node].x } else { neighbours.iter().sum::<f64>() / neighbours.len() as f64 }
    }

    /// Sets the nodes of each row side by side, the row in the middle.
    fn spread(&mut self) {
        let breadth = |nodes: &[Node], node: usize| if nodes[node].stage.is_some() { WIDTH } else { PASSAGE };
        let widths: Vec<f64> =
            self.rows.iter().map(|row| row.iter().map(|&node| breadth(&self.nodes, node) + GAP).sum::<f64>() - GAP).collect();
        self.width = widths.iter().copied().fold(WIDTH, f64::max) + 4.0;
        for (row, width) in self.rows.iter().zip(&widths) {
            let mut left = (self.width - width) / 2.0;
            for &node in row {
                let breadth = breadth(&self.nodes, node);
                self.nodes[node].x = left + breadth / 2.0;
                left += breadth + GAP;
            }
        }
    }

    /// From the lower edge of one node to the upper edge of another, with an arrow's head at a stage.
    fn line(&self, from: usize, to: usize) -> String {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        let (start, end) = (top(from.row) + HEIGHT, top(to.row));
        let middle = (start + end) / 2.0;
        let head = if to.stage.is_some() { "m-4 -6l4 6l4 -6" } else { "" };
        format!("M{} {start}C{} {middle} {} {middle} {} {end}{head}", from.x, from.x, to.x, to.x)
    }
}

/// How many stages, at most, stand between each stage and the beginning. Stages come after those that they need.
fn depths(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut depths = vec![0; needs.len()];
    for (stage, needed) in needs.iter().enumerate() {
        depths[stage] = needed.iter().map(|&from| depths[from] + 1).max().unwrap_or(0);
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pack → mean → train → eval, with pack also needed by train and eval, and mean by eval.
    #[test]
    fn no_two_nodes_of_a_row_overlap_and_long_lines_pass_beside_the_stages() {
        let layout = Layout::of(&[vec![], vec![0], vec![0, 1], vec![0, 1, 2]]);
        assert_eq!(layout.rows.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 3, 1]);
        for row in &layout.rows {
            for pair in row.windows(2) {
                let [left, right] = [&layout.nodes[pair[0]], &layout.nodes[pair[1]]];
                let half = |node: &Node| if node.stage.is_some() { WIDTH / 2.0 } else { PASSAGE / 2.0 };
                assert!(right.x - left.x >= half(left) + half(right) + GAP - 1e-9);
            }
            assert!(row.iter().all(|node| (0.0..layout.width).contains(&layout.nodes[*node].x)));
        }
    }
}
