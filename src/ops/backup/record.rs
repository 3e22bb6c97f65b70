//! The record of a run: what it came to, and which of its findings count.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::{
    Finding, FindingKind, MAX_FINDINGS, Outcome, Root, Siblings, SnapshotRecord,
};
use crate::ops::accept::is_acceptable;
use crate::ops::backup::{Before, Run};
use crate::repo::error::{Damage, RepoError};
use crate::repo::missing::{names_for_next, next_sequence};
use crate::repo::read::Reader;
use crate::repo::session::Added;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::archive::{Archived, SourceFinding};

/// What a run came to.
pub(super) struct Came<'a> {
    pub(super) archived: &'a Archived,
    pub(super) added: Added,
    pub(super) damage: &'a [Damage],
}

impl Run<'_> {
    pub(super) fn record(&self, before: &Before<'_>, came: &Came<'_>) -> SnapshotRecord {
        let (archived, added) = (came.archived, came.added);
        let Before { listing, facts, source, .. } = *before;
        let mut counts = archived.counts;
        (counts.new_plain_bytes, counts.new_stored_bytes) = (added.plain_bytes, added.stored_bytes);
        let findings = self.findings(before, archived);
        let settled =
            findings.iter().all(|finding| finding.accepted) && archived.unlisted_open == 0;
        let clean = settled && came.damage.is_empty();
        let root = |path: &PathBuf| Root { path: path.as_os_str().as_bytes().into() };
        SnapshotRecord {
            sequence: next_sequence(listing, facts, source),
            time_ns: self.options.time_ns.unwrap_or(self.started_ns),
            started_ns: self.started_ns,
            finished_ns: self.host.now_ns(),
            zone: self.options.zone.clone(),
            source: source.to_owned(),
            roots: self.options.roots.iter().map(root).collect(),
            host: self.host.name(),
            user: self.host.user(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            parent: before.parent().map(|parent| parent.id),
            manifest: archived.manifest,
            outcome: if clean { Outcome::Clean } else { Outcome::WithFindings },
            counts,
            databases: archived.databases.clone(),
            tags: self.options.tags.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
            findings_total: (findings.len() as u64).saturating_add(archived.unlisted),
            findings: listed(findings),
            siblings: Siblings { present: names_for_next(listing, facts, source) },
            extensions: Vec::new(),
        }
    }

    fn findings(&self, before: &Before<'_>, archived: &Archived) -> Vec<Finding> {
        let finding = |finding: &SourceFinding| {
            let accepted = self.is_accepted(before, finding);
            Finding { accepted, ..self.finding(finding) }
        };
        let lost = self.lost_databases(before, archived);
        archived.findings.iter().chain(&lost).map(finding).collect()
    }

    fn finding(&self, finding: &SourceFinding) -> Finding {
        Finding {
            kind: finding.kind,
            subject: self.subject(&finding.key).into(),
            message: finding.message.clone(),
            accepted: false,
        }
    }

    pub(super) fn is_accepted(&self, before: &Before<'_>, finding: &SourceFinding) -> bool {
        // A fact may be older than the rule, or hostile. Nearly always nothing is accepted, and hashing is not for nothing.
        is_acceptable(finding.kind) && !before.accepted.is_empty() && {
            let said = self.finding(finding).said();
            before.accepted.contains(&self.repository.keys().finding_id(&said))
        }
    }

    /// What a snapshot lists of files that rows name, as findings of this run would say it.
    pub(super) fn dangling(&self, snapshot: &Snapshot) -> Vec<SourceFinding> {
        let finding = |finding: &Finding| {
            let key = self.key(&finding.subject)?;
            Some(SourceFinding { kind: finding.kind, key, message: finding.message.clone() })
        };
        let findings = snapshot.record.findings.iter();
        findings.filter(|it| it.kind == FindingKind::Dangling).filter_map(finding).collect()
    }

    /// The reverse of [`Self::subject`]; nothing for what lies in none of the roots.
    pub(super) fn key(&self, subject: &[u8]) -> Option<EntryKey> {
        let of_root = |(root, number): (&PathBuf, u32)| {
            let below = subject.strip_prefix(root.as_os_str().as_bytes())?.strip_prefix(b"/")?;
            Some(EntryKey { root: number, path: below.into() })
        };
        let key = match self.options.roots.len() {
            1 => Some(EntryKey { root: 0, path: subject.into() }),
            _ => self.options.roots.iter().zip(0..).find_map(of_root),
        };
        key.filter(|key| self.subject(key) == subject)
    }

    /// How a path is called in messages: relative where there is one root, absolute where there are several.
    pub(super) fn subject(&self, key: &EntryKey) -> Vec<u8> {
        let root = usize::try_from(key.root).ok().and_then(|root| self.options.roots.get(root));
        match root {
            Some(root) if self.options.roots.len() > 1 || key.path.is_empty() => {
                let root = root.as_os_str().as_bytes();
                if key.path.is_empty() { root.to_vec() } else { [root, b"/", &key.path].concat() }
            }
            _ => key.path.to_vec(),
        }
    }

    /// Damage that reading the parent has met, together with what the listings showed.
    pub(super) fn damage(
        &self,
        reader: &Reader<'_>,
        before: &Before<'_>,
        archived: &Archived,
    ) -> Vec<Damage> {
        let mut damage = self.repository.config_damage().to_vec();
        damage.extend(before.listing.damage.iter().cloned());
        damage.extend(before.facts.damage.iter().cloned());
        damage.extend(reader.take_damage());
        let unserved = reader.take_unserved();
        // Reading the parent ends with damage that the reader has met, or with what a node contradicts.
        let parent = archived.parent_damage.as_ref().and_then(RepoError::damage);
        let met = parent.into_iter().chain(&archived.version_damage);
        damage.extend(met.filter(|damage| !unserved.contains(damage)).cloned());
        damage.extend(unserved);
        damage
    }
}

/// The first findings, as many as a record lists: where that is not all of them, those that count before those that do not.
fn listed(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > MAX_FINDINGS {
        findings.sort_by_key(|finding| finding.accepted);
        findings.truncate(MAX_FINDINGS);
    }
    findings
}
