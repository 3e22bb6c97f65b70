//! Forgetting snapshots: by a policy, or by name.
//!
//! Here live the use case and its report; `named` finds what was asked for by name. Not here: the rules (`snapshot::retention`),
//! which policy counts (`ops::retention`), and giving room back (prune).
//!
//! Invariant: by a policy nothing goes while anything about the repository is in doubt, nor from a source on which the brake is;
//! the last snapshot of a source goes only with permission. Whatever goes can be brought back until the trash is emptied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::host::Host;
use crate::id::{FactId, SnapshotId};
use crate::ops::catalog::Catalog;
use crate::ops::naming::roots_of;
use crate::ops::retention::rules::{Rules, Wish};
use crate::ops::retention::{Judged, judge};
use crate::repo::error::Damage;
use crate::repo::forget::{forget as forget_ids, forget_facts};
use crate::repo::locks::{Held, decide_alone};
use crate::repo::missing::Missing;
use crate::repo::repository::Repository;
use crate::snapshot::retention::brake::{Brake, Limits};
use crate::snapshot::retention::preview::{Day, preview};
use crate::snapshot::retention::{self, Decision, Point, Setting};
use crate::snapshot::select::error::SelectError;

mod named;

pub use named::{ByName, Target};

/// Which snapshots are looked at. Those that are not are as if they were not there: nothing is decided about them, and they fill no
/// period.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this source.
    pub source: Option<String>,
    /// Only snapshots that carry all of these tags.
    pub tags: Vec<String>,
}

/// How to forget by a policy.
#[derive(Debug, Clone)]
pub struct ByPolicy {
    /// Who says what about the policy.
    pub wish: Wish,
    /// Which snapshots are looked at.
    pub filter: Filter,
    /// The last snapshot of a source may go when no rule keeps it.
    pub allow_last: bool,
    /// How much a source may shrink.
    pub limits: Limits,
    /// Only say what would go.
    pub dry_run: bool,
    /// How long to wait for another one who is forgetting.
    pub wait: Duration,
}

/// One source.
#[derive(Debug, Clone)]
pub struct OfSource {
    /// Its name.
    pub source: String,
    /// Where its newest snapshot was taken.
    pub roots: Vec<PathBuf>,
    /// What becomes of each of its snapshots, newest first.
    pub decisions: Vec<Decision>,
    /// Why nothing of it goes.
    pub brake: Option<Brake>,
    /// So many would go, were it not for the brake.
    pub held: usize,
}

/// What forgetting by a policy came to.
#[derive(Debug, Clone)]
pub struct PolicyReport {
    /// The policy.
    pub rules: Rules,
    /// The sources, by name.
    pub sources: Vec<OfSource>,
    /// What went, or would have gone: sources by name, newest first.
    pub forgotten: Vec<SnapshotId>,
    /// Why nothing went although something was to go, and how much.
    pub doubt: Option<Doubt>,
}

/// What makes it unsafe to remove anything by a policy.
#[derive(Debug, Clone)]
pub struct Doubt {
    /// Records, facts and the like that cannot be read: a pin may be among them.
    pub damage: Vec<Damage>,
    /// Snapshots that should be there.
    pub missing: Vec<Missing>,
    /// So many statements are in words that this program does not know.
    pub unknown_facts: usize,
    /// So many snapshots would have gone.
    pub held: usize,
}

/// Whoever only looks keeps nobody away.
fn decide(repository: &Repository, dry_run: bool, wait: Duration) -> Result<Option<Held>> {
    let held = (!dry_run).then(|| decide_alone(repository.backend(), wait));
    Ok(held.transpose()?)
}

/// Forgets what the policy does not keep. `None` when there is no policy.
pub fn by_policy(
    repository: &Repository,
    options: &ByPolicy,
    host: &dyn Host,
) -> Result<Option<PolicyReport>> {
    let _held = decide(repository, options.dry_run, options.wait)?;
    let catalog = Catalog::open(repository)?;
    let Some(rules) = options.wish.rules(catalog.facts())? else { return Ok(None) };
    let judged = chosen(&catalog, options)?;
    let sources = decide_all(&catalog, &judged, &rules, (options.allow_last, host.now_ns()));
    let mut forgotten = removed(&sources);
    let doubt = doubt(&catalog, forgotten.len());
    if doubt.is_some() {
        forgotten.clear();
    }
    if !options.dry_run {
        catalog.facts().allow_writing()?;
        rules.store(&catalog, host)?;
        if !forgotten.is_empty() {
            catalog.facts().allow_pruning()?;
            forget_ids(repository, &forgotten, host)?;
        }
    }
    Ok(Some(PolicyReport { rules, sources, forgotten, doubt }))
}

/// What a policy will come to.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The policy.
    pub rules: Rules,
    /// Today and the days after it, by source.
    pub days: BTreeMap<String, Vec<Day>>,
}

