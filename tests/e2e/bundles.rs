//! A run handed over: written in one folder, taken in another, where nothing that came along runs again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use packtrain::key::Digest;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::harness::Project;

const BASE: &str = "
params: { images: images, side: 16 }
stages:
  pack: { kind: pack, images: \"${images}\", size: \"${side}\", split: { val: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
";

const PIPELINE: &str = "
extends: base.yaml
name: small
stages:
  copy:
    kind: command
    run: 'cat {inputs.mean} > {outputs.copied}'
    inputs: { mean: mean }
    outputs: { copied: { file: copied.json } }
    pass-environment: [SECRET]
";

const SECRET: (&str, &str) = ("SECRET", "hush-5f1c9d");

const RAN: &str = "pack ran\nmean ran\ncopy ran\n";
const REUSED: &str = "pack reused\nmean reused\ncopy reused\n";

/// A project that has run once, with a bundle of that run.
fn sender(objects: &str) -> Project {
    let project = Project::with_images(4);
    project.write("base.yaml", BASE).write("small.yaml", PIPELINE);
    let place = project.path("images").display().to_string();
    let output = project.packtrain_with(&["run", "small.yaml", "-p", &format!("images={place}"), "--name", "handed"], &[SECRET]);
    assert_eq!(output.stages(), RAN, "{}", output.stderr);
    let bundled = project.packtrain_with(&["bundle", "handed", "-o", "out.zip", "--objects", objects], &[SECRET]);
    assert_eq!(bundled.code, 0, "{}", bundled.stderr);
    assert_eq!(bundled.stderr, "");
    project
}

/// An empty project with the sender's bundle, and with its images at another place.
fn receiver(sender: &Project) -> Project {
    let project = Project::new();
    fs::copy(sender.path("out.zip"), project.path("got.zip")).unwrap();
    for class in crate::harness::sorted(&sender.path("images")) {
        let folder = project.path("elsewhere/fruit").join(class.file_name().unwrap());
        fs::create_dir_all(&folder).unwrap();
        for image in crate::harness::sorted(&class) {
            fs::copy(&image, folder.join(image.file_name().unwrap())).unwrap();
        }
    }
    project
}

fn files(zip: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(fs::File::open(zip).unwrap()).unwrap();
    let count = archive.len();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(read).collect()
}

fn zip(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The name and the index's mark of a file, given to what a hostile sender would do with them.
fn with_mark(files: &mut BTreeMap<String, Vec<u8>>, name: &str, bytes: Vec<u8>) {
    let mut index: Value = serde_json::from_slice(&files["bundle.json"]).unwrap();
    index["files"][name] = json!({ "digest": Digest::of_bytes(&bytes), "size": bytes.len() });
    files.insert("bundle.json".to_owned(), serde_json::to_vec(&index).unwrap());
    files.insert(name.to_owned(), bytes);
}

fn name_in(files: &BTreeMap<String, Vec<u8>>, folder: &str) -> String {
    files.keys().find(|name| name.starts_with(folder)).unwrap().clone()
}

#[test]
fn a_run_that_was_handed_over_is_reused_whole_with_the_images_at_another_place() {
    let sender = sender("all");
    let receiver = receiver(&sender);
    let checked = receiver.packtrain(&["import", "got.zip", "theirs", "--dry-run"]);
    assert!(checked.stdout.contains("nothing was taken"), "{}{}", checked.stdout, checked.stderr);
    assert!(!receiver.path("theirs").exists());
    let output = receiver.packtrain(&["import", "got.zip", "theirs", "-p", "images=elsewhere/fruit"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("took 3 results and "), "{}", output.stdout);
    assert_eq!(output.stdout.matches("be reused").count(), 3, "{}", output.stdout);
    assert_eq!(receiver.run(&["theirs/small.yaml", "-p", "images=elsewhere/fruit"]), REUSED);
    assert_eq!(receiver.read("output/small/mean/mean.json"), sender.read("output/small/mean/mean.json"));
    let history = receiver.packtrain(&["history"]).stdout;
    assert!(history.contains("handed") && history.contains("imported"), "{history}");
    let again = receiver.packtrain(&["import", "got.zip", "theirs"]);
    assert!(again.stdout.contains("took 0 results (3 more were here already) and 0 objects"), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("packtrain plan theirs/small.yaml -p images=…"), "{}", again.stdout);
}

#[test]
fn packed_images_that_did_not_come_along_are_made_anew_and_the_rest_is_reused() {
    let receiver = receiver(&sender("models"));
    let told = receiver.packtrain(&["import", "got.zip", "--json"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{}{}", told.stdout, told.stderr));
    let supplied = told["stages"].as_array().unwrap().iter().map(|stage| (&stage["stage"], &stage["supplied"]));
    assert_eq!(json!(supplied.collect::<Vec<_>>()), json!([["pack", false], ["mean", true], ["copy", true]]));
    assert_eq!(told["imported"]["results"], json!({ "new": 2, "known": 0 }));
    assert_eq!(receiver.run(&["small/small.yaml", "-p", "images=elsewhere/fruit"]), "pack ran\nmean reused\ncopy reused\n");
}

#[test]
fn a_bundle_without_objects_gives_the_manifest_and_nothing_to_reuse() {
    let receiver = receiver(&sender("none"));
    let output = receiver.packtrain(&["import", "got.zip"]);
    assert!(output.stdout.contains("took 0 results and 0 objects"), "{}{}", output.stdout, output.stderr);
    assert_eq!(receiver.run(&["small/small.yaml", "-p", "images=elsewhere/fruit"]), RAN);
}

#[test]
fn what_is_imported_outlives_the_garbage_collection_before_its_first_run() {
    let receiver = receiver(&sender("all"));
    assert_eq!(receiver.packtrain(&["import", "got.zip", "here"]).code, 0);
    assert_eq!(receiver.packtrain(&["cache", "gc"]).code, 0);
    assert_eq!(receiver.run(&["here/small.yaml", "-p", "images=elsewhere/fruit"]), REUSED);
}

#[test]
fn the_same_run_gives_the_same_bytes_and_tells_nothing_of_the_machine() {
    let project = sender("all");
    let again = project.packtrain(&["bundle", "-o", "again.zip", "--objects", "all"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(project.read("out.zip") == project.read("again.zip"));
    let here = project.path("");
    let here = here.to_str().unwrap().trim_end_matches('/');
    for (name, bytes) in files(&project.path("out.zip")) {
        for hidden in [here, SECRET.1, env!("CARGO_BIN_EXE_packtrain")] {
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{hidden} is in {name}: {}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn the_report_comes_along_unless_it_is_to_stay() {
    let project = sender("models");
    let page = String::from_utf8(files(&project.path("out.zip")).remove("report.html").unwrap()).unwrap();
    // What the page of `report` shows, but for the manifest's place.
    assert_eq!(project.packtrain(&["report", "handed"]).code, 0);
    let report = String::from_utf8(project.read("report.html")).unwrap();
    let folder = format!("{}/", project.path("").display()).replace("//", "/");
    assert_eq!(page, report.replace(&folder, ""));
    assert!(page.contains("<h1>small</h1>") && page.contains("data:image/"), "{page}");
    let without = project.packtrain(&["bundle", "handed", "-o", "without.zip", "--no-report"]);
    assert_eq!(without.code, 0, "{}", without.stderr);
    assert!(!files(&project.path("without.zip")).contains_key("report.html"));
}

#[test]
fn neither_the_user_s_folder_nor_a_profile_s_comes_along() {
    let project = Project::with_images(4);
    let people = Project::new();
    let home = people.path("jane-doe");
    fs::create_dir_all(&home).unwrap();
    fs::rename(project.path("images"), home.join("my pictures")).unwrap();
    let profile = format!(
        "desk:\n  state-dir: {home}/kept here\n  params: {{ images: '{home}/my pictures', unused: '{home}' }}\n",
        home = home.display()
    );
    project.write("packtrain-profiles.yaml", &profile).write("base.yaml", BASE).write("small.yaml", PIPELINE);
    let variables = [SECRET, ("HOME", home.to_str().unwrap()), ("PACKTRAIN_PROFILE", "desk")];
    let ran = project.packtrain_with(&["run", "small.yaml"], &variables);
    assert_eq!(ran.stages(), RAN, "{}", ran.stderr);
    let bundled = project.packtrain_with(&["bundle", "--objects", "all"], &variables);
    assert_eq!((bundled.code, bundled.stderr.as_str()), (0, ""));
    for (name, bytes) in files(&project.path("small.zip")) {
        let text = String::from_utf8_lossy(&bytes);
        for hidden in ["jane-doe", "kept here", "desk", SECRET.1, project.path("").to_str().unwrap()] {
            assert!(!text.contains(hidden), "{hidden} is in {name}: {text}");
        }
    }
}

#[test]
fn a_bundle_is_a_research_object_whose_every_file_is_described_and_digested() {
    let project = sender("models");
    let files = files(&project.path("out.zip"));
    let described: Value = serde_json::from_slice(&files["ro-crate-metadata.json"]).unwrap();
    assert_eq!(described["@context"], "https://w3id.org/ro/crate/1.1/context");
    let graph = described["@graph"].as_array().unwrap();
    let entity = |id: &str| graph.iter().find(|entity| entity["@id"] == id).unwrap_or_else(|| panic!("{id} is not described"));
    let descriptor = entity("ro-crate-metadata.json");
    assert_eq!(descriptor["@type"], "CreativeWork");
    assert_eq!(descriptor["conformsTo"], json!({ "@id": "https://w3id.org/ro/crate/1.1" }));
    assert_eq!(descriptor["about"], json!({ "@id": "./" }));
    let root = entity("./");
    assert_eq!(root["@type"], "Dataset");
    assert!(root["datePublished"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert!(!root["name"].as_str().unwrap().is_empty() && !root["description"].as_str().unwrap().is_empty());
    assert!(root["license"].as_str().unwrap().contains("ask those who made it"), "{root}");
    let parts: Vec<&str> = root["hasPart"].as_array().unwrap().iter().map(|part| part["@id"].as_str().unwrap()).collect();
    let all: Vec<&str> = files.keys().map(String::as_str).filter(|name| *name != "ro-crate-metadata.json").collect();
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, all);
    let ids: std::collections::BTreeSet<&str> = graph.iter().map(|entity| entity["@id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), graph.len(), "an id is described twice");
    for part in parts {
        let file = entity(part);
        assert!(file["@type"] == "File" && file["encodingFormat"].is_string(), "{file}");
        if part != "bundle.json" {
            assert_eq!(file["identifier"], format!("blake3:{}", Digest::of_bytes(&files[part])), "{part}");
        }
    }
    for entity in graph {
        for key in ["instrument", "object", "mainEntity", "mentions", "about"] {
            assert!(entity[key].is_null() || ids.contains(entity[key]["@id"].as_str().unwrap()), "{entity}");
        }
    }
    assert_eq!(files["results/mean/mean.json"], files["results/copy/copied.json"]);

    assert_eq!(project.packtrain(&["bundle", "handed", "-o", "free.zip", "--license", "CC-BY-4.0"]).code, 0);
    let described = String::from_utf8(crate::bundles::files(&project.path("free.zip"))["ro-crate-metadata.json"].clone()).unwrap();
    assert!(described.contains("\"license\": {\n        \"@id\": \"https://spdx.org/licenses/CC-BY-4.0\"\n      }"), "{described}");
}

/// Imports what became of a good bundle; nothing of it may be taken. Gives what standard error says.
fn refusal(receiver: &Project, bytes: &[u8]) -> String {
    fs::write(receiver.path("bad.zip"), bytes).unwrap();
    let output = receiver.packtrain(&["import", "bad.zip", "bad"]);
    assert_eq!(output.code, 4, "{}{}", output.stdout, output.stderr);
    assert!(!receiver.path("bad").exists());
    for folder in ["objects", "actions", "runs", "heads"] {
        let folder = receiver.path(".packtrain").join(folder);
        assert!(!folder.exists() || crate::harness::sorted(&folder).is_empty(), "{}", folder.display());
    }
    let text = output.stderr.lines().next().unwrap();
    text.strip_prefix("error: bad.zip is no bundle that can be taken: ").unwrap_or(text).to_owned()
}

#[test]
fn damage_in_any_file_of_a_bundle_is_found_before_anything_is_taken() {
    let sender = sender("all");
    let receiver = Project::new();
    let good = files(&sender.path("out.zip"));
    let folders = ["actions/", "objects/", "results/", "README.txt", "manifest.yaml", "ro-crate-metadata.json", "run.json"];
    for folder in folders {
        let name = name_in(&good, folder);
        let mut bad = good.clone();
        bad.get_mut(&name).unwrap()[0] ^= 1;
        assert_eq!(refusal(&receiver, &zip(&bad)), format!("{name} is damaged: its content is not that of its digest"));
        let mut short = good.clone();
        short.get_mut(&name).unwrap().pop();
        assert!(refusal(&receiver, &zip(&short)).contains(" bytes instead of "), "{name}");
        let mut less = good.clone();
        less.remove(&name);
        assert_eq!(refusal(&receiver, &zip(&less)), format!("{name} is missing"));
    }
    let mut bad = good.clone();
    bad.get_mut("bundle.json").unwrap()[0] ^= 1;
    assert!(refusal(&receiver, &zip(&bad)).starts_with("bundle.json: "));
    let bytes = sender.read("out.zip");
    assert!(!refusal(&receiver, &bytes[..bytes.len() / 2]).is_empty());
    assert!(!refusal(&receiver, b"no zip at all").is_empty());
}

#[test]
fn records_that_contradict_themselves_are_refused_even_with_right_digests() {
    let good = files(&sender("all").path("out.zip"));
    let receiver = Project::new();
    let action = name_in(&good, "actions/");
    let changed = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut files = good.clone();
        let mut value: Value = serde_json::from_slice(&files[name]).unwrap();
        change(&mut value);
        with_mark(&mut files, name, serde_json::to_vec(&value).unwrap());
        zip(&files)
    };
    let other_seed = changed(&action, &|record| record["fingerprint"]["version"] = json!(77));
    assert_eq!(refusal(&receiver, &other_seed), format!("{action} is the record of another key"));
    let outside = changed(&action, &|record| {
        record["outputs"].as_object_mut().unwrap().values_mut().for_each(|output| output["file"] = json!("../../../.profile"));
    });
    assert_eq!(refusal(&receiver, &outside), format!("{action} has an output `../../../.profile`, which would leave its folder"));
    let escaping = changed("run.json", &|run| run["id"] = json!("../evil"));
    assert_eq!(refusal(&receiver, &escaping), "run.json is not the run that bundle.json names");
    let other_manifest = {
        let mut files = good.clone();
        with_mark(&mut files, "manifest.yaml", b"name: other\n".to_vec());
        zip(&files)
    };
    assert_eq!(refusal(&receiver, &other_manifest), "manifest.yaml is not that of the run");
    let stray = {
        let (mut files, bytes) = (good.clone(), b"stray".to_vec());
        let digest = Digest::of_bytes(&bytes).to_string();
        let name = format!("objects/{}/{}", &digest[..2], &digest[2..]);
        with_mark(&mut files, &name, bytes);
        (zip(&files), name)
    };
    assert_eq!(refusal(&receiver, &stray.0), format!("no record names {}", stray.1));
}

#[test]
fn hostile_zips_are_refused() {
    let sender = sender("none");
    let good = files(&sender.path("out.zip"));
    let receiver = Project::new();
    for name in ["../evil.txt", "/tmp/evil.txt", "results/../../evil/x", "results/a\\..\\b/c", "objects/ab/cd", "extra.txt", "results/x/"] {
        let mut files = good.clone();
        with_mark(&mut files, name, b"evil".to_vec());
        let told = refusal(&receiver, &zip(&files));
        assert!(told.ends_with("has no place in a bundle"), "{name}: {told}");
    }
    let mut unlisted = good.clone();
    unlisted.insert("results/mean/more.json".to_owned(), b"{}".to_vec());
    assert_eq!(refusal(&receiver, &zip(&unlisted)), "results/mean/more.json is not in bundle.json");
    // The writer refuses two equal names, so that one is made of another in the finished bytes.
    let mut twice = good.clone();
    twice.insert("run.jsoN".to_owned(), Vec::new());
    let bytes = zip(&twice);
    let renamed = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"run.jsoN").map(|(at, _)| at).collect::<Vec<_>>();
    let mut bytes = bytes;
    renamed.iter().for_each(|at| bytes[at + 7] = b'n');
    assert_eq!(refusal(&receiver, &bytes), "two of its files have the same name");
    let mut bomb = good.clone();
    let mut index: Value = serde_json::from_slice(&bomb["bundle.json"]).unwrap();
    index["files"]["results/mean/zeros.json"] = json!({ "digest": Digest::of_bytes(b""), "size": 1 << 20 });
    bomb.insert("bundle.json".to_owned(), serde_json::to_vec(&index).unwrap());
    bomb.insert("results/mean/zeros.json".to_owned(), vec![0; 64 << 20]);
    assert!(refusal(&receiver, &zip(&bomb)).starts_with("results/mean/zeros.json has 67108864 bytes instead of 1048576"));
}

#[test]
fn packed_images_that_are_gone_are_only_missed_where_they_are_to_come_along() {
    let project = sender("none");
    let packed = project.read("output/small/pack/train.h5");
    let digest = Digest::of_bytes(&packed).to_string();
    fs::remove_file(project.path(&format!(".packtrain/objects/{}/{}", &digest[..2], &digest[2..]))).unwrap();
    let all = project.packtrain(&["bundle", "--objects", "all"]);
    assert_eq!(all.code, 4);
    assert!(all.stderr.starts_with("error: the result of pack in that run is no longer in the cache\nhint: "), "{}", all.stderr);
    assert!(!project.path("small.zip").exists());
    assert_eq!(project.packtrain(&["bundle"]).code, 0);
}

#[test]
fn what_a_manifest_itself_says_of_the_machine_is_told_of() {
    let project = Project::with_images(4);
    let place = project.path("").display().to_string();
    let place = place.trim_end_matches('/');
    project.write(
        "small.yaml",
        &format!("{BASE}  it: {{ kind: command, run: 'echo {place} > {{outputs.o}}', outputs: {{ o: {{ file: o.txt }} }} }}\n"),
    );
    project.run(&["small.yaml"]);
    let output = project.packtrain(&["bundle"]);
    assert!(output.stderr.contains(&format!("warning: manifest.yaml of the bundle names {place}, because")), "{}", output.stderr);
}

#[test]
fn another_manifest_in_the_place_of_the_bundle_s_is_left_alone() {
    let receiver = receiver(&sender("models"));
    receiver.write("mine/small.yaml", "name: mine\n");
    let output = receiver.packtrain(&["import", "got.zip", "mine"]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.starts_with("error: there is already another "), "{}", output.stderr);
    assert_eq!(receiver.read("mine/small.yaml"), b"name: mine\n");
    assert!(crate::harness::sorted(&receiver.path(".packtrain/runs")).is_empty());
}
