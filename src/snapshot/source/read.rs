//! Reading the bytes of a file that its owner may be changing.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::Errno;

use crate::codec::manifest::{Entry, EntryKind, Extent, FileEntry, Origin};
use crate::snapshot::beneath::split_last;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::metadata::{
    ItemKind, Stat, Xattrs, entry, xattrs_of_fd, xattrs_of_name,
};
use crate::snapshot::source::sparse::{FileSystem, data_extents};
use crate::snapshot::source::walk::{Item, Source};

/// Reads at most this much, in bytes, of a file whose length is given as 0 and that has bytes all the same (`/proc`).
const MAX_UNSIZED_BYTES: u64 = 64 << 20;

/// From this size on, in bytes, the kernel is told that the file will be read from end to end.
const ADVISE_FROM_BYTES: u64 = 1 << 20;

/// How a file is read.
#[derive(Clone, Copy)]
pub struct ReadPolicy<'a> {
    /// How often a file that changes meanwhile is read, at least once.
    pub attempts: u32,
    /// The clock, nanoseconds since 1970.
    pub now_ns: &'a (dyn Fn() -> i64 + Sync),
}

/// The usual number of attempts: one, and three more.
pub const ATTEMPTS: u32 = 4;

/// What reading a file gave.
#[derive(Debug)]
pub struct ReadFile<T> {
    /// What was made of its bytes.
    pub value: T,
    /// Its inode, from before the reading; unchanged after it, unless `origin` says otherwise.
    pub stat: Stat,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// Its data extents, when holes were left out of what was read.
    pub sparse: Option<Vec<Extent>>,
    /// Its length in bytes, holes included. Without holes, exactly the bytes that were read.
    pub size: u64,
    /// Whether the bytes are one state of the file.
    pub origin: Origin,
    /// When the reading began, nanoseconds since 1970.
    pub read_at_ns: i64,
}

/// An entry, and whether something had to be left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The entry.
    pub entry: Entry,
    /// Its extended attributes are missing, because they are too large.
    pub attributes_left_out: bool,
}

impl Described {
    /// The entry of a thing as the walk saw it, without the extended attributes that it may have.
    pub fn as_seen(item: &Item, kind: EntryKind) -> Self {
        Self::new(item, kind, Xattrs::All(Vec::new()))
    }

    fn new(item: &Item, kind: EntryKind, xattrs: Xattrs) -> Self {
        let (xattrs, attributes_left_out) = match xattrs {
            Xattrs::All(xattrs) => (xattrs, false),
            Xattrs::TooLarge => (Vec::new(), true),
        };
        let entry = entry(item.key.clone(), &item.stat, kind, xattrs);
        Self { entry, attributes_left_out }
    }
}

