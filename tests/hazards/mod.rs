//! The hazards of databases, by theme; `docs/testing.md` has the table of them with the names of these tests.

mod asking;
mod inside;
mod journals;
mod large;
mod locks;
mod outcomes;
mod places;
mod queries;
mod super_journals;
mod torture;
mod torture_writer;
