//! One writer's session: blobs in, packs and segments out, one commit.
//!
//! Here live deduplication, the growing packs, the barriers between them and
//! the commit. Not here: what the blobs mean.
//!
//! Invariant: packs, barrier, segment, barrier, everything used is present,
//! record, barrier. A snapshot's name is given to the caller only after the
//! last of these. Any failed write poisons the session: nothing it holds is
//! published any more, and what earlier barriers published stays for the next
//! session to find.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::Durable;
use crate::codec::pack::PackClass;
use crate::codec::session::SessionRecord;
use crate::host::Host;
use crate::id::{BlobId, BlobType, Check, SessionId};
use crate::repo::backend::{BackendError, Stage};
use crate::repo::blobs::{BlobWrite, NewBlob, Put};
use crate::repo::compress::{compress, decompress};
use crate::repo::disk::DiskError;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::facts::Facts;
use crate::repo::layout;
use crate::repo::locks::{Held, share_repository_for_source};
use crate::repo::pack::read::read;
use crate::repo::pack::write::{OpenPack, Payload, Writer};
use crate::repo::read::Reader;
use crate::repo::repository::Repository;
use crate::repo::space::MinFree;

mod commit;
mod growth;
mod known;
mod sweep;

use growth::{Failure, Growth, Stored};
use known::Known;

pub use commit::Committed;

/// A barrier is made at the latest after so many stored bytes, ...
const BARRIER_BYTES: u64 = 1 << 30;

/// ... or so much time, so that an interrupted first backup is found and reused.
const BARRIER_NS: i64 = 60_000_000_000;

/// ... or so many blobs, whose places are kept in memory until then.
const BARRIER_BLOBS: usize = 1 << 18;

/// Room on the disk is asked for in steps of so many bytes.
const ROOM_STEP_BYTES: u64 = 8 << 20;

/// What a blob costs beside its payload: its lines in trailer and segment.
const BLOB_OVERHEAD_BYTES: u64 = 192;

/// What a pack costs beside its blobs: header, footer, and the pages of a segment that are not full.
const PACK_OVERHEAD_BYTES: u64 = 64 << 10;

/// What a session added to its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// Blobs.
    pub blobs: u64,
    /// Bytes of their plaintexts.
    pub plain_bytes: u64,
    /// Bytes that they take.
    pub stored_bytes: u64,
}

/// Removes what dead writers left unfinished, and takes the locks of a session: nobody else writes this source while they are held.
/// Snapshots and facts that the session goes by are to be read after this.
pub fn claim_source(repository: &Repository, source: &str) -> Result<Held> {
    sweep::sweep_dead_stages(repository.backend())?;
    share_repository_for_source(repository.backend(), source)
}

/// A writer at work. Dropped without commit, it leaves what its barriers published, and its marker if that is anything.
pub struct Session<'r> {
    repository: &'r Repository,
    host: &'r dyn Host,
    id: SessionId,
    min_free: MinFree,
    stage: Box<dyn Stage>,
    known: Known,
    growth: Mutex<Growth>,
    facts: &'r Facts,
    _held: Held,
}

impl<'r> Session<'r> {
    /// Looks at what is there. Writing leaves free what `min_free` says.
    pub fn begin(
        repository: &'r Repository,
        facts: &'r Facts,
        held: Held,
        min_free: MinFree,
        host: &'r dyn Host,
    ) -> Result<Self> {
        facts.allow_writing()?;
        let backend = repository.backend();
        repository.heal_directories()?;
        repository.heal_config(host)?;
        let known = Known::load(repository, facts)?;
        let mut id = [0; SessionId::LEN];
        host.fill_random(&mut id);
        let id = SessionId::from_bytes(id);
        let stage = backend.stage(&id.to_string())?;
        let growth = Mutex::new(Growth::new(host.now_ns()));
        Ok(Self { repository, host, id, min_free, stage, known, growth, facts, _held: held })
    }

