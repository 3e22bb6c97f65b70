//! The repository as text: its files, and as much of Rust's syntax as the checks need.
//!
//! Here live the lexer (what is code, what is comment, what is literal), the
//! outline of a file (modules, functions, paths) and the walk along `mod` lines.
//! Not here: any rule. Invariant: every check sees a [`Tree`], never the file
//! system, so each can be shown failing on a few lines held in memory.

mod lex;
mod outline;
mod paths;
mod reach;
mod tree;

pub(crate) use lex::find_word;
pub(crate) use outline::Outline;
pub(crate) use paths::PathUse;
pub(crate) use reach::reachable;
pub(crate) use tree::{SourceFile, Tree};
