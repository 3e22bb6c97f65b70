//! A new layer: encoded, stored, and proved from its stored bytes.

use std::collections::HashSet;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::codec::pack::PackClass;
use crate::codec::version::SegmentRef;
use crate::delta::decode::Segment;
use crate::delta::encode::{PageChange, encode_segments};
use crate::delta::error::DeltaError;
use crate::delta::shape::{PageShape, SEGMENT_PAGE_BYTES};
use crate::id::BlobType;
use crate::repo::blobs::{BlobWrite, Compression, NewBlob};
use crate::repo::error::{Damage, RepoError};
use crate::snapshot::version::decode::fault;
use crate::snapshot::version::pages::MappedPages;

/// The most bytes of a segment before compression: a blob.
const MOST_SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// Changes that are grouped into segments together: what that takes is bounded, whatever the database. An ordinary night is one window.
const WINDOW_PAGES: usize = 1 << 18;

/// A patch of so many segments is small beside what a new base takes.
const SEGMENTS_ALWAYS_TRIED: usize = 4;

/// Where a database says how many bytes at the end of each page hold no cells.
const RESERVED_OFFSET: usize = 20;

/// What a patch is made from.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// The database that the layers below make.
    pub(super) below: &'a MappedPages,
    /// The captured database.
    pub(super) now: &'a MappedPages,
    /// Pages that differ, ascending, with all that are new.
    pub(super) pages: &'a [u32],
}

/// Why there is no patch.
#[derive(Debug)]
pub(super) enum NoPatch {
    /// It would take more than it is worth.
    TooLarge,
    /// What it stores does not give the captured pages back.
    Unproved(String),
    /// What was just stored cannot be read.
    Damaged(Damage),
    Repository(RepoError),
}

impl From<RepoError> for NoPatch {
    fn from(error: RepoError) -> Self {
        Self::Repository(error)
    }
}

impl From<DeltaError> for NoPatch {
    fn from(error: DeltaError) -> Self {
        Self::Unproved(error.to_string())
    }
}

/// Stores the change as segments, which take no more than about `most_bytes` of storage, and proves them.
pub(super) fn store_patch(
    change: Change<'_>,
    write: &dyn BlobWrite,
    most_bytes: u64,
    check: &dyn Fn() -> Result<(), RepoError>,
) -> Result<Vec<SegmentRef>, NoPatch> {
    let (mut segments, mut taken) = (Vec::new(), Taken { most_bytes, bytes: 0, pages: 0 });
    let page_size = u32::try_from(change.now.page_bytes()).unwrap_or_default();
    encode_windows(change, WINDOW_PAGES, &mut |plain| {
        check()?;
        let blob = NewBlob {
            blob_type: BlobType::PagePatch,
            class: PackClass::Metadata,
            compression: Compression::Strong,
            plain: &plain,
        };
        let put = write.put(blob)?;
        let pages = Segment::parse(&plain, page_size)?.page_count();
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        segments.push(SegmentRef { id: put.id, pages });
        taken.add(put.stored_len.unwrap_or_default(), pages, change.pages.len())
    })?;
    prove(change, &segments, write)?;
    Ok(segments)
}

/// Hands over the segments of the change, window by window in the order of the pages.
fn encode_windows(
    change: Change<'_>,
    window_pages: usize,
    emit: &mut dyn FnMut(Vec<u8>) -> Result<(), NoPatch>,
) -> Result<(), NoPatch> {
    let shape = shape_of(change.now)?;
    let page = |number: &u32| {
        let new = change.now.page(*number)?;
        Some(PageChange { number: *number, old: change.below.page(*number), new })
    };
    for window in change.pages.chunks(window_pages) {
        let pages: Vec<_> = window.iter().filter_map(page).collect();
        encode_segments(&pages, shape, MOST_SEGMENT_BYTES, &mut *emit)?;
    }
    Ok(())
}

/// False when so much changed, as in VACUUM, that a patch would only be found too large after much work.
pub(super) fn worth_trying(changed: usize, now: &MappedPages) -> bool {
    is_worth_trying(changed, now.count() as usize, now.page_bytes())
}

fn is_worth_trying(changed: usize, count: usize, page_bytes: usize) -> bool {
    let always = SEGMENTS_ALWAYS_TRIED * SEGMENT_PAGE_BYTES / page_bytes;
    changed <= always || changed <= count / 2
}

