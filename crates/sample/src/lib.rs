//! A `PartsHub`-like data directory and its live application, made from a seed.
//!
//! Here: [`make`] writes a database in the shape of the real one and valid
//! attachments; [`evolve`] lets a day pass; [`writer::Writer`] works on it as the
//! live application does; [`simulator`] is other applications, by the order in which
//! they write files and rows; [`oracle`] proves what a copy of it is worth.
//! Not here: anything of larder. This crate must not know what it is used to test.
//! Invariant: content depends on the seed and on the calls made, never on the
//! clock; every commit leaves a line in the ledger that the oracle checks.

mod attach;
mod error;
mod evolve;
mod ledger;
mod make;
mod media;
mod moment;
mod names;
pub mod oracle;
mod parts;
mod plan;
mod report;
mod rng;
mod schema;
pub mod simulator;
mod spec;
mod stock;
pub mod writer;

pub use error::Error;
pub use evolve::{DayReport, delete_attachment, evolve};
pub use make::{Report, make};
pub use names::LANDMARK;
pub use report::{ParseReportError, WriterReport};
pub use schema::{ALEMBIC_HEAD, ATTACHMENTS, DATABASE, close};
pub use spec::Spec;
