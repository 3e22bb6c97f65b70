//! A dumb store of named, immutable objects, and the staging area through which
//! objects get their names.
//!
//! Here live the [`Backend`] contract, the backend over a [`Disk`](crate::repo::disk::Disk)
//! and one in memory. Not here: what objects contain, what their names mean.
//!
//! Invariant: an object that a reader can see under its final name is complete
//! and durable. Writers stage objects; only a [`Stage::barrier`] publishes
//! them, all bytes first, then all names, then all directories. Nothing is ever
//! overwritten.

use std::fmt;

use crate::repo::disk::{DiskError, DiskErrorKind, LockGuard, LockMode, Mapped, Space};

pub mod local;
pub mod memory;

/// Result of a backend operation.
pub type Result<T> = std::result::Result<T, BackendError>;

/// Where an object lives: one or two directory names and a name, separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// A key from its text; `None` unless every component is made of `a-z 0-9 . -` and does not begin with a dot.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let component = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        };
        text.split('/').all(component).then_some(Self(text))
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory part, without a trailing slash; empty for an object at the top.
    pub fn directory(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an operation on an object failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No object has this name.
    #[error("{key}: no such object")]
    NotFound {
        /// The wanted name.
        key: String,
    },
    /// The name is taken.
    #[error("{key}: an object of this name exists")]
    AlreadyExists {
        /// The name.
        key: String,
    },
    /// The object is shorter than the wanted range.
    #[error("{key}: the object ends before byte {end}")]
    ShortObject {
        /// The object.
        key: String,
        /// One past the last wanted byte.
        end: u64,
    },
    /// A write, sync or listing of this stage failed before; nothing it holds can be published any more.
    #[error("an earlier write of this session failed; it cannot publish anything more")]
    Poisoned,
    /// The storage said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl BackendError {
    /// True when the storage is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Disk(error) if error.kind() == DiskErrorKind::NoSpace)
    }

    /// True when no object has the name.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The last component of its key.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    /// Time of the last write or touch, nanoseconds since 1970.
    pub modified_ns: i64,
    /// A directory (only `tmp/` and `trash/` hold any).
    pub is_dir: bool,
}

/// A promise that this storage cannot keep, said once per run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Directories cannot be synced: a power loss may take the newest snapshot.
    DirectorySync,
    /// Neither atomic rename without replace nor hard links: a crash may leave an incomplete object under a final name; check finds it.
    AtomicPublish,
    /// Files cannot be made private: others may read the repository.
    Private,
    /// Locks are refused: two programs at once are not kept apart.
    Locks,
}

/// The operations on published objects.
pub trait Backend: Send + Sync + fmt::Debug {
    /// All bytes of an object.
    fn get(&self, key: &Key) -> Result<Vec<u8>>;

    /// Exactly `len` bytes from `offset`; never fewer.
    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// All bytes of an object without copying them, where that is possible.
    fn map(&self, key: &Key) -> Result<Mapped>;

    /// What is known of one object.
    fn stat(&self, key: &Key) -> Result<ObjectInfo>;

    /// The objects of a directory, sorted by name. A directory that does not exist is empty; any other failure is an error,
    /// never an empty list.
    fn list(&self, directory: &str) -> Result<Vec<ObjectInfo>>;

    /// Gives an object another name; refuses a taken one. Durable after [`Backend::sync`] on both directories.
    fn rename(&self, from: &Key, to: &Key) -> Result<()>;

    /// Removes an object. A missing one is an error. Durable after [`Backend::sync`].
    fn delete(&self, key: &Key) -> Result<()>;

    /// Sets an object's time to now.
    fn touch(&self, key: &Key) -> Result<()>;

    /// Makes all names of a directory durable, whoever made them.
    fn sync(&self, directory: &str) -> Result<()>;

    /// Creates the directories of a new store; existing ones are fine. Durable on return.
    fn create_directories(&self, directories: &[&str]) -> Result<()>;

    /// Removes an empty directory; one that is gone already is fine, one that holds anything is an error.
    fn remove_directory(&self, directory: &str) -> Result<()>;

    /// A private area in which objects grow until a barrier names them. `name` is unique to the writer.
    fn stage(&self, name: &str) -> Result<Box<dyn Stage>>;

    /// Removes all that is left of a stage. The caller knows that its writer is dead (its session's lock is free): this asks nobody.
    /// Returns whether anything was there.
    fn sweep_stage(&self, name: &str) -> Result<bool>;

    /// Takes a lock without waiting; `None` when someone else holds it.
    fn lock(&self, key: &Key, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>>;

    /// Room that is left.
    fn free_space(&self) -> Result<Space>;

    /// What this storage has refused so far, each once, in order.
    fn refusals(&self) -> Vec<Refusal>;
}

/// An object that grows. Dropped unfinished, it leaves nothing behind.
pub trait Upload: Send {
    /// Adds bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Names the object; it appears at its stage's next barrier. A name that is staged twice, or exists, is refused.
    fn finish(self: Box<Self>, key: &Key) -> Result<()>;

    /// Exactly `len` of the bytes so far, from `offset`, as the storage gives them back. A failure poisons nothing.
    fn read_back(&self, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// Bytes so far.
    fn len(&self) -> u64;

    /// True while nothing was added.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One writer's staging area. After any failed operation it is poisoned: every later one fails. (A taken name, when an object is
/// finished or announced, is an answer and poisons nothing; one that another writer takes before the barrier does, unless it holds
/// the same bytes.)
///
/// Dropping it removes what was not published; what was published stays.
pub trait Stage: Send + Sync {
    /// Begins an object that has no name yet.
    fn create(&self) -> Result<Box<dyn Upload>>;

    /// Stages a whole object.
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let mut upload = self.create()?;
        upload.append(bytes)?;
        upload.finish(key)
    }

    /// Exactly `len` bytes from `offset` of an object that is finished and has no name yet, as the storage gives them back. A failure
    /// poisons nothing.
    fn read_back(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// Makes every finished object durable, gives all of them their names, makes the names durable.
    fn barrier(&self) -> Result<()>;

    /// Publishes a marker at once, holding an exclusive lock on it while this stage lives; it is durable after the next barrier.
    fn announce(&self, key: &Key, bytes: &[u8]) -> Result<()>;
}
