//! A stream of bytes cut into chunks, in one reused buffer.

use std::io::{self, Read};

use crate::chunker::params::Params;
use crate::chunker::plan::{CutPlan, Cutter};

/// Bytes asked for in one read: few calls, and what was read is still in the
/// core's cache when it is scanned.
pub const READ_BYTES: usize = 256 * 1024;

/// Cuts what a source yields, however its reads fall.
///
/// The buffer belongs to the caller, who reuses it from file to file. It grows to
/// at most the longest chunk plus [`READ_BYTES`], and the batch where one is asked for.
#[derive(Debug)]
pub struct ChunkStream<'b, R> {
    source: R,
    cutter: Cutter,
    buffer: &'b mut Vec<u8>,
    /// `kept..begin` is handed out or about to be, `begin..end` is not cut yet;
    /// bytes outside may be overwritten.
    kept: usize,
    begin: usize,
    end: usize,
    source_ended: bool,
}

impl<'b, R: Read> ChunkStream<'b, R> {
    /// A stream over `source`, cut as `plan` says; `buffer` may hold anything.
    pub fn new(source: R, plan: CutPlan, params: &Params, buffer: &'b mut Vec<u8>) -> Self {
        let cutter = Cutter::new(plan, *params);
        Self { source, cutter, buffer, kept: 0, begin: 0, end: 0, source_ended: false }
    }

    /// The next chunk, never empty; nothing at the end of the source. After an
    /// error of the source no byte is lost: the next call goes on where it stood.
    pub fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        self.kept = self.begin;
        let len = self.next_len(0)?;
        self.begin += len;
        Ok((len > 0).then(|| &self.buffer[self.kept..self.begin]))
    }

    /// The next chunks, as many as it takes to reach `batch_bytes` (at least
    /// one), to be hashed together; none at the end of the source. After an error
    /// the next call begins with the first chunk of this batch.
    pub fn next_batch(&mut self, batch_bytes: usize) -> io::Result<Vec<&[u8]>> {
        self.kept = self.begin;
        let lens = match self.batch_lens(batch_bytes) {
            Ok(lens) => lens,
            Err(error) => {
                self.begin = self.kept;
                return Err(error);
            }
        };
        let mut rest = &self.buffer[self.kept..self.begin];
        Ok(lens.into_iter().filter_map(|len| rest.split_off(..len)).collect())
    }

    fn batch_lens(&mut self, batch_bytes: usize) -> io::Result<Vec<usize>> {
        let mut lens = Vec::new();
        loop {
            let len = self.next_len(batch_bytes)?;
            if len == 0 {
                return Ok(lens);
            }
            lens.push(len);
            self.begin += len;
            if self.begin - self.kept >= batch_bytes {
                return Ok(lens);
            }
        }
    }

    /// The length of the chunk at `begin`, read as far as that needs; 0 at the end.
    fn next_len(&mut self, batch_bytes: usize) -> io::Result<usize> {
        let mut tested = 0;
        loop {
            let uncut = &self.buffer[self.begin..self.end];
            if let Some(len) = self.cutter.chunk_len(uncut, tested) {
                return Ok(len);
            }
            tested = uncut.len();
            if self.source_ended {
                return Ok(tested);
            }
            self.read_more(batch_bytes)?;
        }
    }

    fn read_more(&mut self, batch_bytes: usize) -> io::Result<()> {
        self.make_room(batch_bytes);
        let room = &mut self.buffer[self.end..self.end + READ_BYTES];
        let read = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        // Not asked again: a file that grows meanwhile must not revive an ended stream.
        self.source_ended = read == 0;
        Ok(())
    }

    /// Makes room for one read behind `end`: first by dropping what was handed
    /// out (at most once for each chunk or batch), then by growing.
    fn make_room(&mut self, batch_bytes: usize) {
        if self.end + READ_BYTES <= self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.kept..self.end, 0);
        self.begin -= self.kept;
        self.end -= self.kept;
        self.kept = 0;
        let needed = self.end + READ_BYTES;
        if needed > self.buffer.len() {
            // Doubling keeps the copies few. `needed` stays below the limit, as what is cut
            // is shorter than the batch and what is not cut is shorter than a chunk.
            let limit = batch_bytes.saturating_add(self.cutter.max_bytes() + READ_BYTES);
            let grown = (self.buffer.len() * 2).min(limit).max(needed);
            self.buffer.reserve_exact(grown - self.buffer.len());
            self.buffer.resize(grown, 0);
        }
    }
}

