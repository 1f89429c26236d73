//! What archives and packed images hold, by the content of the file, so that an unchanged one is not read again.
//!
//! A file begins with the digest of what follows; one that is damaged counts as missing.

use std::fs;
use std::path::PathBuf;

use crate::cache::store::write_atomically;
use crate::cache::{Cache, CacheError};
use crate::key::{Digest, Listing};
use crate::stage::RowSources;

impl Cache {
    /// The images in files whose content has this digest, if they were listed before.
    pub fn packed_listing(&self, content: &Digest) -> Option<Listing> {
        Listing::parse(&self.remembered(content)?)
    }

    /// Remembers a listing.
    pub fn remember_packed_listing(&self, content: &Digest, listing: &Listing) -> Result<(), CacheError> {
        self.remember(content, &listing.to_text())
    }

    /// The digests of the packed images in a file whose content has this digest, if they were taken before.
    pub fn packed_rows(&self, content: &Digest) -> Option<RowSources> {
        RowSources::parse(self.remembered(content)?.as_bytes())
    }

    /// Whether something is known of a file whose content has this digest, and its seal is whole.
    pub(super) fn is_listed(&self, content: &Digest) -> bool {
        self.remembered(content).is_some()
    }

    /// Remembers digests of packed images.
    pub fn remember_packed_rows(&self, content: &Digest, rows: &RowSources) -> Result<(), CacheError> {
        self.remember(content, &rows.to_text())
    }

    /// A folder for files that are gone when they are closed.
    pub fn work_folder(&self) -> PathBuf {
        self.root.join("work")
    }

    fn remembered(&self, content: &Digest) -> Option<String> {
        let text = fs::read_to_string(self.listing_path(content)).ok()?;
        let (digest, listing) = text.split_once('\n')?;
        (digest.parse::<Digest>().ok()? == Digest::of_bytes(listing.as_bytes())).then(|| listing.to_owned())
    }

    fn remember(&self, content: &Digest, listing: &str) -> Result<(), CacheError> {
        let text = format!("{}\n{listing}", Digest::of_bytes(listing.as_bytes()));
        write_atomically(&self.listing_path(content), text.as_bytes())
    }

    fn listing_path(&self, content: &Digest) -> PathBuf {
        self.root.join("listings").join(content.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SourceFile;

    #[test]
    fn a_damaged_listing_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let content = Digest::of_bytes(b"archive");
        assert_eq!(cache.packed_listing(&content), None);
        let listing = Listing::new(vec![SourceFile { path: "a/1.jpg".into(), digest: Digest::of_bytes(b"1") }]);
        cache.remember_packed_listing(&content, &listing).unwrap();
        assert_eq!(cache.packed_listing(&content), Some(listing));
        let path = cache.listing_path(&content);
        let cut = fs::read_to_string(&path).unwrap().replace("a/1", "a/2");
        fs::write(&path, cut).unwrap();
        assert_eq!(cache.packed_listing(&content), None);
    }

    #[test]
    fn digests_of_packed_images_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let content = Digest::of_bytes(b"images");
        assert_eq!(cache.packed_rows(&content), None);
        let rows = RowSources(["1", "2", "1"].map(|image| Digest::of_bytes(image.as_bytes())).to_vec());
        cache.remember_packed_rows(&content, &rows).unwrap();
        assert_eq!(cache.packed_rows(&content), Some(rows));
    }
}
