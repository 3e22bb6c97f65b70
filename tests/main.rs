//! larder's one integration binary: one link, many modules.

mod sqlite_capture;
mod sqlite_rig;
