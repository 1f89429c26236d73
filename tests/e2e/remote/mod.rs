//! The remote cache: what one project gave to it spares another one the work, and whatever is wrong with it does no harm.

mod checkpoints;
mod folder;
mod http;
mod repair;
mod s3;
mod server;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use packtrain::cache::ActionRecord;
use packtrain::key::ActionKey;

use crate::harness::{Output, Project, sorted};

/// `stamp` gives something else whenever it runs, and `bulk` too, in several megabytes.
const PIPELINE: &str = "
name: small
stages:
  pack: { kind: pack, images: photos.zip, size: 32, split: { val: 0.4 } }
  mean: { kind: compute-mean, images: pack.train }
  stamp:
    kind: command
    run: 'date +%s%N > {outputs.out}; cat {inputs.mean} >> {outputs.out}'
    inputs: { mean: mean }
    outputs: { out: { file: out.txt } }
  bulk:
    kind: command
    run: 'head -c 3000000 /dev/urandom > {outputs.out}; cat {inputs.out} >> {outputs.out}'
    inputs: { out: stamp.out }
    outputs: { out: { file: bulk.bin } }
";

const ALL_RAN: &str = "pack ran\nmean ran\nstamp ran\nbulk ran\n";
const ALL_REUSED: &str = "pack reused\nmean reused\nstamp reused\nbulk reused\n";
const FILES: [&str; 5] = ["pack/train.h5", "pack/val.h5", "mean/mean.json", "stamp/out.txt", "bulk/bulk.bin"];

/// Has not run.
fn project() -> Project {
    let project = Project::new();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives/photos.zip"), project.path("photos.zip")).unwrap();
    project.write("small.yaml", PIPELINE);
    project
}

/// Has run and given its results to the remote.
fn giver(remote: &str, variables: &[(&str, &str)]) -> Project {
    let project = project();
    assert_eq!(project.run(&["small.yaml"]), ALL_RAN);
    let output = project.packtrain_with(&["cache", "push", "--remote", remote], variables);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with("gave 4 results in "), "{}", output.stdout);
    project
}

fn results(project: &Project) -> Vec<Vec<u8>> {
    FILES.iter().map(|file| project.read(&format!("output/small/{file}"))).collect()
}

/// Runs with a remote.
fn run(project: &Project, remote: &str) -> Output {
    run_with(project, remote, &[])
}

fn run_with(project: &Project, remote: &str, variables: &[(&str, &str)]) -> Output {
    let output = project.packtrain_with(&["run", "small.yaml", "--remote", remote], variables);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    output
}

/// What became of each stage, without the sizes of what came: `pack reused from the remote`.
fn stages(output: &Output) -> String {
    regex::Regex::new(r" \([0-9.]+ [KM]?i?B\)").unwrap().replace_all(&output.stages(), "").into_owned()
}

fn all_from_remote() -> String {
    ALL_REUSED.replace("reused", "reused from the remote")
}

/// Every file below a folder.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = if folder.is_dir() { sorted(folder) } else { Vec::new() };
    entries.into_iter().flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

/// The file of an object below a folder with the layout of a remote or a state folder.
fn object(root: &Path, content: &[u8]) -> PathBuf {
    let digest = packtrain::key::Digest::of_bytes(content).to_string();
    root.join("objects").join(&digest[..2]).join(&digest[2..])
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The objects that records of a remote name and that it does not have, and the records that cannot be read.
fn broken_promises(root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    for path in all_files(&root.join("actions")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(key) = name.strip_suffix(".json") else { continue };
        let key: ActionKey = serde_json::from_value(key.into()).unwrap();
        let Some(record) = ActionRecord::from_sealed(&key, &fs::read(&path).unwrap()) else {
            broken.push(name.to_owned());
            continue;
        };
        for (digest, _) in record.objects() {
            let digest = digest.to_string();
            let object = root.join("objects").join(&digest[..2]).join(&digest[2..]);
            if fs::read(&object).map_or(true, |content| packtrain::key::Digest::of_bytes(&content).to_string() != digest) {
                broken.push(digest);
            }
        }
    }
    broken
}

/// Nothing is damaged, and nobody's scratch folder is left.
fn assert_sound(project: &Project) {
    let verified = project.packtrain(&["cache", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    let work = sorted(&project.path(".packtrain/work"));
    assert!(work.is_empty(), "{work:?}");
}
