//! A bundle from elsewhere, which may be damaged or hostile: nothing is believed that was not checked.
//!
//! Names must be those that bundles have, sizes those that the index and the records say, contents those of their digests, keys those
//! of their fingerprints. A file is never read beyond the size that it declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;

use crate::bundle::{
    BundleError, CRATE, FORMAT, FileMark, INDEX, Index, MANIFEST, README, REPORT, RUN, SuppliedStage, action_path, object_path,
};
use crate::cache::ActionRecord;
use crate::key::{ActionKey, Digest, VariantName};
use crate::record::{FORMAT as RUN_FORMAT, RunRecord};

/// A bundle of which everything was checked.
#[derive(Debug)]
pub struct OpenedBundle {
    pub(super) path: PathBuf,
    pub(super) archive: ZipArchive<BufReader<File>>,
    pub(super) objects: BTreeMap<Digest, u64>,
    pub(super) actions: BTreeMap<ActionKey, ActionRecord>,
    pub(super) record: RunRecord,
    pub(super) manifest: String,
}

/// Why a bundle is refused, in words that follow "because".
type Refusal = String;

/// No file of a bundle but an object is larger.
const LARGEST_TEXT: u64 = 256 << 20;
/// No bundle has more files.
const MOST_FILES: usize = 200_000;
/// Deflate makes a file at most 1,032 times smaller.
const MOST_SHRUNK: u64 = 1_100;

impl OpenedBundle {
    /// Opens a bundle and checks all of it.
    pub fn open(path: &Path) -> Result<OpenedBundle, BundleError> {
        let file = File::open(path).map_err(BundleError::io(path))?;
        let refused = |reason| BundleError::Refused { path: path.to_owned(), reason };
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| refused(error.to_string()))?;
        let index = read_index(&mut archive).map_err(refused)?;
        check_files(&mut archive, &index).map_err(refused)?;
        let (record, manifest) = read_run(&mut archive, &index).map_err(refused)?;
        let actions = read_actions(&mut archive, &record, &index).map_err(refused)?;
        let objects = objects(&index, &actions).map_err(refused)?;
        Ok(OpenedBundle { path: path.to_owned(), archive, objects, actions, record, manifest })
    }

    /// The record of the run.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Every stage that gave a result, with whether the bundle supplies it.
    pub fn stages(&self) -> Vec<SuppliedStage> {
        let stages = self.record.stages.iter().filter(|stage| stage.key.is_some());
        let supplies = |key: &ActionKey| self.actions.get(key).is_some_and(|action| self.supplies(action));
        let supplied = |key: Option<ActionKey>| key.as_ref().is_some_and(supplies);
        stages
            .map(|stage| SuppliedStage {
                stage: stage.stage.clone(),
                kind: stage.kind.clone(),
                key: stage.key,
                supplied: supplied(stage.key),
            })
            .collect()
    }

    fn supplies(&self, action: &ActionRecord) -> bool {
        action.outputs.values().all(|output| self.objects.contains_key(&output.digest))
    }
}

fn read_index(archive: &mut ZipArchive<BufReader<File>>) -> Result<Index, Refusal> {
    if archive.has_duplicate_names() {
        return Err("two of its files have the same name".to_owned());
    }
    if archive.len() > MOST_FILES {
        return Err(format!("it has more than {MOST_FILES} files"));
    }
    if archive.has_overlapping_files().map_err(|error| error.to_string())? {
        return Err("its files overlap each other".to_owned());
    }
    let index: serde_json::Value = parse(INDEX, &read(archive, INDEX)?)?;
    match index.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => serde_json::from_value(index).map_err(|error| format!("{INDEX}: {error}")),
        Some(format) => Err(format!("it has format {format}, this packtrain reads {FORMAT}")),
        None => Err(format!("{INDEX} does not say its format")),
    }
}

/// Names, sizes and contents of all files.
fn check_files(archive: &mut ZipArchive<BufReader<File>>, index: &Index) -> Result<(), Refusal> {
    let mut missing: BTreeSet<&str> = index.files.keys().map(String::as_str).collect();
    for number in 0..archive.len() {
        let entry = archive.by_index(number).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?.into_owned();
        if !is_known(&name) || !entry.is_file() {
            return Err(format!("`{}` has no place in a bundle", name.escape_debug()));
        }
        if name == INDEX {
            continue;
        }
        missing.remove(name.as_str());
        let mark = index.files.get(&name).ok_or_else(|| format!("{name} is not in {INDEX}"))?;
        check_size(&name, mark, (entry.size(), entry.compressed_size()))?;
        let digest = Digest::of_reader(entry.take(mark.size + 1)).map_err(|error| format!("{name}: {error}"))?;
        let named = name.strip_prefix("objects/").map(|digest| digest.replace('/', ""));
        if digest != mark.digest || named.is_some_and(|named| named != digest.to_string()) {
            return Err(format!("{name} is damaged: its content is not that of its digest"));
        }
    }
    missing.first().map_or(Ok(()), |name| Err(format!("{name} is missing")))
}

