//! Which layout a list of paths has: a folder per class, classes in file names, folders for the parts of a split, Tiny ImageNet's.
//!
//! Decides by names alone; opens nothing.

use std::collections::BTreeMap;

use super::{Layout, Source, names};
use crate::stage::{Labels, Subset, TableLabels};

type Classes = BTreeMap<String, usize>;

/// What the folders of parts are called, without regard to case.
const PARTS: [(Subset, &[&str]); 3] = [
    (Subset::Train, &["train", "training"]),
    (Subset::Val, &["val", "valid", "validation", "dev"]),
    (Subset::Test, &["test", "testing", "test1"]),
];
/// Tiny ImageNet's table of validation images, and its table of words.
const ANNOTATIONS: &str = "val/val_annotations.txt";
const WORDS: &str = "words.txt";

/// The layout and the images of each class to train on; `None` if no classes can be told. `others` are files that may be tables.
pub(super) fn recognise(images: &[String], others: &[String]) -> Option<(Layout, Classes)> {
    let all: Vec<&str> = images.iter().map(String::as_str).collect();
    let top = common_folder(&all);
    tiny_imagenet(&all, others, top).or_else(|| parts(&all, top)).or_else(|| one_set(&all, top))
}

/// The tables that a layout makes use of.
pub(super) fn tables(layout: &Layout) -> Vec<String> {
    let labels = layout.sources.iter().filter_map(|source| match &source.labels {
        Labels::Table(table) => table.file.to_str().map(str::to_owned),
        Labels::ParentDir | Labels::Ancestor(_) | Labels::Filename(_) => None,
    });
    labels.chain(layout.class_names.clone()).collect()
}

/// `train/<class>/images/…`, and `val/images/…` with a table.
fn tiny_imagenet(all: &[&str], others: &[String], top: &str) -> Option<(Layout, Classes)> {
    let table = join(top, ANNOTATIONS);
    others.iter().find(|other| **other == table)?;
    let (train, val, words) = (join(top, "train"), join(top, "val/images"), join(top, WORDS));
    let (labels, classes) = labels(&inside(all, &train))?;
    let table = TableLabels { file: table.into(), path_column: 1, label_column: 2, header: false };
    let val_images = inside(all, &val).len();
    let left_out = folders(all, top).into_iter().filter(|folder| *folder != "train" && *folder != "val");
    let layout = Layout {
        left_out: left_out.map(|folder| (join(top, folder), "its images have no classes")).collect(),
        class_names: others.iter().find(|other| **other == words).cloned(),
        sources: vec![
            Source { part: Some(Subset::Train), folder: train, labels, images: classes.values().sum() },
            Source { part: Some(Subset::Val), folder: val, labels: Labels::Table(table), images: val_images },
        ],
    };
    (val_images > 0).then_some((layout, classes))
}

/// `train/…` and one or both of `val/…` and `test/…`, each with the same classes by the same rule.
fn parts(all: &[&str], top: &str) -> Option<(Layout, Classes)> {
    let (parts, strangers): (Vec<_>, Vec<_>) =
        folders(all, top).into_iter().map(|folder| (part(folder), folder)).partition(|(part, _)| part.is_some());
    let (_, train) = parts.iter().find(|(part, _)| *part == Some(Subset::Train))?;
    let (labels, classes) = labels(&inside(all, &join(top, train)))?;
    let mut layout = Layout { sources: Vec::new(), class_names: None, left_out: Vec::new() };
    for (part, folder) in &parts {
        let path = join(top, folder);
        let own = names::count(&labels, inside(all, &path)).filter(|own| own.keys().all(|class| classes.contains_key(class)));
        match own {
            Some(_) if layout.sources.iter().any(|source| source.part == *part) => {
                layout.left_out.push((path, "there is another one for this part"))
            }
            Some(own) => layout.sources.push(Source { part: *part, folder: path, labels: labels.clone(), images: own.values().sum() }),
            None => layout.left_out.push((path, "its images do not have the classes of the training images")),
        }
    }
    layout.sources.sort_by_key(|source| source.part);
    layout.left_out.extend(strangers.into_iter().map(|(_, folder)| (join(top, folder), "its name is that of no part of a split")));
    match &mut layout.sources[..] {
        // A single folder is no split.
        [single] if layout.left_out.is_empty() => return None,
        [single] => single.part = None,
        _ => {}
    }
    Some((layout, classes))
}

