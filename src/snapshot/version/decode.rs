//! Laying a version into a file: the base, then layer after layer in place.
//!
//! Invariant: a page is read as an old image only where the version below has it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::iter::Peekable;
use std::os::unix::fs::FileExt;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::codec::content::Content;
use crate::codec::version::{Layer, MAX_SEGMENT_PAGE_BYTES, SegmentRef, VersionRecord};
use crate::delta::decode::{Segment, SegmentIndex};
use crate::delta::error::DeltaError;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::RepoError;
use crate::snapshot::content::read::{Chunks, PlacedChunk, chunks, read_chunk};
use crate::snapshot::structure::damaged;
use crate::snapshot::version::load::{base_list, page_count_with, refused};
use crate::snapshot::version::segment::{Applier, ApplyError};

/// Chunks of a base are read side by side up to so many bytes, which are then in memory.
const AT_ONCE_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of a base that are written at once when layers follow.
const PIECE_BYTES: usize = 128 * 1024;

/// Why a database could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The repository does not have it, or the caller asked to stop.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The file that it should be made in.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Who is told, and says when to stop.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// True when the work should end.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// So many more bytes are laid down.
    pub advance: &'a (dyn Fn(u64) + Sync),
}

impl Watch<'_> {
    /// Nobody.
    pub const NOBODY: Watch<'static> = Watch { cancelled: &|| false, advance: &|_| {} };

    fn check(&self) -> Result<(), RepoError> {
        if (self.cancelled)() { Err(RepoError::Cancelled) } else { Ok(()) }
    }
}

/// What could not be decoded, by the id of the list or the segment that it failed at.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) part: BlobId,
    pub(super) error: Box<MakeError>,
}

impl Failed {
    fn at(part: &BlobId, error: impl Into<MakeError>) -> Self {
        Self { part: *part, error: Box::new(error.into()) }
    }
}

/// A version that is being made.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    pub(super) blobs: &'a dyn BlobRead,
    pub(super) id: &'a BlobId,
    pub(super) record: &'a VersionRecord,
    /// Open for reading and writing; what it held is overwritten.
    pub(super) file: &'a File,
    pub(super) watch: Watch<'a>,
}

