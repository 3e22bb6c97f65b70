//! Storing the bytes of one file.

use std::io::Read;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::chunker::media::looks_compressed;
use crate::chunker::params::Params;
use crate::chunker::plan::CutPlan;
use crate::chunker::stream::ChunkStream;
use crate::codec::content::{ChunkRef, Content};
use crate::codec::pack::PackClass;
use crate::id::BlobType;
use crate::repo::blobs::{BlobWrite, Compression, NewBlob};
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::content::write::ContentWriter;

/// Enough of a file to tell what it is.
const HEAD_BYTES: usize = 4096;

/// Chunks that are stored side by side.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What one thread needs again and again.
pub(super) struct Scratch {
    head: Vec<u8>,
    buffer: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { head: Vec::with_capacity(HEAD_BYTES), buffer: Vec::new() }
    }
}

/// What became of a file's bytes.
pub(super) enum Stored {
    /// They are in the repository.
    Content(Content),
    /// They begin as something that `is_special` wants to treat itself; nothing was stored.
    Special,
}

impl Stored {
    /// The content; that of a special file is empty, and nobody asks for it.
    pub(super) fn into_content(self) -> Content {
        match self {
            Self::Content(content) => content,
            Self::Special => Content::Inline(Vec::new()),
        }
    }
}

/// Reads a file to its end and stores what is new of it, unless its head says that it is something else.
pub(super) fn store_file(
    bytes: &mut impl Read,
    len: u64,
    cut: &Params,
    blobs: &dyn BlobWrite,
    scratch: &mut Scratch,
    is_special: impl FnOnce(&[u8]) -> bool,
) -> Result<Stored, ArchiveError> {
    let Scratch { head, buffer } = scratch;
    head.clear();
    // A failed read is remembered by the reader itself, which then reports it as a problem of the source.
    if bytes.by_ref().take(HEAD_BYTES as u64).read_to_end(head).is_err() {
        return Ok(Stored::Content(Content::Inline(Vec::new())));
    }
    if is_special(head) {
        return Ok(Stored::Special);
    }
    let compression = if looks_compressed(head) { Compression::Never } else { Compression::Probe };
    let plan = CutPlan::for_file(head, len, cut);
    let mut stream = ChunkStream::new(head.as_slice().chain(bytes), plan, cut, buffer);
    let mut content = ContentWriter::new(blobs);
    loop {
        let batch = match stream.next_batch(BATCH_BYTES) {
            Ok(batch) if batch.is_empty() => break,
            Ok(batch) => batch,
            Err(_) => break,
        };
        for chunk in store_batch(&batch, compression, blobs)? {
            content.push(chunk)?;
        }
    }
    Ok(Stored::Content(content.finish()?))
}

fn store_batch(
    batch: &[&[u8]],
    compression: Compression,
    blobs: &dyn BlobWrite,
) -> Result<Vec<ChunkRef>, ArchiveError> {
    let store = |plain: &&[u8]| {
        let (blob_type, class) = (BlobType::Data, PackClass::Data);
        let put = blobs.put(NewBlob { blob_type, class, compression, plain })?;
        Ok(ChunkRef { id: put.id, len: plain.len() as u64 })
    };
    match batch {
        [one] => Ok(vec![store(one)?]),
        many => many.par_iter().map(store).collect(),
    }
}
