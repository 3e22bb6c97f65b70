//! Which snapshots are to be kept, as a fact says it.

use serde::{Deserialize, Serialize};

use crate::codec::names::{MAX_NAME_BYTES, required_fault, tag_fault};

/// The count that means all of them, for ever; 0 means that there is no such rule.
pub const FOR_EVER: u32 = u32::MAX;

/// The most tags that a policy may name.
pub const MAX_KEPT_TAGS: usize = 100;

/// A policy and the zone in which its days begin: they decide together, so they are stored as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// So many of the last snapshots; see [`FOR_EVER`], here and for the periods.
    pub last: u32,
    /// Hours.
    pub hourly: u32,
    /// Days.
    pub daily: u32,
    /// ISO weeks.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
    /// Years.
    pub yearly: u32,
    /// Everything so near to the newest snapshot, in seconds.
    pub within_s: Option<u64>,
    /// Everything with one of these tags; strictly ascending.
    pub tags: Vec<String>,
    /// The name of the IANA zone.
    pub zone: String,
}

/// What is wrong with a policy, if something is.
pub(super) fn policy_fault(policy: &PolicyRecord) -> Option<&'static str> {
    let counts =
        [policy.last, policy.hourly, policy.daily, policy.weekly, policy.monthly, policy.yearly];
    let has_rule = counts.iter().any(|count| *count > 0)
        || policy.within_s.is_some()
        || !policy.tags.is_empty();
    if !has_rule {
        return Some("a policy without a rule");
    }
    if policy.tags.len() > MAX_KEPT_TAGS || !policy.tags.is_sorted_by(|a, b| a < b) {
        return Some("tags that do not ascend, or too many");
    }
    let of_tags = policy.tags.iter().find_map(|tag| tag_fault(tag));
    of_tags.or_else(|| required_fault(&policy.zone, MAX_NAME_BYTES))
}
