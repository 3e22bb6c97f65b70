//! Enumerating a source in the order of the manifest.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use walkdir::{DirEntry, WalkDir};

use crate::codec::manifest::EntryKey;
use crate::snapshot::beneath::{
    Beneath, MAX_NAME_BYTES, MAX_PATH_BYTES, Resolution, open_child_dir, split_last,
};
use crate::snapshot::source::error::{Problem, SourceError};
use crate::snapshot::source::exclude::{CACHE_TAG_NAME, CACHE_TAG_SIGNATURE, Excludes};
use crate::snapshot::source::metadata::{ItemKind, Stat, proc_path};
use crate::snapshot::source::sparse::FileSystem;
use crate::snapshot::trail::Trail;
use crate::sqlite::recognise::side_file_of;

/// Walkers are given paths of at most this length, plus one name; deeper directories get a walker of their own, so
/// that no path that is handed to the system exceeds its limit of 4,095 bytes.
const REBASE_BYTES: usize = 2048;

/// How the directory begins into which a restore moves what was in its way; a time follows.
pub const REPLACED_PREFIX: &str = ".larder-replaced-";

/// How the directory begins in which a restore makes what is not in its place yet; a time follows.
pub const RESTORING_PREFIX: &str = ".larder-restoring-";

/// One root of a source, open.
#[derive(Debug)]
pub struct Source {
    number: u32,
    path: PathBuf,
    stat: Stat,
    beneath: Beneath,
    file_system: FileSystem,
}

impl Source {
    /// Opens a root by its path, which may be a symbolic link; `number` is its index among the roots of the snapshot.
    pub fn open(number: u32, path: &Path, resolution: Resolution) -> Result<Self, SourceError> {
        let fail = |source: io::Error| SourceError::Root { path: path.to_path_buf(), source };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(rustix::io::Errno::NOTDIR) if std::fs::metadata(path).is_ok() => {
                return Err(SourceError::NotADirectory { path: path.to_path_buf() });
            }
            Err(error) => return Err(fail(error.into())),
        };
        let stat = Stat::of_fd(&dir).map_err(fail)?;
        let file_system = FileSystem::of(&dir);
        let beneath = Beneath::new(dir, resolution);
        Ok(Self { number, path: path.to_path_buf(), stat, beneath, file_system })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The inode of the root.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// How far the file system of the root can be believed.
    pub fn file_system(&self) -> FileSystem {
        self.file_system
    }

    /// For opening what lies in it.
    pub fn beneath(&self) -> &Beneath {
        &self.beneath
    }

    /// The key of a path relative to this root.
    pub fn key(&self, path: &[u8]) -> EntryKey {
        EntryKey { root: self.number, path: path.into() }
    }

    /// Looks at one path again, as the walk would.
    pub fn look(&self, path: &[u8]) -> Result<Item, Problem> {
        let (parent, name) = split_last(path);
        let stat = match name {
            b"" => Stat::of_fd(self.beneath.dir()),
            _ => self.beneath.open_dir(parent).and_then(|dir| Stat::of_name(dir, name)),
        };
        Ok(Item { key: self.key(path), stat: stat.map_err(Problem::from_io)? })
    }

    /// Fails when the root is no longer where it was: then what was listed may be next to nothing, and everything else "vanished".
    pub fn still_there(&self) -> Result<(), SourceError> {
        let there = Stat::of_fd(self.beneath.dir()).and_then(|_| std::fs::metadata(&self.path));
        match there {
            Ok(_) => Ok(()),
            Err(source) => Err(SourceError::Root { path: self.path.clone(), source }),
        }
    }

    /// Enumerates everything in it, ascending by key, the root itself first.
    pub fn walk<'a>(&'a self, options: WalkOptions<'a>) -> Result<Walk<'a>, SourceError> {
        if options.never_enter.contains(&(self.stat.device, self.stat.inode)) {
            return Err(SourceError::IsRepository { path: self.path.clone() });
        }
        let levels = vec![Level::new(self.path.clone(), Vec::new(), None)];
        let trail = Trail::new(&self.beneath);
        Ok(Walk { source: self, options, levels, trail, pending: VecDeque::new(), last: None })
    }
}

/// What to leave out of a walk.
#[derive(Debug, Clone, Copy)]
pub struct WalkOptions<'a> {
    /// Patterns.
    pub excludes: &'a Excludes,
    /// Leave out what is in directories that a `CACHEDIR.TAG` marks.
    pub exclude_caches: bool,
    /// Do not descend into other file systems.
    pub same_file_system: bool,
    /// Directories that are never entered, by device and inode: the repository, the spool.
    pub never_enter: &'a [(u64, u64)],
}

/// A thing of the source, as it was when the walk came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it stands.
    pub key: EntryKey,
    /// Its inode.
    pub stat: Stat,
}

