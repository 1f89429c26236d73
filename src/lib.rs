//! packtrain: a declarative, content-cached pipeline runner for image-classification experiments.
//!
//! The modules in reading order; each uses only those above it (`tests/tidy.rs` keeps it so):
//!
//! | module | what it is for |
//! |---|---|
//! | [`key`] | digests, action keys, and why two of them differ |
//! | [`nearest`] | the known name that a misspelt one probably means |
//! | [`event`] | what a running stage and a running pipeline say of themselves |
//! | [`artifact`] | the typed files that stages give to each other |
//! | [`demo`] | images for trying it all without a data set |
//! | [`stage`] | the stage kinds: parameters, inputs, outputs, and the work of those that need no network |
//! | [`view`] | what a network sees of an image: crops, warps, normalisation |
//! | [`survey`] | a look at a folder of images: layout, classes, sizes, odd files |
//! | [`cache`] | action records, the object store, the digest memo |
//! | [`record`] | what is kept of a run, and how people name one |
//! | [`compare`] | runs beside each other |
//! | [`dossier`] | what a run made, gathered for a report |
//! | [`tensorboard`] | runs as TensorBoard shows them |
//! | [`remote`] | a cache elsewhere, shared: taking results from it, giving results to it |
//! | [`bundle`] | a run in one file, to be handed over and taken in |
//! | [`manifest`] | YAML with positions, resolved into a pipeline |
//! | [`protocol`] | the messages between coordinator and worker |
//! | [`schema`] | the JSON Schemas of manifests and of what is written |
//! | [`preflight`] | what would make a run fail, found before it starts |
//! | [`report`] | events and records made readable |
//! | [`plan`] | the graph of stages and what a run would do |
//! | [`lockfile`] | what stages take and give, pinned in a text beside the manifest |
//! | [`watch`] | what runs read from outside, and when it changes |
//! | [`exec`] | running the plan |
//! | [`ui`] | runs in a browser, live while they go on |
//! | [`predict`] | what a model says of images of which nobody knows the class |
//! | [`cli`] | the commands |
//!
//! Every file written, and the type that owns it:
//!
//! | file | owner |
//! |---|---|
//! | `.packtrain/objects/ab/cdef…` | [`cache::Cache`] |
//! | `.packtrain/actions/<key>.json` | [`cache::ActionRecord`] |
//! | `.packtrain/checkpoints/<key>.json` | [`cache::CheckpointRecord`] |
//! | `.packtrain/index` | [`cache::Memo`] |
//! | `.packtrain/work/…` | [`cache::ActionLock`], [`cache::Pins`] |
//! | `.packtrain/lock` | [`cache::Stay`] |
//! | `.packtrain/listings/<digest>` | [`cache::Cache`]: what is in an archive, or in packed images |
//! | `.packtrain/runs/<id>.json` | [`record::RunRecord`] |
//! | `packtrain-1/…` of a remote cache | [`remote::Remote`] |
//! | `.packtrain/runs/<id>.events` | [`record::EventLog`]: of a run that goes on, or was cut off |
//! | `<pipeline>.zip` | [`bundle::Bundle`] |
//! | `<folder>/<run>/[<variant>/]<stage>/events.out.tfevents.…` | [`tensorboard::write`] |
//! | `.packtrain/heads/<pipeline>[/<variant>].json` | [`cache::Cache`] |
//! | `<manifest>.lock` | [`lockfile::Lockfile`] |
//! | `output/<pipeline>/[<variant>/]<stage>/*.h5` | [`artifact::ImagesWriter`], [`artifact::FeaturesFile`] |
//! | `output/<pipeline>/[<variant>/]<stage>/*.json` | [`artifact::Mean`], [`artifact::History`], [`artifact::Evaluation`] |
//! | `output/<pipeline>/[<variant>/]<stage>/model.safetensors` | [`artifact::ModelFile`] |
//! | `output/<pipeline>/[<variant>/]<stage>/*.csv`, `*.svg` | [`artifact::History`], [`artifact::Evaluation`], [`artifact::Predictions`] |

pub mod key;
pub mod nearest;

pub mod event;

pub mod artifact;
pub mod demo;
pub mod stage;

pub mod view;

pub mod survey;

pub mod cache;
pub mod record;

pub mod bundle;
pub mod compare;
pub mod dossier;
pub mod remote;
pub mod tensorboard;

pub mod manifest;
pub mod protocol;
pub mod schema;

pub mod preflight;

pub mod lockfile;
pub mod plan;
pub mod watch;

pub mod report;

pub mod exec;

pub mod ui;

pub mod predict;

pub mod cli;
