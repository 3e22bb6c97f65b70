//! Benchmarks of larder, one file for each question; `cargo bench -p larder-benches` runs them all,
//! `cargo bench -p larder-benches --bench chunker` one.
//!
//! Here lives what they share: seeded inputs, and the host. Criterion and the rival chunker are
//! dependencies of this package only, so that building and testing larder never compiles them.

pub mod host;

/// 1,048,576 bytes.
pub const MIB: usize = 1024 * 1024;

/// `len` bytes without structure, the same for the same seed: what compressed media look like.
pub fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// `len` bytes of a table of stock movements as text, the same for the same seed.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    let noise = random(seed, len / 4 + 8);
    let mut text = Vec::with_capacity(len + 128);
    for (number, bytes) in noise.chunks_exact(8).cycle().enumerate() {
        if text.len() >= len {
            break;
        }
        let [bin, part, value, sign, ..] = bytes else { break };
        let direction = if sign % 3 == 0 { "received" } else { "used in assembly" };
        let line = format!("{number};bin {bin};part RC{part:03}-{value:02x};{direction};{value}\n");
        text.extend_from_slice(line.as_bytes());
    }
    text.truncate(len);
    text
}
