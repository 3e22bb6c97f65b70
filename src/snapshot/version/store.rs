//! From a captured database to a version of it.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use crate::codec::content::Content;
use crate::codec::version::{Base, Layer, SegmentRef, VersionRecord, most_pages};
use crate::codec::{CodecError, Durable};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::{BlobRead, BlobWrite};
use crate::repo::error::{Damage, RepoError};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::structure::store;
use crate::snapshot::version::base::{store_base, stored_bytes};
use crate::snapshot::version::compare::{Comparison, changed, compare, root_of};
use crate::snapshot::version::decode::{Decoder, Failed, MakeError, Watch};
use crate::snapshot::version::load::{load_version, page_count_with, refused};
use crate::snapshot::version::pages::MappedPages;
use crate::snapshot::version::patch::{Change, NoPatch, store_patch, worth_trying};
use crate::snapshot::version::relied::{Relied, Reread};
use crate::snapshot::version::stack::{Moment, kept_by_calendar, kept_within_bounds};
use crate::sqlite::spool::{Spool, SpoolError};

/// A patch may take so many hundredths of what its base takes; else the database becomes a new base.
const MOST_PERCENT_OF_BASE: u64 = 40;

/// After so many versions that were decoded whole for nothing, what is wrong is wrong with all: the database becomes a new base.
const MOST_ROOTLESS: usize = 3;

/// Why a version could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The repository failed, or the caller asked to stop.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There is no room for the version before.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A spool cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
}

impl From<RepoError> for StoreError {
    fn from(error: RepoError) -> Self {
        Self::Snapshot(error.into())
    }
}

impl From<MakeError> for StoreError {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Repository(error) => error.into(),
            MakeError::File(error) => error.into(),
        }
    }
}

/// Pages in a spool.
#[derive(Debug, Clone, Copy)]
pub struct SpooledPages<'a> {
    /// The spool.
    pub file: &'a File,
    /// Bytes a page, as `SQLite` allows it.
    pub page_size: u32,
    /// Pages, at least one.
    pub page_count: u32,
}

/// Where the version before is decoded to.
#[derive(Debug, Clone, Copy)]
pub struct SpoolRoom<'a> {
    /// Never inside a repository.
    pub dir: &'a Path,
    /// Bytes that stay free on its disk.
    pub min_free_bytes: u64,
}

/// Stores versions.
pub struct VersionStore<'a> {
    /// What was stored before.
    pub read: &'a dyn BlobRead,
    /// Takes what is new.
    pub write: &'a dyn BlobWrite,
    /// When.
    pub moment: Moment<'a>,
    /// Room for a second spool.
    pub room: SpoolRoom<'a>,
    /// True when the work should end.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// A version that is stored.
#[derive(Debug)]
pub struct StoredVersion {
    /// For the manifest.
    pub content: Content,
    /// Its record.
    pub record: BlobId,
    /// Why earlier versions could not be built upon.
    pub damage: Vec<Damage>,
    /// What a person should hear of it.
    pub notices: Vec<String>,
}

/// What became of the attempt to build upon a version.
enum Attempt {
    /// This is the record of the new one.
    Stored(BlobId),
    /// It was no use; with the root of the new one, where that is known.
    Rebase(Option<[u8; 32]>),
    /// It has a part that failed before.
    Skipped,
}

impl VersionStore<'_> {
    /// Bytes of the spool that storing the next version will need: those of the newest of `candidates` whose record can be read.
    pub fn spool_bytes(&self, candidates: &[BlobId]) -> u64 {
        let record = candidates.iter().find_map(|id| load_version(self.read, id, None).ok());
        record.map_or(0, |record| len_of(&record, record.highest_page_count()))
    }

    /// Stores a database on top of the first of `candidates`, newest first, that can be read, or as a new base.
    pub fn store(
        &self,
        pages: SpooledPages<'_>,
        candidates: &[BlobId],
    ) -> Result<StoredVersion, StoreError> {
        let now = MappedPages::of_spool(pages.file, pages.page_size, pages.page_count)?;
        let len = u64::from(pages.page_size) * u64::from(pages.page_count);
        let mut work = Work::new(self, &now);
        let (mut tried, mut root) = (BTreeSet::new(), None);
        let mut record = None;
        for id in candidates.iter().filter(|id| tried.insert(**id)) {
            match work.attempt(id) {
                Ok(Attempt::Stored(stored)) => record = Some(stored),
                Ok(Attempt::Rebase(known)) => root = known,
                Ok(Attempt::Skipped) => continue,
                Err(StoreError::Snapshot(SnapshotError::Repo(RepoError::Damaged(why)))) => {
                    work.damage.push(why);
                    if work.rootless < MOST_ROOTLESS {
                        continue;
                    }
                }
                Err(error) => return Err(error),
            }
            break;
        }
        let record = match record {
            Some(record) => record,
            None => work.rebase(root)?,
        };
        let content = Content::Version { record, len };
        Ok(StoredVersion { content, record, damage: work.damage, notices: work.notices })
    }

    fn check(&self) -> Result<(), RepoError> {
        if (self.cancelled)() { Err(RepoError::Cancelled) } else { Ok(()) }
    }
}

