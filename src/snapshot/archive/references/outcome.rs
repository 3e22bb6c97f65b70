//! The postcondition: what the captures that were stored name, compared with the entries that are put into the manifest.

use crate::codec::ByteString;
use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileTime, Origin};
use crate::codec::snapshot::{FindingKind, MAX_REFERENCES, References};
use crate::snapshot::archive::SourceFinding;
use crate::snapshot::archive::references::carry::contains;
use crate::snapshot::archive::references::hashes::Hashes;
use crate::snapshot::archive::references::{Flaw, Named, Reference, Set, dangling};
use crate::snapshot::archive::tally::Tally;

/// Disagreements that are said by name; more are counted.
const NAMED_DISAGREEMENTS: usize = 20;

/// The references of all databases on their way along the manifest.
pub(in crate::snapshot::archive) struct Outcome {
    databases: Vec<Along>,
    hashes: Hashes,
}

/// One database on its way.
struct Along {
    named: Named,
    /// For each set: how far it is, and files below its base that no row names.
    sets: Vec<(usize, u64)>,
}

/// What a database's references came to.
pub(in crate::snapshot::archive) struct Looked {
    pub(in crate::snapshot::archive) database: EntryKey,
    pub(in crate::snapshot::archive) references: Vec<References>,
    /// What was asked, when everything is known of it: nothing was refused, and what is not there is said by name.
    pub(in crate::snapshot::archive) questions: Option<[u8; 32]>,
}

impl Outcome {
    pub(in crate::snapshot::archive) fn new(named: Vec<Named>, hashes: Hashes) -> Self {
        let along = |named: Named| {
            let sets = vec![(0, 0); named.asked.sets.len()];
            Along { named, sets }
        };
        Self { databases: named.into_iter().map(along).collect(), hashes }
    }

    /// An entry that is about to be put into the manifest. Keys ascend from call to call.
    pub(in crate::snapshot::archive) fn see(&mut self, entry: &mut Entry) {
        for along in &mut self.databases {
            along.see(entry, &self.hashes);
        }
    }

    /// The entry with this key was not put into the manifest after all.
    pub(in crate::snapshot::archive) fn lost(&mut self, key: &EntryKey) {
        for set in self.databases.iter_mut().flat_map(|along| &mut along.named.asked.sets) {
            let from = set.files.partition_point(|file| file.key < *key);
            let files = set.files.get_mut(from..).unwrap_or_default();
            let same = files.iter_mut().take_while(|file| file.key == *key);
            same.for_each(|file| file.flaw = Some(Flaw::NotSaved));
        }
    }

    /// Says what is wrong, and counts.
    pub(in crate::snapshot::archive) fn finish(
        mut self,
        accepted: &dyn Fn(&SourceFinding) -> bool,
        tally: &mut Tally,
    ) -> Vec<Looked> {
        self.databases.iter_mut().for_each(Along::end);
        let disagree = self.disagreements(tally);
        let finish = |along: Along| {
            let looked = along.finish(accepted, &mut *tally);
            // What two databases say of one file is not known of either alone.
            Looked { questions: looked.questions.filter(|_| !disagree), ..looked }
        };
        self.databases.into_iter().map(finish).collect()
    }

    /// Says of which files two rows say different sizes: at most one of them can be there. True when there are any.
    fn disagreements(&self, tally: &mut Tally) -> bool {
        let mut sizes: Vec<(&Reference, &Named, &Set)> = Vec::new();
        for named in self.databases.iter().map(|along| &along.named) {
            for set in &named.asked.sets {
                let with_size = set.files.iter().filter(|file| file.size_bytes.is_some());
                sizes.extend(with_size.map(|file| (file, named, set)));
            }
        }
        sizes.sort_by(|a, b| a.0.key.cmp(&b.0.key).then(a.0.size_bytes.cmp(&b.0.size_bytes)));
        let (mut said, mut more) = (0, 0_u64);
        for group in sizes.chunk_by(|a, b| a.0.key == b.0.key) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            if first.0.size_bytes == last.0.size_bytes {
                continue;
            }
            if said == NAMED_DISAGREEMENTS {
                more += 1;
                continue;
            }
            said += 1;
            let who = |(_, named, set): &(&Reference, &Named, &Set)| {
                format!("{} ({})", String::from_utf8_lossy(&named.database.path), set.name)
            };
            let message =
                format!("rows of {} and {} disagree about its size", who(first), who(last));
            tally.finding_of(FindingKind::Row, first.0.key.clone(), message);
        }
        if let (true, Some(along)) = (more > 0, self.databases.first()) {
            let message = format!("rows disagree about the size of {more} more files");
            tally.finding_of(FindingKind::Reference, along.named.database.clone(), message);
        }
        said > 0
    }
}