/// A database with an odd number there is still pages: it only makes worse predictions.
fn shape_of(pages: &MappedPages) -> Result<PageShape, DeltaError> {
    let page_size = u32::try_from(pages.page_bytes()).unwrap_or_default();
    let reserved = pages.bytes().get(RESERVED_OFFSET).copied().unwrap_or_default();
    PageShape::new(page_size, reserved).or_else(|_| PageShape::new(page_size, 0))
}

/// What the segments so far take.
struct Taken {
    most_bytes: u64,
    bytes: u64,
    pages: u64,
}

impl Taken {
    /// Refuses to go on when the patch as a whole would be too large, going by what is there of it.
    fn add(&mut self, bytes: u32, pages: u32, all_pages: usize) -> Result<(), NoPatch> {
        self.bytes += u64::from(bytes);
        self.pages += u64::from(pages);
        let foreseen = u128::from(self.bytes) * all_pages as u128;
        let most = u128::from(self.most_bytes) * u128::from(self.pages);
        if foreseen > most { Err(NoPatch::TooLarge) } else { Ok(()) }
    }
}

/// Decodes every segment from its stored bytes, and compares what comes of it with the captured pages.
fn prove(
    change: Change<'_>,
    segments: &[SegmentRef],
    write: &dyn BlobWrite,
) -> Result<(), NoPatch> {
    let mut seen = HashSet::new();
    for said in segments {
        let stored = match write.read_back(BlobType::PagePatch, &said.id) {
            Err(RepoError::Damaged(damage)) => return Err(NoPatch::Damaged(damage)),
            stored => stored?,
        };
        // A dry run: there is nothing that anybody could ever read.
        let Some(bytes) = stored else { return Ok(()) };
        prove_segment(change, said, &bytes, &mut seen)?;
    }
    if seen.len() == change.pages.len() && change.pages.iter().all(|page| seen.contains(page)) {
        return Ok(());
    }
    Err(NoPatch::Unproved("pages are missing in it".to_owned()))
}

fn prove_segment(
    change: Change<'_>,
    said: &SegmentRef,
    bytes: &[u8],
    seen: &mut HashSet<u32>,
) -> Result<(), NoPatch> {
    let page_size = u32::try_from(change.now.page_bytes()).unwrap_or_default();
    let segment = Segment::parse(bytes, page_size)?;
    if let Some(fault) = fault(&segment, said, change.now.count(), seen) {
        return Err(NoPatch::Unproved(fault));
    }
    let numbers: Vec<u32> = segment.numbers().collect();
    let pages = numbers.par_iter().enumerate();
    pages.try_for_each_init(
        || segment.maker(),
        |maker, (place, number)| {
            let image = maker.page(place, |_, number| change.below.page(number))?;
            if change.now.page(*number) == Some(image) {
                return Ok(());
            }
            Err(NoPatch::Unproved(format!("page {number} comes out differently")))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn mapped(bytes: &[u8]) -> MappedPages {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        MappedPages::of_spool(&file, 512, u32::try_from(bytes.len() / 512).unwrap()).unwrap()
    }

    /// The numbers of the pages of each segment.
    fn windows(change: Change<'_>, window_pages: usize) -> Vec<Vec<u32>> {
        let mut segments = Vec::new();
        encode_windows(change, window_pages, &mut |plain| {
            segments.push(Segment::parse(&plain, 512)?.numbers().collect());
            Ok(())
        })
        .unwrap();
        segments
    }

    #[test]
    fn windows_hold_every_page_once_and_an_ordinary_night_is_one() {
        let (below, now) = (mapped(&vec![1; 512 * 30]), mapped(&vec![2; 512 * 40]));
        let pages: Vec<u32> = (1..=40).filter(|page| page % 7 != 0).collect();
        let change = Change { below: &below, now: &now, pages: &pages };
        assert_eq!(windows(change, WINDOW_PAGES), std::slice::from_ref(&pages));
        let some = windows(change, 16);
        assert_eq!(some.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 3]);
        assert_eq!(some.concat(), pages);
    }

    #[test]
    fn only_much_that_is_most_of_a_database_is_not_tried() {
        let always = 4 * SEGMENT_PAGE_BYTES / 4096;
        for (changed, count, tried) in [
            (always, always, true),
            (always + 1, 2 * always, false),
            (always + 1, 2 * always + 2, true),
            (2_500_000, 2_600_000, false),
            (0, 1, true),
        ] {
            assert_eq!(is_worth_trying(changed, count, 4096), tried, "{changed} of {count}");
        }
    }
}
