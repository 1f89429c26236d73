//! Outputs where users look for them: reflinks of objects, else hard links, else copies.

use std::path::Path;
use std::{fs, io};

use crate::cache::store::make_parent;
use crate::cache::{Cache, CacheError};
use crate::key::Digest;

/// Makes `target` a file with the content of an object, which must be sound. Nothing is done if it is one already.
pub fn place(cache: &Cache, digest: &Digest, target: &Path) -> Result<(), CacheError> {
    match cache.memo().digest(target) {
        Ok((found, _)) if found == *digest => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_parent(target)?,
        Err(source) => return Err(CacheError { path: target.to_owned(), source }),
    }
    let object = cache.store().path(digest);
    let temporary = target.with_extension(format!("{}.tmp", std::process::id()));
    link(&object, &temporary).and_then(|()| fs::rename(&temporary, target)).map_err(CacheError::io(target))?;
    for path in [target, &object] {
        cache.memo().remember(path, *digest).map_err(CacheError::io(path))?;
    }
    Ok(())
}

/// Whether `target` is a file with this content.
pub fn is_placed(cache: &Cache, digest: &Digest, target: &Path) -> bool {
    cache.memo().digest(target).is_ok_and(|(found, _)| found == *digest)
}

fn link(object: &Path, target: &Path) -> io::Result<()> {
    if target.exists() {
        fs::remove_file(target)?;
    }
    if reflink_copy::reflink(object, target).is_ok() {
        let mut permissions = fs::metadata(target)?.permissions();
        permissions.set_readonly(true);
        return fs::set_permissions(target, permissions);
    }
    fs::hard_link(object, target).or_else(|_| fs::copy(object, target).map(|_| ()))
}
