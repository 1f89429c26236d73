//! What goes into a bundle, gathered from a run's record and the cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::{
    BundleError, CRATE, FORMAT, FileMark, INDEX, Index, MANIFEST, ObjectChoice, README, RUN, Scrub, SuppliedStage, action_path,
    object_path, ro_crate,
};
use crate::cache::{ActionRecord, Cache, ObjectState, StoredFile};
use crate::key::Digest;
use crate::record::{PortableManifest, RunRecord, StageRecord, StageState};

/// A run, ready to be written. It refers to objects of the cache, which must not be collected meanwhile.
#[derive(Debug)]
pub struct Bundle {
    pub(super) record: RunRecord,
    pub(super) objects: ObjectChoice,
    /// How others may use it: an SPDX identifier, an address or a sentence.
    pub(super) license: Option<String>,
    pub(super) files: BTreeMap<String, BundleFile>,
    stages: Vec<SuppliedStage>,
}

/// A file of a bundle.
#[derive(Debug)]
pub(super) struct BundleFile {
    pub(super) content: Content,
    /// What it is, for people and for the crate's metadata.
    pub(super) about: String,
    /// What users call it; decides its media type.
    pub(super) name: String,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Object { path: PathBuf, mark: FileMark },
}

/// What an HDF5 file begins with. Packed images and features are such files, and nothing else is.
const HDF5: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Results that people read as they are.
const READABLE: [&str; 5] = ["csv", "json", "md", "svg", "txt"];

impl Bundle {
    /// Gathers a run. Hold a [`crate::cache::Stay`] until it is written.
    pub fn gather(record: &RunRecord, objects: ObjectChoice, cache: &Cache, scrub: &Scrub) -> Result<Bundle, BundleError> {
        let Some(portable) = &record.provenance.portable else { return Err(BundleError::NoManifest { run: record.id.clone() }) };
        let run = scrubbed_run(record, scrub)?;
        let files = BTreeMap::new();
        let mut bundle = Bundle { record: serde_json::from_value(run.clone())?, objects, license: None, files, stages: Vec::new() };
        for stage in &record.stages {
            bundle.add_stage(stage, cache, scrub)?;
        }
        if bundle.stages.is_empty() {
            return Err(BundleError::NoResult { run: record.id.clone() });
        }
        bundle.add(RUN, to_bytes(&run)?, "The record of the run");
        bundle.add(MANIFEST, portable.text.clone().into_bytes(), "The manifest, resolved: what was run");
        bundle.add(README, bundle.readme(portable).into_bytes(), "What this is, and how to take it");
        Ok(bundle)
    }

    /// The record of the run, without the places of the machine.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Says how others may use the bundle: an SPDX identifier, an address or a sentence.
    pub fn license(&mut self, terms: String) {
        self.license = Some(terms);
    }

