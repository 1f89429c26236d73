//! CIFAR-10 as its authors give it: batches of 32×32 images in binary form or as Python pickles.
//!
//! The images are shown as a folder tree, `train/<class>/data_batch_1-00000` and `test/<class>/test_batch-00000`, the same
//! for both forms. Knows nothing of where the batches lie.

use std::collections::BTreeMap;

use crate::artifact::Picture;
use crate::stage::image_source::pickle::Pickle;

/// Every image of the set, in memory (184 MB for the whole set).
#[derive(Debug)]
pub(super) struct CifarImages {
    /// The first byte of every image in `pixels`.
    places: BTreeMap<String, usize>,
    /// Of every image all red values, then green, then blue.
    pixels: Vec<u8>,
}

/// The files of one form of the set, by the names that they were found under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batches {
    form: Form,
    /// The names of the classes.
    meta: String,
    /// With the names in the tree of images.
    batches: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Pickle,
}

/// Pixels of a side of every image.
pub(super) const SIDE: usize = 32;
const IMAGE_BYTES: usize = 3 * SIDE * SIDE;
const BATCHES: [&str; 6] = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];

impl Batches {
    /// Finds the set among the names of files; none if they are something else.
    pub fn find<'n>(names: impl Iterator<Item = &'n str>) -> Option<Batches> {
        let by_file_name: BTreeMap<&str, &str> = names.map(|name| (name.rsplit('/').next().unwrap_or(name), name)).collect();
        let form = |form: Form, meta: &str, ending: &str| {
            let meta = (*by_file_name.get(meta)?).to_owned();
            let found = |batch: &&'static str| Some((*batch, (*by_file_name.get(format!("{batch}{ending}").as_str())?).to_owned()));
            let batches: Vec<_> = BATCHES.iter().filter_map(found).collect();
            (!batches.is_empty()).then_some(Batches { form, meta, batches })
        };
        form(Form::Binary, "batches.meta.txt", ".bin").or_else(|| form(Form::Pickle, "batches.meta", ""))
    }

    /// The names of all files of the set.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.meta.as_str()).chain(self.batches.iter().map(|(_, file)| file.as_str()))
    }

    /// Reads all images; `read` gives the content of a file.
    ///
    /// # Errors
    ///
    /// The reason in words, with the name of the file.
    pub fn load(&self, read: impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<CifarImages, String> {
        let in_file = |file: &str, reason: String| format!("{file}: {reason}");
        let meta = read(&self.meta).and_then(|bytes| self.form.class_names(&bytes)).map_err(|reason| in_file(&self.meta, reason))?;
        let mut images = CifarImages { places: BTreeMap::new(), pixels: Vec::new() };
        for (batch, file) in &self.batches {
            let added = read(file).and_then(|bytes| images.add(self.form, batch, &bytes, &meta));
            added.map_err(|reason| in_file(file, reason))?;
        }
        Ok(images)
    }
}

impl Form {
    fn class_names(self, meta: &[u8]) -> Result<Vec<String>, String> {
        match self {
            Form::Binary => {
                let text = std::str::from_utf8(meta).map_err(|_| "it is not UTF-8".to_owned())?;
                Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
            }
            Form::Pickle => {
                let pickle = Pickle::read(meta).map_err(|error| error.to_string())?;
                pickle.texts("label_names").ok_or_else(|| "it has no list `label_names`".to_owned())
            }
        }
    }
}

impl CifarImages {
    /// The paths of all images, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The values of one image: 1024 of red, of green, of blue.
    pub fn planes(&self, path: &str) -> Option<&[u8]> {
        self.places.get(path).and_then(|place| self.pixels.get(*place..place + IMAGE_BYTES))
    }

    /// One image.
    pub fn picture(&self, path: &str) -> Option<Picture> {
        let (red, rest) = self.planes(path)?.split_at(SIDE * SIDE);
        let (green, blue) = rest.split_at(SIDE * SIDE);
        let pixels = red.iter().zip(green).zip(blue).flat_map(|((red, green), blue)| [*red, *green, *blue]).collect();
        Some(Picture { width: SIDE, height: SIDE, pixels })
    }

    fn add(&mut self, form: Form, batch: &str, bytes: &[u8], classes: &[String]) -> Result<(), String> {
        match form {
            Form::Binary => {
                let (records, rest) = bytes.as_chunks::<{ 1 + IMAGE_BYTES }>();
                if !rest.is_empty() {
                    return Err(format!("its size is no multiple of {} bytes, those of a label and an image", 1 + IMAGE_BYTES));
                }
                for (index, record) in records.iter().enumerate() {
                    let class = class_of(index, i64::from(record[0]), classes)?;
                    self.push(batch, index, class, &record[1..]);
                }
            }
            Form::Pickle => {
                let pickle = Pickle::read(bytes).map_err(|error| error.to_string())?;
                let labels = pickle.ints("labels").ok_or("it has no list of numbers `labels`")?;
                let data = pickle.array("data").filter(|data| data.shape == [labels.len(), IMAGE_BYTES]);
                let data = data.ok_or_else(|| format!("it has no array `data` of {} × {IMAGE_BYTES} bytes", labels.len()))?;
                let rows = data.data.chunks_exact(IMAGE_BYTES).zip(labels).enumerate();
                for (index, (planes, label)) in rows {
                    self.push(batch, index, class_of(index, label, classes)?, planes);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, batch: &str, index: usize, class: &str, planes: &[u8]) {
        let part = if batch == "test_batch" { "test" } else { "train" };
        self.places.insert(format!("{part}/{class}/{batch}-{index:05}"), self.pixels.len());
        self.pixels.extend_from_slice(planes);
    }
}

fn class_of(index: usize, label: i64, classes: &[String]) -> Result<&str, String> {
    let class = usize::try_from(label).ok().and_then(|label| classes.get(label));
    class.map(String::as_str).ok_or_else(|| format!("image {index} has the label {label}, but there are {} classes", classes.len()))
}
