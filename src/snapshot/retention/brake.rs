//! When a policy must not be obeyed: the newest snapshot of a source says that something has happened to the source.
//!
//! Then nothing of that source expires until a person has accepted the snapshot, or a later one is well again. Good
//! snapshots are so never pushed out by the very damage that they are kept for.

use std::collections::BTreeMap;

use crate::codec::ByteString;
use crate::codec::snapshot::{
    CheckResult, DatabaseRecord, Finding, FindingKind, Knowledge, SnapshotRecord,
};
use crate::id::SnapshotId;
use crate::snapshot::retention::cause::{Cause, Shrunk};

/// When less is too much less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// More than this share of what there was is gone, per cent.
    pub percent: u8,
    /// And at least so much, so that little things may come and go.
    pub at_least: u64,
}

impl Limit {
    fn is_broken(self, before: u64, now: u64) -> bool {
        let gone = before.saturating_sub(now);
        gone >= self.at_least.max(1)
            && u128::from(gone) * 100 > u128::from(before) * u128::from(self.percent)
    }

    /// The same of what is never empty in a healthy source, however little it was.
    fn is_broken_or_empty(self, before: u64, now: u64) -> bool {
        (now == 0 && before > 0) || self.is_broken(before, now)
    }
}

/// How much a source may shrink from one snapshot to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Regular files.
    pub files: Limit,
    /// Bytes of all files.
    pub bytes: Limit,
    /// Rows of each table.
    pub rows: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: Limit { percent: 30, at_least: 10 },
            bytes: Limit { percent: 50, at_least: 1 << 20 },
            rows: Limit { percent: 30, at_least: 10 },
        }
    }
}

/// A snapshot of the history that the brake looks at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    /// Its id.
    pub id: SnapshotId,
    /// Its record.
    pub record: &'s SnapshotRecord,
    /// A person has accepted it as it is.
    pub accepted: bool,
}

/// The brake on one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    /// The newest snapshot: the one to accept.
    pub snapshot: SnapshotId,
    /// The last one before it that was as it should be; what shrank is compared with that.
    pub against: Option<SnapshotId>,
    /// What is the matter; never empty.
    pub causes: Vec<Cause>,
}

