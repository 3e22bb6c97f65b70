//! How often a randomised test repeats: a few times in `cargo test`, many times in a campaign.
//!
//! `cargo xtask campaign` runs the same tests in batches and hands each batch its
//! seeds through three variables. Not here: what a seed means; that is the test's.
//! Invariant: a variable that cannot be read stops the test. A campaign that
//! silently ran the small default would be recorded as a large one.

use std::env::{self, VarError};
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::Range;

/// How many repetitions: `crash=64,kill9=500`.
const COUNT: &str = "LARDER_CAMPAIGN";

/// The first seed, in the same form.
const FROM: &str = "LARDER_CAMPAIGN_FROM";

/// A file that learns which campaign was asked for: `name first count`, one a line.
const LOG: &str = "LARDER_CAMPAIGN_LOG";

/// How many times the test of this campaign repeats, counted from zero; `default` outside a campaign.
///
/// For a test that cannot begin at a given seed: each batch repeats what the batches before it did. Prefer [`seeds`].
///
/// # Panics
///
/// When one of the variables is malformed.
pub fn count(name: &str, default: u64) -> u64 {
    seeds(name, default).end
}

/// The seeds that the test of this campaign runs: `0..default` outside a campaign.
///
/// # Panics
///
/// When one of the variables is malformed.
pub fn seeds(name: &str, default: u64) -> Range<u64> {
    let count = value(&variable(COUNT), name).unwrap_or_else(|error| panic!("{COUNT}: {error}"));
    let from = value(&variable(FROM), name).unwrap_or_else(|error| panic!("{FROM}: {error}"));
    let (from, count) = (from.unwrap_or(0), count.unwrap_or(default));
    let end = from.checked_add(count).unwrap_or_else(|| panic!("{name}: seeds end above 2^64"));
    log(&format!("{name} {from} {count}\n"));
    from..end
}

fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(text) => text,
        Err(VarError::NotPresent) => String::new(),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// The number that a list like `crash=64,kill9=500` gives to a name.
fn value(list: &str, name: &str) -> Result<Option<u64>, String> {
    let mut found = None;
    for entry in list.split(',').filter(|entry| !entry.is_empty()) {
        let (key, number) =
            entry.split_once('=').ok_or_else(|| format!("`{entry}` is not name=number"))?;
        let number = number.parse().map_err(|error| format!("`{entry}`: {error}"))?;
        if key == name && found.replace(number).is_some() {
            return Err(format!("`{name}` stands twice"));
        }
    }
    Ok(found)
}

/// One short append, so that tests on several threads do not mix their lines.
fn log(line: &str) {
    let path = variable(LOG);
    if path.is_empty() {
        return;
    }
    let written = OpenOptions::new().create(true).append(true).open(&path);
    let written = written.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{LOG}: {path}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_its_own_number() {
        let list = "crash=64,kill9=500";
        assert_eq!(value(list, "crash"), Ok(Some(64)));
        assert_eq!(value(list, "kill9"), Ok(Some(500)));
        assert_eq!(value(list, "kill"), Ok(None));
        assert_eq!(value("", "crash"), Ok(None));
    }

    #[test]
    fn a_malformed_list_is_refused_even_for_another_name() {
        for list in ["crash", "crash=", "crash=x", "crash=-1", "crash=1,crash=2", "kill9=?,crash=1"]
        {
            assert!(value(list, "crash").is_err(), "{list}");
        }
    }

    #[test]
    fn outside_a_campaign_the_default_runs_from_zero() {
        assert_eq!(seeds("a campaign that nobody runs", 3), 0..3);
        assert_eq!(count("a campaign that nobody runs", 3), 3);
    }
}
