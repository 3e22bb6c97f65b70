//! Finding the snapshot that the command line means.

use larder::ops::catalog::Catalog;
use larder::repo::read::Reader;
use larder::repo::snapshots::Snapshot;
use larder::snapshot::select::reference::Reference;

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

    /// Says what is damaged or missing in a repository out of which something was read all the same. What was given is proved, so this
    /// is a warning; it is more only where the damage may have decided which snapshot that was.
    pub(crate) fn note_damage(
        &self,
        catalog: &Catalog<'_>,
        reader: &Reader<'_>,
        chosen: &[(&str, &Snapshot)],
    ) -> Exit {
        let damage: Vec<_> = catalog.damage().into_iter().chain(reader.take_damage()).collect();
        let mut said: Vec<String> =
            wording::damages(&damage).iter().map(|text| self.console.brief(text)).collect();
        said.extend(catalog.missing().iter().map(|it| wording::missing(it.id, &it.source)));
        if said.is_empty() {
            return Exit::Ok;
        }
        let doubtful: Vec<_> = chosen.iter().filter(|it| is_doubtful(catalog, **it)).collect();
        said.extend(doubtful.iter().map(|(asked, snapshot)| {
            let id = snapshot.id.short();
            format!("{asked} is {id}, and might be another one if nothing were damaged")
        }));
        for text in &said {
            self.console.damage(text);
        }
        self.console.hint(&self.command("check --read-data"));
        if doubtful.is_empty() { Exit::Ok } else { Exit::Incomplete }
    }
}

/// True when a reference might mean another snapshot if nothing were damaged: an id means one snapshot, whatever else is gone.
fn is_doubtful(catalog: &Catalog<'_>, (asked, snapshot): (&str, &Snapshot)) -> bool {
    let records = !catalog.listing().damage.is_empty()
        || catalog.missing().iter().any(|it| it.source == snapshot.record.source);
    match asked.parse() {
        Ok(Reference::Id(_)) | Err(_) => false,
        Ok(Reference::Tag(_)) => records || !catalog.facts().damage.is_empty(),
        Ok(Reference::Latest { .. } | Reference::Before { .. }) => records,
    }
}
