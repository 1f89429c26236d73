//! States of trainings that were given to the remote cache.

use super::stages;
use crate::harness::Project;

const PIPELINE: &str = "
name: small
seed: 3
params: { epochs: 2 }
stages:
  pack: { kind: pack, images: images, size: 20, split: { val: 0.2 } }
  train:
    kind: train
    train: pack.train
    model: mini-googlenet
    input: { size: 16, scale: 0.0078125 }
    optimizer: { sgd: { lr: 0.01 } }
    batch: 16
    epochs: '${epochs}'
";

#[cfg(feature = "torch")]
#[test]
fn a_colleague_trains_on_where_another_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("remote").to_str().unwrap().to_owned();
    let project = || {
        let project = Project::with_images(8);
        project.write("small.yaml", PIPELINE);
        project
    };
    let giver = project();
    giver.run(&["small.yaml"]);
    let pushed = giver.packtrain(&["cache", "push", "--checkpoints", "--remote", &remote]);
    assert!(pushed.stdout.contains("gave 1 state of trainings; 0 were there already\n"), "{}{}", pushed.stdout, pushed.stderr);

    let taker = project();
    let output = taker.packtrain(&["run", "small.yaml", "-p", "epochs=4", "--remote", &remote]);
    assert_eq!((output.code, stages(&output).as_str()), (0, "pack reused from the remote\ntrain ran\n"), "{}", output.stderr);
    assert!(output.stderr.contains("train  the state after epoch 2 came from the remote cache\n"), "{}", output.stderr);
    assert!(output.stderr.contains("train  going on after epoch 2 of 4"), "{}", output.stderr);
    giver.run(&["small.yaml", "-p", "epochs=4"]);
    let model = |project: &Project| project.read("output/small/train/model.safetensors");
    assert!(model(&taker) == model(&giver));
}
