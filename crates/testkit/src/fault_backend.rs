//! A backend that fails when it is told to and counts what is asked of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder::repo::backend::{
    Backend, BackendError, Key, ObjectInfo, Refusal, Result, Stage, Upload,
};
use larder::repo::disk::{DiskError, LockGuard, LockMode, Mapped, Space};

/// What can be asked of a backend, a stage or an upload.
#[expect(missing_docs, reason = "each is the method of its name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    GetRange,
    Map,
    Stat,
    List,
    Rename,
    Delete,
    Touch,
    Sync,
    CreateDirectories,
    RemoveDirectory,
    Stage,
    SweepStage,
    Lock,
    FreeSpace,
    Create,
    Append,
    Finish,
    Barrier,
    Announce,
}

/// Counters and plans, shared by a backend's stages and uploads.
#[derive(Debug, Default)]
struct Ledger(Mutex<Page>);

#[derive(Debug, Default)]
struct Page {
    calls: u64,
    counts: BTreeMap<Verb, u64>,
    bytes_read: u64,
    bytes_written: u64,
    plans: Vec<Plan>,
}

#[derive(Debug)]
struct Plan {
    /// Counts calls of this verb, or all.
    verb: Option<Verb>,
    at: u64,
    kind: io::ErrorKind,
    fired: bool,
}

impl Ledger {
    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; fails it where that is planned.
    fn enter(&self, verb: Verb, subject: &str) -> Result<()> {
        let mut page = self.page();
        let of_all = page.calls;
        page.calls += 1;
        let count = page.counts.entry(verb).or_default();
        let of_verb = *count;
        *count += 1;
        let strikes = |plan: &&mut Plan| match plan.verb {
            None => plan.at == of_all,
            Some(planned) => planned == verb && plan.at == of_verb,
        };
        match page.plans.iter_mut().find(strikes) {
            Some(plan) => {
                plan.fired = true;
                Err(DiskError::new("fail as planned", subject, plan.kind.into()).into())
            }
            None => Ok(()),
        }
    }

    fn read(&self, bytes: usize) {
        self.page().bytes_read += bytes as u64;
    }
}

/// Another backend, with planned failures and counters. Clones share them.
#[derive(Debug, Clone)]
pub struct FaultBackend {
    backend: Arc<dyn Backend>,
    ledger: Arc<Ledger>,
}

impl FaultBackend {
    /// This backend, without failures so far.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, ledger: Arc::default() }
    }

    /// The n-th call (from 0, counted from the backend's beginning or the last reset) fails, once.
    pub fn fail_call(&self, n: u64, kind: io::ErrorKind) {
        self.ledger.page().plans.push(Plan { verb: None, at: n, kind, fired: false });
    }

    /// The n-th call of this verb (from 0) fails, once.
    pub fn fail_verb(&self, verb: Verb, n: u64, kind: io::ErrorKind) {
        self.ledger.page().plans.push(Plan { verb: Some(verb), at: n, kind, fired: false });
    }

    /// True when every planned failure has happened, and there was one.
    pub fn fired(&self) -> bool {
        let page = self.ledger.page();
        !page.plans.is_empty() && page.plans.iter().all(|plan| plan.fired)
    }

    /// Forgets counts and plans.
    pub fn reset(&self) {
        *self.ledger.page() = Page::default();
    }

    /// Calls so far, failed ones included.
    pub fn calls(&self) -> u64 {
        self.ledger.page().calls
    }

    /// Calls of this verb so far, failed ones included.
    pub fn count(&self, verb: Verb) -> u64 {
        self.ledger.page().counts.get(&verb).copied().unwrap_or(0)
    }

    /// Bytes that reads returned; a mapping counts whole.
    pub fn bytes_read(&self) -> u64 {
        self.ledger.page().bytes_read
    }

    /// Bytes that were appended or announced.
    pub fn bytes_written(&self) -> u64 {
        self.ledger.page().bytes_written
    }

    fn enter(&self, verb: Verb, subject: &str) -> Result<()> {
        self.ledger.enter(verb, subject)
    }
}

impl Backend for FaultBackend {
    fn get(&self, key: &Key) -> Result<Vec<u8>> {
        self.enter(Verb::Get, key.as_str())?;
        self.backend.get(key).inspect(|bytes| self.ledger.read(bytes.len()))
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.enter(Verb::GetRange, key.as_str())?;
        self.backend.get_range(key, offset, len).inspect(|bytes| self.ledger.read(bytes.len()))
    }

