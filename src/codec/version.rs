//! Versions of a database: a base of page groups, and the patches that lie on it.
//!
//! Here live what a version record says and what must hold within one. Not here:
//! the bytes of a patch (`delta`), and how a version is read or made
//! (`snapshot::version`).
//!
//! Invariant: what a decoded record can make a reader do is bounded: layers,
//! pages of all layers together, and bytes of page images in one segment.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::names::{MAX_NAME_BYTES, required_fault};
use crate::codec::{Extension, Kind};
use crate::id::BlobId;

/// The most layers on a base.
pub const MAX_LAYERS: usize = 64;

/// The pages of all layers together may be twice those of the database, and so many more; so many it may have at most at any height.
pub const SPARE_PAGES: u64 = 4096;

/// The most pages that all layers of a database of so many pages may have together, and that the base and any layer may leave.
pub fn most_pages(page_count: u32) -> u64 {
    2 * u64::from(page_count) + SPARE_PAGES
}

/// The most bytes of page images in one segment of a patch.
pub const MAX_SEGMENT_PAGE_BYTES: u64 = 24 * 1024 * 1024;

/// One state of a database, from the bottom up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Bytes a page, in the base and in all layers.
    pub page_size: u32,
    /// What everything lies on.
    pub base: Base,
    /// Patches, each against what is below it; the last one makes this version.
    pub layers: Vec<Layer>,
    /// BLAKE3 of the database's bytes: what `b3sum` says of the restored file.
    pub root: [u8; 32],
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

/// A database as ordinary chunks: groups of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The content list at the top.
    pub list: BlobId,
    /// Pages.
    pub page_count: u32,
}

/// The pages that differ from the version below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Pages of the database with this layer on top.
    pub page_count: u32,
    /// Where their images are: every changed page is in exactly one segment.
    pub segments: Vec<SegmentRef>,
    /// The time of the snapshot that made it, nanoseconds since 1970.
    pub time_ns: i64,
    /// The IANA name of the zone in which that time is meant.
    pub zone: String,
}

/// A segment of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The blob.
    pub id: BlobId,
    /// Pages in it.
    pub pages: u32,
}

durable!(VersionRecord, Kind::VersionRecord);

impl Layer {
    /// Pages that it holds.
    pub fn changed_pages(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.pages)).sum()
    }
}

impl VersionRecord {
    /// Pages of the database.
    pub fn page_count(&self) -> u32 {
        self.layers.last().map_or(self.base.page_count, |layer| layer.page_count)
    }

    /// Bytes of the database.
    pub fn len_bytes(&self) -> u64 {
        u64::from(self.page_count()) * u64::from(self.page_size)
    }

    /// Pages of all layers together, as long as decoding stays within bounds.
    pub fn layer_pages(&self) -> u64 {
        self.layers.iter().map(Layer::changed_pages).fold(0, u64::saturating_add)
    }

    /// The most pages that it has at any height: as long a file is needed to make it.
    pub fn highest_page_count(&self) -> u32 {
        let layers = self.layers.iter().map(|layer| layer.page_count);
        layers.fold(self.base.page_count, u32::max)
    }

    /// True when a reader takes so many layers of so many pages, and so long a file, upon itself.
    pub fn within_bounds(&self) -> bool {
        let most = most_pages(self.page_count());
        let high = u64::from(self.highest_page_count());
        self.layers.len() <= MAX_LAYERS && self.layer_pages() <= most && high <= most
    }

    fn layer_fault(&self, below: u32, layer: &Layer) -> Option<&'static str> {
        let images = |segment: &SegmentRef| u64::from(segment.pages) * u64::from(self.page_size);
        if layer.page_count == 0 {
            return Some("a layer that leaves no page");
        }
        if layer.segments.iter().any(|it| it.pages == 0 || images(it) > MAX_SEGMENT_PAGE_BYTES) {
            return Some("a segment of no pages, or of more than it may hold");
        }
        let new_pages = u64::from(layer.page_count.saturating_sub(below));
        if !(new_pages..=u64::from(layer.page_count)).contains(&layer.changed_pages()) {
            return Some("a layer that cannot hold its pages");
        }
        required_fault(&layer.zone, MAX_NAME_BYTES)
    }
}

impl Rules for VersionRecord {
    fn broken_rule(&self) -> Option<&'static str> {
        let size = self.page_size;
        if !(size.is_power_of_two() && (512..=65_536).contains(&size)) {
            return Some("an impossible page size");
        }
        if self.base.page_count == 0 {
            return Some("a base of no pages");
        }
        if !self.within_bounds() {
            return Some("more layers, or more pages in or below them, than a reader decodes");
        }
        let mut below = self.base.page_count;
        self.layers.iter().find_map(|layer| {
            let fault = self.layer_fault(below, layer);
            below = layer.page_count;
            fault
        })
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Durable;

    fn layer(page_count: u32, pages: &[u32]) -> Layer {
        let segment = |pages: &u32| SegmentRef { id: BlobId::from_bytes([2; 32]), pages: *pages };
        let segments = pages.iter().map(segment).collect();
        Layer { page_count, segments, time_ns: 7, zone: "UTC".into() }
    }

    fn version(page_count: u32, layers: Vec<Layer>) -> VersionRecord {
        let base = Base { list: BlobId::from_bytes([1; 32]), page_count };
        VersionRecord { page_size: 4096, base, layers, root: [3; 32], extensions: Vec::new() }
    }

    #[test]
    fn versions_within_the_bounds_round_trip() {
        for sound in [
            version(1, vec![]),
            version(10, vec![layer(12, &[2]), layer(5, &[]), layer(6, &[1, 3])]),
            version(100, vec![layer(100, &[1]); MAX_LAYERS]),
            version(6000, vec![layer(6000, &[6000]), layer(6000, &[6000]), layer(6000, &[4096])]),
            version(4296, vec![layer(100, &[1])]),
            version(2000, vec![layer(4296, &[2296]), layer(100, &[1])]),
        ] {
            assert_eq!(VersionRecord::decode(&sound.encode().unwrap()), Ok(sound));
        }
    }

    #[test]
    fn versions_beyond_the_bounds_are_refused() {
        for (number, bad) in [
            VersionRecord { page_size: 4095, ..version(1, vec![]) },
            version(0, vec![]),
            version(100, vec![layer(100, &[1]); MAX_LAYERS + 1]),
            version(6000, vec![layer(6000, &[6000]), layer(6000, &[6000]), layer(6000, &[4097])]),
            version(4297, vec![layer(100, &[1])]),
            version(u32::MAX, vec![layer(1, &[1])]),
            version(2000, vec![layer(4297, &[2297]), layer(100, &[1])]),
            version(10, vec![layer(12, &[1])]),
            version(10, vec![layer(10, &[11])]),
            version(10, vec![layer(0, &[])]),
            version(10, vec![layer(10, &[0, 1])]),
            version(9000, vec![layer(9000, &[6145])]),
            version(1, vec![Layer { zone: String::new(), ..layer(1, &[1]) }]),
        ]
        .iter()
        .enumerate()
        {
            assert!(bad.encode().is_err(), "{number}");
        }
    }
}
