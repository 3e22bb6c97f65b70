//! A backend in memory, with the contract of the local one.
//!
//! For tests of the layers above and for objects that need not outlive the
//! process. Locks exclude within the process; time is a counter, so that two
//! runs are alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::repo::backend::{Backend, BackendError, Key, ObjectInfo, Refusal, Result, Stage};
use crate::repo::disk::{Bytes, DiskError, LockGuard, LockMode, Mapped, Space};

use stage::MemoryStage;

mod stage;

const STAGES: &str = "tmp";

/// Objects as byte strings of this process; clones share them.
#[derive(Clone, Default)]
pub struct MemoryBackend {
    store: Arc<Shared>,
}

#[derive(Default)]
struct Shared(Mutex<Store>);

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Object>,
    directories: BTreeSet<String>,
    locks: BTreeMap<String, Holders>,
    /// Nanoseconds; grows by one with every change.
    clock: i64,
}

#[derive(Clone)]
struct Object {
    bytes: Arc<[u8]>,
    modified_ns: i64,
}

#[derive(Default)]
struct Holders {
    shared: usize,
    exclusive: bool,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.get()
    }
}

impl Shared {
    fn get(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn now(&mut self) -> i64 {
        self.clock += 1;
        self.clock
    }

    fn object(&self, key: &Key) -> Result<&Object> {
        self.objects.get(key.as_str()).ok_or_else(|| not_found(key))
    }

    /// As on a disk, an object needs its directory.
    fn require_directory(&self, key: &Key) -> Result<()> {
        let directory = key.directory();
        if directory.is_empty() || self.directories.contains(directory) {
            return Ok(());
        }
        Err(DiskError::new("create", key.as_str(), io::ErrorKind::NotFound.into()).into())
    }

    fn require_free(&self, key: &Key) -> Result<()> {
        if self.objects.contains_key(key.as_str()) || self.directories.contains(key.as_str()) {
            return Err(taken(key));
        }
        Ok(())
    }

    fn insert(&mut self, key: &Key, bytes: Arc<[u8]>) -> Result<()> {
        self.require_directory(key)?;
        let modified_ns = self.now();
        self.objects.insert(key.to_string(), Object { bytes, modified_ns });
        Ok(())
    }

    fn create_path(&mut self, directory: &str) {
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
        self.directories.extend(ends.map(|end| directory.split_at(end).0.to_owned()));
    }

    fn acquire(&mut self, key: &Key, mode: LockMode) -> bool {
        let holders = self.locks.entry(key.to_string()).or_default();
        let granted = !holders.exclusive && (mode == LockMode::Shared || holders.shared == 0);
        match mode {
            LockMode::Shared if granted => holders.shared += 1,
            LockMode::Exclusive if granted => holders.exclusive = true,
            _ => {}
        }
        granted
    }

    fn release(&mut self, path: &str, mode: LockMode) {
        let Some(holders) = self.locks.get_mut(path) else { return };
        match mode {
            LockMode::Shared => holders.shared = holders.shared.saturating_sub(1),
            LockMode::Exclusive => holders.exclusive = false,
        }
        if holders.shared == 0 && !holders.exclusive {
            self.locks.remove(path);
        }
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").field("objects", &self.store().objects.len()).finish()
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: &Key) -> Result<Vec<u8>> {
        Ok(self.store().object(key)?.bytes.to_vec())
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        let store = self.store();
        let bytes = &store.object(key)?.bytes;
        let end = offset.saturating_add(len as u64);
        let range =
            usize::try_from(offset).ok().and_then(|from| bytes.get(from..from.checked_add(len)?));
        match range {
            Some(range) => Ok(range.to_vec()),
            // Nothing is always there, wherever it would begin.
            None if len == 0 => Ok(Vec::new()),
            None => Err(BackendError::ShortObject { key: key.to_string(), end }),
        }
    }

    fn map(&self, key: &Key) -> Result<Mapped> {
        Ok(Box::new(Whole(Arc::clone(&self.store().object(key)?.bytes))))
    }

    fn stat(&self, key: &Key) -> Result<ObjectInfo> {
        let store = self.store();
        if store.directories.contains(key.as_str()) {
            return Ok(directory_info(key.name()));
        }
        Ok(info(key.name(), store.object(key)?))
    }

    fn list(&self, directory: &str) -> Result<Vec<ObjectInfo>> {
        let store = self.store();
        if store.objects.contains_key(directory) {
            return Err(
                DiskError::new("list", directory, io::ErrorKind::NotADirectory.into()).into()
            );
        }
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let within = |path: &str| {
            path.strip_prefix(&prefix).filter(|name| !name.contains('/')).map(str::to_owned)
        };
        let objects =
            store.objects.iter().filter_map(|(path, object)| Some(info(&within(path)?, object)));
        let directories =
            store.directories.iter().filter_map(|path| Some(directory_info(&within(path)?)));
        let mut listed: Vec<_> = objects.chain(directories).collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        let mut store = self.store();
        store.object(from)?;
        store.require_free(to)?;
        store.require_directory(to)?;
        if let Some(object) = store.objects.remove(from.as_str()) {
            store.objects.insert(to.to_string(), object);
        }
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.store().objects.remove(key.as_str()).map(drop).ok_or_else(|| not_found(key))
    }

    fn touch(&self, key: &Key) -> Result<()> {
        let mut store = self.store();
        let now = store.now();
        let object = store.objects.get_mut(key.as_str()).ok_or_else(|| not_found(key))?;
        object.modified_ns = now;
        Ok(())
    }

    fn sync(&self, directory: &str) -> Result<()> {
        if directory.is_empty() || self.store().directories.contains(directory) {
            return Ok(());
        }
        Err(DiskError::new("sync directory", directory, io::ErrorKind::NotFound.into()).into())
    }

    fn create_directories(&self, directories: &[&str]) -> Result<()> {
        let mut store = self.store();
        for directory in directories {
            store.create_path(directory);
        }
        Ok(())
    }

    fn remove_directory(&self, directory: &str) -> Result<()> {
        let mut store = self.store();
        let below = format!("{directory}/");
        let holds_any = store.objects.keys().any(|path| path.starts_with(&below))
            || store.directories.iter().any(|path| path.starts_with(&below));
        if holds_any || store.objects.contains_key(directory) {
            let kind = io::ErrorKind::DirectoryNotEmpty;
            return Err(DiskError::new("remove directory", directory, kind.into()).into());
        }
        store.directories.remove(directory);
        Ok(())
    }

    fn stage(&self, name: &str) -> Result<Box<dyn Stage>> {
        let directory = stage_directory(name)?;
        Ok(Box::new(MemoryStage::new(Arc::clone(&self.store), directory)))
    }

    fn sweep_stage(&self, name: &str) -> Result<bool> {
        Ok(self.store().directories.remove(&stage_directory(name)?))
    }

    fn lock(&self, key: &Key, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        let mut store = self.store();
        if !store.objects.contains_key(key.as_str()) {
            store.create_path(key.directory());
            store.insert(key, Arc::default())?;
        }
        let held =
            || Box::new(Held { store: Arc::clone(&self.store), path: key.to_string(), mode });
        Ok(store.acquire(key, mode).then(|| held() as Box<dyn LockGuard>))
    }

    fn free_space(&self) -> Result<Space> {
        Ok(Space { available_bytes: u64::MAX, total_bytes: u64::MAX })
    }

    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }
}

struct Whole(Arc<[u8]>);

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Bytes for Whole {}

struct Held {
    store: Arc<Shared>,
    path: String,
    mode: LockMode,
}

impl LockGuard for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.get().release(&self.path, self.mode);
    }
}

fn stage_directory(name: &str) -> Result<String> {
    match Key::new(name) {
        Some(key) if key.directory().is_empty() => Ok(format!("{STAGES}/{name}")),
        _ => Err(DiskError::new("stage", name, io::ErrorKind::InvalidFilename.into()).into()),
    }
}

fn info(name: &str, object: &Object) -> ObjectInfo {
    let len = object.bytes.len() as u64;
    ObjectInfo { name: name.to_owned(), len, modified_ns: object.modified_ns, is_dir: false }
}

fn directory_info(name: &str) -> ObjectInfo {
    ObjectInfo { name: name.to_owned(), len: 0, modified_ns: 0, is_dir: true }
}

fn not_found(key: &Key) -> BackendError {
    BackendError::NotFound { key: key.to_string() }
}

fn taken(key: &Key) -> BackendError {
    BackendError::AlreadyExists { key: key.to_string() }
}
