//! The entries of the bulk pass, kept in a file until the databases are captured.
//!
//! A source of a million files must not have a million entries in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use crate::codec::manifest::{Entry, Node, NodeBody};
use crate::codec::{CodecError, Durable, Kind};

/// Entries are encoded so many at a time.
const BATCH: usize = 64;

/// A draft that grows, in ascending order of keys. Its file has no name: nothing remains of it, whatever happens.
pub(super) struct Draft {
    file: BufWriter<File>,
    batch: Vec<Entry>,
}

impl Draft {
    pub(super) fn create_in(spool_dir: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(spool_dir)?;
        Ok(Self {
            file: BufWriter::with_capacity(256 * 1024, file),
            batch: Vec::with_capacity(BATCH),
        })
    }

    pub(super) fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.batch.push(entry);
        if self.batch.len() >= BATCH { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        let entries = std::mem::take(&mut self.batch);
        if entries.is_empty() {
            return Ok(());
        }
        let several = entries.len() > 1;
        let node = Node { body: NodeBody::Leaf(entries), extensions: Vec::new() };
        match (node.encode(), node.body) {
            (Ok(bytes), _) => self.write_node(&bytes),
            // Long paths and attributes: one at a time.
            (Err(CodecError::TooLarge { .. }), NodeBody::Leaf(entries)) if several => {
                entries.into_iter().try_for_each(|one| {
                    self.batch.push(one);
                    self.write_batch()
                })
            }
            (Err(error), _) => Err(io::Error::other(error)),
        }
    }

    fn write_node(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.file.write_all(&len.to_le_bytes())?;
        self.file.write_all(bytes)
    }

    /// The draft as it is, complete.
    pub(super) fn finish(mut self) -> io::Result<Finished> {
        self.write_batch()?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Finished { file })
    }
}

/// A draft that does not grow any more.
pub(super) struct Finished {
    file: File,
}

impl Finished {
    /// The entries from the first on, in order; one reader at a time.
    pub(super) fn entries(&mut self) -> io::Result<Entries<'_>> {
        self.file.rewind()?;
        let file = BufReader::with_capacity(256 * 1024, &self.file);
        Ok(Entries { file, batch: Vec::new().into_iter() })
    }
}

/// The entries of a finished draft.
pub(super) struct Entries<'d> {
    file: BufReader<&'d File>,
    batch: std::vec::IntoIter<Entry>,
}

impl Entries<'_> {
    fn next_batch(&mut self) -> io::Result<Option<Vec<Entry>>> {
        let mut len = [0; 4];
        match self.file.read_exact(&mut len) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let len = u32::from_le_bytes(len) as usize;
        if len > Kind::ManifestNode.limit_bytes() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; len];
        self.file.read_exact(&mut bytes)?;
        match Node::decode(&bytes).map_err(io::Error::other)?.body {
            NodeBody::Leaf(entries) => Ok(Some(entries)),
            NodeBody::Inner { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        if let Some(entry) = self.batch.next() {
            return Some(Ok(entry));
        }
        match self.next_batch() {
            Ok(Some(batch)) => {
                self.batch = batch.into_iter();
                self.batch.next().map(Ok)
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
