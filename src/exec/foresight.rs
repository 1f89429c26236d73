//! Looking ahead for results: most stages of most runs give what they last gave.
//!
//! A stage's key is known only when what it needs is there, one stage after the other. But the key that it last had is known at once,
//! so that records and files are looked at by all threads before; the schedule then only has to find the same key. What is foreseen
//! holds while the run stays at the cache: while it is away, a collection may take it.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::cache::{ActionRecord, Cache, is_placed};
use crate::key::{ActionKey, Digest};
use crate::manifest::PipelineStage;

/// A stage with the key that it last had.
pub(super) struct Expected<'a> {
    pub stage: &'a PipelineStage,
    pub key: ActionKey,
    /// Where users find what it gives.
    pub folder: PathBuf,
}

/// A result whose objects are sound.
pub(super) struct Foreseen {
    pub key: ActionKey,
    pub record: Box<ActionRecord>,
    /// Where users find its files, if all are there.
    pub files: Option<Vec<PathBuf>>,
}

/// Looks for the expected results. What is not found or not sound is looked at again when its turn comes, which then says why.
pub(super) fn foresee(expected: Vec<Option<Expected<'_>>>, cache: &Cache) -> Vec<Option<Foreseen>> {
    let look = |expected: Expected<'_>| {
        let record = Box::new(cache.expected_action(&expected.key).ok()??);
        if !cache.is_sound(&record) {
            return None;
        }
        let files = outputs(expected.stage, &record, &expected.folder);
        let files = files.map(|(digest, file)| is_placed(cache, digest, &file).then_some(file)).collect();
        Some(Foreseen { key: expected.key, record, files })
    };
    expected.into_par_iter().map(|expected| expected.and_then(look)).collect()
}

/// The outputs of a stage by content, and the files in which users find them.
pub(super) fn outputs<'a>(
    stage: &'a PipelineStage,
    record: &'a ActionRecord,
    folder: &'a Path,
) -> impl Iterator<Item = (&'a Digest, PathBuf)> {
    let outputs = stage.spec.outputs().into_iter().filter_map(move |output| record.outputs.get(&*output.name));
    outputs.map(move |stored| (&stored.digest, folder.join(&stored.file)))
}