/// The sources whose snapshots must not expire.
pub fn brakes(history: &[Seen<'_>], limits: &Limits) -> BTreeMap<String, Brake> {
    let mut sources: BTreeMap<&str, Vec<&Seen<'_>>> = BTreeMap::new();
    for seen in history {
        sources.entry(&seen.record.source).or_default().push(seen);
    }
    let brake = |(source, mut history): (&str, Vec<&Seen<'_>>)| {
        history.sort_by_key(|seen| (seen.record.sequence, seen.id));
        Some((source.to_owned(), brake_on(&history, limits)?))
    };
    sources.into_iter().filter_map(brake).collect()
}

/// A shrink is measured against the last snapshot that was as it should be. So the same small source the night after is
/// still a shrink, and a source that has grown again is none.
///
/// Snapshots between which others have been forgotten are not compared, but for the newest: each night was compared with the
/// one before while both were there, and nothing expires until a shrink is accepted. Else a month-end from before it would brake for
/// ever once the accepted night has expired, and so would a slow decline once it is thinned out.
fn brake_on(history: &[&Seen<'_>], limits: &Limits) -> Option<Brake> {
    let newest = history.last()?;
    let mut sound: Option<&Seen<'_>> = None;
    let mut known = LastKnown::default();
    let mut causes = Vec::new();
    let mut before = None;
    for seen in history {
        let sequence = seen.record.sequence;
        let follows = before.is_some_and(|before: u64| before.checked_add(1) == Some(sequence));
        before = Some(sequence);
        causes = match sound {
            Some(sound) if !seen.accepted && (follows || seen.id == newest.id) => {
                shrinks((sound.record, &known), seen.record, limits)
            }
            _ => Vec::new(),
        };
        if causes.is_empty() {
            sound = Some(seen);
            known.learn(seen.record);
        }
    }
    let against = sound.filter(|sound| sound.id != newest.id).map(|sound| sound.id);
    if !newest.accepted {
        causes.extend(failures(newest.record));
    }
    (!causes.is_empty()).then_some(Brake { snapshot: newest.id, against, causes })
}

/// What was last known to be in each database, by root and path: a night on which one could not be looked into hides nothing.
#[derive(Default)]
struct LastKnown<'s> {
    databases: BTreeMap<(u32, &'s ByteString), &'s Knowledge>,
}

impl<'s> LastKnown<'s> {
    fn learn(&mut self, record: &'s SnapshotRecord) {
        let name = |it: &'s DatabaseRecord| (it.root, &it.path);
        let there: BTreeMap<_, _> = record.databases.iter().map(|it| (name(it), it)).collect();
        self.databases.retain(|name, _| there.contains_key(name));
        let looked_into =
            there.into_iter().filter_map(|(name, it)| Some((name, it.knowledge.as_ref()?)));
        self.databases.extend(looked_into);
    }

    fn of(&self, database: &DatabaseRecord) -> Option<&'s Knowledge> {
        self.databases.get(&(database.root, &database.path)).copied()
    }
}

fn shrinks(
    (before, known): (&SnapshotRecord, &LastKnown<'_>),
    now: &SnapshotRecord,
    limits: &Limits,
) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut add = |is_broken: bool, what, before, now| {
        if is_broken {
            causes.push(Cause::Shrank { what, before, now });
        }
    };
    let (old, new) = (&before.counts, &now.counts);
    add(limits.files.is_broken_or_empty(old.files, new.files), Shrunk::Files, old.files, new.files);
    add(limits.bytes.is_broken_or_empty(old.bytes, new.bytes), Shrunk::Bytes, old.bytes, new.bytes);
    for old in &before.databases {
        let same = |new: &&DatabaseRecord| (new.root, &new.path) == (old.root, &old.path);
        let Some(new) = now.databases.iter().find(same) else {
            // However few bytes it was, all its rows are gone.
            add(true, Shrunk::Database(old.path.clone()), 1, 0);
            continue;
        };
        let Some(known) = known.of(old) else { continue };
        if new.len == 0 && rows_of_all(known) > 0 {
            add(true, Shrunk::Database(old.path.clone()), 1, 0);
            continue;
        }
        let is_emptied = new.knowledge.as_ref().is_some_and(|new| {
            new.tables_left_out == 0 && rows_of_all(new) == 0 && rows_of_all(known) > 0
        });
        tables(known, new, |table, before, now| {
            let (database, table) = (old.path.clone(), table.to_owned());
            let is_broken = limits.rows.is_broken(before, now) || (is_emptied && before > 0);
            add(is_broken, Shrunk::Rows { database, table }, before, now);
        });
    }
    causes
}

/// Calls with each table that can be compared, and its rows before and now.
fn tables(old: &Knowledge, new: &DatabaseRecord, mut each: impl FnMut(&str, u64, u64)) {
    let Some(new) = &new.knowledge else { return };
    for table in &old.tables {
        match rows(new, &table.name) {
            Some(rows) => each(&table.name, table.rows, rows),
            // It may be one of those that were not counted.
            None if new.tables_left_out > 0 => {}
            None => each(&table.name, table.rows, 0),
        }
    }
}

/// The rows of all tables that were counted.
fn rows_of_all(known: &Knowledge) -> u64 {
    known.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows))
}

/// The rows of a table; tables ascend by name.
fn rows(known: &Knowledge, table: &str) -> Option<u64> {
    let at = known.tables.binary_search_by(|it| it.name.as_str().cmp(table)).ok()?;
    known.tables.get(at).map(|it| it.rows)
}

/// What is wrong with a snapshot in itself.
fn failures(record: &SnapshotRecord) -> Vec<Cause> {
    let mut causes = Vec::new();
    for database in &record.databases {
        let path = &database.path;
        if let CheckResult::Failed(problem) = &database.check
            && !databases_are_accepted(record)
        {
            let problem = problem.clone();
            causes.push(Cause::CheckFailed { database: path.clone(), problem });
        }
        for set in &database.references {
            let count = set.named.saturating_sub(set.present).saturating_sub(set.accepted);
            if set.failure.is_none() && count > 0 {
                let (database, references) = (path.clone(), set.name.clone());
                causes.push(Cause::Dangling { database, references, count });
            }
        }
    }
    causes
}

