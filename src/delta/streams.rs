//! The streams of a segment: numbers of one kind stand together, because a
//! compressor that sees like beside like needs fewer bytes.

use std::fmt;

use crate::delta::error::DeltaError;
use crate::delta::varint;

/// One of the streams, in their order within a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Distances of page numbers.
    Numbers,
    /// How each page is made.
    Flags,
    /// Other pages that a page is made from.
    Sources,
    /// Runs of cells.
    Cells,
    /// Lengths of new cells.
    Lengths,
    /// Where cells lie, as far as it is not where they would be.
    Places,
    /// Lengths of literals.
    Literals,
    /// Lengths of copies.
    Copies,
    /// Where copies begin.
    Offsets,
    /// Literal bytes of pages that are no tree pages.
    Bytes,
    /// Literal bytes of interior pages of indexes.
    IndexInterior,
    /// Literal bytes of interior pages of tables.
    TableInterior,
    /// Literal bytes of leaves of indexes.
    IndexLeaf,
    /// Literal bytes of leaves of tables.
    TableLeaf,
}

/// How many streams a segment has.
pub(super) const STREAMS: usize = 14;

const ALL: [Stream; STREAMS] = [
    Stream::Numbers,
    Stream::Flags,
    Stream::Sources,
    Stream::Cells,
    Stream::Lengths,
    Stream::Places,
    Stream::Literals,
    Stream::Copies,
    Stream::Offsets,
    Stream::Bytes,
    Stream::IndexInterior,
    Stream::TableInterior,
    Stream::IndexLeaf,
    Stream::TableLeaf,
];

impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Numbers => "page numbers",
            Self::Flags => "flags",
            Self::Sources => "sources",
            Self::Cells => "cell runs",
            Self::Lengths => "cell lengths",
            Self::Places => "cell places",
            Self::Literals => "literal lengths",
            Self::Copies => "copy lengths",
            Self::Offsets => "copy offsets",
            Self::Bytes => "literals of other pages",
            Self::IndexInterior => "literals of index interiors",
            Self::TableInterior => "literals of table interiors",
            Self::IndexLeaf => "literals of index leaves",
            Self::TableLeaf => "literals of table leaves",
        })
    }
}

/// Streams that are being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    streams: [Vec<u8>; STREAMS],
}

impl Writer {
    /// Appends a number.
    pub(super) fn number(&mut self, stream: Stream, value: usize) {
        // Everything counted here is bounded by a segment of 16 MiB.
        let value = u32::try_from(value).expect("invariant: below the size of a segment");
        varint::put(&mut self.streams[stream as usize], value);
    }

    /// Appends a number with a sign.
    pub(super) fn signed(&mut self, stream: Stream, value: i32) {
        varint::put(&mut self.streams[stream as usize], varint::fold(value));
    }

    /// Appends bytes as they are.
    pub(super) fn bytes(&mut self, stream: Stream, bytes: &[u8]) {
        self.streams[stream as usize].extend_from_slice(bytes);
    }

    /// The length of each stream, then the streams.
    pub(super) fn append_to(self, out: &mut Vec<u8>) {
        for stream in &self.streams {
            let length = u32::try_from(stream.len()).expect("invariant: bounded by the pages");
            varint::put(out, length);
        }
        for stream in &self.streams {
            out.extend_from_slice(stream);
        }
    }
}

/// Streams that are being read: what is left of each. A copy is a bookmark.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    left: [&'a [u8]; STREAMS],
}

impl<'a> Reader<'a> {
    /// The streams in `bytes`, which must end where the last of them ends.
    pub(super) fn new(mut bytes: &'a [u8]) -> Result<Self, DeltaError> {
        let mut lengths = [0_usize; STREAMS];
        for length in &mut lengths {
            let frame = DeltaError::Frame { what: "the lengths of the streams are cut short" };
            *length = varint::take(&mut bytes).ok_or(frame)? as usize;
        }
        let mut left = [&[][..]; STREAMS];
        for (stream, length) in left.iter_mut().zip(lengths) {
            let frame = DeltaError::Frame { what: "a stream is cut short" };
            (*stream, bytes) = bytes.split_at_checked(length).ok_or(frame)?;
        }
        match bytes {
            [] => Ok(Self { left }),
            _ => Err(DeltaError::Frame { what: "bytes after the last stream" }),
        }
    }

