//! The repository on a real file system.
//!
//! Here live the system calls, one for each operation of [`Disk`], relative to
//! the root's descriptor, so that a repository keeps working when a directory
//! above it is renamed. Not here: fallbacks for what a file system refuses;
//! those are the local backend's.
//!
//! Invariant: no call is repeated after a failure, except one that a signal
//! interrupted. Files are made 0600 and directories 0700; nothing is ever
//! opened through a symbolic link in its last component, and opening never
//! waits (a FIFO in the place of an object must not hang a check).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW,
};
use rustix::io::{Errno, retry_on_intr};

use crate::repo::disk::{
    DirEntry, Disk, DiskError, DiskErrorKind, DiskFile, LockGuard, LockMode, Mapped, Result, Space,
    Stat,
};

use file::{RealFile, RealLock, granted};
use kept::KeptFiles;

mod file;
mod kept;
mod map;

const PRIVATE_FILE: Mode = Mode::from_raw_mode(0o600);
const PRIVATE_DIR: Mode = Mode::from_raw_mode(0o700);
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const READ_DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory of a real file system as a [`Disk`].
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
    root_path: PathBuf,
    kept: KeptFiles,
}

impl RealDisk {
    /// Opens the directory that is the disk's root; it must exist.
    pub fn open(root: &Path) -> Result<Self> {
        let wrap = |source: io::Error| DiskError::new("open", root.to_string_lossy(), source);
        let fd = retry_on_intr(|| rustix::fs::openat(CWD, root, READ_DIR, Mode::empty()))
            .map_err(|e| wrap(e.into()))?;
        // Absolute, because free space is asked by path and the working directory may change.
        let root_path = std::path::absolute(root).map_err(wrap)?;
        Ok(Self { root: fd, root_path, kept: KeptFiles::default() })
    }

