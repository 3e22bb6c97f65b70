//! Writing the files of a batch, on several threads, in the order in which their bytes are stored.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::codec::manifest::{Extent, FileEntry};
use crate::observe::Observer;
use crate::snapshot::beneath::{Beneath, split_last};
use crate::snapshot::restore::contents::FileContents;
use crate::snapshot::restore::error::{Failure, RestoreError};
use crate::snapshot::restore::links::Made;
use crate::snapshot::restore::metadata::apply_to_fd;
use crate::snapshot::restore::plan::FileJob;
use crate::snapshot::source::metadata::Stat;
use crate::snapshot::trail::Trail;
use crate::snapshot::version::decode::{MakeError, Watch};

/// What writing needs to know.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) target: &'a Beneath,
    pub(super) contents: &'a dyn FileContents,
    pub(super) observer: &'a dyn Observer,
    pub(super) threads: usize,
}

/// A file that was written.
#[derive(Debug)]
pub(super) struct Written {
    /// Bytes written, without holes.
    pub(super) bytes: u64,
    /// What could not be restored about it.
    pub(super) notes: Vec<String>,
    /// Its inode, when other names of it may follow.
    pub(super) made: Option<Made>,
}

/// What became of the job with this number.
pub(super) type Outcome = (usize, Result<Written, Failure>);

/// Sorts files by where their bytes begin in the repository, so that each pack is read once and forwards.
pub(super) fn sort_by_place(jobs: &mut [FileJob], contents: &dyn FileContents) {
    jobs.sort_by_cached_key(|job| {
        contents.place(&job.file.content).map(|place| (place.pack, place.offset))
    });
}

impl Writer<'_> {
    /// Writes them all, or stops after the first fatal failure, which is then among the outcomes.
    pub(super) fn write_all(self, jobs: &[FileJob]) -> Vec<Outcome> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || self.work(jobs, &next, &stop);
        let helpers = self.threads.min(jobs.len()).saturating_sub(1);
        thread::scope(|scope| {
            let handles: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut outcomes = work();
            for handle in handles {
                match handle.join() {
                    Ok(more) => outcomes.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            outcomes
        })
    }

    fn work(self, jobs: &[FileJob], next: &AtomicUsize, stop: &AtomicBool) -> Vec<Outcome> {
        let mut trail = Trail::new(self.target);
        let mut outcomes = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            let outcome = self.write(&mut trail, job);
            if matches!(outcome, Err(Failure::Fatal(_))) {
                stop.store(true, Ordering::Relaxed);
            }
            outcomes.push((number, outcome));
        }
        outcomes
    }

    /// Writes one file, under its name only if it could be written whole.
    pub(super) fn write(self, trail: &mut Trail<'_>, job: &FileJob) -> Result<Written, Failure> {
        if self.observer.cancelled() {
            return Err(Failure::Fatal(RestoreError::Cancelled));
        }
        let refuse = |error: io::Error| Failure::of_target(&job.path, error);
        let (parent, name) = split_last(&job.path);
        let dir = trail.dir(parent).map_err(refuse)?;
        let file = create(dir, name).map_err(refuse)?;
        match self.fill(&file, job) {
            Ok(written) => {
                self.observer.advance(1, 0);
                Ok(written)
            }
            Err(failure) => {
                // It is ours: it was created exclusively a moment ago.
                rustix::fs::unlinkat(dir, name, AtFlags::empty()).map_err(|error| {
                    let source = io::Error::from(error);
                    Failure::of_target(&job.path, source)
                })?;
                Err(failure)
            }
        }
    }

    fn fill(self, file: &File, job: &FileJob) -> Result<Written, Failure> {
        let bytes = match self.make(file, job)? {
            Some(bytes) => bytes,
            None => self.copy(file, job)?,
        };
        let notes = apply_to_fd(file, &job.entry);
        let made = if job.linked { Some(identity(file, job)?) } else { None };
        Ok(Written { bytes, notes, made })
    }

    /// What is a version of a database is made in its place.
    fn make(self, file: &File, job: &FileJob) -> Result<Option<u64>, Failure> {
        let (cancelled, advance) =
            (|| self.observer.cancelled(), |bytes| self.observer.advance(0, bytes));
        let watch = Watch { cancelled: &cancelled, advance: &advance };
        match self.contents.make(&job.file.content, file, watch) {
            Ok(false) => Ok(None),
            Ok(true) if job.file.sparse.is_some() => {
                Err(Failure::Damaged("a database whose entry has holes in it".to_owned()))
            }
            Ok(true) => Ok(Some(job.file.size)),
            Err(MakeError::Repository(error)) => Err(Failure::of_repository(error)),
            Err(MakeError::File(error)) => Err(Failure::of_target(&job.path, error)),
        }
    }

    fn copy(self, file: &File, job: &FileJob) -> Result<u64, Failure> {
        let refuse = |error: io::Error| Failure::of_target(&job.path, error);
        let whole = [Extent { offset: 0, len: job.file.size }];
        let mut cursor = Cursor::new(file.as_fd(), job.file.sparse.as_deref().unwrap_or(&whole));
        if job.file.sparse.is_some() {
            rustix::fs::ftruncate(file, job.file.size).map_err(|error| refuse(error.into()))?;
        }
        let mut stopped = None;
        let read = self.contents.pieces(&job.file.content, &mut |piece| {
            let put = cursor.put(piece).map_err(|error| match error {
                None => Failure::Damaged("it has more bytes than its entry says".to_owned()),
                Some(error) => refuse(error),
            });
            stopped = put.err().or_else(|| {
                self.observer.cancelled().then_some(Failure::Fatal(RestoreError::Cancelled))
            });
            if stopped.is_some() {
                return ControlFlow::Break(());
            }
            self.observer.advance(0, piece.len() as u64);
            ControlFlow::Continue(())
        });
        if let Some(failure) = stopped {
            return Err(failure);
        }
        read.map_err(Failure::of_repository)?;
        let written = cursor.written;
        match Stat::of_fd(file).map_err(refuse)?.size {
            size if size == job.file.size && cursor.is_full() => Ok(written),
            _ => Err(Failure::Damaged(shortage(&job.file, written))),
        }
    }
}

