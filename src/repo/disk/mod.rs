//! The file system as a repository needs it: a small trait, and the real one.
//!
//! Here live the primitive operations and nothing that combines them: how an
//! object is published, and what is done where an operation is refused, is the
//! local backend's (`repo::backend::local`). Not here: object names, formats,
//! ids.
//!
//! Invariant: an operation is durable only after the matching sync. Bytes of a
//! file need [`DiskFile::sync_data`]; a created, renamed or removed name needs
//! [`Disk::sync_dir`] on every directory concerned. The simulated disk of the
//! test kit drops whatever was not synced, so code that forgets a sync fails
//! its crash test.
//!
//! Paths are relative to the disk's root, components separated by `/`; the root
//! itself is the empty path.

use std::fmt;
use std::io;
use std::ops::Deref;

use rustix::io::Errno;

pub mod real;

/// Result of a disk operation.
pub type Result<T> = std::result::Result<T, DiskError>;

/// An operation that failed, the path it was on, and why.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path:?}: {source}")]
pub struct DiskError {
    /// What was attempted, as a verb; `link`, `make private`, `lock` and `map` decide how some errors are read.
    pub operation: &'static str,
    /// The path, relative to the disk's root.
    pub path: String,
    /// Why.
    pub source: io::Error,
}

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// The path does not exist.
    NotFound,
    /// The target exists.
    AlreadyExists,
    /// No space, or no quota, is left.
    NoSpace,
    /// The file system does not offer this operation (EINVAL, ENOTSUP, ENOSYS, ENOTTY, EPERM on chmod).
    Unsupported,
    /// The file system is read-only.
    ReadOnly,
    /// Permission is missing.
    PermissionDenied,
    /// The file ended before the wanted bytes.
    ShortRead,
    /// Anything else, EIO among it.
    Other,
}

impl DiskError {
    /// Wraps what the system said.
    pub fn new(operation: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        Self { operation, path: path.into(), source }
    }

    /// What a caller may branch on.
    pub fn kind(&self) -> DiskErrorKind {
        if self.is_refusal() {
            return DiskErrorKind::Unsupported;
        }
        match self.source.kind() {
            io::ErrorKind::NotFound => DiskErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::NoSpace,
            io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => DiskErrorKind::Unsupported,
            io::ErrorKind::ReadOnlyFilesystem => DiskErrorKind::ReadOnly,
            io::ErrorKind::PermissionDenied => DiskErrorKind::PermissionDenied,
            io::ErrorKind::UnexpectedEof => DiskErrorKind::ShortRead,
            _ => DiskErrorKind::Other,
        }
    }

    /// The ways to say "not offered" that the standard library files under something else, or nothing.
    fn is_refusal(&self) -> bool {
        match self.source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS) => true,
            // FAT and exFAT know neither links nor modes, and say that it is not permitted.
            Some(Errno::PERM) => matches!(self.operation, "link" | "make private"),
            // An NFS mount without its lock daemon.
            Some(Errno::NOLCK) => self.operation == "lock",
            Some(Errno::NODEV) => self.operation == "map",
            _ => false,
        }
    }
}

/// What is known of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes; meaningless for a directory.
    pub len: u64,
    /// True for a directory.
    pub is_dir: bool,
    /// Time of the last write or touch, nanoseconds since 1970.
    pub modified_ns: i64,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory.
    pub name: String,
    /// What is known of it.
    pub stat: Stat,
}

/// Room on the file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged writer may still use.
    pub available_bytes: u64,
    /// The whole file system.
    pub total_bytes: u64,
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Beside other shared holders.
    Shared,
    /// Alone.
    Exclusive,
}

/// Held while it lives. A dead holder holds nothing.
pub trait LockGuard: Send + Sync {}

/// The bytes of a whole file, mapped or owned.
pub trait Bytes: Deref<Target = [u8]> + Send + Sync {}

impl Bytes for Vec<u8> {}

/// A whole file's bytes.
pub type Mapped = Box<dyn Bytes>;

