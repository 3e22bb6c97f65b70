//! In which time zone times are meant and shown.

use std::fs;

use jiff::tz::{self, TimeZone};

use crate::cli::config::suggest::nearest;

/// A zone of the IANA database, and who named it.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Its rules.
    pub(crate) rules: TimeZone,
    /// Its name.
    pub(crate) name: String,
    /// Who named it.
    pub(crate) origin: String,
    /// What is odd about the choice and should be said.
    pub(crate) remark: Option<String>,
}

/// The zone of the configuration, else of `TZ`, else of the system, else UTC.
pub(crate) fn choose(configured: Option<(&str, String)>, tz: Option<&str>) -> Zone {
    if let Some((name, origin)) = configured
        && let Some(zone) = named(name, origin)
    {
        return zone;
    }
    match tz.map(|tz| tz.trim_start_matches(':')).filter(|tz| !tz.is_empty()) {
        Some(name) => named(name, "TZ".to_owned()).unwrap_or_else(|| {
            let remark = format!("TZ={name} is not in the time zone database; times are in UTC");
            utc(Some(format!("{remark}{}", did_you_mean(name))))
        }),
        None => of_the_system(),
    }
}

fn of_the_system() -> Zone {
    let linked = fs::canonicalize("/etc/localtime").ok();
    let linked = linked.as_deref().and_then(|path| path.to_str());
    let linked = linked.and_then(|path| path.split_once("zoneinfo/")).map(|(_, name)| name);
    let linked = linked.and_then(|name| named(name, "/etc/localtime".to_owned()));
    let written = || {
        let text = fs::read_to_string("/etc/timezone").ok()?;
        named(text.trim(), "/etc/timezone".to_owned())
    };
    linked.or_else(written).unwrap_or_else(|| {
        utc(Some("no time zone is set on this system; times are in UTC".to_owned()))
    })
}

fn utc(remark: Option<String>) -> Zone {
    Zone { rules: TimeZone::UTC, name: "UTC".to_owned(), origin: "default".to_owned(), remark }
}

fn named(name: &str, origin: String) -> Option<Zone> {
    let rules = TimeZone::get(name).ok()?;
    let name = rules.iana_name()?.to_owned();
    Some(Zone { rules, name, origin, remark: None })
}

/// Why a name is no zone; `None` when it is one.
pub(crate) fn fault(name: &str) -> Option<String> {
    match named(name, String::new()) {
        Some(_) => None,
        None => Some(format!("{name:?} is not in the time zone database{}", did_you_mean(name))),
    }
}

fn did_you_mean(name: &str) -> String {
    let all: Vec<String> = tz::db().available().map(|zone| zone.to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    nearest(name, &all).map(|zone| format!("; did you mean {zone:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_comes_first_then_the_environment() {
        let zone = choose(Some(("Europe/Zurich", "larder.toml".to_owned())), Some("Asia/Tokyo"));
        assert_eq!((&*zone.name, &*zone.origin), ("Europe/Zurich", "larder.toml"));
        let zone = choose(None, Some(":Asia/Tokyo"));
        assert_eq!((&*zone.name, &*zone.origin), ("Asia/Tokyo", "TZ"));
        assert!(zone.remark.is_none());
    }

    #[test]
    fn a_zone_that_does_not_exist_is_said() {
        let zone = choose(None, Some("Europe/Zuerich"));
        assert_eq!(zone.name, "UTC");
        assert!(zone.remark.unwrap().contains("did you mean \"Europe/Zurich\"?"));
        let fault = fault("Europe/Zurch").unwrap();
        assert_eq!(
            fault,
            "\"Europe/Zurch\" is not in the time zone database; did you mean \"Europe/Zurich\"?"
        );
        assert!(super::fault("UTC").is_none());
    }
}
