//! larder's one integration binary: one link, many modules.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where and stop")]

mod compare;
mod nobody;
mod restore;
mod source;
