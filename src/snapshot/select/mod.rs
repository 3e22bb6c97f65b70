//! Which snapshot a person means: `latest`, `latest~2`, an id's beginning, a date, a time, `tag:NAME`.
//!
//! Pure: the snapshots, their tags and the zone are given. Invariant: what could mean two things is an error that
//! lists them, never a guess.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::codec::snapshot::SnapshotRecord;
use crate::id::SnapshotId;
use crate::snapshot::select::error::{Named, SelectError};
use crate::snapshot::select::reference::Reference;

pub mod error;
pub mod reference;

/// More candidates than this are only counted.
const MAX_SHOWN: usize = 8;

/// A snapshot to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'s> {
    /// Its id.
    pub id: SnapshotId,
    /// Its record.
    pub record: &'s SnapshotRecord,
    /// The tags that it carries now.
    pub tags: &'s [String],
}

/// The snapshot that is meant, among those of `source` if one is given. Times are read and shown in `zone`.
pub fn select<'c, 's>(
    snapshots: &'c [Candidate<'s>],
    reference: &Reference,
    source: Option<&str>,
    zone: &TimeZone,
) -> Result<&'c Candidate<'s>, SelectError> {
    let all = of_one_source(snapshots, source)?;
    match reference {
        Reference::Id(prefix) => by_prefix(all, prefix, zone),
        Reference::Latest { back } => {
            let mut all = agree(all, reference)?;
            all.sort_by_key(|it| std::cmp::Reverse(in_sequence(it)));
            all.get(*back).copied().ok_or_else(|| none_fits(reference, &all, zone))
        }
        Reference::Tag(name) => {
            let tagged = all.into_iter().filter(|it| it.tags.contains(name)).collect();
            let newest = agree(tagged, reference)?.into_iter().max_by_key(|it| in_sequence(it));
            newest.ok_or_else(|| none_fits(reference, &[], zone))
        }
        Reference::Before { end, .. } => {
            let all = agree(all, reference)?;
            let early = all.iter().filter(|it| civil(it, zone) < *end);
            let newest = early.max_by_key(|it| (it.record.time_ns, in_sequence(it)));
            newest.copied().ok_or_else(|| none_fits(reference, &all, zone))
        }
    }
}

fn of_one_source<'c, 's>(
    snapshots: &'c [Candidate<'s>],
    source: Option<&str>,
) -> Result<Vec<&'c Candidate<'s>>, SelectError> {
    let fits = |it: &&Candidate<'_>| source.is_none_or(|source| it.record.source == source);
    let all: Vec<_> = snapshots.iter().filter(fits).collect();
    match source {
        _ if !all.is_empty() => Ok(all),
        Some(asked) if !snapshots.is_empty() => {
            let known = sources(snapshots.iter());
            Err(SelectError::NoSuchSource { asked: asked.to_owned(), known })
        }
        _ => Err(SelectError::Nothing { asked: source.map(str::to_owned) }),
    }
}

/// Refuses snapshots of several sources: "the latest" of unlike things would be a guess.
fn agree<'c, 's>(
    all: Vec<&'c Candidate<'s>>,
    reference: &Reference,
) -> Result<Vec<&'c Candidate<'s>>, SelectError> {
    let sources = sources(all.iter().copied());
    if sources.len() > 1 {
        return Err(SelectError::SeveralSources { what: reference.to_string(), sources });
    }
    Ok(all)
}

fn sources<'c, 's: 'c>(all: impl Iterator<Item = &'c Candidate<'s>>) -> Vec<String> {
    let distinct: BTreeSet<&str> = all.map(|it| it.record.source.as_str()).collect();
    distinct.into_iter().map(str::to_owned).collect()
}

fn by_prefix<'c, 's>(
    all: Vec<&'c Candidate<'s>>,
    prefix: &str,
    zone: &TimeZone,
) -> Result<&'c Candidate<'s>, SelectError> {
    let mut found: Vec<_> =
        all.into_iter().filter(|it| it.id.to_string().starts_with(prefix)).collect();
    if let [one] = found[..] {
        return Ok(one);
    }
    if found.is_empty() {
        return Err(SelectError::NoneFits { what: prefix.to_owned(), oldest: None });
    }
    found.sort_by_key(|it| (it.record.time_ns, it.id));
    let candidates = found.iter().take(MAX_SHOWN).map(|it| named(it, zone)).collect();
    Err(SelectError::Ambiguous { prefix: prefix.to_owned(), count: found.len(), candidates })
}

