//! What all pages of a database have in common.

use crate::delta::error::DeltaError;

/// Bytes of page images that one segment may hold: enough that a busy night of a
/// database of 150 MB is one segment, little enough to apply one in memory.
pub const SEGMENT_PAGE_BYTES: usize = 24 * 1024 * 1024;

/// The least part of a page that `SQLite` lets an extension leave for itself.
const LEAST_USABLE_BYTES: usize = 480;

/// The size of the pages of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageShape {
    page_bytes: u32,
    reserved_bytes: u8,
}

impl PageShape {
    /// Pages of `page_bytes` bytes, a power of two from 512 to 65536, of which the
    /// last `reserved_bytes` (byte 20 of the database) hold no cells.
    pub fn new(page_bytes: u32, reserved_bytes: u8) -> Result<Self, DeltaError> {
        let shape = Self { page_bytes, reserved_bytes };
        let known = page_bytes.is_power_of_two() && (512..=65536).contains(&page_bytes);
        if !known || shape.usable() < LEAST_USABLE_BYTES {
            return Err(DeltaError::Shape { page_bytes, reserved_bytes });
        }
        Ok(shape)
    }

    /// Bytes of a page.
    pub fn page_bytes(self) -> usize {
        self.page_bytes as usize
    }

    /// Bytes at the end of each page that hold no cells.
    pub fn reserved_bytes(self) -> u8 {
        self.reserved_bytes
    }

    /// Pages that one segment may hold.
    pub fn segment_pages(self) -> usize {
        SEGMENT_PAGE_BYTES / self.page_bytes()
    }

    /// Bytes of a page that may hold cells.
    pub(super) fn usable(self) -> usize {
        self.page_bytes().saturating_sub(usize::from(self.reserved_bytes))
    }
}