/// A file under construction: grows at its end, is never read through this handle.
pub trait DiskFile: Send {
    /// Writes all the bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes all bytes and the length durable. After a failure the file must be given up:
    /// the kernel may have marked the lost pages clean.
    fn sync_data(&mut self) -> Result<()>;

    /// Takes an exclusive lock on the file that lasts while the handle lives, wherever the file is
    /// renamed to. False when someone else holds one.
    fn lock(&mut self) -> Result<bool>;
}

/// The primitive operations. Every one can fail; none retries.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates one directory, private to the owner where the file system can say so.
    fn create_dir(&self, path: &str) -> Result<()>;

    /// Creates an empty file, 0600; refuses an existing name.
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>>;

    /// Renames a file or directory; refuses an existing target in one step (`renameat2(RENAME_NOREPLACE)`).
    fn rename_noreplace(&self, from: &str, to: &str) -> Result<()>;

    /// Gives a file a second name; refuses an existing one.
    fn hard_link(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file's name.
    fn unlink(&self, path: &str) -> Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> Result<()>;

    /// Makes the names of a directory durable.
    fn sync_dir(&self, path: &str) -> Result<()>;

    /// Fills the buffer from this offset; a file that ends before is [`DiskErrorKind::ShortRead`].
    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// The whole file. Only for files that nobody changes: repository objects.
    fn map(&self, path: &str) -> Result<Mapped>;

    /// What is known of a path; symlinks are not followed.
    fn stat(&self, path: &str) -> Result<Stat>;

    /// The names in a directory, in any order.
    fn list(&self, path: &str) -> Result<Vec<DirEntry>>;

    /// Sets a file's modification time to now.
    fn touch(&self, path: &str) -> Result<()>;

    /// Restricts a file (0600) or directory (0700) to its owner.
    fn make_private(&self, path: &str) -> Result<()>;

    /// Locks a file without waiting, creating it where needed; `None` when someone else holds it.
    /// Where the file cannot be opened for writing, a shared lock is taken on a read-only handle.
    fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>>;

    /// Room on the file system that holds the root.
    fn free_space(&self) -> Result<Space>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(operation: &'static str, errno: Errno) -> DiskErrorKind {
        DiskError::new(operation, "packs/a", errno.into()).kind()
    }

    #[test]
    fn refusals_are_told_from_failures() {
        for errno in [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOTTY] {
            assert_eq!(kind("sync directory", errno), DiskErrorKind::Unsupported, "{errno:?}");
        }
        assert_eq!(kind("sync directory", Errno::IO), DiskErrorKind::Other);
        assert_eq!(kind("sync directory", Errno::PERM), DiskErrorKind::PermissionDenied);
        assert_eq!(kind("link", Errno::PERM), DiskErrorKind::Unsupported);
        assert_eq!(kind("make private", Errno::PERM), DiskErrorKind::Unsupported);
        assert_eq!(kind("make private", Errno::ACCESS), DiskErrorKind::PermissionDenied);
        assert_eq!(kind("lock", Errno::NOLCK), DiskErrorKind::Unsupported);
        assert_eq!(kind("append", Errno::NOLCK), DiskErrorKind::Other);
        assert_eq!(kind("map", Errno::NODEV), DiskErrorKind::Unsupported);
    }

    #[test]
    fn a_quota_is_a_full_disk() {
        assert_eq!(kind("append", Errno::NOSPC), DiskErrorKind::NoSpace);
        assert_eq!(kind("append", Errno::DQUOT), DiskErrorKind::NoSpace);
        assert_eq!(kind("create", Errno::ROFS), DiskErrorKind::ReadOnly);
    }

    #[test]
    fn an_error_names_operation_path_and_cause() {
        let error = DiskError::new("append", "tmp/a/1", Errno::NOSPC.into());
        let text = error.to_string();
        assert!(text.starts_with("append \"tmp/a/1\": ") && text.contains("space"), "{text}");
    }
}
