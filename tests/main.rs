//! larder's one integration binary: one link, many modules.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where and stop")]

mod conformance;
mod crash_disk;
mod real_disk;
mod sim_disk;
mod stage_faults;