/// The order of `latest`: a clock that was set back reorders nothing.
fn in_sequence(it: &Candidate<'_>) -> (u64, SnapshotId) {
    (it.record.sequence, it.id)
}

fn none_fits(reference: &Reference, all: &[&Candidate<'_>], zone: &TimeZone) -> SelectError {
    let oldest = all.iter().min_by_key(|it| it.record.time_ns).map(|it| named(it, zone));
    SelectError::NoneFits { what: reference.to_string(), oldest }
}

fn named(it: &Candidate<'_>, zone: &TimeZone) -> Named {
    Named { id: it.id, source: it.record.source.clone(), time: civil(it, zone) }
}

/// The time as a clock in the zone showed it; what jiff cannot count is its first or last moment.
fn civil(it: &Candidate<'_>, zone: &TimeZone) -> DateTime {
    let time_ns = it.record.time_ns;
    let out_of_reach = if time_ns < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let timestamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or(out_of_reach);
    zone.to_datetime(timestamp)
}

#[cfg(test)]
mod tests {
    use crate::codec::snapshot::blank;

    use super::*;

    fn record(source: &str, sequence: u64, time: &str) -> SnapshotRecord {
        let time: Timestamp = time.parse().unwrap();
        let time_ns = i64::try_from(time.as_nanosecond()).unwrap();
        SnapshotRecord {
            time_ns,
            started_ns: time_ns,
            finished_ns: time_ns,
            zone: "Europe/Zurich".to_owned(),
            ..blank::record(source, sequence)
        }
    }

    struct World {
        records: Vec<(SnapshotId, SnapshotRecord, Vec<String>)>,
    }

    impl World {
        /// Ids begin with "ab" and the number; times are UTC.
        fn new(snapshots: &[(&str, u64, &str, &str)]) -> Self {
            let with_id =
                |(n, (source, sequence, time, tag)): (usize, &(&str, u64, &str, &str))| {
                    let mut id = [0xab; 32];
                    id[1] = u8::try_from(n).unwrap();
                    let tags = Some(*tag).filter(|tag| !tag.is_empty()).map(str::to_owned);
                    (
                        SnapshotId::from_bytes(id),
                        record(source, *sequence, time),
                        tags.into_iter().collect(),
                    )
                };
            Self { records: snapshots.iter().enumerate().map(with_id).collect() }
        }

        /// The number of the chosen snapshot, asked in Zurich.
        fn ask(&self, text: &str, source: Option<&str>) -> Result<usize, SelectError> {
            let all: Vec<_> = self
                .records
                .iter()
                .map(|(id, record, tags)| Candidate { id: *id, record, tags })
                .collect();
            let zone = TimeZone::get("Europe/Zurich").unwrap();
            let chosen = select(&all, &text.parse()?, source, &zone)?.id;
            Ok(self.records.iter().position(|(id, ..)| *id == chosen).unwrap())
        }
    }

    fn nights() -> World {
        World::new(&[
            ("app", 1, "2026-11-20T02:00:03Z", ""),
            ("app", 2, "2026-11-21T02:00:00Z", "good"),
            ("app", 4, "2026-11-22T02:00:00Z", "good"),
            // Late in the evening there, the next day in UTC; and taken before number 2, by its sequence.
            ("app", 3, "2026-11-22T23:30:00+01:00", ""),
        ])
    }

    #[test]
    fn latest_goes_by_sequence() {
        let world = nights();
        assert_eq!(world.ask("latest", None), Ok(2));
        assert_eq!(world.ask("latest~1", None), Ok(3));
        assert_eq!(world.ask("latest~3", None), Ok(0));
        let error = world.ask("latest~4", None).unwrap_err().to_string();
        assert_eq!(
            error,
            "no snapshot fits latest~4; the oldest is ab00abababababab (app, 2026-11-20 03:00)"
        );
    }

    #[test]
    fn dates_and_times_go_by_time_in_the_zone() {
        let world = nights();
        assert_eq!(world.ask("2026-11-22", None), Ok(3));
        assert_eq!(world.ask("2026-11-22 22:00", None), Ok(2));
        assert_eq!(world.ask("2026-11-21T02:59", None), Ok(0));
        assert_eq!(world.ask("2026-11-21 03:00:00", None), Ok(1));
        assert_eq!(world.ask("2026-11-20 03:00", None), Ok(0), "a minute is meant whole");
        assert!(matches!(
            world.ask("2026-11-20 03:00:02", None),
            Err(SelectError::NoneFits { oldest: Some(_), .. })
        ));
    }

    #[test]
    fn an_hour_that_comes_twice_is_read_off_the_clock() {
        // On 25 October 2026 the clock in Zurich goes from 03:00 back to 02:00, at 01:00 UTC.
        let world = World::new(&[
            ("app", 1, "2026-10-25T00:40:00Z", ""),
            ("app", 2, "2026-10-25T01:10:00Z", ""),
        ]);
        assert_eq!(world.ask("2026-10-25 02:20", None), Ok(1));
        assert_eq!(world.ask("2026-10-25 02:50", None), Ok(1));
        assert!(world.ask("2026-10-25 02:05", None).is_err());
    }

    #[test]
    fn tags_mean_the_newest_that_carries_them() {
        assert_eq!(nights().ask("tag:good", None), Ok(2));
        assert!(matches!(nights().ask("tag:bad", None), Err(SelectError::NoneFits { .. })));
    }

    #[test]
    fn a_prefix_means_one_snapshot_or_none() {
        let world = nights();
        assert_eq!(world.ask("ab02", None), Ok(2));
        assert_eq!(world.ask("AB02AB", None), Ok(2));
        assert_eq!(world.ask(&world.records[1].0.to_string(), None), Ok(1));
        assert!(matches!(world.ask("ab09", None), Err(SelectError::NoneFits { .. })));
        assert!(matches!(world.ask("ab0", None), Err(SelectError::NotAReference { .. })));
    }

    #[test]
    fn an_ambiguous_prefix_lists_what_it_could_mean() {
        let mut world = nights();
        for (n, (id, ..)) in world.records.iter_mut().enumerate() {
            let mut bytes = [0xab; 32];
            bytes[7] = u8::try_from(n).unwrap();
            *id = SnapshotId::from_bytes(bytes);
        }
        let error = world.ask("abab", None).unwrap_err();
        assert!(
            matches!(&error, SelectError::Ambiguous { count: 4, candidates, .. } if candidates.len() == 4)
        );
        assert!(error.to_string().contains("ababababababab01 (app, 2026-11-21 03:00)"), "{error}");
    }

    #[test]
    fn several_sources_need_a_name() {
        let world = World::new(&[
            ("app", 1, "2026-11-20T02:00:00Z", "both"),
            ("mail", 1, "2026-11-21T02:00:00Z", "both"),
            ("mail", 2, "2026-11-22T02:00:00Z", "one"),
        ]);
        for text in ["latest", "2026-11-22", "tag:both"] {
            let error = world.ask(text, None).unwrap_err();
            let expected = format!("{text} could be of several sources (app, mail); say which one");
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(world.ask("latest", Some("app")), Ok(0));
        assert_eq!(world.ask("tag:both", Some("mail")), Ok(1));
        assert_eq!(world.ask("tag:one", None), Ok(2));
        assert_eq!(world.ask("ab01", None), Ok(1));
        let error = world.ask("latest", Some("maul")).unwrap_err();
        assert_eq!(error.to_string(), "no snapshot of a source \"maul\"; sources here: app, mail");
    }

    #[test]
    fn an_empty_repository_says_so() {
        let error = World::new(&[]).ask("latest", Some("app")).unwrap_err();
        assert_eq!(error.to_string(), "there are no snapshots of app");
    }
}
