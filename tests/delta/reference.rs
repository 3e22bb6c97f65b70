//! A decoder straight from `docs/page-patch.md`, for segments that are right: it looks
//! at nothing twice, keeps no chain and no array but the page, and panics at will.

use std::collections::BTreeMap;

type Page = Vec<u8>;

struct Streams(Vec<Vec<u8>>);

impl Streams {
    fn number(&mut self, stream: usize) -> usize {
        let mut value = 0;
        let mut power = 1;
        loop {
            let byte = usize::from(self.0[stream].remove(0));
            value += (byte % 128) * power;
            power *= 128;
            if byte < 128 {
                return value;
            }
        }
    }

    fn signed(&mut self, stream: usize) -> isize {
        let value = self.number(stream).cast_signed();
        if value % 2 == 0 { value / 2 } else { -(value + 1) / 2 }
    }
}

/// The new images of a segment.
pub(super) fn decode(
    bytes: &[u8],
    page_bytes: usize,
    old: &BTreeMap<u32, Page>,
) -> Vec<(u32, Page)> {
    let usable = page_bytes - usize::from(bytes[0]);
    let mut frame = Streams(vec![bytes[1..].to_vec()]);
    let count = frame.number(0);
    let lengths: Vec<usize> = (0..14).map(|_| frame.number(0)).collect();
    let mut streams = Streams(Vec::new());
    for length in lengths {
        streams.0.push(frame.0[0].drain(..length).collect());
    }
    assert!(frame.0[0].is_empty());
    let mut numbers = Vec::new();
    let mut before = 0;
    for _ in 0..count {
        before += u32::try_from(streams.number(0)).unwrap() + 1;
        numbers.push(before);
    }
    let page = |place| {
        let mut maker = Maker::new(&mut streams, (page_bytes, usable), &numbers, place, old);
        (numbers[place], maker.page())
    };
    let pages = (0..count).map(page).collect();
    assert!(streams.0.iter().all(Vec::is_empty));
    pages
}

#[derive(Clone, Copy, PartialEq)]
enum From {
    Kept(usize),
    Cell(usize, (usize, usize)),
    LikeCell(usize, (usize, usize)),
    LikePrevious,
    Unlike,
}

struct Maker<'a> {
    streams: &'a mut Streams,
    page_bytes: usize,
    usable: usize,
    number: u32,
    /// Number and old image of each slot.
    slots: Vec<(u32, Option<&'a Page>)>,
    flags: usize,
    base: usize,
}

fn two(page: &[u8], at: usize) -> usize {
    usize::from(page[at]) * 256 + usize::from(page[at + 1])
}

fn set(page: &mut [u8], at: usize, value: usize) {
    page[at] = u8::try_from(value / 256 % 256).unwrap();
    page[at + 1] = u8::try_from(value % 256).unwrap();
}

fn head(number: u32) -> usize {
    if number == 1 { 100 } else { 0 }
}

fn varint(page: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for index in 0..9 {
        let byte = u64::from(page[*at]);
        *at += 1;
        if index == 8 {
            return value * 256 + byte;
        }
        value = value * 128 + byte % 128;
        if byte < 128 {
            break;
        }
    }
    value
}

/// The cells of an image that has some, as (begin, length).
fn cells(page: &[u8], number: u32, usable: usize) -> Vec<(usize, usize)> {
    let h = head(number);
    let array = h + if page[h] < 10 { 12 } else { 8 };
    let places = (0..two(page, h + 3)).map(|index| two(page, array + 2 * index));
    places.map(|at| (at, cell_len(page, at, page[h], usable))).collect()
}

fn cell_len(page: &[u8], at: usize, kind: u8, usable: usize) -> usize {
    let mut end = at + if kind < 10 { 4 } else { 0 };
    let payload = varint(page, &mut end);
    if kind == 5 {
        return end - at;
    }
    if kind == 13 {
        varint(page, &mut end);
    }
    let u = usable as u64;
    let x = if kind == 13 { u - 35 } else { (u - 12) * 64 / 255 - 23 };
    let m = (u - 12) * 32 / 255 - 23;
    let local = match payload {
        _ if payload <= x => payload,
        _ if m + (payload - m) % (u - 4) <= x => m + (payload - m) % (u - 4) + 4,
        _ => m + 4,
    };
    (end - at + usize::try_from(local).unwrap()).max(4)
}

