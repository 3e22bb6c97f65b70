//! The bytes of one file of a snapshot.

use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::codec::content::Content;
use crate::codec::manifest::{EntryKind, Extent, FileEntry};
use crate::error::{Error, Result};
use crate::id::BlobId;
use crate::ops::paths::find_entry;
use crate::ops::spool::SpoolDir;
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::repo::space::MinFree;
use crate::snapshot::content::read::{chunks, read_chunk};
use crate::snapshot::version::decode::{MakeError, Watch};
use crate::snapshot::version::read::make_database;
use crate::sqlite::captured::CaptureError;
use crate::sqlite::spool::Spool;

/// Writes a file's bytes, as [`Stored::write`] does, with all of the spool's disk to be used.
pub fn cat(
    blobs: &dyn BlobRead,
    snapshot: &Snapshot,
    path: &Path,
    spool_dir: &Path,
    output: &mut dyn Write,
) -> Result<u64> {
    let min_free = MinFree { asked_bytes: Some(0) };
    Stored::find(blobs, snapshot, path)?.write(Some(SpoolDir { dir: spool_dir, min_free }), output)
}

/// A file of a snapshot.
pub struct Stored<'a> {
    blobs: &'a dyn BlobRead,
    file: FileEntry,
}

impl<'a> Stored<'a> {
    /// Finds it.
    pub fn find(blobs: &'a dyn BlobRead, snapshot: &Snapshot, path: &Path) -> Result<Self> {
        let what = match find_entry(blobs, snapshot, path)?.kind {
            EntryKind::File(file) => return Ok(Self { blobs, file }),
            EntryKind::Directory => "is a directory",
            _ => "is not a regular file",
        };
        Err(Error::UnfitPath { path: path.display().to_string(), what: what.into() })
    }

    /// True when it has to be made in a spool before it can be written.
    pub fn needs_spool(&self) -> bool {
        matches!(self.file.content, Content::Version { .. })
    }

    /// Writes its bytes, holes as zeros, and says how many they were. Every chunk is proved before a byte of it is written, a version
    /// of a database as a whole: without a spool for it that is refused.
    pub fn write(&self, spool: Option<SpoolDir<'_>>, output: &mut dyn Write) -> Result<u64> {
        if let Content::Version { record, len } = &self.file.content {
            let what = || "a database is made in a spool before it is written".to_owned();
            let spool = spool.ok_or_else(|| Error::Usage { what: what() })?;
            return database(self.blobs, (record, *len), spool, output);
        }
        let mut sink = Sink { output, holes: Holes::of(&self.file), at: 0 };
        for chunk in chunks(&self.file.content, self.blobs) {
            sink.data(&read_chunk(self.blobs, &chunk?.chunk)?)?;
        }
        sink.zeros_until(self.file.size)?;
        Ok(sink.at)
    }
}

/// A version of a database is proved as a whole, so it is made in a private file first.
fn database(
    blobs: &dyn BlobRead,
    version: (&BlobId, u64),
    spool: SpoolDir<'_>,
    output: &mut dyn Write,
) -> Result<u64> {
    let SpoolDir { dir, .. } = spool;
    let at_spool = |what: &str, source| Error::Io {
        what: format!("{what} the spool in {}", dir.display()),
        source,
    };
    let path = dir.to_owned();
    let spool = Spool::create_in(dir, version.1, spool.reserve_bytes())
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
