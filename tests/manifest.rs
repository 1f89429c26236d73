//! What a manifest means: parameters, extension, references, paths. And that no text at all makes the loader panic.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod project;

use std::sync::LazyLock;

use packtrain::manifest::{Family, Pipeline, PipelineInputSource, VariantFilter, schema};
use packtrain::stage::{Activation, Network, NormPlace, Optimizer, Pack, Share, StageSpec, Train};
use project::Project;
use proptest::prelude::*;
use serde_json::json;

const PACK: &str = "
stages:
  pack:
    kind: pack
    images: images
    size: 32
";

#[test]
fn a_reference_to_a_stage_is_its_main_output() {
    let pipeline = load(&format!("{PACK}\n  mean: {{ kind: compute-mean, images: pack }}\n"));
    let source = &pipeline.stages[1].inputs[0].source;
    assert_eq!(*source, PipelineInputSource::Output { stage: "pack".parse().unwrap(), output: "train".to_owned() });
}

#[test]
fn a_stage_may_use_one_that_comes_later() {
    let pipeline = load(
        "
stages:
  mean: { kind: compute-mean, images: pack.train }
  pack: { kind: pack, images: images, size: 32 }
",
    );
    let ids: Vec<&str> = pipeline.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(ids, ["mean", "pack"]);
}

#[test]
fn a_manifest_without_a_name_has_that_of_its_file() {
    assert_eq!(load(PACK).name, "pipeline");
    assert_eq!(load(&format!("name: other\n{PACK}")).name, "other");
}

#[test]
fn a_stage_without_a_seed_has_that_of_the_pipeline() {
    let pipeline = load(&format!("seed: 7\n{PACK}\n  mean: {{ kind: compute-mean, images: pack, seed: 8 }}\n"));
    let seeds: Vec<u64> = pipeline.stages.iter().map(|stage| stage.seed).collect();
    assert_eq!(seeds, [7, 8]);
    assert_eq!(load(PACK).stages[0].seed, 0);
}

