//! Facts: small, immutable statements that are learnt after what they are about.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::names::{MAX_NAME_BYTES, length_fault, source_name_fault, tag_fault};
use crate::codec::policy::{PolicyRecord, policy_fault};
use crate::codec::snapshot::{MAX_FINDINGS, MAX_SEQUENCE, each_once, present_fault};
use crate::codec::{Extension, Kind};
use crate::id::{FindingId, PackId, SnapshotId};

/// What a fact is about, and of which kind it is. Two facts with equal subjects compete: the highest
/// (sequence, time, id) counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Whether a snapshot carries this tag.
    Tag {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The tag.
        tag: String,
    },
    /// Whether one entry of a pack is damaged.
    Damaged {
        /// The pack.
        pack: PackId,
        /// The place of the entry: its offset in the pack.
        offset: u64,
    },
    /// Something that a program must know in order to read, write or prune this repository.
    Feature {
        /// Its name.
        name: String,
    },
    /// Which snapshots are to be kept, of every source.
    Policy,
    /// A snapshot that was forgotten on purpose.
    Forgotten {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// A snapshot whose findings a person has seen and accepted.
    Accepted {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Whether a snapshot is kept whatever the policy says.
    Pin {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What the pin is called; a snapshot may have several.
        name: String,
    },
}

/// What is said about the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statement {
    /// It holds.
    Holds,
    /// It holds no longer.
    HoldsNot,
    /// The policy.
    Policy(PolicyRecord),
    /// A feature: what an ignorant program must not do.
    Needed {
        /// It must not read.
        to_read: bool,
        /// It must not write.
        to_write: bool,
        /// It must not prune.
        to_prune: bool,
    },
    /// What a forgotten snapshot's record said.
    Record {
        /// The source that it belonged to.
        source: String,
        /// Its sequence there.
        sequence: u64,
        /// The snapshots that it named as present.
        present: Vec<SnapshotId>,
    },
    /// Findings that do not count any more when they come again, whether or not the snapshot is still there.
    Findings {
        /// The source that they are about.
        source: String,
        /// Each once; at most [`MAX_FINDINGS`].
        findings: Vec<FindingId>,
    },
    /// It holds up to and with this moment, nanoseconds since 1970.
    HoldsUntil(i64),
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub subject: Subject,
    /// One more than the highest seen for the subject; below 2^48.
    pub sequence: u64,
    /// When it was said, nanoseconds since 1970.
    pub time_ns: i64,
    /// The machine that said it.
    pub host: String,
    /// What is said.
    pub statement: Statement,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(Fact, Kind::Fact);

/// Variants of [`Subject`], numbered from 0.
const SUBJECTS: u32 = 7;

impl Rules for Fact {
    fn broken_rule(&self) -> Option<&'static str> {
        if self.sequence >= MAX_SEQUENCE {
            return Some("a sequence of 2^48 or more");
        }
        length_fault(&self.host, MAX_NAME_BYTES)
            .or_else(|| statement_fault(&self.subject, &self.statement))
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }

    /// A later version may speak about more. Its fact is sound, only not for this program.
    fn unknown_head(fields: &[u8]) -> Option<String> {
        let subject = u32::from_le_bytes(*fields.first_chunk()?);
        (subject >= SUBJECTS).then(|| format!("a fact about subject {subject}"))
    }
}

