//! A manifest with a matrix, through the built program.

use crate::harness::{Project, sorted, timeless};

const FAMILY: &str = "
name: sizes
seed: 1
params: { size: 8, per: channel }
matrix: { size: [16, 24], per: [channel, pixel] }
stages:
  pack:
    kind: pack
    images: images
    size: ${size}
    split: { val: 0.2, test: 0.2 }
  mean:
    kind: compute-mean
    images: pack.train
    per: ${per}
";

const VARIANTS: [&str; 4] = ["size=16,per=channel", "size=16,per=pixel", "size=24,per=channel", "size=24,per=pixel"];

fn project() -> Project {
    let project = Project::with_images(10);
    project.write("sizes.yaml", FAMILY);
    project
}

/// What became of `pack` and `mean` of every variant.
fn table(states: [[&str; 2]; 4]) -> String {
    let rows = VARIANTS.iter().zip(states);
    rows.map(|(variant, [pack, mean])| format!("{variant}/pack {pack}\n{variant}/mean {mean}\n")).collect()
}

#[test]
fn what_variants_have_in_common_runs_once_and_each_has_its_outputs() {
    let project = project();
    let plan = timeless(&project.packtrain(&["plan", "sizes.yaml"]).stdout);
    assert!(plan.contains("size=16,per=pixel/pack  pack  be shared  it is the same as size=16,per=channel/pack\n"), "{plan}");
    assert!(plan.contains("size=16,per=pixel/mean  compute-mean  be decided  unknown until pack has run\n"), "{plan}");
    let first = [["ran", "ran"], ["reused", "ran"], ["ran", "ran"], ["reused", "ran"]];
    assert_eq!(project.run(&["sizes.yaml"]), table(first));
    assert_eq!(project.run(&["sizes.yaml"]), table([["reused", "reused"]; 4]));
    let folders: Vec<_> = sorted(&project.path("output/sizes")).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(folders, VARIANTS);
    let mean = |variant: &str| project.read(&format!("output/sizes/{variant}/mean/mean.json"));
    assert_ne!(mean("size=16,per=channel"), mean("size=16,per=pixel"));
    assert_ne!(mean("size=16,per=channel"), mean("size=24,per=channel"));
}

#[test]
fn a_value_more_runs_only_its_own_variants() {
    let project = project();
    project.run(&["sizes.yaml"]);
    project.edit("sizes.yaml", "size: [16, 24]", "size: [12, 16, 24]");
    let stages = project.run(&["sizes.yaml"]);
    let rest = stages.strip_prefix(
        "size=12,per=channel/pack ran\nsize=12,per=channel/mean ran\nsize=12,per=pixel/pack reused\nsize=12,per=pixel/mean ran\n",
    );
    assert_eq!(rest, Some(table([["reused", "reused"]; 4]).as_str()), "{stages}");
}