/// What the walk comes upon.
#[derive(Debug)]
pub enum Event {
    /// Something to save.
    Item(Item),
    /// Something that cannot be saved, or a directory whose contents cannot.
    Problem {
        /// What it is about.
        key: EntryKey,
        /// What is the matter.
        problem: Problem,
    },
    /// A file that a pattern leaves out and whose name makes it one of the files beside a database.
    LeftOutBeside {
        /// The file.
        key: EntryKey,
    },
    /// A directory that was saved without what is in it, or not at all.
    Skipped {
        /// The directory.
        key: EntryKey,
        /// Why.
        why: Skipped,
    },
}

/// Why a directory was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// It is the repository, or another directory of larder's own. Not saved at all.
    Own,
    /// A restore has made it: for what it moved aside, or for what it had not finished. Not saved at all.
    OfRestore,
    /// It marks itself as a cache; only the mark is saved.
    Cache,
    /// Another file system is mounted there.
    OtherFileSystem,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "the repository itself, or larder's own directory; not entered",
            Self::OfRestore => "moved aside or left by a restore; not saved",
            Self::Cache => "marked as a cache; its contents are left out",
            Self::OtherFileSystem => "another file system; not entered",
        })
    }
}

/// A walkdir over one part of the tree.
struct Level {
    walker: walkdir::IntoIter,
    /// Bytes of a walker's path that come before the path relative to `prefix`.
    skip: usize,
    prefix: Vec<u8>,
    /// Keeps the path of a deep walker, which goes through `/proc/self/fd`, valid.
    _dir: Option<OwnedFd>,
}

impl Level {
    fn new(base: PathBuf, prefix: Vec<u8>, dir: Option<OwnedFd>) -> Self {
        let base_len = base.as_os_str().len();
        let skip =
            if base.as_os_str().as_bytes().ends_with(b"/") { base_len } else { base_len + 1 };
        // Sorted by the bytes of the names, a walk is in the order of keys: what is in a directory follows it at once.
        let walker = WalkDir::new(base).follow_links(false).sort_by_file_name().into_iter();
        Self { walker, skip, prefix, _dir: dir }
    }

    fn relative(&self, path: &Path) -> Vec<u8> {
        let below = path.as_os_str().as_bytes().get(self.skip..).unwrap_or_default();
        match (self.prefix.is_empty(), below.is_empty()) {
            (true, _) => below.to_vec(),
            (false, true) => self.prefix.clone(),
            (false, false) => [&self.prefix, &b"/"[..], below].concat(),
        }
    }
}

/// A walk under way. Yields an error only where the source as a whole is lost; it ends there.
pub struct Walk<'a> {
    source: &'a Source,
    options: WalkOptions<'a>,
    levels: Vec<Level>,
    trail: Trail<'a>,
    pending: VecDeque<Event>,
    last: Option<EntryKey>,
}

impl Iterator for Walk<'_> {
    type Item = Result<Event, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(Ok(event));
            }
            match self.levels.last_mut()?.walker.next() {
                None => drop(self.levels.pop()),
                Some(Ok(entry)) => self.visit(&entry),
                Some(Err(error)) => {
                    if let Err(lost) = self.listing_failed(error) {
                        self.levels.clear();
                        return Some(Err(lost));
                    }
                }
            }
        }
    }
}

/// What comes of a name that the walker lists.
enum Verdict {
    /// Save it, and go into it if it is a directory.
    Take(Stat),
    /// Save it, and stay out of it.
    TakeOnly(Stat, Skipped),
    /// Neither.
    Leave(Reason),
}

/// Why a name is not saved.
enum Reason {
    Excluded,
    Own(Skipped),
    Problem(Problem),
}