/// The chunks of bytes that are in memory already, uncopied: the cuts of
/// [`ChunkStream`] over the same bytes.
pub fn chunks_of<'a>(
    bytes: &'a [u8],
    plan: CutPlan,
    params: &Params,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let cutter = Cutter::new(plan, *params);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = cutter.chunk_len(rest, 0).unwrap_or(rest.len());
        rest.split_off(..len).filter(|chunk| !chunk.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunker::reference::{Stutter, random};

    fn params() -> Params {
        Params::new(4096, 8192).unwrap()
    }

    fn chunks(source: impl Read, plan: CutPlan) -> Vec<Vec<u8>> {
        let mut buffer = vec![0xee; 3];
        let mut stream = ChunkStream::new(source, plan, &params(), &mut buffer);
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.next_chunk().unwrap() {
            chunks.push(chunk.to_vec());
        }
        assert!(stream.next_chunk().unwrap().is_none(), "the end stays the end");
        chunks
    }

    #[test]
    fn an_empty_source_has_no_chunks() {
        for plan in [CutPlan::Whole, CutPlan::Gear, CutPlan::Fixed { piece_bytes: 8 }] {
            assert!(chunks(io::empty(), plan).is_empty());
            let mut buffer = Vec::new();
            let mut stream = ChunkStream::new(io::empty(), plan, &params(), &mut buffer);
            assert!(stream.next_batch(1000).unwrap().is_empty());
        }
    }

    #[test]
    fn fixed_pieces_are_full_but_for_the_last() {
        let data = random(1, 10_001);
        let lens: Vec<usize> =
            chunks(&*data, CutPlan::Fixed { piece_bytes: 5000 }).iter().map(Vec::len).collect();
        assert_eq!(lens, [5000, 5000, 1]);
    }

    #[test]
    fn a_whole_file_is_one_chunk_and_one_that_grew_stays_bounded() {
        let data = random(2, 20_000);
        assert_eq!(chunks(&data[..8192], CutPlan::Whole), [data[..8192].to_vec()]);
        let lens: Vec<usize> = chunks(&*data, CutPlan::Whole).iter().map(Vec::len).collect();
        assert_eq!(lens, [8192, 8192, 3616]);
    }

    #[test]
    fn batches_and_bytes_in_memory_have_the_same_chunks() {
        let data = random(3, 3_000_000);
        let single = chunks(&*data, CutPlan::Gear);
        assert!(chunks_of(&data, CutPlan::Gear, &params()).eq(&single));
        assert_eq!(chunks_of(&[], CutPlan::Gear, &params()).count(), 0);
        for batch_bytes in [0, 1, 10_000, 700_000, usize::MAX] {
            let mut buffer = Vec::new();
            let source = Stutter::new(&data, 9);
            let mut stream = ChunkStream::new(source, CutPlan::Gear, &params(), &mut buffer);
            let mut batched: Vec<Vec<u8>> = Vec::new();
            loop {
                let batch = stream.next_batch(batch_bytes).unwrap();
                let Some((last, others)) = batch.split_last() else { break };
                let before_last: usize = others.iter().map(|chunk| chunk.len()).sum();
                assert!(before_last < batch_bytes.max(1), "no more than it takes");
                assert!(!last.is_empty());
                batched.extend(batch.iter().map(|chunk| chunk.to_vec()));
            }
            assert_eq!(batched, single);
        }
    }

    #[test]
    fn the_buffer_stays_below_its_bound_and_is_reused() {
        let data = random(4, 4_000_000);
        let mut buffer = Vec::new();
        let bound = params().max_bytes() + READ_BYTES;
        for _ in 0..2 {
            let mut stream = ChunkStream::new(&*data, CutPlan::Gear, &params(), &mut buffer);
            while stream.next_chunk().unwrap().is_some() {}
            assert!(buffer.capacity() <= bound, "{}", buffer.capacity());
        }
        let mut stream = ChunkStream::new(&*data, CutPlan::Gear, &params(), &mut buffer);
        while !stream.next_batch(1_000_000).unwrap().is_empty() {}
        assert!(buffer.capacity() <= bound + 1_000_000, "{}", buffer.capacity());
    }

    /// Fails every other read, for good reasons and bad.
    struct Faulty<'a> {
        data: &'a [u8],
        calls: usize,
    }

    impl Read for Faulty<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 4 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                3 => Err(io::Error::other("bad sector")),
                _ => {
                    let len = into.len().min(7000);
                    self.data.read(&mut into[..len])
                }
            }
        }
    }

    #[test]
    fn an_error_is_passed_on_and_loses_no_byte() {
        let data = random(5, 200_000);
        let expected = chunks(&*data, CutPlan::Gear);
        for batch_bytes in [0, 30_000] {
            let mut buffer = Vec::new();
            let source = Faulty { data: &data, calls: 0 };
            let mut stream = ChunkStream::new(source, CutPlan::Gear, &params(), &mut buffer);
            let (mut got, mut errors) = (Vec::new(), 0);
            loop {
                match stream.next_batch(batch_bytes) {
                    Ok(batch) if batch.is_empty() => break,
                    Ok(batch) => got.extend(batch.iter().map(|chunk| chunk.to_vec())),
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::Other, "interruptions are not");
                        errors += 1;
                    }
                }
            }
            assert!(errors > 10);
            assert_eq!(got, expected);
        }
    }
}