impl<'a> Maker<'a> {
    fn new(
        streams: &'a mut Streams,
        (page_bytes, usable): (usize, usize),
        numbers: &[u32],
        place: usize,
        old: &'a BTreeMap<u32, Page>,
    ) -> Self {
        let flags = streams.number(1);
        let mut slots = vec![(numbers[place], old.get(&numbers[place]))];
        let others = if flags & 16 > 0 { streams.number(2) + 1 } else { 0 };
        let mut at = place;
        for _ in 0..others {
            at = at.checked_add_signed(streams.signed(2)).unwrap();
            slots.push((numbers[at], Some(&old[&numbers[at]])));
        }
        let base = flags / 64;
        Self { streams, page_bytes, usable, number: numbers[place], slots, flags, base }
    }

    fn page(&mut self) -> Page {
        let script = self.flags % 16;
        let base = self.slots[self.base].1;
        let mut image = base.cloned().unwrap_or_else(|| vec![0; self.page_bytes]);
        let mut new_cells = Vec::new();
        if script > 0 {
            let stay = script % 2 == 1;
            let told = self.script(stay);
            let placed = told.iter().filter(|cell| !matches!(cell.1, From::Kept(_))).count();
            let (order, given) = self.turns(placed);
            let lie = if stay {
                self.stay(&mut image, &told, &order, &given)
            } else {
                self.fresh(&mut image, &told, &order, &given)
            };
            new_cells = self.fill(&mut image, &told, &lie);
        }
        self.patch(&image, &new_cells, if script == 0 { 9 } else { 10 + (script - 1) / 2 })
    }

    /// Length, content and replaced cell of each cell.
    fn script(&mut self, stay: bool) -> Vec<(usize, From, Option<usize>)> {
        let (mut source, mut cursor) = (self.base, 0);
        let mut told = Vec::new();
        loop {
            let item = self.streams.number(3);
            let (code, n) = (item % 4, item / 4);
            let (number, image) = self.slots[source];
            let known = || cells(image.unwrap(), number, self.usable);
            let cell = |index| {
                if stay && source == self.base {
                    From::Kept(index)
                } else {
                    From::Cell(source, known()[index])
                }
            };
            match (code, n) {
                (0, _) => {
                    let end = if n == 0 { known().len().max(cursor) } else { cursor + n };
                    told.extend((cursor..end).map(|index| (known()[index].1, cell(index), None)));
                    cursor = end;
                    if n == 0 {
                        return told;
                    }
                }
                (1, _) => {
                    let from = [From::Unlike, From::LikePrevious].get(n).copied();
                    let from = from.unwrap_or_else(|| From::LikeCell(source, known()[cursor]));
                    let replaces = (n == 3 && source == self.base).then_some(cursor);
                    told.push((self.streams.number(4), from, replaces));
                    cursor += usize::from(n == 3);
                }
                (2, 0) => return told,
                (2, _) => cursor += n,
                _ => (source, cursor) = (n, self.streams.number(3)),
            }
        }
    }

    fn turns(&mut self, placed: usize) -> (Vec<usize>, Vec<Option<usize>>) {
        let mut turn_of: Vec<Option<usize>> = vec![None; placed];
        let mut given = vec![None; placed];
        let exceptions = if self.flags & 32 > 0 { self.streams.number(5) } else { 0 };
        let mut cell = 0;
        for _ in 0..exceptions {
            cell += self.streams.number(5);
            let place = self.streams.number(5);
            let more = if place >= 2 { self.streams.number(5) } else { 0 };
            if place % 2 == 1 {
                given[cell] = Some(self.streams.number(5));
            }
            if place >= 2 {
                for follows in 0..=more {
                    turn_of[cell + follows] = Some(placed - place / 2 + follows);
                }
            }
            cell += more + 1;
        }
        let taken: Vec<_> = turn_of.iter().flatten().copied().collect();
        let mut free = (0..placed).filter(|turn| !taken.contains(turn));
        let turns: Vec<_> =
            turn_of.iter().map(|turn| turn.or_else(|| free.next()).unwrap()).collect();
        let mut order: Vec<_> = (0..placed).collect();
        order.sort_by_key(|cell| turns[*cell]);
        (order, given)
    }

