//! Finding the snapshot that the command line means.

use larder::ops::catalog::Catalog;
use larder::repo::error::Damage;
use larder::repo::snapshots::Snapshot;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::output::times;

impl Context {
    /// The snapshot that a reference means.
    pub(crate) fn select<'c>(
        &self,
        catalog: &'c Catalog<'_>,
        reference: &str,
        of: &OfSource,
    ) -> Result<&'c Snapshot> {
        let zone = &self.settings.zone.zone;
        Ok(catalog.select(reference, of.source.as_deref(), zone)?)
    }

    /// A snapshot in a sentence: `7f3a91c2 (Sun 22 Nov 2026 03:00 +01:00)`.
    pub(crate) fn describe(&self, snapshot: &Snapshot) -> String {
        let time = times::long(snapshot.record.time_ns, &self.settings.zone.zone);
        format!("{} ({time})", snapshot.id.short())
    }

    /// Says what reading has worked around. The bytes that were given are proved all the same.
    pub(crate) fn note_damage(&self, damage: &[Damage]) {
        for damage in damage {
            self.console.damage(&damage.to_string());
        }
        if !damage.is_empty() {
            self.console.hint(&self.command("check --read-data"));
        }
    }
}
