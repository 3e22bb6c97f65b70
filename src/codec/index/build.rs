//! Building a segment in memory.

use std::collections::BTreeMap;

use crate::codec::index::pages::append_checks;
use crate::codec::index::{
    BlobKey, Layout, MAX_SEGMENT_ENTRIES, MAX_SEGMENT_PACKS, PAGE_LEN, Place, SegmentHeader, key_of,
};
use crate::id::{BlobId, HashKeys, PackId, RepositoryId};

/// Why a segment cannot hold what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The same pack with two lengths.
    #[error("pack {pack} has two lengths, {before} and {now} bytes")]
    TwoLengths {
        /// The pack.
        pack: PackId,
        /// The length given first.
        before: u64,
        /// The other one.
        now: u64,
    },
    /// A place in a pack that was not added.
    #[error("a place in pack {pack}, which the segment does not name")]
    UnknownPack {
        /// The pack.
        pack: PackId,
    },
    /// A place that cannot be.
    #[error("pack {pack}, offset {offset}: {what}")]
    BadPlace {
        /// The pack.
        pack: PackId,
        /// The offset there.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More packs or places than a segment may have.
    #[error(
        "an index segment holds at most {MAX_SEGMENT_ENTRIES} places and {MAX_SEGMENT_PACKS} packs"
    )]
    Full,
}

struct PackRow {
    /// In the order of adding; rows refer to it until `finish` renumbers.
    number: u32,
    len: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    key: BlobKey,
    pack: u32,
    offset: u64,
    stored_len: u32,
    plain_len: u32,
    blob_type: u8,
    encoding: u8,
}

/// Collects packs and places, in any order, and lays them out. Equal input gives equal bytes.
pub struct SegmentBuilder {
    repository: RepositoryId,
    packs: BTreeMap<PackId, PackRow>,
    rows: Vec<Row>,
}

impl SegmentBuilder {
    /// An empty segment of this repository.
    pub fn new(repository: RepositoryId) -> Self {
        Self { repository, packs: BTreeMap::new(), rows: Vec::new() }
    }

    /// Names a pack and its length in bytes; must come before its places. Naming it again is fine.
    pub fn add_pack(&mut self, pack: PackId, len: u64) -> Result<(), BuildError> {
        if let Some(row) = self.packs.get(&pack) {
            let same = row.len == len;
            let before = row.len;
            return if same {
                Ok(())
            } else {
                Err(BuildError::TwoLengths { pack, before, now: len })
            };
        }
        if self.packs.len() >= MAX_SEGMENT_PACKS {
            return Err(BuildError::Full);
        }
        let number = u32::try_from(self.packs.len()).map_err(|_| BuildError::Full)?;
        self.packs.insert(pack, PackRow { number, len });
        Ok(())
    }

    /// Adds a place of a blob. Other places of the same blob are kept; the same place twice is once.
    pub fn add(&mut self, id: &BlobId, place: &Place) -> Result<(), BuildError> {
        self.add_key(key_of(id), place)
    }

    /// The same for a key, as merging reads it from another segment.
    pub fn add_key(&mut self, key: BlobKey, place: &Place) -> Result<(), BuildError> {
        let Place { pack, offset, .. } = *place;
        let row = self.packs.get(&pack).ok_or(BuildError::UnknownPack { pack })?;
        if let Some(what) = place.fault(row.len) {
            return Err(BuildError::BadPlace { pack, offset, what });
        }
        if self.rows.len() >= MAX_SEGMENT_ENTRIES {
            return Err(BuildError::Full);
        }
        self.rows.push(Row {
            key,
            pack: row.number,
            offset,
            stored_len: place.stored_len,
            plain_len: place.plain_len,
            blob_type: place.blob_type.code(),
            encoding: place.encoding.code(),
        });
        Ok(())
    }

    /// Places added so far, identical ones counted each time.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when no place was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes of the segment.
    pub fn finish(mut self, keys: &HashKeys) -> Vec<u8> {
        self.renumber_packs();
        self.rows.sort_unstable();
        self.rows.dedup();
        let layout = Layout::for_counts(self.rows.len() as u64, self.packs.len() as u64);
        let mut bytes = Vec::with_capacity(self.rows.len() * 41 + 8 * PAGE_LEN);
        bytes.extend_from_slice(&SegmentHeader { repository: self.repository, layout }.encode());
        self.put_fan_out(&layout, &mut bytes);
        self.put_tables(&mut bytes);
        bytes.resize(bytes.len().next_multiple_of(PAGE_LEN), 0);
        append_checks(&mut bytes, keys);
        bytes
    }

    /// Numbers packs by the order of their ids, so that the order of adding does not show.
    fn renumber_packs(&mut self) {
        let mut new_numbers = vec![0; self.packs.len()];
        for (new, row) in (0_u32..).zip(self.packs.values()) {
            new_numbers[row.number as usize] = new;
        }
        for row in &mut self.rows {
            row.pack = new_numbers[row.pack as usize];
        }
    }

    /// For each bucket the number of its first key, then the number of keys; zeros up to the alignment.
    fn put_fan_out(&self, layout: &Layout, bytes: &mut Vec<u8>) {
        let mut rows = self.rows.iter().peekable();
        let mut first = 0_u32;
        for bucket in 0..=layout.buckets() {
            while rows.next_if(|row| layout.bucket_of(&row.key) < bucket).is_some() {
                first += 1;
            }
            bytes.extend_from_slice(&first.to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(16), 0);
    }

    fn put_tables(&self, bytes: &mut Vec<u8>) {
        for row in &self.rows {
            bytes.extend_from_slice(&row.key);
        }
        for row in &self.rows {
            bytes.extend_from_slice(&row.pack.to_le_bytes());
            bytes.extend_from_slice(&row.offset.to_le_bytes());
            bytes.extend_from_slice(&row.stored_len.to_le_bytes());
            bytes.extend_from_slice(&row.plain_len.to_le_bytes());
            bytes.extend_from_slice(&[row.blob_type, row.encoding, 0, 0]);
        }
        for (pack, row) in &self.packs {
            bytes.extend_from_slice(pack.as_bytes());
            bytes.extend_from_slice(&row.len.to_le_bytes());
        }
    }
}
