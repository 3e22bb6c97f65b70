//! The databases of the source: which are captured at all, what their rows are asked, and how what was captured becomes an entry.
//!
//! Here live the decision, the captures that wait until their references are
//! settled, and how they are stored. `capture` gets the bytes, in the best way
//! that there is; `unchanged` takes over what the parent has; `record` has what
//! is known of a database. Not here: anything of `SQLite` (`sqlite`), the search
//! for named files (`references`), and how pages are stored (`pages`).
//!
//! Invariant: an entry of a database has a record, and a record has an entry. A
//! database that is lost on the way keeps what an earlier step read of it.

use crate::codec::content::Content;
use crate::codec::manifest::{EntryKey, EntryKind, FileEntry};
use crate::codec::snapshot::{DatabaseRecord, FindingKind, JournalMode};
use crate::snapshot::archive::late::Act;
use crate::snapshot::archive::pages::CapturedStore;
use crate::snapshot::archive::reading::source_of;
use crate::snapshot::archive::references::resolve::{questions_for, resolve};
use crate::snapshot::archive::references::{Asked, Named};
use crate::snapshot::archive::slots::LateDatabase;
use crate::snapshot::archive::{ArchiveError, SourceFinding};
use crate::snapshot::source::read::Described;
use crate::snapshot::source::walk::Item;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::questions::ReferenceQuery;

mod capture;
pub(super) mod record;
mod unchanged;

use record::{file_entry, record_of};

/// A capture whose rows name files: stored when they are settled.
pub(super) struct Held {
    pub(super) database: LateDatabase,
    questions: Vec<ReferenceQuery>,
    captured: Captured,
    pub(super) asked: Asked,
    described: Described,
    rounds: u32,
    /// It is known what is there and what is not.
    pub(super) is_settled: bool,
    /// It cannot be captured any more, or only worse.
    is_last: bool,
}

/// An unchanged database whose references are the parent's.
pub(super) struct Kept {
    pub(super) database: LateDatabase,
    /// Where its rows name files.
    pub(super) bases: Vec<EntryKey>,
    /// What they name and the parent has not: accepted, every one of them.
    pub(super) dangling: Vec<SourceFinding>,
}

/// What the parent has of a database that has not changed since.
pub(super) type AsBefore = (Content, DatabaseRecord);

impl Act<'_, '_> {
    pub(super) fn database(
        &mut self,
        database: &LateDatabase,
        as_before: Option<AsBefore>,
    ) -> Result<(), ArchiveError> {
        let as_before = as_before.and_then(|(content, record)| {
            Some((content, self.with_the_parents_references(database, record)?))
        });
        match as_before {
            Some((content, outcome)) => {
                self.keep(database, content, outcome);
                Ok(())
            }
            None => self.capture_anew(database.clone()),
        }
    }

    /// A file that a row names and that is a database.
    pub(super) fn database_of(&mut self, item: Item) -> Result<(), ArchiveError> {
        self.capture_anew(LateDatabase { item, previous: None })
    }

    pub(super) fn capture_anew(&mut self, database: LateDatabase) -> Result<(), ArchiveError> {
        let demand = self.captured_store().admit(&database.item, &self.spools)?;
        let questions = questions_for(self.request.references, &database.item.key);
        let mut captured = match self.capture(&database.item.key, &questions) {
            Ok(Some(captured)) => captured,
            Ok(None) => return self.as_it_lies(&database, "it was replaced all the time"),
            Err(CaptureError::Cancelled { .. }) => return Err(ArchiveError::Cancelled),
            Err(error) if error.is_no_space() => return Err(ArchiveError::Capture(error)),
            Err(error) => return self.as_it_lies(&database, &error.in_full()),
        };
        let answers = std::mem::take(&mut captured.answers);
        let asked = resolve(&database.item.key, &questions, answers, &mut self.room);
        let described = self.describe_captured(&database.item, &captured);
        if !captured.needs_side_files() {
            self.complete.insert(database.item.key.clone());
        }
        let (rounds, is_settled, is_last) = (1, false, false);
        let held =
            Held { database, questions, captured, asked, described, rounds, is_settled, is_last };
        if held.asked.sets.iter().all(|set| set.files.is_empty()) {
            return self.store(held);
        }
        self.spools.hold(demand, held.captured.len);
        // Rows may name the database itself; its content comes when it is stored.
        self.done.entries.insert(held.database.item.key.clone(), held.described.entry.clone());
        self.held.push(held);
        Ok(())
    }

    /// The bytes are there: all that can still go wrong with the file are its attributes.
    fn describe_captured(&mut self, item: &Item, captured: &Captured) -> Described {
        let file = file_entry(captured);
        match source_of(self.request, &item.key).describe_file(item, file.clone()) {
            Ok(described) => described,
            Err(problem) => {
                let what = format!("its extended attributes are not saved: {problem}");
                self.tally.finding_of(FindingKind::Database, item.key.clone(), what);
                Described::as_seen(item, EntryKind::File(file))
            }
        }
    }

    /// Stores the captures that the references were settled with.
    pub(super) fn store_held(&mut self) -> Result<(), ArchiveError> {
        std::mem::take(&mut self.held).into_iter().try_for_each(|held| self.store(held))
    }

    /// Stores what was captured, once.
    fn store(&mut self, held: Held) -> Result<(), ArchiveError> {
        let Held { database, captured, asked, mut described, rounds, .. } = held;
        let key = &database.item.key;
        let stored = self.captured_store().store(key, &captured)?;
        self.done.damage.extend(stored.damage);
        for notice in stored.notices {
            self.tally.notice(key.clone(), notice);
        }
        let content = stored.content;
        described.entry.kind = EntryKind::File(FileEntry { content, ..file_entry(&captured) });
        let mut record = record_of(key, &captured);
        record.version = stored.version;
        self.report(key, &record);
        if database.item.stat.links > 1 && captured.journal_mode == JournalMode::Wal {
            let what =
                "has other names (hard links): what is in a log beside one of them is not saved";
            self.tally.finding_of(FindingKind::Database, key.clone(), what);
        }
        self.take(database.previous.as_ref(), described);
        self.done.databases.push(record);
        let captured_at_ns = captured.started_ns;
        self.done.named.push(Named { database: key.clone(), captured_at_ns, asked, rounds });
        Ok(())
    }

    fn captured_store(&self) -> CapturedStore<'_> {
        CapturedStore { request: self.request, blobs: self.blobs, stop: self.stop }
    }
}