    /// Reads what was there when the session began. What cannot be read is not deduplicated against from then on.
    pub fn reader(&self) -> Reader<'r> {
        let Known { index, distrusted, .. } = &self.known;
        Reader::over(self.repository, Arc::clone(index), Arc::clone(distrusted))
    }

    /// Damage for which blobs that the repository should have were stored again; each is returned once.
    pub fn take_damage(&self) -> Vec<Damage> {
        self.known.take_damage()
    }

    /// What was added so far.
    pub fn added(&self) -> Added {
        self.growth().added
    }

    /// Makes everything that was put durable and findable, without a snapshot. An interrupted backup calls it so that the next one
    /// need not read the same files again.
    pub fn keep(&self) -> Result<()> {
        let mut growth = self.growth();
        self.guarded(&mut growth, Self::publish)
    }

    fn growth(&self) -> MutexGuard<'_, Growth> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a step that writes. After a failure every later step fails: what is half written must not be built upon. A refusal for want
    /// of room is not a failed write: what is finished may still be kept within the reserve.
    fn guarded<T>(
        &self,
        growth: &mut Growth,
        step: impl FnOnce(&Self, &mut Growth) -> Result<T>,
    ) -> Result<T> {
        match growth.failure {
            None => {}
            Some(Failure::DiskFull) => return Err(self.still_full()),
            Some(Failure::Other) => return Err(BackendError::Poisoned.into()),
        }
        let result = step(self, growth);
        growth.failure = match &result {
            Ok(_) | Err(RepoError::NoSpace { .. }) => None,
            Err(error) if error.is_no_space() => Some(Failure::DiskFull),
            Err(_) => Some(Failure::Other),
        };
        result
    }

    /// What other threads hear after one of them met a full disk: whichever error comes first, it says why.
    fn still_full(&self) -> RepoError {
        let full = std::io::ErrorKind::StorageFull.into();
        BackendError::Disk(DiskError::new("go on writing", self.id.to_string(), full)).into()
    }

    /// Appends an encoded blob to the open pack of its class.
    fn append(&self, growth: &mut Growth, class: PackClass, payload: &Payload<'_>) -> Result<()> {
        let begins = !growth.has_open(class);
        let pack_bytes = if begins { PACK_OVERHEAD_BYTES } else { 0 };
        self.make_room(growth, payload.stored.len() as u64 + BLOB_OVERHEAD_BYTES + pack_bytes)?;
        if begins {
            let pack = self.begin_pack(growth, class)?;
            growth.open(class, pack);
        }
        if growth.append(class, payload)? {
            growth.seal(class, self.repository.keys())?;
        }
        if growth.barrier_is_due(self.host.now_ns()) {
            self.publish(growth)?;
        }
        Ok(())
    }

    /// Asks before writing whether the reserve stays free, trailers and segment of all that was written included.
    fn make_room(&self, growth: &mut Growth, bytes: u64) -> Result<()> {
        if growth.room_bytes < bytes {
            let step = bytes.max(ROOM_STEP_BYTES);
            let unwritten = growth.promised_bytes();
            self.min_free.allow_on(self.repository.backend(), step.saturating_add(unwritten))?;
            growth.room_bytes = step;
        }
        growth.room_bytes -= bytes;
        Ok(())
    }

    fn begin_pack(&self, growth: &mut Growth, class: PackClass) -> Result<OpenPack> {
        self.announce(growth)?;
        let mut salt = [0; 32];
        self.host.fill_random(&mut salt);
        let (keys, repository) = (self.repository.keys(), *self.repository.id());
        OpenPack::begin(
            self.stage.create()?,
            class,
            Writer { keys, repository, session: self.id },
            salt,
        )
    }

    /// Says who is writing, before the first pack: whoever finds a pack of an unfinished session can tell whose it is.
    fn announce(&self, growth: &mut Growth) -> Result<()> {
        if growth.announced {
            return Ok(());
        }
        let record = SessionRecord {
            session: self.id,
            host: self.host.name(),
            pid: self.host.pid(),
            command: SessionRecord::shortened(self.host.command()),
            since_ns: self.host.now_ns(),
            extensions: Vec::new(),
        };
        self.stage
            .announce(&layout::session(&self.id), &record.encode().map_err(RepoError::Encode)?)?;
        growth.announced = true;
        Ok(())
    }
}

/// A marker stays where packs were published: what it names is the beginning of a backup, for the next one to use.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        let growth = self.growth.get_mut().unwrap_or_else(PoisonError::into_inner);
        if growth.announced && !growth.published {
            let _best_effort = self.repository.backend().delete(&layout::session(&self.id));
        }
    }
}

impl BlobWrite for Session<'_> {
    fn put(&self, blob: NewBlob<'_>) -> Result<Put> {
        let keys = self.repository.keys();
        let id = keys.blob_id(blob.blob_type, blob.plain);
        if self.has(blob.blob_type, &id)? {
            return Ok(Put { id, stored_len: None });
        }
        let frame = compress(blob.plain, blob.compression);
        let payload = encoded(blob, id, frame.as_deref(), keys);
        let mut growth = self.growth();
        // Another thread may have stored the same bytes while this one compressed them.
        if growth.holds(blob.blob_type, &id) {
            return Ok(Put { id, stored_len: None });
        }
        self.guarded(&mut growth, |session, growth| session.append(growth, blob.class, &payload))?;
        Ok(Put { id, stored_len: Some(u32::try_from(payload.stored.len()).unwrap_or(u32::MAX)) })
    }

    fn has(&self, blob_type: BlobType, id: &BlobId) -> Result<bool> {
        Ok(self.known.has(blob_type, id) || self.growth().holds(blob_type, id))
    }

    fn read_back(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Vec<u8>>> {
        let lost = |reason: &str| {
            let object = format!("{blob_type:?} blob {id}");
            RepoError::from(Damage::Object { object, reason: reason.to_owned() })
        };
        let fresh = self.growth().read_back(&*self.stage, (blob_type, id))?;
        let stored = if let Some(stored) = fresh {
            stored
        } else {
            let place = self.known.find(blob_type, id).ok_or_else(|| lost("was not stored"))?;
            let (backend, len) = (self.repository.backend(), place.stored_len as usize);
            let bytes = read(backend, &place.pack, place.offset, len)?;
            Stored { bytes, encoding: place.encoding, plain_len: place.plain_len }
        };
        let plain = decompress(&stored.bytes, stored.encoding, stored.plain_len as usize)
            .filter(|plain| self.repository.keys().blob_id(blob_type, plain) == *id);
        plain.map(Some).ok_or_else(|| lost("what was just stored cannot be read back"))
    }
}

fn encoded<'a>(
    blob: NewBlob<'a>,
    id: BlobId,
    frame: Option<&'a [u8]>,
    keys: &crate::id::HashKeys,
) -> Payload<'a> {
    use crate::codec::pack::Encoding;
    let plain_len = u32::try_from(blob.plain.len()).unwrap_or(u32::MAX);
    match frame {
        Some(stored) => Payload {
            blob_type: blob.blob_type,
            id,
            encoding: Encoding::Zstd,
            stored,
            plain_len,
            check: keys.check(stored),
        },
        None => Payload {
            blob_type: blob.blob_type,
            id,
            encoding: Encoding::Raw,
            stored: blob.plain,
            plain_len,
            check: Check::from_bytes([0; Check::LEN]),
        },
    }
}
