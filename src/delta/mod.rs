//! Page deltas: the changed pages of a `SQLite` database, written down as a patch.
//!
//! Here live the segment of a patch (`docs/page-patch.md` gives its bytes), the
//! encoder that makes one from old and new page images, and the decoder that makes
//! the new images again. Not here: which pages changed, the list of segments, ids,
//! compression, storage. Pure: no I/O, no clock, no threads.
//!
//! A page is written in two steps. First it is *predicted* from its own old image
//! and from the cells of other old pages of the segment, the way `SQLite` itself
//! moves cells when it inserts, deletes and balances (`layout`). Then the prediction
//! is *patched* to the very bytes of the page. The prediction may be as wrong as it
//! likes: it costs bytes, never correctness.
//!
//! Invariant: a page refers only to old images of pages of its own segment, so a
//! segment is applied in place once its new images are made; and whatever the bytes
//! are, decoding ends in exactly filled pages or an error, within bounded memory.

pub mod decode;
pub mod encode;
pub mod error;
pub mod grouping;
pub mod shape;

mod btree;
mod cells;
mod layout;
mod live;
mod matcher;
mod patch;
mod planner;
mod replay;
mod script;
mod slots;
mod streams;
mod turns;
mod varint;
mod wire;
