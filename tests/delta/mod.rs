//! Page deltas: over pages that `SQLite` made and over any bytes.

mod properties;
mod reference;
