//! Records of the cache as JSON files, written whole or not at all, each with a seal: a digest of its name and of all that it says.
//!
//! A record whose seal is broken says something that nobody wrote. One without a seal is of a version that wrote none.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cache::CacheError;
use crate::cache::store::{write_atomically, write_lazily};
use crate::key::{Digest, Hasher};

/// No field of a record and no stage has this name.
const SEAL: &str = "#seal";

const DOMAIN: &str = "packtrain record 1";

/// Reads a record; `None` if there is none, or one that cannot be understood or whose seal is broken: damage is a miss.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    match fs::read(path) {
        Ok(bytes) => Ok(unsealed(path, &bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CacheError { path: path.to_owned(), source }),
    }
}

/// Writes a record, which is a struct or a map.
pub(super) fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), CacheError> {
    write_atomically(path, &sealed_for(path, record)?)
}

/// As [`write`], but a power cut may bring back the record before.
pub(super) fn note<T: Serialize>(path: &Path, record: &T) -> Result<(), CacheError> {
    write_lazily(path, &sealed_for(path, record)?)
}

fn sealed_for<T: Serialize>(path: &Path, record: &T) -> Result<Vec<u8>, CacheError> {
    sealed(path, record).map_err(|error| CacheError { path: path.to_owned(), source: error.into() })
}

/// The name of a record's file.
pub(super) fn file_name(key: impl Display) -> PathBuf {
    format!("{key}.json").into()
}

/// The text of a record, which is a struct or a map, with the seal that it has in the file `path`.
pub fn sealed<T: Serialize>(path: &Path, record: &T) -> serde_json::Result<Vec<u8>> {
    let seal = seal(path, &serde_json::to_string(record)?);
    let mut text = serde_json::to_vec_pretty(record)?;
    // The seal is the last of its fields, maybe the only one.
    let (end, comma) = text.strip_suffix(b"\n}").map_or((1, ""), |fields| (fields.len(), ","));
    text.truncate(end);
    text.extend(format!("{comma}\n  \"{SEAL}\": \"{seal}\"\n}}").bytes());
    Ok(text)
}

/// The record in the text of the file `path`; `None` if it cannot be understood or its seal is broken.
pub fn unsealed<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Option<T> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let written = value.as_object_mut()?.shift_remove(SEAL);
    let is_sound = written.is_none_or(|written| written == seal(path, &value.to_string()).to_string());
    if is_sound { serde_json::from_value(value).ok() } else { None }
}

/// Without the seal itself, and however it is laid out. The file's name counts, its folder does not.
fn seal(path: &Path, compact: &str) -> Digest {
    let name = path.file_stem().unwrap_or_default();
    Hasher::new(DOMAIN).field(name.as_encoded_bytes()).field(compact.as_bytes()).finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_record_with_any_bit_flipped_is_a_miss_or_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let record = BTreeMap::from([("loss".to_owned(), 0.1 + 0.2), ("rank-1".to_owned(), 1e-300)]);
        write(&path, &record).unwrap();
        let intact = fs::read(&path).unwrap();
        assert_eq!(read(&path).unwrap(), Some(record.clone()));
        let mut misses = 0;
        for position in 0..intact.len() * 8 {
            let mut bytes = intact.clone();
            bytes[position / 8] ^= 1 << (position % 8);
            let found: Option<BTreeMap<String, Value>> = unsealed(&path, &bytes);
            misses += usize::from(found.is_none());
            // With the name of the seal damaged, the rest is as it was written.
            let told = found.map(|mut found| {
                found.retain(|name, _| record.contains_key(name));
                serde_json::from_value(serde_json::to_value(found).unwrap()).unwrap()
            });
            assert!(told.is_none_or(|told: BTreeMap<String, f64>| told == record), "bit {position}");
        }
        assert!(misses > intact.len() * 6, "{misses}");
    }

    #[test]
    fn an_empty_record_is_sealed_too() {
        let none = BTreeMap::<String, u32>::new();
        let text = sealed(Path::new("none.json"), &none).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert!(value[SEAL].is_string(), "{value}");
        assert_eq!(unsealed(Path::new("none.json"), &text), Some(none.clone()));
        assert_eq!(unsealed::<BTreeMap<String, u32>>(Path::new("other.json"), &text), None);
    }

    #[test]
    fn a_record_under_another_s_name_is_a_miss_and_one_without_a_seal_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a.json", "b.json"].map(|name| folder.path().join(name));
        write(&path, &BTreeMap::from([("x", 1)])).unwrap();
        fs::rename(&path, &other).unwrap();
        assert_eq!(read::<BTreeMap<String, u32>>(&other).unwrap(), None);
        fs::write(&path, r#"{"x": 1}"#).unwrap();
        assert_eq!(read(&path).unwrap(), Some(BTreeMap::from([("x".to_owned(), 1)])));
    }
}
