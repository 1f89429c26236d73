//! The sets of images that a `pack` stage reads, and which image of a set goes to which part, by names alone.

use std::collections::BTreeSet;

use crate::stage::pack::split::{Candidate, split};
use crate::stage::{Labels, Pack, Split, Subset};

/// A folder of images, or what looks like one, with its rules.
#[derive(Debug, Clone)]
pub(super) struct ImageSet<'a> {
    /// Of the names of its inputs: `sources.val.`, or nothing.
    prefix: String,
    pub labels: &'a Labels,
    pub split: Split,
    /// Where images go that are not held out.
    pub base: Subset,
}

/// The sets of a stage, in order.
pub(super) fn sets(spec: &Pack) -> Vec<ImageSet<'_>> {
    if spec.images.is_some() {
        return vec![ImageSet { prefix: String::new(), labels: &spec.labels, split: spec.split, base: Subset::Train }];
    }
    let each = spec.sources.iter().map(|(subset, given)| ImageSet {
        prefix: format!("sources.{}.", subset.as_str()),
        labels: &given.labels,
        split: given.split,
        base: *subset,
    });
    each.collect()
}

/// The names of all classes, sorted. `names` are the classes of every set's images.
pub(super) fn label_names(names: &[Vec<String>]) -> Vec<String> {
    names.iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// Why a part of so many images in all has none.
pub(super) fn nothing_left(spec: &Pack, total: usize, subset: Subset) -> String {
    let shares: Vec<String> = sets(spec).iter().map(|set| format!("val: {}, test: {}", set.split.val, set.split.test)).collect();
    format!("no image is left for {}: the split of {total} images is {}", subset.as_str(), shares.join("; "))
}

impl ImageSet<'_> {
    /// The name of the input with the images.
    pub fn images_input(&self) -> String {
        self.place("images")
    }

    /// The name of the input with the table of labels, where there is one.
    pub fn table_input(&self) -> String {
        self.place("labels.table.file")
    }

    /// A key of this set as dotted keys from the stage.
    pub fn place(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The images with the classes `names`, each with the part that it goes to; an error if more is asked for than there is.
    pub fn divide<'p>(
        &self,
        paths: &[&'p str],
        names: &[String],
        label_names: &[String],
        seed: u64,
    ) -> Result<Vec<(Candidate<'p>, Subset)>, String> {
        let candidate = |(path, name): (&&'p str, &String)| {
            let class = label_names.binary_search(name).map_err(|_| format!("the class `{name}` got lost"))?;
            Ok(Candidate { path, class })
        };
        let candidates: Vec<Candidate<'p>> = paths.iter().zip(names).map(candidate).collect::<Result<_, String>>()?;
        let subsets = split(&candidates, self.split, self.base, seed)?;
        Ok(candidates.into_iter().zip(subsets).collect())
    }
}