/// All images by one rule, from the innermost folder that holds them all; images of a single class from the one above it.
fn one_set(all: &[&str], top: &str) -> Option<(Layout, Classes)> {
    let above = top.rsplit_once('/').map_or("", |(above, _)| above);
    let found = labels(&inside(all, top)).map(|found| (top, found));
    let (folder, (labels, classes)) =
        found.or_else(|| (!top.is_empty()).then(|| labels(&inside(all, above))).flatten().map(|found| (above, found)))?;
    let source = Source { part: None, folder: folder.to_owned(), labels, images: all.len() };
    Some((Layout { sources: vec![source], class_names: None, left_out: Vec::new() }, classes))
}

/// The rule by which the images have classes. Of folders the innermost that differ count, unless they are mere numbers below
/// others that are not, such as years.
fn labels(paths: &[&str]) -> Option<(Labels, Classes)> {
    let depth = paths.iter().map(|path| path.matches('/').count()).min()?;
    let levels: Vec<(Labels, Classes)> = (1..=depth).filter_map(|level| with_level(level, paths)).collect();
    let several = || levels.iter().filter(|(_, classes)| classes.len() > 1);
    let is_number = |class: &String| class.chars().all(|c| c.is_ascii_digit());
    let worded = several().find(|(_, classes)| !classes.keys().all(is_number));
    if let Some(found) = worded.or_else(|| several().next()) {
        return Some(found.clone());
    }
    let named = names::classes_in(paths).map(|(pattern, classes)| (Labels::Filename(pattern), classes));
    named.or_else(|| levels.into_iter().next())
}

fn with_level(level: usize, paths: &[&str]) -> Option<(Labels, Classes)> {
    let labels = if level == 1 { Labels::ParentDir } else { Labels::Ancestor(u32::try_from(level).ok()?) };
    let classes = names::count(&labels, paths.to_vec())?;
    Some((labels, classes))
}

fn part(folder: &str) -> Option<Subset> {
    let is_called = |names: &[&str]| names.contains(&folder.to_lowercase().as_str());
    PARTS.iter().find(|(_, names)| is_called(names)).map(|(part, _)| *part)
}

/// The innermost folder that holds all paths, empty for the root.
fn common_folder<'p>(paths: &[&'p str]) -> &'p str {
    let folder = |path: &'p str| path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let Some(mut common) = paths.first().map(|path| folder(path)) else { return "" };
    while !common.is_empty() && !paths.iter().all(|path| path.strip_prefix(common).is_some_and(|rest| rest.starts_with('/'))) {
        common = folder(common);
    }
    common
}

/// The paths below a folder, from there on.
fn inside<'p>(paths: &[&'p str], folder: &str) -> Vec<&'p str> {
    if folder.is_empty() {
        return paths.to_vec();
    }
    paths.iter().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')).collect()
}

