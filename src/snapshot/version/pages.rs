//! Pages of a database in a spool, without reading them into memory.

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// The pages of a file that nobody else has.
pub(super) struct MappedPages {
    map: Mmap,
    page_bytes: usize,
    count: u32,
}

impl MappedPages {
    /// The first `count` pages of a spool, which is at least so long.
    pub(super) fn of_spool(file: &File, page_size: u32, count: u32) -> io::Result<Self> {
        let len = u64::from(count) * u64::from(page_size);
        let there = file.metadata()?.len();
        let len = usize::try_from(len).ok().filter(|_| there >= len && len > 0);
        let len = len.ok_or(io::ErrorKind::UnexpectedEof)?;
        // SAFETY: a mapping is unsound when the file changes or shrinks under it. A spool has no name, its helper has ended, and
        // larder writes to one or cuts it only while nothing maps it. A disk that fails under it ends this process with SIGBUS: the
        // backup is then as good as killed, which costs nothing that was saved.
        #[expect(unsafe_code, reason = "mmap has no safe form; a spool is ours alone, see above")]
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(file) }?;
        Ok(Self { map, page_bytes: page_size as usize, count })
    }

    /// Pages.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes a page.
    pub(super) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// All of them, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The page of this number, from 1; `None` beyond the last one.
    pub(super) fn page(&self, number: u32) -> Option<&[u8]> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?.checked_mul(self.page_bytes)?;
        self.map.get(at..at.checked_add(self.page_bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn pages_are_numbered_from_one_and_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 512]).unwrap();
        file.write_all(&[2; 512]).unwrap();
        file.write_all(&[3; 100]).unwrap();
        let pages = MappedPages::of_spool(&file, 512, 2).unwrap();
        assert_eq!(pages.page(0), None);
        assert_eq!(pages.page(1), Some(&[1; 512][..]));
        assert_eq!(pages.page(2), Some(&[2; 512][..]));
        assert_eq!(pages.page(3), None);
        assert!(MappedPages::of_spool(&file, 512, 3).is_err(), "half a page");
        assert!(MappedPages::of_spool(&file, 512, 0).is_err());
    }
}
