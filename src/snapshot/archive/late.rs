//! The second act: databases are captured, files that their rows name are looked up and fetched, and files beside them are left
//! out where the capture has read them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::codec::manifest::{Entry, EntryKey};
use crate::codec::snapshot::DatabaseRecord;
use crate::observe::{Observer, Phase, Total};
use crate::repo::blobs::BlobWrite;
use crate::repo::error::Damage;
use crate::snapshot::archive::databases::{AsBefore, Held, Kept};
use crate::snapshot::archive::draft::Finished;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::reading::{read, source_of};
use crate::snapshot::archive::references::Named;
use crate::snapshot::archive::references::carry::Watched;
use crate::snapshot::archive::references::hashes::Hashes;
use crate::snapshot::archive::references::left_out::LeftOut;
use crate::snapshot::archive::references::room::Room;
use crate::snapshot::archive::references::rounds::settle;
use crate::snapshot::archive::slots::{Late, LateDatabase, Read, SideFile};
use crate::snapshot::archive::spools::Spools;
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::beneath::split_last;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::metadata::ItemKind;
use crate::snapshot::source::read::Described;
use crate::snapshot::source::walk::Item;
use crate::sqlite::recognise::{SIDE_HEAD_BYTES, is_side_file};

/// What came after the bulk pass.
#[derive(Default)]
pub(super) struct LateEntries {
    /// Entries of databases, of files that rows name, and of the files beside databases that are not part of a capture.
    pub(super) entries: BTreeMap<EntryKey, Entry>,
    /// In any order.
    pub(super) databases: Vec<DatabaseRecord>,
    /// Why earlier versions of them could not be built upon.
    pub(super) damage: Vec<Damage>,
    /// What the rows of captured databases name.
    pub(super) named: Vec<Named>,
    /// Databases that could neither be captured nor read again, and why: what the bulk pass read of them, if anything, is all there is.
    pub(super) lost: BTreeMap<EntryKey, String>,
}

/// What the bulk pass leaves to this act.
pub(super) struct Left<'l> {
    pub(super) late: &'l Late,
    pub(super) watched: Watched,
    pub(super) draft: &'l mut Finished,
}

/// Captures every database of the bulk pass, and fetches what their rows name.
pub(super) fn capture_all(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    observer: &dyn Observer,
    left: Left<'_>,
    tally: &mut Tally,
) -> Result<(LateEntries, Hashes), ArchiveError> {
    let stop = Stop::new(observer);
    let Left { late, watched, draft } = left;
    let mut act = Act::new(request, (blobs, &stop), tally, (late, watched));
    let unrecognised = act.mains_of_side_files(late);
    let databases: Vec<&LateDatabase> = late.databases.iter().chain(&unrecognised).collect();
    if !databases.is_empty() {
        let bytes = databases.iter().map(|database| database.item.stat.size).sum();
        let items = databases.len() as u64;
        observer.begin(Phase::Databases, Some(Total { items, bytes, estimated: false }));
    }
    let as_before = act.unchanged(&databases);
    for (database, as_before) in databases.into_iter().zip(as_before) {
        stop.check()?;
        act.database(database, as_before)?;
        observer.advance(1, database.item.stat.size);
    }
    for file in &late.side_files {
        stop.check()?;
        act.side_file(file)?;
    }
    settle(&mut act, draft)?;
    act.store_held()?;
    act.say_what_is_kept();
    let Act { done, hashes, .. } = act;
    Ok((done, hashes))
}

/// The act under way.
pub(super) struct Act<'a, 'r> {
    pub(super) request: &'a Request<'r>,
    pub(super) blobs: &'a dyn BlobWrite,
    pub(super) stop: &'a Stop<'a>,
    pub(super) tally: &'a mut Tally,
    /// Where files that rows name have changed since the parent.
    pub(super) watched: Watched,
    pub(super) left_out: LeftOut<'a, 'r>,
    pub(super) hashes: Hashes,
    /// Databases whose captured bytes need no file beside them.
    pub(super) complete: BTreeSet<EntryKey>,
    /// Captures whose rows name files; nothing of them is stored before it is known which capture it will be.
    pub(super) held: Vec<Held>,
    /// Databases whose references are the parent's.
    pub(super) kept: Vec<Kept>,
    /// What the held captures take of the spool's disk.
    pub(super) spools: Spools,
    /// What all that rows name may still take of memory.
    pub(super) room: Room,
    /// Files that the walk has not counted among what changed, and files that were read for a reference.
    pub(super) fetched: Vec<EntryKey>,
    /// Such files that turned out to be databases.
    pub(super) found: Vec<Item>,
    pub(super) done: LateEntries,
}