impl Along {
    fn see(&mut self, entry: &mut Entry, hashes: &Hashes) {
        let captured_at_ns = self.named.captured_at_ns;
        let mut is_named = false;
        for (set, (at, _)) in self.named.asked.sets.iter_mut().zip(&mut self.sets) {
            skip_until(set, at, Some(&entry.key));
            while let Some(file) = set.files.get_mut(*at).filter(|file| file.key == entry.key) {
                file.flaw = flaw(file, entry, hashes);
                let says_nothing = file.size_bytes.is_none() && file.hash.is_none();
                file.is_newer = says_nothing && written_at_ns(entry) > i128::from(captured_at_ns);
                is_named = true;
                *at += 1;
            }
        }
        let is_ordinary =
            matches!(&entry.kind, EntryKind::File(file) if file.origin != Origin::Database);
        if is_ordinary && !is_named {
            for (set, (_, orphans)) in self.named.asked.sets.iter().zip(&mut self.sets) {
                *orphans += u64::from(contains(&set.base, &entry.key));
            }
        }
    }

    fn end(&mut self) {
        for (set, (at, _)) in self.named.asked.sets.iter_mut().zip(&mut self.sets) {
            skip_until(set, at, None);
        }
    }

    fn finish(self, accepted: &dyn Fn(&SourceFinding) -> bool, tally: &mut Tally) -> Looked {
        let Named { database, asked, rounds, .. } = self.named;
        for what in &asked.refused {
            tally.finding_of(FindingKind::Reference, database.clone(), what.clone());
        }
        for what in &asked.refused_rows {
            tally.finding_of(FindingKind::Row, database.clone(), what.clone());
        }
        let mut references = Vec::new();
        for (set, (_, orphans)) in asked.sets.iter().zip(&self.sets) {
            let mut counted = References {
                name: set.name.clone(),
                base: ByteString::clone(&set.base.path),
                named: 0,
                present: 0,
                accepted: 0,
                newer: 0,
                orphans: if set.failure.is_some() { 0 } else { *orphans },
                rounds,
                failure: set.failure.clone(),
            };
            for rows in set.files.chunk_by(|a, b| a.key == b.key) {
                count(&mut counted, (&database, set, rows), accepted, tally);
            }
            references.push(counted);
        }
        references.truncate(MAX_REFERENCES);
        let none_refused = asked.refused.is_empty() && asked.refused_rows.is_empty();
        Looked { database, references, questions: asked.questions.filter(|_| none_refused) }
    }
}

/// Counts one file that the rows of a set name.
fn count(
    counted: &mut References,
    (database, set, rows): (&EntryKey, &Set, &[Reference]),
    accepted: &dyn Fn(&SourceFinding) -> bool,
    tally: &mut Tally,
) {
    counted.named += 1;
    let Some(first) = rows.first() else { return };
    // Several rows may be wrong about one file in several ways, and who accepted one of them has not seen the others.
    let mut flaws: Vec<Flaw> = rows.iter().filter_map(|row| row.flaw).collect();
    flaws.sort_unstable();
    flaws.dedup();
    if flaws.is_empty() {
        counted.present += 1;
        counted.newer += u64::from(rows.iter().all(|row| row.is_newer));
        return;
    }
    let mut all_accepted = true;
    for flaw in flaws {
        let finding = dangling(database, set, (&first.key, flaw));
        let is_accepted = accepted(&finding);
        all_accepted &= is_accepted;
        tally.dangling(finding, is_accepted);
    }
    counted.accepted += u64::from(all_accepted);
}

/// What the manifest has passed is not in it.
fn skip_until(set: &mut Set, at: &mut usize, key: Option<&EntryKey>) {
    while let Some(file) = set.files.get_mut(*at)
        && key.is_none_or(|key| file.key < *key)
    {
        // What is wrong with an entry that there was is not why there is none.
        let why = file.flaw.filter(|flaw| {
            !matches!(flaw, Flaw::Size | Flaw::Hash | Flaw::Unproved | Flaw::Captured)
        });
        file.flaw = Some(why.unwrap_or(Flaw::NotSaved));
        *at += 1;
    }
}

/// By the entry alone, which then remembers a hash that was computed and fits.
fn flaw(file: &Reference, entry: &mut Entry, hashes: &Hashes) -> Option<Flaw> {
    let EntryKind::File(content) = &entry.kind else { return Some(Flaw::NotAFile) };
    if file.size_bytes.is_some_and(|size| size != content.size) {
        return Some(Flaw::Size);
    }
    let hash = file.hash.as_deref()?;
    if content.origin == Origin::Database {
        return Some(Flaw::Captured);
    }
    if hashes.confirm(entry, hash) {
        return None;
    }
    Some(if file.flaw == Some(Flaw::Unproved) { Flaw::Unproved } else { Flaw::Hash })
}

fn written_at_ns(entry: &Entry) -> i128 {
    let ns = |time: FileTime| i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    ns(entry.mtime).max(ns(entry.ctime))
}
