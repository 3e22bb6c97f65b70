//! The hazards of databases, by theme; `docs/testing.md` has the table of them with the names of these tests.

mod inside;
