//! One command a file: its arguments, the call of its use case, what it says.
//!
//! Not here: how values look (`output`), which repository, zone and source are
//! meant (`settings`, `snapshot`).

use larder::sqlite::helper;

use crate::cli::exit::Exit;

pub(crate) mod accept;
pub(crate) mod backup;
pub(crate) mod cat;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod forget;
pub(crate) mod init;
pub(crate) mod ls;
pub(crate) mod pin;
pub(crate) mod prune;
pub(crate) mod restore;
pub(crate) mod sample_writer;
pub(crate) mod snapshots;
pub(crate) mod tag;

/// Serves one capture on standard input and output.
pub(crate) fn capture_helper() -> Exit {
    match helper::main(std::io::stdin(), std::io::stdout()) {
        0 => Exit::Ok,
        _ => Exit::Failed,
    }
}