    /// Takes a number of at most `limit`.
    pub(super) fn number(&mut self, stream: Stream, limit: usize) -> Result<usize, DeltaError> {
        let value = varint::take(&mut self.left[stream as usize]).map(|value| value as usize);
        value.filter(|value| *value <= limit).ok_or(DeltaError::Stream { stream })
    }

    /// Takes a number with a sign.
    pub(super) fn signed(&mut self, stream: Stream) -> Result<i32, DeltaError> {
        let value = varint::take(&mut self.left[stream as usize]);
        value.map(varint::unfold).ok_or(DeltaError::Stream { stream })
    }

    /// Takes `length` bytes.
    pub(super) fn bytes(&mut self, stream: Stream, length: usize) -> Result<&'a [u8], DeltaError> {
        let left = &mut self.left[stream as usize];
        let (taken, rest) = left.split_at_checked(length).ok_or(DeltaError::Stream { stream })?;
        *left = rest;
        Ok(taken)
    }

    /// Refuses bytes that nothing has taken.
    pub(super) fn finish(&self) -> Result<(), DeltaError> {
        for (stream, left) in ALL.into_iter().zip(self.left) {
            if !left.is_empty() {
                return Err(DeltaError::LeftOver { stream, left: left.len() });
            }
        }
        Ok(())
    }

    /// Where each stream stands, counted from its end.
    pub(super) fn mark(&self) -> Mark {
        // A segment is a blob, so its lengths fit; a longer one is not resumed rightly, but safely.
        Mark(self.left.map(|left| u32::try_from(left.len()).unwrap_or(0)))
    }

    /// The same streams where they stood at `mark`, of these streams at their beginning.
    pub(super) fn at(&self, mark: &Mark) -> Self {
        let mut left = self.left;
        for (stream, mark) in left.iter_mut().zip(mark.0) {
            let taken = stream.len().saturating_sub(mark as usize);
            *stream = stream.get(taken..).unwrap_or_default();
        }
        Self { left }
    }
}

/// A place in all streams.
#[derive(Debug, Clone)]
pub(super) struct Mark([u32; STREAMS]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_come_back_and_every_other_length_is_refused() {
        let mut writer = Writer::default();
        writer.number(Stream::Numbers, 300);
        writer.signed(Stream::Sources, -2);
        writer.bytes(Stream::TableLeaf, b"cells");
        let mut bytes = Vec::new();
        writer.append_to(&mut bytes);
        let mut reader = Reader::new(&bytes).unwrap();
        assert_eq!(reader.number(Stream::Numbers, 300), Ok(300));
        assert_eq!(reader.signed(Stream::Sources), Ok(-2));
        let left = DeltaError::LeftOver { stream: Stream::TableLeaf, left: 5 };
        assert_eq!(reader.finish(), Err(left));
        assert_eq!(reader.bytes(Stream::TableLeaf, 5), Ok(&b"cells"[..]));
        assert_eq!(reader.finish(), Ok(()));
        for short in 0..bytes.len() {
            assert!(Reader::new(&bytes[..short]).is_err());
        }
        bytes.push(0);
        assert!(Reader::new(&bytes).is_err());
    }

    #[test]
    fn a_number_above_its_limit_is_refused() {
        let mut writer = Writer::default();
        writer.number(Stream::Cells, 9);
        let mut bytes = Vec::new();
        writer.append_to(&mut bytes);
        let refused = Err(DeltaError::Stream { stream: Stream::Cells });
        assert_eq!(Reader::new(&bytes).unwrap().number(Stream::Cells, 8), refused);
    }
}