fn check_size(name: &str, mark: &FileMark, (size, compressed): (u64, u64)) -> Result<(), Refusal> {
    if size != mark.size {
        return Err(format!("{name} has {size} bytes instead of {}", mark.size));
    }
    if !name.starts_with("objects/") && size > LARGEST_TEXT {
        return Err(format!("{name} is larger than {LARGEST_TEXT} bytes"));
    }
    if size / MOST_SHRUNK > compressed {
        return Err(format!("{name} declares {size} bytes, which {compressed} cannot hold"));
    }
    Ok(())
}

fn read_run(archive: &mut ZipArchive<BufReader<File>>, index: &Index) -> Result<(RunRecord, String), Refusal> {
    let record: RunRecord = parse(RUN, &read(archive, RUN)?)?;
    let manifest = String::from_utf8(read(archive, MANIFEST)?).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let RunRecord { format, id, provenance, stages, .. } = &record;
    let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_variant = |name: &VariantName| is_name(name.as_str());
    let variants = stages.iter().filter_map(|stage| stage.stage.variant.as_ref());
    if *format != RUN_FORMAT {
        Err(format!("its run has format {format}, this packtrain reads {RUN_FORMAT}"))
    } else if *id != index.run || provenance.pipeline != index.pipeline || !is_id {
        Err(format!("{RUN} is not the run that {INDEX} names"))
    } else if !is_name(&provenance.pipeline) || !variants.into_iter().all(is_variant) {
        Err(format!("{RUN} has names that are no names of folders"))
    } else if provenance.portable.as_ref().is_none_or(|portable| portable.text != manifest) {
        Err(format!("{MANIFEST} is not that of the run"))
    } else {
        Ok((record, manifest))
    }
}

fn read_actions(
    archive: &mut ZipArchive<BufReader<File>>,
    record: &RunRecord,
    index: &Index,
) -> Result<BTreeMap<ActionKey, ActionRecord>, Refusal> {
    let mut actions = BTreeMap::new();
    for key in record.stages.iter().filter_map(|stage| stage.key) {
        let path = action_path(&key);
        if !index.files.contains_key(&path) || actions.contains_key(&key) {
            continue;
        }
        let action = ActionRecord::parse(&read(archive, &path)?).ok_or_else(|| format!("{path} is no record that this packtrain reads"))?;
        if action.fingerprint.key() != key {
            return Err(format!("{path} is the record of another key"));
        }
        if let Some(output) = action.outputs.values().find(|output| !stays_inside(&output.file)) {
            return Err(format!("{path} has an output `{}`, which would leave its folder", output.file.escape_debug()));
        }
        actions.insert(key, action);
    }
    let known: BTreeSet<String> = actions.keys().map(action_path).collect();
    match index.files.keys().find(|path| path.starts_with("actions/") && !known.contains(*path)) {
        Some(path) => Err(format!("{path} is not of the run")),
        None => Ok(actions),
    }
}

/// The objects, each of which a record must name, with its size.
fn objects(index: &Index, actions: &BTreeMap<ActionKey, ActionRecord>) -> Result<BTreeMap<Digest, u64>, Refusal> {
    let files = index.files.iter().filter(|(path, _)| path.starts_with("objects/"));
    let objects: BTreeMap<Digest, u64> = files.map(|(_, mark)| (mark.digest, mark.size)).collect();
    let outputs: BTreeMap<Digest, u64> =
        actions.values().flat_map(|action| action.outputs.values()).map(|output| (output.digest, output.size)).collect();
    let beside: BTreeSet<Digest> =
        actions.values().flat_map(|action| action.listings.iter().chain(action.row_sources.values())).copied().collect();
    for (digest, size) in &objects {
        match outputs.get(digest) {
            Some(named) if named != size => return Err(format!("{} has another size than its record says", object_path(digest))),
            None if !beside.contains(digest) => return Err(format!("no record names {}", object_path(digest))),
            _ => {}
        }
    }
    Ok(objects)
}

fn read(archive: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Vec<u8>, Refusal> {
    let entry = archive.by_name(name).map_err(|_| format!("{name} is missing"))?;
    let mut bytes = Vec::new();
    entry.take(LARGEST_TEXT).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    Ok(bytes)
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| format!("{name}: {error}"))
}

/// Whether a bundle may have a file of this name.
fn is_known(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        [top] => [INDEX, MANIFEST, RUN, CRATE, README, REPORT].contains(&top),
        ["actions", file] => file.strip_suffix(".json").is_some_and(|key| key.parse::<Digest>().is_ok()),
        ["objects", folder, rest] => folder.len() == 2 && format!("{folder}{rest}").parse::<Digest>().is_ok(),
        ["results", ..] => parts.len() >= 3 && stays_inside(name),
        _ => false,
    }
}

/// Whether a relative path leads to a file within the folder that it starts from, on every system.
fn stays_inside(path: &str) -> bool {
    let is_plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    let has_odd = path.contains(|c: char| c.is_control() || c == '\\') || path.split('/').any(|part| ["", ".", ".."].contains(&part));
    !has_odd && Path::new(path).components().all(is_plain)
}

/// Whether a text can name a folder or a file.
fn is_name(name: &str) -> bool {
    !name.starts_with('.') && !name.contains('/') && stays_inside(name)
}
