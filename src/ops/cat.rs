//! The bytes of one file of a snapshot.

use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::codec::content::Content;
use crate::codec::manifest::{EntryKind, Extent, FileEntry};
use crate::error::{Error, Result};
use crate::id::BlobId;
use crate::ops::paths::find_entry;
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::content::read::{chunks, read_chunk};
use crate::snapshot::version::decode::{MakeError, Watch};
use crate::snapshot::version::read::make_database;
use crate::sqlite::captured::CaptureError;
use crate::sqlite::spool::Spool;

/// Writes a file's bytes, holes as zeros. Every chunk is proved before a byte of it is written, a version of a database as a whole:
/// that is made in `spool_dir` first, never inside a repository.
pub fn cat(
    blobs: &dyn BlobRead,
    snapshot: &Snapshot,
    path: &Path,
    spool_dir: &Path,
    output: &mut dyn Write,
) -> Result<u64> {
    let entry = find_entry(blobs, snapshot, path)?;
    let EntryKind::File(file) = &entry.kind else {
        let what = if entry.kind == EntryKind::Directory {
            "is a directory"
        } else {
            "is not a regular file"
        };
        return Err(Error::UnfitPath { path: path.display().to_string(), what: what.into() });
    };
    if let Content::Version { record, len } = &file.content {
        return database(blobs, (record, *len), spool_dir, output);
    }
    let mut sink = Sink { output, holes: Holes::of(file), at: 0 };
    for chunk in chunks(&file.content, blobs) {
        sink.data(&read_chunk(blobs, &chunk?.chunk)?)?;
    }
    sink.zeros_until(file.size)?;
    Ok(sink.at)
}

/// A version of a database is proved as a whole, so it is made in a private file first.
fn database(
    blobs: &dyn BlobRead,
    version: (&BlobId, u64),
    spool_dir: &Path,
    output: &mut dyn Write,
) -> Result<u64> {
    let at_spool = |what: &str, source| Error::Io {
        what: format!("{what} the spool in {}", spool_dir.display()),
        source,
    };
    let path = spool_dir.to_owned();
    let spool = Spool::create_in(spool_dir, version.1, 0)
        .map_err(|source| Error::Capture(CaptureError::Spool { path, source }))?;
    let mut file = spool.into_file().map_err(|error| at_spool("hiding", error))?;
    make_database(blobs, version, &file, Watch::NOBODY).map_err(|error| match error {
        MakeError::Repository(error) => error.into(),
        MakeError::File(error) => at_spool("writing", error),
    })?;
    file.rewind().map_err(|error| at_spool("reading", error))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(|error| at_spool("reading", error))? {
            0 => return Ok(version.1),
            len => write_to(output, piece.get(..len).unwrap_or_default())?,
        }
    }
}

fn write_to(output: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Io { what: "writing the output".into(), source };
    output.write_all(bytes).map_err(failed)
}

/// Where the data of a sparse file stands; a plain file is one extent.
struct Holes(std::vec::IntoIter<Extent>);

impl Holes {
    fn of(file: &FileEntry) -> Self {
        let whole = || vec![Extent { offset: 0, len: file.size }];
        Self(file.sparse.clone().unwrap_or_else(whole).into_iter())
    }
}

struct Sink<'a> {
    output: &'a mut dyn Write,
    holes: Holes,
    at: u64,
}

impl Sink<'_> {
    fn data(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let Some(extent) = self.holes.0.as_slice().first().copied() else { break };
            self.zeros_until(extent.offset)?;
            let end = extent.offset.saturating_add(extent.len);
            let room = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.write(now)?;
            if self.at >= end {
                self.holes.0.next();
            }
            bytes = later;
        }
        Ok(())
    }

    fn zeros_until(&mut self, offset: u64) -> Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        while self.at < offset {
            let len = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(ZEROS.len());
            self.write(&ZEROS[..len])?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write_to(self.output, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
