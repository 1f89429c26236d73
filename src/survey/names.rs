//! Classes that stand in file names.

use std::collections::BTreeMap;

use regex::Regex;

use crate::stage::Labels;

/// Names that cameras, phones and programs give: they tell no class.
const NO_CLASSES: [&str; 14] =
    ["img", "dsc", "dscn", "dscf", "image", "images", "photo", "pic", "picture", "pxl", "scan", "screenshot", "val", "test"];
/// So many classes are listed one by one; of more the pattern is a general one.
const MOST_LISTED: usize = 12;

/// `cat.0.jpg`, `american_bulldog_203.jpg`, `rose (7).png`.
const WORD_FIRST: &str = r"^(\p{L}[\p{L}_ -]*?)[._ (-]*\d";
/// `0001_cat.jpg`, `7-rose.png`.
const NUMBER_FIRST: &str = r"^\d+[._ -]+(\p{L}[\p{L}_ -]*?)\.\w+$";

/// A regular expression whose first group is the class, if the file names have classes: every name has one, there are at least
/// two, and of each there are two images on average. With it the images of each class.
pub(super) fn classes_in(paths: &[&str]) -> Option<(String, BTreeMap<String, usize>)> {
    let by = |pattern: &str| count(&Labels::Filename(pattern.to_owned()), paths.to_vec());
    [WORD_FIRST, NUMBER_FIRST].into_iter().find_map(|general| {
        let classes = by(general)?;
        let images: usize = classes.values().sum();
        let are_words = classes.keys().all(|class| !NO_CLASSES.contains(&class.to_lowercase().as_str()));
        if classes.len() < 2 || classes.len() * 2 > images || !are_words {
            return None;
        }
        let listed = (general == WORD_FIRST).then(|| listing(&classes, paths.iter().copied().map(file_name))).flatten();
        let pattern = listed.filter(|pattern| by(pattern).as_ref() == Some(&classes));
        Some((pattern.unwrap_or_else(|| general.to_owned()), classes))
    })
}

/// How many images each class has by a rule; `None` if one has no class by it.
pub(super) fn count(labels: &Labels, paths: Vec<&str>) -> Option<BTreeMap<String, usize>> {
    let mut classes = BTreeMap::new();
    for class in labels.class_names(paths).ok()? {
        *classes.entry(class).or_default() += 1;
    }
    Some(classes)
}

/// `^(cat|dog)\.\d`: the classes one by one, and what stands between them and the number if that is always the same.
fn listing<'p>(classes: &BTreeMap<String, usize>, mut files: impl Iterator<Item = &'p str>) -> Option<String> {
    if classes.len() > MOST_LISTED {
        return None;
    }
    let alternatives = classes.keys().map(|class| regex::escape(class)).collect::<Vec<_>>().join("|");
    let separator = Regex::new(&format!(r"^(?:{alternatives})([._ (-]*)\d")).ok()?;
    let between = |file: &'p str| separator.captures(file).and_then(|found| found.get(1)).map(|group| group.as_str());
    let first = between(files.next()?)?;
    files.all(|file| between(file) == Some(first)).then(|| format!(r"^({alternatives}){}\d", regex::escape(first)))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(names: &[&str]) -> Option<String> {
        classes_in(names).map(|(pattern, _)| pattern)
    }

    #[test]
    fn a_pattern_lists_the_classes_of_numbered_names() {
        assert_eq!(pattern(&["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.11.jpg"]).unwrap(), r"^(cat|dog)\.\d");
        assert_eq!(pattern(&["Cat1.png", "Cat2.png", "Dog1.png", "Dog2.png"]).unwrap(), r"^(Cat|Dog)\d");
        let breeds = ["american_1.jpg", "american_2.jpg", "american_bulldog_1.jpg", "american_bulldog_23.jpg"];
        assert_eq!(pattern(&breeds).unwrap(), r"^(american|american_bulldog)_\d");
    }

    #[test]
    fn a_number_may_come_first_and_separators_may_differ() {
        assert_eq!(pattern(&["01_cat.jpg", "02_cat.jpg", "03-dog.jpg", "04_dog.jpg"]).unwrap(), NUMBER_FIRST);
        assert_eq!(pattern(&["cat.0.jpg", "cat (1).jpg", "dog_0.jpg", "dog1.jpg"]).unwrap(), WORD_FIRST);
    }

    #[test]
    fn names_of_cameras_and_names_that_differ_each_time_tell_no_class() {
        assert_eq!(pattern(&["IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"]), None);
        assert_eq!(pattern(&["cat.1.jpg", "cat.2.jpg", "cat.3.jpg"]), None);
        assert_eq!(pattern(&["anna1.jpg", "berta2.jpg", "clara3.jpg"]), None);
        assert_eq!(pattern(&["cat.1.jpg", "cat.2.jpg", "dog.1.jpg", "dog.2.jpg", "readme.jpg"]), None);
    }
}
