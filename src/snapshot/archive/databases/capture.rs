//! Getting the bytes of a database, in the best way that there is.

use crate::codec::manifest::{EntryKey, EntryKind, Origin};
use crate::codec::snapshot::{DatabaseLabel, FindingKind};
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::archive::databases::Held;
use crate::snapshot::archive::databases::record::record_as_it_lies;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::late::Act;
use crate::snapshot::archive::reading::{absolute, read_plainly, source_of};
use crate::snapshot::archive::references::Named;
use crate::snapshot::archive::references::resolve::{questions_for, resolve};
use crate::snapshot::archive::slots::LateDatabase;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::identity::observe;
use crate::sqlite::questions::ReferenceQuery;

/// How often a database is captured that is replaced meanwhile.
const CAPTURES: usize = 3;

impl Act<'_, '_> {
    /// Captures those databases again that have changed and whose rows name files that are not there.
    pub(in crate::snapshot::archive) fn capture_again(&mut self) -> Result<(), ArchiveError> {
        let mut held = std::mem::take(&mut self.held);
        for one in &mut held {
            if !one.is_settled && !one.is_last && self.open_of(one).next().is_some() {
                self.capture_one_again(one)?;
            }
        }
        self.held = held;
        Ok(())
    }

    fn capture_one_again(&mut self, held: &mut Held) -> Result<(), ArchiveError> {
        self.stop.check()?;
        let key = &held.database.item.key;
        let now = observe(&absolute(source_of(self.request, key), key)).ok();
        if now.is_some() && now == held.captured.identity {
            return Ok(());
        }
        let why = match self.capture(key, &held.questions) {
            Ok(Some(mut captured)) if is_as_good(&captured, &held.captured) => {
                let answers = std::mem::take(&mut captured.answers);
                // The old answers go first: there is no memory for both.
                self.room.give_back(&std::mem::take(&mut held.asked));
                held.asked = resolve(key, &held.questions, answers, &mut self.room);
                held.captured = captured;
                held.rounds += 1;
                return Ok(());
            }
            Ok(Some(_)) => "it could only be captured in a worse way".to_owned(),
            Ok(None) => "it was replaced all the time".to_owned(),
            Err(CaptureError::Cancelled { .. }) => return Err(ArchiveError::Cancelled),
            Err(error) => error.in_full(),
        };
        held.is_last = true;
        let what = format!("not captured again: {why}; an earlier state of it is saved");
        self.tally.finding_of(FindingKind::Reference, key.clone(), what);
        Ok(())
    }

    /// Saves the bytes of a database that could not be captured, read like those of any file; its log and its journal too.
    pub(super) fn as_it_lies(
        &mut self,
        database: &LateDatabase,
        why: &str,
    ) -> Result<(), ArchiveError> {
        let item = &database.item;
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        let mut described = match read_plainly(self.request, item, &mut store)? {
            Ok(described) => described,
            Err(problem) => {
                self.done.lost.insert(item.key.clone(), format!("{why}; {problem}"));
                return Ok(());
            }
        };
        let what = format!("not captured: {why}; its bytes were saved as they are");
        self.tally.finding_of(FindingKind::Database, item.key.clone(), what);
        if let EntryKind::File(file) = &mut described.entry.kind {
            file.origin = Origin::Database;
            self.done.databases.push(record_as_it_lies(&item.key, file, why));
            let questions = questions_for(self.request.references, &item.key);
            let (captured_at_ns, rounds) = (file.read_at_ns, 1);
            let asked = resolve(&item.key, &questions, Vec::new(), &mut self.room);
            let database = item.key.clone();
            self.done.named.push(Named { database, captured_at_ns, asked, rounds });
        }
        self.take(database.previous.as_ref(), described);
        Ok(())
    }

    /// The database at a path of the source, and nothing that a link put in its place would lead to: the capture goes by the path,
    /// which by then may mean something else.
    pub(super) fn capture(
        &self,
        key: &EntryKey,
        questions: &[ReferenceQuery],
    ) -> Result<Option<Captured>, CaptureError> {
        let source = source_of(self.request, key);
        for _ in 0..CAPTURES {
            let captured = self.request.capture.capture(&absolute(source, key), questions)?;
            let there = source.look(&key.path).ok().map(|item| item.stat);
            if there.is_some_and(|stat| (stat.device, stat.inode) == captured.inode) {
                return Ok(Some(captured));
            }
        }
        Ok(None)
    }
}

/// A later capture takes an earlier one's place only when its label is no worse.
fn is_as_good(later: &Captured, earlier: &Captured) -> bool {
    later.label == DatabaseLabel::Committed || later.label == earlier.label
}
