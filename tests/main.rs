//! larder's one integration binary: one link, many modules.

mod sqlite_capture;
mod sqlite_fallback;
mod sqlite_helper;
mod sqlite_rig;
