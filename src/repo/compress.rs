//! zstd in and out, and the guess whether it is worth trying.
//!
//! Invariant: decompression never allocates more than the length that was
//! promised, and the promise is bounded by the format.

use std::cell::RefCell;

use crate::codec::pack::Encoding;
use crate::repo::blobs::Compression;

/// zstd's default: on database pages and manifests the levels above it gain little for their time.
const LEVEL: i32 = 3;

/// For page patches: a twentieth smaller than at the level above, which is a tenth of what they cost to make.
const STRONG_LEVEL: i32 = 9;

/// Below this a frame's own header eats what it gains.
const SMALLEST_BYTES: usize = 64;

const SAMPLE_LEN: usize = 4096;

thread_local! {
    // A compressor is a megabyte, a decompressor a sixth of that; one of each a thread instead of one a blob.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The payload to store for a blob: a zstd frame, or `None` to store the plaintext.
pub fn compress(plain: &[u8], wanted: Compression) -> Option<Vec<u8>> {
    let worth_trying = match wanted {
        Compression::Never => false,
        Compression::Always | Compression::Strong => true,
        Compression::Probe => !looks_random(plain),
    };
    if !worth_trying || plain.len() < SMALLEST_BYTES {
        return None;
    }
    let frame = if wanted == Compression::Strong { strong(plain)? } else { frame_of(plain)? };
    // A gain below 3 % is not worth the decompression at every read.
    (frame.len() < plain.len() - plain.len() / 32).then_some(frame)
}

/// A few times a night: its compressor, ten times as large, is not kept.
fn strong(plain: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(plain, STRONG_LEVEL).ok()
}

fn frame_of(plain: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        slot.as_mut()?.compress(plain).ok()
    })
}

/// The plaintext behind a payload; `None` when the payload is not a frame of exactly this length.
pub fn decompress(stored: &[u8], encoding: Encoding, plain_len: usize) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Raw => (stored.len() == plain_len).then(|| stored.to_vec()),
        Encoding::Zstd => {
            let plain = plain_of(stored, plain_len)?;
            (plain.len() == plain_len).then_some(plain)
        }
    }
}

fn plain_of(frame: &[u8], plain_len: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut()?.decompress(frame, plain_len).ok()
    })
}

/// True when three samples all have nearly eight bits of entropy a byte: media, archives, sealed data.
fn looks_random(plain: &[u8]) -> bool {
    if plain.len() < SAMPLE_LEN {
        return false;
    }
    let last = plain.len() - SAMPLE_LEN;
    [0, last / 2, last]
        .into_iter()
        .all(|start| entropy_bits(&plain[start..start + SAMPLE_LEN]) > 7.6)
}

/// Shannon entropy of a sample, bits a byte.
fn entropy_bits(sample: &[u8]) -> f64 {
    let mut histogram = [0_u32; 256];
    for byte in sample {
        histogram[usize::from(*byte)] += 1;
    }
    let total = f64::from(u32::try_from(sample.len()).unwrap_or(u32::MAX));
    histogram
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|p| -p * p.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(b"seed").finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn text_is_compressed_and_comes_back() {
        let plain = b"all work and no play ".repeat(1000);
        let frame = compress(&plain, Compression::Probe).unwrap();
        assert!(frame.len() * 20 < plain.len());
        assert_eq!(decompress(&frame, Encoding::Zstd, plain.len()), Some(plain));
    }

    #[test]
    fn random_bytes_are_stored_as_they_are_even_when_asked_always() {
        assert_eq!(compress(&random(100_000), Compression::Probe), None);
        assert_eq!(compress(&random(100_000), Compression::Always), None);
    }

    #[test]
    fn the_probe_looks_beyond_the_beginning() {
        let mut plain = random(SAMPLE_LEN);
        plain.extend(b"text ".repeat(10_000));
        assert!(compress(&plain, Compression::Probe).is_some());
        assert_eq!(compress(&plain, Compression::Never), None);
    }

    #[test]
    fn a_wrong_length_or_a_broken_frame_is_refused() {
        let plain = b"abc".repeat(1000);
        let frame = compress(&plain, Compression::Always).unwrap();
        assert_eq!(decompress(&frame, Encoding::Zstd, plain.len() - 1), None);
        assert_eq!(decompress(&frame, Encoding::Zstd, plain.len() + 1), None);
        assert_eq!(decompress(&frame[..frame.len() - 1], Encoding::Zstd, plain.len()), None);
        assert_eq!(decompress(b"xyz", Encoding::Raw, 4), None);
        assert_eq!(decompress(b"xyz", Encoding::Raw, 3), Some(b"xyz".to_vec()));
    }

    #[test]
    fn a_broken_frame_spoils_nothing_after_it() {
        let plain = b"abc".repeat(1000);
        let frame = compress(&plain, Compression::Always).unwrap();
        for cut in 0..frame.len() {
            assert_eq!(decompress(&frame[..cut], Encoding::Zstd, plain.len()), None, "{cut}");
            assert_eq!(decompress(&frame, Encoding::Zstd, plain.len()).as_ref(), Some(&plain));
        }
    }
}
