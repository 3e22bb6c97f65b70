//! One use case a file: options in, a report out.
//!
//! Nothing here prints, parses arguments, reads the environment, asks the clock
//! or ends the process: time, host name and progress come from the front end.

pub mod naming;
pub mod open;

pub mod backup;
pub mod catalog;
pub mod paths;
pub mod retention;
pub mod spool;

pub mod accept;
pub mod cat;
pub mod check;
pub mod diff;
pub mod doctor;
pub mod forget;
pub mod ls;
pub mod pin;
pub mod prune;
pub mod restore;
pub mod tag;
