//! The pages of a segment and their checks: what may be read, and what is damaged.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::FORMAT_VERSION;
use crate::codec::index::{CHECK_LEN, PAGE_LEN, take};
use crate::id::HashKeys;

/// A page of a segment that cannot be used. Other pages can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("index page {page}: {what}")]
pub struct PageDamage {
    /// Its number, from 0, in pages of [`PAGE_LEN`] bytes.
    pub page: u64,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Why bytes cannot be used as a segment at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// Not a segment, or damaged where it must be whole.
    #[error("index segment: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// Sound, but of another version of the format.
    #[error("index segment: written by a larder of another format (version {version})")]
    TooNew {
        /// Its version.
        version: u16,
    },
    /// The page of the header is damaged.
    #[error(transparent)]
    Page(#[from] PageDamage),
}

impl SegmentError {
    /// True when the bytes are sound, only not for this program (exit 23, never damage).
    pub fn is_too_new(&self) -> bool {
        matches!(self, Self::TooNew { .. })
    }
}

const MAGIC: [u8; 8] = *b"LARDIDXF";

/// Magic, version (u16), reserved (u16), pages (u32), check. This form is the same in every version.
const FOOTER_LEN: usize = 32;

/// Page checks and footer of these whole pages.
pub(super) fn append_checks(pages: &mut Vec<u8>, keys: &HashKeys) {
    let tables_len = pages.len();
    let mut count = 0_u32;
    let mut tail = Vec::with_capacity(tables_len / PAGE_LEN * 16 + FOOTER_LEN);
    for page in pages.chunks_exact(PAGE_LEN) {
        tail.extend_from_slice(keys.check(page).as_bytes());
        count += 1;
    }
    tail.extend_from_slice(&MAGIC);
    tail.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    tail.extend_from_slice(&[0; 2]);
    tail.extend_from_slice(&count.to_le_bytes());
    let check = keys.check(&tail);
    tail.extend_from_slice(check.as_bytes());
    pages.extend_from_slice(&tail);
}

/// Bytes of which every page is checked before it is first read.
pub(super) struct Pages<B> {
    bytes: B,
    keys: HashKeys,
    count: u64,
    /// One bit a page: it matched its check once.
    verified: Vec<AtomicU64>,
}

impl<B: Deref<Target = [u8]>> Pages<B> {
    /// Checks the footer and the table of page checks; no page.
    pub(super) fn open(bytes: B, keys: &HashKeys) -> Result<Self, SegmentError> {
        let count = u64::from(check_tail(&bytes, keys)?);
        let words = count.div_ceil(64);
        let verified = (0..words).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { bytes, keys: keys.clone(), count, verified })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// These bytes, once every page that they touch has matched its check.
    pub(super) fn get<const LEN: usize>(&self, at: u64) -> Result<[u8; LEN], PageDamage> {
        let last = at.saturating_add(LEN as u64).saturating_sub(1);
        for page in page_of(at)..=page_of(last) {
            self.verify(page)?;
        }
        self.slice(at, LEN)
            .and_then(|bytes| <[u8; LEN]>::try_from(bytes).ok())
            .ok_or(PageDamage { page: page_of(last), what: "outside the segment" })
    }

    /// Whether a page matches its check; hashes it the first time only, when it does.
    pub(super) fn verify(&self, page: u64) -> Result<(), PageDamage> {
        let word = usize::try_from(page / 64).ok().and_then(|word| self.verified.get(word));
        let (Some(word), true) = (word, page < self.count) else {
            return Err(PageDamage { page, what: "outside the segment" });
        };
        // Relaxed: the bit publishes nothing. A thread that misses it only hashes once more.
        let bit = 1 << (page % 64);
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        if !self.matches_check(page) {
            return Err(PageDamage { page, what: "does not match its checksum" });
        }
        word.fetch_or(bit, Ordering::Relaxed);
        Ok(())
    }

    fn matches_check(&self, page: u64) -> bool {
        let stored = self.slice(self.count * PAGE_LEN as u64 + page * CHECK_LEN, 16);
        let bytes = self.slice(page * PAGE_LEN as u64, PAGE_LEN);
        bytes.is_some_and(|bytes| stored == Some(self.keys.check(bytes).as_bytes().as_slice()))
    }

    fn slice(&self, at: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(at).ok()?;
        self.bytes.get(at..at.checked_add(len)?)
    }
}

pub(super) const fn page_of(at: u64) -> u64 {
    at / PAGE_LEN as u64
}

/// The number of pages, once length, footer and table of page checks are right.
fn check_tail(bytes: &[u8], keys: &HashKeys) -> Result<u32, SegmentError> {
    let damaged = |what| SegmentError::Damaged { what };
    let (before, footer) =
        bytes.split_last_chunk::<FOOTER_LEN>().ok_or(damaged("shorter than its footer"))?;
    let footer = Footer::parse(footer).ok_or(damaged("not an index segment"))?;
    let tables = u64::from(footer.pages) * PAGE_LEN as u64;
    if tables + u64::from(footer.pages) * CHECK_LEN != before.len() as u64 {
        return Err(damaged("not as long as its footer says"));
    }
    let checked = usize::try_from(tables)
        .ok()
        .and_then(|tables| bytes.get(tables..bytes.len().checked_sub(16)?))
        .ok_or(damaged("not as long as its footer says"))?;
    if keys.check(checked).as_bytes() != &footer.check {
        return Err(damaged("the table of page checks does not match its checksum"));
    }
    match footer.version {
        FORMAT_VERSION if footer.reserved == 0 => Ok(footer.pages),
        FORMAT_VERSION => Err(damaged("a reserved field is in use")),
        version => Err(SegmentError::TooNew { version }),
    }
}

struct Footer {
    version: u16,
    reserved: u16,
    pages: u32,
    check: [u8; 16],
}

impl Footer {
    fn parse(bytes: &[u8; FOOTER_LEN]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let magic: [u8; 8] = take(&mut rest)?;
        let footer = Self {
            version: u16::from_le_bytes(take(&mut rest)?),
            reserved: u16::from_le_bytes(take(&mut rest)?),
            pages: u32::from_le_bytes(take(&mut rest)?),
            check: take(&mut rest)?,
        };
        (magic == MAGIC).then_some(footer)
    }
}
