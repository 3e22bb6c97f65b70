//! What the archive is asked for, made of the options and of what the repository says.

use crate::chunker::params::Params;
use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::DatabaseRecord;
use crate::id::BlobId;
use crate::observe::{Phase, Total};
use crate::ops::backup::{Before, Run};
use crate::ops::spool::SpoolDir;
use crate::repo::blobs::BlobWrite;
use crate::repo::read::Reader;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::archive::{
    ArchiveError, Archived, Parent, Request, SourceFinding, Versions, archive,
};
use crate::snapshot::beneath::Resolution;
use crate::snapshot::source::exclude::Excludes;
use crate::snapshot::source::walk::{Source, WalkOptions};
use crate::snapshot::version::stack::Moment;

impl Run<'_> {
    pub(super) fn archive(
        &self,
        before: &Before<'_>,
        reader: &Reader<'_>,
        blobs: &dyn BlobWrite,
    ) -> Result<Archived, ArchiveError> {
        let options = self.options;
        let sources = self.open_sources()?;
        let excludes = self.excludes()?;
        let walks: Vec<_> = excludes.iter().map(|excludes| self.walk_options(excludes)).collect();
        let parent = before.parent();
        let total = parent.map(|parent| Total {
            items: parent.record.counts.files,
            bytes: parent.record.counts.bytes,
            estimated: true,
        });
        self.observer.begin(Phase::Files, total);
        let chunker = self.repository.config().chunker;
        let cut = Params::new(chunker.average_bytes, chunker.whole_file_bytes)
            .expect("invariant: a decoded config has chunker parameters within their bounds");
        let earlier: Vec<_> = before.listing.of_source(before.source).rev().collect();
        let versions = |key: &EntryKey| versions_of(&earlier, key);
        let dangling = parent.map(|parent| self.dangling(parent)).unwrap_or_default();
        let request = Request {
            sources: &sources,
            walks: &walks,
            cut,
            workers: options.workers.max(1),
            clock: &|| self.host.now_ns(),
            pause: &|time| self.host.pause(time),
            spool_dir: &options.spool_dir,
            parent: parent.map(|parent| parent_of(parent, reader, &dangling)),
            capture: self.capture,
            references: self.questions,
            accepted: &|finding| self.is_accepted(before, finding),
            versions: Some(Versions {
                blobs: reader,
                of: &versions,
                moment: Moment {
                    time_ns: options.time_ns.unwrap_or(self.started_ns),
                    before_ns: parent.map(|parent| parent.record.time_ns),
                    zone: &options.zone,
                },
                min_free_bytes: SpoolDir { dir: &options.spool_dir, min_free: options.min_free }
                    .reserve_bytes(),
            }),
        };
        let mut archived = archive(&request, blobs, self.observer)?;
        archived.findings.extend(self.unasked(before, &archived.databases));
        Ok(archived)
    }

    fn open_sources(&self) -> Result<Vec<Source>, ArchiveError> {
        let opened = self
            .options
            .roots
            .iter()
            .zip(0..)
            .map(|(root, number)| Source::open(number, root, Resolution::default()));
        Ok(opened.collect::<Result<_, _>>()?)
    }

    fn excludes(&self) -> Result<Vec<Excludes>, ArchiveError> {
        let made =
            self.options.roots.iter().map(|root| Excludes::new(&self.options.excludes, root));
        Ok(made.collect::<Result<_, _>>()?)
    }

    fn walk_options<'e>(&'e self, excludes: &'e Excludes) -> WalkOptions<'e> {
        WalkOptions {
            excludes,
            exclude_caches: self.options.exclude_caches,
            same_file_system: self.options.one_file_system,
            never_enter: &self.options.never_enter,
        }
    }
}

fn parent_of<'a>(
    parent: &'a Snapshot,
    reader: &'a Reader<'_>,
    dangling: &'a [SourceFinding],
) -> Parent<'a> {
    Parent {
        blobs: reader,
        manifest: parent.record.manifest,
        began_ns: parent.record.started_ns,
        databases: &parent.record.databases,
        dangling,
    }
}

/// The version records of a database in these snapshots, newest first.
fn versions_of(before: &[&Snapshot], key: &EntryKey) -> Vec<BlobId> {
    let is_it = |database: &&DatabaseRecord| database.root == key.root && database.path == key.path;
    let version = |snapshot: &&Snapshot| snapshot.record.databases.iter().find(is_it)?.version;
    before.iter().filter_map(version).collect()
}
