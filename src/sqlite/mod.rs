//! `SQLite` databases: recognising them, capturing one committed state, checking it.
//!
//! A capture is shared by two processes. The parent ([`capture`]) resolves the
//! path, makes the spool, starts the helper and judges its answer; the helper
//! ([`helper`], the same binary under a hidden command) holds the only
//! connections. Raw copies, for what `SQLite` cannot read, are the parent's.
//!
//! When the bytes are in the spool and checked, the helper claims them, and only then looks inside: rows of tables
//! ([`captured`]), files that rows name ([`questions`]), samples of columns ([`inspect`]). Whatever a crafted schema or a
//! query does to it from there on costs answers, never bytes or their label.
//!
//! Not here: the repository, page patches, what a front end prints.
//!
//! Invariant: the process that walks files never holds a connection. POSIX
//! locks belong to a process and go with the first descriptor of the file that
//! it closes, so a walk beside a connection would silently take the locks away.
//! For the same reason the helper opens a database file itself only before its
//! connection exists, or after it is closed.

pub mod capture;
pub mod captured;
pub mod header;
pub mod helper;
pub mod identity;
pub mod in_use;
pub mod inspect;
pub mod options;
pub mod private_dir;
pub mod questions;
pub mod recognise;
pub mod spool;

mod answer;
mod approach;
mod context;
mod destination;
mod fallback;
mod guard;
mod knowledge;
mod pace;
mod protocol;
mod refused;
mod reporter;
mod runner;
mod sample;
mod source;
mod told;
