//! What can be wrong with pages to encode or with a segment to decode.

use crate::delta::streams::Stream;

/// Why pages were not encoded or a segment was not decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// No page size of `SQLite`, or more reserved bytes than it allows.
    #[error("pages of {page_bytes} bytes with {reserved_bytes} reserved do not exist")]
    Shape {
        /// Bytes of a page.
        page_bytes: u32,
        /// Bytes that an extension keeps for itself at the end of each page.
        reserved_bytes: u8,
    },
    /// An image of a page is not as long as a page.
    #[error("image of page {number} has {actual} bytes instead of {expected}")]
    ImageLength {
        /// The page.
        number: u32,
        /// Bytes of a page.
        expected: usize,
        /// Bytes of the image.
        actual: usize,
    },
    /// Page numbers do not ascend strictly from 1.
    #[error("page {number} does not come after the page before it")]
    Order {
        /// The page.
        number: u32,
    },
    /// A segment holds more page images than it may.
    #[error("a segment of {pages} pages; at most {limit} may be in one")]
    TooManyPages {
        /// Pages of the segment.
        pages: u64,
        /// Pages that a segment may hold.
        limit: usize,
    },
    /// A stream of the segment ends too early or holds a number that is too large.
    #[error("the {stream} of the segment end early or hold a number that is too large")]
    Stream {
        /// Which stream.
        stream: Stream,
    },
    /// Bytes of a segment are left over.
    #[error("{left} bytes of the {stream} belong to no page")]
    LeftOver {
        /// Which stream.
        stream: Stream,
        /// Bytes that no page used.
        left: usize,
    },
    /// The frame of the segment is none that this program knows.
    #[error("not a page patch segment: {what}")]
    Frame {
        /// What is wrong.
        what: &'static str,
    },
    /// The operations of a page break a rule.
    #[error("page {number} of the segment: {what}")]
    Page {
        /// The page.
        number: u32,
        /// The rule.
        what: &'static str,
    },
    /// A page needs an old image that does not exist.
    #[error("page {number} is made from the old image of page {missing}, which does not exist")]
    NoOldImage {
        /// The page that is made.
        number: u32,
        /// The page whose old image is missing.
        missing: u32,
    },
}
