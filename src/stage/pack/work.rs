//! The work of `pack`: label, split, decode and resize or copy, write.
//!
//! Images are decoded in parallel and written in order; memory holds a window of them, however many there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::artifact::{ImagesFile, ImagesWriter, RowLabels};
use crate::event::{StageEvent, Unit};
use crate::key::SourceFile;
use crate::stage::pack::earlier::EarlierImages;
use crate::stage::pack::labels::{Folder, class_names, rename};
use crate::stage::pack::ordered::for_each_in_order;
use crate::stage::pack::set::{ImageSet, label_names, nothing_left, sets};
use crate::stage::pack::split::shuffle;
use crate::stage::{
    ImageReader, OnError, Pack, RowCounts, RowSources, SkippedImage, StageContext, StageError, StageJob, StageOutput, Subset,
};

/// Bytes of packed pixels that are decoded ahead of the writer.
pub(super) const WINDOW_BYTES: usize = 64 << 20;

/// Bytes of packed pixels that are written at a time.
const BLOCK_BYTES: usize = 4 << 20;

const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

pub(in crate::stage) fn run(spec: &Pack, job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    let sources = sources(spec, job)?;
    let mut names: Vec<_> = sources.iter().map(|source| class_names(source.set.labels, &source.folder)).collect::<Result<_, _>>()?;
    if let Some(table) = job.optional_file("class-names.table")? {
        rename(&mut names, table)?;
    }
    let (mut parts, label_names) = divide(spec, &sources, &names, job.seed)?;
    // One for every image.
    drop(names);
    warn_about_classes(&parts, &label_names, context);
    let earlier = EarlierImages::open(&job.earlier, square(spec))?;
    let (mut skipped, mut counts) = (Vec::new(), RowCounts::default());
    for subset in Subset::ALL.into_iter().filter(|subset| spec.produces(*subset)) {
        let rows = &mut parts[subset as usize];
        shuffle(rows, job.seed, |row| &row.file.path);
        let out = job.output(subset.as_str())?;
        let packed = Packing { spec, subset, label_names: &label_names, earlier: &earlier, out }.run(rows, context)?;
        packed.sources.write(&job.row_sources(subset.as_str()))?;
        skipped.extend(packed.skipped);
        counts += packed.counts;
    }
    Ok(StageOutput { skipped, rows: Some(counts), ..StageOutput::default() })
}

/// Height and width of every packed image.
fn square(spec: &Pack) -> (usize, usize) {
    (spec.size as usize, spec.size as usize)
}

/// A set of images that can be read.
struct Source<'a> {
    set: ImageSet<'a>,
    /// Those of the folder, in its order.
    files: &'a [SourceFile],
    folder: Folder<'a>,
    reader: ImageReader,
}

/// A row to be packed.
#[derive(Clone, Copy)]
struct Row<'a> {
    source: &'a Source<'a>,
    file: &'a SourceFile,
    class: usize,
}

/// One part of the data set on its way into a file.
struct Packing<'a> {
    spec: &'a Pack,
    subset: Subset,
    label_names: &'a [String],
    earlier: &'a EarlierImages,
    out: PathBuf,
}

/// What became of the rows of a part.
struct Packed {
    skipped: Vec<SkippedImage>,
    /// Of the rows that were not skipped.
    sources: RowSources,
    counts: RowCounts,
}

fn sources<'a>(spec: &'a Pack, job: &'a StageJob) -> Result<Vec<Source<'a>>, StageError> {
    let source = |set: ImageSet<'a>| {
        let (root, files) = job.folder(&set.images_input())?;
        let table = job.optional_file(&set.table_input())?;
        if files.is_empty() {
            return Err(StageError::Input { path: root.to_owned(), reason: "there is no image in this folder".to_owned() });
        }
        let reader = ImageReader::open(root, &job.out)?;
        let paths = files.iter().map(|file| file.path.as_str()).collect();
        Ok(Source { set, files, folder: Folder { root, paths, table }, reader })
    };
    sets(spec).into_iter().map(source).collect()
}

