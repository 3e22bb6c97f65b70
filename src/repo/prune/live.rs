//! What is alive: a bit for each place that the index lists.
//!
//! Memory is one bit a place, and a row a pack. The segments are walked side by
//! side in the order of their keys, so that all places of a blob, and a place
//! that two segments list, are met together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::index::{BlobKey, PageDamage, Place, key_of};
use crate::id::{BlobId, BlobType, PackId};
use crate::repo::distrust::Spot;
use crate::repo::error::{Damage, Result};
use crate::repo::index::{Index, Segment, segment_damage};

/// Packs in a listing, with their length.
pub type Packs = BTreeMap<PackId, u64>;

/// Is told what snapshots need, from any thread.
pub trait Live: Sync {
    /// A snapshot needs this blob. An error if no place of it can be relied upon: then nothing may be removed.
    fn live(&self, blob_type: BlobType, id: &BlobId) -> Result<()>;

    /// A node was bad at one place and came from another. An error if that makes a choice between its places doubtful.
    fn met(&self, damage: &Damage) -> Result<()> {
        let _ = damage;
        Ok(())
    }
}

/// So many blobs are marked at once.
const BATCH_BLOBS: usize = 1 << 16;

/// Blobs on their way to a [`Live`]: each is told once a batch, in the order of ids, so that lookups go through a segment instead of
/// jumping about in it. Nothing counts before [`flush`](Self::flush).
pub struct Batch<'a> {
    live: &'a dyn Live,
    wanted: Vec<(BlobType, BlobId)>,
}

impl<'a> Batch<'a> {
    /// An empty one.
    pub fn new(live: &'a dyn Live) -> Self {
        Self { live, wanted: Vec::new() }
    }

    /// One more blob; may flush.
    pub fn add(&mut self, blob_type: BlobType, id: &BlobId) -> Result<()> {
        self.wanted.push((blob_type, *id));
        if self.wanted.len() >= BATCH_BLOBS { self.flush() } else { Ok(()) }
    }

    /// Tells all that was added; the first blob without a place is the error.
    pub fn flush(&mut self) -> Result<()> {
        self.wanted.sort_unstable_by(|(a_type, a), (b_type, b)| (a, a_type).cmp(&(b, b_type)));
        self.wanted.dedup();
        let told =
            self.wanted.iter().try_for_each(|(blob_type, id)| self.live.live(*blob_type, id));
        self.wanted.clear();
        told
    }
}

/// The places of an index, and which of them are alive.
pub struct LiveSet<'i> {
    segments: &'i [Segment],
    /// The number of each segment's first place.
    starts: Vec<u64>,
    bits: Vec<AtomicU64>,
    /// Packs that are there as the index says.
    sound: HashSet<PackId>,
}

/// What a pack is used for, in bytes of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// All that the index lists in it.
    pub listed_bytes: u64,
    /// What is alive of it.
    pub live_bytes: u64,
}

impl Use {
    /// What could go.
    pub fn dead_bytes(&self) -> u64 {
        self.listed_bytes.saturating_sub(self.live_bytes)
    }
}

/// One listed place.
#[derive(Debug, Clone, Copy)]
struct Listed {
    number: u64,
    place: Place,
}

/// What is left of the live places when each blob has settled on one.
#[derive(Debug, Default)]
pub struct Settled {
    /// Every listed pack that is there as it was written.
    pub packs: BTreeMap<PackId, Use>,
    /// Live blobs of which every place was found damaged: all their places stay.
    pub hopeless_blobs: u64,
}

impl<'i> LiveSet<'i> {
    /// Nothing alive yet. The index must be whole, and its packs be compared with those that are there.
    pub fn new(index: &'i Index, packs: &Packs) -> Result<Self> {
        if let Some(damage) = index.unreadable().first() {
            return Err(damage.clone().into());
        }
        let mut sound = HashSet::new();
        for pack in index.packs() {
            let (id, len) = pack?;
            if packs.get(&id) == Some(&len) {
                sound.insert(id);
            }
        }
        let mut starts = Vec::with_capacity(index.segments().len());
        let mut places = 0_u64;
        for segment in index.segments() {
            starts.push(places);
            places = places.saturating_add(segment.view.entry_count());
        }
        let words = usize::try_from(places.div_ceil(64)).unwrap_or(usize::MAX);
        let bits = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        Ok(Self { segments: index.segments(), starts, bits, sound })
    }

