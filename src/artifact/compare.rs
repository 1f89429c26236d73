//! How far two files of one type are apart: in bytes, in numbers, or beyond comparison.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::artifact::{ArtifactError, FeaturesFile, ImagesFile, ModelFile, json};

/// How far two files are apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "distance", rename_all = "kebab-case")]
pub enum Distance {
    /// They have the same bytes.
    None,
    /// They have the same form and other numbers.
    Numbers {
        /// The greatest difference, as a share of the largest value of its array; of a single number, of the larger of the two or of 1.
        greatest: f64,
        /// Where that is.
        place: String,
        differing: u64,
        of: u64,
    },
    /// They have the same form and other bytes.
    Bytes {
        differing: u64,
        of: u64,
        /// Where the first of them is.
        place: String,
    },
    /// They have another form.
    Form { reason: String },
}

/// Takes in pairs of numbers.
#[derive(Debug, Default)]
struct Numbers {
    greatest: f64,
    place: String,
    differing: u64,
    of: u64,
}

impl Distance {
    /// Of two files of images: how many bytes of their pixels differ.
    pub fn of_images(a: &Path, b: &Path) -> Result<Distance, ArtifactError> {
        let [a, b] = [ImagesFile::open(a)?, ImagesFile::open(b)?];
        if (a.size(), a.rows()) != (b.size(), b.rows()) {
            return Ok(form("other rows, labels or sizes"));
        }
        let row = a.size().0 * a.size().1 * 3;
        let mut differing = a.pixels().iter().zip(b.pixels()).enumerate().filter(|(_, (a, b))| a != b).map(|(index, _)| index);
        let Some(first) = differing.next() else { return Ok(form("the same pixels and labels, but other bytes around them")) };
        let place = a.rows().paths.get(first / row.max(1)).cloned().unwrap_or_default();
        Ok(Distance::Bytes { differing: 1 + differing.count() as u64, of: a.pixels().len() as u64, place })
    }

    /// Of two files of features.
    pub fn of_features(a: &Path, b: &Path) -> Result<Distance, ArtifactError> {
        let [a, b] = [FeaturesFile::open(a)?, FeaturesFile::open(b)?];
        if (a.dimensions, &a.rows) != (b.dimensions, &b.rows) {
            return Ok(form("other rows, labels or dimensions"));
        }
        let mut numbers = Numbers::default();
        numbers.add_array(&a.values, &b.values, |index| a.rows.paths.get(index / a.dimensions.max(1)).cloned().unwrap_or_default());
        Ok(numbers.finish())
    }

    /// Of two models, or files of weights.
    pub fn of_models(a: &Path, b: &Path) -> Result<Distance, ArtifactError> {
        let [a, b] = [ModelFile::read(a)?, ModelFile::read(b)?];
        let shapes = |model: &ModelFile| model.tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect::<Vec<_>>();
        if a.header != b.header || shapes(&a) != shapes(&b) {
            return Ok(form("another network, other classes or other tensors"));
        }
        let mut numbers = Numbers::default();
        for (a, b) in a.tensors.iter().zip(&b.tensors) {
            numbers.add_array(&a.values, &b.values, |index| format!("{}[{index}]", a.name));
        }
        Ok(numbers.finish())
    }

    /// Of two JSON documents: numbers may differ, all else is form.
    pub fn of_json(a: &Path, b: &Path) -> Result<Distance, ArtifactError> {
        let mut numbers = Numbers::default();
        let differing = numbers.add_json(&json::read(a)?, &json::read(b)?, &mut Vec::new());
        Ok(differing.map_or_else(|| numbers.finish(), |place| form(&format!("at {place}"))))
    }

