//! Versions of a database: a base of page groups, and patches that lie on it.
//!
//! Here live how a captured database becomes a version, which layers a new one
//! leaves on the stack, and how a version becomes a database again, whole or page
//! by page. Not here: what a version record says (`codec::version`), the bytes of a
//! patch (`delta`), when databases are captured (`archive`), where a restored one
//! goes (`restore`).
//!
//! Invariant: nothing that was stored is named by a version record before it was
//! decoded from its stored bytes and compared with what was captured; and a whole
//! database is given out only if it has the record's root.

pub mod decode;
pub mod load;
pub mod page;
pub mod read;
pub mod stack;
pub mod store;

mod base;
mod compare;
mod pages;
mod patch;
mod recent;
mod relied;
mod segment;
