//! Backups, readers and maintenance at once on one simulated disk.
//!
//! `world` prepares repositories, `cast` holds the pieces of work, `play` lets
//! them make one call at a time in an order that a seed decides, with kills and
//! power losses in between, `sound` says what must hold afterwards. `schedules`
//! plays thousands; `guards` shows that they fail when a rule is left out;
//! `named` are the orders that one can name; `model` is
//! random lives of one repository against plain copies. Not here: one piece of work by
//! itself (`product`, `prune`), real processes (`live`).
//!
//! Invariant: a snapshot that was reported as saved and not forgotten reads
//! back exactly, whatever ran beside it and wherever it ended, and the next
//! backup and the next prune need nobody's help.

mod cast;
mod guards;
mod model;
mod named;
mod play;
mod schedules;
mod sound;
mod world;
