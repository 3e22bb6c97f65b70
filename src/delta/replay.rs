//! A tree page that cells are taken out of and put into, the way `SQLite` does it.
//!
//! What `SQLite` leaves in a page after a deletion (the chain of free blocks, the
//! stale bytes) and where it puts the next cell follows from what was there before.
//! Playing it again predicts all of that. Where this differs from what a version of
//! `SQLite` does, the patch makes up for it.

use crate::delta::btree::{Kind, Span, header_at, u16_at};

/// The least length of a free block: its next and its length.
const LEAST_BLOCK: usize = 4;
/// More bytes than this in pieces too small for a block, and no piece is cut off.
const MOST_FRAGMENTS: u8 = 57;
/// A page that is defragmented more often within one patch is predicted badly anyway.
const MOST_DEFRAGMENTS: usize = 4;

/// The page as it is at one moment. Every method that returns an option gives none if
/// the page is none that `SQLite` would go on with.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    image: Vec<u8>,
    header: usize,
    header_bytes: usize,
    /// How long each cell is; the page has it only once its bytes are right.
    lens: Vec<usize>,
    usable: usize,
    defragmented: usize,
}

impl Replay {
    /// Begins with the image of page `number`, whose cells these are.
    pub(super) fn new(image: Vec<u8>, number: u32, cells: &[Span], usable: usize) -> Option<Self> {
        let (header, kind) = (header_at(number), Kind::of_page(&image, number)?);
        let header_bytes = kind.header_bytes();
        let lens = cells.iter().map(|cell| cell.len).collect();
        Some(Self { image, header, header_bytes, lens, usable, defragmented: 0 })
    }

    /// The page at the end.
    pub(super) fn into_image(self) -> Vec<u8> {
        self.image
    }

    fn pointer_at(&self, index: usize) -> usize {
        self.header + self.header_bytes + 2 * index
    }

    /// Where the array of places ends.
    fn gap(&self) -> usize {
        self.pointer_at(self.lens.len())
    }

    /// Where cell `index` begins.
    pub(super) fn place(&self, index: usize) -> Option<usize> {
        u16_at(&self.image, self.pointer_at(index))
    }

    /// Says where cell `index` begins.
    pub(super) fn set_place(&mut self, index: usize, at: usize) -> Option<()> {
        self.put(self.pointer_at(index), at)
    }

    fn put(&mut self, at: usize, value: usize) -> Option<()> {
        let low = u16::try_from(value & 0xffff).ok()?;
        self.image.get_mut(at..at + 2)?.copy_from_slice(&low.to_be_bytes());
        Some(())
    }

    fn first_block(&self) -> usize {
        self.header + 1
    }

    /// Where the cells begin.
    fn content(&self) -> Option<usize> {
        match u16_at(&self.image, self.header + 5)? {
            0 => Some(65536),
            content => Some(content),
        }
    }

    fn set_content(&mut self, at: usize) -> Option<()> {
        self.put(self.header + 5, at)
    }

    fn fragments(&mut self) -> Option<&mut u8> {
        self.image.get_mut(self.header + 7)
    }

    /// Takes cell `index` out.
    pub(super) fn remove(&mut self, index: usize) -> Option<()> {
        let cell = Span { at: self.place(index)?, len: *self.lens.get(index)? };
        self.free(cell)?;
        self.lens.remove(index);
        let left = self.lens.len();
        if left == 0 {
            self.image.get_mut(self.header + 1..self.header + 5)?.fill(0);
            *self.fragments()? = 0;
            return self.set_content(self.usable);
        }
        let to = self.pointer_at(index);
        self.shift(to + 2, self.pointer_at(left + 1), to)?;
        self.put(self.header + 3, left)
    }

    /// Moves the bytes from `from` to `end`.
    fn shift(&mut self, from: usize, end: usize, to: usize) -> Option<()> {
        let fits = from <= end && end <= self.image.len() && to + (end - from) <= self.image.len();
        fits.then(|| self.image.copy_within(from..end, to))
    }

    /// Joins the cell with the free blocks around it, or with the gap above them.
    fn free(&mut self, cell: Span) -> Option<()> {
        let (mut from, mut end) = (cell.at, cell.end());
        let (before, mut after) = self.blocks_around(from)?;
        let mut joined = 0;
        if after > 0 && end + 3 >= after {
            joined += after.checked_sub(end)?;
            end = after + u16_at(&self.image, after + 2)?;
            after = u16_at(&self.image, after)?;
        }
        if before > self.first_block() {
            let block_end = before + u16_at(&self.image, before + 2)?;
            if block_end + 3 >= from {
                joined += from.checked_sub(block_end)?;
                from = before;
            }
        }
        let joined = u8::try_from(joined).ok()?;
        let fragments = self.fragments()?;
        *fragments = fragments.checked_sub(joined)?;
        if end > self.usable {
            return None;
        }
        if from <= self.content()? {
            self.put(self.first_block(), after)?;
            return self.set_content(end);
        }
        self.put(before, from)?;
        self.put(from, after)?;
        self.put(from + 2, end - from)
    }

    /// The free block before `at`, or the place that names the first, and the one after, or 0.
    fn blocks_around(&self, at: usize) -> Option<(usize, usize)> {
        let mut before = self.first_block();
        loop {
            let after = u16_at(&self.image, before)?;
            if after == 0 || after >= at {
                return Some((before, after));
            }
            // The chain ascends, so this ends.
            if after <= before {
                return None;
            }
            before = after;
        }
    }