    fn fresh(
        &self,
        image: &mut Page,
        told: &[(usize, From, Option<usize>)],
        order: &[usize],
        given: &[Option<usize>],
    ) -> Vec<usize> {
        let mut places = vec![0; told.len()];
        let mut top = self.usable;
        for &cell in order {
            places[cell] = given[cell].unwrap_or_else(|| top - told[cell].0);
            top = top.min(places[cell]);
        }
        let h = head(self.number);
        let kind = (self.flags % 16 - 1) / 2;
        image[h] = [2, 5, 10, 13][kind];
        set(image, h + 1, 0);
        set(image, h + 3, told.len());
        set(image, h + 5, places.iter().copied().min().unwrap_or(self.usable));
        image[h + 7] = 0;
        for (index, place) in places.iter().enumerate() {
            set(image, h + if kind < 2 { 12 } else { 8 } + 2 * index, *place);
        }
        places
    }

    fn stay(
        &self,
        image: &mut Page,
        told: &[(usize, From, Option<usize>)],
        order: &[usize],
        given: &[Option<usize>],
    ) -> Vec<usize> {
        let (number, old) = self.slots[self.base];
        let old = cells(old.unwrap(), number, self.usable);
        // Keys: (kept cells passed, 0 for an old cell that goes, position in the script).
        let mut keys = Vec::new();
        let mut old_keys = vec![(usize::MAX, 0, 0); old.len()];
        let mut passed = 0;
        for (index, cell) in told.iter().enumerate() {
            if let From::Kept(kept) = cell.1 {
                for (gone, key) in old_keys.iter_mut().enumerate().take(kept).skip(passed) {
                    *key = (index, 0, gone);
                }
                old_keys[kept] = (index, 1, 0);
                passed = kept + 1;
            }
            keys.push((index, 1, 0));
        }
        for (gone, key) in old_keys.iter_mut().enumerate().skip(passed) {
            *key = (usize::MAX, 0, gone);
        }
        let mut sim = Played {
            image,
            h: head(number),
            usable: self.usable,
            lens: Vec::new(),
            present: old_keys.clone(),
        };
        sim.lens = old.iter().map(|cell| cell.1).collect();
        let replaced: Vec<_> = told.iter().filter_map(|cell| cell.2).collect();
        for (index, key) in old_keys.iter().enumerate() {
            if key.1 == 0 && !replaced.contains(&index) {
                sim.remove(*key);
            }
        }
        let placed: Vec<_> =
            (0..told.len()).filter(|cell| !matches!(told[*cell].1, From::Kept(_))).collect();
        for turn in order {
            let cell = placed[*turn];
            if let Some(gone) =
                told[cell].2.map(|gone| old_keys[gone]).filter(|gone| sim.present.contains(gone))
            {
                sim.remove(gone);
            }
            sim.insert(keys[cell], told[cell].0);
        }
        for (cell, at) in placed.iter().zip(given) {
            if let Some(at) = at {
                let pointer = sim.pointer(*cell);
                set(sim.image, pointer, *at);
            }
        }
        (0..told.len()).map(|index| two(sim.image, sim.pointer(index))).collect()
    }

