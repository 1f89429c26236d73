//! Files from a remote: hashed while they arrive, gone on with where a connection broke, believed only if the digest is right.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};

use crate::key::{ContentHasher, Digest};
use crate::remote::error::Trouble;
use crate::remote::{RemoteError, Watch, layout};

/// How often a file is gone on with or begun anew.
const ATTEMPTS: usize = 4;

/// No record is as large.
const LARGEST_RECORD: u64 = 64 << 20;

const PIECE: usize = 1 << 20;

/// The content of a record.
pub(super) async fn record(store: &dyn ObjectStore, path: &object_store::path::Path, watch: &Watch<'_>) -> Result<Bytes, Trouble> {
    let found = watch.answer(store.get_opts(path, GetOptions::default())).await?;
    if found.meta.size > LARGEST_RECORD {
        return Err(Trouble::Damaged("a record is far too large".to_owned()));
    }
    watch.taken(found.meta.size, found.bytes()).await
}

/// Puts an object into the file `to`; `size` is what a record says of it.
pub(super) async fn object(
    store: &dyn ObjectStore,
    (digest, size): (Digest, Option<u64>),
    to: &Path,
    watch: &Watch<'_>,
) -> Result<u64, Trouble> {
    let failed = |error| Trouble::Here(RemoteError::io(to)(error));
    let file = File::options().create(true).truncate(true).read(true).write(true).open(to).map_err(failed)?;
    let mut arriving = Arriving { file, hasher: ContentHasher::default(), written: 0, size, to };
    let mut attempt = 1;
    while let Err(trouble) = arriving.go_on(store, &digest, watch).await {
        match trouble {
            Trouble::Failed(_) if attempt < ATTEMPTS && arriving.written > 0 => {}
            other => return Err(other),
        }
        // A server that gives no parts of files is asked for the whole again.
        if attempt == ATTEMPTS - 1 {
            arriving.begin_anew().map_err(failed)?;
        }
        attempt += 1;
    }
    match arriving.hasher.finish() {
        found if found == digest => Ok(arriving.written),
        _ => Err(Trouble::Damaged(format!("the object {} has another content", digest.short()))),
    }
}

/// A file that is partly there.
struct Arriving<'a> {
    file: File,
    hasher: ContentHasher,
    written: u64,
    size: Option<u64>,
    to: &'a Path,
}

impl Arriving<'_> {
    /// To the end, from where it is.
    async fn go_on(&mut self, store: &dyn ObjectStore, digest: &Digest, watch: &Watch<'_>) -> Result<(), Trouble> {
        let range = (self.written > 0).then_some(GetRange::Offset(self.written));
        let found = watch.answer(store.get_opts(&layout::object(digest), GetOptions { range, ..GetOptions::default() })).await?;
        let total = found.meta.size;
        if self.size.is_some_and(|size| size != total) {
            return Err(Trouble::Damaged(format!("the object {} has another size", digest.short())));
        }
        match found.payload {
            GetResultPayload::File(mut file, _) => self.copy(&mut file, watch)?,
            GetResultPayload::Stream(mut pieces) => {
                while let Some(piece) = watch.answer(async { pieces.next().await.transpose() }).await? {
                    self.write(&piece, watch)?;
                }
            }
        }
        match self.written {
            written if written < total => Err(Trouble::Failed("it ended a file early".to_owned())),
            _ => Ok(()),
        }
    }

    /// From a folder on this machine.
    fn copy(&mut self, from: &mut File, watch: &Watch<'_>) -> Result<(), Trouble> {
        let mut buffer = vec![0; PIECE];
        let failed = |error: io::Error| Trouble::Failed(error.to_string());
        from.seek(io::SeekFrom::Start(self.written)).map_err(failed)?;
        loop {
            watch.check()?;
            match from.read(&mut buffer).map_err(failed)? {
                0 => return Ok(()),
                read => self.write(&buffer[..read], watch)?,
            }
        }
    }

    fn write(&mut self, piece: &[u8], watch: &Watch<'_>) -> Result<(), Trouble> {
        self.file.write_all(piece).map_err(|error| Trouble::Here(RemoteError::io(self.to)(error)))?;
        self.hasher.update(piece);
        self.written += piece.len() as u64;
        (watch.progress)(piece.len() as u64);
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        (self.hasher, self.written) = (ContentHasher::default(), 0);
        Ok(())
    }
}
