//! The full text of what a user reads about a wrong manifest.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::too_many_lines, reason = "the text that a reader sees is quoted in full")]

mod project;

use insta::assert_snapshot;
use project::Project;

#[test]
fn a_misspelt_key_names_the_right_one() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    sise: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: unknown key `sise` in the stage `pack`
     --> pipeline.yaml:5:5
      |
    5 |     sise: 32
      |     ^^^^
      |
      = help: did you mean `size`?
    "#);
}

#[test]
fn a_key_that_resembles_nothing_lists_those_there_are() {
    let text = errors(
        r#"
stages:
  mean:
    kind: compute-mean
    images: { file: labels.txt }
    frequency: 3
"#,
    );
    assert_snapshot!(text, @r#"
    error: unknown key `frequency` in the stage `mean`
     --> pipeline.yaml:5:5
      |
    5 |     frequency: 3
      |     ^^^^^^^^^
      |
      = help: the keys are: `kind`, `description`, `seed`, `images`, `per`, `needs`, `retries`, `timeout`
    "#);
}

#[test]
fn an_unknown_key_at_the_top_is_reported() {
    let text = errors(
        r#"
version: 2
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
    );
    assert_snapshot!(text, @r#"
    error: unknown key `version` in the manifest
     --> pipeline.yaml:1:1
      |
    1 | version: 2
      | ^^^^^^^
      |
      = help: the keys are: `name`, `description`, `seed`, `extends`, `params`, `matrix`, `stages`
    "#);
}

#[test]
fn an_unknown_option_of_a_network_is_reported() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  train:
    kind: train
    train: pack.train
    model: { alexnet: { l1: 0.1 } }
    input: { size: 32 }
    optimizer: { adam: { lr: 1e-3 } }
    epochs: 1
    batch: 8
"#,
    );
    assert_snapshot!(text, @r#"
    error: unknown key `l1` in `alexnet`
      --> pipeline.yaml:10:25
       |
    10 |     model: { alexnet: { l1: 0.1 } }
       |                         ^^
       |
       = help: did you mean `l2`?
    "#);
}

#[test]
fn a_missing_key_comes_with_what_it_is_for() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
"#,
    );
    assert_snapshot!(text, @r#"
    error: the stage `pack` lacks the key `size`
     --> pipeline.yaml:2:3
      |
    2 |   pack:
      |   ^^^^
      |
      = help: `size`: Side of the packed images, in pixels.
    "#);
}

#[test]
fn a_short_form_lacks_what_its_choice_needs() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  train:
    kind: train
    train: pack.train
    model: alexnet
    input: { size: 32 }
    optimizer: sgd
    epochs: 1
    batch: 8
"#,
    );
    assert_snapshot!(text, @r#"
    error: `sgd` lacks the key `lr`
      --> pipeline.yaml:12:16
       |
    12 |     optimizer: sgd
       |                ^^^
       |
       = help: `lr`: Learning rate.
    "#);
}

#[test]
fn a_stage_without_a_kind_lists_the_kinds() {
    let text = errors(
        r#"
stages:
  pack:
    images: images
"#,
    );
    assert_snapshot!(text, @r#"
    error: the stage `pack` lacks the key `kind`
     --> pipeline.yaml:2:3
      |
    2 |   pack:
      |   ^^^^
      |
      = help: the kinds are: `pack`, `compute-mean`, `extract-features`, `train`, `oversample-eval`, `evaluate`, `command`
    "#);
}

#[test]
fn an_unknown_kind_names_the_nearest() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pakc
    images: images
"#,
    );
    assert_snapshot!(text, @r#"
    error: `kind` cannot be `pakc`
     --> pipeline.yaml:3:11
      |
    3 |     kind: pakc
      |           ^^^^
      |
      = help: did you mean `pack`?
    "#);
}

#[test]
fn an_unknown_network_names_the_nearest() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  train:
    kind: train
    train: pack.train
    model: alexnett
    input: { size: 32 }
    optimizer: { adam: { lr: 1e-3 } }
    epochs: 1
    batch: 8
"#,
    );
    assert_snapshot!(text, @r#"
    error: `model` cannot be `alexnett`
      --> pipeline.yaml:10:12
       |
    10 |     model: alexnett
       |            ^^^^^^^^
       |
       = help: did you mean `alexnet`?
    "#);
}

#[test]
fn a_misspelt_classifier_is_told_from_a_misspelt_network() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  fit:
    kind: train
    train: pack.train
    model: logistic-regresion
"#,
    );
    assert_snapshot!(text, @r#"
    error: `model` cannot be `logistic-regresion`
      --> pipeline.yaml:10:12
       |
    10 |     model: logistic-regresion
       |            ^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `logistic-regression`?
    "#);
}

