//! Imports go strictly downward.
//!
//! Here live the table of rooms and the check of every path in `src/` against
//! it, tests included. Not here: what belongs into which room (ARCHITECTURE.md).
//! Invariant: a room's allowed imports stand above it in the table, so no set of
//! imports that passes can form a circle between rooms.

mod check;
mod table;

use crate::report::Report;
use crate::source::Tree;
use crate::tidy::Check;

/// One check, its rules all shown failing on every run.
pub(crate) fn run(tree: &Tree) -> Report {
    crate::tidy::run_checks(&CHECKS, tree)
}

const CHECKS: [Check; 3] = [
    Check {
        name: "imports",
        run: check::imports,
        failing: &[
            ("src/lib.rs", "mod chunker;\nmod repo;"),
            ("src/chunker/mod.rs", "use crate::repo::error::RepoError;"),
        ],
    },
    Check {
        name: "forms of imports",
        run: check::forms,
        failing: &[("src/repo/index/page.rs", "use super::super::error::RepoError;")],
    },
    Check {
        name: "rooms",
        run: check::rooms,
        failing: &[("src/lib.rs", "pub mod id;\nmod helpers;")],
    },
];
