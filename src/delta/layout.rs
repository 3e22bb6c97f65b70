//! The prediction of a tree page: its cells, and where `SQLite` puts them.

use crate::delta::btree::{Kind, Span, header_at};
use crate::delta::cells::{Cell, Content, Origins, Refused, Told};
use crate::delta::live::Live;
use crate::delta::script::{Laying, Script};
use crate::delta::turns::Turns;

/// What a page is expected to be.
#[derive(Debug)]
pub(super) struct Prediction {
    /// The page.
    pub(super) image: Vec<u8>,
    /// The cells that no source had, which do not overlap.
    pub(super) new_cells: Vec<Span>,
}

impl Prediction {
    /// A page that looks like its base, or is empty. What `room` has is used again.
    pub(super) fn plain(origins: &Origins<'_>, mut room: Vec<u8>) -> Self {
        room.clear();
        match origins.base_image() {
            Some(image) => room.extend_from_slice(image),
            None => room.resize(origins.shape.page_bytes(), 0),
        }
        Self { image: room, new_cells: Vec::new() }
    }

    /// The order in which a patch goes over the page: the new cells, then the rest.
    pub(super) fn order(&self) -> Vec<Span> {
        let mut order = self.new_cells.clone();
        let mut sorted = self.new_cells.clone();
        sorted.sort_unstable_by_key(|span| span.at);
        let mut at = 0;
        for span in sorted {
            order.push(Span { at, len: span.at.saturating_sub(at) });
            at = span.end();
        }
        order.push(Span { at, len: self.image.len().saturating_sub(at) });
        order
    }
}

/// What the page of a script is expected to be. `told` and what `room` has are used again.
pub(super) fn predict(
    origins: &Origins<'_>,
    script: &Script,
    told: &mut Told,
    room: Vec<u8>,
) -> Result<Prediction, Refused> {
    // In this order: a copy brings the base into the cache faster than looking for its cells does.
    let image = Prediction::plain(origins, room).image;
    told.tell(origins, script.laying, &script.items)?;
    let cells = &told.cells;
    let placed = cells.iter().filter(|cell| !matches!(cell.content, Content::Kept(_))).count();
    let turns = Turns::read(placed, &script.exceptions)?;
    let how = How { kind: script.kind, laying: script.laying, turns: &turns };
    let (mut image, spans) = lay(origins, how, told, image)?;
    let cells = &told.cells;
    if spans.iter().any(|span| span.end() > image.len()) {
        return Err("a cell beyond the page");
    }
    paint(origins, cells, &spans, &mut image)?;
    let new = cells
        .iter()
        .zip(&spans)
        .filter(|(cell, _)| !matches!(cell.content, Content::Kept(_) | Content::Copied { .. }));
    let new_cells: Vec<_> = new.map(|(_, span)| *span).collect();
    disjoint(&new_cells)?;
    Ok(Prediction { image, new_cells })
}

/// How cells are laid.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    /// The kind of the page.
    pub(super) kind: Kind,
    /// Where the cells of the base go.
    pub(super) laying: Laying,
    /// Which cell comes first.
    pub(super) turns: &'a Turns,
}

/// The page with all its cells in place, but the bytes of those that were placed. It is made of the base in `image`.
pub(super) fn lay(
    origins: &Origins<'_>,
    how: How<'_>,
    told: &mut Told,
    mut image: Vec<u8>,
) -> Result<(Vec<u8>, Vec<Span>), Refused> {
    match how.laying {
        Laying::Stay => Live::new(origins, told.base_cells(origins)?, image)?.play(how.turns),
        Laying::Fresh => {
            let spans = lay_down(origins.shape.usable(), &told.cells, how.turns)?;
            write_header(origins, how.kind, &spans, &mut image)?;
            Ok((image, spans))
        }
    }
}

/// Lays all cells down from `top`, each below the one before it.
fn lay_down(mut top: usize, cells: &[Cell], turns: &Turns) -> Result<Vec<Span>, Refused> {
    let mut spans: Vec<_> = cells.iter().map(|cell| Span { at: 0, len: cell.len }).collect();
    for &cell in &turns.order {
        let span = &mut spans[cell];
        span.at = match turns.given[cell] {
            Some(at) => at,
            None => top.checked_sub(span.len).ok_or("a cell before the page")?,
        };
        top = top.min(span.at);
    }
    Ok(spans)
}

fn write_header(
    origins: &Origins<'_>,
    kind: Kind,
    spans: &[Span],
    image: &mut [u8],
) -> Result<(), Refused> {
    let header = header_at(origins.number);
    let array = header + kind.header_bytes();
    let lowest = spans.iter().map(|span| span.at).min().unwrap_or(origins.shape.usable());
    if array + 2 * spans.len() > image.len() {
        return Err("more cells than a page holds");
    }
    image[header] = kind.byte();
    image[header + 1..header + 3].fill(0);
    image[header + 7] = 0;
    put_u16(image, header + 3, spans.len());
    put_u16(image, header + 5, lowest);
    for (index, span) in spans.iter().enumerate() {
        put_u16(image, array + 2 * index, span.at);
    }
    Ok(())
}

/// The lowest two bytes of a number, the higher first: 65536 is written as 0.
fn put_u16(image: &mut [u8], at: usize, value: usize) {
    let low = u16::try_from(value & 0xffff).expect("invariant: sixteen bits");
    image[at..at + 2].copy_from_slice(&low.to_be_bytes());
}

/// Fills the cells that were placed.
fn paint(
    origins: &Origins<'_>,
    cells: &[Cell],
    spans: &[Span],
    image: &mut [u8],
) -> Result<(), Refused> {
    let mut previous = None;
    for (cell, &span) in cells.iter().zip(spans) {
        match cell.content {
            Content::Kept(_) | Content::Unlike => {}
            Content::Copied { slot, span: from } | Content::Like { slot, span: from } => {
                copy(origins, slot, from, image, span);
            }
            Content::LikePrevious => {
                let Span { at, len } = previous.ok_or("no cell is before the first")?;
                image.copy_within(at..at + span.len.min(len), span.at);
            }
        }
        previous = Some(span);
    }
    Ok(())
}

/// Copies as much of a cell as there is room for.
fn copy(origins: &Origins<'_>, slot: usize, from: Span, image: &mut [u8], to: Span) {
    let Some((_, source)) = origins.get(slot) else { return };
    let bytes = from.of(source);
    let len = bytes.len().min(to.len);
    image[to.at..to.at + len].copy_from_slice(&bytes[..len]);
}

fn disjoint(cells: &[Span]) -> Result<(), Refused> {
    let mut sorted = cells.to_vec();
    sorted.sort_unstable_by_key(|span| span.at);
    if sorted.windows(2).any(|pair| pair[0].end() > pair[1].at) {
        return Err("new cells overlap");
    }
    Ok(())
}