/// Which snapshots there will be on each of the next days. `None` when there is no policy.
pub fn calendar(
    repository: &Repository,
    options: &ByPolicy,
    days: u32,
    host: &dyn Host,
) -> Result<Option<Calendar>> {
    let catalog = Catalog::open(repository)?;
    let Some(rules) = options.wish.rules(catalog.facts())? else { return Ok(None) };
    let judged = chosen(&catalog, options)?;
    let braked = judged.brakes.keys().cloned().collect();
    let setting = Setting {
        policy: &rules.policy,
        zone: &rules.zone,
        now_ns: host.now_ns(),
        allow_last: options.allow_last,
        braked: &braked,
    };
    let days = preview(&judged.points, &setting, days);
    Ok(Some(Calendar { rules, days }))
}

/// The snapshots that the filter lets through, with the brakes of their sources.
fn chosen(catalog: &Catalog<'_>, options: &ByPolicy) -> Result<Judged> {
    let mut judged = judge(catalog, &options.limits);
    let filter = &options.filter;
    if let Some(source) = &filter.source {
        let known: BTreeSet<&String> = judged.points.iter().map(|point| &point.source).collect();
        if !known.contains(source) {
            let (asked, known) = (source.clone(), known.into_iter().cloned().collect());
            return Err(SelectError::NoSuchSource { asked, known }.into());
        }
    }
    judged.points.retain(|point| filter.admits(point));
    let left: BTreeSet<&str> = judged.points.iter().map(|point| point.source.as_str()).collect();
    judged.brakes.retain(|source, _| left.contains(source.as_str()));
    Ok(judged)
}

impl Filter {
    fn admits(&self, point: &Point) -> bool {
        self.source.as_ref().is_none_or(|source| *source == point.source)
            && self.tags.iter().all(|tag| point.tags.contains(tag))
    }
}

fn decide_all(
    catalog: &Catalog<'_>,
    judged: &Judged,
    rules: &Rules,
    (allow_last, now_ns): (bool, i64),
) -> Vec<OfSource> {
    let decisions = |braked: &BTreeSet<String>| {
        let (policy, zone) = (&rules.policy, &rules.zone);
        let setting = Setting { policy, zone, now_ns, allow_last, braked };
        retention::decide(&judged.points, &setting)
    };
    let unbraked = decisions(&BTreeSet::new());
    let decisions = decisions(&judged.brakes.keys().cloned().collect());
    let of_source = |decisions: &[Decision]| {
        let source = decisions.first().map(|it| it.source.clone()).unwrap_or_default();
        let brake = judged.brakes.get(&source).cloned();
        let goes = |it: &&Decision| it.source == source && !it.verdict.is_kept();
        let held = brake.as_ref().map_or(0, |_| unbraked.iter().filter(goes).count());
        let roots = catalog.listing().newest(&source).map(roots_of).unwrap_or_default();
        OfSource { source, roots, decisions: decisions.to_vec(), brake, held }
    };
    decisions.chunk_by(|a, b| a.source == b.source).map(of_source).collect()
}

fn removed(sources: &[OfSource]) -> Vec<SnapshotId> {
    let all = sources.iter().flat_map(|source| &source.decisions);
    all.filter(|decision| !decision.verdict.is_kept()).map(|decision| decision.id).collect()
}

/// A record or a fact that cannot be read may be a pin, or the snapshot that stands for a period.
fn doubt(catalog: &Catalog<'_>, held: usize) -> Option<Doubt> {
    let doubt = Doubt {
        damage: catalog.damage(),
        missing: catalog.missing(),
        unknown_facts: catalog.facts().unknown.len(),
        held,
    };
    let is_certain =
        doubt.damage.is_empty() && doubt.missing.is_empty() && doubt.unknown_facts == 0;
    (!is_certain).then_some(doubt)
}

/// Forgets the snapshots that are named, whatever the policy says of them, and gives up facts that cannot be read. A pinned one stays, and the last one of a source goes
/// only with permission: then nothing at all is done.
pub fn by_name(repository: &Repository, options: &ByName, host: &dyn Host) -> Result<Vec<Target>> {
    let _held = decide(repository, options.dry_run, options.wait)?;
    let catalog = Catalog::open(repository)?;
    let targets = named::find(&catalog, options)?;
    named::refuse_pinned(&catalog, &targets, host.now_ns())?;
    if !options.allow_last {
        named::refuse_last(&catalog, &targets)?;
    }
    if !options.dry_run {
        let facts = catalog.facts();
        facts.allow_writing()?;
        facts.allow_pruning()?;
        let ids: Vec<SnapshotId> = targets.iter().filter_map(Target::snapshot).collect();
        forget_ids(repository, &ids, host)?;
        let ids: Vec<FactId> = targets.iter().filter_map(Target::fact).collect();
        forget_facts(repository, &ids, host)?;
    }
    Ok(targets)
}