    /// Of two tables as CSV: numbers may differ, all else is form.
    pub fn of_tables(a: &Path, b: &Path) -> Result<Distance, ArtifactError> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|source| ArtifactError::io(path, source));
        let [a, b] = [read(a)?, read(b)?];
        let fields = |text: &str| text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>();
        let [a, b] = [fields(&a), fields(&b)];
        if a.iter().map(Vec::len).ne(b.iter().map(Vec::len)) {
            return Ok(form("other rows or columns"));
        }
        let mut numbers = Numbers::default();
        for (line, (a, b)) in a.iter().zip(&b).enumerate() {
            for (column, (a, b)) in a.iter().zip(b).enumerate() {
                let place = format!("line {}, column {}", line + 1, column + 1);
                match (a.parse(), b.parse()) {
                    (Ok(a), Ok(b)) => numbers.add(a, b, 1.0, || place),
                    _ if a == b => {}
                    _ => return Ok(form(&format!("at {place}"))),
                }
            }
        }
        Ok(numbers.finish())
    }

    /// Of two files that say nothing of what they hold.
    pub fn of_bytes(a: &Path, b: &Path) -> Result<Distance, ArtifactError> {
        let read = |path: &Path| std::fs::read(path).map_err(|source| ArtifactError::io(path, source));
        let [a, b] = [read(a)?, read(b)?];
        if a.len() != b.len() {
            return Ok(form(&format!("{} bytes, {} before", b.len(), a.len())));
        }
        let mut differing = a.iter().zip(&b).enumerate().filter(|(_, (a, b))| a != b).map(|(index, _)| index);
        let Some(first) = differing.next() else { return Ok(Distance::None) };
        Ok(Distance::Bytes { differing: 1 + differing.count() as u64, of: a.len() as u64, place: format!("byte {first}") })
    }

    /// Whether no number differs by more than this share.
    pub fn is_within(&self, tolerance: f64) -> bool {
        match self {
            Distance::None => true,
            Distance::Numbers { greatest, .. } => *greatest <= tolerance,
            Distance::Bytes { .. } | Distance::Form { .. } => false,
        }
    }
}

impl Numbers {
    /// `scale` is the least that a difference is a share of.
    fn add(&mut self, a: f64, b: f64, scale: f64, place: impl FnOnce() -> String) {
        self.of += 1;
        if a == b || (a.is_nan() && b.is_nan()) {
            return;
        }
        self.differing += 1;
        let share = (a - b).abs() / a.abs().max(b.abs()).max(scale);
        // Between a number and what is none, the difference has no bounds.
        let share = if share.is_nan() { f64::INFINITY } else { share };
        if share > self.greatest || self.place.is_empty() {
            self.greatest = share;
            self.place = place();
        }
    }

    fn add_array(&mut self, a: &[f32], b: &[f32], place: impl Fn(usize) -> String) {
        let largest = a.iter().chain(b).map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f32::max);
        for (index, (a, b)) in a.iter().zip(b).enumerate() {
            self.add(f64::from(*a), f64::from(*b), f64::from(largest), || place(index));
        }
    }

    /// Gives where the form differs, if it does.
    fn add_json(&mut self, a: &Value, b: &Value, path: &mut Vec<String>) -> Option<String> {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => {
                self.add(a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN), 1.0, || path.join("."));
                None
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                a.iter().zip(b).enumerate().find_map(|(index, (a, b))| self.add_member(index.to_string(), a, b, path))
            }
            (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
                a.iter().zip(b.values()).find_map(|((name, a), b)| self.add_member(name.clone(), a, b, path))
            }
            (a, b) => (a != b).then(|| path.join(".")),
        }
    }

    fn add_member(&mut self, name: String, a: &Value, b: &Value, path: &mut Vec<String>) -> Option<String> {
        path.push(name);
        let differing = self.add_json(a, b, path);
        path.pop();
        differing
    }

    fn finish(self) -> Distance {
        let Numbers { greatest, place, differing, of } = self;
        match differing {
            0 => form("the same numbers, but other bytes around them"),
            _ => Distance::Numbers { greatest, place, differing, of },
        }
    }
}

