//! The facts of a repository, and which of them count.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::codec::Durable;
use crate::codec::fact::{Fact, Statement, Subject};
use crate::codec::policy::PolicyRecord;
use crate::codec::snapshot::MAX_SEQUENCE;
use crate::host::Host;
use crate::id::{FactId, FindingId, PackId, SnapshotId};
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::layout;
use crate::repo::named::read_named;
use crate::repo::repository::{Repository, random_name};

/// Every subject with the fact that counts for it.
#[derive(Debug, Default)]
pub struct Facts {
    counting: BTreeMap<Subject, (FactId, Fact)>,
    /// Facts that say nothing any more: another one about the same subject counts, and was read.
    pub superseded: Vec<FactId>,
    /// Facts that are not what their name promises.
    pub damage: Vec<Damage>,
    /// Facts in words that this program does not know; nothing may be removed where there are any.
    pub unknown: Vec<FactId>,
}

impl Facts {
    /// Reads every fact; refuses a repository whose features this program does not know to read.
    pub fn read(repository: &Repository) -> Result<Self> {
        let mut facts = Self::default();
        for (id, _) in layout::ids::<FactId>(&repository.backend().list(layout::FACTS)?) {
            match read_fact(repository, id) {
                Ok(Some(fact)) => facts.admit(id, fact),
                Ok(None) => {}
                Err(RepoError::Damaged(damage)) => facts.damage.push(damage),
                // What a newer larder has said in words that this one does not know stops nothing but removing.
                Err(RepoError::Unsupported { .. }) => facts.unknown.push(id),
                Err(error) => return Err(error),
            }
        }
        facts.refuse_unknown_features(|needed| {
            matches!(needed, Statement::Needed { to_read: true, .. })
        })?;
        Ok(facts)
    }

    /// Refuses to write where a feature says that an ignorant program must not.
    pub fn allow_writing(&self) -> Result<()> {
        self.refuse_unknown_features(|needed| {
            matches!(needed, Statement::Needed { to_write: true, .. })
        })
    }

    /// Refuses to remove anything where a feature says that an ignorant program must not.
    pub fn allow_pruning(&self) -> Result<()> {
        self.refuse_unknown_features(|needed| {
            matches!(needed, Statement::Needed { to_prune: true, .. })
        })
    }

    fn admit(&mut self, id: FactId, fact: Fact) {
        let rank = |id: &FactId, fact: &Fact| (fact.sequence, fact.time_ns, *id);
        let new_rank = rank(&id, &fact);
        match self.counting.get(&fact.subject) {
            Some((old_id, old)) if rank(old_id, old) > new_rank => self.superseded.push(id),
            _ => {
                let before = self.counting.insert(fact.subject.clone(), (id, fact));
                self.superseded.extend(before.map(|(old_id, _)| old_id));
            }
        }
    }

    fn refuse_unknown_features(&self, forbidden: impl Fn(&Statement) -> bool) -> Result<()> {
        // This program knows no feature yet, so every needed one is unknown.
        let unknown = self.counting.iter().find_map(|(subject, (_, fact))| match subject {
            Subject::Feature { name } if forbidden(&fact.statement) => Some(name),
            _ => None,
        });
        match unknown {
            Some(name) => Err(RepoError::Unsupported { what: format!("it uses feature {name:?}") }),
            None => Ok(()),
        }
    }

    /// The fact that counts for a subject.
    pub fn about(&self, subject: &Subject) -> Option<&Fact> {
        self.counting.get(subject).map(|(_, fact)| fact)
    }

    /// The name of the fact that counts for a subject.
    pub fn name_of(&self, subject: &Subject) -> Option<FactId> {
        self.counting.get(subject).map(|(id, _)| *id)
    }

    /// Every subject that a fact counts for.
    pub fn subjects(&self) -> impl Iterator<Item = (&Subject, &Fact)> {
        self.counting.iter().map(|(subject, (_, fact))| (subject, fact))
    }

    /// Places that were found bad: never deduplicated against, read last.
    pub fn damaged_places(&self) -> BTreeSet<(PackId, u64)> {
        let holding = self.subjects().filter(|(_, fact)| fact.statement == Statement::Holds);
        holding
            .filter_map(|(subject, _)| match subject {
                Subject::Damaged { pack, offset } => Some((*pack, *offset)),
                _ => None,
            })
            .collect()
    }