fn len_of(record: &VersionRecord, page_count: u32) -> u64 {
    u64::from(page_count) * u64::from(record.page_size)
}

struct Work<'s> {
    store: &'s VersionStore<'s>,
    now: &'s MappedPages,
    /// Lists and segments that cannot be read.
    bad: HashSet<BlobId>,
    /// Versions that were decoded whole and did not have their root.
    rootless: usize,
    damage: Vec<Damage>,
    notices: Vec<String>,
}

/// The version before, decoded whole.
struct Before {
    record: VersionRecord,
    spool: File,
    /// The pages of each of its layers.
    layers: Vec<Vec<u32>>,
}

impl<'s> Work<'s> {
    fn new(store: &'s VersionStore<'s>, now: &'s MappedPages) -> Self {
        let (bad, damage, notices) = (HashSet::new(), Vec::new(), Vec::new());
        Self { store, now, bad, rootless: 0, damage, notices }
    }

    fn attempt(&mut self, id: &BlobId) -> Result<Attempt, StoreError> {
        let relied = Relied { read: self.store.read, write: self.store.write };
        let record = load_version(&relied, id, None)?;
        if self.has_bad_part(&record) {
            return Ok(Attempt::Skipped);
        }
        if record.page_size as usize != self.now.page_bytes() {
            return Ok(Attempt::Rebase(None));
        }
        let before = self.decode(id, record)?;
        let page_count = before.record.page_count();
        let compared = {
            let was = MappedPages::of_spool(&before.spool, before.record.page_size, page_count)?;
            compare(&was, self.now)
        };
        if compared.root_before != before.record.root {
            self.rootless += 1;
            let why = "what its base and layers make does not have its root";
            return Err(refused(id, why).into());
        }
        if compared.changed.is_empty() && page_count == self.now.count() {
            return Ok(Attempt::Stored(*id));
        }
        self.push(id, before, compared)
    }

    fn has_bad_part(&self, record: &VersionRecord) -> bool {
        let segments = record.layers.iter().flat_map(|layer| &layer.segments);
        let mut parts = segments.map(|segment| &segment.id).chain([&record.base.list]);
        parts.any(|part| self.bad.contains(part))
    }

    /// Decodes the version whole: every night proves that the last one can be read.
    fn decode(&mut self, id: &BlobId, record: VersionRecord) -> Result<Before, StoreError> {
        let room = self.store.room;
        let need = len_of(&record, record.highest_page_count());
        let spool = Spool::create_in(room.dir, need, room.min_free_bytes)?.into_file()?;
        let layers = self.lay(id, &record, &spool, record.layers.len()).map_err(|failed| {
            self.bad.insert(failed.part);
            *failed.error
        })?;
        Ok(Before { record, spool, layers })
    }

    fn lay(
        &self,
        id: &BlobId,
        record: &VersionRecord,
        file: &File,
        layers: usize,
    ) -> Result<Vec<Vec<u32>>, Failed> {
        let blobs = &Relied { read: self.store.read, write: self.store.write };
        let watch = Watch { cancelled: self.store.cancelled, advance: &|_| {} };
        Decoder { blobs, id, record, file, watch }.decode(layers)
    }

