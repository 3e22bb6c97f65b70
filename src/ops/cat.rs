//! The bytes of one file of a snapshot.

use std::io::Write;
use std::path::Path;

use crate::codec::manifest::{EntryKind, Extent, FileEntry};
use crate::error::{Error, Result};
use crate::ops::paths::find_entry;
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::content::read::{chunks, read_chunk};

/// Writes a file's bytes, holes as zeros. Every chunk is proved before a byte of it is written.
pub fn cat(
    blobs: &dyn BlobRead,
    snapshot: &Snapshot,
    path: &Path,
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
    let mut sink = Sink { output, holes: Holes::of(file), at: 0 };
    for chunk in chunks(&file.content, blobs) {
        sink.data(&read_chunk(blobs, &chunk?.chunk)?)?;
    }
    sink.zeros_until(file.size)?;
    Ok(sink.at)
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
        self.output
            .write_all(bytes)
            .map_err(|source| Error::Io { what: "writing the output".into(), source })?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