#[test]
fn some_variants_can_be_selected() {
    let project = project();
    let stages = project.run(&["sizes.yaml", "--variant", "size=24,per=pixel"]);
    assert_eq!(stages, "size=24,per=pixel/pack ran\nsize=24,per=pixel/mean ran\n");
    let stages = project.run(&["sizes.yaml", "--variant", "per=pixel"]);
    assert_eq!(
        stages,
        "size=16,per=pixel/pack ran\nsize=16,per=pixel/mean ran\nsize=24,per=pixel/pack reused\nsize=24,per=pixel/mean reused\n"
    );
    let unknown = project.packtrain(&["plan", "sizes.yaml", "--variant", "size=32"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("sizes has no variant `size=32`; its variants are size=16,per=channel  "), "{}", unknown.stderr);
}

#[test]
fn an_override_narrows_the_matrix_and_keeps_the_variants_names() {
    let project = project();
    project.run(&["sizes.yaml"]);
    let stages = project.run(&["sizes.yaml", "-p", "size=24"]);
    let expected =
        "size=24,per=channel/pack reused\nsize=24,per=channel/mean reused\nsize=24,per=pixel/pack reused\nsize=24,per=pixel/mean reused\n";
    assert_eq!(stages, expected);
}

#[test]
fn a_variant_s_reasons_are_its_own() {
    let project = project();
    project.run(&["sizes.yaml"]);
    project.edit("sizes.yaml", "val: 0.2", "val: 0.1");
    let reasons = project.packtrain(&["explain", "sizes.yaml", "pack", "--variant", "size=24"]).stdout;
    let expected = "size=24,per=channel/pack (pack) will run, because\n  - split.val 0.2 → 0.1 (sizes.yaml:11:19)\n\
        \x20 50 of 50 rows reused from earlier results\n\
        \x20 it takes about T, going by what was run before\n\
        size=24,per=pixel/pack (pack) is the same as size=24,per=channel/pack, which comes first, and shares its result.\n";
    assert_eq!(timeless(&reasons), expected);
    let json = project.packtrain(&["explain", "sizes.yaml", "pack", "--json"]).stdout;
    let forecasts: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(forecasts[1]["variant"], "size=16,per=pixel");
    assert_eq!(forecasts[1]["outlook"], "shared");
}

#[test]
fn a_forced_stage_runs_once_for_all_variants_that_share_it() {
    let project = project();
    project.run(&["sizes.yaml"]);
    let stages = project.run(&["sizes.yaml", "--force", "pack"]);
    assert_eq!(stages, table([["ran", "reused"], ["reused", "reused"], ["ran", "reused"], ["reused", "reused"]]));
}

const HALF_BROKEN: &str = "
params: { folder: images, per: channel }
matrix: { folder: [broken, images], per: [channel, pixel] }
stages:
  pack: { kind: pack, images: \"${folder}\", labels: parent-dir, size: 16, split: { test: 0.2 } }
  mean: { kind: compute-mean, images: pack.train, per: \"${per}\" }
";

#[test]
fn a_failed_variant_does_not_stop_the_others_and_what_it_shares_fails_once() {
    let project = project();
    project.write("half.yaml", HALF_BROKEN).write("broken/a/one.png", "no image").write("broken/b/two.png", "no image");
    let output = project.packtrain(&["run", "half.yaml"]);
    assert_eq!(output.code, 1);
    let expected = "\
folder=broken,per=channel/pack failed
folder=broken,per=channel/mean not run
folder=broken,per=pixel/pack failed
folder=broken,per=pixel/mean not run
folder=images,per=channel/pack ran
folder=images,per=channel/mean ran
folder=images,per=pixel/pack reused
folder=images,per=pixel/mean ran
";
    assert_eq!(output.stages(), expected, "{}", output.stderr);
    assert_eq!(output.stderr.matches("folder=broken,per=channel/pack  running").count(), 1, "{}", output.stderr);
    assert_eq!(output.stderr.matches("folder=broken,per=pixel/pack  running").count(), 0, "{}", output.stderr);
    assert!(
        output.stderr.contains("folder=broken,per=pixel/pack  failed: it failed as folder=broken,per=channel/pack already: "),
        "{}",
        output.stderr
    );
}

#[test]
fn a_run_s_record_tells_the_variants_apart() {
    let project = project();
    project.run(&["sizes.yaml"]);
    let last = sorted(&project.path(".packtrain/runs")).pop().unwrap();
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(last).unwrap()).unwrap();
    assert_eq!(record["format"], 2);
    assert_eq!(record["provenance"]["variants"][2]["variant"], "size=24,per=channel");
    assert_eq!(record["provenance"]["variants"][2]["params"], serde_json::json!({ "size": 24, "per": "channel" }));
    assert_eq!(record["stages"][4]["variant"], "size=24,per=channel");
    assert_eq!(record["stages"][4]["stage"], "pack");
}

#[test]
fn a_family_is_validated_and_drawn_as_one() {
    let project = project();
    let valid = project.packtrain(&["validate", "sizes.yaml"]).stdout;
    let listed = format!("sizes: valid, 2 stages in 4 variants\n  {}\n", VARIANTS.join("\n  "));
    let packs = valid.strip_prefix(&listed).unwrap_or_else(|| panic!("{valid}"));
    // Variants that share what they pack are told of it once.
    assert_eq!(
        packs.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(),
        ["pack (size=16,per=channel)", "pack (size=24,per=channel)"]
    );
    let graph = project.packtrain(&["graph", "sizes.yaml"]).stdout;
    assert_eq!(graph.matches("pack -- ").count(), 1, "{graph}");
    project.edit("sizes.yaml", "images: pack.train", "images: pack.${part}").edit("sizes.yaml", "params: {", "params: { part: val,");
    project.edit("sizes.yaml", "matrix: {", "matrix: { part: [val, test],");
    let graph = project.packtrain(&["graph", "sizes.yaml"]);
    assert_eq!((graph.code, graph.stderr.contains("the variants of sizes have different graphs")), (2, true), "{}", graph.stderr);
    assert_eq!(project.packtrain(&["graph", "sizes.yaml", "--variant", "part=val"]).code, 0);
}