    /// Takes layers off the stack, and lays the change against what is then on top of it.
    fn push(
        &mut self,
        id: &BlobId,
        before: Before,
        compared: Comparison,
    ) -> Result<Attempt, StoreError> {
        // A database that shrank leaves its long base behind: every restore would lay all of it.
        if u64::from(before.record.base.page_count) > most_pages(self.now.count()) {
            return Ok(Attempt::Rebase(Some(compared.root)));
        }
        let kept = self.kept(&before, &compared.changed);
        let Before { mut record, spool, .. } = before;
        let whole = kept == record.layers.len();
        if !whole {
            self.lay(id, &record, &spool, kept).map_err(|failed| *failed.error)?;
        }
        let below_count = page_count_with(&record, kept);
        let below = MappedPages::of_spool(&spool, record.page_size, below_count)?;
        let pages = if whole { compared.changed } else { changed(&below, self.now) };
        if !worth_trying(pages.len(), self.now) {
            return Ok(Attempt::Rebase(Some(compared.root)));
        }
        let most = stored_bytes(&record, self.store.read)? / 100 * MOST_PERCENT_OF_BASE;
        let change = Change { below: &below, now: self.now, pages: &pages };
        record.layers.truncate(kept);
        record.root = compared.root;
        record.extensions.clear();
        // What a night took away again leaves nothing to lay down.
        if !pages.is_empty() || below_count != self.now.count() {
            let store = self.store;
            match store_patch(change, store.write, most, &|| store.check()) {
                Ok(segments) => record.layers.push(self.layer(segments)),
                Err(NoPatch::TooLarge) => return Ok(Attempt::Rebase(Some(compared.root))),
                Err(NoPatch::Damaged(why)) => {
                    let notice = format!("its patch cannot be read ({why}): stored whole instead");
                    self.notices.push(notice);
                    self.damage.push(why);
                    return Ok(Attempt::Rebase(Some(compared.root)));
                }
                Err(NoPatch::Unproved(why)) => {
                    self.notices.push(format!("its patch was wrong ({why}): stored whole instead"));
                    return Ok(Attempt::Rebase(Some(compared.root)));
                }
                Err(NoPatch::Repository(error)) => return Err(error.into()),
            }
        }
        match record.encode() {
            Err(CodecError::TooLarge { .. }) => Ok(Attempt::Rebase(Some(compared.root))),
            _ => Ok(Attempt::Stored(self.finish(&record)?)),
        }
    }

    fn layer(&self, segments: Vec<SegmentRef>) -> Layer {
        let Moment { time_ns, zone, .. } = self.store.moment;
        Layer { page_count: self.now.count(), segments, time_ns, zone: zone.to_owned() }
    }

    /// How many layers stay below the new one.
    fn kept(&self, before: &Before, changed: &[u32]) -> usize {
        let wanted = kept_by_calendar(&before.record.layers, self.store.moment);
        let mut union = Union::of(changed, self.now.count());
        let mut uncounted = before.layers.as_slice();
        kept_within_bounds(&before.record.layers, wanted, self.now.count(), |kept| {
            while uncounted.len() > kept
                && let Some((top, rest)) = uncounted.split_last()
            {
                union.add(top);
                uncounted = rest;
            }
            union.count
        })
    }

    fn rebase(&self, root: Option<[u8; 32]>) -> Result<BlobId, StoreError> {
        let store = self.store;
        let check = || store.check();
        let base: Base = if self.damage.is_empty() {
            store_base(self.now, store.write, &check)?
        } else {
            let reread = Reread { read: store.read, write: store.write };
            store_base(self.now, &reread, &check)?
        };
        let root = root.unwrap_or_else(|| root_of(self.now));
        let page_size = u32::try_from(self.now.page_bytes()).unwrap_or_default();
        let (layers, extensions) = (Vec::new(), Vec::new());
        self.finish(&VersionRecord { page_size, base, layers, root, extensions })
    }

    /// Stores the record, which must be readable too.
    fn finish(&self, record: &VersionRecord) -> Result<BlobId, StoreError> {
        let id = store(self.store.write, BlobType::VersionRecord, record)?;
        self.store.write.read_back(BlobType::VersionRecord, &id)?;
        Ok(id)
    }
}

/// A set of pages.
struct Union {
    bits: Vec<u64>,
    /// How many of them are in the database.
    count: u64,
}

impl Union {
    fn of(pages: &[u32], page_count: u32) -> Self {
        let words = page_count as usize / 64 + 1;
        let mut union = Self { bits: vec![0; words], count: 0 };
        union.add(pages);
        union
    }

    /// Pages beyond the database are in no layer of it.
    fn add(&mut self, pages: &[u32]) {
        for page in pages {
            let at = page.saturating_sub(1);
            if let Some(word) = self.bits.get_mut(at as usize / 64) {
                let bit = 1_u64 << (at % 64);
                self.count += u64::from(*word & bit == 0);
                *word |= bit;
            }
        }
    }
}
