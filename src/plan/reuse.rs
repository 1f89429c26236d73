//! Which rows a stage need not make again, because earlier results hold them.
//!
//! A row is known by the digest of the image that it was made of. Every earlier result counts whose kind, version and row-deciding
//! parameters are the same, whatever pipeline it was made for; its labels, its split and the names of its images do not matter.

use std::collections::BTreeSet;

use crate::cache::{ActionRecord, Cache, CacheError, ObjectState, StoredFile};
use crate::event::RowCounts;
use crate::key::{Change, Digest, Fingerprint};
use crate::manifest::PipelineStage;
use crate::plan::{Experience, GatheredInputs};
use crate::stage::{EarlierRows, RowSources};

/// Rows that a stage may copy.
#[derive(Debug)]
pub struct ReusableRows {
    /// For the stage's job.
    pub earlier: Vec<EarlierRows>,
    /// The results that hold them.
    pub records: Vec<ActionRecord>,
    /// Of all rows; an image that turns out to be unreadable counts as one to be made.
    pub counts: RowCounts,
}

/// Takes rows from one earlier result after another.
struct Search<'a> {
    cache: &'a Cache,
    /// The images that no result was found to hold so far.
    missing: BTreeSet<Digest>,
    earlier: Vec<EarlierRows>,
}

impl ReusableRows {
    /// Looks for the rows of a stage; `None` for a kind whose rows are not made of one image each.
    pub fn find(
        stage: &PipelineStage,
        fingerprint: &Fingerprint,
        inputs: &GatheredInputs,
        experience: &Experience<'_>,
    ) -> Result<Option<ReusableRows>, CacheError> {
        let Some(beside) = stage.spec.parameters_beside_rows() else { return Ok(None) };
        let images = || inputs.listings.values().flat_map(|listing| listing.files()).map(|file| file.digest);
        let mut search = Search { cache: experience.cache(), missing: images().collect(), earlier: Vec::new() };
        let makes_same = |record: &&ActionRecord| makes_same_rows(&fingerprint.changes_from(&record.fingerprint), beside);
        let mut candidates: Vec<&ActionRecord> = experience.records()?.iter().filter(makes_same).collect();
        // Whichever is asked first, the rows are the same; the newest likely has most of them.
        candidates.sort_by(|a, b| b.provenance.finished.cmp(&a.provenance.finished));
        let mut records = Vec::new();
        for record in candidates {
            if search.take_from(record)? {
                records.push(record.clone());
            }
        }
        let made = images().filter(|image| search.missing.contains(image)).count() as u64;
        let counts = RowCounts { reused: images().count() as u64 - made, made };
        Ok(Some(ReusableRows { earlier: search.earlier, records, counts }))
    }
}

impl Search<'_> {
    /// Whether a result holds any row that is still missing. A damaged output holds none.
    fn take_from(&mut self, record: &ActionRecord) -> Result<bool, CacheError> {
        let before = self.missing.len();
        for (output, sources) in &record.row_sources {
            let Some(StoredFile { digest, .. }) = record.outputs.get(output) else { continue };
            let Some(RowSources(sources)) = self.cache.store().read(sources).and_then(|text| RowSources::parse(&text)) else { continue };
            let useful = sources.iter().any(|image| self.missing.contains(image));
            if !useful || self.cache.store().state(digest, self.cache.memo())? != ObjectState::Sound {
                continue;
            }
            let taken = sources.into_iter().enumerate().filter(|(_, image)| self.missing.remove(image));
            let rows = taken.map(|(row, image)| (image, row)).collect();
            self.earlier.push(EarlierRows { file: self.cache.store().path(digest), rows });
        }
        Ok(self.missing.len() < before)
    }
}

/// Whether a row means the same in two results with these differences.
fn makes_same_rows(changes: &[Change], beside: &[&str]) -> bool {
    changes.iter().all(|change| match change {
        Change::Parameter { path, .. } => path.split('.').next().is_some_and(|name| beside.contains(&name)),
        Change::Input { .. } | Change::Files { .. } | Change::Images { .. } | Change::Seed { .. } => true,
        Change::NeverRan | Change::Forced | Change::Lost { .. } | Change::Kind { .. } | Change::Version { .. } => false,
    })
}
