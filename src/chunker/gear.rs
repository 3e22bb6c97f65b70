//! The gear kernel: where a run of bytes may be cut.
//!
//! Whether a chunk may end at a position is a function of the 64 bytes before
//! it and of nothing else. The shift drops a byte after 64 steps, so summing
//! from 63 bytes before the first candidate gives the same hash as summing from
//! the start of the file: a scan may begin, stop and go on anywhere.

use std::array::from_fn;
use std::sync::LazyLock;

use crate::chunker::params::Params;

/// Bytes that a hash covers: one for each bit of it.
pub(super) const WINDOW_BYTES: usize = 64;

/// One number for each value of a byte.
pub(super) type Table = [u64; 256];

const TABLE_SEED: &[u8] = b"larder 2026-11 gear table";

/// The table of the format: 256 little-endian numbers, the first 2 KiB of BLAKE3's extended output.
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut output = blake3::Hasher::new().update(TABLE_SEED).finalize_xof();
    from_fn(|_| {
        let mut entry = [0; 8];
        output.fill(&mut entry);
        u64::from_le_bytes(entry)
    })
});

/// Steps that the kernel takes at once.
const GROUP: usize = 4;

/// The table as each byte of a group meets it: shifted by the steps that are still to come.
static GROUP_TABLES: LazyLock<[Table; GROUP]> =
    LazyLock::new(|| from_fn(|place| TABLE.map(|entry| entry << (GROUP - 1 - place))));

/// The length of the chunk that begins `data`, or nothing while `data` ends
/// before that is decided. Lengths up to `tested` are known not to be cuts.
pub(super) fn chunk_len(data: &[u8], tested: usize, params: Params) -> Option<usize> {
    let first = tested.saturating_add(1).max(params.min_bytes());
    let limit = data.len().min(params.max_bytes());
    // `first` is never below the shortest chunk, which is never below the window.
    let window_from = first - WINDOW_BYTES;
    let found = data
        .get(window_from..limit)
        .and_then(|scan| first_candidate(scan, params.threshold()))
        .map(|end| window_from + end);
    found.or_else(|| (data.len() >= params.max_bytes()).then(|| params.max_bytes()))
}

/// The first end of a whole window within `bytes` whose hash is below `threshold`.
fn first_candidate(bytes: &[u8], threshold: u64) -> Option<usize> {
    let tables = &*GROUP_TABLES;
    // A hash below the threshold is below this after at most three doublings. It cannot
    // overflow: a threshold is at most 2^64 / 128.
    let coarse = threshold << (GROUP - 1);
    let (warm_up, scan) = bytes.split_at_checked(WINDOW_BYTES - 1)?;
    let mut hash = warm_up.iter().copied().fold(0, step);
    let (groups, rest) = scan.as_chunks();
    for (index, group) in groups.iter().enumerate() {
        let doubled = group_steps(tables, hash, *group);
        if doubled.iter().any(|hash| *hash < coarse)
            && let Some(within) = candidate_in(group, hash, threshold)
        {
            return Some(WINDOW_BYTES + index * GROUP + within);
        }
        hash = doubled[GROUP - 1];
    }
    let within = candidate_in(rest, hash, threshold)?;
    Some(WINDOW_BYTES + groups.len() * GROUP + within)
}

/// Looks at each of `bytes` by itself: where the group was not sure, and after the last group.
/// Kept out of the loop over groups, which needs all registers for itself.
#[cold]
#[inline(never)]
fn candidate_in(bytes: &[u8], mut hash: u64, threshold: u64) -> Option<usize> {
    bytes.iter().position(|byte| {
        hash = step(hash, *byte);
        hash < threshold
    })
}

/// The hash after one more byte.
fn step(hash: u64, byte: u8) -> u64 {
    (hash << 1).wrapping_add(TABLE[usize::from(byte)])
}

/// The hashes after each byte of a group, doubled as often as bytes follow in the group.
/// Byte by byte, each hash waits for a shift and an addition after the one before. Here one
/// shift serves the whole group: 1.6 times the speed where this was measured.
#[inline]
fn group_steps(tables: &[Table; GROUP], hash: u64, [a, b, c, d]: [u8; GROUP]) -> [u64; GROUP] {
    let first = tables[0][usize::from(a)];
    let second = first.wrapping_add(tables[1][usize::from(b)]);
    let third = second.wrapping_add(tables[2][usize::from(c)]);
    let fourth = third.wrapping_add(tables[3][usize::from(d)]);
    let before = hash << GROUP;
    [first, second, third, fourth].map(|added| before.wrapping_add(added))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_format() {
        let bytes: Vec<u8> = TABLE.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        assert_eq!(TABLE[0], 0xc271_d4a6_a76e_6510);
        assert_eq!(TABLE[255], 0x0946_0994_1718_a7ac);
        assert_eq!(
            blake3::hash(&bytes).to_hex().as_str(),
            "b9843668880eeec7efe33ae1e7dc2d39e2ee928ea4b929bc59d1306f24cef438"
        );
    }

    #[test]
    fn a_group_of_steps_is_the_steps_one_by_one() {
        for seed in 0..=u8::MAX {
            let group = [seed, seed.wrapping_mul(31), seed ^ 0x5a, !seed];
            let mut hash = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let doubled = group_steps(&GROUP_TABLES, hash, group);
            for (place, byte) in group.iter().enumerate() {
                hash = step(hash, *byte);
                assert_eq!(doubled[place], hash << (GROUP - 1 - place));
            }
        }
    }

    #[test]
    fn the_hash_covers_its_window_and_nothing_before_it() {
        let hash = |bytes: &[u8]| bytes.iter().copied().fold(0, step);
        let mut window: Vec<u8> = (0..64).collect();
        assert_eq!(hash(&window), hash(&[b"anything before", &*window].concat()));
        // The oldest byte counts with its entry's lowest bit: entry 0 is even, entry 1 odd.
        let before = hash(&window);
        window[0] = 1;
        assert_ne!(hash(&window), before);
    }

    /// A run of one value hashes to the negated entry; a table in which that is
    /// small would cut every run of it at the shortest chunk.
    #[test]
    fn runs_of_one_value_are_not_cut_below_the_longest_chunk() {
        let strictest = Params::new(64 * 1024, 64 * 1024).unwrap().threshold();
        for entry in *TABLE {
            assert!(entry.wrapping_neg() >= strictest);
        }
    }

    #[test]
    fn too_little_data_decides_nothing_and_the_longest_chunk_always_does() {
        let params = Params::new(256, 4096).unwrap();
        let zeros = vec![0; params.max_bytes()];
        assert_eq!(chunk_len(&zeros[..params.max_bytes() - 1], 0, params), None);
        assert_eq!(chunk_len(&zeros, 0, params), Some(params.max_bytes()));
        assert_eq!(chunk_len(&[], 0, params), None);
        assert_eq!(chunk_len(&zeros, usize::MAX, params), Some(params.max_bytes()));
    }
}
