//! How a file is cut: as one chunk, by content, or in fixed pieces.

use crate::chunker::gear;
use crate::chunker::media;
use crate::chunker::params::Params;

/// How the bytes of one file become chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutPlan {
    /// One chunk; none when the file is empty.
    Whole,
    /// By content, so that an edit changes the chunks around it and no others.
    Gear,
    /// Pieces of `piece_bytes`, the last one shorter: an edit of compressed bytes
    /// changes everything after it anyway, so only an append is worth finding.
    Fixed {
        /// Length of a piece in bytes.
        piece_bytes: u32,
    },
}

impl CutPlan {
    /// The plan for a file of `len` bytes that begins with `head` (the whole file,
    /// or at least [`media::HEAD_BYTES`] of it).
    ///
    /// Up to the shortest gear chunk a file is one chunk under any rule. Above
    /// that only compressed media are kept whole: a text that grows past a limit
    /// must not change its cuts there, or that night stores all of it again.
    pub fn for_file(head: &[u8], len: u64, params: &Params) -> Self {
        let fits = |bytes: usize| u64::try_from(bytes).is_ok_and(|bytes| len <= bytes);
        if fits(params.min_bytes()) {
            return Self::Whole;
        }
        match media::recognise(head) {
            None => Self::Gear,
            Some(_) if fits(params.whole_file_bytes()) => Self::Whole,
            Some(_) => Self::Fixed { piece_bytes: params.piece_bytes() },
        }
    }
}

/// A plan with its numbers: decides one chunk after the other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cutter {
    Gear(Params),
    Fixed(usize),
}

impl Cutter {
    /// A file planned whole that grew since is cut at the whole-file limit, so a
    /// chunk and the buffer behind it stay bounded whatever is read.
    pub(super) fn new(plan: CutPlan, params: Params) -> Self {
        match plan {
            CutPlan::Whole => Self::Fixed(params.whole_file_bytes()),
            CutPlan::Gear => Self::Gear(params),
            CutPlan::Fixed { piece_bytes } => Self::Fixed((piece_bytes as usize).max(1)),
        }
    }

    /// The longest chunk in bytes.
    pub(super) fn max_bytes(&self) -> usize {
        match self {
            Self::Gear(params) => params.max_bytes(),
            Self::Fixed(piece) => *piece,
        }
    }

    /// The length of the chunk that begins `data`, or nothing while more data
    /// could decide it. Lengths up to `tested` are known not to be cuts.
    pub(super) fn chunk_len(&self, data: &[u8], tested: usize) -> Option<usize> {
        match self {
            Self::Gear(params) => gear::chunk_len(data, tested, *params),
            Self::Fixed(piece) => (data.len() >= *piece).then_some(*piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunker::params::{DEFAULT_AVERAGE_BYTES, DEFAULT_WHOLE_FILE_BYTES};

    const MIN: u64 = DEFAULT_AVERAGE_BYTES as u64 / 2;
    const LIMIT: u64 = DEFAULT_WHOLE_FILE_BYTES as u64;

    fn plan(head: &[u8], len: u64) -> CutPlan {
        CutPlan::for_file(head, len, &Params::default())
    }

    #[test]
    fn a_small_file_is_one_chunk_whatever_it_is() {
        for head in [b"".as_slice(), b"plain text", b"\xff\xd8\xff\xe0 jpeg"] {
            assert_eq!(plan(head, 0), CutPlan::Whole);
            assert_eq!(plan(head, MIN), CutPlan::Whole);
        }
    }

    #[test]
    fn other_files_are_cut_by_content_from_the_shortest_chunk_on() {
        for len in [MIN + 1, LIMIT, LIMIT + 1, u64::MAX] {
            assert_eq!(plan(b"time,part,stock\n", len), CutPlan::Gear);
            assert_eq!(plan(b"SQLite format 3\0", len), CutPlan::Gear);
        }
    }

    #[test]
    fn compressed_media_are_whole_up_to_the_limit_and_pieces_above() {
        let head = b"%PDF-1.7\n";
        assert_eq!(plan(head, MIN + 1), CutPlan::Whole);
        assert_eq!(plan(head, LIMIT), CutPlan::Whole);
        let pieces = CutPlan::Fixed { piece_bytes: DEFAULT_WHOLE_FILE_BYTES };
        assert_eq!(plan(head, LIMIT + 1), pieces);
        assert_eq!(plan(head, u64::MAX), pieces);
    }

    #[test]
    fn a_plan_made_by_hand_cannot_make_empty_pieces() {
        let cutter = Cutter::new(CutPlan::Fixed { piece_bytes: 0 }, Params::default());
        assert_eq!(cutter.chunk_len(b"ab", 0), Some(1));
        assert_eq!(cutter.chunk_len(b"", 0), None);
    }
}