    /// Adds a file at the top, such as the report. A bundle with a name that is not among those of `opened` is refused on import.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>, about: &str) {
        let file = BundleFile { content: Content::Bytes(bytes), about: about.to_owned(), name: name.to_owned() };
        self.files.insert(name.to_owned(), file);
    }

    /// Every stage that gave a result, with whether the bundle supplies it.
    pub fn stages(&self) -> &[SuppliedStage] {
        &self.stages
    }

    /// The files that name a folder which is nobody else's business, with the folder. It stands in what decides a result, and so cannot
    /// be taken out.
    pub fn told<'a>(&'a self, scrub: &'a Scrub) -> Vec<(&'a str, &'a str)> {
        let texts = self.files.iter().filter_map(|(path, file)| match &file.content {
            Content::Bytes(bytes) => Some((path.as_str(), std::str::from_utf8(bytes).ok()?)),
            Content::Object { .. } => None,
        });
        texts.filter_map(|(path, text)| Some((path, scrub.finds_in(text)?))).collect()
    }

    /// Everything that is written, the index last.
    pub(super) fn complete(&self) -> Result<Vec<(String, Content)>, BundleError> {
        let mut files: BTreeMap<String, Content> = self.files.iter().map(|(path, file)| (path.clone(), file.content.clone())).collect();
        files.insert(CRATE.to_owned(), Content::Bytes(to_bytes(&ro_crate::metadata(self))?));
        let index = Index {
            format: FORMAT,
            tool: self.record.provenance.tool.clone(),
            run: self.record.id.clone(),
            pipeline: self.record.provenance.pipeline.clone(),
            objects: self.objects,
            files: files.iter().map(|(path, content)| (path.clone(), content.mark())).collect(),
        };
        files.insert(INDEX.to_owned(), Content::Bytes(to_bytes(&index)?));
        Ok(files.into_iter().collect())
    }

    fn add_stage(&mut self, stage: &StageRecord, cache: &Cache, scrub: &Scrub) -> Result<(), BundleError> {
        let Some(key) = stage.key.filter(|_| matches!(stage.state, StageState::Finished | StageState::Reused)) else { return Ok(()) };
        let gone = || BundleError::Gone { stage: stage.stage.clone() };
        let action = cache.action(&key)?.ok_or_else(gone)?;
        self.add(
            &action_path(&key),
            to_bytes(&scrubbed_action(&action, scrub)?)?,
            &format!("What {} gave, and the key it gave it for", stage.stage),
        );
        self.add_readable(stage, &action, cache);
        let wanted = match self.objects {
            ObjectChoice::All => true,
            ObjectChoice::Models => !has_dataset(&action, cache),
            ObjectChoice::None => false,
        };
        if wanted && !self.add_objects(&action, cache)? {
            return Err(gone());
        }
        self.stages.push(SuppliedStage { stage: stage.stage.clone(), kind: stage.kind.clone(), key: Some(key), supplied: wanted });
        Ok(())
    }

    /// Whether all outputs of the action are sound, and now in the bundle. What tells of its inputs and rows comes along where it is there.
    fn add_objects(&mut self, action: &ActionRecord, cache: &Cache) -> Result<bool, BundleError> {
        let store = cache.store();
        for (name, output) in &action.outputs {
            if store.state(&output.digest, cache.memo())? != ObjectState::Sound {
                return Ok(false);
            }
            let mark = FileMark { digest: output.digest, size: output.size };
            let about = format!("The output `{name}` of {}", action.provenance.stage);
            let content = Content::Object { path: store.path(&output.digest), mark };
            self.files.insert(object_path(&output.digest), BundleFile { content, about, name: output.file.clone() });
        }
        for digest in action.listings.iter().chain(action.row_sources.values()) {
            if let Some(bytes) = store.read(digest) {
                let about = format!("The images that {} was made of", action.provenance.stage);
                let file = BundleFile { content: Content::Bytes(bytes), about, name: "images.txt".to_owned() };
                self.files.insert(object_path(digest), file);
            }
        }
        Ok(true)
    }

    fn add_readable(&mut self, stage: &StageRecord, action: &ActionRecord, cache: &Cache) {
        for (name, output) in &action.outputs {
            let extension = Path::new(&output.file).extension().and_then(|extension| extension.to_str());
            if !extension.is_some_and(|extension| READABLE.contains(&extension)) {
                continue;
            }
            if let Some(bytes) = cache.store().read(&output.digest) {
                self.add(&format!("results/{}/{}", stage.stage, output.file), bytes, &format!("The output `{name}` of {}", stage.stage));
            }
        }
    }

    fn readme(&self, portable: &PortableManifest) -> String {
        let provenance = &self.record.provenance;
        let mut text = format!(
            "{pipeline}: a run of packtrain {tool}, begun {started}\n\n\
             To take it into a project of your own:\n\n    packtrain import {pipeline}.zip\n\n\
             This checks every digest, and then says which stages' results came along. The same images at another place are\n\
             the same images: give their place as a parameter, and nothing that came along runs again.\n\n",
            pipeline = provenance.pipeline,
            tool = provenance.tool,
            started = provenance.started,
        );
        for (param, inputs) in &portable.inputs {
            let inputs = inputs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            text += &format!("    -p {param}=…   the place of {inputs}\n");
        }
        let files = [
            ("manifest.yaml", "the manifest, resolved"),
            ("run.json", "the record of the run"),
            ("actions/", "for each stage its inputs' digests, its parameters and its outputs' digests (BLAKE3)"),
            ("report.html", "all of it as a page for a browser, if it came along"),
            ("results/", "evaluations, histories and drawings, to be read as they are"),
            ("objects/", "outputs by digest, as far as they came along"),
            ("bundle.json", "every file with its digest"),
            ("ro-crate-metadata.json", "the same for tools that read RO-Crates, https://w3id.org/ro/crate/1.1"),
        ];
        text.push('\n');
        for (name, about) in files {
            text += &format!("{name:<24}{about}\n");
        }
        text
    }
}

impl Content {
    pub(super) fn mark(&self) -> FileMark {
        match self {
            Content::Bytes(bytes) => FileMark { digest: Digest::of_bytes(bytes), size: bytes.len() as u64 },
            Content::Object { mark, .. } => *mark,
        }
    }
}

/// The record without the places of a machine. The manifest has none, and what it says is left as it is.
fn scrubbed_run(record: &RunRecord, scrub: &Scrub) -> Result<Value, BundleError> {
    let mut record = record.clone();
    let provenance = &mut record.provenance;
    let portable = provenance.portable.take();
    provenance.manifest = provenance.manifest.file_name().map(PathBuf::from).unwrap_or_default();
    let mut record: RunRecord = serde_json::from_value(scrub.value(serde_json::to_value(&record)?))?;
    record.provenance.portable = portable;
    Ok(serde_json::to_value(&record)?)
}

/// The record without the places of a machine; the fingerprint as it is.
fn scrubbed_action(action: &ActionRecord, scrub: &Scrub) -> Result<Value, BundleError> {
    let mut value = serde_json::to_value(action)?;
    if let Value::Object(map) = &mut value {
        for (_, part) in map.iter_mut().filter(|(name, _)| *name != "fingerprint") {
            *part = scrub.value(part.take());
        }
    }
    Ok(value)
}

fn has_dataset(action: &ActionRecord, cache: &Cache) -> bool {
    let is_dataset = |output: &StoredFile| {
        // Of one that was collected only the name is left.
        begins_as_hdf5(&cache.store().path(&output.digest)).unwrap_or_else(|_| output.file.ends_with(".h5"))
    };
    action.outputs.values().any(is_dataset)
}

fn begins_as_hdf5(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(HDF5.len() as u64).read_to_end(&mut start)?;
    Ok(start == HDF5)
}

fn to_bytes(value: &impl serde::Serialize) -> Result<Vec<u8>, BundleError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}
