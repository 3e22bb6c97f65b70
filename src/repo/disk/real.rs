//! The repository on a real file system.
