//! How a recipe is written into the streams of a segment.

use crate::delta::btree::Kind;
use crate::delta::error::DeltaError;
use crate::delta::script::{Aside, Exception, Item, Laying, OTHERS, Op, Recipe, Reference, Script};
use crate::delta::shape::PageShape;
use crate::delta::streams::{Reader, Stream, Writer};

const HAS_OTHERS: usize = 16;
const HAS_EXCEPTIONS: usize = 32;
const OTHER_BASE: usize = 64;

impl Script {
    /// Its kind and its laying, 1 to 8.
    fn code(&self) -> usize {
        1 + self.kind as usize * 2 + self.laying as usize
    }

    fn of_code(code: usize) -> Option<(Kind, Laying)> {
        let code = code.checked_sub(1)?;
        Some((*Kind::ALL.get(code / 2)?, Laying::ALL[code % 2]))
    }

    fn write(&self, out: &mut Writer) {
        for item in &self.items {
            write_item(out, *item);
        }
        if !self.exceptions.is_empty() {
            out.number(Stream::Places, self.exceptions.len());
        }
        for exception in &self.exceptions {
            out.number(Stream::Places, exception.gap);
            let back = exception.aside.map_or(0, |aside| aside.back + 1);
            out.number(Stream::Places, back * 2 + usize::from(exception.at.is_some()));
            if let Some(aside) = exception.aside {
                out.number(Stream::Places, aside.more);
            }
            if let Some(at) = exception.at {
                out.number(Stream::Places, at);
            }
        }
    }
}

fn write_item(out: &mut Writer, item: Item) {
    let (code, number) = match item {
        Item::Rest => (0, 0),
        Item::Run(cells) => (0, cells),
        Item::New { reference, .. } => (1, reference as usize),
        Item::End => (2, 0),
        Item::Skip(cells) => (2, cells),
        Item::From { slot, .. } => (3, slot),
    };
    out.number(Stream::Cells, number * 4 + code);
    match item {
        Item::New { len, .. } => out.number(Stream::Lengths, len),
        Item::From { cell, .. } => out.number(Stream::Cells, cell),
        _ => {}
    }
}

fn read_item(streams: &mut Reader<'_>, shape: PageShape, slots: usize) -> Result<Item, DeltaError> {
    let refused = DeltaError::Stream { stream: Stream::Cells };
    let value = streams.number(Stream::Cells, 4 * shape.page_bytes())?;
    match (value % 4, value / 4) {
        (0, 0) => Ok(Item::Rest),
        (0, cells) => Ok(Item::Run(cells)),
        (1, reference) => {
            let reference = *Reference::ALL.get(reference).ok_or(refused)?;
            Ok(Item::New { reference, len: streams.number(Stream::Lengths, shape.page_bytes())? })
        }
        (2, 0) => Ok(Item::End),
        (2, cells) => Ok(Item::Skip(cells)),
        (_, slot) if slot < slots => {
            let cell = streams.number(Stream::Cells, shape.page_bytes())?;
            Ok(Item::From { slot, cell })
        }
        _ => Err(refused),
    }
}

fn read_items(
    streams: &mut Reader<'_>,
    shape: PageShape,
    slots: usize,
    items: &mut Vec<Item>,
) -> Result<(), DeltaError> {
    // A cell has a place of two bytes; more steps than twice the cells say nothing.
    while items.len() < shape.page_bytes() {
        let item = read_item(streams, shape, slots)?;
        items.push(item);
        if matches!(item, Item::Rest | Item::End) {
            return Ok(());
        }
    }
    Err(DeltaError::Stream { stream: Stream::Cells })
}

fn read_exceptions(
    streams: &mut Reader<'_>,
    shape: PageShape,
    exceptions: &mut Vec<Exception>,
) -> Result<(), DeltaError> {
    let count = streams.number(Stream::Places, shape.page_bytes() / 2)?;
    for _ in 0..count {
        let gap = streams.number(Stream::Places, shape.page_bytes())?;
        let place = streams.number(Stream::Places, 2 * shape.page_bytes())?;
        let aside = match place / 2 {
            0 => None,
            back => {
                let more = streams.number(Stream::Places, shape.page_bytes())?;
                Some(Aside { back: back - 1, more })
            }
        };
        let at = match place % 2 {
            0 => None,
            _ => Some(streams.number(Stream::Places, shape.page_bytes())?),
        };
        exceptions.push(Exception { gap, aside, at });
    }
    Ok(())
}

/// The stream for the literals of a page.
fn literals_of(script: Option<&Script>) -> Stream {
    match script.map(|script| script.kind) {
        None => Stream::Bytes,
        Some(Kind::IndexInterior) => Stream::IndexInterior,
        Some(Kind::TableInterior) => Stream::TableInterior,
        Some(Kind::IndexLeaf) => Stream::IndexLeaf,
        Some(Kind::TableLeaf) => Stream::TableLeaf,
    }
}

