//! The seeded generator that everything in a sample is drawn from.
//!
//! Integers only: floating point functions differ between platforms, and a seed
//! must give the same bytes everywhere.

/// `SplitMix64`. Streams with different names are independent, so adding a draw
/// to one part of the sample does not change the others.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijective scramble of 64 bits (the `SplitMix64` finaliser).
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a over `bytes`.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

impl Rng {
    pub(crate) fn new(seed: u64, stream: &str) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)) ^ fnv1a(stream.as_bytes()))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..n`; 0 when `n` is 0. The modulo's bias is far below what a sample shows.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.below(span))
    }

    /// An index into something of length `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("invariant: below a usize")
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.index(items.len())]
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }

    pub(crate) fn hex8(&mut self) -> String {
        format!("{:08x}", self.next() >> 32)
    }

    /// A version 4 UUID in its usual text form.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let version = (a & !0xf000) | 0x4000;
        let variant = (b & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            version >> 32,
            (version >> 16) & 0xffff,
            version & 0xffff,
            variant >> 48,
            variant & 0xffff_ffff_ffff
        )
    }

    /// Fisher-Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, name| Rng::new(seed, name).next();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn uuids_are_version_4() {
        let mut rng = Rng::new(7, "uuid");
        for _ in 0..200 {
            let id = rng.uuid();
            let bytes = id.as_bytes();
            assert_eq!((id.len(), bytes[14]), (36, b'4'));
            assert!(b"89ab".contains(&bytes[19]), "{id}");
        }
    }

    #[test]
    fn bounds_hold_at_both_ends() {
        let mut rng = Rng::new(3, "bounds");
        let seen: std::collections::BTreeSet<i64> = (0..400).map(|_| rng.between(-3, 3)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-3, -2, -1, 0, 1, 2, 3]);
        assert_eq!(rng.below(0), 0);
    }
}
