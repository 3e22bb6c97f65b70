//! The backend over a disk.
