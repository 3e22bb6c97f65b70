//! `SQLite` databases: recognising them, capturing one committed state, checking it.
//!
//! Not here: the repository. Invariant: the process that walks files never holds
//! a connection; only the helper process does.
