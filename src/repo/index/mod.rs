//! Where each blob is: the mapped segments, and the packs' own directories as a last resort.
//!
//! Here live the lookup over all segments, writing and merging them, and the
//! fallback. Not here: the layout of a segment (`codec::index`), whether a place
//! may be deduplicated against (`repo::session`).
//!
//! Invariant: the index only ever proposes places; a blob is proved by its id
//! when it is read. Losing every segment loses no data.

use std::ops::Deref;
use std::sync::OnceLock;

use crate::codec::index::{Place, SegmentView};
use crate::id::{BlobId, BlobType, HashKeys, PackId, RepositoryId, SegmentId};
use crate::repo::backend::{Backend, BackendError};
use crate::repo::disk::Mapped;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::layout;

pub mod salvage;
pub mod write;

use salvage::Salvage;

/// What vanishes again and again between listing and reading does not vanish: a name is there that leads nowhere.
pub const LISTINGS: u32 = 8;

/// The bytes of a mapped object, as the codec wants them.
pub struct MappedBytes(Mapped);

impl Deref for MappedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// One mapped segment.
pub struct Segment {
    /// Its name.
    pub id: SegmentId,
    /// Its tables.
    pub view: SegmentView<MappedBytes>,
    /// Length in bytes.
    pub len: u64,
}

/// Every segment of a repository at one moment.
pub struct Index {
    segments: Vec<Segment>,
    unreadable: Vec<Damage>,
    salvage: OnceLock<Salvage>,
}

/// What a lookup found.
#[derive(Debug, Default)]
pub struct Lookup {
    /// Places in verified pages, in the order of the segments.
    pub places: Vec<Place>,
    /// Pages that could not be trusted: there may be more places.
    pub damage: Vec<Damage>,
}

impl Index {
    /// Maps every listed segment. A segment that cannot be opened is remembered as damage: it must not keep the others from serving.
    /// One that vanishes between listing and mapping was just merged into another: the listing is taken again.
    pub fn load(backend: &dyn Backend, keys: &HashKeys) -> Result<Self> {
        for _ in 1..LISTINGS {
            if let Some(index) = Self::try_load(backend, keys, false)? {
                return Ok(index);
            }
        }
        let index = Self::try_load(backend, keys, true)?;
        Ok(index.expect("invariant: the last listing is taken as it is"))
    }

    fn try_load(backend: &dyn Backend, keys: &HashKeys, is_last: bool) -> Result<Option<Self>> {
        let listing = backend.list(layout::INDEX)?;
        let mut index =
            Self { segments: Vec::new(), unreadable: Vec::new(), salvage: OnceLock::new() };
        for (id, info) in layout::ids::<SegmentId>(&listing) {
            match open_segment(backend, keys, id, info.len) {
                Ok(Some(segment)) => index.segments.push(segment),
                Ok(None) if is_last => {
                    let reason = "is listed, and cannot be found".to_owned();
                    index.unreadable.push(segment_damage(&id, reason));
                }
                Ok(None) => return Ok(None),
                Err(RepoError::Damaged(damage)) => index.unreadable.push(damage),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(index))
    }

    /// The segments that could be opened.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segments that could not.
    pub fn unreadable(&self) -> &[Damage] {
        &self.unreadable
    }

    /// The segments that could be opened, given up.
    pub fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Every place that verified pages list.
    pub fn lookup(&self, blob_type: BlobType, id: &BlobId) -> Lookup {
        lookup(&self.segments, blob_type, id)
    }

    /// Places from the directories of the packs themselves, read once and only when the segments have failed.
    pub fn salvaged(
        &self,
        backend: &dyn Backend,
        keys: &HashKeys,
        repository: &RepositoryId,
        blob: (BlobType, &BlobId),
    ) -> Result<Vec<Place>> {
        if self.salvage.get().is_none() {
            let read = Salvage::read(backend, keys, repository)?;
            // Another thread may have been faster; both read the same directories.
            let _ = self.salvage.set(read);
        }
        Ok(self.salvage.get().map(|salvage| salvage.places(blob.0, blob.1)).unwrap_or_default())
    }

    /// Every pack that a segment names, with the length that it had when it was listed there.
    pub fn packs(&self) -> impl Iterator<Item = std::result::Result<(PackId, u64), Damage>> {
        self.segments.iter().flat_map(|segment| {
            segment
                .view
                .packs()
                .map(|pack| pack.map_err(|error| segment_damage(&segment.id, error.to_string())))
        })
    }
}

/// Every place of a blob in these segments.
pub fn lookup(segments: &[Segment], blob_type: BlobType, id: &BlobId) -> Lookup {
    let mut found = Lookup::default();
    for segment in segments {
        match segment.view.lookup(blob_type, id) {
            Ok(places) => found.places.extend(places),
            Err(error) => found.damage.push(segment_damage(&segment.id, error.to_string())),
        }
    }
    found
}

/// Maps one segment and proves its footer and header; `None` when there is no such object.
pub fn open_segment(
    backend: &dyn Backend,
    keys: &HashKeys,
    id: SegmentId,
    len: u64,
) -> Result<Option<Segment>> {
    let bytes = match backend.map(&layout::segment(&id)) {
        Ok(bytes) => bytes,
        Err(BackendError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(segment_damage(&id, error.to_string()).into()),
    };
    match SegmentView::open(MappedBytes(bytes), keys) {
        Ok(view) => Ok(Some(Segment { id, view, len })),
        Err(error) if error.is_too_new() => Err(RepoError::Unsupported { what: error.to_string() }),
        Err(error) => Err(segment_damage(&id, error.to_string()).into()),
    }
}

/// Something wrong with a segment.
pub fn segment_damage(id: &SegmentId, reason: String) -> Damage {
    Damage::Object { object: layout::segment(id).to_string(), reason }
}
