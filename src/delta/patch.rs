//! From a prediction to the page, and the order in which that is written down.

use std::slice;

use crate::delta::btree::Span;
use crate::delta::cells::{Origins, Refused};
use crate::delta::script::Op;

/// The bytes of a page in the order of a patch.
pub(super) fn gather(order: &[Span], page: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(page.len());
    for span in order {
        bytes.extend_from_slice(span.of(page));
    }
    bytes
}

/// Turns a page from what was predicted into what it is; `order` covers it.
pub(super) fn apply(
    origins: &Origins<'_>,
    order: &[Span],
    ops: &[Op<'_>],
    page: &mut [u8],
) -> Result<(), Refused> {
    let mut pen = Pen { page, order: order.iter(), span: Span { at: 0, len: 0 } };
    for op in ops {
        match *op {
            Op::Literal(bytes) => pen.write(bytes)?,
            Op::Predicted(len) => pen.each(len, |_, _| ())?,
            Op::Copy { slot, at, len } => {
                let (_, image) = origins.get(slot).ok_or("a copy from a page that is not there")?;
                pen.write(image.get(at..at + len).ok_or("a copy from beyond a page")?)?;
            }
        }
    }
    pen.finish()
}

/// Goes over a page in the order of a patch.
struct Pen<'p> {
    page: &'p mut [u8],
    order: slice::Iter<'p, Span>,
    /// What is left of the piece that it is in.
    span: Span,
}

impl Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut rest = bytes;
        self.each(bytes.len(), |piece, len| {
            let (now, after) = rest.split_at(len);
            piece.copy_from_slice(now);
            rest = after;
        })
    }

    /// Moves on by `len` bytes, and shows them piece by piece.
    fn each(
        &mut self,
        mut len: usize,
        mut show: impl FnMut(&mut [u8], usize),
    ) -> Result<(), Refused> {
        while len > 0 {
            if self.span.len == 0 {
                self.span = *self.order.next().ok_or(UNFILLED)?;
                continue;
            }
            let now = len.min(self.span.len);
            let piece = self.page.get_mut(self.span.at..self.span.at + now).ok_or(UNFILLED)?;
            show(piece, now);
            self.span = Span { at: self.span.at + now, len: self.span.len - now };
            len -= now;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Refused> {
        let left = self.span.len + self.order.by_ref().map(|span| span.len).sum::<usize>();
        if left == 0 { Ok(()) } else { Err(UNFILLED) }
    }
}

const UNFILLED: Refused = "operations that do not fill the page";
