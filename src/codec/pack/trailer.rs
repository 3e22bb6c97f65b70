//! The directory of a pack, laid out by hand: fixed entries in the order of the payloads.

use crate::codec::envelope::{
    Rules, check, decode_extensions, encode_extensions, malformed, prefix, strip_prefix,
    within_limit,
};
use crate::codec::pack::{Encoding, Footer, MAX_PACK_ENTRIES, payload_fault};
use crate::codec::{CodecError, Durable, Extension, Kind};
use crate::id::{BlobId, BlobType, Check};

/// One blob of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailerEntry {
    /// Its type.
    pub blob_type: BlobType,
    /// Its id.
    pub id: BlobId,
    /// How its payload is encoded.
    pub encoding: Encoding,
    /// Where the payload begins, from the start of the pack.
    pub offset: u64,
    /// Length of the payload in bytes.
    pub stored_len: u32,
    /// Length of the plaintext in bytes.
    pub plain_len: u32,
    /// Checksum of the payload as stored. Zero for a raw payload, which its id covers.
    pub check: Check,
}

/// The directory of a pack, in the order of the payloads, which touch each other without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// One entry a blob, in ascending order of offset; 1 to [`MAX_PACK_ENTRIES`].
    pub entries: Vec<TrailerEntry>,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

/// Bytes of one entry: type, encoding, id, offset, stored and plain length, check.
const ENTRY_LEN: usize = 1 + 1 + 32 + 8 + 4 + 4 + 16;
const COUNT_LEN: usize = 4;
const KIND: Kind = Kind::PackTrailer;
const LIMIT: usize = KIND.limit_bytes();

impl TrailerEntry {
    /// One past the last byte of the payload, if that is a number.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.stored_len))
    }

    fn broken_rule(&self) -> Option<&'static str> {
        if self.encoding == Encoding::Raw && self.check != Check::from_bytes([0; 16]) {
            return Some("a raw payload with a checksum of its own");
        }
        payload_fault(self.encoding, self.stored_len, self.plain_len)
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[self.blob_type.code(), self.encoding.code()]);
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.stored_len.to_le_bytes());
        bytes.extend_from_slice(&self.plain_len.to_le_bytes());
        bytes.extend_from_slice(self.check.as_bytes());
    }

    /// `None` for a type or encoding that this version does not have.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let ([blob_type, encoding], rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (stored_len, rest) = rest.split_first_chunk()?;
        let (plain_len, check) = rest.split_first_chunk()?;
        Some(Self {
            blob_type: BlobType::from_code(*blob_type)?,
            encoding: Encoding::from_code(*encoding)?,
            id: BlobId::from_bytes(*id),
            offset: u64::from_le_bytes(*offset),
            stored_len: u32::from_le_bytes(*stored_len),
            plain_len: u32::from_le_bytes(*plain_len),
            check: Check::from_bytes(check.try_into().ok()?),
        })
    }
}

impl Trailer {
    /// Whether header, payloads, trailer and footer fill a pack of this length exactly.
    pub fn fits(&self, footer: &Footer, pack_len: u64) -> Result<(), CodecError> {
        let begins = self.entries.first().map(|entry| entry.offset);
        if begins != Some(u64::from(footer.header_len)) {
            return Err(malformed(KIND, "payloads do not begin after the header"));
        }
        let tail = u64::from(footer.trailer_len) + Footer::LEN as u64;
        let ends = self.entries.last().and_then(TrailerEntry::end);
        if ends.and_then(|end| end.checked_add(tail)) != Some(pack_len) {
            return Err(malformed(KIND, "payloads do not end at the trailer"));
        }
        Ok(())
    }
}

impl Rules for Trailer {
    fn broken_rule(&self) -> Option<&'static str> {
        if self.entries.is_empty() {
            return Some("a pack of nothing");
        }
        if self.entries.len() > MAX_PACK_ENTRIES {
            return Some("more blobs than a pack may hold");
        }
        let gap = |pair: &[TrailerEntry]| pair[0].end() != Some(pair[1].offset);
        if self.entries.windows(2).any(gap) {
            return Some("payloads that do not touch each other");
        }
        if self.entries.last().is_some_and(|entry| entry.end().is_none()) {
            return Some("a payload beyond every end");
        }
        self.entries.iter().find_map(TrailerEntry::broken_rule)
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }
}

