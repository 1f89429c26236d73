//! Which rows a stage need not make again, because earlier results hold them.
//!
//! A row is known by the digest of the image that it was made of. Every earlier result counts whose kind, version and row-deciding
//! parameters and inputs are the same, whatever pipeline it was made for; its labels, its split and the names of its images do not
//! matter.
//!
//! What a network gives has other last bits on another processor. Which one a stage gets is known for certain only when its worker
//! runs, so that rows are looked for among the results of every arithmetic on its own, and the worker takes those of its own.

use std::collections::BTreeMap;

use crate::cache::{ActionRecord, Cache, CacheError, ObjectState, StoredFile};
use crate::event::RowCounts;
use crate::key::{Change, DigestSet, Fingerprint};
use crate::manifest::PipelineStage;
use crate::plan::{Experience, RowImages};
use crate::stage::{EarlierRows, RowSources};

/// Rows that a stage may copy.
#[derive(Debug)]
pub struct ReusableRows {
    /// For the stage's job.
    pub earlier: Vec<EarlierRows>,
    /// The results that hold them.
    pub records: Vec<ActionRecord>,
    /// Of all rows, if the arithmetic is that of the latest result; an image that turns out to be unreadable counts as one to be made.
    pub counts: RowCounts,
}

/// Takes rows from one earlier result after another, all of one arithmetic.
struct Search<'a> {
    cache: &'a Cache,
    arithmetic: Option<&'a str>,
    /// The images that no result was found to hold so far.
    missing: DigestSet,
    earlier: Vec<EarlierRows>,
}

impl ReusableRows {
    /// Looks for the rows of a stage; `None` for a kind whose rows are not made of one image each.
    pub fn find(
        stage: &PipelineStage,
        fingerprint: &Fingerprint,
        images: &RowImages,
        experience: &Experience<'_>,
    ) -> Result<Option<ReusableRows>, CacheError> {
        let Some(beside) = stage.spec.parameters_beside_rows() else { return Ok(None) };
        let makes_same = |record: &&ActionRecord| makes_same_rows(&fingerprint.changes_from(&record.fingerprint), beside);
        let mut candidates: Vec<&ActionRecord> = experience.records()?.iter().filter(makes_same).collect();
        // Whichever is asked first, the rows are the same; the newest likely has most of them.
        candidates.sort_by(|a, b| b.provenance.finished.cmp(&a.provenance.finished));
        let all: DigestSet = images.all().collect();
        let mut searches: BTreeMap<Option<&str>, Search<'_>> = BTreeMap::new();
        let mut records = Vec::new();
        for record in &candidates {
            let arithmetic = record.result.arithmetic.as_deref();
            let search = || Search { cache: experience.cache(), arithmetic, missing: all.clone(), earlier: Vec::new() };
            if searches.entry(arithmetic).or_insert_with(search).take_from(record)? {
                records.push((*record).clone());
            }
        }
        let latest = candidates.first().and_then(|record| searches.get(&record.result.arithmetic.as_deref()));
        let missing = latest.map_or(&all, |search| &search.missing);
        let made = images.all().filter(|image| missing.contains(image)).count() as u64;
        let counts = RowCounts { reused: images.all().count() as u64 - made, made };
        let earlier = searches.into_values().flat_map(|search| search.earlier).collect();
        Ok(Some(ReusableRows { earlier, records, counts }))
    }
}

impl Search<'_> {
    /// Whether a result holds any row that is still missing. A damaged output holds none.
    fn take_from(&mut self, record: &ActionRecord) -> Result<bool, CacheError> {
        let before = self.missing.len();
        for (output, sources) in &record.row_sources {
            let Some(StoredFile { digest, .. }) = record.outputs.get(output) else { continue };
            let text = self.cache.store().read(sources).filter(|text| RowSources::may_name(text, &self.missing));
            let Some(RowSources(sources)) = text.and_then(|text| RowSources::parse(&text)) else { continue };
            let useful = sources.iter().any(|image| self.missing.contains(image));
            if !useful || self.cache.store().state(digest, self.cache.memo())? != ObjectState::Sound {
                continue;
            }
            let taken = sources.into_iter().enumerate().filter(|(_, image)| self.missing.remove(image));
            let rows = taken.map(|(row, image)| (image, row)).collect();
            let arithmetic = self.arithmetic.map(str::to_owned);
            self.earlier.push(EarlierRows { file: self.cache.store().path(digest), arithmetic, rows });
        }
        Ok(self.missing.len() < before)
    }
}

/// Whether a row means the same in two results with these differences.
fn makes_same_rows(changes: &[Change], beside: &[&str]) -> bool {
    let is_beside = |name: &str| name.split('.').next().is_some_and(|name| beside.contains(&name));
    changes.iter().all(|change| match change {
        Change::Parameter { path: name, .. } | Change::Input { name, .. } => is_beside(name),
        Change::Files { name, .. } | Change::Images { name, .. } => is_beside(name),
        Change::Seed { .. } => true,
        Change::NeverRan | Change::Forced | Change::Lost { .. } | Change::Kind { .. } | Change::Version { .. } => false,
    })
}
