//! Archiving, from below its use case: threads, interruptions, and what stands beside databases.
//!
//! Not here: whole backups and restores as a user makes them.

mod beside;
mod cancel;
mod flaws;
mod progress;
mod rig;
