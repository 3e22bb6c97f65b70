//! Reading one file that a row names, after the bulk pass.

use crate::codec::manifest::{Entry, EntryKey, EntryKind};
use crate::repo::error::RepoError;
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::late::Act;
use crate::snapshot::archive::reading::{read, source_of};
use crate::snapshot::archive::references::Flaw;
use crate::snapshot::archive::references::left_out::ancestors;
use crate::snapshot::archive::references::lookup::flaw_of;
use crate::snapshot::archive::slots::Read;
use crate::snapshot::manifest::read::ManifestReader;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::metadata::ItemKind;
use crate::snapshot::source::walk::Item;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::snapshot::archive) enum Fetched {
    /// Its entry is among the late ones.
    Got,
    /// It went meanwhile: an entry that it had counts on.
    Gone,
    /// It cannot be had.
    Not(Flaw),
}

impl Act<'_, '_> {
    /// Reads a file into the repository, with the directories that it lies in; `before` is the entry that it had.
    pub(in crate::snapshot::archive) fn fetch(
        &mut self,
        key: &EntryKey,
        before: Option<&Entry>,
    ) -> Result<Fetched, ArchiveError> {
        self.stop.check()?;
        let source = source_of(self.request, key);
        let item = match source.look(&key.path) {
            Ok(item) if item.stat.kind == ItemKind::File => item,
            Ok(_) => return Ok(Fetched::Not(Flaw::NotAFile)),
            Err(problem) => return Ok(without(&problem)),
        };
        // A file without its directories would be restored into nothing.
        if let Err(problem) = self.describe_ancestors(key) {
            return Ok(without(&problem));
        }
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        match read(self.request, &item, &mut store)? {
            Read::File(described) if described.entry.broken_rule().is_some() => {
                Ok(Fetched::Not(Flaw::NotSaved))
            }
            Read::File(described) => {
                self.tally.forget(key);
                self.tally.flaws(&described);
                let parent = self.parent_entry(key)?;
                self.tally.recount(parent.as_ref(), before, &described.entry);
                self.done.entries.insert(key.clone(), described.entry);
                self.fetched.push(key.clone());
                Ok(Fetched::Got)
            }
            Read::Database => {
                self.found.push(item);
                Ok(Fetched::Gone)
            }
            Read::Problem(problem) => Ok(without(&problem)),
        }
    }

    /// Directories that the walk has seen are described anew, those that came later for the first time.
    fn describe_ancestors(&mut self, key: &EntryKey) -> Result<(), Problem> {
        let source = source_of(self.request, key);
        for dir in ancestors(&key.path) {
            let item: Item = source.look(dir)?;
            let known = self.done.entries.get(&item.key);
            if known.is_some_and(|known| matches!(known.kind, EntryKind::Directory)) {
                continue;
            }
            if item.stat.kind != ItemKind::Directory {
                return Err(Problem::Replaced);
            }
            let described = source.describe(&item)?;
            self.done.entries.insert(item.key, described.entry);
        }
        Ok(())
    }

    /// The parent's entry; one that cannot be read is none.
    fn parent_entry(&self, key: &EntryKey) -> Result<Option<Entry>, RepoError> {
        let Some(parent) = self.request.parent else { return Ok(None) };
        match ManifestReader::new(parent.blobs, parent.manifest).lookup(key) {
            Err(error) if error.damage().is_some() => Ok(None),
            entry => entry,
        }
    }
}

fn without(problem: &Problem) -> Fetched {
    match problem {
        Problem::Vanished => Fetched::Gone,
        problem => Fetched::Not(flaw_of(problem)),
    }
}
