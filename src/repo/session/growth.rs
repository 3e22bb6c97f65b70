//! What a session has written and not yet listed in a segment.

use std::collections::{BTreeMap, HashMap};

use crate::codec::index::Place;
use crate::codec::pack::{Encoding, PackClass};
use crate::id::{BlobId, BlobType, HashKeys, PackId};
use crate::repo::backend::Stage;
use crate::repo::error::Result;
use crate::repo::layout;
use crate::repo::pack::write::{OpenPack, Payload};
use crate::repo::session::{
    Added, BARRIER_BLOBS, BARRIER_BYTES, BARRIER_NS, BLOB_OVERHEAD_BYTES, PACK_OVERHEAD_BYTES,
};

/// A place in a pack that has no id before it is sealed, only a number within the session.
struct FreshPlace {
    pack_number: usize,
    offset: u64,
    stored_len: u32,
    plain_len: u32,
    encoding: Encoding,
}

/// The stored bytes of a blob, and how they are to be read.
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    pub(super) encoding: Encoding,
    pub(super) plain_len: u32,
}

/// Why nothing more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The disk is full.
    DiskFull,
    /// A write failed otherwise.
    Other,
}

/// Open packs, sealed packs, and the blobs in them since the last barrier.
pub(super) struct Growth {
    open: BTreeMap<PackClass, (usize, OpenPack)>,
    sealed: HashMap<usize, (PackId, u64)>,
    fresh: HashMap<(BlobType, BlobId), FreshPlace>,
    next_number: usize,
    bytes_since_barrier: u64,
    last_barrier_ns: i64,
    /// Bytes that may be written before the disk is asked again.
    pub(super) room_bytes: u64,
    pub(super) added: Added,
    pub(super) announced: bool,
    /// Packs of the session may have their names.
    pub(super) published: bool,
    pub(super) failure: Option<Failure>,
}

impl Growth {
    pub(super) fn new(now_ns: i64) -> Self {
        Self {
            open: BTreeMap::new(),
            sealed: HashMap::new(),
            fresh: HashMap::new(),
            next_number: 0,
            bytes_since_barrier: 0,
            last_barrier_ns: now_ns,
            room_bytes: 0,
            added: Added::default(),
            announced: false,
            published: false,
            failure: None,
        }
    }

    pub(super) fn holds(&self, blob_type: BlobType, id: &BlobId) -> bool {
        self.fresh.contains_key(&(blob_type, *id))
    }

    /// A blob since the last barrier, where it is, and its stored bytes read back from there; `None` when it is no such blob.
    pub(super) fn read_back(
        &self,
        stage: &dyn Stage,
        (blob_type, id): (BlobType, &BlobId),
    ) -> Result<Option<Stored>> {
        let Some(fresh) = self.fresh.get(&(blob_type, *id)) else { return Ok(None) };
        let (offset, len) = (fresh.offset, fresh.stored_len as usize);
        let mut open = self.open.values();
        let bytes = match open.find(|(number, _)| *number == fresh.pack_number) {
            Some((_, pack)) => pack.read_back(offset, len)?,
            None => match self.sealed.get(&fresh.pack_number) {
                Some((pack, _)) => stage.read_back(&layout::pack(pack), offset, len)?,
                None => return Ok(None),
            },
        };
        Ok(Some(Stored { bytes, encoding: fresh.encoding, plain_len: fresh.plain_len }))
    }

    /// What trailers and segment of the blobs since the last barrier will take, bytes.
    pub(super) fn promised_bytes(&self) -> u64 {
        let packs = (self.open.len() + self.sealed.len()) as u64;
        self.fresh.len() as u64 * BLOB_OVERHEAD_BYTES + packs * PACK_OVERHEAD_BYTES
    }

    pub(super) fn has_open(&self, class: PackClass) -> bool {
        self.open.contains_key(&class)
    }

    pub(super) fn open(&mut self, class: PackClass, pack: OpenPack) {
        self.open.insert(class, (self.next_number, pack));
        self.next_number += 1;
    }

    /// Adds to the open pack of the class; true when that pack is full now.
    pub(super) fn append(&mut self, class: PackClass, payload: &Payload<'_>) -> Result<bool> {
        let Some((pack_number, pack)) = self.open.get_mut(&class) else {
            unreachable!("a pack of the class was opened just before");
        };
        let pack_number = *pack_number;
        let offset = pack.add(payload)?;
        let full = pack.is_full();
        let stored_len = u32::try_from(payload.stored.len()).unwrap_or(u32::MAX);
        let place = FreshPlace {
            pack_number,
            offset,
            stored_len,
            plain_len: payload.plain_len,
            encoding: payload.encoding,
        };
        self.fresh.insert((payload.blob_type, payload.id), place);
        self.bytes_since_barrier += u64::from(stored_len);
        self.added.blobs += 1;
        self.added.plain_bytes += u64::from(payload.plain_len);
        self.added.stored_bytes += u64::from(stored_len);
        Ok(full)
    }

    /// Seals the open pack of the class, if there is one.
    pub(super) fn seal(&mut self, class: PackClass, keys: &HashKeys) -> Result<()> {
        if let Some((number, pack)) = self.open.remove(&class) {
            self.sealed.insert(number, pack.seal(keys)?);
        }
        Ok(())
    }

    pub(super) fn seal_all(&mut self, keys: &HashKeys) -> Result<()> {
        for class in [PackClass::Data, PackClass::BaseGroups, PackClass::Metadata] {
            self.seal(class, keys)?;
        }
        Ok(())
    }

    pub(super) fn barrier_is_due(&self, now_ns: i64) -> bool {
        self.bytes_since_barrier >= BARRIER_BYTES
            || self.fresh.len() >= BARRIER_BLOBS
            || now_ns.saturating_sub(self.last_barrier_ns) >= BARRIER_NS
    }

    /// The sealed packs since the last barrier.
    pub(super) fn sealed_packs(&self) -> Vec<(PackId, u64)> {
        let mut packs: Vec<_> = self.sealed.values().copied().collect();
        packs.sort_unstable();
        packs
    }

    /// Every blob since the last barrier, with its place; all packs must be sealed.
    pub(super) fn places(&self) -> impl Iterator<Item = (BlobId, Place)> + '_ {
        self.fresh.iter().filter_map(|((blob_type, id), fresh)| {
            let (pack, _) = self.sealed.get(&fresh.pack_number)?;
            let place = Place {
                pack: *pack,
                offset: fresh.offset,
                stored_len: fresh.stored_len,
                plain_len: fresh.plain_len,
                blob_type: *blob_type,
                encoding: fresh.encoding,
            };
            Some((*id, place))
        })
    }

    /// Everything is listed in a segment now.
    pub(super) fn settle(&mut self, now_ns: i64) {
        self.sealed.clear();
        self.fresh.clear();
        self.bytes_since_barrier = 0;
        self.last_barrier_ns = now_ns;
    }
}
