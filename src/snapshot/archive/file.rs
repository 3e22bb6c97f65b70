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
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::content::write::ContentWriter;

/// Enough of a file to tell what it is.
const HEAD_BYTES: usize = 4096;

/// Chunks that are stored side by side.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

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

/// Stores files one after the other; each thread has its own.
pub(super) struct FileStore<'a> {
    cut: Params,
    blobs: &'a dyn BlobWrite,
    stop: &'a Stop<'a>,
    head: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes of the file in hand that the observer has not heard of yet; 0 where somebody else tells.
    untold: u64,
}

impl<'a> FileStore<'a> {
    pub(super) fn new(cut: Params, blobs: &'a dyn BlobWrite, stop: &'a Stop<'a>) -> Self {
        let (head, buffer) = (Vec::with_capacity(HEAD_BYTES), Vec::new());
        Self { cut, blobs, stop, head, buffer, untold: 0 }
    }

    /// From here on the observer hears of bytes as they are stored, up to so many: a file that is read again is told once.
    pub(super) fn tell(&mut self, len: u64) {
        self.untold = len;
    }

    /// The file in hand is done, and has these bytes: the observer hears of what is left of them.
    pub(super) fn told(&mut self, promised: u64, len: u64) {
        let told = promised.saturating_sub(std::mem::take(&mut self.untold));
        self.stop.advance(len.saturating_sub(told));
    }

    /// Reads a file to its end and stores what is new of it, unless its head says that it is something else.
    ///
    /// A failed read ends the file here: the reader remembers it, and whoever made the reader reports it as a problem of the source.
    pub(super) fn store(
        &mut self,
        bytes: &mut impl Read,
        len: u64,
        is_special: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Stored, ArchiveError> {
        self.head.clear();
        if bytes.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut self.head).is_err() {
            return Ok(Stored::Content(Content::Inline(Vec::new())));
        }
        if is_special(&self.head) {
            return Ok(Stored::Special);
        }
        let dense = looks_compressed(&self.head);
        let compression = if dense { Compression::Never } else { Compression::Probe };
        let plan = CutPlan::for_file(&self.head, len, &self.cut);
        let whole = self.head.as_slice().chain(bytes);
        let mut stream = ChunkStream::new(whole, plan, &self.cut, &mut self.buffer);
        let mut content = ContentWriter::new(self.blobs);
        while let Ok(batch) = stream.next_batch(BATCH_BYTES)
            && !batch.is_empty()
        {
            // A large file must not hold up a run that is to end.
            self.stop.check()?;
            for chunk in store_batch(&batch, compression, self.blobs)? {
                content.push(chunk)?;
            }
            let now = bytes_of(&batch).min(self.untold);
            self.untold -= now;
            self.stop.advance(now);
        }
        Ok(Stored::Content(content.finish()?))
    }
}

fn bytes_of(batch: &[&[u8]]) -> u64 {
    batch.iter().map(|plain| plain.len() as u64).sum()
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
