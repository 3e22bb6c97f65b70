//! Mapping a whole file: the one place of the disk that needs `unsafe`.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

use crate::repo::disk::{Bytes, Mapped};

struct MappedFile(Mmap);

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Bytes for MappedFile {}

/// Maps all of a file, read-only.
pub(super) fn whole(file: &File) -> io::Result<Mapped> {
    // SAFETY: a mapping is unsound when the file changes or shrinks under it. Only repository objects are mapped: they get their
    // names complete and synced, and larder never writes to, truncates or replaces one afterwards; removing the name leaves the
    // mapped inode alone. Whoever edits an object in place with another program can make larder read other bytes (which the
    // checksums notice) or, by truncating it, kill this process with SIGBUS; neither reaches what is already stored.
    #[expect(unsafe_code, reason = "mmap has no safe form; objects are immutable, see above")]
    let map = unsafe { Mmap::map(file) }?;
    Ok(Box::new(MappedFile(map)))
}
