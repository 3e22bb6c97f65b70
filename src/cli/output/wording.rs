//! Phrases that several commands use.

use jiff::tz::TimeZone;
use larder::codec::manifest::EntryKey;
use larder::codec::snapshot::{FindingKind, SnapshotRecord};
use larder::id::SnapshotId;
use larder::observe::{Holder, Occupied};
use larder::ops::paths::absolute_bytes;
use larder::repo::backend::Refusal;
use larder::repo::error::Damage;
use larder::repo::snapshots::Snapshot;

use crate::cli::output::times;
use crate::cli::output::units::{count, many};

/// A promise that the storage cannot keep, and what that costs.
pub(crate) fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::DirectorySync => {
            "the repository's file system cannot sync directories: a power loss may take the newest snapshot"
        }
        Refusal::AtomicPublish => {
            "the repository's file system has neither rename without replace nor hard links: \
             a crash may leave an incomplete object, which check finds"
        }
        Refusal::Private => {
            "the repository's file system cannot make files private: others may read the repository"
        }
        Refusal::Locks => {
            "the repository's file system refuses locks: do not run two larders on it at once"
        }
    }
}

/// Something that others hold, and who is known to be at work.
pub(crate) fn occupied(occupied: &Occupied, zone: &TimeZone) -> String {
    let who = occupied.holders.iter().map(|Holder { command, host, pid, since_ns }| {
        let since = times::short(*since_ns, zone, false);
        format!("`{command}` on {host} (process {pid}, since {since})")
    });
    let who: Vec<_> = who.collect();
    if who.is_empty() {
        return format!("{} is in use; who only reads does not say so", occupied.what);
    }
    format!("{} is in use; at work: {}", occupied.what, who.join("; "))
}

/// The same of what one waits for.
pub(crate) fn waiting(by: &Occupied, zone: &TimeZone) -> String {
    format!("waiting: {}", occupied(by, zone))
}

/// A snapshot that is gone.
pub(crate) fn missing(id: SnapshotId, source: &str) -> String {
    format!(
        "snapshot {} of {source} is missing: its record is gone and nobody forgot it",
        id.short()
    )
}

/// Damage, a line each; blobs that the index does not list are said together, because one lost segment makes thousands.
pub(crate) fn damages(damage: &[Damage]) -> Vec<String> {
    let unlisted = |it: &&Damage| matches!(it, Damage::Unlisted { .. });
    let mut said: Vec<String> =
        damage.iter().filter(|it| !unlisted(it)).map(ToString::to_string).collect();
    let mut lost = damage.iter().filter(unlisted);
    match (lost.next(), lost.count() as u64) {
        (None, _) => {}
        (Some(one), 0) => said.push(one.to_string()),
        (Some(_), more) => said.push(format!(
            "{} are in no index segment; they were found in the packs themselves",
            many(more + 1, "blob")
        )),
    }
    said
}

/// What is the matter with a snapshot, in a word or two; empty when nothing is.
pub(crate) fn findings(record: &SnapshotRecord) -> String {
    let accepted = record.findings.iter().filter(|it| it.accepted).count() as u64;
    let open = record.findings_total.saturating_sub(accepted);
    if open == 0 {
        return if accepted > 0 { format!("{} accepted", count(accepted)) } else { String::new() };
    }
    let listed: Vec<_> = record.findings.iter().filter(|it| !it.accepted).collect();
    let all_listed = listed.len() as u64 == open;
    if all_listed && listed.iter().all(|it| it.kind == FindingKind::Dangling) {
        return format!("{} missing", many(open, "named file"));
    }
    if all_listed && listed.iter().all(|it| it.message.starts_with("cannot be read")) {
        return format!("{} unreadable", many(open, "file"));
    }
    many(open, "finding")
}

/// So many of a total, or all of it.
pub(crate) fn of_total(part: u64, total: u64) -> String {
    format!("{} of {}", count(part), count(total))
}

/// How a path under a root is called: from the root where there is one, absolute where there are several.
pub(crate) fn path_of(record: &SnapshotRecord, root: u32, path: &[u8]) -> Vec<u8> {
    let of_root = usize::try_from(root).ok().and_then(|root| record.roots.get(root));
    match of_root.filter(|_| record.roots.len() > 1) {
        Some(root) => [&root.path, &b"/"[..], path].concat(),
        None => path.to_vec(),
    }
}

/// How a path of a snapshot is written: from the root where there is one, absolute where there are several. The directory itself
/// is `.`.
pub(crate) fn absolute_or_relative(snapshot: &Snapshot, key: &EntryKey) -> Vec<u8> {
    if snapshot.record.roots.len() > 1 {
        absolute_bytes(snapshot, key)
    } else if key.path.is_empty() {
        b".".to_vec()
    } else {
        key.path.to_vec()
    }
}
