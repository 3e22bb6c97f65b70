//! Room for spools, before one is filled: captures that are held until their references are settled stay in theirs, and when they are
//! stored, one after the other, the version before each of them lies beside all that are left.

use std::path::Path;

use crate::sqlite::spool::{Space, SpoolError};

/// A capture, or the version before it, beyond this is worth a word: people wonder where their disk went.
const LARGE_BYTES: u64 = 1_000_000_000;

/// What storing one database takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    /// The most that its capture comes to.
    pub(super) capture_bytes: u64,
    /// The version before, as it is decoded.
    pub(super) before_bytes: u64,
}

impl Demand {
    /// What to say before the disk is used, if that is much.
    pub(super) fn remark(&self, dir: &Path) -> Option<String> {
        let (dir, Self { capture_bytes, before_bytes }) = (dir.display(), *self);
        if capture_bytes.max(before_bytes) <= LARGE_BYTES {
            return None;
        }
        let beside = match before_bytes {
            0 => String::new(),
            bytes => format!(", and {bytes} bytes of the version before beside it"),
        };
        Some(format!("up to {capture_bytes} bytes are captured to {dir}{beside}"))
    }
}

/// The spools of a run.
#[derive(Debug, Default)]
pub(super) struct Spools {
    /// In captures that are held.
    held_bytes: u64,
    /// The largest version before one of them.
    largest_before: u64,
}

impl Spools {
    /// Refuses a capture when `space`, of `dir`, cannot take it and, later, the largest version before any capture that is held by then.
    pub(super) fn admit(
        &self,
        demand: Demand,
        (space, dir): (Space, &Path),
        min_free_bytes: u64,
    ) -> Result<(), SpoolError> {
        let before = demand.before_bytes.max(self.largest_before);
        let need = demand.capture_bytes.saturating_add(before);
        space.admit_beside(self.held_bytes, (dir, need), min_free_bytes)
    }

    /// A capture stays.
    pub(super) fn hold(&mut self, demand: Demand, captured_bytes: u64) {
        self.held_bytes = self.held_bytes.saturating_add(captured_bytes);
        self.largest_before = self.largest_before.max(demand.before_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: &str = "/spool";

    fn disk(free_bytes: u64) -> Space {
        Space { free_bytes, memory_bytes: None }
    }

    fn demand(capture_bytes: u64, before_bytes: u64) -> Demand {
        Demand { capture_bytes, before_bytes }
    }

    #[test]
    fn the_largest_version_before_needs_room_beside_all_captures() {
        let mut spools = Spools::default();
        let admit = |spools: &Spools, it, free| spools.admit(it, (disk(free), Path::new(DIR)), 10);
        let large = demand(100, 90);
        assert!(admit(&spools, large, 200).is_ok() && admit(&spools, large, 199).is_err());
        spools.hold(large, 100);
        // The first is in its spool by now. Alone the second would need 20; then the first could not be stored any more.
        let small = demand(20, 0);
        assert!(admit(&spools, small, 119).is_err() && admit(&spools, small, 120).is_ok());
        spools.hold(small, 20);
        let third = demand(5, 95);
        assert!(admit(&spools, third, 109).is_err() && admit(&spools, third, 110).is_ok());
    }

    #[test]
    fn captures_in_memory_count_together() {
        let memory = |bytes| Space { free_bytes: 1 << 40, memory_bytes: Some(bytes) };
        let mut spools = Spools::default();
        let one = demand(100, 0);
        let admit = |spools: &Spools, free| spools.admit(one, (memory(free), Path::new(DIR)), 0);
        assert!(admit(&spools, 400).is_ok() && admit(&spools, 399).is_err());
        spools.hold(one, 100);
        // 800 bytes were free before the first: two of 100 are a quarter.
        assert!(admit(&spools, 700).is_ok() && admit(&spools, 699).is_err());
    }

    #[test]
    fn much_is_said_and_little_is_not() {
        let said = |it: Demand| it.remark(Path::new(DIR));
        assert_eq!(said(demand(LARGE_BYTES, LARGE_BYTES)), None);
        let first = said(demand(1_000_000_001, 0)).unwrap();
        assert_eq!(first, "up to 1000000001 bytes are captured to /spool");
        let beside = said(demand(5, 2_000_000_000)).unwrap();
        assert!(beside.ends_with("/spool, and 2000000000 bytes of the version before beside it"));
    }
}