impl Walk<'_> {
    fn visit(&mut self, listed: &DirEntry) {
        let Some(level) = self.levels.last() else { return };
        if listed.depth() == 0 {
            if self.levels.len() == 1 {
                self.take(Item { key: self.source.key(b""), stat: self.source.stat });
            }
            return;
        }
        let key = self.source.key(&level.relative(listed.path()));
        match self.judge(listed, &key) {
            Verdict::Take(stat) => {
                self.take(Item { key: key.clone(), stat });
                self.rebase(listed, &key.path);
            }
            Verdict::TakeOnly(stat, why) => {
                self.stay_out(listed);
                self.take(Item { key: key.clone(), stat });
                if why == Skipped::Cache {
                    self.take_cache_tag(&key.path);
                }
                self.pending.push_back(Event::Skipped { key, why });
            }
            Verdict::Leave(reason) => {
                self.stay_out(listed);
                self.pending.extend(match reason {
                    Reason::Excluded => {
                        let beside = side_file_of(listed.file_name()).is_some();
                        beside.then_some(Event::LeftOutBeside { key })
                    }
                    Reason::Own(why) => Some(Event::Skipped { key, why }),
                    Reason::Problem(problem) => Some(Event::Problem { key, problem }),
                });
            }
        }
    }

    fn take(&mut self, item: Item) {
        self.last = Some(item.key.clone());
        self.pending.push_back(Event::Item(item));
    }

    fn judge(&mut self, listed: &DirEntry, key: &EntryKey) -> Verdict {
        if let Some(problem) = self.flaw_of_name(listed, key) {
            return Verdict::Leave(Reason::Problem(problem));
        }
        if self.options.excludes.excludes(&key.path, listed.file_type().is_dir()) {
            return Verdict::Leave(Reason::Excluded);
        }
        match self.look_at(listed, key) {
            Ok(stat) if stat.kind == ItemKind::Directory => self.judge_directory(key, stat),
            Ok(stat) => Verdict::Take(stat),
            Err(problem) => Verdict::Leave(Reason::Problem(problem)),
        }
    }

    fn flaw_of_name(&self, listed: &DirEntry, key: &EntryKey) -> Option<Problem> {
        if listed.file_name().len() > MAX_NAME_BYTES {
            Some(Problem::NameTooLong)
        } else if key.path.len() > MAX_PATH_BYTES {
            Some(Problem::PathTooLong)
        } else if self.last.as_ref().is_some_and(|last| last >= key) {
            Some(Problem::ListedTwice)
        } else {
            None
        }
    }

    fn look_at(&mut self, listed: &DirEntry, key: &EntryKey) -> Result<Stat, Problem> {
        let (parent, name) = split_last(&key.path);
        let stat = self.trail.dir(parent).and_then(|dir| Stat::of_name(dir, name));
        let stat = stat.map_err(Problem::from_io)?;
        if (stat.kind == ItemKind::Directory) == listed.file_type().is_dir() {
            Ok(stat)
        } else {
            Err(Problem::Replaced)
        }
    }

    fn judge_directory(&self, key: &EntryKey, stat: Stat) -> Verdict {
        if self.options.never_enter.contains(&(stat.device, stat.inode)) {
            Verdict::Leave(Reason::Own(Skipped::Own))
        } else if is_of_restore(split_last(&key.path).1) {
            Verdict::Leave(Reason::Own(Skipped::OfRestore))
        } else if self.options.same_file_system && stat.device != self.source.stat.device {
            Verdict::TakeOnly(stat, Skipped::OtherFileSystem)
        } else if self.options.exclude_caches && self.is_cache(&key.path) {
            Verdict::TakeOnly(stat, Skipped::Cache)
        } else {
            Verdict::Take(stat)
        }
    }

    /// The walker opens a directory before it names it; this closes the one that it named last.
    fn stay_out(&mut self, listed: &DirEntry) {
        if let Some(level) = self.levels.last_mut().filter(|_| listed.file_type().is_dir()) {
            level.walker.skip_current_dir();
        }
    }

    fn is_cache(&self, path: &[u8]) -> bool {
        let tag = [path, b"/", CACHE_TAG_NAME].concat();
        let Ok((file, _)) = self.source.open_regular(&tag) else { return false };
        let mut start = [0; CACHE_TAG_SIGNATURE.len()];
        matches!(rustix::io::pread(&file, &mut start, 0), Ok(len) if len == start.len())
            && start == CACHE_TAG_SIGNATURE
    }

    fn take_cache_tag(&mut self, path: &[u8]) {
        if let Ok(tag) = self.source.look(&[path, b"/", CACHE_TAG_NAME].concat()) {
            self.take(tag);
        }
    }

    /// Goes on with a walker of its own below a directory whose path has become long.
    fn rebase(&mut self, listed: &DirEntry, path: &[u8]) {
        if !listed.file_type().is_dir() || listed.path().as_os_str().len() <= REBASE_BYTES {
            return;
        }
        self.stay_out(listed);
        let (parent, name) = split_last(path);
        match self.trail.dir(parent).and_then(|dir| Ok(open_child_dir(dir, name)?)) {
            Ok(dir) => {
                let base = PathBuf::from(OsString::from_vec(proc_path(dir.as_fd(), None)));
                self.levels.push(Level::new(base, path.to_vec(), Some(dir)));
            }
            Err(error) => {
                let (key, problem) = (self.source.key(path), Problem::from_io(error));
                self.pending.push_back(Event::Problem { key, problem });
            }
        }
    }

    fn listing_failed(&mut self, error: walkdir::Error) -> Result<(), SourceError> {
        let path = match (error.path(), self.levels.last()) {
            (Some(path), Some(level)) => level.relative(path),
            // Reading on in a directory failed: the one where the walk is.
            _ => self.last.as_ref().map(|last| last.path.to_vec()).unwrap_or_default(),
        };
        let error = error.into_io_error().unwrap_or_else(|| io::Error::other("a loop of links"));
        if path.is_empty() {
            return Err(SourceError::Root { path: self.source.path.clone(), source: error });
        }
        let (key, problem) = (self.source.key(&path), Problem::from_io(error));
        self.pending.push_back(Event::Problem { key, problem });
        Ok(())
    }
}

fn is_of_restore(name: &[u8]) -> bool {
    [REPLACED_PREFIX, RESTORING_PREFIX].iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}
