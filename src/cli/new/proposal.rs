//! The choices for a set of images, each with its reason.
//!
//! Knows nothing of how they are written down.

use crate::cli::new::weights::Weights;
use crate::stage::Subset;
use crate::survey::{Oddity, Sizes, Survey};

/// A choice and why it was made, in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice<T> {
    pub value: T,
    pub why: String,
}

/// What is proposed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    /// Side of the packed images.
    pub size: Choice<u32>,
    /// Whether images are so much larger that decoding them whole is waste.
    pub scaled: bool,
    /// Shares of the training images for the parts that the layout lacks.
    pub split: Choice<Vec<(Subset, f64)>>,
    /// Whether images that cannot be read are left out.
    pub skips: bool,
    pub work: Work,
}

/// What is done with the packed images.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Work {
    Train(Training),
    Features(Weights),
    /// Nothing can be learnt from them, for this reason.
    PackOnly(&'static str),
}

/// A network from scratch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Training {
    pub network: Choice<&'static str>,
    /// Side of the network's input.
    pub input: u32,
    pub augment: Choice<&'static str>,
    pub epochs: Choice<u32>,
    pub batch: Choice<u32>,
}

/// About so many steps are what a small network needs from scratch.
const STEPS: f64 = 8_000.0;

/// So many times as long as packed images are the shorter sides of images that need not be decoded whole.
const MUCH_LARGER: u32 = 8;

/// Side of the packed images, of the network's input, and the network.
struct Scale {
    packed: u32,
    input: u32,
    network: &'static str,
}

impl Proposal {
    /// `weights` make features the goal.
    pub(super) fn new(survey: &Survey, weights: Option<Weights>) -> Proposal {
        let scale = Scale::of(survey.sizes);
        let nothing = why_nothing(survey);
        let split = match (nothing, &weights) {
            (Some(_), _) => split(survey, &[]),
            // Features are not validated on the way, so that one part is enough.
            (None, Some(_)) if is_given(survey, Subset::Val) => split(survey, &[]),
            (None, Some(_)) => split(survey, &[Subset::Test]),
            (None, None) => split(survey, &[Subset::Val, Subset::Test]),
        };
        let work = match (nothing, weights) {
            (Some(reason), _) => Work::PackOnly(reason),
            (None, Some(weights)) => Work::Features(weights),
            (None, None) => Work::Train(Training::new(survey, &scale, 1.0 - split.value.iter().map(|(_, share)| share).sum::<f64>())),
        };
        let size = match (&work, survey.sizes) {
            (Work::Features(_), _) => Choice { value: 224, why: "What the network was trained on.".to_owned() },
            (_, None) => Choice { value: scale.packed, why: "No image could be read; this is a guess.".to_owned() },
            (_, Some(sizes)) => Choice { value: scale.packed, why: scale.why(sizes) },
        };
        let scaled = survey.sizes.is_some_and(|sizes| sizes.median >= MUCH_LARGER * size.value);
        Proposal { size, scaled, split, skips: survey.odd.iter().any(|file| matches!(file.oddity, Oddity::Unreadable(_))), work }
    }

    /// The part that is evaluated in the end.
    pub(super) fn held_out(&self, survey: &Survey) -> Subset {
        let has = |part: Subset| self.has(survey, part);
        if has(Subset::Test) { Subset::Test } else { Subset::Val }
    }

    /// Whether there will be such a part.
    pub(super) fn has(&self, survey: &Survey, part: Subset) -> bool {
        is_given(survey, part) || self.split.value.iter().any(|(split, _)| *split == part)
    }
}

impl Scale {
    fn of(sizes: Option<Sizes>) -> Scale {
        match sizes.map_or(u32::MAX, |sizes| sizes.median) {
            ..=34 => Scale { packed: 32, input: 32, network: "mini-googlenet" },
            35..=56 => Scale { packed: 36, input: 32, network: "mini-googlenet" },
            57..=100 => Scale { packed: 64, input: 64, network: "deeper-googlenet" },
            101..=199 => Scale { packed: 128, input: 112, network: "alexnet" },
            200.. => Scale { packed: 256, input: 227, network: "alexnet" },
        }
    }

