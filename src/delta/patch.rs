//! From a prediction to the page, and the order in which that is written down.

use crate::delta::btree::Span;
use crate::delta::cells::Origins;
use crate::delta::script::Op;

/// The bytes of a page in the order of a patch.
pub(super) fn gather(order: &[Span], page: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(page.len());
    for span in order {
        bytes.extend_from_slice(span.of(page));
    }
    bytes
}

/// The inverse of [`gather`]: `order` covers the page.
pub(super) fn scatter(order: &[Span], bytes: &[u8]) -> Vec<u8> {
    let mut page = vec![0; bytes.len()];
    let mut rest = bytes;
    for span in order {
        let (piece, after) = rest.split_at(span.len);
        page[span.at..span.end()].copy_from_slice(piece);
        rest = after;
    }
    page
}

/// Patches what was predicted, both in the order of the patch.
pub(super) fn apply(
    origins: &Origins<'_>,
    predicted: &[u8],
    ops: &[Op<'_>],
) -> Result<Vec<u8>, &'static str> {
    let mut made = Vec::with_capacity(predicted.len());
    for op in ops {
        let bytes = match *op {
            Op::Literal(bytes) => Some(bytes),
            Op::Predicted(len) => predicted.get(made.len()..made.len() + len),
            Op::Copy { slot, at, len } => {
                let (_, image) = origins.get(slot).ok_or("a copy from a page that is not there")?;
                image.get(at..at + len)
            }
        };
        made.extend_from_slice(bytes.ok_or("a copy from beyond a page")?);
    }
    if made.len() != predicted.len() {
        return Err("operations that do not fill the page");
    }
    Ok(made)
}