#[test]
fn a_bad_choice_lists_the_good_ones() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    fit: letterbox
"#,
    );
    assert_snapshot!(text, @r#"
    error: `fit` cannot be `letterbox`
     --> pipeline.yaml:6:10
      |
    6 |     fit: letterbox
      |          ^^^^^^^^^
      |
      = help: it is one of: `crop`, `stretch`
    "#);
}

#[test]
fn two_choices_at_once_are_too_many() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  train:
    kind: train
    train: pack.train
    model: alexnet
    input: { size: 32 }
    optimizer:
      adam: { lr: 1e-3 }
      sgd: { lr: 1e-2 }
    epochs: 1
    batch: 8
"#,
    );
    assert_snapshot!(text, @r#"
    error: `optimizer` must be one of `sgd`, `adam`, `adamw`, not several
      --> pipeline.yaml:14:7
       |
    13 |       adam: { lr: 1e-3 }
       |       ---- the first
    14 |       sgd: { lr: 1e-2 }
       |       ^^^
    "#);
}

#[test]
fn a_choice_that_takes_no_value_is_given_none() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    labels: { parent-dir: 2 }
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: `parent-dir` takes no value
     --> pipeline.yaml:5:15
      |
    5 |     labels: { parent-dir: 2 }
      |               ^^^^^^^^^^
      |
      = help: write `parent-dir` alone
    "#);
}

#[test]
fn a_text_where_a_number_belongs_shows_both() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: large
"#,
    );
    assert_snapshot!(text, @r#"
    error: `size` must be a whole number, not the text `large`
     --> pipeline.yaml:5:11
      |
    5 |     size: large
      |           ^^^^^
      |
      = help: Side of the packed images, in pixels.
    "#);
}

#[test]
fn a_fraction_where_a_whole_number_belongs_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32.5
"#,
    );
    assert_snapshot!(text, @r#"
    error: `size` must be a whole number, not the number 32.5
     --> pipeline.yaml:5:11
      |
    5 |     size: 32.5
      |           ^^^^
      |
      = help: Side of the packed images, in pixels.
    "#);
}

#[test]
fn a_list_where_a_map_belongs_is_refused() {
    let text = errors(
        r#"
stages:
  - kind: pack
    images: images
"#,
    );
    assert_snapshot!(text, @r#"
    error: `stages` must be a map of keys, not a list
     --> pipeline.yaml:1:1
      |
    1 | stages:
      | ^^^^^^
      |
      = help: The stages by name, in any order: who uses whom says what runs first.
    "#);
}

#[test]
fn an_empty_value_where_one_is_needed_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size:
"#,
    );
    assert_snapshot!(text, @r#"
    error: `size` must be a whole number, not empty
     --> pipeline.yaml:5:5
      |
    5 |     size:
      |     ^^^^
      |
      = help: Side of the packed images, in pixels.
    "#);
}

#[test]
fn a_number_out_of_bounds_names_the_bounds() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 0
    split: { val: 1.5, test: -3 }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `size` must be between 1 and 4096, not 0
     --> pipeline.yaml:5:11
      |
    5 |     size: 0
      |           ^

    error: `val` must be between 0 and 1, not 1.5
     --> pipeline.yaml:6:19
      |
    6 |     split: { val: 1.5, test: -3 }
      |                   ^^^
      |
      = help: A number of images, or a fraction of them.

    error: `test` must be at least 0, not -3
     --> pipeline.yaml:6:30
      |
    6 |     split: { val: 1.5, test: -3 }
      |                              ^^
      |
      = help: A number of images, or a fraction of them.
    "#);
}

#[test]
fn a_list_of_the_wrong_length_names_the_right_one() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  features:
    kind: extract-features
    images: pack
    network: resnet50
    weights: { file: labels.txt }
    normalize: { custom: { scale: 1, mean: [0.5], std: [1, 1, 1] } }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `mean` must have exactly 3 items, not 1
      --> pipeline.yaml:12:38
       |
    12 |     normalize: { custom: { scale: 1, mean: [0.5], std: [1, 1, 1] } }
       |                                      ^^^^
    "#);
}

#[test]
fn a_reference_to_a_missing_stage_names_the_nearest() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  mean:
    kind: compute-mean
    images: pakc.train
"#,
    );
    assert_snapshot!(text, @r#"
    error: there is no stage `pakc`
     --> pipeline.yaml:9:13
      |
    9 |     images: pakc.train
      |             ^^^^^^^^^^
      |
      = help: did you mean `pack`?
    "#);
}

#[test]
fn a_reference_to_a_missing_output_names_those_there_are() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  mean:
    kind: compute-mean
    images: pack.val
"#,
    );
    assert_snapshot!(text, @r#"
    error: the stage `pack` has no output `val`
     --> pipeline.yaml:9:13
      |
    9 |     images: pack.val
      |             ^^^^^^^^
      |
      = help: its outputs are: `train`, `test`
    "#);
}

