//! Applying a segment to the file that a database is made in.
//!
//! All old images that a segment refers to are of its own pages, so they are read
//! first, each once, in runs; then its pages are made side by side and written in
//! runs. Memory: the old images of one segment, and a few pages a thread.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::delta::decode::{PageMaker, Segment};
use crate::delta::error::DeltaError;

/// Bytes of pages that one thread reads, or makes and writes, at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Where pages are read and written.
pub(super) trait PageFile: Sync {
    /// Fills `bytes` from here on.
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from here on.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl PageFile for File {
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }
}

/// Why a segment was not applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Delta(#[from] DeltaError),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Applies segments to one file, in the same room.
pub(super) struct Applier<'f, F> {
    file: &'f F,
    page_bytes: usize,
    old: Vec<u8>,
}

impl<'f, F: PageFile> Applier<'f, F> {
    /// To the pages of this file.
    pub(super) fn new(file: &'f F, page_size: u32) -> Self {
        Self { file, page_bytes: page_size as usize, old: Vec::new() }
    }

    /// Replaces the pages of the segment; the file has those up to `below`. After an error its pages are worth nothing.
    pub(super) fn apply(&mut self, segment: &Segment<'_>, below: u32) -> Result<(), ApplyError> {
        let numbers: Vec<u32> = segment.numbers().collect();
        let there = numbers.partition_point(|number| *number <= below);
        let there = numbers.get(..there).unwrap_or_default();
        self.read_old(there)?;
        let old = OldImages { bytes: &self.old, page_bytes: self.page_bytes };
        let writing = Mutex::new(());
        let pieces = numbers.par_chunks(self.piece_pages()).enumerate();
        pieces.try_for_each_init(
            || (segment.maker(), Vec::new()),
            |(maker, room), (piece, numbers)| {
                let first = piece * self.piece_pages();
                make(maker, first..first + numbers.len(), &old, room)?;
                // The system lets one thread at a time write to a file; the other one spins while it waits, unless it sleeps here.
                let _one = writing.lock().unwrap_or_else(PoisonError::into_inner);
                self.write(numbers, room)
            },
        )
    }

    fn piece_pages(&self) -> usize {
        (PIECE_BYTES / self.page_bytes).max(1)
    }

    fn offset(&self, number: u32) -> u64 {
        u64::from(number.saturating_sub(1)) * self.page_bytes as u64
    }

    fn read_old(&mut self, numbers: &[u32]) -> io::Result<()> {
        let mut old = std::mem::take(&mut self.old);
        old.resize(numbers.len() * self.page_bytes, 0);
        let pieces = old.par_chunks_mut(self.piece_pages() * self.page_bytes);
        let read =
            pieces.zip(numbers.par_chunks(self.piece_pages())).try_for_each(|(bytes, numbers)| {
                let mut rest = bytes;
                for run in runs(numbers) {
                    let (now, after) = rest.split_at_mut(run.len() * self.page_bytes);
                    self.file.read(now, self.offset(run[0]))?;
                    rest = after;
                }
                Ok(())
            });
        self.old = old;
        read
    }

    fn write(&self, numbers: &[u32], mut images: &[u8]) -> Result<(), ApplyError> {
        for run in runs(numbers) {
            let (now, after) = images.split_at(run.len() * self.page_bytes);
            self.file.write(now, self.offset(run[0]))?;
            images = after;
        }
        Ok(())
    }
}

/// Makes the pages in these places, one after the other.
fn make(
    maker: &mut PageMaker<'_, '_>,
    places: Range<usize>,
    old: &OldImages<'_>,
    room: &mut Vec<u8>,
) -> Result<(), DeltaError> {
    room.clear();
    for place in places {
        room.extend_from_slice(maker.page(place, |place, _| old.at(place))?);
    }
    Ok(())
}

/// Pages that follow on each other, of numbers that ascend.
fn runs(numbers: &[u32]) -> impl Iterator<Item = &[u32]> {
    numbers.chunk_by(|before, after| before.checked_add(1) == Some(*after))
}

/// The old images of a segment, in the order of its pages: those that are there come first.
#[derive(Clone, Copy)]
struct OldImages<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
}

