//! What each night's database takes in the repository: blobs that it leads to and that no night before did.

use std::collections::HashSet;

use larder::codec::manifest::{EntryKind, Origin};
use larder::id::{BlobId, BlobType};
use larder::ops::catalog::Catalog;
use larder::repo::blobs::BlobRead;
use larder::repo::error::Damage;
use larder::repo::read::Reader;
use larder::snapshot::reach::{Paths, Reach, Reached, Visitor};

use crate::cli::commands::demo::scene::Scene;
use crate::cli::commands::demo::story::Night;
use crate::cli::failure::Result;

/// Fills in the nights, which are in their order.
pub(super) fn of_nights(scene: &Scene<'_>, nights: &mut [Night]) -> Result<()> {
    let catalog = Catalog::open(&scene.repository)?;
    let reader = catalog.reader()?;
    let (mut reach, mut seen) = (Reach::new(), HashSet::new());
    for night in nights {
        let snapshot = scene.select(&catalog, &night.snapshot)?;
        let mut cost = Cost { reader: &reader, seen: &mut seen, bytes: 0 };
        let walked = reach.walk(&reader, &snapshot.record.manifest, &mut cost);
        walked.map_err(larder::error::Error::from)?;
        night.database_added_bytes = cost.bytes;
        night.database_bytes = snapshot.record.databases.iter().map(|it| it.len).sum();
    }
    Ok(())
}

struct Cost<'a, 'r> {
    reader: &'a Reader<'r>,
    seen: &'a mut HashSet<(BlobType, BlobId)>,
    bytes: u64,
}

impl Visitor for Cost<'_, '_> {
    fn reached(&mut self, blob: Reached<'_>) {
        let Paths::Entry(entry) = blob.paths else { return };
        let of_database =
            matches!(&entry.kind, EntryKind::File(file) if file.origin == Origin::Database);
        if of_database && self.seen.insert((blob.blob_type, blob.id)) {
            let place = self.reader.place(blob.blob_type, &blob.id).ok().flatten();
            self.bytes += place.map_or(0, |place| u64::from(place.stored_len));
        }
    }

    /// The proof at the end reads everything, and says so.
    fn unreadable(&mut self, _: Reached<'_>, _: &Damage) {}
}
