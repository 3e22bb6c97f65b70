//! The binary from outside: exit codes, standard output, standard error, JSON.

mod accept;
mod backup;
mod bad_input;
mod cat;
mod check;
mod config;
mod console;
mod diff;
mod doctor;
mod forget;
mod init;
mod json;
mod ls;
mod prune;
mod restore;
mod rig;
mod signals;
mod snapshots;
mod tag;