fn shortage(file: &FileEntry, written: u64) -> String {
    format!("only {written} bytes of it could be had, its length is {}", file.size)
}

fn create(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

fn identity(file: &File, job: &FileJob) -> Result<Made, Failure> {
    let stat = Stat::of_fd(file).map_err(|error| Failure::of_target(&job.path, error))?;
    Ok(Made { path: job.path.clone(), device: stat.device, inode: stat.inode })
}

/// Lays a run of bytes into the extents of a file.
struct Cursor<'a> {
    file: BorrowedFd<'a>,
    extents: slice::Iter<'a, Extent>,
    here: Extent,
    written: u64,
}

impl<'a> Cursor<'a> {
    fn new(file: BorrowedFd<'a>, extents: &'a [Extent]) -> Self {
        Self { file, extents: extents.iter(), here: Extent { offset: 0, len: 0 }, written: 0 }
    }

    /// The error is `None` when there is no room for the bytes.
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Option<io::Error>> {
        while !bytes.is_empty() {
            if self.here.len == 0 {
                self.here = *self.extents.next().ok_or(None)?;
                continue;
            }
            let room = usize::try_from(self.here.len).unwrap_or(usize::MAX);
            let part = bytes.get(..room).unwrap_or(bytes);
            let write = || rustix::io::pwrite(self.file, part, self.here.offset);
            let len = rustix::io::retry_on_intr(write).map_err(|error| Some(error.into()))?;
            bytes = bytes.get(len..).unwrap_or_default();
            let len = len as u64;
            self.here = Extent { offset: self.here.offset + len, len: self.here.len - len };
            self.written += len;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.here.len == 0 && self.extents.as_slice().iter().all(|extent| extent.len == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn pieces_are_laid_into_extents_whatever_their_cuts() {
        let extents = [Extent { offset: 2, len: 3 }, Extent { offset: 8, len: 2 }];
        for cut in 1..=5 {
            let mut file = tempfile::tempfile().unwrap();
            let mut cursor = Cursor::new(file.as_fd(), &extents);
            for piece in b"abcde".chunks(cut) {
                assert!(!cursor.is_full());
                cursor.put(piece).unwrap();
            }
            assert!(cursor.is_full());
            assert_eq!(cursor.written, 5);
            assert!(matches!(cursor.put(b"f"), Err(None)), "no room");
            let mut all = Vec::new();
            file.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"\0\0abc\0\0\0de");
        }
    }
}
