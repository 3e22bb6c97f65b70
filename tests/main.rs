//! larder's one integration binary: one link, many modules.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where and stop")]

mod archive;
mod cli;
mod codec;
mod compare;
mod conformance;
mod crash_disk;
mod delta;
mod demo;
mod hazards;
mod live;
mod manifests;
mod nobody;
mod private_mounts;
mod product;
mod prune;
mod real_disk;
mod references;
mod restore;
mod round_trip;
mod sim_disk;
mod source;
mod sqlite_capture;
mod sqlite_fallback;
mod sqlite_helper;
mod sqlite_rig;
mod stage_faults;
mod together;
mod versions;