    fn fill(
        &self,
        image: &mut Page,
        told: &[(usize, From, Option<usize>)],
        places: &[usize],
    ) -> Vec<(usize, usize)> {
        let mut new_cells = Vec::new();
        for (index, &(len, from, _)) in told.iter().enumerate() {
            let at = places[index];
            let bytes = match from {
                From::Kept(_) | From::Unlike => Vec::new(),
                From::Cell(slot, (begin, len)) | From::LikeCell(slot, (begin, len)) => {
                    self.slots[slot].1.unwrap()[begin..begin + len].to_vec()
                }
                From::LikePrevious => {
                    image[places[index - 1]..places[index - 1] + told[index - 1].0].to_vec()
                }
            };
            let room = len.min(bytes.len());
            image[at..at + room].copy_from_slice(&bytes[..room]);
            if !matches!(from, From::Kept(_) | From::Cell(..)) {
                new_cells.push((at, len));
            }
        }
        new_cells
    }

    fn patch(&mut self, predicted: &Page, new_cells: &[(usize, usize)], literals: usize) -> Page {
        let mut order: Vec<usize> = new_cells.iter().flat_map(|(at, len)| *at..at + len).collect();
        let mut is_new = vec![false; self.page_bytes];
        for at in &order {
            is_new[*at] = true;
        }
        order.extend((0..self.page_bytes).filter(|at| !is_new[*at]));
        let mut page = vec![0; self.page_bytes];
        let mut done = 0;
        while done < self.page_bytes {
            for _ in 0..self.streams.number(6) {
                page[order[done]] = self.streams.0[literals].remove(0);
                done += 1;
            }
            if done == self.page_bytes {
                break;
            }
            let copy = self.streams.number(7);
            if copy % 2 == 1 {
                let (slot, at) = (self.streams.number(8), self.streams.number(8));
                for offset in 0..copy / 2 {
                    page[order[done + offset]] = self.slots[slot].1.unwrap()[at + offset];
                }
                done += copy / 2;
            } else {
                let end = if copy == 0 { self.page_bytes } else { done + copy / 2 };
                for at in &order[done..end] {
                    page[*at] = predicted[*at];
                }
                done = end;
            }
        }
        page
    }
}

/// A page that is played on, with the keys of its cells in the order of its array.
struct Played<'a> {
    image: &'a mut Page,
    h: usize,
    usable: usize,
    lens: Vec<usize>,
    present: Vec<(usize, usize, usize)>,
}

