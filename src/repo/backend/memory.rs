//! A backend in memory.