#[test]
fn a_scalar_that_is_a_parameter_keeps_its_type_and_a_text_takes_it_in() {
    let manifest = "
params: { size: 48, share: 0.25, name: i, folder: \"${name}mages\" }
description: $${size} is ${size} and ${share}
stages:
  pack:
    kind: pack
    images: ${folder}
    size: ${size}
    split: { test: \"${share}\" }
";
    let pipeline = load(manifest);
    let pack = pack(&pipeline);
    assert_eq!((pack.size, pack.split.test), (48, Share::Fraction(0.25)));
    assert_eq!(pipeline.description.as_deref(), Some("${size} is 48 and 0.25"));
    assert_eq!(serde_json::to_value(&pipeline.params).unwrap(), json!({ "size": 48, "share": 0.25, "name": "i", "folder": "images" }));
}

#[test]
fn an_override_is_read_as_yaml_reads_it() {
    let project = Project::new().with("pipeline.yaml", &format!("params: {{ lr: 1, name: a, all: [1] }}\n{PACK}"));
    let params = |overrides: &[&str]| serde_json::to_value(expect_pipeline(&project, overrides).params).unwrap();
    assert_eq!(params(&["lr=1e-3", "name=a: b #c", "all=[1, x]"]), json!({ "lr": 0.001, "name": "a: b #c", "all": [1, "x"] }));
    assert_eq!(params(&["lr='1'", "name=true", "all=8"]), json!({ "lr": "1", "name": true, "all": 8 }));
}

#[test]
fn a_path_starts_from_the_folder_of_whoever_writes_it() {
    let manifest = "params: { images: here }\nstages:\n  pack: { kind: pack, images: \"${images}\", size: 32 }\n";
    let project = Project::new()
        .with("pipeline.yaml", "extends: deep/base.yaml\n")
        .with("deep/base.yaml", manifest)
        .with("deep/here/cat.jpg", "")
        .with("here/cat.jpg", "");
    assert_eq!(folder_of_pack(&expect_pipeline(&project, &[])), project.path("deep/here"));
    assert_eq!(folder_of_pack(&expect_pipeline(&project, &["images=here"])), project.path("here"));
    let project = project.with("pipeline.yaml", "extends: deep/base.yaml\nparams: { images: here }\n");
    assert_eq!(folder_of_pack(&expect_pipeline(&project, &[])), project.path("here"));
}

#[test]
fn a_text_with_a_parameter_in_front_starts_from_the_parameters_folder() {
    let project = Project::new()
        .with("pipeline.yaml", "extends: deep/base.yaml\nstages:\n  pack: { images: \"${root}/here\" }\n")
        .with("deep/base.yaml", "params: { root: . }\nstages:\n  pack: { kind: pack, size: 32 }\n")
        .with("deep/here/cat.jpg", "");
    assert_eq!(folder_of_pack(&expect_pipeline(&project, &[])), project.path("deep/here"));
}

const BASE: &str = "
name: base
description: The base.
seed: 5
params: { epochs: 3 }
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { val: 1, test: 2 }
  train:
    kind: train
    train: pack.train
    val: pack.val
    model: { alexnet: { l2: 0.5 } }
    input: { size: 64 }
    optimizer: { adam: { lr: 1e-3, beta1: 0.5 } }
    epochs: ${epochs}
    batch: 8
";

#[test]
fn an_extending_manifest_states_only_what_differs() {
    let pipeline =
        extended("stages:\n  pack: { split: { test: 3 } }\n  train: { optimizer: { adam: { lr: 0.1 } }, val: }\nparams: { epochs: 9 }\n");
    let pack = pack(&pipeline);
    let train = train(&pipeline);
    assert_eq!((pack.split.val, pack.split.test), (Share::Count(1), Share::Count(3)));
    assert_eq!(train.optimizer, Optimizer::Adam { lr: 0.1, beta1: 0.5, beta2: 0.999, eps: 1e-8 });
    assert_eq!((train.epochs, train.val.is_none()), (Some(9), true));
    assert_eq!((pipeline.name.as_str(), pipeline.description.as_deref()), ("pipeline", None));
    assert_eq!(pipeline.stages[0].seed, 5);
}

#[test]
fn another_choice_replaces_the_extended_one() {
    let pipeline = extended("stages:\n  train: { model: { mini-googlenet: { l2: 0.1 } }, optimizer: { sgd: { lr: 0.2 } } }\n");
    let train = train(&pipeline);
    assert_eq!((train.model.name(), train.model.l2()), ("mini-googlenet", 0.1));
    assert_eq!(train.optimizer, Optimizer::Sgd { lr: 0.2, momentum: 0.0, nesterov: false });
}

#[test]
fn a_bare_name_is_a_choice_with_its_defaults() {
    let pipeline = extended("stages:\n  train: { model: alexnet }\n");
    let (activation, norm) = (Activation::Relu, NormPlace::AfterActivation);
    assert_eq!(train(&pipeline).model, Network::Alexnet { l2: 2e-4, activation, norm });
}

#[test]
fn parameters_cannot_grow_without_bound() {
    let doubling: String = (1..15).map(|i| format!("  p{i}: [\"${{p{}}}\", \"${{p{}}}\", \"${{p{}}}\"]\n", i - 1, i - 1, i - 1)).collect();
    let project = Project::new().with("pipeline.yaml", &format!("params:\n  p0: x\n{doubling}{PACK}"));
    assert!(project.errors(&[]).contains("the parameters' values grow too large"));
}

#[test]
fn aliases_cannot_grow_without_bound() {
    let doubling: String = (1..15).map(|i| format!("  p{i}: &p{i} [*p{}, *p{}, *p{}]\n", i - 1, i - 1, i - 1)).collect();
    let project = Project::new().with("pipeline.yaml", &format!("params:\n  p0: &p0 x\n{doubling}{PACK}"));
    assert!(project.errors(&[]).contains("this is not a YAML document"));
}

const VARIED: &str = "
params: { size: 48, share: 0.1 }
matrix: { size: [32, 64], share: [0.1, 0.25, 5] }
stages:
  pack: { kind: pack, images: images, size: \"${size}\", split: { test: \"${share}\" } }
";

#[test]
fn a_matrix_makes_a_variant_of_every_combination_in_order() {
    let family = family(VARIED, &[]);
    let names =
        ["size=32,share=0.1", "size=32,share=0.25", "size=32,share=5", "size=64,share=0.1", "size=64,share=0.25", "size=64,share=5"];
    assert_eq!(variant_names(&family), names);
    assert_eq!(pack(&family.variants[4]).size, 64);
    assert_eq!(pack(&family.variants[4]).split.test, Share::Fraction(0.25));
    assert_eq!(serde_json::to_value(&family.variants[4].params).unwrap(), json!({ "size": 64, "share": 0.25 }));
    assert_eq!(family.variants[4].place(), "pipeline/size=64,share=0.25");
}

#[test]
fn a_manifest_without_a_matrix_is_a_family_of_one() {
    for manifest in [PACK.to_owned(), format!("matrix:\n{PACK}"), format!("matrix: {{}}\n{PACK}")] {
        let family = family(&manifest, &[]);
        assert_eq!(variant_names(&family), [] as [&str; 0]);
        assert_eq!(family.variants[0].place(), "pipeline");
    }
}

#[test]
fn an_override_leaves_a_varied_parameter_one_value_and_a_list_gives_it_others() {
    assert_eq!(variant_names(&family(VARIED, &["size=32", "share=7"])), ["size=32,share=7"]);
    assert_eq!(variant_names(&family(VARIED, &["size=32", "share=[1, 2]"])), ["size=32,share=1", "size=32,share=2"]);
}

#[test]
fn an_extending_manifest_may_bring_a_matrix_change_it_or_take_it_away() {
    let base = VARIED.replace("share: [0.1, 0.25, 5]", "share: [0.1]");
    let names = |text: &str| {
        let project = Project::new().with("base.yaml", &base).with("pipeline.yaml", &format!("extends: base.yaml\n{text}"));
        variant_names(&expect_family(&project, &[]))
    };
    assert_eq!(names(""), ["size=32,share=0.1", "size=64,share=0.1"]);
    assert_eq!(names("matrix: { size: [16] }"), ["size=16,share=0.1"]);
    assert_eq!(names("matrix: { share: }"), ["size=32", "size=64"]);
    assert_eq!(names("matrix:"), [] as [&str; 0]);
}

#[test]
fn a_matrix_may_be_made_of_parameters() {
    let manifest = VARIED.replace("params: {", "params: { low: 16, shares: [1, 2],").replace("[32, 64]", "[\"${low}\", \"${size}\"]");
    let manifest = manifest.replace("[0.1, 0.25, 5]", "\"${shares}\"");
    assert_eq!(
        variant_names(&family(&manifest, &["low=24"])),
        ["size=24,share=1", "size=24,share=2", "size=48,share=1", "size=48,share=2"]
    );
}

#[test]
fn variants_are_selected_by_some_or_all_of_their_values() {
    let selected = |filters: &[&str]| {
        let filters: Vec<VariantFilter> = filters.iter().map(|text| text.parse().unwrap()).collect();
        family(VARIED, &[]).select(&filters).map(|family| variant_names(&family))
    };
    assert_eq!(selected(&["share=2.5e-1"]).unwrap(), ["size=32,share=0.25", "size=64,share=0.25"]);
    assert_eq!(selected(&["share=5,size=64", "size=32,share=0.1"]).unwrap(), ["size=32,share=0.1", "size=64,share=5"]);
    assert_eq!(selected(&[]).unwrap().len(), 6);
    let error = selected(&["share=0.3"]).unwrap_err().to_string();
    assert!(error.starts_with("pipeline has no variant `share=0.3`; its variants are size=32,share=0.1  size=32,share=0.25"), "{error}");
    let error = family(PACK, &[]).select(&["lr=1".parse().unwrap()]).unwrap_err().to_string();
    assert_eq!(error, "pipeline has no variants, because its manifest has no `matrix`");
}

fn family(manifest: &str, overrides: &[&str]) -> Family {
    expect_family(&Project::new().with("pipeline.yaml", manifest), overrides)
}

fn variant_names(family: &Family) -> Vec<String> {
    family.variants.iter().filter_map(|pipeline| Some(pipeline.variant.as_ref()?.name.to_string())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_to_a_manifest_makes_the_loader_panic(changes in prop::collection::vec(change(), 1..5), value in "[1-9]|.{0,12}") {
        let mut text = BASE.to_owned();
        for change in changes {
            change.apply(&mut text);
        }
        check(&text, &[&format!("epochs={value}")]);
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "([a-z]+: |- |\\[|\\]|\\{|\\}|\\$\\{[a-z]+\\}|\"|\n|  |#|&a |\\*a|é|\t|stages:|kind: pack|.)*") {
        check(&text, &[]);
    }
}

/// A change to a text, at a place given as a fraction of its length.
#[derive(Debug, Clone)]
enum Change {
    Insert(f64, String),
    Remove(f64, usize),
    RemoveLine(f64),
    RepeatLine(f64),
    SwapLines(f64, f64),
    Replace(&'static str, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let words = prop::sample::select(vec![
        "pack",
        "kind",
        "train",
        "alexnet",
        "${epochs}",
        "3",
        "0.5",
        "images",
        "adam",
        "lr",
        "matrix",
        ":",
        "{",
        "}",
        "model",
        "size",
    ]);
    let place = 0.0..1.0;
    prop_oneof![
        (place.clone(), "[ -~é\n]{1,4}").prop_map(|(place, text)| Change::Insert(place, text)),
        (place.clone(), 1_usize..8).prop_map(|(place, count)| Change::Remove(place, count)),
        place.clone().prop_map(Change::RemoveLine),
        place.clone().prop_map(Change::RepeatLine),
        (place.clone(), place).prop_map(|(one, other)| Change::SwapLines(one, other)),
        (words.clone(), words).prop_map(|(from, to)| Change::Replace(from, to)),
    ]
}

impl Change {
    fn apply(self, text: &mut String) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = |place: f64| (place * lines.len() as f64) as usize;
        let mut characters: Vec<char> = text.chars().collect();
        let character = |place: f64| (place * characters.len() as f64) as usize;
        match self {
            _ if lines.is_empty() => {}
            Change::Insert(place, inserted) => {
                let at = character(place);
                characters.splice(at..at, inserted.chars());
                *text = characters.into_iter().collect();
            }
            Change::Remove(place, count) => {
                let at = character(place);
                characters.drain(at..(at + count).min(characters.len()));
                *text = characters.into_iter().collect();
            }
            Change::RemoveLine(place) => {
                lines.remove(line(place));
                *text = lines.join("\n");
            }
            Change::RepeatLine(place) => {
                let at = line(place);
                lines.insert(at, lines[at].clone());
                *text = lines.join("\n");
            }
            Change::SwapLines(one, other) => {
                let (one, other) = (line(one), line(other));
                lines.swap(one, other);
                *text = lines.join("\n");
            }
            Change::Replace(from, to) => *text = text.replacen(from, to, 1),
        }
    }
}

/// Either a pipeline that the published schema allows too, or an error that says something, in both renderings.
fn check(manifest: &str, overrides: &[&str]) {
    let project = Project::new().with("pipeline.yaml", manifest);
    match project.load(overrides) {
        Ok(_) => assert_fits_the_schema(manifest),
        Err(errors) => {
            assert!(errors.count() > 0);
            assert!(errors.to_string().starts_with("error: "));
            assert!(!errors.to_string().contains('\u{1b}'));
            assert!(errors.coloured().contains('\u{1b}'));
        }
    }
}

#[test]
fn a_portable_manifest_means_the_same_and_names_no_place() {
    let elsewhere = Project::new().with("secret/dogs/1.jpg", "").with("secret/table.csv", "");
    let place = elsewhere.path("secret");
    let base = "
params: { root: here, images: \"${root}/dogs\", size: 8, rotation: 1e-5 }
stages:
  pack: { kind: pack, images: \"${images}\", size: \"${size}\", labels: { table: { file: TABLE, header: false } } }
  again: { kind: pack, images: images, size: 8, labels: { filename: \"^(no)\\\\.\" }, seed: 7, split: { val: 0.1 } }
  mean: { kind: compute-mean, images: pack.train }
";
    let base = base.replace("TABLE", place.join("table.csv").to_str().unwrap());
    let manifest = "extends: base/base.yaml\nmatrix: { size: [8, 16] }\nstages: { again: { images: images } }\n";
    let project = Project::new().with("base/base.yaml", &base).with("pipeline.yaml", manifest);
    let family = expect_family(&project, &[&format!("root={}", place.display())]);
    let portable = family.portable();
    for hidden in [place.to_str().unwrap(), project.path("").to_str().unwrap(), "extends"] {
        assert!(!portable.text.contains(hidden), "{hidden} is in\n{}", portable.text);
    }
    let inputs: Vec<String> = portable.inputs.iter().map(|(param, uses)| format!("{param}: {uses:?}")).collect();
    let expected = ["again-images: {\"again.images\"}", "root: {\"pack.images\"}", "table: {\"pack.labels.table.file\"}"];
    assert_eq!(inputs, expected, "{}", portable.text);
    let received = Project::new().with("pipeline.yaml", &portable.text).with("dogs/1.jpg", "").with("table.csv", "");
    let received = expect_family(&received, &["root=."]);
    let meaning = |family: &Family| -> Vec<_> {
        let stages = family.variants.iter().flat_map(|pipeline| pipeline.stages.iter().map(|stage| (pipeline.place(), stage)));
        stages.map(|(place, stage)| (place, stage.id.clone(), stage.seed, stage.spec.parameters().unwrap())).collect()
    };
    assert_eq!(meaning(&received), meaning(&family));
}

fn assert_fits_the_schema(manifest: &str) {
    static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());
    let options = serde_saphyr::options! { strict_booleans: true };
    let manifest: serde_json::Value = serde_saphyr::from_str_with_options(manifest, options).unwrap();
    let problems: Vec<String> = VALIDATOR.iter_errors(&manifest).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(problems, Vec::<String>::new());
}

fn load(manifest: &str) -> Pipeline {
    expect_pipeline(&Project::new().with("pipeline.yaml", manifest), &[])
}

fn extended(manifest: &str) -> Pipeline {
    expect_pipeline(&Project::new().with("base.yaml", BASE).with("pipeline.yaml", &format!("extends: base.yaml\n{manifest}")), &[])
}

/// The one pipeline of a manifest without a matrix.
fn expect_pipeline(project: &Project, overrides: &[&str]) -> Pipeline {
    let family = expect_family(project, overrides);
    assert_eq!(family.variants.len(), 1);
    family.variants.into_iter().next().unwrap()
}

fn expect_family(project: &Project, overrides: &[&str]) -> Family {
    project.load(overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

fn pack(pipeline: &Pipeline) -> &Pack {
    match &pipeline.stages[0].spec {
        StageSpec::Pack(pack) => pack,
        other => panic!("{other:?}"),
    }
}

fn train(pipeline: &Pipeline) -> &Train {
    match &pipeline.stages[1].spec {
        StageSpec::Train(train) => train,
        other => panic!("{other:?}"),
    }
}

fn folder_of_pack(pipeline: &Pipeline) -> std::path::PathBuf {
    match &pipeline.stages[0].inputs[0].source {
        PipelineInputSource::ImageFolder(folder) => folder.clone(),
        other => panic!("{other:?}"),
    }
}
