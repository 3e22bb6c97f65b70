//! t

pub mod campaign;