    fn word(&self, number: u64) -> Option<(&AtomicU64, u64)> {
        let word = self.bits.get(usize::try_from(number / 64).ok()?)?;
        Some((word, 1 << (number % 64)))
    }

    fn set(&self, number: u64) {
        if let Some((word, bit)) = self.word(number) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn clear(&self, number: u64) {
        if let Some((word, bit)) = self.word(number) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn is_set(&self, number: u64) -> bool {
        self.word(number).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Of each live blob's places one stays alive: the first that is not damaged, in the pack with the fewest dead bytes. Says what
    /// each pack is then used for.
    pub fn settle(&mut self, damaged: &BTreeSet<Spot>) -> Result<Settled> {
        let mut packs: BTreeMap<PackId, Use> =
            self.sound.iter().map(|id| (*id, Use::default())).collect();
        let mut several = false;
        self.each_blob(|places| {
            several |= self.count(places, &mut packs) > 1;
        })?;
        let mut hopeless_blobs = 0;
        // Damage changes nothing for a blob that has one place; it only makes it hopeless.
        if several || !damaged.is_empty() {
            let before = packs.clone();
            self.each_blob(|places| {
                let hopeless = self.choose(places, damaged, &before, &mut packs);
                hopeless_blobs += u64::from(hopeless);
            })?;
        }
        Ok(Settled { packs, hopeless_blobs })
    }

    /// Counts the places of one blob, each once, and leaves one bit to a place that several segments list. Returns how many live.
    fn count(&self, places: &[Listed], packs: &mut BTreeMap<PackId, Use>) -> u64 {
        let mut alive = 0;
        for (at, listed) in places.iter().enumerate() {
            let before = places.iter().take(at).any(|other| other.place == listed.place);
            if before {
                self.clear(listed.number);
                continue;
            }
            let live = self.is_set(listed.number);
            alive += u64::from(live);
            if let Some(pack) = packs.get_mut(&listed.place.pack) {
                let bytes = u64::from(listed.place.stored_len);
                pack.listed_bytes += bytes;
                pack.live_bytes += if live { bytes } else { 0 };
            }
        }
        alive
    }

    /// Keeps the best of a blob's live places. True when none is sound, and all were kept.
    fn choose(
        &self,
        places: &[Listed],
        damaged: &BTreeSet<Spot>,
        before: &BTreeMap<PackId, Use>,
        packs: &mut BTreeMap<PackId, Use>,
    ) -> bool {
        let live: Vec<&Listed> = places.iter().filter(|it| self.is_set(it.number)).collect();
        let sound = |it: &&&Listed| !damaged.contains(&(it.place.pack, it.place.offset));
        let dead_bytes = |pack: PackId| before.get(&pack).map_or(u64::MAX, Use::dead_bytes);
        let rank = |it: &&&Listed| (dead_bytes(it.place.pack), it.place.pack, it.place.offset);
        let Some(best) = live.iter().filter(sound).min_by_key(rank) else {
            return !live.is_empty();
        };
        for other in live.iter().filter(|other| other.number != best.number) {
            self.clear(other.number);
            if let Some(pack) = packs.get_mut(&other.place.pack) {
                let bytes = u64::from(other.place.stored_len);
                pack.live_bytes = pack.live_bytes.saturating_sub(bytes);
            }
        }
        false
    }

    /// The offsets of the live places in these packs.
    pub fn offsets_in(&self, packs: &BTreeSet<PackId>) -> Result<BTreeMap<PackId, BTreeSet<u64>>> {
        let mut offsets: BTreeMap<PackId, BTreeSet<u64>> = BTreeMap::new();
        for (segment, start) in self.segments.iter().zip(&self.starts) {
            for number in 0..segment.view.entry_count() {
                if !self.is_set(start + number) {
                    continue;
                }
                let (_, place) = entry(segment, number)?;
                if packs.contains(&place.pack) {
                    offsets.entry(place.pack).or_default().insert(place.offset);
                }
            }
        }
        Ok(offsets)
    }

    /// Packs that have another place of a blob of these packs.
    pub fn sharing(
        index: &'i Index,
        packs: &Packs,
        with: &BTreeSet<PackId>,
    ) -> Result<BTreeSet<PackId>> {
        let mut sharing = BTreeSet::new();
        Self::new(index, packs)?.each_blob(|places| {
            if places.iter().any(|it| with.contains(&it.place.pack)) {
                sharing.extend(places.iter().map(|it| it.place.pack));
            }
        })?;
        Ok(sharing.difference(with).copied().collect())
    }

    /// Visits the places of each blob together. Blobs are told apart by key, type and length: what a key leaves out cannot make one
    /// of two.
    fn each_blob(&self, mut visit: impl FnMut(&[Listed])) -> Result<()> {
        let mut side_by_side = SideBySide::over(self.segments, &self.starts)?;
        let mut places = Vec::new();
        while side_by_side.next_key(&mut places)? {
            if let [only] = places.as_slice() {
                visit(std::slice::from_ref(only));
                continue;
            }
            let blob = |it: &Listed| (it.place.blob_type, it.place.plain_len);
            places.sort_by_key(|it| (blob(it), it.number));
            places.chunk_by(|a, b| blob(a) == blob(b)).for_each(&mut visit);
        }
        Ok(())
    }
}

impl Live for LiveSet<'_> {
    fn live(&self, blob_type: BlobType, id: &BlobId) -> Result<()> {
        let key = key_of(id);
        let mut found = false;
        for (segment, start) in self.segments.iter().zip(&self.starts) {
            for number in segment.view.find(&key).map_err(|error| damage(segment, &error))? {
                let (_, place) = entry(segment, number)?;
                if place.blob_type == blob_type && self.sound.contains(&place.pack) {
                    self.set(start + number);
                    found = true;
                }
            }
        }
        if found { Ok(()) } else { Err(Damage::Unlisted { blob_type, id: *id }.into()) }
    }

    /// A pack that is not there is chosen by nobody. One that is might be, as nothing has been said against that place yet.
    fn met(&self, damage: &Damage) -> Result<()> {
        match damage {
            Damage::Blob { pack, .. } if self.sound.contains(pack) => Err(damage.clone().into()),
            _ => Ok(()),
        }
    }
}

fn entry(segment: &Segment, number: u64) -> Result<(BlobKey, Place)> {
    Ok(segment.view.entry(number).map_err(|error| damage(segment, &error))?)
}

fn damage(segment: &Segment, error: &PageDamage) -> Damage {
    segment_damage(&segment.id, error.to_string())
}

/// All segments at once, each at its next entry.
struct SideBySide<'i> {
    segments: &'i [Segment],
    starts: &'i [u64],
    /// What comes next of each: key, segment, number in it, place.
    next: BinaryHeap<Reverse<(BlobKey, usize, u64, Place)>>,
}

impl<'i> SideBySide<'i> {
    fn over(segments: &'i [Segment], starts: &'i [u64]) -> Result<Self> {
        let mut all = Self { segments, starts, next: BinaryHeap::new() };
        for at in 0..segments.len() {
            all.queue(at, 0)?;
        }
        Ok(all)
    }

    fn queue(&mut self, at: usize, number: u64) -> Result<()> {
        let Some(segment) = self.segments.get(at) else { return Ok(()) };
        if number < segment.view.entry_count() {
            let (key, place) = entry(segment, number)?;
            self.next.push(Reverse((key, at, number, place)));
        }
        Ok(())
    }

    /// Replaces `places` by those of the next key; false at the end.
    fn next_key(&mut self, places: &mut Vec<Listed>) -> Result<bool> {
        places.clear();
        let Some(Reverse((key, ..))) = self.next.peek().copied() else { return Ok(false) };
        while let Some(Reverse((other, at, number, place))) = self.next.peek().copied()
            && other == key
        {
            self.next.pop();
            let start = self.starts.get(at).copied().unwrap_or_default();
            places.push(Listed { number: start + number, place });
            self.queue(at, number + 1)?;
        }
        Ok(true)
    }
}