impl Durable for Trailer {
    const KIND: Kind = KIND;

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        check(KIND, self)?;
        let count =
            u32::try_from(self.entries.len()).map_err(|_| malformed(KIND, "too many entries"))?;
        let extensions = encode_extensions::<LIMIT>(KIND, &self.extensions)?;
        let mut bytes = prefix(KIND);
        bytes.reserve_exact(COUNT_LEN + self.entries.len() * ENTRY_LEN + extensions.len());
        bytes.extend_from_slice(&count.to_le_bytes());
        self.entries.iter().for_each(|entry| entry.put(&mut bytes));
        bytes.extend_from_slice(&extensions);
        within_limit(KIND, bytes.len())?;
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        within_limit(KIND, bytes.len())?;
        let fields = strip_prefix(KIND, bytes)?;
        let (entries, rest) = split_entries(fields)?;
        let extensions = decode_extensions::<LIMIT>(KIND, rest)?;
        let entries: Option<_> = entries.chunks_exact(ENTRY_LEN).map(TrailerEntry::parse).collect();
        let entries = entries.ok_or_else(|| malformed(KIND, "an unknown type or encoding"))?;
        let trailer = Self { entries, extensions };
        check(KIND, &trailer)?;
        Ok(trailer)
    }
}

/// The bytes of the entries and what follows them. The count is believed only as far as there are bytes.
fn split_entries(fields: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
    let short = || malformed(KIND, "shorter than its entries");
    let (count, rest) = fields.split_first_chunk::<COUNT_LEN>().ok_or_else(short)?;
    let len = (u32::from_le_bytes(*count) as usize).checked_mul(ENTRY_LEN).ok_or_else(short)?;
    rest.split_at_checked(len).ok_or_else(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: u64, len: u32) -> TrailerEntry {
        TrailerEntry {
            blob_type: BlobType::Data,
            id: BlobId::from_bytes([3; 32]),
            encoding: Encoding::Raw,
            offset,
            stored_len: len,
            plain_len: len,
            check: Check::from_bytes([0; 16]),
        }
    }

    fn trailer(entries: Vec<TrailerEntry>) -> Trailer {
        Trailer { entries, extensions: Vec::new() }
    }

    #[test]
    fn entries_round_trip() {
        let zstd = TrailerEntry {
            encoding: Encoding::Zstd,
            plain_len: 900,
            check: Check::from_bytes([5; 16]),
            ..entry(110, 20)
        };
        let sound = trailer(vec![entry(100, 10), zstd]);
        let bytes = sound.encode().unwrap();
        assert_eq!(bytes.len(), 4 + 4 + 2 * ENTRY_LEN + 8);
        assert_eq!(Trailer::decode(&bytes), Ok(sound));
    }

    #[test]
    fn broken_entries_are_neither_written_nor_read() {
        let raw_checked = TrailerEntry { check: Check::from_bytes([1; 16]), ..entry(100, 10) };
        let raw_shrunk = TrailerEntry { plain_len: 11, ..entry(100, 10) };
        for entries in [
            vec![],
            vec![raw_checked],
            vec![raw_shrunk],
            vec![entry(100, 0)],
            vec![entry(100, 16 * 1024 * 1024 + 1)],
            vec![entry(100, 10), entry(111, 10)],
            vec![entry(100, 10), entry(109, 10)],
            vec![entry(110, 10), entry(100, 10)],
            vec![entry(u64::MAX - 1, 10)],
        ] {
            let broken = trailer(entries);
            let mut bytes = prefix(KIND);
            bytes.extend_from_slice(&u32::try_from(broken.entries.len()).unwrap().to_le_bytes());
            broken.entries.iter().for_each(|entry| entry.put(&mut bytes));
            bytes.extend_from_slice(&[0; 8]);
            assert!(broken.encode().is_err(), "{broken:?}");
            assert!(Trailer::decode(&bytes).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_claimed_count_is_not_believed() {
        let mut bytes = trailer(vec![entry(100, 10)]).encode().unwrap();
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Trailer::decode(&bytes).is_err());
    }

    #[test]
    fn a_pack_is_filled_exactly() {
        let trailer = trailer(vec![entry(96, 10), entry(106, 4)]);
        let trailer_len = u32::try_from(trailer.encode().unwrap().len()).unwrap();
        let footer =
            Footer { trailer_len, header_len: 96, header_check: Check::from_bytes([0; 16]) };
        let whole = 110 + u64::from(trailer_len) + Footer::LEN as u64;
        assert_eq!(trailer.fits(&footer, whole), Ok(()));
        assert!(trailer.fits(&footer, whole + 1).is_err());
        assert!(trailer.fits(&footer, whole - 1).is_err());
        assert!(trailer.fits(&Footer { header_len: 95, ..footer }, whole).is_err());
    }
}
