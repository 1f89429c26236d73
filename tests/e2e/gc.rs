//! `packtrain cache`: what is removed, what is not, and what becomes of runs beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use packtrain::cache::{ActionRecord, Cache, Provenance, StoredFile};
use packtrain::key::Fingerprint;
use serde_json::{Value, json};

use crate::harness::{Project, sorted, store};

const PIPELINE: &str = "
name: small
stages:
  pack: { kind: pack, images: images, size: 32, split: { val: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
";

const ALL_RAN: &str = "pack ran\nmean ran\n";
const ALL_REUSED: &str = "pack reused\nmean reused\n";
const FILES: [&str; 3] = ["pack/train.h5", "pack/val.h5", "mean/mean.json"];

fn project() -> Project {
    let project = Project::with_images(6);
    project.write("small.yaml", PIPELINE);
    project
}

/// Removes all that may go.
fn collect(project: &Project) -> String {
    let output = project.packtrain(&["cache", "gc", "--older-than", "0d"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stdout
}

fn results(project: &Project) -> Vec<Vec<u8>> {
    FILES.iter().map(|file| project.read(&format!("output/small/{file}"))).collect()
}

/// The objects that action records name and that are not there.
fn missing_objects(project: &Project) -> Vec<String> {
    let mut missing = Vec::new();
    for path in sorted(&project.path(".packtrain/actions")) {
        let record: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for file in record["outputs"].as_object().unwrap().values() {
            let digest = file["digest"].as_str().unwrap();
            if !project.path(".packtrain/objects").join(&digest[..2]).join(&digest[2..]).exists() {
                missing.push(digest.to_owned());
            }
        }
    }
    missing
}

#[test]
fn the_latest_results_stay_and_an_earlier_one_is_made_again_when_it_is_wanted() {
    let project = project();
    assert_eq!(project.run(&["small.yaml"]), ALL_RAN);
    let first = results(&project);
    project.edit("small.yaml", "size: 32", "size: 24");
    assert_eq!(project.run(&["small.yaml"]), ALL_RAN);

    let young = project.packtrain(&["cache", "gc"]).stdout;
    assert!(young.starts_with("nothing to remove; the cache takes "), "{young}");
    assert!(young.contains("\nearlier results that were used more recently take "), "{young}");
    let told = collect(&project);
    assert!(told.contains("earlier results  5 "), "two records and three objects: {told}");
    assert!(told.contains("\nfreed ") && told.contains(" in 5 files; "), "{told}");

    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    let second = results(&project);
    fs::remove_dir_all(project.path("output")).unwrap();
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    assert_eq!(results(&project), second);
    project.edit("small.yaml", "size: 24", "size: 32");
    assert_eq!(project.run(&["small.yaml"]), ALL_RAN);
    assert_eq!(results(&project), first);
}

#[test]
fn reasons_are_told_by_file_after_a_collection_too() {
    let project = project();
    project.run(&["small.yaml"]);
    collect(&project);
    let class = sorted(&project.path("images")).remove(0);
    fs::copy(&sorted(&class)[0], class.join("added.jpg")).unwrap();
    let explained = project.packtrain(&["explain", "small.yaml", "pack"]).stdout;
    assert!(explained.contains("input `images`: 1 image added\n"), "{explained}");
}

#[test]
fn a_dry_run_tells_what_the_collection_then_does() {
    let project = project();
    project.run(&["small.yaml"]);
    project.run(&["small.yaml", "--force", "pack"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let gc = |more: &[&str]| -> Value {
        let output = project.packtrain(&[&["cache", "gc", "--older-than", "0d", "--json"], more].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        serde_json::from_str(&output.stdout).unwrap()
    };
    let [foretold, again] = [gc(&["--dry-run"]), gc(&["--dry-run"])];
    assert_eq!(foretold, again);
    assert_eq!(foretold["dry-run"], json!(true));
    assert_eq!(foretold["removed"]["earlier-results"]["files"], json!(5), "{foretold}");
    assert_eq!(foretold["kept"]["run-records"]["files"], json!(3), "{foretold}");
    let done = gc(&[]);
    assert_eq!([&done["removed"], &done["kept"]], [&foretold["removed"], &foretold["kept"]]);
    assert_eq!(gc(&[])["removed"], json!({}));
}

#[test]
fn the_status_says_what_the_cache_holds() {
    let project = project();
    project.run(&["small.yaml"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let status = project.packtrain(&["cache", "status", "--older-than", "0d"]).stdout;
    let rows: Vec<&str> = status.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(rows[..5], ["what", "latest results", "earlier results", "run records", "bookkeeping"]);
    assert!(rows[5].starts_with("`packtrain cache gc` would remove ") && rows[5].ends_with(" in 5 files"), "{status}");
}

#[test]
fn a_size_that_the_latest_results_exceed_is_said_to_be_out_of_reach() {
    let project = project();
    project.run(&["small.yaml"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let told = project.packtrain(&["cache", "gc", "--max-size", "1K"]).stdout;
    assert!(told.contains("earlier results  5 "), "{told}");
    assert!(
        told.ends_with("1.0 KiB cannot be reached: the rest are the latest results, those of named runs, and what belongs to them\n"),
        "{told}"
    );
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
}

#[test]
fn what_a_variant_or_another_pipeline_needs_stays() {
    let project = project();
    project.write(
        "small.yaml",
        &format!("{}params: {{ size: 32 }}\nmatrix: {{ size: [32, 24] }}\n", PIPELINE.replace("size: 32", "size: \"${size}\"")),
    );
    project.write("other.yaml", &PIPELINE.replace("name: small", "name: other").replace("32", "16"));
    project.run(&["small.yaml"]);
    project.run(&["other.yaml"]);
    assert!(collect(&project).starts_with("nothing to remove"));
    assert!(!project.run(&["small.yaml"]).contains(" ran"));
    assert_eq!(project.run(&["other.yaml"]), ALL_REUSED);
}

#[test]
fn collections_beside_runs_lose_nothing() {
    let clean = project();
    clean.run(&["small.yaml"]);
    let expected = results(&clean);
    let project = project();
    project.write("other.yaml", &PIPELINE.replace("name: small", "name: other").replace("32", "40"));
    for round in 0..4 {
        let sizes = if round % 2 == 0 { ("32", "24") } else { ("24", "32") };
        let mut runs = ["small.yaml", "other.yaml"].map(|manifest| project.start(&["run", manifest, "--force", "mean"]));
        let mut collections = 0;
        while runs.iter_mut().any(|run| run.try_wait().unwrap().is_none()) {
            collect(&project);
            assert_eq!(missing_objects(&project), Vec::<String>::new());
            collections += 1;
        }
        assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()), "round {round}");
        assert!(collections > 0, "round {round}");
        assert_eq!(project.run(&["small.yaml"]), ALL_REUSED, "round {round}");
        assert_eq!(project.run(&["other.yaml"]), ALL_REUSED, "round {round}");
        if round % 2 == 0 {
            assert_eq!(results(&project), expected, "round {round}");
        }
        project.edit("small.yaml", &format!("size: {}", sizes.0), &format!("size: {}", sizes.1));
    }
}

#[test]
fn a_collection_killed_at_any_moment_leaves_only_whole_truths() {
    let garbage = |project: &Project| {
        project.run(&["small.yaml"]);
        publish_garbage(&project.path(".packtrain"), 60);
    };
    let timed = project();
    garbage(&timed);
    let started = Instant::now();
    collect(&timed);
    let whole = started.elapsed();
    let mut cut = 0;
    for step in 1..5 {
        let project = project();
        garbage(&project);
        let mut child = project.start(&["cache", "gc", "--older-than", "0d"]);
        std::thread::sleep(whole * step / 5);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(missing_objects(&project), Vec::<String>::new(), "step {step}");
        assert_eq!(project.run(&["small.yaml"]), ALL_REUSED, "step {step}");
        cut += u32::from(!collect(&project).starts_with("nothing to remove"));
        assert_eq!(sorted(&project.path(".packtrain/actions")).len(), 2);
    }
    assert!(cut > 0, "every collection had ended before it was killed");
}

/// Results that nothing needs.
fn publish_garbage(state: &Path, count: u32) {
    let cache = Cache::open(state).unwrap();
    for number in 0..count {
        let digest = store(&cache, &number.to_le_bytes());
        let fingerprint = Fingerprint { kind: "pack".into(), version: 0, parameters: json!(number), inputs: BTreeMap::new(), seed: None };
        let outputs = BTreeMap::from([("train".to_owned(), StoredFile { file: "train.h5".into(), digest, size: 4 })]);
        let provenance = Provenance {
            tool: "t".into(),
            pipeline: "p".into(),
            stage: "s".parse().unwrap(),
            finished: "f".into(),
            seconds: 0.0,
            effort: None,
        };
        cache.publish(&ActionRecord::new(fingerprint, outputs, provenance)).unwrap();
    }
}

#[test]
fn a_result_that_goes_while_another_stage_runs_is_made_again() {
    let project = Project::new();
    let wait = project.path("wait").display().to_string();
    project.write("text.txt", "one").write(
        "small.yaml",
        &format!(
            "name: small\nstages:\n  first: {{ kind: command, run: 'while [ -e {wait} ]; do sleep 0.02; done; echo same > {{outputs.o}}', \
             inputs: {{ text: {{ file: text.txt }} }}, outputs: {{ o: {{ file: o.txt }} }} }}\n  \
             second: {{ kind: command, run: 'cp {{inputs.from}} {{outputs.o}}', inputs: {{ from: first }}, outputs: {{ o: {{ file: o.txt }} }} }}\n"
        ),
    );
    assert_eq!(project.run(&["small.yaml"]), "first ran\nsecond ran\n");
    project.write("text.txt", "two").write("wait", "");
    let mut run = project.run_until(&["small.yaml"], "\"event\":\"stage-started\"");
    // Whoever has other results by the same names lets these go.
    fs::remove_dir_all(project.path(".packtrain/heads")).unwrap();
    let text = collect(&project);
    assert!(text.contains("earlier results"), "{text}");
    fs::remove_file(project.path("wait")).unwrap();
    assert!(run.wait().unwrap().success());
    assert_eq!(missing_objects(&project), Vec::<String>::new());
    assert_eq!(project.run(&["small.yaml"]), "first reused\nsecond reused\n");
    let record: Value = serde_json::from_slice(&fs::read(&sorted(&project.path(".packtrain/runs"))[1]).unwrap()).unwrap();
    assert_eq!(record["stages"][1]["state"], "finished");
}

#[test]
fn without_a_cache_there_is_nothing_to_collect_and_none_is_made() {
    let project = project();
    fs::remove_dir(project.path(".packtrain")).unwrap();
    let output = project.packtrain(&["cache", "gc"]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.starts_with("error: there is no cache at "), "{}", output.stderr);
    assert!(output.stderr.contains("\nhint: go to a folder of the project, or name its cache with `--state-dir FOLDER`\n"));
    assert!(!project.path(".packtrain").exists());
    let output = project.packtrain(&["cache", "gc", "--older-than", "soon"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("`soon` is no time; write 12h, 30d or 2weeks"), "{}", output.stderr);
}
