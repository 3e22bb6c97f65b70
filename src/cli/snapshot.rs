//! Finding the snapshot that the command line means.

use larder::ops::catalog::Catalog;
use larder::repo::read::Reader;
use larder::repo::snapshots::Snapshot;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::{times, wording};

impl Context {
    /// The snapshot that a reference means.
    pub(crate) fn select<'c>(
        &self,
        catalog: &'c Catalog<'_>,
        reference: &str,
        of: &OfSource,
    ) -> Result<&'c Snapshot> {
        let zone = &self.settings.zone.rules;
        Ok(catalog.select(reference, of.source.as_deref(), zone)?)
    }

    /// A snapshot in a sentence: `7f3a91c2 (Sun 22 Nov 2026 03:00 +01:00)`.
    pub(crate) fn describe(&self, snapshot: &Snapshot) -> String {
        let time = times::long(snapshot.record.time_ns, &self.settings.zone.rules);
        format!("{} ({time})", snapshot.id.short())
    }

    /// Says what is damaged or missing in a repository out of which something was read all the same. What was given is proved; but
    /// `latest` may be another one than it would have been.
    pub(crate) fn note_damage(&self, catalog: &Catalog<'_>, reader: &Reader<'_>) -> Exit {
        let mut damage: Vec<String> = catalog
            .damage()
            .iter()
            .chain(&reader.take_damage())
            .map(|damage| self.console.brief(&damage.to_string()))
            .collect();
        damage.extend(catalog.missing().iter().map(|it| wording::missing(it.id, &it.source)));
        if damage.is_empty() {
            return Exit::Ok;
        }
        for damage in &damage {
            self.console.damage(damage);
        }
        self.console.hint(&self.command("check --read-data"));
        Exit::Incomplete
    }
}
