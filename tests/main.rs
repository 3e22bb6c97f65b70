//! larder's one integration binary: one link, many modules.

mod conformance;
mod real_disk;
mod sim_disk;