    /// Opens a root for a new repository: creates it where it is missing, durably, and makes an empty one private.
    /// Missing parents are not created: a mistyped path must not become a repository.
    pub fn create(root: &Path) -> Result<Self> {
        let wrap =
            |operation| move |source| DiskError::new(operation, root.to_string_lossy(), source);
        match std::fs::DirBuilder::new().mode(PRIVATE_DIR.as_raw_mode()).create(root) {
            Ok(()) => sync_parent(root).map_err(wrap("sync the directory above"))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrap("create")(error)),
        }
        let disk = Self::open(root)?;
        if disk.list("")?.is_empty() {
            // A refusal is met and recorded again by whoever creates the directories beneath.
            let _refused = disk.make_private("");
        }
        Ok(disk)
    }

    fn open_at(&self, operation: &'static str, path: &str, flags: OFlags) -> Result<File> {
        let relative = relative(operation, path)?;
        retry_on_intr(|| rustix::fs::openat(&self.root, relative, flags, PRIVATE_FILE))
            .map(File::from)
            .map_err(|errno| failed(operation, path, errno))
    }

    fn stat_at(&self, operation: &'static str, path: &str) -> Result<rustix::fs::Stat> {
        let relative = relative(operation, path)?;
        rustix::fs::statat(&self.root, relative, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| failed(operation, path, errno))
    }

    /// One of the calls that take two paths.
    fn two(
        &self,
        operation: &'static str,
        from: &str,
        to: &str,
        call: impl Fn(&OwnedFd, &str, &str) -> rustix::io::Result<()>,
    ) -> Result<()> {
        let (old, new) = (relative(operation, from)?, relative(operation, to)?);
        call(&self.root, old, new).map_err(|errno| {
            DiskError::new(operation, format!("{from} -> {to}"), io::Error::from(errno))
        })
    }

    fn open_lock(&self, path: &str, mode: LockMode) -> Result<File> {
        let write =
            OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self.open_at("lock", path, write) {
            Err(error)
                if mode == LockMode::Shared
                    && matches!(
                        error.kind(),
                        DiskErrorKind::ReadOnly | DiskErrorKind::PermissionDenied
                    ) =>
            {
                // The first error says why: that the file is missing, too, is only its consequence.
                self.open_at("lock", path, READ).map_err(|_| error)
            }
            other => other,
        }
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &str) -> Result<()> {
        let relative = relative("create directory", path)?;
        rustix::fs::mkdirat(&self.root, relative, PRIVATE_DIR)
            .map_err(|errno| failed("create directory", path, errno))
    }

    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC;
        let file = self.open_at("create", path, flags)?;
        Ok(Box::new(RealFile::new(file, path)))
    }

    fn rename_noreplace(&self, from: &str, to: &str) -> Result<()> {
        self.two("rename", from, to, |root, old, new| {
            rustix::fs::renameat_with(root, old, root, new, RenameFlags::NOREPLACE)
        })?;
        self.kept.forget(from);
        Ok(())
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.two("link", from, to, |root, old, new| {
            rustix::fs::linkat(root, old, root, new, AtFlags::empty())
        })
    }

    fn unlink(&self, path: &str) -> Result<()> {
        let relative = relative("remove", path)?;
        rustix::fs::unlinkat(&self.root, relative, AtFlags::empty())
            .map_err(|errno| failed("remove", path, errno))?;
        self.kept.forget(path);
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        let relative = relative("remove directory", path)?;
        rustix::fs::unlinkat(&self.root, relative, AtFlags::REMOVEDIR)
            .map_err(|errno| failed("remove directory", path, errno))
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        let directory = self.open_at("sync directory", path, READ_DIR)?;
        retry_on_intr(|| rustix::fs::fsync(&directory)).map_err(|errno| match errno {
            // SMB servers answer so for a directory that is open and exists: it means "not offered".
            Errno::NOENT => failed("sync directory", path, Errno::OPNOTSUPP),
            other => failed("sync directory", path, other),
        })
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let file = self.kept.open(path, || self.open_at("read", path, READ))?;
        // No file is longer than this; the system would call such an offset an invalid argument, not the end.
        let reachable =
            offset.checked_add(buffer.len() as u64).is_some_and(|end| i64::try_from(end).is_ok());
        let read = match reachable {
            _ if buffer.is_empty() => Ok(()),
            true => file.read_exact_at(buffer, offset),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|source| {
            // Whoever tries again shall not meet what was wrong with this handle only.
            self.kept.forget(path);
            DiskError::new("read", path, source)
        })
    }

    fn map(&self, path: &str) -> Result<Mapped> {
        let file = self.open_at("map", path, READ)?;
        map::whole(&file).map_err(|source| DiskError::new("map", path, source))
    }

    fn stat(&self, path: &str) -> Result<Stat> {
        self.stat_at("stat", path).map(|stat| narrow(&stat))
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        let directory = self.open_at("list", path, READ_DIR)?;
        let wrap = |errno| failed("list", path, errno);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory).map_err(wrap)? {
            let entry = entry.map_err(wrap)?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            match rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                // A name that is not UTF-8 is not ours; the listing still shows that it is there.
                Ok(stat) => entries.push(DirEntry {
                    name: entry.file_name().to_string_lossy().into_owned(),
                    stat: narrow(&stat),
                }),
                // Another process moved it since.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(wrap(errno)),
            }
        }
        Ok(entries)
    }

    fn touch(&self, path: &str) -> Result<()> {
        let relative = relative("touch", path)?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(&self.root, relative, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| failed("touch", path, errno))
    }

    fn make_private(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "make private";
        let before = self.stat_at(OPERATION, path)?;
        let mode = if narrow(&before).is_dir { PRIVATE_DIR } else { PRIVATE_FILE };
        rustix::fs::chmodat(&self.root, relative(OPERATION, path)?, mode, AtFlags::empty())
            .map_err(|errno| failed(OPERATION, path, errno))?;
        // Some file systems accept chmod and keep the mode that they were mounted with.
        let after = Mode::from_raw_mode(self.stat_at(OPERATION, path)?.st_mode);
        if after.intersects(Mode::RWXG | Mode::RWXO) {
            return Err(failed(OPERATION, path, Errno::OPNOTSUPP));
        }
        Ok(())
    }

    fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        let file = self.open_lock(path, mode)?;
        // By full path: the standard library has methods of these names with another result.
        let taken = match mode {
            LockMode::Shared => fs2::FileExt::try_lock_shared(&file),
            LockMode::Exclusive => fs2::FileExt::try_lock_exclusive(&file),
        };
        Ok(granted(taken, path)?.then(|| Box::new(RealLock::new(file)) as Box<dyn LockGuard>))
    }

    fn free_space(&self) -> Result<Space> {
        let wrap = |source| DiskError::new("ask for free space", "", source);
        Ok(Space {
            available_bytes: fs2::available_space(&self.root_path).map_err(wrap)?,
            total_bytes: fs2::total_space(&self.root_path).map_err(wrap)?,
        })
    }
}

fn failed(operation: &'static str, path: &str, errno: Errno) -> DiskError {
    DiskError::new(operation, path, io::Error::from(errno))
}

/// The path as the system wants it, after a proof that it stays beneath the root.
fn relative<'a>(operation: &'static str, path: &'a str) -> Result<&'a str> {
    let stays = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    match path {
        "" => Ok("."),
        path if path.split('/').all(stays) => Ok(path),
        _ => Err(DiskError::new(operation, path, io::ErrorKind::InvalidFilename.into())),
    }
}

fn narrow(stat: &rustix::fs::Stat) -> Stat {
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Stat {
        len: u64::try_from(stat.st_size).unwrap_or(0),
        is_dir: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        modified_ns: stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanoseconds),
    }
}

fn sync_parent(root: &Path) -> io::Result<()> {
    let parent = match root.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match File::open(parent)?.sync_all() {
        // The backend meets the same refusal inside the repository, and records it.
        Err(error)
            if DiskError::new("sync directory", "", clone_of(&error)).kind()
                == DiskErrorKind::Unsupported =>
        {
            Ok(())
        }
        other => other,
    }
}

fn clone_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
