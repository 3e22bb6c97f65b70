//! Open directories along the path where a walk, or a restore, is.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::snapshot::beneath::{Beneath, is_at_or_below, open_child_dir, split_last};

/// Ancestors that stay open; above that the outermost are closed and opened anew on the way back.
const KEPT_OPEN: usize = 32;

/// The open ancestors of the thing that was looked at last, outermost first.
#[derive(Debug)]
pub(in crate::snapshot) struct Trail<'a> {
    root: &'a Beneath,
    open: VecDeque<(Vec<u8>, OwnedFd)>,
}

impl<'a> Trail<'a> {
    pub(in crate::snapshot) fn new(root: &'a Beneath) -> Self {
        Self { root, open: VecDeque::new() }
    }

    /// The directory at this path, opened one component from its parent where that is open already.
    pub(in crate::snapshot) fn dir(&mut self, path: &[u8]) -> io::Result<BorrowedFd<'_>> {
        while self.open.back().is_some_and(|(open, _)| !is_at_or_below(path, open)) {
            self.open.pop_back();
        }
        if !path.is_empty() && self.open.back().is_none_or(|(open, _)| open != path) {
            let dir = self.open_below(path)?;
            if self.open.len() == KEPT_OPEN {
                self.open.pop_front();
            }
            self.open.push_back((path.to_vec(), dir));
        }
        Ok(self.open.back().map_or(self.root.dir(), |(_, dir)| dir.as_fd()))
    }

    fn open_below(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let (parent, name) = split_last(path);
        match self.open.back() {
            Some((open, dir)) if open == parent => Ok(open_child_dir(dir.as_fd(), name)?),
            None if parent.is_empty() => Ok(open_child_dir(self.root.dir(), name)?),
            _ => self.root.open_dir(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::beneath::Resolution;
    use crate::snapshot::source::metadata::Stat;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn every_directory_is_the_right_one_also_below_the_limit() {
        let temp = tempfile::tempdir().unwrap();
        let mut paths: Vec<String> = vec!["d".into()];
        for depth in 0..KEPT_OPEN + 8 {
            paths.push(format!("{}/d", paths[depth]));
        }
        std::fs::create_dir_all(temp.path().join(paths.last().unwrap())).unwrap();
        let root = std::fs::File::open(temp.path()).unwrap();
        let beneath = Beneath::new(root.into(), Resolution::Kernel);
        let mut trail = Trail::new(&beneath);
        for path in paths.iter().chain(paths.iter().rev()) {
            let expected = std::fs::metadata(temp.path().join(path)).unwrap().ino();
            let dir = trail.dir(path.as_bytes()).unwrap();
            assert_eq!(Stat::of_fd(dir).unwrap().inode, expected, "{path}");
            assert!(trail.open.len() <= KEPT_OPEN);
        }
        assert!(trail.dir(b"d/missing").is_err());
        assert!(trail.dir(b"").is_ok());
    }
}
