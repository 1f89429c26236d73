//! A stage as it was written, for telling where a parameter has its value from.

use std::sync::Arc;

use super::node::Node;
use super::source::Sources;
use crate::key::Place;

/// A stage's text; nothing for a stage that no manifest holds.
#[derive(Debug, Clone, Default)]
pub struct Written(Option<(Arc<Node>, Arc<Sources>)>);

impl Written {
    pub(super) fn new(node: Node, sources: &Arc<Sources>) -> Written {
        Written(Some((Arc::new(node), Arc::clone(sources))))
    }

    /// The stage as it was written, parameters filled in.
    pub(super) fn node(&self) -> Option<&Node> {
        self.0.as_ref().map(|(node, _)| &**node)
    }

    pub(super) fn sources(&self) -> Option<&Arc<Sources>> {
        self.0.as_ref().map(|(_, sources)| sources)
    }

    /// Where the value under dotted keys is written; of one that comes from a parameter, where that has its value from. None for a
    /// value that is left to its default.
    pub fn place(&self, path: &str) -> Option<Place> {
        let (node, sources) = self.0.as_ref()?;
        let span = node.exactly_at(path)?.span;
        let source = sources.get(span.source);
        let before = source.text.get(..span.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some(Place { file: source.name.clone(), line, column })
    }
}