    fn map(&self, key: &Key) -> Result<Mapped> {
        self.enter(Verb::Map, key.as_str())?;
        self.backend.map(key).inspect(|bytes| self.ledger.read(bytes.len()))
    }

    fn stat(&self, key: &Key) -> Result<ObjectInfo> {
        self.enter(Verb::Stat, key.as_str())?;
        self.backend.stat(key)
    }

    fn list(&self, directory: &str) -> Result<Vec<ObjectInfo>> {
        self.enter(Verb::List, directory)?;
        self.backend.list(directory)
    }

    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        self.enter(Verb::Rename, from.as_str())?;
        self.backend.rename(from, to)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.enter(Verb::Delete, key.as_str())?;
        self.backend.delete(key)
    }

    fn touch(&self, key: &Key) -> Result<()> {
        self.enter(Verb::Touch, key.as_str())?;
        self.backend.touch(key)
    }

    fn sync(&self, directory: &str) -> Result<()> {
        self.enter(Verb::Sync, directory)?;
        self.backend.sync(directory)
    }

    fn create_directories(&self, directories: &[&str]) -> Result<()> {
        self.enter(Verb::CreateDirectories, directories.first().unwrap_or(&""))?;
        self.backend.create_directories(directories)
    }

    fn remove_directory(&self, directory: &str) -> Result<()> {
        self.enter(Verb::RemoveDirectory, directory)?;
        self.backend.remove_directory(directory)
    }

    fn stage(&self, name: &str) -> Result<Box<dyn Stage>> {
        self.enter(Verb::Stage, name)?;
        let stage = self.backend.stage(name)?;
        Ok(Box::new(FaultStage { stage, ledger: Arc::clone(&self.ledger), poison: Arc::default() }))
    }

    fn sweep_stage(&self, name: &str) -> Result<bool> {
        self.enter(Verb::SweepStage, name)?;
        self.backend.sweep_stage(name)
    }

    fn lock(&self, key: &Key, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        self.enter(Verb::Lock, key.as_str())?;
        self.backend.lock(key, mode)
    }

    fn free_space(&self) -> Result<Space> {
        self.enter(Verb::FreeSpace, "")?;
        self.backend.free_space()
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.backend.refusals()
    }
}

/// Poisons what it wraps from the outside: the inner stage never saw the planned failure.
#[derive(Default)]
struct Poison(AtomicBool);

impl Poison {
    fn enter(&self, ledger: &Ledger, verb: Verb, subject: &str) -> Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(BackendError::Poisoned);
        }
        ledger.enter(verb, subject).inspect_err(|_| self.0.store(true, Ordering::Release))
    }
}

struct FaultStage {
    stage: Box<dyn Stage>,
    ledger: Arc<Ledger>,
    poison: Arc<Poison>,
}

impl Stage for FaultStage {
    fn create(&self) -> Result<Box<dyn Upload>> {
        self.poison.enter(&self.ledger, Verb::Create, "")?;
        let upload = self.stage.create()?;
        let (ledger, poison) = (Arc::clone(&self.ledger), Arc::clone(&self.poison));
        Ok(Box::new(FaultUpload { upload, ledger, poison }))
    }

    fn read_back(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.stage.read_back(key, offset, len)
    }

    fn barrier(&self) -> Result<()> {
        self.poison.enter(&self.ledger, Verb::Barrier, "")?;
        self.stage.barrier()
    }

    fn announce(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.poison.enter(&self.ledger, Verb::Announce, key.as_str())?;
        self.ledger.page().bytes_written += bytes.len() as u64;
        self.stage.announce(key, bytes)
    }
}

struct FaultUpload {
    upload: Box<dyn Upload>,
    ledger: Arc<Ledger>,
    poison: Arc<Poison>,
}

impl Upload for FaultUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.poison.enter(&self.ledger, Verb::Append, "")?;
        self.ledger.page().bytes_written += bytes.len() as u64;
        self.upload.append(bytes)
    }

    fn finish(self: Box<Self>, key: &Key) -> Result<()> {
        self.poison.enter(&self.ledger, Verb::Finish, key.as_str())?;
        self.upload.finish(key)
    }

    fn read_back(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.upload.read_back(offset, len)
    }

    fn len(&self) -> u64 {
        self.upload.len()
    }
}