impl<'a> OldImages<'a> {
    fn at(&self, place: usize) -> Option<&'a [u8]> {
        let from = place * self.page_bytes;
        self.bytes.get(from..from + self.page_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::delta::encode::{PageChange, encode_segment};
    use crate::delta::shape::PageShape;

    const SIZE: usize = 512;

    /// Counts what is asked of a file.
    struct Counted {
        bytes: Mutex<Vec<u8>>,
        reads: AtomicUsize,
        writes: AtomicUsize,
        read_bytes: AtomicUsize,
        written_bytes: AtomicUsize,
    }

    impl Counted {
        fn of(bytes: Vec<u8>) -> Self {
            let none = || AtomicUsize::new(0);
            let (reads, writes) = (none(), none());
            let (read_bytes, written_bytes) = (none(), none());
            Self { bytes: Mutex::new(bytes), reads, writes, read_bytes, written_bytes }
        }

        fn counts(&self) -> [usize; 4] {
            [&self.reads, &self.read_bytes, &self.writes, &self.written_bytes]
                .map(|count| count.load(Ordering::Relaxed))
        }
    }

    impl PageFile for Counted {
        fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.read_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
            let (all, from) = (self.bytes.lock().unwrap(), usize::try_from(offset).unwrap());
            let part = all.get(from..from + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            bytes.copy_from_slice(part);
            Ok(())
        }

        fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.writes.fetch_add(1, Ordering::Relaxed);
            self.written_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
            let (mut all, from) = (self.bytes.lock().unwrap(), usize::try_from(offset).unwrap());
            let end = all.len().max(from + bytes.len());
            all.resize(end, 0);
            all[from..from + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }

    /// Pages of which each begins with a number of its own, and ends with `last`.
    fn pages(numbers: impl Iterator<Item = u32>, last: u8) -> Vec<u8> {
        let page = |number: u32| {
            let mut page = blake3::hash(&number.to_le_bytes()).as_bytes().repeat(SIZE / 32);
            page[SIZE - 1] = last;
            page
        };
        numbers.flat_map(page).collect()
    }

    /// A segment of these pages, the first `below` of which were there. Each is made from the old image of the next one of them.
    fn segment_of(numbers: &[u32], below: u32) -> Vec<u8> {
        let there: Vec<_> = numbers.iter().filter(|number| **number <= below).collect();
        let next = |place: usize| *there[(place + 1) % there.len()];
        let images: Vec<_> = (0..numbers.len())
            .map(|place| {
                (pages([numbers[place]].into_iter(), 1), pages([next(place)].into_iter(), 2))
            })
            .collect();
        let changes: Vec<_> = numbers
            .iter()
            .zip(&images)
            .map(|(number, (old, new))| PageChange {
                number: *number,
                old: (*number <= below).then_some(&old[..]),
                new,
            })
            .collect();
        encode_segment(&changes, PageShape::new(u32::try_from(SIZE).unwrap(), 0).unwrap()).unwrap()
    }

    fn applied(numbers: &[u32], below: u32) -> (Vec<u8>, [usize; 4]) {
        let file = Counted::of(pages(1..=below, 1));
        let bytes = segment_of(numbers, below);
        assert!(bytes.len() < numbers.len() * SIZE / 4, "made from each other: {}", bytes.len());
        let size = u32::try_from(SIZE).unwrap();
        let segment = Segment::parse(&bytes, size).unwrap();
        Applier::new(&file, size).apply(&segment, below).unwrap();
        let counts = file.counts();
        (file.bytes.into_inner().unwrap(), counts)
    }

    #[test]
    fn every_page_is_read_and_written_once_and_in_runs() {
        // Ten pages in a row, then every other one, then four that are new.
        let numbers: Vec<u32> = (1..=10).chain((20..=60).step_by(2)).chain(101..=104).collect();
        let (made, counts) = applied(&numbers, 100);
        assert_eq!(counts, [1 + 21, 31 * SIZE, 1 + 21 + 1, 35 * SIZE]);
        let there: Vec<u32> = numbers.iter().copied().filter(|number| *number <= 100).collect();
        for (place, number) in numbers.iter().enumerate() {
            let from = (*number as usize - 1) * SIZE;
            let wanted = pages([there[(place + 1) % there.len()]].into_iter(), 2);
            assert!(made[from..from + SIZE] == wanted, "page {number}");
        }
        assert!(made[10 * SIZE..19 * SIZE] == pages(11..=19, 1), "others stay");
    }

    #[test]
    fn a_long_run_is_read_and_written_piece_by_piece() {
        let numbers: Vec<u32> = (1..=2000).collect();
        let pieces = 2000_usize.div_ceil(PIECE_BYTES / SIZE);
        let (_, counts) = applied(&numbers, 2000);
        assert_eq!(counts, [pieces, 2000 * SIZE, pieces, 2000 * SIZE]);
    }

    #[test]
    fn a_file_that_lacks_old_images_is_an_error() {
        let file = Counted::of(pages(1..=3, 1));
        let bytes = segment_of(&[2, 3, 4], 4);
        let segment = Segment::parse(&bytes, 512).unwrap();
        let error = Applier::new(&file, 512).apply(&segment, 4).unwrap_err();
        assert!(matches!(error, ApplyError::File(_)), "{error}");
        assert_eq!(file.counts()[3], 0, "nothing is written");
    }
}
