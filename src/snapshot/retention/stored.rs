//! A policy as a fact holds it.

use std::time::Duration;

use crate::codec::policy::{FOR_EVER, PolicyRecord};
use crate::snapshot::retention::policy::{Keep, Policy};

impl Keep {
    fn of_count(count: u32) -> Self {
        match count {
            0 => Self::Off,
            FOR_EVER => Self::ForEver,
            count => Self::Count(count),
        }
    }

    fn count(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Count(count) => count,
            Self::ForEver => FOR_EVER,
        }
    }
}

impl Policy {
    /// The policy that a fact holds.
    pub fn of_record(record: &PolicyRecord) -> Self {
        Self {
            last: Keep::of_count(record.last),
            hourly: Keep::of_count(record.hourly),
            daily: Keep::of_count(record.daily),
            weekly: Keep::of_count(record.weekly),
            monthly: Keep::of_count(record.monthly),
            yearly: Keep::of_count(record.yearly),
            within: record.within_s.map(Duration::from_secs),
            tags: record.tags.iter().cloned().collect(),
        }
    }

    /// The same as a fact holds it, with the zone in which its days begin. Of a length, less than a second is left out.
    pub fn to_record(&self, zone: &str) -> PolicyRecord {
        PolicyRecord {
            last: self.last.count(),
            hourly: self.hourly.count(),
            daily: self.daily.count(),
            weekly: self.weekly.count(),
            monthly: self.monthly.count(),
            yearly: self.yearly.count(),
            within_s: self.within.map(|within| within.as_secs()),
            tags: self.tags.iter().cloned().collect(),
            zone: zone.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let policy = Policy {
            last: Keep::Count(2),
            hourly: Keep::Count(24),
            yearly: Keep::Count(10),
            within: Some(Duration::from_hours(36)),
            tags: ["gold".to_owned(), "before".to_owned()].into(),
            ..Policy::seed()
        };
        let record = policy.to_record("Europe/Zurich");
        assert_eq!((record.monthly, record.zone.as_str()), (FOR_EVER, "Europe/Zurich"));
        assert_eq!(Policy::of_record(&record), policy);
        let none = Policy { last: Keep::Count(0), ..Policy::seed() };
        assert_eq!(Policy::of_record(&none.to_record("UTC")), Policy::seed());
    }
}