    /// A snapshot's tags: those it was born with, as facts have changed them since.
    pub fn tags_of(&self, snapshot: SnapshotId, born_with: &[String]) -> BTreeSet<String> {
        let mut tags: BTreeSet<String> = born_with.iter().cloned().collect();
        for (subject, fact) in self.subjects() {
            match subject {
                Subject::Tag { snapshot: about, tag } if *about == snapshot => match fact.statement
                {
                    Statement::Holds => drop(tags.insert(tag.clone())),
                    _ => drop(tags.remove(tag)),
                },
                _ => {}
            }
        }
        tags
    }

    /// The policy, if one was stored.
    pub fn policy(&self) -> Option<&PolicyRecord> {
        match &self.about(&Subject::Policy)?.statement {
            Statement::Policy(policy) => Some(policy),
            _ => None,
        }
    }

    /// The pins on a snapshot: their names, and the last moment at which each holds (nanoseconds since 1970; `None` = without end).
    pub fn pins_of(&self, snapshot: SnapshotId) -> Vec<(&str, Option<i64>)> {
        let first = Subject::Pin { snapshot, name: String::new() };
        let of_this =
            self.counting.range(first..).map_while(move |(subject, (_, fact))| match subject {
                Subject::Pin { snapshot: of, name } if *of == snapshot => Some((name, fact)),
                _ => None,
            });
        let holding = of_this.filter_map(|(name, fact)| match fact.statement {
            Statement::Holds => Some((name.as_str(), None)),
            Statement::HoldsUntil(until_ns) => Some((name.as_str(), Some(until_ns))),
            _ => None,
        });
        holding.collect()
    }

    /// Findings about a source that a person has accepted, in whichever snapshot.
    pub fn accepted(&self, source: &str) -> HashSet<FindingId> {
        let about =
            self.subjects().filter_map(|(subject, fact)| match (subject, &fact.statement) {
                (Subject::Accepted { .. }, Statement::Findings { source: of, findings })
                    if of == source =>
                {
                    Some(findings)
                }
                _ => None,
            });
        about.flatten().copied().collect()
    }

    /// Says of places that they were found bad.
    pub fn publish_damaged(
        &self,
        repository: &Repository,
        places: &[(PackId, u64)],
        host: &dyn Host,
    ) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let damaged = |&(pack, offset): &_| (Subject::Damaged { pack, offset }, Statement::Holds);
        self.publish(repository, places.iter().map(damaged).collect(), host)
    }

    /// Publishes statements about subjects, all durable on return. Facts name snapshots and packs that others wrote, so those directories
    /// are synced first.
    pub fn publish(
        &self,
        repository: &Repository,
        statements: Vec<(Subject, Statement)>,
        host: &dyn Host,
    ) -> Result<()> {
        self.allow_writing()?;
        repository.heal_directories()?;
        let backend = repository.backend();
        backend.sync(layout::SNAPSHOTS)?;
        backend.sync(layout::PACKS)?;
        let stage = backend.stage(&format!("fact-{}", random_name(host)))?;
        for (subject, statement) in statements {
            let sequence = self
                .about(&subject)
                .map_or(0, |fact| fact.sequence)
                .saturating_add(1)
                .min(MAX_SEQUENCE - 1);
            let (time_ns, host) = (host.now_ns(), host.name());
            let fact = Fact { subject, sequence, time_ns, host, statement, extensions: Vec::new() };
            let bytes = fact.encode().map_err(RepoError::Encode)?;
            stage.put(&layout::fact(&repository.keys().fact_id(&bytes)), &bytes)?;
        }
        Ok(stage.barrier()?)
    }
}

/// One fact, proved by its name. Superseded facts go at prune; one that is gone says nothing.
fn read_fact(repository: &Repository, id: FactId) -> Result<Option<Fact>> {
    let key = layout::fact(&id);
    read_named(repository.backend(), &key, repository.keys(), |keys, bytes| {
        keys.fact_id(bytes) == id
    })
}