impl<'a, 'r> Act<'a, 'r> {
    fn new(
        request: &'a Request<'r>,
        (blobs, stop): (&'a dyn BlobWrite, &'a Stop<'a>),
        tally: &'a mut Tally,
        (late, watched): (&Late, Watched),
    ) -> Self {
        Self {
            request,
            blobs,
            stop,
            tally,
            watched,
            left_out: LeftOut::new(request, late.not_entered.iter().cloned()),
            hashes: Hashes::default(),
            complete: BTreeSet::new(),
            held: Vec::new(),
            kept: Vec::new(),
            spools: Spools::default(),
            room: Room::default(),
            fetched: Vec::new(),
            found: Vec::new(),
            done: LateEntries::default(),
        }
    }

    /// Databases that only a file beside them gives away, and that the bulk pass has taken for ordinary files: the file beside may
    /// have appeared since the last snapshot, or after the walk came by. Their entries take the place of those in the draft.
    fn mains_of_side_files(&self, late: &Late) -> Vec<LateDatabase> {
        let known: BTreeSet<&EntryKey> = late.databases.iter().map(|it| &it.item.key).collect();
        let mains: BTreeSet<&EntryKey> = late
            .side_files
            .iter()
            .map(|file| &file.main)
            .chain(&late.given_away)
            .filter(|main| !known.contains(main))
            .collect();
        let looked = mains.into_iter().map(|main| source_of(self.request, main).look(&main.path));
        let files = looked.flatten().filter(|item| item.stat.kind == ItemKind::File);
        files.map(|item| LateDatabase { item, previous: None }).collect()
    }

    /// What the parent has of each database, if that has not changed. Of those that have, rows of others may name another state now.
    fn unchanged(&mut self, databases: &[&LateDatabase]) -> Vec<Option<AsBefore>> {
        let as_before: Vec<_> = databases.iter().map(|it| self.same_as_before(it)).collect();
        for (database, as_before) in databases.iter().zip(&as_before) {
            // One that is read every night, for want of a better label, need not have changed.
            if as_before.is_none() && self.record_before(&database.item.key).is_none() {
                self.watched.touch(&database.item.key);
            }
        }
        as_before
    }

    /// Findings of databases that were not asked again.
    fn say_what_is_kept(&mut self) {
        for finding in std::mem::take(&mut self.kept).into_iter().flat_map(|kept| kept.dangling) {
            self.tally.dangling(finding, true);
        }
    }

    pub(super) fn take(&mut self, previous: Option<&Entry>, described: Described) {
        self.tally.flaws(&described);
        self.tally.compare(previous, &described.entry);
        self.done.entries.insert(described.entry.key.clone(), described.entry);
    }

    /// Keeps a file beside a database, unless it belongs to it and what was captured is complete without it.
    fn side_file(&mut self, file: &SideFile) -> Result<(), ArchiveError> {
        if self.complete.contains(&file.main) && self.belongs_to_a_database(&file.item) {
            return Ok(());
        }
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        match read(self.request, &file.item, &mut store)? {
            Read::File(described) => {
                self.fetched.push(file.item.key.clone());
                self.take(file.previous.as_ref(), described);
            }
            // It has become one since the walk came by.
            Read::Database => {
                self.fetched.push(file.item.key.clone());
                self.database_of(file.item.clone())?;
            }
            Read::Problem(problem) => self.tally.problem(file.item.key.clone(), &problem),
        }
        Ok(())
    }

    /// True when a file is what its name says, or gone.
    fn belongs_to_a_database(&self, item: &Item) -> bool {
        let mut head = [0; SIDE_HEAD_BYTES];
        match source_of(self.request, &item.key).open_regular(&item.key.path) {
            Ok((file, _)) => rustix::io::pread(&file, &mut head, 0).is_ok_and(|len| {
                let name = OsStr::from_bytes(split_last(&item.key.path).1);
                is_side_file(name, head.get(..len).unwrap_or_default())
            }),
            Err(problem) => matches!(problem, Problem::Vanished),
        }
    }
}
