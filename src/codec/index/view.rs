//! Searching a segment where it lies.

use std::ops::{Deref, Range};

use crate::codec::index::pages::{PageDamage, Pages, SegmentError, page_of};
use crate::codec::index::{BlobKey, HEADER_LEN, Layout, Place, SegmentHeader, key_of, take};
use crate::codec::pack::Encoding;
use crate::id::{BlobId, BlobType, HashKeys, PackId, RepositoryId};

/// A segment over bytes that stay where they are, usually a memory map. Safe to search from many threads.
pub struct SegmentView<B> {
    pages: Pages<B>,
    layout: Layout,
    repository: RepositoryId,
}

impl<B: Deref<Target = [u8]>> SegmentView<B> {
    /// Checks footer, table of page checks and header; reads no entry.
    pub fn open(bytes: B, keys: &HashKeys) -> Result<Self, SegmentError> {
        let pages = Pages::open(bytes, keys)?;
        let header = pages.get::<HEADER_LEN>(0)?;
        let SegmentHeader { repository, layout } = SegmentHeader::decode(&header)
            .ok_or(PageDamage { page: 0, what: "not the header of an index segment" })?;
        if layout.pages() != pages.count() {
            return Err(SegmentError::Damaged { what: "header and footer disagree" });
        }
        Ok(Self { pages, layout, repository })
    }

