//! Where a file has data and where it has holes.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::codec::manifest::Extent;
use crate::snapshot::source::unchanged::{COARSE_GRANULARITY_NS, FINE_GRANULARITY_NS};

/// The most extents that are recorded; a file with more is read plainly.
pub const MAX_EXTENTS: usize = 1000;

/// What is known of a kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Whether its map of holes can be believed. Others have returned holes for data that was not yet on disk.
    pub maps_holes: bool,
    /// Times closer together than this may be equal, in nanoseconds.
    pub granularity_ns: i64,
}

const EXT: u64 = 0xEF53;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683E;
const TMPFS: u64 = 0x0102_1994;

impl FileSystem {
    /// Of the file system that a descriptor is on; the careful answer where it does not say.
    pub fn of(fd: impl AsFd) -> Self {
        // The magic is a signed word on some machines; only its low 32 bits mean anything.
        let magic = rustix::fs::fstatfs(fd)
            .ok()
            .and_then(|fs| u64::try_from(i128::from(fs.f_type) & 0xFFFF_FFFF).ok());
        Self::of_magic(magic.unwrap_or_default())
    }

    fn of_magic(magic: u64) -> Self {
        let known = matches!(magic, EXT | XFS | BTRFS | TMPFS);
        let granularity_ns = if known { FINE_GRANULARITY_NS } else { COARSE_GRANULARITY_NS };
        Self { maps_holes: known, granularity_ns }
    }
}

/// The data extents of a file, ascending and apart, or `None` when it has no holes or too many to record.
pub fn data_extents(fd: impl AsFd, size: u64) -> io::Result<Option<Vec<Extent>>> {
    let fd = fd.as_fd();
    let mut extents: Vec<Extent> = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            Ok(start) if start < size => start,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(fd, SeekFrom::Hole(start))?.min(size);
        if start < at || end <= start {
            return Ok(None);
        }
        add(&mut extents, Extent { offset: start, len: end - start });
        if extents.len() > MAX_EXTENTS {
            return Ok(None);
        }
        at = end;
    }
    let whole = matches!(extents.as_slice(), [only] if only.offset == 0 && only.len == size);
    Ok(if whole || size == 0 { None } else { Some(extents) })
}

/// Data that is written meanwhile can begin where the last extent has ended: then both are one.
fn add(extents: &mut Vec<Extent>, next: Extent) {
    match extents.last_mut() {
        Some(last) if last.offset + last.len == next.offset => last.len += next.len,
        _ => extents.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn sparse_file(len: u64, data_at: &[u64]) -> std::fs::File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        for at in data_at {
            file.write_all_at(&[1; 4096], *at).unwrap();
        }
        file
    }

    #[test]
    fn holes_are_found_where_they_are() {
        let file = sparse_file(1 << 20, &[0, 8192, 1 << 19]);
        if !FileSystem::of(&file).maps_holes {
            return;
        }
        let extents = data_extents(&file, 1 << 20).unwrap().unwrap();
        for at in [0, 8192, 1 << 19] {
            assert!(extents.iter().any(|e| e.offset <= at && at < e.offset + e.len), "{at}");
        }
        let covered: u64 = extents.iter().map(|extent| extent.len).sum();
        assert!(covered < 1 << 20, "{extents:?}");
    }

    #[test]
    fn files_without_holes_and_files_of_nothing_else() {
        assert_eq!(data_extents(sparse_file(4096, &[0]), 4096).unwrap(), None);
        assert_eq!(data_extents(sparse_file(0, &[]), 0).unwrap(), None);
        let hollow = sparse_file(1 << 20, &[]);
        if FileSystem::of(&hollow).maps_holes {
            assert_eq!(data_extents(&hollow, 1 << 20).unwrap(), Some(Vec::new()));
        }
    }

    #[test]
    fn touching_extents_are_one() {
        let mut extents = Vec::new();
        for (offset, len) in [(0, 4), (4, 4), (12, 4), (16, 1)] {
            add(&mut extents, Extent { offset, len });
        }
        assert_eq!(extents, [Extent { offset: 0, len: 8 }, Extent { offset: 12, len: 5 }]);
    }

    #[test]
    fn a_comb_is_read_plainly() {
        let teeth: Vec<u64> = (0..1100).map(|n| n * 131_072).collect();
        let comb = sparse_file(1100 * 131_072, &teeth);
        assert_eq!(data_extents(&comb, 1100 * 131_072).unwrap(), None);
    }

    #[test]
    fn strangers_are_not_believed() {
        let nfs = FileSystem::of_magic(0x6969);
        assert_eq!((nfs.maps_holes, nfs.granularity_ns), (false, COARSE_GRANULARITY_NS));
        assert!(FileSystem::of_magic(BTRFS).maps_holes);
    }
}