impl Source {
    /// Opens a file for reading, unless it has become anything else. Never blocks on a pipe, never follows a link.
    pub fn open_regular(&self, path: &[u8]) -> Result<(OwnedFd, Stat), Problem> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.beneath().open(path, flags, Mode::empty());
        let file = opened.map_err(|error| match error.raw_os_error() {
            // A socket, or a device without a driver: nothing that has bytes.
            Some(raw) if raw == Errno::NXIO.raw_os_error() => Problem::Replaced,
            _ => Problem::from_io(error),
        })?;
        let stat = Stat::of_fd(&file).map_err(Problem::from_io)?;
        if stat.kind == ItemKind::File { Ok((file, stat)) } else { Err(Problem::Replaced) }
    }

    /// Reads a file to its end, again while it changes, and flags it when it does not hold still.
    ///
    /// `take` gets the bytes and must read them all; it is called once an attempt, and what an earlier call returned is
    /// dropped. The outer error is that of `take`, whenever the file itself could be read.
    pub fn read_file<T, E>(
        &self,
        path: &[u8],
        policy: ReadPolicy<'_>,
        mut take: impl FnMut(&mut FileBytes<'_>) -> Result<T, E>,
    ) -> Result<Result<ReadFile<T>, Problem>, E> {
        let attempts = policy.attempts.max(1);
        let mut attempt = 1;
        loop {
            // The last attempt reads plainly: a map of holes is of no use in a file that moves.
            let trust_holes = attempt < attempts || attempts == 1;
            let read = match self.read_once(path, policy, trust_holes, &mut take)? {
                Ok(read) => read,
                Err(problem) => return Ok(Err(problem)),
            };
            if read.origin == Origin::Read || attempt == attempts {
                return Ok(Ok(read));
            }
            attempt += 1;
        }
    }

    fn read_once<T, E>(
        &self,
        path: &[u8],
        policy: ReadPolicy<'_>,
        trust_holes: bool,
        take: &mut impl FnMut(&mut FileBytes<'_>) -> Result<T, E>,
    ) -> Result<Result<ReadFile<T>, Problem>, E> {
        let read_at_ns = (policy.now_ns)();
        let (file, stat) = match self.open_regular(path) {
            Ok(opened) => opened,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut sparse = if trust_holes { holes_of(&file, &stat) } else { None };
        let mut bytes = FileBytes::new(file.as_fd(), &stat, sparse.as_deref());
        let taken = take(&mut bytes);
        let (delivered, failure) = (bytes.delivered, bytes.failure.take());
        if let Some(error) = failure {
            return Ok(Err(Problem::from_io(error)));
        }
        let value = taken?;
        let after = Stat::of_fd(&file).and_then(|after| Ok((after, xattrs_of_fd(&file)?)));
        let (after, xattrs) = match after {
            Ok(after) => after,
            Err(error) => return Ok(Err(Problem::from_io(error))),
        };
        let mapped = sparse.as_ref().map(|extents| extents.iter().map(|extent| extent.len).sum());
        let whole = mapped.is_none_or(|mapped: u64| mapped == delivered);
        if !whole {
            sparse = None;
        }
        let size = if sparse.is_some() { stat.size } else { delivered };
        let held_still = after.same_state(&stat) || lost_its_name(&stat, &after);
        let origin = if whole && held_still { Origin::Read } else { Origin::Unstable };
        Ok(Ok(ReadFile { value, stat, xattrs, sparse, size, origin, read_at_ns }))
    }

    /// The entry of anything but a file, for which it is a [`Problem::Replaced`].
    pub fn describe(&self, item: &Item) -> Result<Described, Problem> {
        let (major, minor) = item.stat.rdev;
        let kind = match item.stat.kind {
            ItemKind::File => return Err(Problem::Replaced),
            ItemKind::Directory => EntryKind::Directory,
            ItemKind::Symlink => EntryKind::Symlink { target: self.link_target(item)?.into() },
            ItemKind::Fifo => EntryKind::Fifo,
            ItemKind::Socket => EntryKind::Socket,
            ItemKind::CharDevice => EntryKind::CharDevice { major, minor },
            ItemKind::BlockDevice => EntryKind::BlockDevice { major, minor },
        };
        Ok(Described::new(item, kind, self.xattrs(item)?))
    }

    /// The entry of a file whose bytes are known already: another name of its inode was read, or a database captured.
    pub fn describe_file(&self, item: &Item, file: FileEntry) -> Result<Described, Problem> {
        Ok(Described::new(item, EntryKind::File(file), self.xattrs(item)?))
    }

    fn xattrs(&self, item: &Item) -> Result<Xattrs, Problem> {
        let (parent, name) = split_last(&item.key.path);
        let xattrs = match name {
            b"" => xattrs_of_fd(self.beneath().dir()),
            _ => self.beneath().open_dir(parent).and_then(|dir| xattrs_of_name(dir, name)),
        };
        xattrs.map_err(Problem::from_io)
    }

    fn link_target(&self, item: &Item) -> Result<Vec<u8>, Problem> {
        let (parent, name) = split_last(&item.key.path);
        let dir = self.beneath().open_dir(parent).map_err(Problem::from_io)?;
        let target = rustix::fs::readlinkat(&dir, name, Vec::new());
        let target = target.map_err(|error| match error {
            Errno::INVAL => Problem::Replaced,
            error => Problem::from_io(error.into()),
        })?;
        Ok(target.into_bytes())
    }
}

impl<T> ReadFile<T> {
    /// The entry of the file, with the content that `content` makes of what was read.
    pub fn describe(
        self,
        item: &Item,
        content: impl FnOnce(T) -> crate::codec::content::Content,
    ) -> Described {
        let kind = EntryKind::File(FileEntry {
            size: self.size,
            content: content(self.value),
            sparse: self.sparse,
            origin: self.origin,
            read_at_ns: self.read_at_ns,
        });
        Described::new(&Item { key: item.key.clone(), stat: self.stat }, kind, self.xattrs)
    }
}

/// A file that was unlinked or replaced by another one while it was read: its bytes did not change for that, though its inode did. Who
/// replaces files whole, again and again, would otherwise never have one saved without a finding.
fn lost_its_name(before: &Stat, after: &Stat) -> bool {
    let with_name = Stat { ctime: before.ctime, ..*after };
    before.links > 0 && after.links == 0 && with_name.same_state(before)
}

fn holes_of(file: &OwnedFd, stat: &Stat) -> Option<Vec<Extent>> {
    if stat.allocated_bytes >= stat.size || !FileSystem::of(file).maps_holes {
        return None;
    }
    // Without a map the file is read plainly, holes as zeros.
    data_extents(file, stat.size).unwrap_or_default()
}

/// The bytes of an open file, without its holes when they are mapped. Ends where the file ended when it was opened.
#[derive(Debug)]
pub struct FileBytes<'a> {
    file: BorrowedFd<'a>,
    size: u64,
    runs: VecDeque<Extent>,
    delivered: u64,
    failure: Option<io::Error>,
}

impl<'a> FileBytes<'a> {
    fn new(file: BorrowedFd<'a>, stat: &Stat, sparse: Option<&[Extent]>) -> Self {
        if stat.size >= ADVISE_FROM_BYTES {
            // Advice only: a file system that has no use for it may refuse.
            let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
        }
        let len = if stat.size == 0 { MAX_UNSIZED_BYTES } else { stat.size };
        let runs = match sparse {
            Some(extents) => extents.iter().copied().collect(),
            None => VecDeque::from([Extent { offset: 0, len }]),
        };
        Self { file, size: stat.size, runs, delivered: 0, failure: None }
    }

    /// How many bytes the file had, holes included, when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// True when the first byte that is read is not the first one of the file.
    pub fn begins_with_a_hole(&self) -> bool {
        self.runs.front().is_some_and(|run| run.offset > 0)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(run) = self.runs.front_mut().filter(|_| !buffer.is_empty()) else { return Ok(0) };
        let most = usize::try_from(run.len).unwrap_or(usize::MAX).min(buffer.len());
        let window = buffer.get_mut(..most).unwrap_or_default();
        let len =
            rustix::io::retry_on_intr(|| rustix::io::pread(self.file, &mut *window, run.offset))?;
        let read = len as u64;
        (run.offset, run.len) = (run.offset + read, run.len - read);
        self.delivered += read;
        if len == 0 {
            self.runs.clear(); // shorter than it was: whoever compares the states will notice
        } else if run.len == 0 {
            self.runs.pop_front();
        }
        Ok(len)
    }
}

impl Read for FileBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).inspect_err(|error| {
            // Kept, so that the caller can tell a file that cannot be read from a sink that fails.
            let raw = error.raw_os_error();
            self.failure =
                Some(raw.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error));
        })
    }
}
