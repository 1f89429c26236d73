//! Takes a checked bundle into a cache: objects first, then the records that name them, then the run.
//!
//! Whatever is there already stays. An import that is cut off leaves objects that the next one finds, or garbage; never a record
//! without its objects.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::bundle::{BundleError, OpenedBundle, object_path};
use crate::cache::{Cache, ObjectState};
use crate::key::{ActionKey, Digest, Fingerprint, StageId};
use crate::record::{Label, RunRecord, Runs};

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    pub objects: Taken,
    /// Results of stages, with all their objects.
    pub results: Taken,
    /// Whether the run's record was taken; not, if the project has it.
    pub run: bool,
    /// The name of the run, which another run of the project has.
    pub name_taken: Option<Label>,
}

/// How many things were taken, and how many were there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    pub new: usize,
    pub known: usize,
}

/// The tag of runs from elsewhere.
const IMPORTED: &str = "imported";

impl OpenedBundle {
    /// Takes the bundle into a cache, and its manifest into the file `manifest`, which may be there if it is the same.
    pub fn import(&mut self, cache: &Cache, manifest: &Path) -> Result<Imported, BundleError> {
        self.check_manifest(manifest)?;
        let (objects, results) = self.take_results(cache)?;
        self.write_manifest(manifest)?;
        let (run, name_taken) = self.take_run(cache, manifest)?;
        Ok(Imported { objects, results, run, name_taken })
    }

    /// An error if there is another manifest in the place of this one.
    pub fn check_manifest(&self, path: &Path) -> Result<(), BundleError> {
        match fs::read(path) {
            Ok(there) if there != self.manifest.as_bytes() => Err(BundleError::ManifestThere { path: path.to_owned() }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BundleError::Io { path: path.to_owned(), source: error }),
            _ => Ok(()),
        }
    }

    /// Writes the manifest, which is there whole or not at all.
    fn write_manifest(&self, path: &Path) -> Result<(), BundleError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(BundleError::io(folder))?;
        let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
        let mut file = file.map_err(BundleError::io(folder))?;
        file.write_all(self.manifest.as_bytes()).map_err(BundleError::io(path))?;
        file.persist(path).map_err(|error| BundleError::Io { path: path.to_owned(), source: error.error })?;
        Ok(())
    }

    fn take_results(&mut self, cache: &Cache) -> Result<(Taken, Taken), BundleError> {
        // Its scratch folder is swept if this process dies, and two imports of one run wait for each other.
        let lock = cache.lock(&self.import_key(), "packtrain import", |_| {})?;
        let _stay = cache.stay()?;
        let mut objects = Taken::default();
        for (digest, size) in self.objects.clone() {
            if cache.store().state(&digest, cache.memo())? == ObjectState::Sound {
                objects.known += 1;
            } else {
                self.take_object(&digest, size, cache, lock.scratch())?;
                objects.new += 1;
            }
        }
        let mut results = Taken::default();
        for action in self.actions.values() {
            if cache.lost_output(action)?.is_some() {
                continue;
            }
            if cache.action(&action.fingerprint.key())?.is_some() {
                results.known += 1;
            } else {
                cache.publish(action)?;
                results.new += 1;
            }
        }
        self.set_heads(cache)?;
        Ok((objects, results))
    }

    fn take_object(&mut self, digest: &Digest, size: u64, cache: &Cache, scratch: &Path) -> Result<(), BundleError> {
        let refused = |reason: String| BundleError::Refused { path: self.path.clone(), reason };
        let entry = self.archive.by_name(&object_path(digest)).map_err(|error| refused(error.to_string()))?;
        let file = scratch.join(digest.to_string());
        let mut written = File::create(&file).map_err(BundleError::io(&file))?;
        io::copy(&mut entry.take(size + 1), &mut written).map_err(BundleError::io(&file))?;
        drop(written);
        match cache.store().insert(&file, cache.memo())? {
            inserted if inserted == *digest => Ok(()),
            _ => Err(refused("it changed while it was read".to_owned())),
        }
    }

    /// What a stage of the pipeline last gave, where it gave nothing here yet: so that results are kept and changes explained.
    fn set_heads(&self, cache: &Cache) -> Result<(), BundleError> {
        let mut heads: BTreeMap<String, BTreeMap<StageId, ActionKey>> = BTreeMap::new();
        for stage in &self.record.stages {
            let Some(key) = stage.key.filter(|key| self.actions.contains_key(key)) else { continue };
            if cache.action(&key)?.is_none() {
                continue;
            }
            let pipeline = &self.record.provenance.pipeline;
            let place = stage.stage.variant.as_ref().map_or(pipeline.clone(), |variant| format!("{pipeline}/{variant}"));
            let known = heads.entry(place.clone()).or_insert_with(|| cache.heads(&place));
            known.entry(stage.stage.stage.clone()).or_insert(key);
        }
        heads.iter().try_for_each(|(place, heads)| cache.set_heads(place, heads))?;
        Ok(())
    }

    /// Whether the record was taken, and its name if that is another run's.
    fn take_run(&self, cache: &Cache, manifest: &Path) -> Result<(bool, Option<Label>), BundleError> {
        let _alone = cache.alone()?;
        let folder = cache.runs();
        let runs = Runs::read(&folder).map_err(BundleError::io(&folder))?;
        if runs.heads().iter().any(|head| head.id == self.record.id) {
            return Ok((false, None));
        }
        let mut record: RunRecord = self.record.clone();
        record.provenance.manifest = manifest.to_owned();
        record.tags.extend(IMPORTED.parse());
        let name_taken = record.name.take_if(|name| runs.named(name.as_str()).is_some());
        record.write(&folder).map_err(BundleError::io(&folder))?;
        Ok((true, name_taken))
    }

    fn import_key(&self) -> ActionKey {
        let parameters = Value::from(self.record.id.as_str());
        Fingerprint { kind: "import".to_owned(), version: 1, parameters, inputs: BTreeMap::new(), seed: None }.key()
    }
}