    /// The bytes as they lie.
    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes()
    }

    /// The repository that the segment belongs to.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// Places in the segment.
    pub fn entry_count(&self) -> u64 {
        self.layout.entries
    }

    /// Packs that the segment names.
    pub fn pack_count(&self) -> u64 {
        self.layout.packs
    }

    /// Every place of a blob of this type that the segment lists. An error names a page that the answer hangs on.
    pub fn lookup(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<Place>, PageDamage> {
        let mut places = Vec::new();
        for entry in self.find(&key_of(id))? {
            let place = self.place(entry)?;
            if place.blob_type == blob_type {
                places.push(place);
            }
        }
        Ok(places)
    }

    /// The numbers of the entries that have this key, of whatever type.
    pub fn find(&self, key: &BlobKey) -> Result<Range<u64>, PageDamage> {
        let bucket = self.bucket(self.layout.bucket_of(key))?;
        let first = self.first_not_below(key, bucket.clone())?;
        let mut end = first;
        while end < bucket.end && self.key(end)? == *key {
            end += 1;
        }
        Ok(first..end)
    }

    /// The entry of this number, from 0 to [`entry_count`](Self::entry_count).
    pub fn entry(&self, number: u64) -> Result<(BlobKey, Place), PageDamage> {
        Ok((self.key(number)?, self.place(number)?))
    }

    /// Every entry in order. After an error it may go on: other entries can be sound.
    pub fn iter(&self) -> impl Iterator<Item = Result<(BlobKey, Place), PageDamage>> {
        (0..self.layout.entries).map(|number| self.entry(number))
    }

    /// Every pack that the segment names, with its length in bytes.
    pub fn packs(&self) -> impl Iterator<Item = Result<(PackId, u64), PageDamage>> {
        (0..self.layout.packs).map(|number| self.pack(number))
    }

    /// Reads everything: each page against its check, then the order and sense of the tables.
    /// Lists each bad page once.
    pub fn verify_all(&self) -> Vec<PageDamage> {
        let mut bad: Vec<PageDamage> =
            (0..self.pages.count()).filter_map(|page| self.pages.verify(page).err()).collect();
        bad.extend(self.table_faults());
        bad.sort_by_key(|damage| damage.page);
        bad.dedup_by_key(|damage| damage.page);
        bad
    }

    fn table_faults(&self) -> Vec<PageDamage> {
        let mut faults: Vec<_> = self.packs().filter_map(Result::err).collect();
        faults.extend(
            (0..self.layout.buckets()).filter_map(|bucket| self.bucket_fault(bucket).err()),
        );
        faults.extend((0..self.layout.entries).filter_map(|entry| self.entry_fault(entry).err()));
        faults
    }

    /// The keys between the fan-out's two numbers must be those of the bucket.
    fn bucket_fault(&self, bucket: u64) -> Result<(), PageDamage> {
        let entries = self.bucket(bucket)?;
        let last = entries.end.checked_sub(1).filter(|last| entries.contains(last));
        for entry in last.into_iter().chain(entries.clone().next()) {
            if self.layout.bucket_of(&self.key(entry)?) != bucket {
                return Err(Self::fan_damage(bucket));
            }
        }
        let whole = bucket + 1 < self.layout.buckets() || entries.end == self.layout.entries;
        let begins = bucket > 0 || entries.start == 0;
        if whole && begins { Ok(()) } else { Err(Self::fan_damage(bucket)) }
    }

    fn entry_fault(&self, entry: u64) -> Result<(), PageDamage> {
        let ours = self.entry(entry)?;
        let ascending = match entry.checked_sub(1) {
            Some(before) => self.entry(before)? < ours,
            None => true,
        };
        let page = page_of(self.layout.key_at(entry));
        ascending.then_some(()).ok_or(PageDamage { page, what: "entries out of order" })
    }

    /// The numbers of the entries in a bucket.
    fn bucket(&self, bucket: u64) -> Result<Range<u64>, PageDamage> {
        let start = u64::from(u32::from_le_bytes(self.pages.get(Layout::fan_at(bucket))?));
        let end = u64::from(u32::from_le_bytes(self.pages.get(Layout::fan_at(bucket + 1))?));
        if start <= end && end <= self.layout.entries {
            Ok(start..end)
        } else {
            Err(Self::fan_damage(bucket))
        }
    }

    fn fan_damage(bucket: u64) -> PageDamage {
        PageDamage { page: page_of(Layout::fan_at(bucket)), what: "impossible fan-out" }
    }

    /// Binary search: a bucket is short unless someone chose the ids, and then it still ends.
    fn first_not_below(&self, key: &BlobKey, mut among: Range<u64>) -> Result<u64, PageDamage> {
        while !among.is_empty() {
            let middle = among.start.midpoint(among.end);
            if self.key(middle)? < *key {
                among.start = middle + 1;
            } else {
                among.end = middle;
            }
        }
        Ok(among.start)
    }

    fn key(&self, entry: u64) -> Result<BlobKey, PageDamage> {
        if entry >= self.layout.entries {
            return Err(PageDamage { page: self.pages.count(), what: "no such entry" });
        }
        self.pages.get(self.layout.key_at(entry))
    }

    fn place(&self, entry: u64) -> Result<Place, PageDamage> {
        let at = self.layout.place_at(entry);
        let damage = |what| PageDamage { page: page_of(at), what };
        let raw = RawPlace::parse(&self.pages.get::<24>(at)?)
            .ok_or(damage("a place with unknown codes"))?;
        if u64::from(raw.pack) >= self.layout.packs {
            return Err(damage("a place in a pack that is not named"));
        }
        let (pack, pack_len) = self.pack(u64::from(raw.pack))?;
        let place = raw.in_pack(pack);
        place.fault(pack_len).map_or(Ok(place), |what| Err(damage(what)))
    }

    fn pack(&self, number: u64) -> Result<(PackId, u64), PageDamage> {
        let at = self.layout.pack_at(number);
        let bytes: [u8; 40] = self.pages.get(at)?;
        let mut rest = bytes.as_slice();
        let row = take(&mut rest).zip(take(&mut rest));
        let (id, len) = row.ok_or(PageDamage { page: page_of(at), what: "a short pack row" })?;
        Ok((PackId::from_bytes(id), u64::from_le_bytes(len)))
    }
}

/// A row of the table of places: its pack is a number.
struct RawPlace {
    pack: u32,
    offset: u64,
    stored_len: u32,
    plain_len: u32,
    blob_type: BlobType,
    encoding: Encoding,
}

