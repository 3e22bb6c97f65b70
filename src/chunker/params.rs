//! The numbers of a repository that decide where files are cut.

use std::ops::RangeInclusive;

use crate::chunker::gear::WINDOW_BYTES;

/// Averages that a repository may ask for, in bytes. The smallest still leaves a
/// whole window below the shortest chunk; the largest keeps a reader's buffer at 64 MiB.
pub const AVERAGE_BYTES: RangeInclusive<u32> = 256..=16 * MIB;

/// The longest that a file may be and still be one chunk, in bytes.
pub const MAX_WHOLE_FILE_BYTES: u32 = 64 * MIB;

/// The average of a new repository, in bytes.
pub const DEFAULT_AVERAGE_BYTES: u32 = MIB;

/// The whole-file limit of a new repository, in bytes.
pub const DEFAULT_WHOLE_FILE_BYTES: u32 = 4 * MIB;

const MIB: u32 = 1024 * 1024;

// The shortest chunk is half the average, and a window is read before its end.
const _: () = assert!(*AVERAGE_BYTES.start() as usize / 2 >= WINDOW_BYTES);

/// Numbers that no chunker can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// The average is outside [`AVERAGE_BYTES`], or odd.
    #[error("average chunk of {bytes} bytes: must be even, {min} to {max}")]
    Average {
        /// What was asked for.
        bytes: u32,
        /// The smallest allowed.
        min: u32,
        /// The largest allowed.
        max: u32,
    },
    /// The whole-file limit is below the shortest chunk or above [`MAX_WHOLE_FILE_BYTES`].
    #[error("whole-file limit of {bytes} bytes: must be {min} to {max}")]
    WholeFile {
        /// What was asked for.
        bytes: u32,
        /// The smallest allowed: the shortest chunk of this average.
        min: u32,
        /// The largest allowed.
        max: u32,
    },
    /// Not a page size of `SQLite`.
    #[error("page size of {bytes} bytes: must be a power of two, 512 to 65536")]
    PageSize {
        /// What was asked for.
        bytes: u32,
    },
}

/// Checked parameters: what they allow, the chunker can do without overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    average_bytes: u32,
    whole_file_bytes: u32,
}

impl Params {
    /// Parameters with this average chunk and this whole-file limit, both in
    /// bytes; refuses numbers out of range, so a stored configuration may be passed as it is.
    pub fn new(average_bytes: u32, whole_file_bytes: u32) -> Result<Self, ParamsError> {
        if !AVERAGE_BYTES.contains(&average_bytes) || !average_bytes.is_multiple_of(2) {
            let (min, max) = (*AVERAGE_BYTES.start(), *AVERAGE_BYTES.end());
            return Err(ParamsError::Average { bytes: average_bytes, min, max });
        }
        let (min, max) = (average_bytes / 2, MAX_WHOLE_FILE_BYTES);
        if !(min..=max).contains(&whole_file_bytes) {
            return Err(ParamsError::WholeFile { bytes: whole_file_bytes, min, max });
        }
        Ok(Self { average_bytes, whole_file_bytes })
    }

    /// Average length of a gear chunk in bytes.
    pub const fn average_bytes(&self) -> usize {
        self.average_bytes as usize
    }

    /// The shortest gear chunk in bytes, except a file's last.
    pub const fn min_bytes(&self) -> usize {
        self.average_bytes() / 2
    }

    /// The longest gear chunk in bytes.
    pub const fn max_bytes(&self) -> usize {
        self.average_bytes() * 4
    }

    /// The longest compressed file that is one chunk, and the pieces of longer ones, in bytes.
    pub const fn whole_file_bytes(&self) -> usize {
        self.whole_file_bytes as usize
    }

    /// The length of the pieces of compressed media above the whole-file limit, in bytes.
    pub(super) const fn piece_bytes(self) -> u32 {
        self.whole_file_bytes
    }

    /// A position is a candidate when its hash is below this. Candidates are then
    /// half an average apart, which with the shortest chunk before them makes the average.
    pub(super) fn threshold(self) -> u64 {
        let spacing = u128::from(self.average_bytes / 2);
        u64::try_from((1 << 64) / spacing).expect("invariant: the spacing is above 1")
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { average_bytes: DEFAULT_AVERAGE_BYTES, whole_file_bytes: DEFAULT_WHOLE_FILE_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed_and_mean_what_they_say() {
        let params = Params::new(DEFAULT_AVERAGE_BYTES, DEFAULT_WHOLE_FILE_BYTES).unwrap();
        assert_eq!(params, Params::default());
        assert_eq!(params.min_bytes(), 512 * 1024);
        assert_eq!(params.max_bytes(), 4 * 1024 * 1024);
        assert_eq!(params.threshold(), 1 << (64 - 19));
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        for average in [0, 1, 254, 257, 16 * MIB + 2, u32::MAX] {
            let refused = Params::new(average, MIB).unwrap_err();
            assert!(
                matches!(refused, ParamsError::Average { bytes, .. } if bytes == average),
                "{average}: {refused}"
            );
        }
        for whole in [0, MIB / 2 - 1, 64 * MIB + 1, u32::MAX] {
            assert_eq!(
                Params::new(MIB, whole),
                Err(ParamsError::WholeFile { bytes: whole, min: MIB / 2, max: 64 * MIB })
            );
        }
    }

    #[test]
    fn every_allowed_average_has_room_for_the_window_and_a_threshold() {
        for average in [256, 258, 4096, 1_000_000, 16 * MIB] {
            let params = Params::new(average, MAX_WHOLE_FILE_BYTES).unwrap();
            assert!(params.min_bytes() >= WINDOW_BYTES);
            let spacing = u128::from(params.threshold()) * (u128::from(average) / 2);
            assert!(spacing <= 1 << 64 && spacing > (1 << 64) - u128::from(average), "{average}");
        }
    }
}
