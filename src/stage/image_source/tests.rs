//! Images in archives and in CIFAR's batches. The files are made by `tests/archives/make.py`.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::stage::{Decode, Fit};

const WHOLE: PackRule = PackRule { size: 4, fit: Fit::Crop, decode: Decode::Full };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives").join(name)
}

fn packed(path: &Path) -> PackedLocation {
    match ImageLocation::find(path) {
        Some(ImageLocation::Packed(packed)) => packed,
        other => panic!("{}: {other:?}", path.display()),
    }
}

fn listed(path: &Path) -> Vec<SourceFile> {
    let (packed, scratch) = (packed(path), tempfile::tempdir().unwrap());
    packed.select(&packed.list_all(scratch.path()).unwrap())
}

fn paths(files: &[SourceFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

fn open(path: &Path) -> ImageReader {
    ImageReader::open(path, tempfile::tempdir().unwrap().path()).unwrap()
}

fn error(path: &Path) -> String {
    let (packed, scratch) = (packed(path), tempfile::tempdir().unwrap());
    packed.list_all(scratch.path()).unwrap_err().to_string().replace(&path.display().to_string(), "FILE")
}

#[test]
fn every_kind_of_archive_shows_the_same_images() {
    let zip = listed(&fixture("photos.zip"));
    assert_eq!(paths(&zip), ["summer/apple/1.png", "summer/apple/2.png", "summer/pear/1.png", "winter/pear/3.png"]);
    for other in ["photos.tar", "photos.tar.gz"] {
        assert_eq!(listed(&fixture(other)), zip, "{other}");
    }
}

#[test]
fn pictures_are_read_from_every_kind_of_archive() {
    for archive in ["photos.zip", "photos.tar", "photos.tar.gz"] {
        let picture = open(&fixture(archive)).picture("summer/apple/2.png", WHOLE).unwrap();
        assert_eq!((picture.width, picture.height), (8, 6));
        assert_eq!(picture.pixels[..3], [210, 20, 10], "{archive}");
        let inside = open(&fixture(archive).join("winter/pear")).picture("3.png", WHOLE).unwrap();
        assert_eq!(inside.pixels[..3], [20, 210, 10], "{archive}");
    }
    assert_eq!(open(&fixture("photos.zip")).picture("winter/9.png", WHOLE).unwrap_err(), "it is not in the archive");
}

#[test]
fn a_folder_within_an_archive_is_a_folder() {
    let inside = listed(&fixture("photos.zip").join("summer"));
    assert_eq!(paths(&inside), ["apple/1.png", "apple/2.png", "pear/1.png"]);
    assert_eq!(ImageLocation::find(&fixture("make.py").join("summer")), None);
    assert_eq!(ImageLocation::find(&fixture("nothing.zip")), None);
}

#[test]
fn both_forms_of_cifar_show_the_same_tree() {
    let binary = listed(&fixture("cifar-10-binary.tar.gz"));
    let expected = [
        "test/airplane/test_batch-00000",
        "test/bird/test_batch-00001",
        "train/airplane/data_batch_1-00001",
        "train/automobile/data_batch_1-00002",
        "train/automobile/data_batch_2-00000",
        "train/bird/data_batch_1-00000",
    ];
    assert_eq!(paths(&binary), expected);
    assert_eq!(listed(&fixture("cifar-10-python.tar.gz")), binary);
    assert_eq!(paths(&listed(&fixture("cifar-10-python.tar.gz").join("test"))), ["airplane/test_batch-00000", "bird/test_batch-00001"]);
}

#[test]
fn cifars_planes_become_pixels() {
    for archive in ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"] {
        let picture = open(&fixture(archive).join("train")).picture("automobile/data_batch_1-00002", WHOLE).unwrap();
        assert_eq!((picture.width, picture.height), (32, 32));
        // Row 3, column 5: red 7·5 + 2, green 7·3, blue 50·1 + 2.
        let place = (3 * 32 + 5) * 3;
        assert_eq!(picture.pixels[place..place + 3], [37, 21, 52], "{archive}");
    }
}

#[test]
fn cifars_unpacked_folder_is_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let archive = Archive::open(&fixture("cifar-10-python.tar.gz"), scratch.path()).unwrap();
    for name in archive.names() {
        fs::write(folder.path().join(name.rsplit('/').next().unwrap()), archive.read(name).unwrap()).unwrap();
    }
    assert_eq!(packed(folder.path()).files().len(), 4, "the readme does not count");
    assert_eq!(listed(&folder.path().join("train")), listed(&fixture("cifar-10-python.tar.gz").join("train")));
    fs::write(folder.path().join("test_batch"), b"cos\nsystem\n.").unwrap();
    let expected = "FILE: test_batch: the pickle wants to use `os.system`, which is not done; only plain data and arrays of bytes are read";
    assert_eq!(error(folder.path()), expected);
}

#[test]
fn a_damaged_archive_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(fixture(name)).unwrap();
        change(&mut bytes);
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        error(&path)
    };
    assert!(damage("photos.zip", &|bytes| bytes.truncate(700)).starts_with("FILE: cannot be read as a zip archive: "));
    assert!(damage("photos.tar", &|bytes| bytes[0] ^= 1).starts_with("FILE: cannot be read as a tar archive: "));
    assert!(damage("photos.tar.gz", &|bytes| bytes.truncate(200)).starts_with("FILE: cannot be inflated: "));
    // The name of the first file is 18 bytes long: byte 60 is in the stored pixels, which have a checksum.
    assert!(damage("photos.zip", &|bytes| bytes[60] ^= 1).starts_with("FILE/summer/apple/1.png: "));
}
