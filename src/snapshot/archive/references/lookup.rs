//! Looking references up in the finished entries, and on disk. One pass over the draft, whatever the number of sets.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry, Origin};
use crate::snapshot::archive::draft::Finished;
use crate::snapshot::archive::reading::source_of;
use crate::snapshot::archive::references::hashes::{Fit, Hashes};
use crate::snapshot::archive::references::left_out::LeftOut;
use crate::snapshot::archive::references::{Flaw, Reference, Set, identity_of, identity_on_disk};
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::beneath::split_last;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::metadata::{ItemKind, Stat};
use crate::snapshot::trail::Trail;

/// What a lookup sees beside the draft.
pub(super) struct View<'v, 'r> {
    pub(super) request: &'v Request<'r>,
    /// Entries that came after the draft, and know better.
    pub(super) late: &'v BTreeMap<EntryKey, Entry>,
    pub(super) left_out: &'v LeftOut<'v, 'r>,
    pub(super) hashes: &'v mut Hashes,
}

/// A file that is to be read now, for the reference at this place.
pub(super) struct Need {
    pub(super) set: usize,
    pub(super) at: usize,
    /// The entry that it has.
    pub(super) before: Option<Box<Entry>>,
}

/// What is to be done about a reference.
enum Verdict {
    Good,
    Bad(Flaw),
    Fetch,
}

/// One set on its way through the draft.
struct Cursor<'a> {
    at: usize,
    trail: Trail<'a>,
}

impl View<'_, '_> {
    /// Judges every reference; says what is to be fetched.
    pub(super) fn look_up(
        &mut self,
        draft: &mut Finished,
        sets: &mut [&mut Set],
    ) -> Result<Vec<Need>, ArchiveError> {
        let request = self.request;
        let trail_of = |set: &&mut Set| Trail::new(source_of(request, &set.base).beneath());
        let mut cursors: Vec<Cursor<'_>> =
            sets.iter().map(|set| Cursor { at: 0, trail: trail_of(set) }).collect();
        let mut needs = Vec::new();
        for entry in draft.entries().map_err(ArchiveError::Spool)? {
            let entry = entry.map_err(ArchiveError::Spool)?;
            for (number, set) in sets.iter_mut().enumerate() {
                let Some(cursor) = cursors.get_mut(number) else { continue };
                self.pass(cursor, (number, set), Some(&entry), &mut needs)?;
            }
        }
        for (number, set) in sets.iter_mut().enumerate() {
            let Some(cursor) = cursors.get_mut(number) else { continue };
            self.pass(cursor, (number, set), None, &mut needs)?;
        }
        Ok(needs)
    }

    /// Judges what the set names up to this entry of the draft, or up to its end.
    fn pass(
        &mut self,
        cursor: &mut Cursor<'_>,
        (number, set): (usize, &mut Set),
        entry: Option<&Entry>,
        needs: &mut Vec<Need>,
    ) -> Result<(), ArchiveError> {
        while let Some(file) = set.files.get_mut(cursor.at) {
            let order = entry.map_or(Ordering::Less, |entry| file.key.cmp(&entry.key));
            if order == Ordering::Greater {
                break;
            }
            let drafted = entry.filter(|_| order == Ordering::Equal);
            let known = self.late.get(&file.key).or(drafted);
            file.flaw = match self.judge(file, known, &mut cursor.trail)? {
                Verdict::Good => None,
                Verdict::Bad(flaw) => Some(flaw),
                Verdict::Fetch => {
                    needs.push(Need {
                        set: number,
                        at: cursor.at,
                        before: known.cloned().map(Box::new),
                    });
                    Some(Flaw::Missing)
                }
            };
            cursor.at += 1;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        file: &Reference,
        entry: Option<&Entry>,
        trail: &mut Trail<'_>,
    ) -> Result<Verdict, ArchiveError> {
        let Some((entry, content)) = entry.and_then(as_file) else {
            if let Some(flaw) = self.left_out.why(&file.key) {
                return Ok(Verdict::Bad(flaw));
            }
            return Ok(match on_disk(trail, &file.key) {
                Ok(stat) if stat.kind == ItemKind::File => Verdict::Fetch,
                Ok(_) => Verdict::Bad(Flaw::NotAFile),
                Err(problem) => Verdict::Bad(flaw_of(&problem)),
            });
        };
        // A database is as it was captured, which is what its entry does not show.
        if content.origin != Origin::Database
            && let Ok(stat) = on_disk(trail, &file.key)
            && stat.kind == ItemKind::File
            && identity_of(entry) != Some(identity_on_disk(&stat))
        {
            return Ok(Verdict::Fetch);
        }
        Ok(self.flaw(file, Some(entry))?.map_or(Verdict::Good, Verdict::Bad))
    }

    /// What is wrong between a reference and its entry.
    pub(super) fn flaw(
        &mut self,
        file: &Reference,
        entry: Option<&Entry>,
    ) -> Result<Option<Flaw>, ArchiveError> {
        let Some(entry) = entry else { return Ok(Some(Flaw::Missing)) };
        let Some((entry, content)) = as_file(entry) else { return Ok(Some(Flaw::NotAFile)) };
        if file.size_bytes.is_some_and(|size| size != content.size) {
            return Ok(Some(Flaw::Size));
        }
        let Some(hash) = &file.hash else { return Ok(None) };
        if content.origin == Origin::Database {
            return Ok(Some(Flaw::Captured));
        }
        let source = source_of(self.request, &file.key);
        let fit = self.hashes.compare((source, self.request.parent), entry, hash)?;
        Ok(match fit {
            Fit::Fits => None,
            Fit::Differs => Some(Flaw::Hash),
            Fit::Unknown => Some(Flaw::Unproved),
        })
    }
}

/// An entry that is a regular file's.
fn as_file(entry: &Entry) -> Option<(&Entry, &FileEntry)> {
    match &entry.kind {
        EntryKind::File(file) => Some((entry, file)),
        _ => None,
    }
}

fn on_disk(trail: &mut Trail<'_>, key: &EntryKey) -> Result<Stat, Problem> {
    let (parent, name) = split_last(&key.path);
    trail.dir(parent).and_then(|dir| Stat::of_name(dir, name)).map_err(Problem::from_io)
}

/// What it means for a reference that its file cannot be had.
pub(super) fn flaw_of(problem: &Problem) -> Flaw {
    match problem {
        Problem::Vanished => Flaw::Missing,
        // A parent is no directory, or a link: there is no such file below the root.
        Problem::Replaced => Flaw::NotAFile,
        _ => Flaw::Unreadable,
    }
}
