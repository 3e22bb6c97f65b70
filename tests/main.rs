//! larder's one integration binary: one link, many modules.

mod snapshot;
