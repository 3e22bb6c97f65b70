//! Where files are cut into chunks.