impl Played<'_> {
    fn pointer(&self, index: usize) -> usize {
        self.h + if self.image[self.h] < 10 { 12 } else { 8 } + 2 * index
    }

    fn content(&self) -> usize {
        match two(self.image, self.h + 5) {
            0 => 65536,
            content => content,
        }
    }

    /// The free blocks, as (place, length).
    fn blocks(&self) -> Vec<(usize, usize)> {
        let mut blocks = Vec::new();
        let mut at = two(self.image, self.h + 1);
        while at > 0 {
            blocks.push((at, two(self.image, at + 2)));
            at = two(self.image, at);
        }
        blocks
    }

    /// Writes the chain of these blocks.
    fn chain(&mut self, blocks: &[(usize, usize)]) {
        let mut before = self.h + 1;
        for &(at, len) in blocks {
            set(self.image, before, at);
            set(self.image, at + 2, len);
            before = at;
        }
        set(self.image, before, 0);
    }

    fn remove(&mut self, key: (usize, usize, usize)) {
        let index = self.present.iter().position(|present| *present == key).unwrap();
        let (mut from, len) = (two(self.image, self.pointer(index)), self.lens[index]);
        let mut end = from + len;
        let mut blocks = self.blocks();
        if let Some(next) = blocks.iter().position(|block| block.0 >= from)
            && end + 3 >= blocks[next].0
        {
            self.image[self.h + 7] -= u8::try_from(blocks[next].0 - end).unwrap();
            end = blocks[next].0 + blocks[next].1;
            blocks.remove(next);
        }
        if let Some(last) = blocks.iter().rposition(|block| block.0 < from)
            && blocks[last].0 + blocks[last].1 + 3 >= from
        {
            self.image[self.h + 7] -= u8::try_from(from - blocks[last].0 - blocks[last].1).unwrap();
            from = blocks[last].0;
            blocks.remove(last);
        }
        if from <= self.content() {
            set(self.image, self.h + 5, end);
        } else {
            blocks.push((from, end - from));
            blocks.sort_unstable();
        }
        self.chain(&blocks);
        let (at, stop) = (self.pointer(index), self.pointer(self.lens.len()));
        self.image.copy_within(at + 2..stop, at);
        self.lens.remove(index);
        self.present.remove(index);
        set(self.image, self.h + 3, self.lens.len());
        if self.lens.is_empty() {
            set(self.image, self.h + 1, 0);
            set(self.image, self.h + 5, self.usable);
            self.image[self.h + 7] = 0;
        }
    }

    fn insert(&mut self, key: (usize, usize, usize), len: usize) {
        let at = self.allocate(len);
        let index = self.present.iter().take_while(|present| **present < key).count();
        let (pointer, gap) = (self.pointer(index), self.pointer(self.lens.len()));
        self.image.copy_within(pointer..gap, pointer + 2);
        set(self.image, pointer, at);
        self.lens.insert(index, len);
        self.present.insert(index, key);
        set(self.image, self.h + 3, self.lens.len());
    }

    fn allocate(&mut self, len: usize) -> usize {
        let gap = self.pointer(self.lens.len());
        let mut blocks = self.blocks();
        let first = blocks.iter().position(|block| block.1 >= len && block.0 + len <= self.usable);
        if let Some(first) = first.filter(|_| gap + 2 <= self.content()) {
            let (block, left) = (blocks[first].0, blocks[first].1 - len);
            if left >= 4 {
                set(self.image, block + 2, left);
                return block + left;
            }
            if self.image[self.h + 7] <= 57 {
                self.image[self.h + 7] += u8::try_from(left).unwrap();
                let after = blocks.get(first + 1).map_or(0, |block| block.0);
                let before = first.checked_sub(1).map_or(self.h + 1, |before| blocks[before].0);
                set(self.image, before, after);
                blocks.remove(first);
                return block;
            }
        }
        if gap + 2 + len > self.content() {
            let free: usize = blocks.iter().map(|block| block.1).sum();
            let free = free + self.content() - gap + usize::from(self.image[self.h + 7]);
            self.defragment(4.min(free - 2 - len), &blocks);
        }
        let content = self.content() - len;
        set(self.image, self.h + 5, content);
        content
    }

    fn defragment(&mut self, fragments: usize, blocks: &[(usize, usize)]) {
        let before = self.image.clone();
        let gap = self.pointer(self.lens.len());
        let mut content = self.content();
        if usize::from(before[self.h + 7]) <= fragments && (1..=2).contains(&blocks.len()) {
            let (f, g) = (blocks[0], blocks.get(1).copied().unwrap_or((0, 0)));
            if g.0 > 0 {
                let moved = before[f.0 + f.1..g.0].to_vec();
                let to = f.0 + f.1 + g.1;
                self.image[to..to + moved.len()].copy_from_slice(&moved);
            }
            let low = before[content..f.0].to_vec();
            let by = f.1 + g.1;
            self.image[content + by..f.0 + by].copy_from_slice(&low);
            content += by;
            for index in 0..self.lens.len() {
                let at = two(self.image, self.pointer(index));
                let by = if at < f.0 {
                    by
                } else if at < g.0 {
                    g.1
                } else {
                    0
                };
                let pointer = self.pointer(index);
                set(self.image, pointer, at + by);
            }
        } else {
            content = self.usable;
            for index in 0..self.lens.len() {
                let (at, len) = (two(&before, self.pointer(index)), self.lens[index]);
                content -= len;
                let pointer = self.pointer(index);
                set(self.image, pointer, content);
                self.image[content..content + len].copy_from_slice(&before[at..at + len]);
            }
            self.image[self.h + 7] = 0;
        }
        set(self.image, self.h + 5, content);
        set(self.image, self.h + 1, 0);
        self.image[gap..content].fill(0);
    }
}