impl RawPlace {
    /// `None` for codes that this version does not have.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let pack = u32::from_le_bytes(take(&mut rest)?);
        let offset = u64::from_le_bytes(take(&mut rest)?);
        let stored_len = u32::from_le_bytes(take(&mut rest)?);
        let plain_len = u32::from_le_bytes(take(&mut rest)?);
        let [blob_type, encoding, reserved @ ..]: [u8; 4] = take(&mut rest)?;
        let blob_type = BlobType::from_code(blob_type)?;
        let encoding = Encoding::from_code(encoding)?;
        (reserved == [0; 2]).then_some(Self {
            pack,
            offset,
            stored_len,
            plain_len,
            blob_type,
            encoding,
        })
    }

    fn in_pack(&self, pack: PackId) -> Place {
        Place {
            pack,
            offset: self.offset,
            stored_len: self.stored_len,
            plain_len: self.plain_len,
            blob_type: self.blob_type,
            encoding: self.encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::index::{KEY_LEN, PAGE_LEN, SegmentBuilder};

    fn keys() -> HashKeys {
        HashKeys::of_repository(&RepositoryId::from_bytes([1; 32]))
    }

    fn id(number: u64) -> BlobId {
        keys().blob_id(BlobType::Data, &number.to_le_bytes())
    }

    fn place(pack: u8, offset: u64) -> Place {
        Place {
            pack: PackId::from_bytes([pack; 32]),
            offset,
            stored_len: 10,
            plain_len: 40,
            blob_type: BlobType::Data,
            encoding: Encoding::Zstd,
        }
    }

    fn segment(count: u64) -> Vec<u8> {
        let mut builder = SegmentBuilder::new(RepositoryId::from_bytes([1; 32]));
        for pack in [9, 4, 7] {
            builder.add_pack(PackId::from_bytes([pack; 32]), 1 << 40).unwrap();
        }
        for number in 0..count {
            builder.add(&id(number), &place(4, number * 10)).unwrap();
        }
        builder.finish(&keys())
    }

    #[test]
    fn finds_every_blob_and_no_other() {
        for count in [0, 1, 300, 6_000] {
            let bytes = segment(count);
            let view = SegmentView::open(bytes.as_slice(), &keys()).unwrap();
            assert_eq!(view.entry_count(), count);
            for number in 0..count {
                let found = view.lookup(BlobType::Data, &id(number));
                assert_eq!(found, Ok(vec![place(4, number * 10)]), "{number} of {count}");
            }
            assert_eq!(view.lookup(BlobType::Data, &id(count)), Ok(vec![]));
            assert_eq!(view.verify_all(), []);
        }
    }

    #[test]
    fn keeps_every_place_of_a_blob_and_identical_ones_once() {
        let mut builder = SegmentBuilder::new(RepositoryId::from_bytes([1; 32]));
        builder.add_pack(PackId::from_bytes([9; 32]), 1000).unwrap();
        builder.add_pack(PackId::from_bytes([4; 32]), 1000).unwrap();
        for place in [place(9, 50), place(4, 60), place(4, 20), place(9, 50)] {
            builder.add(&id(5), &place).unwrap();
        }
        let bytes = builder.finish(&keys());
        let view = SegmentView::open(bytes.as_slice(), &keys()).unwrap();
        let found = view.lookup(BlobType::Data, &id(5)).unwrap();
        assert_eq!(found, [place(4, 20), place(4, 60), place(9, 50)]);
        assert_eq!(view.lookup(BlobType::PagePatch, &id(5)), Ok(vec![]));
        let packs: Vec<_> = view.packs().map(|pack| pack.unwrap()).collect();
        let expected = [4, 9].map(|pack| (PackId::from_bytes([pack; 32]), 1000));
        assert_eq!(packs, expected);
    }

    #[test]
    fn the_order_of_adding_does_not_show() {
        let pack = PackId::from_bytes([4; 32]);
        let build = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut builder = SegmentBuilder::new(RepositoryId::from_bytes([1; 32]));
            builder.add_pack(pack, 100_000).unwrap();
            numbers.for_each(|number| builder.add(&id(number), &place(4, number)).unwrap());
            builder.finish(&keys())
        };
        assert_eq!(build(&mut (0..100)), build(&mut (0..100).rev()));
    }

    #[test]
    fn a_bad_page_is_named_and_the_rest_still_answers() {
        let mut bytes = segment(6_000);
        let place_page = {
            let view = SegmentView::open(bytes.as_slice(), &keys()).unwrap();
            view.layout.place_at(3_000) / PAGE_LEN as u64
        };
        bytes[usize::try_from(place_page).unwrap() * PAGE_LEN + 77] ^= 4;
        let view = SegmentView::open(bytes.as_slice(), &keys()).unwrap();
        let damage = PageDamage { page: place_page, what: "does not match its checksum" };
        assert_eq!(view.verify_all(), [damage]);
        let (mut sound, mut bad) = (0, 0);
        for number in 0..6_000 {
            match view.lookup(BlobType::Data, &id(number)) {
                Ok(places) => {
                    assert_eq!(places, [place(4, number * 10)]);
                    sound += 1;
                }
                Err(error) => {
                    assert_eq!(error, damage);
                    bad += 1;
                }
            }
        }
        assert_eq!(sound + bad, 6_000);
        assert!((170..=172).contains(&bad), "{bad} of the 24-byte rows touch one page");
        assert_eq!(view.iter().filter(Result::is_err).count(), bad);
    }

    #[test]
    fn many_places_of_one_key_are_all_found() {
        let mut builder = SegmentBuilder::new(RepositoryId::from_bytes([1; 32]));
        builder.add_pack(PackId::from_bytes([4; 32]), 1 << 30).unwrap();
        for offset in 0..2_000 {
            builder.add_key([0xff; KEY_LEN], &place(4, offset)).unwrap();
            builder.add_key([0x00; KEY_LEN], &place(4, offset)).unwrap();
        }
        let bytes = builder.finish(&keys());
        let view = SegmentView::open(bytes.as_slice(), &keys()).unwrap();
        assert_eq!(view.find(&[0x00; KEY_LEN]), Ok(0..2_000));
        assert_eq!(view.find(&[0xff; KEY_LEN]), Ok(2_000..4_000));
        assert_eq!(view.find(&[0x80; KEY_LEN]), Ok(2_000..2_000));
        assert_eq!(view.verify_all(), []);
    }

    #[test]
    fn the_builder_refuses_what_the_view_would() {
        use crate::codec::index::BuildError;
        let mut builder = SegmentBuilder::new(RepositoryId::from_bytes([1; 32]));
        let pack = PackId::from_bytes([4; 32]);
        assert_eq!(builder.add(&id(1), &place(4, 0)), Err(BuildError::UnknownPack { pack }));
        builder.add_pack(pack, 100).unwrap();
        builder.add_pack(pack, 100).unwrap();
        assert!(matches!(builder.add_pack(pack, 99), Err(BuildError::TwoLengths { .. })));
        builder.add(&id(1), &place(4, 90)).unwrap();
        for bad in [
            place(4, 91),
            place(4, u64::MAX),
            Place { encoding: Encoding::Raw, ..place(4, 0) },
            Place { stored_len: 0, ..place(4, 0) },
        ] {
            assert!(
                matches!(builder.add(&id(1), &bad), Err(BuildError::BadPlace { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let sound = segment(10);
        let tables = sound.len() / (PAGE_LEN + 16) * PAGE_LEN;
        let mut newer = sound.clone();
        let version_at = sound.len() - 24;
        newer[version_at] = 7;
        let damaged = SegmentView::open(newer.as_slice(), &keys()).err().unwrap();
        assert!(!damaged.is_too_new(), "the check covers the version: {damaged}");
        let check_at = sound.len() - 16;
        let check = keys().check(&newer[tables..check_at]);
        newer[check_at..].copy_from_slice(check.as_bytes());
        assert!(SegmentView::open(newer.as_slice(), &keys()).err().unwrap().is_too_new());
    }
}
