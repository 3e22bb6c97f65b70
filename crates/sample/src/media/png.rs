//! PNG of random pixels, in stored deflate blocks.

use std::sync::LazyLock;

use crate::rng::Rng;

/// Longest stored block of a deflate stream, in bytes.
const STORED_MAX: usize = 65_535;
/// Pixel data per IDAT chunk, as common encoders cut it.
const IDAT_BYTES: usize = 32_768;

/// An RGB picture of about `target` bytes, at least 8 x 1 pixels.
pub(crate) fn encode(rng: &mut Rng, target: usize) -> Vec<u8> {
    let width = (target / 3).isqrt().clamp(8, 4_096);
    let height = (target / (1 + 3 * width)).max(1);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut out, *b"IHDR", &image_header(width, height));
    chunk(&mut out, *b"tEXt", format!("Comment\0{}", rng.hex8()).as_bytes());
    let stream = zlib_stored(&scanlines(rng, width, height));
    for part in stream.chunks(IDAT_BYTES) {
        chunk(&mut out, *b"IDAT", part);
    }
    chunk(&mut out, *b"IEND", b"");
    out
}

fn image_header(width: usize, height: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(13);
    for side in [width, height] {
        header.extend(u32::try_from(side).expect("invariant: far below 2^31").to_be_bytes());
    }
    // 8 bits a sample, true colour, deflate, adaptive filters, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    header
}

/// Rows of pixels, each behind its filter byte (0, none).
fn scanlines(rng: &mut Rng, width: usize, height: usize) -> Vec<u8> {
    let mut rows = vec![0; height * (1 + 3 * width)];
    for row in rows.chunks_mut(1 + 3 * width) {
        rng.fill(&mut row[1..]);
    }
    rows
}

fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = data.len().div_ceil(STORED_MAX);
    for (index, block) in data.chunks(STORED_MAX).enumerate() {
        let length = u16::try_from(block.len()).expect("invariant: at most STORED_MAX");
        out.push(u8::from(index + 1 == blocks));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).expect("invariant: chunks are short");
    out.extend(length.to_be_bytes());
    let start = out.len();
    out.extend(kind);
    out.extend(body);
    let crc = crc32(&out[start..]);
    out.extend(crc.to_be_bytes());
}

static CRC_TABLE: LazyLock<[u32; 256]> = LazyLock::new(crc_table);

fn crc_table() -> [u32; 256] {
    let entry = |value: u32| if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
    let mut table = [0; 256];
    for (index, slot) in (0_u32..).zip(&mut table) {
        *slot = (0..8).fold(index, |value, _| entry(value));
    }
    table
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        CRC_TABLE[usize::from(low ^ byte)] ^ (crc >> 8)
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    // 5552 bytes are the most that cannot overflow 32 bits before the reduction.
    for part in bytes.chunks(5_552) {
        for byte in part {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65_521;
        b %= 65_521;
    }
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_match_their_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