fn write_ops(out: &mut Writer, ops: &[Op<'_>], bytes: Stream) {
    let mut ops = ops.iter().peekable();
    while ops.peek().is_some() {
        let literal = match ops.peek() {
            Some(Op::Literal(literal)) => *literal,
            _ => &[],
        };
        if !literal.is_empty() {
            ops.next();
        }
        out.number(Stream::Literals, literal.len());
        out.bytes(bytes, literal);
        match ops.next() {
            Some(Op::Predicted(_)) if ops.peek().is_none() => out.number(Stream::Copies, 0),
            Some(Op::Predicted(len)) => out.number(Stream::Copies, 2 * len),
            Some(Op::Copy { slot, at, len }) => {
                out.number(Stream::Copies, 2 * len + 1);
                out.number(Stream::Offsets, *slot);
                out.number(Stream::Offsets, *at);
            }
            Some(Op::Literal(_)) | None => {}
        }
    }
}

fn read_copy<'a>(
    streams: &mut Reader<'a>,
    left: usize,
    slots: usize,
    page_bytes: usize,
) -> Result<Op<'a>, DeltaError> {
    let value = streams.number(Stream::Copies, 2 * left + 1)?;
    match (value % 2, value / 2) {
        (0, 0) => Ok(Op::Predicted(left)),
        (0, len) => Ok(Op::Predicted(len)),
        (_, 0) => Err(DeltaError::Stream { stream: Stream::Copies }),
        (_, len) => {
            let slot = streams.number(Stream::Offsets, slots - 1)?;
            let at = streams.number(Stream::Offsets, page_bytes - len)?;
            Ok(Op::Copy { slot, at, len })
        }
    }
}

fn read_ops<'a>(
    streams: &mut Reader<'a>,
    bytes: Stream,
    (slots, page_bytes): (usize, usize),
    ops: &mut Vec<Op<'a>>,
) -> Result<(), DeltaError> {
    let mut left = page_bytes;
    loop {
        let literal = streams.number(Stream::Literals, left)?;
        if literal > 0 {
            ops.push(Op::Literal(streams.bytes(bytes, literal)?));
            left -= literal;
        }
        if left == 0 {
            return Ok(());
        }
        let copy = read_copy(streams, left, slots, page_bytes)?;
        ops.push(copy);
        left -= match copy {
            Op::Predicted(len) | Op::Copy { len, .. } => len,
            Op::Literal(_) => 0,
        };
        if left == 0 {
            return Ok(());
        }
    }
}

impl<'a> Recipe<'a> {
    /// Writes the recipe of the page at `place` in its segment.
    pub(super) fn write(&self, place: usize, out: &mut Writer) {
        let exceptions = self.script.as_ref().is_some_and(|script| !script.exceptions.is_empty());
        let flags = self.script.as_ref().map_or(0, Script::code)
            + if self.others.is_empty() { 0 } else { HAS_OTHERS }
            + if exceptions { HAS_EXCEPTIONS } else { 0 }
            + self.base * OTHER_BASE;
        out.number(Stream::Flags, flags);
        self.write_others(place, out);
        if let Some(script) = &self.script {
            script.write(out);
        }
        write_ops(out, &self.ops, literals_of(self.script.as_ref()));
    }

    fn write_others(&self, place: usize, out: &mut Writer) {
        if let Some(last) = self.others.len().checked_sub(1) {
            out.number(Stream::Sources, last);
        }
        let mut before = place;
        for &other in &self.others {
            out.signed(Stream::Sources, distance(before, other));
            before = other;
        }
    }

    /// Reads the recipe of the page at `place` of `pages` in its segment into this one, whose room is used again.
    pub(super) fn read(
        &mut self,
        streams: &mut Reader<'a>,
        (place, pages): (usize, usize),
        shape: PageShape,
    ) -> Result<(), DeltaError> {
        self.others.clear();
        self.ops.clear();
        let flags = streams.number(Stream::Flags, 2 * OTHER_BASE - 1)?;
        if flags & HAS_OTHERS > 0 {
            read_others(streams, place, pages, &mut self.others)?;
        }
        let slots = self.others.len() + 1;
        self.base = flags / OTHER_BASE;
        if self.base >= slots {
            return Err(DeltaError::Stream { stream: Stream::Flags });
        }
        self.read_script(streams, flags, shape)?;
        let bytes = literals_of(self.script.as_ref());
        read_ops(streams, bytes, (slots, shape.page_bytes()), &mut self.ops)
    }

    fn read_script(
        &mut self,
        streams: &mut Reader<'_>,
        flags: usize,
        shape: PageShape,
    ) -> Result<(), DeltaError> {
        let before = self.script.take();
        let (code, exceptions) = (flags % HAS_OTHERS, flags & HAS_EXCEPTIONS);
        if (code, exceptions) == (0, 0) {
            return Ok(());
        }
        let refused = DeltaError::Stream { stream: Stream::Flags };
        let (kind, laying) = Script::of_code(code).ok_or(refused)?;
        let room = before.map(|before| (before.items, before.exceptions));
        let (items, said) = room.unwrap_or_default();
        let script = self.script.insert(Script { kind, laying, items, exceptions: said });
        script.items.clear();
        script.exceptions.clear();
        read_items(streams, shape, self.others.len() + 1, &mut script.items)?;
        if exceptions > 0 {
            read_exceptions(streams, shape, &mut script.exceptions)?;
        }
        Ok(())
    }
}

fn distance(from: usize, to: usize) -> i32 {
    let place = |place| i32::try_from(place).expect("invariant: a place in a segment");
    place(to) - place(from)
}

fn read_others(
    streams: &mut Reader<'_>,
    place: usize,
    pages: usize,
    others: &mut Vec<usize>,
) -> Result<(), DeltaError> {
    let count = streams.number(Stream::Sources, OTHERS - 1)? + 1;
    let mut at = place;
    for _ in 0..count {
        let by = streams.signed(Stream::Sources)?;
        let to = isize::try_from(by).ok().and_then(|by| at.checked_add_signed(by));
        let to = to.filter(|to| *to < pages);
        at = to.ok_or(DeltaError::Stream { stream: Stream::Sources })?;
        others.push(at);
    }
    Ok(())
}