/// The names of the folders directly below `top` that have images in them.
fn folders<'p>(paths: &[&'p str], top: &str) -> Vec<&'p str> {
    let mut folders: Vec<&str> = inside(paths, top).into_iter().filter_map(|path| path.split_once('/')).map(|(folder, _)| folder).collect();
    folders.dedup();
    folders
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each source as `part folder labels images`, and the classes.
    fn found(images: &[&str], others: &[&str]) -> Option<(Vec<String>, String)> {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let mut images = owned(images);
        images.sort();
        let (layout, classes) = recognise(&images, &owned(others))?;
        let sources = layout.sources.iter().map(|source| {
            let part = source.part.map_or("all", Subset::as_str);
            format!("{part} {:?} {} {}", source.folder, serde_json::to_string(&source.labels).unwrap(), source.images)
        });
        Some((sources.collect(), classes.iter().map(|(class, images)| format!("{class}:{images}")).collect::<Vec<_>>().join(" ")))
    }

    #[test]
    fn a_folder_per_class_may_lie_anywhere() {
        let (sources, classes) = found(&["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"], &[]).unwrap();
        assert_eq!((sources[0].as_str(), classes.as_str()), (r#"all "" "parent-dir" 3"#, "cat:2 dog:1"));
        let (sources, classes) = found(&["set/photos/cat/1.jpg", "set/photos/dog/1.jpg"], &[]).unwrap();
        assert_eq!((sources[0].as_str(), classes.as_str()), (r#"all "set/photos" "parent-dir" 2"#, "cat:1 dog:1"));
        let (sources, classes) = found(&["cat/1.jpg", "cat/2.jpg"], &[]).unwrap();
        assert_eq!((sources[0].as_str(), classes.as_str()), (r#"all "" "parent-dir" 2"#, "cat:2"));
    }

    #[test]
    fn folders_between_class_and_image_are_passed_over_if_they_are_one_or_numbers() {
        let (sources, classes) = found(&["cat/images/1.jpg", "dog/images/1.jpg"], &[]).unwrap();
        assert_eq!((sources[0].as_str(), classes.as_str()), (r#"all "" {"ancestor":2} 2"#, "cat:1 dog:1"));
        let (sources, classes) = found(&["cat/2019/1.jpg", "cat/2020/1.jpg", "dog/2019/1.jpg"], &[]).unwrap();
        assert_eq!((sources[0].as_str(), classes.as_str()), (r#"all "" {"ancestor":2} 3"#, "cat:2 dog:1"));
        let (_, digits) = found(&["0/1.png", "1/1.png"], &[]).unwrap();
        assert_eq!(digits, "0:1 1:1");
    }

    #[test]
    fn parts_of_a_split_are_told_by_their_names() {
        let images = ["d/test/cat/1.jpg", "d/Train/cat/1.jpg", "d/Train/dog/1.jpg", "d/valid/dog/1.jpg", "d/extra/1.jpg"];
        let (sources, classes) = found(&images, &[]).unwrap();
        let expected = [r#"train "d/Train" "parent-dir" 2"#, r#"val "d/valid" "parent-dir" 1"#, r#"test "d/test" "parent-dir" 1"#];
        assert_eq!((&sources[..], classes.as_str()), (&expected.map(str::to_owned)[..], "cat:1 dog:1"));
    }

    #[test]
    fn a_test_folder_without_classes_is_left_out() {
        let images = ["test1/1.jpg", "test1/2.jpg", "train/cat.1.jpg", "train/cat.2.jpg", "train/dog.1.jpg", "train/dog.2.jpg"];
        let (sources, classes) = found(&images, &[]).unwrap();
        assert_eq!(sources, [r#"all "train" {"filename":"^(cat|dog)\\.\\d"} 4"#]);
        assert_eq!(classes, "cat:2 dog:2");
    }

    #[test]
    fn tiny_imagenet_has_its_own_layout() {
        let images = ["train/n01/images/n01_0.JPEG", "train/n02/images/n02_0.JPEG", "val/images/val_0.JPEG", "test/images/test_0.JPEG"];
        let others = ["val/val_annotations.txt", "words.txt", "train/n01/n01_boxes.txt"];
        let (sources, classes) = found(&images, &others).unwrap();
        assert_eq!(sources[0], r#"train "train" {"ancestor":2} 2"#);
        assert!(sources[1].starts_with(r#"val "val/images" {"table":{"file":"val/val_annotations.txt","path-column":1"#), "{}", sources[1]);
        assert_eq!(classes, "n01:1 n02:1");
    }

    #[test]
    fn images_without_classes_are_not_recognised() {
        assert_eq!(found(&["IMG_1.jpg", "IMG_2.jpg"], &[]), None);
        assert_eq!(found(&["1.jpg", "cat/2.jpg"], &[]), None);
    }
}