    /// Puts a cell of `len` bytes in as cell `index`.
    pub(super) fn insert(&mut self, index: usize, len: usize) -> Option<()> {
        let at = self.allocate(len)?;
        let (from, end) = (self.pointer_at(index), self.gap());
        self.shift(from, end, from + 2)?;
        self.put(from, at)?;
        self.lens.insert(index, len);
        self.put(self.header + 3, self.lens.len())
    }

    /// Where the next cell of `len` bytes would begin, unless the page would have to be
    /// defragmented for it.
    pub(super) fn would_begin(&self, len: usize) -> Option<usize> {
        let gap = self.gap();
        let content = self.content()?;
        if let Some((_, block, left)) = self.fitting_block(len)
            && gap + 2 <= content
        {
            return Some(if left < LEAST_BLOCK { block } else { block + left });
        }
        content.checked_sub(len).filter(|at| gap + 2 <= *at)
    }

    /// The first free block that is long enough: what names it, itself, and the rest.
    fn fitting_block(&self, len: usize) -> Option<(usize, usize, usize)> {
        let mut before = self.first_block();
        loop {
            let block = u16_at(&self.image, before)?;
            if block <= before || block + len > self.usable {
                return None;
            }
            if let Some(left) = u16_at(&self.image, block + 2)?.checked_sub(len) {
                let too_many =
                    left < LEAST_BLOCK && *self.image.get(self.header + 7)? > MOST_FRAGMENTS;
                return (!too_many && block + left + len <= self.usable)
                    .then_some((before, block, left));
            }
            before = block;
        }
    }

    fn allocate(&mut self, len: usize) -> Option<usize> {
        let gap = self.gap();
        let mut content = self.content()?;
        if let Some((before, block, left)) = self.fitting_block(len)
            && gap + 2 <= content
        {
            if left >= LEAST_BLOCK {
                self.put(block + 2, left)?;
                return Some(block + left);
            }
            let after = u16_at(&self.image, block)?;
            self.put(before, after)?;
            *self.fragments()? += u8::try_from(left).ok()?;
            return Some(block);
        }
        if gap + 2 + len > content {
            let free = self.free_bytes()?.checked_sub(2 + len)?;
            self.defragment(free.min(4))?;
            content = self.content()?;
        }
        let at = content.checked_sub(len).filter(|at| gap + 2 <= *at)?;
        self.set_content(at)?;
        Some(at)
    }

    fn free_bytes(&self) -> Option<usize> {
        let gap = self.gap();
        let mut free = self.content()?.checked_sub(gap)?;
        free += usize::from(*self.image.get(self.header + 7)?);
        let mut before = self.first_block();
        loop {
            let block = u16_at(&self.image, before)?;
            if block <= before {
                return Some(free);
            }
            free += u16_at(&self.image, block + 2)?;
            before = block;
        }
    }

    /// Moves the cells to the end of the page; with few fragments and one or two free
    /// blocks without changing their order.
    fn defragment(&mut self, most_fragments: usize) -> Option<()> {
        self.defragmented += 1;
        if self.defragmented > MOST_DEFRAGMENTS {
            return None;
        }
        let gap = self.gap();
        let content = match self.blocks_to_close(most_fragments) {
            Some((first, second)) => self.close(first, second)?,
            None => self.lay_out()?,
        };
        self.set_content(content)?;
        self.put(self.first_block(), 0)?;
        self.image.get_mut(gap..content)?.fill(0);
        Some(())
    }

    /// The only one or two free blocks.
    fn blocks_to_close(&self, most_fragments: usize) -> Option<(Span, Option<Span>)> {
        if usize::from(*self.image.get(self.header + 7)?) > most_fragments {
            return None;
        }
        let block = |at| Some(Span { at, len: u16_at(&self.image, at + 2)? });
        let first = u16_at(&self.image, self.first_block()).filter(|at| *at > 0)?;
        match u16_at(&self.image, first)? {
            0 => Some((block(first)?, None)),
            second if u16_at(&self.image, second)? == 0 => {
                Some((block(first)?, Some(block(second)?)))
            }
            _ => None,
        }
    }

    /// Moves what lies before the blocks over them; returns where the cells begin then.
    fn close(&mut self, first: Span, second: Option<Span>) -> Option<usize> {
        let content = self.content()?;
        let more = second.map_or(0, |second| second.len);
        let between = second.map_or(0, |second| second.at);
        if second.is_some() {
            self.shift(first.end(), between, first.end() + more)?;
        }
        let by = first.len + more;
        self.shift(content, first.at, content + by)?;
        for index in 0..self.lens.len() {
            let at = self.place(index)?;
            if at < first.at {
                self.set_place(index, at + by)?;
            } else if at < between {
                self.set_place(index, at + more)?;
            }
        }
        Some(content + by)
    }

    /// Lays all cells down in the order of their keys; returns where they begin.
    fn lay_out(&mut self) -> Option<usize> {
        let before = self.image.clone();
        let mut content = self.usable;
        for index in 0..self.lens.len() {
            let cell = Span { at: self.place(index)?, len: self.lens[index] };
            content = content.checked_sub(cell.len)?;
            self.set_place(index, content)?;
            let bytes = before.get(cell.at..cell.end())?;
            self.image.get_mut(content..content + cell.len)?.copy_from_slice(bytes);
        }
        *self.fragments()? = 0;
        Some(content)
    }
}