impl Decoder<'_> {
    /// Makes the state with so many layers; pages beyond its count are left in the file. Returns the pages of each layer.
    pub(super) fn decode(self, layers: usize) -> Result<Vec<Vec<u32>>, Failed> {
        self.base().map_err(|error| Failed::at(&self.record.base.list, error))?;
        let layers = self.record.layers.get(..layers).unwrap_or(&self.record.layers);
        let left = layers.iter().flat_map(|layer| &layer.segments).peekable();
        let applier = Applier::new(self.file, self.record.page_size);
        let mut run = Run { left, ahead: None, applier };
        let layers = layers.iter().enumerate();
        layers.map(|(below, layer)| self.layer((below, layer), &mut run)).collect()
    }

    fn base(self) -> Result<(), MakeError> {
        let list = base_list(self.record);
        let content = Content::List { root: list.id, len: list.len };
        let mut chunks = chunks(&content, self.blobs);
        loop {
            self.watch.check()?;
            let batch = next_batch(&mut chunks)?;
            if batch.is_empty() {
                return Ok(());
            }
            batch.par_iter().try_for_each(|placed| {
                let bytes = read_chunk(self.blobs, &placed.chunk)?;
                self.write_base(&bytes, placed.offset)?;
                (self.watch.advance)(placed.chunk.len);
                Ok::<_, MakeError>(())
            })?;
        }
    }

    /// What is written at once is kept in memory by the system as one piece, and some systems go through all blocks of a piece
    /// whenever a page of it is written again.
    fn write_base(self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let piece = if self.record.layers.is_empty() { bytes.len() } else { PIECE_BYTES };
        let offsets = (0..).map(|piece: u64| offset + piece * PIECE_BYTES as u64);
        bytes
            .chunks(piece.max(1))
            .zip(offsets)
            .try_for_each(|(bytes, at)| self.file.write_all_at(bytes, at))
    }

    fn layer<'r>(
        self,
        (below, layer): (usize, &Layer),
        run: &mut Run<'_, impl Iterator<Item = &'r SegmentRef> + Send>,
    ) -> Result<Vec<u32>, Failed> {
        let below = page_count_with(self.record, below);
        let mut seen = HashSet::new();
        for segment in &layer.segments {
            self.watch.check().map_err(|error| Failed::at(&segment.id, error))?;
            self.segment(segment, (below, layer.page_count), &mut seen, run)
                .map_err(|error| Failed::at(&segment.id, error))?;
        }
        let new = seen.iter().filter(|number| **number > below).count() as u64;
        if new < u64::from(layer.page_count.saturating_sub(below)) {
            let error = refused(self.id, "a layer lacks pages that are beyond what is below it");
            return Err(Failed::at(self.id, error));
        }
        Ok(seen.into_iter().collect())
    }

    /// Applies a segment, and meanwhile fetches the next one if both together take no more memory than one may.
    fn segment<'r>(
        self,
        said: &SegmentRef,
        (below, page_count): (u32, u32),
        seen: &mut HashSet<u32>,
        run: &mut Run<'_, impl Iterator<Item = &'r SegmentRef> + Send>,
    ) -> Result<(), MakeError> {
        let refuse = |error: DeltaError| damaged(BlobType::PagePatch, &said.id, error.to_string());
        let Run { left, ahead, applier } = run;
        let fetched = ahead.take().unwrap_or_else(|| {
            left.next();
            self.fetch(said)
        })?;
        let segment = Segment::with_index(&fetched.bytes, &fetched.index).map_err(refuse)?;
        if let Some(fault) = fault(&segment, said, page_count, seen) {
            return Err(damaged(BlobType::PagePatch, &said.id, fault).into());
        }
        let pages = |segment: &SegmentRef| u64::from(segment.pages);
        let most = MAX_SEGMENT_PAGE_BYTES / u64::from(self.record.page_size);
        let next = left.next_if(|next| pages(said) + pages(next) <= most);
        let (applied, next) =
            rayon::join(|| applier.apply(&segment, below), || next.map(|next| self.fetch(next)));
        *ahead = next;
        applied.map_err(|error| match error {
            ApplyError::Delta(error) => refuse(error).into(),
            ApplyError::File(error) => error.into(),
        })
    }

    fn fetch(self, said: &SegmentRef) -> Result<Fetched, RepoError> {
        let bytes = self.blobs.get(BlobType::PagePatch, &said.id)?;
        let refuse = |error: DeltaError| damaged(BlobType::PagePatch, &said.id, error.to_string());
        let index = Segment::parse(&bytes, self.record.page_size).map_err(refuse)?.index();
        Ok(Fetched { bytes, index })
    }
}

/// Segments, one after the other.
struct Run<'f, S: Iterator> {
    /// Those that were not fetched.
    left: Peekable<S>,
    /// The one before them if it was fetched ahead, or why it cannot be read.
    ahead: Option<Result<Fetched, RepoError>>,
    applier: Applier<'f, File>,
}

/// A segment whose form was checked.
struct Fetched {
    bytes: Vec<u8>,
    index: SegmentIndex,
}

/// What must hold of a segment among those of its layer, whose pages so far are `seen`; its own are added.
pub(super) fn fault(
    segment: &Segment<'_>,
    said: &SegmentRef,
    page_count: u32,
    seen: &mut HashSet<u32>,
) -> Option<String> {
    if segment.page_count() as u64 != u64::from(said.pages) {
        return Some(format!("{} pages, not {}", segment.page_count(), said.pages));
    }
    segment.numbers().find_map(|number| {
        if number > page_count {
            return Some(format!("page {number} of a database of {page_count} pages"));
        }
        (!seen.insert(number)).then(|| format!("page {number}, which is in another segment too"))
    })
}

/// The next chunks, few enough to be in memory together.
fn next_batch(chunks: &mut Chunks<'_>) -> Result<Vec<PlacedChunk>, RepoError> {
    let (mut batch, mut bytes) = (Vec::new(), 0_u64);
    while bytes < AT_ONCE_BYTES
        && let Some(placed) = chunks.next()
    {
        let placed = placed?;
        bytes = bytes.saturating_add(placed.chunk.len);
        batch.push(placed);
    }
    Ok(batch)
}