/// What makes a statement senseless about a subject, if something does.
fn statement_fault(subject: &Subject, statement: &Statement) -> Option<&'static str> {
    match (subject, statement) {
        (Subject::Tag { tag, .. }, Statement::Holds | Statement::HoldsNot) => tag_fault(tag),
        (Subject::Damaged { .. }, Statement::Holds | Statement::HoldsNot) => None,
        (Subject::Feature { name }, Statement::Needed { .. })
        | (
            Subject::Pin { name, .. },
            Statement::Holds | Statement::HoldsUntil(_) | Statement::HoldsNot,
        ) => tag_fault(name),
        (Subject::Policy, Statement::Policy(policy)) => policy_fault(policy),
        (Subject::Forgotten { .. }, Statement::Record { source, sequence, present }) => {
            if *sequence >= MAX_SEQUENCE {
                return Some("a sequence of 2^48 or more");
            }
            source_name_fault(source).or_else(|| present_fault(present))
        }
        (Subject::Accepted { .. }, Statement::Findings { source, findings }) => {
            if findings.len() > MAX_FINDINGS || !each_once(findings) {
                return Some("the same finding twice, or more than a record lists");
            }
            source_name_fault(source)
        }
        _ => Some("a statement that says nothing about its subject"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::policy::FOR_EVER;
    use crate::codec::{CodecError, Durable};

    const SNAPSHOT: SnapshotId = SnapshotId::from_bytes([2; 32]);

    fn fact(subject: Subject, statement: Statement) -> Fact {
        let host = "attic".to_owned();
        Fact { subject, sequence: 1, time_ns: 9, host, statement, extensions: Vec::new() }
    }

    fn tag(tag: &str) -> Subject {
        Subject::Tag { snapshot: SNAPSHOT, tag: tag.into() }
    }

    fn record(source: &str, sequence: u64, present: &[u8]) -> Statement {
        let present = present.iter().map(|byte| SnapshotId::from_bytes([*byte; 32])).collect();
        Statement::Record { source: source.into(), sequence, present }
    }

    fn findings(source: &str, bytes: &[u8]) -> Statement {
        let findings = bytes.iter().map(|byte| FindingId::from_bytes([*byte; 16])).collect();
        Statement::Findings { source: source.into(), findings }
    }

    fn policy() -> PolicyRecord {
        PolicyRecord {
            last: 0,
            hourly: 0,
            daily: 7,
            weekly: 0,
            monthly: FOR_EVER,
            yearly: 0,
            within_s: Some(86_400),
            tags: vec!["gold".into(), "keep".into()],
            zone: "Europe/Zurich".into(),
        }
    }

    fn said(policy: PolicyRecord) -> Fact {
        fact(Subject::Policy, Statement::Policy(policy))
    }

    fn pin(name: &str) -> Subject {
        Subject::Pin { snapshot: SNAPSHOT, name: name.into() }
    }

    const ACCEPTED: Subject = Subject::Accepted { snapshot: SNAPSHOT };
    const FORGOTTEN: Subject = Subject::Forgotten { snapshot: SNAPSHOT };

    #[test]
    fn sensible_facts_round_trip() {
        let needed = Statement::Needed { to_read: false, to_write: true, to_prune: true };
        let damaged = Subject::Damaged { pack: PackId::from_bytes([4; 32]), offset: 96 };
        for sound in [
            fact(tag("keep"), Statement::Holds),
            fact(damaged, Statement::HoldsNot),
            fact(Subject::Feature { name: "parity".into() }, needed),
            said(policy()),
            said(PolicyRecord { daily: 0, monthly: 0, within_s: None, ..policy() }),
            fact(FORGOTTEN, record("partshub", 7, &[3, 1, 2])),
            fact(ACCEPTED, findings("partshub", &[1, 2])),
            fact(ACCEPTED, findings("partshub", &[])),
            fact(pin("upgrade"), Statement::Holds),
            fact(pin("upgrade"), Statement::HoldsUntil(-1)),
            fact(pin("upgrade"), Statement::HoldsNot),
        ] {
            assert_eq!(Fact::decode(&sound.encode().unwrap()), Ok(sound));
        }
    }

    #[test]
    fn senseless_facts_are_refused() {
        for bad in [
            fact(tag(""), Statement::Holds),
            fact(tag("a\nb"), Statement::Holds),
            fact(tag("a"), Statement::HoldsUntil(1)),
            fact(pin(""), Statement::Holds),
            fact(pin("a"), Statement::Policy(policy())),
            fact(Subject::Policy, Statement::HoldsNot),
            said(PolicyRecord {
                daily: 0,
                monthly: 0,
                within_s: None,
                tags: Vec::new(),
                ..policy()
            }),
            said(PolicyRecord { zone: String::new(), ..policy() }),
            said(PolicyRecord { tags: vec!["b".into(), "a".into()], ..policy() }),
            said(PolicyRecord { tags: vec!["a".into(), "a".into()], ..policy() }),
            said(PolicyRecord { tags: vec![String::new()], ..policy() }),
            fact(FORGOTTEN, Statement::Holds),
            fact(FORGOTTEN, record("a/b", 7, &[])),
            fact(FORGOTTEN, record("a", 1 << 48, &[])),
            fact(FORGOTTEN, record("a", 1, &[1, 1])),
            fact(ACCEPTED, findings("a/b", &[])),
            fact(ACCEPTED, findings("a", &[1, 1])),
            fact(ACCEPTED, Statement::Holds),
            Fact { sequence: 1 << 48, ..fact(tag("a"), Statement::Holds) },
        ] {
            assert!(matches!(bad.encode(), Err(CodecError::Malformed { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_subject_of_a_later_version_is_not_damage() {
        let mut bytes = said(policy()).encode().unwrap();
        bytes[4..8].copy_from_slice(&SUBJECTS.to_le_bytes());
        assert!(Fact::decode(&bytes).unwrap_err().is_too_new());
    }

    #[test]
    fn the_number_of_subjects_is_kept_up_to_date() {
        let last = fact(pin("a"), Statement::Holds).encode().unwrap();
        assert_eq!(last[4..8], (SUBJECTS - 1).to_le_bytes());
    }
}
