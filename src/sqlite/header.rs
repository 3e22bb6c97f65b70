//! The first 100 bytes of a database, and what side files begin with.

use crate::codec::snapshot::JournalMode;

/// Bytes of the header of a database.
pub const HEADER_BYTES: usize = 100;

/// Where the two version bytes are: 1 a rollback journal, 2 a write-ahead log.
pub(super) const VERSION_OFFSET: u64 = 18;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
const WAL_MAGIC: u32 = 0x377f_0682;
/// In the byte order of the machine that wrote it, like all of the index.
const LOG_INDEX_VERSION: u32 = 3_007_000;

/// True when these first bytes are those of a database.
pub fn has_magic(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// True when a file with these first bytes is a write-ahead log; the lowest bit says how its checksums are ordered.
pub fn is_wal(head: &[u8]) -> bool {
    be32(head, 0).is_some_and(|magic| magic & !1 == WAL_MAGIC)
}

/// True when a file with these first bytes is a rollback journal that may have to be played back.
pub fn is_live_journal(head: &[u8]) -> bool {
    head.starts_with(&JOURNAL_MAGIC)
}

/// True when a file with these first bytes is the index of a write-ahead log. `SQLite` cuts one to three bytes before it fills it.
pub(super) fn is_log_index(head: &[u8]) -> bool {
    let orders = [LOG_INDEX_VERSION.to_le_bytes(), LOG_INDEX_VERSION.to_be_bytes()];
    orders.iter().any(|version| head.iter().zip(version).all(|(byte, expected)| byte == expected))
}

/// The page size that the header of a write-ahead log states.
pub fn wal_page_size(head: &[u8]) -> Option<u32> {
    let size = is_wal(head).then(|| be32(head, 8))??;
    valid_page_size(size).then_some(size)
}

/// What the header of a database says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes a page: a power of two, 512 to 65,536.
    pub page_size: u32,
    /// Pages as written in the header.
    pub page_count: u32,
    /// Whether that count can be trusted: a writer older than 3.7.0 leaves it stale.
    pub page_count_valid: bool,
    /// The version that a writer must know.
    pub write_version: u8,
    /// The version that a reader must know.
    pub read_version: u8,
    /// Bytes at the end of each page that extensions keep for themselves.
    pub reserved_bytes: u8,
    /// Number for the application's use, often the version of its schema.
    pub user_version: i32,
    /// Number that says whose format this is.
    pub application_id: i32,
    /// The library that wrote last, as `SQLITE_VERSION_NUMBER`.
    pub library: u32,
}

impl Header {
    /// Reads a header; `None` when it is short, has no magic or an impossible page size.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let head: &[u8; HEADER_BYTES] = head.first_chunk()?;
        let page_size = match u16::from_be_bytes([head[16], head[17]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        if !has_magic(head) || !valid_page_size(page_size) {
            return None;
        }
        let page_count = be32(head, 28)?;
        Some(Self {
            page_size,
            page_count,
            page_count_valid: page_count > 0 && be32(head, 24)? == be32(head, 92)?,
            write_version: head[18],
            read_version: head[19],
            reserved_bytes: head[20],
            user_version: be32(head, 60)?.cast_signed(),
            application_id: be32(head, 68)?.cast_signed(),
            library: be32(head, 96)?,
        })
    }

    /// How its writers work, by the version that readers must know.
    pub fn journal_mode(&self) -> JournalMode {
        match self.read_version {
            1 => JournalMode::Rollback,
            2 => JournalMode::Wal,
            _ => JournalMode::Unknown,
        }
    }
}

fn valid_page_size(size: u32) -> bool {
    size.is_power_of_two() && (512..=65_536).contains(&size)
}

fn be32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(edit: impl FnOnce(&mut [u8; HEADER_BYTES])) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        head[..16].copy_from_slice(MAGIC);
        head[16..18].copy_from_slice(&4096_u16.to_be_bytes());
        head[18..20].copy_from_slice(&[2, 2]);
        edit(&mut head);
        head
    }

    #[test]
    fn reads_every_field() {
        let header = Header::parse(&head(|head| {
            head[20] = 32;
            head[24..28].copy_from_slice(&9_u32.to_be_bytes());
            head[28..32].copy_from_slice(&77_u32.to_be_bytes());
            head[60..64].copy_from_slice(&(-5_i32).to_be_bytes());
            head[68..72].copy_from_slice(&6_i32.to_be_bytes());
            head[92..96].copy_from_slice(&9_u32.to_be_bytes());
            head[96..100].copy_from_slice(&3_054_001_u32.to_be_bytes());
        }));
        let expected = Header {
            page_size: 4096,
            page_count: 77,
            page_count_valid: true,
            write_version: 2,
            read_version: 2,
            reserved_bytes: 32,
            user_version: -5,
            application_id: 6,
            library: 3_054_001,
        };
        assert_eq!(header, Some(expected));
        assert_eq!(expected.journal_mode(), JournalMode::Wal);
    }

    #[test]
    fn the_size_one_means_65536_and_other_odd_sizes_nothing() {
        let sized = |size: u16| {
            let bytes = head(|head| head[16..18].copy_from_slice(&size.to_be_bytes()));
            Header::parse(&bytes).map(|header| header.page_size)
        };
        assert_eq!(sized(1), Some(65_536));
        assert_eq!(sized(512), Some(512));
        assert_eq!(sized(32_768), Some(32_768));
        for size in [0, 2, 256, 511, 513, 4095, 65_535] {
            assert_eq!(sized(size), None, "{size}");
        }
    }

    #[test]
    fn a_stale_page_count_is_not_trusted() {
        let stale = Header::parse(&head(|head| {
            head[24..28].copy_from_slice(&9_u32.to_be_bytes());
            head[28..32].copy_from_slice(&77_u32.to_be_bytes());
            head[92..96].copy_from_slice(&8_u32.to_be_bytes());
        }));
        assert!(!stale.unwrap().page_count_valid);
        assert!(!Header::parse(&head(|_| ())).unwrap().page_count_valid);
    }

    #[test]
    fn side_files_are_known_by_their_first_bytes() {
        let wal = |order: u8, size: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&(WAL_MAGIC | u32::from(order)).to_be_bytes());
            bytes[8..12].copy_from_slice(&size.to_be_bytes());
            bytes
        };
        assert!(is_wal(&wal(0, 4096)) && is_wal(&wal(1, 4096)) && !is_wal(&[0x37, 0x7f, 6, 0x84]));
        assert_eq!(wal_page_size(&wal(1, 65_536)), Some(65_536));
        assert_eq!(wal_page_size(&wal(1, 1000)), None);
        assert!(
            is_live_journal(&JOURNAL_MAGIC) && !is_live_journal(&[0; 8]) && !is_live_journal(b"")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), magic: bool) {
            if magic && bytes.len() >= 16 {
                bytes[..16].copy_from_slice(MAGIC);
            }
            if let Some(header) = Header::parse(&bytes) {
                prop_assert!(valid_page_size(header.page_size) && bytes.len() >= HEADER_BYTES);
            }
            let _ = (is_wal(&bytes), wal_page_size(&bytes), is_live_journal(&bytes));
        }
    }
}
