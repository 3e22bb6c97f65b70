//! larder's one integration binary: one link, many modules.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where and stop")]

mod sqlite_capture;
mod sqlite_fallback;
mod sqlite_helper;
mod sqlite_rig;