/// The rows of every part, by [`Subset`], and the class names. `names` are the classes of every source's images.
fn divide<'a>(
    spec: &Pack,
    sources: &'a [Source<'a>],
    names: &[Vec<String>],
    seed: u64,
) -> Result<([Vec<Row<'a>>; 3], Vec<String>), StageError> {
    let label_names = label_names(names);
    let mut parts = <[Vec<Row<'a>>; 3]>::default();
    for (source, names) in sources.iter().zip(names) {
        let refused = |reason| StageError::Input { path: source.folder.root.to_owned(), reason };
        let divided = source.set.divide(&source.folder.paths, names, &label_names, seed).map_err(refused)?;
        for (file, (candidate, subset)) in source.files.iter().zip(divided) {
            parts[subset as usize].push(Row { source, file, class: candidate.class });
        }
    }
    match Subset::ALL.into_iter().find(|subset| spec.produces(*subset) && parts[*subset as usize].is_empty()) {
        Some(subset) => {
            let total = sources.iter().map(|source| source.folder.paths.len()).sum();
            Err(StageError::Invalid(nothing_left(spec, total, subset)))
        }
        None => Ok((parts, label_names)),
    }
}

fn warn_about_classes(parts: &[Vec<Row<'_>>; 3], label_names: &[String], context: &mut StageContext<'_>) {
    if let [only] = label_names {
        context.emit(StageEvent::Warning { message: format!("all images are of one class, `{only}`") });
    }
    let train = &parts[Subset::Train as usize];
    let trained: BTreeSet<usize> = train.iter().map(|row| row.class).collect();
    let missing: Vec<&str> =
        label_names.iter().enumerate().filter(|(class, _)| !trained.contains(class)).map(|(_, name)| name.as_str()).collect();
    if !train.is_empty() && !missing.is_empty() {
        context.emit(StageEvent::Warning { message: format!("no training image shows {}", missing.join(", ")) });
    }
}

impl Packing<'_> {
    /// Writes the file.
    fn run(&self, rows: &[Row<'_>], context: &mut StageContext<'_>) -> Result<Packed, StageError> {
        let mut progress = Progress::new(format!("packing {}", self.subset.as_str()), rows.len());
        let mut block = Block::new(self.writer(&self.out, rows.iter())?);
        let window = (WINDOW_BYTES / self.row_bytes()).clamp(2 * rayon::current_num_threads(), 4096);
        let (mut skipped, mut reused) = (BTreeMap::new(), 0);
        for_each_in_order(
            rows,
            window,
            |row| self.pixels(row),
            |index, pixels| {
                context.check_cancelled()?;
                let Row { source, file: SourceFile { path, .. }, .. } = rows[index];
                match (pixels, self.spec.on_error) {
                    (Ok(pixels), _) => {
                        reused += u64::from(matches!(pixels, Cow::Borrowed(_)));
                        block.push(&pixels)?;
                    }
                    (Err(reason), OnError::Fail) => return Err(StageError::Input { path: source.folder.root.join(path), reason }),
                    (Err(reason), OnError::Skip) => {
                        context.emit(StageEvent::Warning { message: format!("left out {path}: {reason}") });
                        skipped.insert(index, SkippedImage { path: path.clone(), reason });
                        block.push(&vec![0; self.row_bytes()])?;
                    }
                }
                progress.advance(context);
                Ok(())
            },
        )?;
        block.finish()?;
        self.remove(rows, &skipped)?;
        let kept = rows.iter().enumerate().filter(|(index, _)| !skipped.contains_key(index));
        let sources = RowSources(kept.map(|(_, row)| row.file.digest).collect());
        let counts = RowCounts { reused, made: sources.0.len() as u64 - reused };
        Ok(Packed { skipped: skipped.into_values().collect(), sources, counts })
    }

    /// Finds one image packed already, borrowed, or reads and resizes it; an error is the reason in words.
    fn pixels(&self, row: &Row<'_>) -> Result<Cow<'_, [u8]>, String> {
        if let Some(pixels) = self.earlier.row(&row.file.digest) {
            return Ok(Cow::Borrowed(pixels));
        }
        let rule = self.spec.rule();
        let picture = row.source.reader.picture(&row.file.path, rule)?;
        Ok(Cow::Owned(rule.apply(&picture)))
    }

    /// Writes the file again without the rows that were left out. A contiguous dataset cannot shrink, and which images
    /// cannot be read is known only when all have been.
    fn remove(&self, rows: &[Row<'_>], skipped: &BTreeMap<usize, SkippedImage>) -> Result<(), StageError> {
        let Some(first) = skipped.values().next() else { return Ok(()) };
        if skipped.len() == rows.len() {
            let (count, part) = (rows.len(), self.subset.as_str());
            return Err(StageError::Invalid(format!(
                "none of the {count} images for {part} can be read; {}: {}",
                first.path, first.reason
            )));
        }
        let kept: Vec<usize> = (0..rows.len()).filter(|index| !skipped.contains_key(index)).collect();
        let partial = self.out.with_extension("partial");
        let all = ImagesFile::open(&self.out)?;
        let mut block = Block::new(self.writer(&partial, kept.iter().map(|index| &rows[*index]))?);
        for index in kept {
            block.push(all.row(index))?;
        }
        block.finish()?;
        fs::rename(&partial, &self.out).map_err(|source| StageError::Io { path: self.out.clone(), source })
    }

    fn writer<'r>(&self, path: &Path, rows: impl Iterator<Item = &'r Row<'r>>) -> Result<ImagesWriter, StageError> {
        let (labels, paths) = rows.map(|row| (row.class as i64, row.file.path.clone())).unzip();
        let labels = RowLabels { labels, label_names: self.label_names.to_vec(), paths };
        Ok(ImagesWriter::of_squares(path, self.spec.rule(), &labels)?)
    }

    fn row_bytes(&self) -> usize {
        self.spec.rule().row_bytes()
    }
}

/// Gathers rows so that small images are not written one by one.
pub(super) struct Block {
    writer: ImagesWriter,
    pixels: Vec<u8>,
}

impl Block {
    pub(super) fn new(writer: ImagesWriter) -> Block {
        Block { writer, pixels: Vec::new() }
    }

    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), StageError> {
        self.pixels.extend_from_slice(row);
        if self.pixels.len() >= BLOCK_BYTES {
            self.writer.append(&self.pixels)?;
            self.pixels.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), StageError> {
        self.writer.append(&self.pixels)?;
        Ok(self.writer.finish()?)
    }
}

/// Reports how far a part is, but not more often than anyone can read.
pub(super) struct Progress {
    activity: String,
    done: u64,
    total: u64,
    reported: Instant,
}

impl Progress {
    pub(super) fn new(activity: String, total: usize) -> Progress {
        Progress { activity, done: 0, total: total as u64, reported: Instant::now() }
    }

    pub(super) fn advance(&mut self, context: &mut StageContext<'_>) {
        self.done += 1;
        if self.done == self.total || self.reported.elapsed() >= PROGRESS_INTERVAL {
            self.reported = Instant::now();
            let Progress { activity, done, total, .. } = self;
            context.emit(StageEvent::Progress { activity: activity.clone(), done: *done, total: *total, unit: Unit::Images });
        }
    }
}