/// Whether a person has seen before whatever was found about databases. A list that is not whole proves nothing.
fn databases_are_accepted(record: &SnapshotRecord) -> bool {
    let is_whole = u64::try_from(record.findings.len()) == Ok(record.findings_total);
    let is_about_database =
        |it: &&Finding| matches!(it.kind, FindingKind::Database | FindingKind::Opaque);
    let mut about = record.findings.iter().filter(is_about_database).peekable();
    is_whole && about.peek().is_some() && about.all(|finding| finding.accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::snapshot::Outcome;
    use crate::snapshot::retention::records::{database, finding, record, references};

    fn id(record: &SnapshotRecord) -> SnapshotId {
        SnapshotId::from_bytes([u8::try_from(record.sequence).unwrap(); 32])
    }

    /// The brakes, where these sequences are accepted.
    fn with_accepted(records: &[SnapshotRecord], accepted: &[u64]) -> BTreeMap<String, Brake> {
        let seen = |record| {
            let record: &SnapshotRecord = record;
            Seen { id: id(record), record, accepted: accepted.contains(&record.sequence) }
        };
        let history: Vec<Seen<'_>> = records.iter().map(seen).collect();
        brakes(&history, &Limits::default())
    }

    /// Why the brake is on for `app`.
    fn causes(records: &[SnapshotRecord], accepted: &[u64]) -> Vec<String> {
        let brakes = with_accepted(records, accepted);
        let causes = brakes.get("app").map(|brake| brake.causes.clone());
        causes.into_iter().flatten().map(|cause| cause.to_string()).collect()
    }

    fn files(counts: &[u64]) -> Vec<SnapshotRecord> {
        (1..).zip(counts).map(|(sequence, files)| record("app", sequence, *files)).collect()
    }

    /// Two nights with this one database in each.
    fn two(old: DatabaseRecord, new: DatabaseRecord) -> Vec<SnapshotRecord> {
        let mut nights = files(&[5, 5]);
        nights[0].databases = vec![old];
        nights[1].databases = vec![new];
        nights
    }

    #[test]
    fn a_shrink_brakes_until_it_is_accepted_or_over() {
        let lost = ["60 files, there were 100"];
        assert!(causes(&files(&[100, 100, 71]), &[]).is_empty(), "30 per cent may go");
        assert_eq!(causes(&files(&[100, 100, 60]), &[]), lost);
        assert_eq!(causes(&files(&[100, 60, 60, 60]), &[]), lost, "it stays on the nights after");
        assert!(causes(&files(&[100, 60, 60, 60]), &[2]).is_empty(), "once seen it is over");
        assert_eq!(causes(&files(&[100, 60, 60, 30]), &[2]).len(), 1, "but not for the next one");
        assert!(causes(&files(&[100, 60, 90]), &[]).is_empty(), "the files are back");
    }

    #[test]
    fn forgetting_never_brakes() {
        let without = |counts: &[u64], gone: &[u64], accepted: &[u64]| {
            let mut nights = files(counts);
            nights.retain(|night| !gone.contains(&night.sequence));
            causes(&nights, accepted)
        };
        let accepted = [100, 60, 60, 60];
        assert!(without(&accepted, &[2], &[2]).is_empty(), "a month-end from before stays");
        let slowly = [100, 80, 64, 50, 40];
        assert!(without(&slowly, &[], &[]).is_empty());
        assert!(without(&slowly, &[2, 3], &[]).is_empty());
        assert_eq!(without(&[100, 100, 60], &[2], &[]).len(), 1, "the newest is always compared");
    }

    #[test]
    fn nothing_left_brakes_however_little_it_was() {
        assert_eq!(causes(&files(&[9, 0]), &[]).len(), 2, "files and bytes");
        let emptied = two(database(&[("a", 0), ("b", 3)]), database(&[("a", 0), ("b", 0)]));
        assert_eq!(causes(&emptied, &[]), ["0 rows in b of app.db, there were 3"]);
        let jobs_done = two(database(&[("a", 5), ("b", 3)]), database(&[("a", 5), ("b", 0)]));
        assert!(causes(&jobs_done, &[]).is_empty(), "a table may be empty for a night");
        let mut cut = database(&[]);
        (cut.len, cut.knowledge) = (0, None);
        assert_eq!(causes(&two(database(&[("a", 1)]), cut), &[]), ["app.db is gone"]);
    }

    #[test]
    fn a_night_that_could_not_look_hides_nothing() {
        let mut nights = files(&[5, 5, 5]);
        let mut unknown = database(&[]);
        unknown.knowledge = None;
        nights[0].databases = vec![database(&[("a", 20)])];
        nights[1].databases = vec![unknown];
        nights[2].databases = vec![database(&[("a", 5)])];
        assert_eq!(causes(&nights, &[]), ["5 rows in a of app.db, there were 20"]);
    }

    #[test]
    fn it_says_what_to_accept_and_what_it_was_compared_with() {
        let nights = files(&[100, 60, 50]);
        let brake = &with_accepted(&nights, &[])["app"];
        assert_eq!((brake.snapshot, brake.against), (id(&nights[2]), Some(id(&nights[0]))));
    }

    #[test]
    fn little_things_may_come_and_go() {
        assert!(causes(&files(&[12, 3]), &[]).is_empty());
        assert_eq!(causes(&files(&[13, 3]), &[]), ["3 files, there were 13"]);
        let bytes = |now| {
            let mut nights = files(&[5, 5]);
            (nights[0].counts.bytes, nights[1].counts.bytes) = (3 << 20, now);
            causes(&nights, &[])
        };
        assert!(bytes(3 << 19).is_empty(), "half of them may go");
        assert_eq!(bytes((3 << 19) - 1), ["1572863 bytes, there were 3145728"]);
        assert!(causes(&files(&[0, 0]), &[]).is_empty());
    }

    #[test]
    fn sources_brake_apart_and_sequences_order_them() {
        let mut all = files(&[100, 60]);
        all.push(record("mail", 3, 1));
        all.reverse();
        assert_eq!(with_accepted(&all, &[]).keys().collect::<Vec<_>>(), ["app"]);
    }

    #[test]
    fn rows_that_are_gone_brake() {
        let before = database(&[("parts", 100), ("stock", 40)]);
        let after = database(&[("parts", 69), ("stock", 40)]);
        let lost = causes(&two(before.clone(), after), &[]);
        assert_eq!(lost, ["69 rows in parts of app.db, there were 100"]);

        let mut after = database(&[("parts", 100)]);
        let dropped = causes(&two(before.clone(), after.clone()), &[]);
        assert_eq!(dropped, ["0 rows in stock of app.db, there were 40"]);
        if let Some(known) = &mut after.knowledge {
            known.tables_left_out = 1;
        }
        assert!(causes(&two(before.clone(), after.clone()), &[]).is_empty(), "it was not counted");
        after.knowledge = None;
        assert!(causes(&two(before, after), &[]).is_empty());
    }

    #[test]
    fn a_database_that_is_gone_brakes() {
        let mut nights = two(database(&[]), database(&[]));
        nights[1].databases.clear();
        assert_eq!(causes(&nights, &[]), ["app.db is gone"]);
        assert!(causes(&nights, &[2]).is_empty());
    }

    #[test]
    fn a_failed_check_brakes_unless_its_finding_was_accepted() {
        let mut bad = database(&[]);
        bad.check = CheckResult::Failed("row 1 missing".to_owned());
        let mut nights = two(database(&[]), bad);
        nights[1].outcome = Outcome::WithFindings;
        assert_eq!(causes(&nights, &[]), ["app.db: row 1 missing"]);
        assert!(causes(&nights, &[2]).is_empty());

        (nights[1].findings, nights[1].findings_total) = (vec![finding(true)], 1);
        assert!(causes(&nights, &[]).is_empty(), "seen on an earlier night");
        nights[1].findings_total = 2;
        assert_eq!(causes(&nights, &[]).len(), 1, "the list is not whole");
        nights[1].findings.push(finding(false));
        assert_eq!(causes(&nights, &[]).len(), 1, "another one is new");
    }

    #[test]
    fn only_the_newest_must_be_sound_in_itself() {
        let mut bad = database(&[]);
        bad.check = CheckResult::Failed("row 1 missing".to_owned());
        assert!(causes(&two(bad, database(&[])), &[]).is_empty());
    }

    #[test]
    fn dangling_rows_brake_unless_they_were_accepted() {
        let dangling = |named, present, accepted| {
            let mut database = database(&[]);
            database.references = vec![references(named, present, accepted)];
            causes(&two(database.clone(), database), &[])
        };
        assert_eq!(dangling(10, 8, 0), ["2 files that app.db names are not there (files)"]);
        assert_eq!(dangling(10, 8, 1), ["1 file that app.db names is not there (files)"]);
        assert!(dangling(10, 8, 2).is_empty());
        assert!(dangling(0, 8, 2).is_empty(), "numbers that do not add up are no reason");
    }
}