#[test]
fn a_mean_where_images_belong_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  mean:
    kind: compute-mean
    images: pack
  again:
    kind: compute-mean
    images: mean
"#,
    );
    assert_snapshot!(text, @r#"
    error: `images` takes images, but `mean.mean` is a mean
      --> pipeline.yaml:12:13
       |
    12 |     images: mean
       |             ^^^^
       |
       = help: there is `pack.train`, `pack.test`
    "#);
}

#[test]
fn a_text_that_is_no_reference_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  mean:
    kind: compute-mean
    images: the train images
"#,
    );
    assert_snapshot!(text, @r#"
    error: `images` cannot be `the train images`
     --> pipeline.yaml:9:13
      |
    9 |     images: the train images
      |             ^^^^^^^^^^^^^^^^
      |
      = help: An input: `stage`, `stage.output`, or `{ file: path }` for a file from outside.
    "#);
}

#[test]
fn stages_in_a_circle_show_the_way_round() {
    let text = errors(
        r#"
stages:
  features:
    kind: extract-features
    images: { file: labels.txt }
    model: fit
  fit:
    kind: train
    train: features
    model: logistic-regression
"#,
    );
    assert_snapshot!(text, @r#"
    error: stages use each other in a circle: features -> fit -> features
     --> pipeline.yaml:8:12
      |
    8 |     train: features
      |            ^^^^^^^^
    "#);
}

#[test]
fn a_stage_that_uses_itself_is_refused() {
    let text = errors(
        r#"
stages:
  mean:
    kind: compute-mean
    images: mean
"#,
    );
    assert_snapshot!(text, @r#"
    error: the stage `mean` uses its own output
     --> pipeline.yaml:4:13
      |
    4 |     images: mean
      |             ^^^^
    "#);
}

#[test]
fn a_stage_name_that_cannot_be_a_folder_is_refused() {
    let text = errors(
        r#"
stages:
  ../mean:
    kind: compute-mean
    images: { file: labels.txt }
"#,
    );
    assert_snapshot!(text, @r#"
    error: a key of `stages` cannot be `../mean`
     --> pipeline.yaml:2:3
      |
    2 |   ../mean:
      |   ^^^^^^^
      |
      = help: A name has letters, digits, `-` and `_`, and begins with a letter.
    "#);
}

#[test]
fn a_pipeline_name_that_cannot_be_a_folder_is_refused() {
    let text = errors(
        r#"
name: ../elsewhere
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `name` cannot be `../elsewhere`
     --> pipeline.yaml:1:7
      |
    1 | name: ../elsewhere
      |       ^^^^^^^^^^^^
      |
      = help: Names the folder under `output/`; by default the file's name without its extension.
    "#);
}

#[test]
fn a_missing_folder_names_its_nearest_neighbour() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: image
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: there is no folder `image`
     --> pipeline.yaml:4:13
      |
    4 |     images: image
      |             ^^^^^ that is [DIR]/image
      |
      = help: did you mean `images`?
    "#);
}

#[test]
fn a_folder_missing_from_a_parameter_says_how_to_give_another() {
    let text = errors(
        r#"
params:
  images: datasets/dogs
stages:
  pack:
    kind: pack
    images: ${images}
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: there is no folder `datasets/dogs`
     --> pipeline.yaml:2:11
      |
    2 |   images: datasets/dogs
      |           ^^^^^^^^^^^^^ that is [DIR]/datasets/dogs
    ...
    6 |     images: ${images}
      |             --------- used here
      |
      = help: of its path only `[DIR]` exists
      = help: `-p images=…` takes another folder
    "#);
}

#[test]
fn a_file_where_a_folder_belongs_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: labels.txt
    labels: { table: { file: images } }
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: `labels.txt` is a file, but a folder is needed here
     --> pipeline.yaml:4:13
      |
    4 |     images: labels.txt
      |             ^^^^^^^^^^

    error: `images` is a folder, but a file is needed here
     --> pipeline.yaml:5:30
      |
    5 |     labels: { table: { file: images } }
      |                              ^^^^^^
    "#);
}

#[test]
fn a_duplicate_key_shows_both_places() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    size: 64
"#,
    );
    assert_snapshot!(text, @r#"
    error: the key `size` is given twice
     --> pipeline.yaml:6:5
      |
    5 |     size: 32
      |     ---- first given here
    6 |     size: 64
      |     ^^^^
    "#);
}

#[test]
fn text_that_is_no_yaml_is_shown_where_it_breaks() {
    let text = errors(
        r#"
stages:
  pack: { kind: pack, images: images
  mean:
    kind: compute-mean
"#,
    );
    assert_snapshot!(text, @r#"
    error: this is not a YAML document: while parsing a flow mapping, did not find expected ',' or '}'
     --> pipeline.yaml:3:7
      |
    3 |   mean:
      |       ^
    "#);
}

#[test]
fn an_empty_manifest_is_refused() {
    let text = errors(
        r#"
# nothing yet
"#,
    );
    assert_snapshot!(text, @r#"
    error: a manifest is a map of keys, but this is empty
     --> pipeline.yaml:1:15
      |
    1 | # nothing yet
      |              ^
    "#);
}

#[test]
fn a_manifest_without_stages_is_refused() {
    let text = errors(
        r#"
name: empty
"#,
    );
    assert_snapshot!(text, @r#"
    error: the manifest lacks the key `stages`
     --> pipeline.yaml:1:1
      |
    1 | name: empty
      | ^
      |
      = help: `stages`: The stages by name, in any order: who uses whom says what runs first.
    "#);
}

#[test]
fn an_unknown_anchor_is_refused() {
    let text = errors(
        r#"
stages: *missing
"#,
    );
    assert_snapshot!(text, @r#"
    error: this is not a YAML document: reference to unknown value
     --> pipeline.yaml:1:9
      |
    1 | stages: *missing
      |         ^
    "#);
}

#[test]
fn an_unknown_parameter_names_the_nearest() {
    let text = errors(
        r#"
params: { folder: images }
stages:
  pack:
    kind: pack
    images: "${foldr}"
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: there is no parameter `foldr`
     --> pipeline.yaml:5:14
      |
    5 |     images: "${foldr}"
      |              ^^^^^^^^
      |
      = help: did you mean `folder`?
    "#);
}

#[test]
fn parameters_in_a_circle_show_the_way_round() {
    let text = errors(
        r#"
params:
  a: ${b}
  b: x${c}
  c: ${a}
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
    );
    assert_snapshot!(text, @r#"
    error: parameters refer to each other in a circle: a -> b -> c -> a
     --> pipeline.yaml:4:6
      |
    4 |   c: ${a}
      |      ^^^^
    "#);
}

#[test]
fn a_list_cannot_stand_inside_a_text() {
    let text = errors(
        r#"
params:
  sizes: [1, 2]
description: sizes ${sizes}
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `sizes` is a list and cannot stand inside a text
     --> pipeline.yaml:3:14
      |
    2 |   sizes: [1, 2]
      |   ----- its value
    3 | description: sizes ${sizes}
      |              ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn an_unclosed_parameter_is_refused() {
    let text = errors(
        r#"
description: costs ${
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `${` without `}`
     --> pipeline.yaml:1:14
      |
    1 | description: costs ${
      |              ^^^^^^^^
      |
      = help: write `${name}` for a parameter, `$${` for the characters themselves
    "#);
}

#[test]
fn an_unknown_override_names_the_nearest() {
    let project = Project::new().with(
        "pipeline.yaml",
        r#"
params: { epochs: 3 }
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
    );
    let text = project.errors(&["epoch=4"]);
    assert_snapshot!(text, @r#"
    error: there is no parameter `epoch`
     --> command line:1:4
      |
    1 | -p epoch=4
      |    ^^^^^
      |
      = help: did you mean `epochs`?
    "#);
}

#[test]
fn a_wrong_value_of_a_parameter_is_shown_where_it_was_written() {
    let text = errors(
        r#"
params:
  size: big
stages:
  pack:
    kind: pack
    images: images
    size: ${size}
"#,
    );
    assert_snapshot!(text, @r#"
    error: `size` must be a whole number, not the text `big`
     --> pipeline.yaml:2:9
      |
    2 |   size: big
      |         ^^^
    ...
    7 |     size: ${size}
      |           ------- used here
      |
      = help: Side of the packed images, in pixels.
    "#);
}

#[test]
fn a_wrong_override_is_shown_as_it_was_typed() {
    let project = Project::new().with(
        "pipeline.yaml",
        r#"
params:
  size: 32
stages:
  pack:
    kind: pack
    images: images
    size: ${size}
"#,
    );
    let text = project.errors(&["size=big"]);
    assert_snapshot!(text, @r#"
    error: `size` must be a whole number, not the text `big`
     --> command line:1:9
      |
    1 | -p size=big
      |         ^^^
      |
     ::: pipeline.yaml:7:11
      |
    7 |     size: ${size}
      |           ------- used here
      |
      = help: Side of the packed images, in pixels.
    "#);
}

#[test]
fn a_wrong_value_of_an_extended_manifest_is_shown_there() {
    let project = Project::new()
        .with(
            "base.yaml",
            r#"
stages:
  pack:
    kind: pack
    images: images
    size: big
"#,
        )
        .with(
            "pipeline.yaml",
            r#"
extends: base.yaml
stages:
  pack:
    fit: stretch
"#,
        );
    let text = project.errors(&[]);
    assert_snapshot!(text, @r#"
    error: `size` must be a whole number, not the text `big`
     --> base.yaml:5:11
      |
    5 |     size: big
      |           ^^^
      |
      = help: Side of the packed images, in pixels.
    "#);
}

#[test]
fn manifests_that_extend_each_other_show_the_way_round() {
    let project = Project::new()
        .with(
            "base.yaml",
            r#"
extends: pipeline.yaml
"#,
        )
        .with(
            "pipeline.yaml",
            r#"
extends: base.yaml
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
        );
    let text = project.errors(&[]);
    assert_snapshot!(text, @r#"
    error: manifests extend each other in a circle: pipeline.yaml -> base.yaml -> pipeline.yaml
     --> base.yaml:1:10
      |
    1 | extends: pipeline.yaml
      |          ^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_missing_base_names_its_nearest_neighbour() {
    let project = Project::new()
        .with(
            "base.yaml",
            r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
        )
        .with(
            "pipeline.yaml",
            r#"
extends: bases.yaml
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
"#,
        );
    let text = project.errors(&[]);
    assert_snapshot!(text, @r#"
    error: there is no manifest `bases.yaml`
     --> pipeline.yaml:1:10
      |
    1 | extends: bases.yaml
      |          ^^^^^^^^^^
      |
      = help: did you mean `base.yaml`?
    "#);
}

#[test]
fn several_problems_are_reported_together() {
    let text = errors(
        r#"
seed: -1
stages:
  pack:
    kind: pack
    images: images
    size: 32
    sizes: 64
    fit: streched
    labels: { ancestor: 0 }
  mean:
    kind: compute-mean
    images: pack.trian
    per: pixl
  train:
    kind: train
    train: pack.train
    val: mean
    model: alexnet
    input: { size: 0 }
    optimizer: { adam: { lr: fast } }
    epoch: 3
    batch: 8
"#,
    );
    assert_snapshot!(text, @r#"
    error: `seed` must be at least 0, not -1
     --> pipeline.yaml:1:7
      |
    1 | seed: -1
      |       ^^

    error: unknown key `sizes` in the stage `pack`
     --> pipeline.yaml:7:5
      |
    7 |     sizes: 64
      |     ^^^^^
      |
      = help: did you mean `size`?

    error: `fit` cannot be `streched`
     --> pipeline.yaml:8:10
      |
    8 |     fit: streched
      |          ^^^^^^^^
      |
      = help: it is one of: `crop`, `stretch`

    error: `ancestor` must be at least 1, not 0
     --> pipeline.yaml:9:25
      |
    9 |     labels: { ancestor: 0 }
      |                         ^

    error: `per` cannot be `pixl`
      --> pipeline.yaml:13:10
       |
    13 |     per: pixl
       |          ^^^^
       |
       = help: did you mean `pixel`?

    error: `size` must be between 1 and 4096, not 0
      --> pipeline.yaml:19:20
       |
    19 |     input: { size: 0 }
       |                    ^

    error: `lr` must be a number, not the text `fast`
      --> pipeline.yaml:20:30
       |
    20 |     optimizer: { adam: { lr: fast } }
       |                              ^^^^
       |
       = help: Learning rate.

    error: unknown key `epoch` in the stage `train`
      --> pipeline.yaml:21:5
       |
    21 |     epoch: 3
       |     ^^^^^
       |
       = help: did you mean `epochs`?
    "#);
}

#[test]
fn a_check_of_the_stage_itself_points_at_its_key() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { test: 0.2 }
  model:
    kind: train
    train: pack.train
    model: alexnet
    input: { size: 64 }
    optimizer: { adam: { lr: 1e-3 } }
    epochs: 1
    batch: 8
  eval:
    kind: oversample-eval
    images: pack.test
    model: model
    crops: 7
"#,
    );
    assert_snapshot!(text, @r#"
    error: `crops` is 5 or 10, not 7
      --> pipeline.yaml:19:12
       |
    19 |     crops: 7
       |            ^
    "#);
}

#[test]
fn a_bad_regular_expression_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    labels: { filename: "^(cat|dog" }
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: `^(cat|dog` is not a regular expression: unclosed group
     --> pipeline.yaml:5:25
      |
    5 |     labels: { filename: "^(cat|dog" }
      |                         ^^^^^^^^^^^
    "#);
}

#[test]
fn a_regular_expression_without_a_group_is_refused() {
    let text = errors(
        r#"
stages:
  pack:
    kind: pack
    images: images
    labels: { filename: "^cat" }
    size: 32
"#,
    );
    assert_snapshot!(text, @r#"
    error: `^cat` has no group: put what names the class in parentheses, as in `^(cat|dog)\.`
     --> pipeline.yaml:5:25
      |
    5 |     labels: { filename: "^cat" }
      |                         ^^^^^^
    "#);
}

#[test]
fn a_manifest_that_is_not_there_names_its_nearest_neighbour() {
    let text = Project::new().with("pipelines.yaml", "").errors(&[]);
    assert_snapshot!(text, @r"
    error: there is no manifest `pipeline.yaml`
     |
     = help: did you mean `pipelines.yaml`?
    ");
}

#[test]
fn a_folder_given_as_a_manifest_is_refused() {
    let text = Project::new().with("pipeline.yaml/file", "").errors(&[]);
    assert_snapshot!(text, @"error: cannot read the manifest `pipeline.yaml`: it is not a file");
}

#[test]
fn places_are_right_beside_other_alphabets_and_line_endings() {
    let text = errors("\u{feff}# Größe → 32\r\nstages:\r\n  pack: { kind: pack, description: größer, sise: 3, images: images }\r\n");
    assert_snapshot!(text, @r"
    error: unknown key `sise` in the stage `pack`
     --> pipeline.yaml:3:44
      |
    3 |   pack: { kind: pack, description: größer, sise: 3, images: images }
      |                                            ^^^^
      |
      = help: did you mean `size`?
    ");
}

/// What a user reads about a manifest.
#[test]
fn a_matrix_over_an_unknown_parameter_names_the_nearest() {
    let text = errors(
        r#"
params: { epochs: 3 }
matrix: { epoch: [1, 2] }
stages:
  pack: { kind: pack, images: images, size: 32, split: { test: 0.2 } }
"#,
    );
    assert_snapshot!(text, @r"
    error: there is no parameter `epoch`
     --> pipeline.yaml:2:11
      |
    2 | matrix: { epoch: [1, 2] }
      |           ^^^^^
      |
      = help: did you mean `epochs`?
    ");
}

#[test]
fn a_matrix_over_a_parameter_that_is_not_declared_says_where_to_declare_it() {
    let text = errors(
        r#"
matrix: { lr: [1, 2] }
stages:
  pack: { kind: pack, images: images, size: 32, split: { test: 0.2 } }
"#,
    );
    assert_snapshot!(text, @r"
    error: there is no parameter `lr`
     --> pipeline.yaml:1:11
      |
    1 | matrix: { lr: [1, 2] }
      |           ^^
      |
      = help: `matrix` varies parameters that `params` declares
    ");
}

#[test]
fn lists_of_a_matrix_hold_scalars_each_once() {
    let text = errors(
        r#"
params: { a: 1, b: 1, c: 1, d: x, e: 1 }
matrix:
  a: []
  b: 3
  c: [1.0e-1, 2, 0.1]
  d: [x/y, z, x-y]
  e: [[1], { f: 2 }, 3]
stages:
  pack: { kind: pack, images: images, size: 32, split: { test: 0.2 } }
"#,
    );
    assert_snapshot!(text, @r"
    error: `a` must have at least 1 items, not 0
     --> pipeline.yaml:3:3
      |
    3 |   a: []
      |   ^

    error: `b` must be a list, not the number 3
     --> pipeline.yaml:4:6
      |
    4 |   b: 3
      |      ^
      |
      = help: The parameter's values, each once; an empty value takes away the list of an extended manifest.

    error: `c` takes the number 0.1 twice
     --> pipeline.yaml:5:18
      |
    5 |   c: [1.0e-1, 2, 0.1]
      |       ------     ^^^
      |       |
      |       first given here

    error: two values of `d` make variants of the same name, `d=x-y`
     --> pipeline.yaml:6:15
      |
    6 |   d: [x/y, z, x-y]
      |       ---     ^^^
      |       |
      |       the other one

    error: an item of `e` must be a number or a text or `true` or `false`, not a list
     --> pipeline.yaml:7:7
      |
    7 |   e: [[1], { f: 2 }, 3]
      |       ^

    error: an item of `e` must be a number or a text or `true` or `false`, not a map of keys
     --> pipeline.yaml:7:12
      |
    7 |   e: [[1], { f: 2 }, 3]
      |            ^
    ");
}

#[test]
fn a_value_that_is_wrong_is_shown_in_the_matrix() {
    let text = errors(
        r#"
params: { size: 32 }
matrix:
  size: [64, 0, 128]
stages:
  pack:
    kind: pack
    images: images
    size: ${size}
    split: { test: 0.2 }
"#,
    );
    assert_snapshot!(text, @r"
    error: `size` must be between 1 and 4096, not 0
     --> pipeline.yaml:3:14
      |
    3 |   size: [64, 0, 128]
      |              ^
    ...
    8 |     size: ${size}
      |           ------- used here
      |
      = note: this is so for the variant `size=0`
    ");
}

#[test]
fn an_error_in_some_variants_names_one_and_an_error_in_all_is_told_once() {
    let text = errors(
        r#"
params: { fit: crop, source: pack.train }
matrix:
  fit: [crop, stretch]
  source: [pack.train, pack.tset]
stages:
  pack: { kind: pack, images: imagse, size: 32, fit: "${fit}", split: { test: 0.2 } }
  mean:
    kind: compute-mean
    images: ${source}
"#,
    );
    assert_snapshot!(text, @r#"
    error: the stage `pack` has no output `tset`
     --> pipeline.yaml:4:24
      |
    4 |   source: [pack.train, pack.tset]
      |                        ^^^^^^^^^
    ...
    9 |     images: ${source}
      |             --------- used here
      |
      = note: this is so for 2 of 4 variants, such as `fit=crop,source=pack.tset`
      = help: did you mean `test`?

    error: there is no folder `imagse`
     --> pipeline.yaml:6:31
      |
    6 |   pack: { kind: pack, images: imagse, size: 32, fit: "${fit}", split: { test: 0.2 } }
      |                               ^^^^^^ that is [DIR]/imagse
      |
      = help: did you mean `images`?
    "#);
}

#[test]
fn a_matrix_of_too_many_variants_is_refused() {
    let text = errors(
        r#"
params: { a: 1, b: 1, c: 1 }
matrix:
  a: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  b: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  c: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
stages:
  pack: { kind: pack, images: images, size: 32, split: { test: 0.2 } }
"#,
    );
    assert_snapshot!(text, @r"
    error: the matrix makes 1100 variants; at most 1000 are allowed
     --> pipeline.yaml:2:1
      |
    2 | matrix:
      | ^^^^^^
    ");
}

#[test]
fn a_variant_s_name_fits_into_a_folder_s() {
    let text = errors(
        r#"
params: { images: images }
matrix:
  images: [images, a-very-long-path/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]
stages:
  pack: { kind: pack, images: "${images}", size: 32, split: { test: 0.2 } }
"#,
    );
    assert_snapshot!(text, @r"
    error: the variants of this matrix have names of up to 245 bytes; at most 200 are allowed
     --> pipeline.yaml:2:1
      |
    2 | matrix:
      | ^^^^^^
      |
      = help: a variant is named by its values, and its name is that of a folder; vary a shorter part of a value
    ");
}

#[test]
fn a_pipeline_s_name_is_the_same_for_all_variants() {
    let text = errors(
        r#"
name: size-${size}
params: { size: 32 }
matrix: { size: [32, 64] }
stages:
  pack: { kind: pack, images: images, size: "${size}", split: { test: 0.2 } }
"#,
    );
    assert_snapshot!(text, @r"
    error: the name depends on the matrix
     --> pipeline.yaml:1:7
      |
    1 | name: size-${size}
      |       ^^^^^^^^^^^^
      |
      = help: every variant has a name of its own beside it
    ");
}

#[test]
fn an_override_that_is_wrong_for_a_varied_parameter_is_shown_once() {
    let manifest = "params: { size: 1, fit: crop }\nmatrix: { size: [32, 64], fit: [crop, stretch] }\nstages:\n  pack: { kind: pack, images: images, size: \"${size}\", fit: \"${fit}\" }\n";
    let text = Project::new().with("pipeline.yaml", manifest).errors(&["size=0"]);
    assert_snapshot!(text, @r#"
    error: `size` must be between 1 and 4096, not 0
     --> command line:1:9
      |
    1 | -p size=0
      |         ^
      |
     ::: pipeline.yaml:4:45
      |
    4 |   pack: { kind: pack, images: images, size: "${size}", fit: "${fit}" }
      |                                             --------- used here
    "#);
}

#[test]
fn a_placeholder_that_stands_for_nothing_names_the_nearest_one_that_does() {
    let text = errors(
        r#"
stages:
  clean:
    kind: command
    run: [python3, "{inputs.skript}", "{output.report}"]
    inputs: { script: { file: labels.txt } }
    outputs: { report: { file: report.txt } }
    environment: { LIST: "{inputs.list}" }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `{inputs.skript}` stands for nothing
     --> pipeline.yaml:4:20
      |
    4 |     run: [python3, "{inputs.skript}", "{output.report}"]
      |                    ^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `inputs.script`?

    error: `{output.report}` stands for nothing
     --> pipeline.yaml:4:39
      |
    4 |     run: [python3, "{inputs.skript}", "{output.report}"]
      |                                       ^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `outputs.report`?

    error: `{inputs.list}` stands for nothing
     --> pipeline.yaml:7:26
      |
    7 |     environment: { LIST: "{inputs.list}" }
      |                          ^^^^^^^^^^^^^^^
      |
      = help: there are: `inputs.script`, `outputs.report`
    "#);
}

#[test]
fn the_parts_of_a_command_are_checked_as_all_others_are() {
    let text = errors(
        r#"
stages:
  clean:
    kind: command
    run: []
    inputs: { Script: { fil: labels.txt }, folder: { folder: labels.txt }, other: { folder: image } }
    outputs: { report: { file: ../report.txt, type: text } }
    environment: { 2X: 1 }
    pass-environment: [A B]
"#,
    );
    assert_snapshot!(text, @r#"
    error: `run` must have at least 1 items, not 0
     --> pipeline.yaml:4:5
      |
    4 |     run: []
      |     ^^^
      |
      = help: What is started.

    error: a key of `inputs` cannot be `Script`
     --> pipeline.yaml:5:15
      |
    5 |     inputs: { Script: { fil: labels.txt }, folder: { folder: labels.txt }, other: { folder: image } }
      |               ^^^^^^
      |
      = help: A name has lower-case letters, digits and `-`, and begins with a letter.

    error: unknown key `fil` in `Script`
     --> pipeline.yaml:5:25
      |
    5 |     inputs: { Script: { fil: labels.txt }, folder: { folder: labels.txt }, other: { folder: image } }
      |                         ^^^
      |
      = help: did you mean `file`?
      = help: An input: `stage`, `stage.output`, or `{ file: path }` for a file from outside.
      = help: An input: `stage`, `stage.output`, `{ file: path }` for a file from outside, or `{ folder: path }` for all files under a folder, hidden ones left out.

    error: `file` cannot be `../report.txt`
     --> pipeline.yaml:6:32
      |
    6 |     outputs: { report: { file: ../report.txt, type: text } }
      |                                ^^^^^^^^^^^^^
      |
      = help: The file's name: letters, digits, `.`, `-` and `_`.

    error: `type` cannot be `text`
     --> pipeline.yaml:6:53
      |
    6 |     outputs: { report: { file: ../report.txt, type: text } }
      |                                                     ^^^^
      |
      = help: it is one of: `images`, `features`, `mean`, `model`, `history`, `evaluation`, `predictions`, `table`, `figure`, `weights`, `file`

    error: a key of `environment` cannot be `2X`
     --> pipeline.yaml:7:20
      |
    7 |     environment: { 2X: 1 }
      |                    ^^
      |
      = help: The name of a variable has letters, digits and `_`, and does not begin with a digit.

    error: an item of `pass-environment` cannot be `A B`
     --> pipeline.yaml:8:24
      |
    8 |     pass-environment: [A B]
      |                        ^^^
    "#);
}

#[test]
fn a_command_s_inputs_are_followed() {
    let text = errors(
        r#"
stages:
  clean:
    kind: command
    run: "true"
    inputs: { a: { folder: labels.txt }, b: { folder: image }, c: cleam.report, d: clean }
    outputs: { report: { file: report.txt }, again: { file: report.txt } }
    environment: { A: 1 }
    pass-environment: [A]
  mean: { kind: compute-mean, images: clean }
"#,
    );
    assert_snapshot!(text, @r#"
    error: `labels.txt` is a file, but a folder is needed here
     --> pipeline.yaml:5:28
      |
    5 |     inputs: { a: { folder: labels.txt }, b: { folder: image }, c: cleam.report, d: clean }
      |                            ^^^^^^^^^^

    error: there is no folder `image`
     --> pipeline.yaml:5:55
      |
    5 |     inputs: { a: { folder: labels.txt }, b: { folder: image }, c: cleam.report, d: clean }
      |                                                       ^^^^^ that is [DIR]/image
      |
      = help: did you mean `images`?

    error: there is no stage `cleam`
     --> pipeline.yaml:5:67
      |
    5 |     inputs: { a: { folder: labels.txt }, b: { folder: image }, c: cleam.report, d: clean }
      |                                                                   ^^^^^^^^^^^^
      |
      = help: did you mean `clean`?

    error: the stage `clean` uses its own output
     --> pipeline.yaml:5:84
      |
    5 |     inputs: { a: { folder: labels.txt }, b: { folder: image }, c: cleam.report, d: clean }
      |                                                                                    ^^^^^

    error: `report.txt` is the file of `report` already
     --> pipeline.yaml:6:61
      |
    6 |     outputs: { report: { file: report.txt }, again: { file: report.txt } }
      |                                                             ^^^^^^^^^^

    error: `A` has a value in `environment` already; take it out of one of them
     --> pipeline.yaml:8:5
      |
    8 |     pass-environment: [A]
      |     ^^^^^^^^^^^^^^^^

    error: `images` takes images, but `clean.report` is a file
     --> pipeline.yaml:9:39
      |
    9 |   mean: { kind: compute-mean, images: clean }
      |                                       ^^^^^
    "#);
}

fn errors(manifest: &str) -> String {
    Project::new().with("pipeline.yaml", manifest).errors(&[])
}
