//! Which policy counts, and in which zone: that of this run, else the configuration's, else the repository's.

use jiff::tz::TimeZone;

use crate::codec::fact::{Statement, Subject};
use crate::codec::policy::PolicyRecord;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ops::catalog::Catalog;
use crate::repo::facts::Facts;
use crate::snapshot::retention::policy::Policy;

/// What the front end knows about policy and zone.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Rules for this run only; they are not stored.
    pub this_run: Option<Policy>,
    /// The rules of the configuration.
    pub configured: Option<Policy>,
    /// The zone of the configuration, by its IANA name.
    pub zone: Option<String>,
    /// The zone where neither the configuration nor the repository names one.
    pub default_zone: String,
}

/// Who gave the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Whoever started this run.
    ThisRun,
    /// The configuration.
    Configuration,
    /// The repository.
    Repository,
}

/// The policy that counts.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The policy; it has a rule.
    pub policy: Policy,
    /// Where days begin.
    pub zone: TimeZone,
    /// The name of that zone.
    pub zone_name: String,
    /// Who gave the policy.
    pub origin: Origin,
    /// What the repository says instead, or that it says nothing: then it is to be told.
    pub change: Option<Change>,
}

/// A policy that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the repository has said until now.
    pub before: Option<PolicyRecord>,
    /// What it is to say.
    pub after: PolicyRecord,
}

impl Wish {
    /// The policy that counts for a repository with these facts; `None` when nobody has given one.
    pub fn rules(&self, facts: &Facts) -> Result<Option<Rules>> {
        let stored = facts.policy();
        let given = [
            (Origin::ThisRun, self.this_run.clone()),
            (Origin::Configuration, self.configured.clone()),
            (Origin::Repository, stored.map(Policy::of_record)),
        ];
        let given = given.into_iter().find_map(|(origin, policy)| Some((origin, policy?)));
        let Some((origin, policy)) = given else { return Ok(None) };
        if policy.is_empty() {
            return Err(usage("these rules keep nothing: all of them are off".to_owned()));
        }
        let (zone, zone_name) = self.zone(stored)?;
        let after = policy.to_record(&zone_name);
        let is_new = origin != Origin::ThisRun && stored != Some(&after);
        let change = is_new.then(|| Change { before: stored.cloned(), after });
        Ok(Some(Rules { policy, zone, zone_name, origin, change }))
    }

    fn zone(&self, stored: Option<&PolicyRecord>) -> Result<(TimeZone, String)> {
        let stored = stored.map(|stored| stored.zone.as_str());
        let name = self.zone.as_deref().or(stored).unwrap_or(&self.default_zone);
        let unknown =
            |_| usage(format!("days begin in {name:?}, which is not in the time zone database"));
        Ok((TimeZone::get(name).map_err(unknown)?, name.to_owned()))
    }
}

impl Rules {
    /// Tells the repository, where it says something else; durable on return.
    pub fn store(&self, catalog: &Catalog<'_>, host: &dyn Host) -> Result<()> {
        let Some(change) = &self.change else { return Ok(()) };
        let statement = Statement::Policy(change.after.clone());
        let said = vec![(Subject::Policy, statement)];
        Ok(catalog.facts().publish(catalog.repository(), said, host)?)
    }
}

fn usage(what: String) -> Error {
    Error::Usage { what }
}