    fn why(&self, sizes: Sizes) -> String {
        let Scale { packed, input, network } = self;
        let median = sizes.median;
        let seen = if packed > input { format!("; of these it sees {input}, cropped at random") } else { String::new() };
        format!("The shorter sides are {median} pixels in the median, which suits {network}. It gets {packed} pixels a side{seen}.")
    }
}

impl Training {
    /// `share` is what the split leaves to train on.
    fn new(survey: &Survey, scale: &Scale, share: f64) -> Training {
        let images = (images_to_train_on(survey) as f64 * share) as usize;
        let batch = (images / 16).clamp(8, 64);
        let batch = if batch.is_power_of_two() { batch } else { batch.next_power_of_two() / 2 };
        let epochs = (STEPS * batch as f64 / images.max(1) as f64 / 5.0).round() * 5.0;
        let epochs = epochs.clamp(15.0, 60.0) as u32;
        let network = match scale.network {
            "mini-googlenet" => "A small network for images of about 32 pixels.",
            "deeper-googlenet" => "A network for images of about 64 pixels.",
            _ => "A network for photographs; its early layers have wide strides, which small images would not survive.",
        };
        Training {
            network: Choice { value: scale.network, why: network.to_owned() },
            input: scale.input,
            augment: augment(survey, scale),
            epochs: Choice {
                value: epochs,
                why: format!("About {} steps over {images} images.", u64::from(epochs) * (images / batch) as u64),
            },
            batch: Choice { value: batch as u32, why: format!("{batch} images a step; more want a higher rate and more memory.") },
        }
    }
}

fn augment(survey: &Survey, scale: &Scale) -> Choice<&'static str> {
    let are_signs = survey.classes.keys().all(|class| class.chars().count() == 1 || class.parse::<u64>().is_ok());
    let (value, why) = match (are_signs, scale.input) {
        (true, _) => ("{ rotation: 10, zoom: 0.1, shift: 0.1 }", "Not mirrored: the classes look like signs, which a mirror changes."),
        (false, ..=32) => {
            ("{ shift: 0.1, horizontal-flip: true }", "Small images bear little. Take `horizontal-flip` out if left and right matter.")
        }
        (false, _) => (
            "{ rotation: 15, zoom: 0.15, shift: 0.1, horizontal-flip: true }",
            "Each image is seen a little differently every time. Take `horizontal-flip` out if left and right matter.",
        ),
    };
    Choice { value, why: why.to_owned() }
}

/// Why no classifier can be trained.
fn why_nothing(survey: &Survey) -> Option<&'static str> {
    let images = images_to_train_on(survey);
    match survey.classes.len() {
        0 | 1 => Some("There is one class only, and a classifier needs two: this packs the images and computes their mean."),
        classes if images < 10.max(4 * classes) => {
            Some("There are too few images to train on and hold some out: this packs them and computes their mean.")
        }
        _ => None,
    }
}

fn images_to_train_on(survey: &Survey) -> usize {
    survey.classes.values().sum()
}

/// Whether the layout has this part.
fn is_given(survey: &Survey, part: Subset) -> bool {
    survey.layout.sources.iter().any(|source| source.part == Some(part))
}

/// Shares for those of the `wanted` parts that the layout lacks.
fn split(survey: &Survey, wanted: &[Subset]) -> Choice<Vec<(Subset, f64)>> {
    let images = images_to_train_on(survey);
    let share = if images < 5_000 { 0.15 } else { 0.1 };
    let value: Vec<(Subset, f64)> = wanted.iter().filter(|part| !is_given(survey, **part)).map(|part| (*part, share)).collect();
    let purposes = value.iter().map(|(part, _)| match part {
        Subset::Val => "`val` is to watch the training by",
        Subset::Train | Subset::Test => "`test` to be looked at in the end alone",
    });
    let purposes = purposes.collect::<Vec<_>>().join(", ");
    Choice { value, why: format!("{purposes}: {:.0} % of the {images} images. Every class gives the same share.", share * 100.0) }
}
