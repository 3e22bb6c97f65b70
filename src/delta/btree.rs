//! The cells of a tree page, as far as their places and lengths go.
//!
//! Only what predicts: a page that is read wrongly here costs bytes in the patch,
//! but writer and reader must read it alike, so this is part of the format.

/// The four kinds of tree pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keys and children of an index.
    IndexInterior,
    /// Row ids and children of a table.
    TableInterior,
    /// Keys of an index.
    IndexLeaf,
    /// Rows.
    TableLeaf,
}

impl Kind {
    /// All of them; the place of a kind here is its number in a segment.
    pub(super) const ALL: [Self; 4] =
        [Self::IndexInterior, Self::TableInterior, Self::IndexLeaf, Self::TableLeaf];

    /// The byte that begins such a page.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::IndexInterior => 2,
            Self::TableInterior => 5,
            Self::IndexLeaf => 10,
            Self::TableLeaf => 13,
        }
    }

    /// That of a page, none if it is no tree page.
    pub(super) fn of_page(page: &[u8], number: u32) -> Option<Self> {
        let byte = *page.get(header_at(number))?;
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }

    fn is_interior(self) -> bool {
        matches!(self, Self::IndexInterior | Self::TableInterior)
    }

    /// Bytes between the begin of the header and the array of cell places.
    pub(super) fn header_bytes(self) -> usize {
        if self.is_interior() { 12 } else { 8 }
    }
}

/// Where the header of a page begins: page 1 begins with that of the database.
pub(super) fn header_at(number: u32) -> usize {
    if number == 1 { 100 } else { 0 }
}

/// A piece of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Span {
    /// Where it begins.
    pub(super) at: usize,
    /// Its length in bytes.
    pub(super) len: usize,
}

impl Span {
    /// The byte after its last.
    pub(super) fn end(self) -> usize {
        self.at + self.len
    }

    /// Its bytes; nothing of a page that is too short.
    pub(super) fn of(self, page: &[u8]) -> &[u8] {
        page.get(self.at..self.end()).unwrap_or_default()
    }
}

/// A page whose cells all lie where cells may lie.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// What kind it is.
    pub(super) kind: Kind,
    /// Its cells, in the order of their keys.
    pub(super) cells: Vec<Span>,
}

/// The two bytes at `at`, the higher first.
pub(super) fn u16_at(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*bytes)))
}

impl Tree {
    /// Reads the cells of page `number`, none if it is no tree page.
    pub(super) fn read(page: &[u8], number: u32, usable: usize) -> Option<Self> {
        let mut cells = Vec::new();
        let kind = Self::read_cells(page, number, usable, &mut cells)?;
        Some(Self { kind, cells })
    }

    /// The same into `cells`, which hold nothing of use if it is no tree page.
    pub(super) fn read_cells(
        page: &[u8],
        number: u32,
        usable: usize,
        cells: &mut Vec<Span>,
    ) -> Option<Kind> {
        cells.clear();
        let (header, kind) = (header_at(number), Kind::of_page(page, number)?);
        let count = u16_at(page, header + 3)?;
        let array = header + kind.header_bytes();
        let body = array + 2 * count;
        if body > usable {
            return None;
        }
        let (local, page) = (Local::of(kind, usable), page.get(..usable)?);
        cells.reserve_exact(count);
        for place in page.get(array..body)?.chunks_exact(2) {
            let at = u16_at(place, 0)?;
            let len = local.cell_bytes(kind, page.get(at..)?)?;
            if at < body || at + len > usable {
                return None;
            }
            cells.push(Span { at, len });
        }
        Some(kind)
    }
}

/// How much of a payload lies on a page of one kind.
#[derive(Clone, Copy)]
struct Local {
    least: usize,
    most: usize,
    usable: usize,
}

impl Local {
    fn of(kind: Kind, usable: usize) -> Self {
        let least = (usable - 12) * 32 / 255 - 23;
        let most = match kind {
            Kind::TableLeaf => usable - 35,
            _ => (usable - 12) * 64 / 255 - 23,
        };
        Self { least, most, usable }
    }

    /// The length of the cell that `bytes` begin with: what of it lies on the page.
    fn cell_bytes(self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        let mut at = if kind.is_interior() { 4 } else { 0 };
        if kind == Kind::TableInterior {
            take_number(bytes, &mut at)?;
            return Some(at);
        }
        let payload = take_number(bytes, &mut at)?;
        if kind == Kind::TableLeaf {
            take_number(bytes, &mut at)?;
        }
        Some((at + self.of_payload(payload)).max(4))
    }

    /// With the number of the next page if there is one (the file format of `SQLite`, section 1.6).
    fn of_payload(self, payload: u64) -> usize {
        match usize::try_from(payload) {
            Ok(payload) if payload <= self.most => payload,
            _ => {
                let beyond = (payload - self.least as u64) % (self.usable as u64 - 4);
                let wanted =
                    self.least + usize::try_from(beyond).unwrap_or(usize::MAX - self.least);
                4 + if wanted <= self.most { wanted } else { self.least }
            }
        }
    }
}

/// Takes one of `SQLite`'s numbers of one to nine bytes.
fn take_number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for index in 1..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if index == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(value)
}
