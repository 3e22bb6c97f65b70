//! Page-aligned groups: how the base of a database is cut.
//!
//! A database changes page by page and in place, so cutting it by content finds
//! nothing that fixed places do not find cheaper.

use crate::chunker::params::ParamsError;

/// About how long a group is, in bytes.
pub const DEFAULT_GROUP_BYTES: u32 = 1024 * 1024;

/// One group: a run of whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageGroup {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes, a multiple of the page size, never 0.
    pub len: u64,
}

/// How a database with pages of one size is cut into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageGroups {
    page_bytes: u64,
    group_bytes: u64,
}

impl PageGroups {
    /// Groups of about `group_bytes`, rounded down to whole pages of `page_bytes`
    /// and at least one; refuses what is no page size of `SQLite`.
    pub fn new(page_bytes: u32, group_bytes: u32) -> Result<Self, ParamsError> {
        if !page_bytes.is_power_of_two() || !(512..=65536).contains(&page_bytes) {
            return Err(ParamsError::PageSize { bytes: page_bytes });
        }
        let pages = u64::from(group_bytes / page_bytes).max(1);
        let page_bytes = u64::from(page_bytes);
        Ok(Self { page_bytes, group_bytes: pages * page_bytes })
    }

    /// The groups of a database of `page_count` pages, in order and without gaps.
    ///
    /// The first page is a group of its own, because its counters change at nearly
    /// every capture. The other groups end at multiples of the group length, so a
    /// database that grows changes its last group only.
    pub fn of_database(&self, page_count: u32) -> impl Iterator<Item = PageGroup> + use<> {
        let Self { page_bytes, group_bytes } = *self;
        // Below 2^48: a page count of 32 bits, a page of at most 2^16 bytes.
        let total = u64::from(page_count) * page_bytes;
        let mut offset = 0;
        std::iter::from_fn(move || {
            let end = match offset {
                0 => page_bytes,
                _ => (offset / group_bytes + 1) * group_bytes,
            };
            let group = PageGroup { offset, len: end.min(total) - offset };
            offset = end.min(total);
            (group.len > 0).then_some(group)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(page: u32, group: u32, pages: u32) -> Vec<(u64, u64)> {
        let groups = PageGroups::new(page, group).unwrap();
        groups.of_database(pages).map(|group| (group.offset, group.len)).collect()
    }

    #[test]
    fn the_first_page_stands_alone_and_the_rest_is_aligned() {
        assert_eq!(groups(4096, 16384, 0), []);
        assert_eq!(groups(4096, 16384, 1), [(0, 4096)]);
        assert_eq!(groups(4096, 16384, 4), [(0, 4096), (4096, 12288)]);
        assert_eq!(
            groups(4096, 16384, 9),
            [(0, 4096), (4096, 12288), (16384, 16384), (32768, 4096)]
        );
    }

    #[test]
    fn a_group_is_never_shorter_than_a_page_and_always_whole_pages() {
        assert_eq!(groups(512, 0, 3), [(0, 512), (512, 512), (1024, 512)]);
        assert_eq!(groups(1024, 2500, 4), [(0, 1024), (1024, 1024), (2048, 2048)]);
    }

    #[test]
    fn groups_cover_the_database_without_gap_or_overlap() {
        for page in [512, 1024, 4096, 65536] {
            for pages in [1, 2, 15, 16, 17, 255, 256, 257, 5000] {
                let mut next = 0;
                for (offset, len) in groups(page, DEFAULT_GROUP_BYTES, pages) {
                    assert_eq!(offset, next);
                    assert!(len > 0 && len.is_multiple_of(u64::from(page)));
                    assert!(len <= u64::from(DEFAULT_GROUP_BYTES));
                    next += len;
                }
                assert_eq!(next, u64::from(page) * u64::from(pages));
            }
        }
    }

    #[test]
    fn a_database_that_grows_keeps_all_groups_but_its_last() {
        let before = groups(4096, DEFAULT_GROUP_BYTES, 1000);
        let after = groups(4096, DEFAULT_GROUP_BYTES, 1001);
        assert_eq!(before[..before.len() - 1], after[..before.len() - 1]);
    }

    #[test]
    fn the_largest_database_does_not_overflow() {
        let groups = PageGroups::new(65536, u32::MAX).unwrap();
        let last = groups.of_database(u32::MAX).last().unwrap();
        assert_eq!(last.offset + last.len, u64::from(u32::MAX) * 65536);
    }

    #[test]
    fn what_is_no_page_size_is_refused() {
        for bytes in [0, 1, 256, 511, 1000, 4097, 131_072, u32::MAX] {
            let refused = PageGroups::new(bytes, DEFAULT_GROUP_BYTES);
            assert_eq!(refused, Err(ParamsError::PageSize { bytes }));
        }
    }
}