fn form(reason: &str) -> Distance {
    Distance::Form { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{FeaturesWriter, ImagesWriter, ModelHeader, ModelTensor, RowLabels};

    /// The distance of two files with these contents.
    fn of(compare: fn(&Path, &Path) -> Result<Distance, ArtifactError>, contents: [&str; 2]) -> Distance {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        paths.iter().zip(contents).for_each(|(path, content)| std::fs::write(path, content).unwrap());
        compare(&paths[0], &paths[1]).unwrap()
    }

    fn rows() -> RowLabels {
        RowLabels { labels: vec![0, 0], label_names: vec!["cat".into()], paths: vec!["1.jpg".into(), "2.jpg".into()] }
    }

    #[test]
    fn the_greatest_difference_of_numbers_is_told_with_its_place() {
        let told = of(Distance::of_json, [r#"{"loss": 2.0, "classes": [{"f1": 0.5}]}"#, r#"{"loss": 2.002, "classes": [{"f1": 0.51}]}"#]);
        let Distance::Numbers { greatest, place, differing: 2, of: 2 } = &told else { panic!("{told:?}") };
        assert!((greatest - 0.01).abs() < 1e-12 && place == "classes.0.f1", "{told:?}");
        assert!(told.is_within(0.011) && !told.is_within(0.009));
        let told = of(Distance::of_tables, ["path,p\na.jpg,0.5\n", "path,p\na.jpg,0.25\n"]);
        assert_eq!(told, Distance::Numbers { greatest: 0.25, place: "line 2, column 2".into(), differing: 1, of: 1 });
    }

    #[test]
    fn another_form_is_never_within_a_tolerance() {
        let told = of(Distance::of_json, [r#"{"classes": [{"name": "cat"}]}"#, r#"{"classes": [{"name": "dog"}]}"#]);
        assert_eq!(told, Distance::Form { reason: "at classes.0.name".into() });
        assert!(!told.is_within(f64::INFINITY));
        assert_eq!(of(Distance::of_json, ["[1, 2]", "[1]"]), Distance::Form { reason: "at ".into() });
        assert_eq!(of(Distance::of_tables, ["a,1", "b,1"]), Distance::Form { reason: "at line 1, column 1".into() });
        assert_eq!(of(Distance::of_bytes, ["abc", "ab"]), Distance::Form { reason: "2 bytes, 3 before".into() });
        assert_eq!(of(Distance::of_bytes, ["abcd", "abxy"]), Distance::Bytes { differing: 2, of: 4, place: "byte 2".into() });
    }

    #[test]
    fn of_arrays_a_difference_is_a_share_of_the_largest_value() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.h5", "b.h5"].map(|name| folder.path().join(name));
        for (path, value) in paths.iter().zip([0.0, 0.5]) {
            let mut writer = FeaturesWriter::create(path, 2, &rows()).unwrap();
            writer.append(&[1.0, 2.0, value, 4.0]).unwrap();
            writer.finish().unwrap();
        }
        let told = Distance::of_features(&paths[0], &paths[1]).unwrap();
        assert_eq!(told, Distance::Numbers { greatest: 0.125, place: "2.jpg".into(), differing: 1, of: 4 });
        let header = ModelHeader { architecture: serde_json::json!("x"), class_names: vec!["cat".into()], input: None };
        for (path, value) in paths.iter().zip([2.0, 1.0]) {
            let tensors = [ModelTensor { name: "w".into(), shape: vec![2], values: vec![4.0, value] }];
            ModelFile::write(path, &header, &tensors).unwrap();
        }
        let told = Distance::of_models(&paths[0], &paths[1]).unwrap();
        assert_eq!(told, Distance::Numbers { greatest: 0.25, place: "w[1]".into(), differing: 1, of: 2 });
    }

    #[test]
    fn of_images_the_differing_bytes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.h5", "b.h5"].map(|name| folder.path().join(name));
        for (path, pixel) in paths.iter().zip([7, 9]) {
            let mut writer = ImagesWriter::create(path, (1, 1), &rows()).unwrap();
            writer.append(&[1, 2, 3, pixel, 5, pixel]).unwrap();
            writer.finish().unwrap();
        }
        let told = Distance::of_images(&paths[0], &paths[1]).unwrap();
        assert_eq!(told, Distance::Bytes { differing: 2, of: 6, place: "2.jpg".into() });
    }
}
