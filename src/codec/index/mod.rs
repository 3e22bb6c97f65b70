//! Index segments: hand-laid bytes that are searched where they lie.
//!
//! Here live the layout of a segment ([`Layout`]), the builder and the view. A
//! segment is read through a memory map, so it is not an envelope but fixed
//! tables, each found from three numbers in the header. Not here: mapping,
//! merging and choosing between segments (`repo::index`).
//!
//! Invariant: nothing is taken from a page before the page matched its check,
//! so a damaged segment answers with the damaged page, never with a wrong place.
//! A place is a candidate all the same: the whole id stands in the pack's trailer.

use crate::codec::pack::{Encoding, TrailerEntry, payload_fault};
use crate::id::{BlobId, BlobType, PackId, RepositoryId};

mod build;
mod pages;
mod view;

pub use build::{BuildError, SegmentBuilder};
pub use pages::{PageDamage, SegmentError};
pub use view::SegmentView;

/// Bytes of a blob id that a segment keeps; the whole id stands in the pack's trailer.
pub const KEY_LEN: usize = 16;

/// The part of a blob id by which a segment is sorted.
pub type BlobKey = [u8; KEY_LEN];

/// The unit of verification: every page has its own checksum.
pub const PAGE_LEN: usize = 4096;

/// The most places in one segment.
pub const MAX_SEGMENT_ENTRIES: usize = 1 << 28;

/// The most packs that one segment names.
pub const MAX_SEGMENT_PACKS: usize = 1 << 24;

/// One place of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The pack.
    pub pack: PackId,
    /// Where the payload begins in it.
    pub offset: u64,
    /// Length of the payload.
    pub stored_len: u32,
    /// Length of the plaintext.
    pub plain_len: u32,
    /// Type of the blob.
    pub blob_type: BlobType,
    /// How the payload is encoded.
    pub encoding: Encoding,
}

impl Place {
    /// The place that an entry of this pack's trailer gives.
    pub fn of_entry(pack: PackId, entry: &TrailerEntry) -> Self {
        Self {
            pack,
            offset: entry.offset,
            stored_len: entry.stored_len,
            plain_len: entry.plain_len,
            blob_type: entry.blob_type,
            encoding: entry.encoding,
        }
    }

    /// What is impossible about a place in a pack of this length, if something is.
    fn fault(&self, pack_len: u64) -> Option<&'static str> {
        match self.offset.checked_add(u64::from(self.stored_len)) {
            Some(end) if end <= pack_len => {
                payload_fault(self.encoding, self.stored_len, self.plain_len)
            }
            _ => Some("a place beyond the end of its pack"),
        }
    }
}

/// The part of a blob id by which a segment is sorted.
pub fn key_of(id: &BlobId) -> BlobKey {
    std::array::from_fn(|index| id.as_bytes()[index])
}

const HEADER_MAGIC: [u8; 8] = *b"LARDINDX";
const HEADER_LEN: usize = 64;
const FAN_ENTRY_LEN: u64 = 4;
const PLACE_LEN: u64 = 24;
const PACK_LEN: u64 = 40;
const CHECK_LEN: u64 = 16;
/// Keys begin on a multiple of their length, so that none crosses a page.
const ALIGN: u64 = KEY_LEN as u64;
const MIN_FAN_BITS: u32 = 8;
const MAX_FAN_BITS: u32 = 24;
/// With more keys than this in a bucket on average, the fan-out doubles.
const BUCKET_TARGET: u64 = 16;

/// Where the tables of a segment lie. Its three numbers are bounded, so no sum below can overflow.
#[derive(Debug, Clone, Copy)]
struct Layout {
    fan_bits: u32,
    entries: u64,
    packs: u64,
}

impl Layout {
    /// The layout that a writer uses for so many entries and packs.
    fn for_counts(entries: u64, packs: u64) -> Self {
        let mut fan_bits = MIN_FAN_BITS;
        while fan_bits < MAX_FAN_BITS && entries >> fan_bits > BUCKET_TARGET {
            fan_bits += 1;
        }
        Self { fan_bits, entries, packs }
    }

    /// The layout of a header's numbers, unless they are out of bounds.
    fn from_numbers(fan_bits: u16, entries: u64, packs: u32) -> Option<Self> {
        let layout = Self { fan_bits: u32::from(fan_bits), entries, packs: u64::from(packs) };
        let sound = (MIN_FAN_BITS..=MAX_FAN_BITS).contains(&layout.fan_bits)
            && layout.entries <= MAX_SEGMENT_ENTRIES as u64
            && layout.packs <= MAX_SEGMENT_PACKS as u64;
        sound.then_some(layout)
    }

    fn buckets(&self) -> u64 {
        1 << self.fan_bits
    }

    /// The first `fan_bits` bits of the key, most significant bit first.
    fn bucket_of(&self, key: &BlobKey) -> u64 {
        let [a, b, c, d, ..] = *key;
        u64::from(u32::from_be_bytes([a, b, c, d]) >> (32 - self.fan_bits))
    }

    fn fan_at(bucket: u64) -> u64 {
        HEADER_LEN as u64 + bucket * FAN_ENTRY_LEN
    }

    fn key_at(&self, entry: u64) -> u64 {
        Self::fan_at(self.buckets() + 1).next_multiple_of(ALIGN) + entry * KEY_LEN as u64
    }

    fn place_at(&self, entry: u64) -> u64 {
        self.key_at(self.entries) + entry * PLACE_LEN
    }

    fn pack_at(&self, pack: u64) -> u64 {
        self.place_at(self.entries) + pack * PACK_LEN
    }

    /// Pages that the tables fill.
    fn pages(&self) -> u64 {
        self.pack_at(self.packs).div_ceil(PAGE_LEN as u64)
    }
}

/// The first bytes of a segment, before the fan-out.
struct SegmentHeader {
    repository: RepositoryId,
    layout: Layout,
}

impl SegmentHeader {
    fn encode(&self) -> Vec<u8> {
        let Layout { fan_bits, entries, packs } = self.layout;
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&HEADER_MAGIC);
        bytes.extend_from_slice(&crate::codec::FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&fan_bits.to_le_bytes()[..2]);
        bytes.extend_from_slice(&packs.to_le_bytes()[..4]);
        bytes.extend_from_slice(&entries.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(self.repository.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let magic: [u8; 8] = take(&mut rest)?;
        let version = u16::from_le_bytes(take(&mut rest)?);
        let fan_bits = u16::from_le_bytes(take(&mut rest)?);
        let packs = u32::from_le_bytes(take(&mut rest)?);
        let entries = u64::from_le_bytes(take(&mut rest)?);
        let reserved: [u8; 8] = take(&mut rest)?;
        let repository = RepositoryId::from_bytes(take(&mut rest)?);
        let layout = Layout::from_numbers(fan_bits, entries, packs)?;
        let sound = magic == HEADER_MAGIC
            && version == crate::codec::FORMAT_VERSION
            && reserved == [0; 8]
            && rest.is_empty();
        sound.then_some(Self { repository, layout })
    }
}

/// Takes an array off the front, if there are bytes enough.
fn take<const LEN: usize>(rest: &mut &[u8]) -> Option<[u8; LEN]> {
    let (array, tail) = rest.split_first_chunk::<LEN>()?;
    *rest = tail;
    Some(*array)
}
