//! Long runs of randomised tests, in batches that survive an interruption.
//!
//! A test asks `larder_testkit::campaign` which seeds to run: few in `cargo
//! test`, the next batch of many here. Progress belongs to one commit, since
//! seeds that passed on other code prove nothing about this one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use self::progress::{Progress, Store};
use crate::Result;

mod progress;

/// A campaign: a part of the integration tests that repeats over seeds.
struct Campaign {
    /// What a test asks `larder_testkit::campaign` for.
    name: &'static str,
    /// Part of the names of the tests that belong to it.
    filter: &'static str,
    /// Repetitions that a release needs.
    count: u64,
    /// Repetitions between two savings of progress.
    batch: u64,
    /// What is repeated.
    what: &'static str,
}

const CAMPAIGNS: [Campaign; 18] = [
    Campaign {
        name: "crash",
        filter: "crash",
        count: 64,
        batch: 8,
        what: "drop, keep and tear patterns at every disk operation of init, backup, resumed backup",
    },
    Campaign {
        name: "power-lost-twice",
        filter: "power_lost_twice",
        count: 5_000,
        batch: 500,
        what: "pairs of power losses, the second while the first is recovered from",
    },
    Campaign {
        name: "prune",
        filter: "can_be_cut_off_anywhere",
        count: 64,
        batch: 8,
        what: "drop, keep and tear patterns at every disk operation of forget, prune, emptying, undo and merging",
    },
    Campaign {
        name: "prune-killed",
        filter: "prune::killed",
        count: 64,
        batch: 8,
        what: "the same patterns after a kill at every operation, and the work of another process behind it",
    },
    Campaign {
        name: "prune-twice",
        filter: "prune::twice",
        count: 50_000,
        batch: 500,
        what: "pairs of power losses around prune, emptying and undo, of each scenario",
    },
    Campaign {
        name: "damage",
        filter: "damage",
        count: 256,
        batch: 16,
        what: "of 256 places, those that are cut or inverted before check, backup and reading",
    },
    Campaign {
        name: "kill9",
        filter: "kill9",
        count: 500,
        batch: 25,
        what: "kills of the real binary in the middle of a backup",
    },
    Campaign {
        name: "killed-maintenance",
        filter: "killed_maintenance",
        count: 100,
        batch: 10,
        what: "repositories in which 5 commands each that forget, prune, bring back or save are killed",
    },
    Campaign {
        name: "schedules",
        filter: "schedules_of_everything",
        count: 5_000,
        batch: 500,
        what: "orders of the calls of backups, readers and maintenance at once, with kills and power losses",
    },
    Campaign {
        name: "beside-prune",
        filter: "beside_prune",
        count: 12,
        batch: 1,
        what: "another prune, or a backup that would merge segments, before every call of a prune",
    },
    Campaign {
        name: "mixture",
        filter: "mixture",
        count: 600,
        batch: 20,
        what: "rounds of six processes at random, about 3 s each",
    },
    Campaign {
        name: "shutdown",
        filter: "shutdown_of",
        count: 1_000,
        batch: 50,
        what: "shutdowns of a mounted ext4 and xfs under a running command",
    },
    Campaign {
        name: "live-writer",
        filter: "live_writer",
        count: 500,
        batch: 20,
        what: "snapshots of a database under a committing writer",
    },
    Campaign {
        name: "torture",
        filter: "torture",
        count: 10_000,
        batch: 500,
        what: "captured databases beside writers in every journal mode that checkpoint, VACUUM and are killed",
    },
    Campaign {
        name: "large",
        filter: "large_databases",
        count: 3,
        batch: 1,
        what: "captures of a database beyond 1 GiB, sparse in its source, 1.2 GB in the spool",
    },
    Campaign {
        name: "references",
        filter: "references_of_an_application_that_writes_files_first",
        count: 2_000,
        batch: 100,
        what: "snapshots of an application at work, each held against what its rows name",
    },
    Campaign {
        name: "mutations",
        filter: "mutations",
        count: 10_000_000,
        batch: 500_000,
        what: "mutations of valid bytes, each given to every decoder",
    },
    Campaign {
        name: "fuzz-less",
        filter: "fuzz_less",
        count: 10_000,
        batch: 500,
        what: "sequences of operations against the model, from seeds instead of a fuzzer",
    },
];

/// Marks the end of the table in `docs/testing.md`.
const RESULTS_END: &str = "<!-- campaign-results: rows are added above this line -->";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    count: Option<u64>,
    batch: Option<u64>,
    release: bool,
    fresh: bool,
    record: bool,
    name: Option<&'a str>,
}

/// Runs what is left of a campaign; without a name, lists them.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<bool> {
    let options = parse(words)?;
    let Some(name) = options.name else {
        for Campaign { name, count, what, .. } in &CAMPAIGNS {
            println!("{name:<12} {count:>10}  {what}");
        }
        return Ok(true);
    };
    let campaign = CAMPAIGNS.iter().find(|campaign| campaign.name == name);
    let campaign = campaign
        .ok_or_else(|| format!("no campaign `{name}`; `cargo xtask campaign` lists them"))?;
    let asked = options.count.unwrap_or(campaign.count);
    let Some(progress) = advance(root, campaign, asked, &options)? else { return Ok(false) };
    let row = result_row(campaign, asked, &progress);
    println!("\n{row}");
    if options.record && !progress.is_of_a_commit() {
        return Err("not recorded: commit first, a result belongs to a commit".to_owned());
    }
    if options.record {
        record(root, &row)?;
    }
    Ok(true)
}

fn parse<'a>(words: &[&'a str]) -> Result<Options<'a>> {
    let mut options = Options::default();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--count" => options.count = Some(number(word, words.next())?),
            "--batch" => options.batch = Some(number(word, words.next())?),
            "--release" => options.release = true,
            "--fresh" => options.fresh = true,
            "--record" => options.record = true,
            name if !name.starts_with('-') && options.name.is_none() => options.name = Some(name),
            other => {
                return Err(format!("`{other}` is not understood; `cargo xtask` shows the usage"));
            }
        }
    }
    Ok(options)
}

fn number(option: &str, value: Option<&str>) -> Result<u64> {
    let parsed =
        value.and_then(|value| value.replace('_', "").parse().ok()).filter(|count| *count > 0);
    parsed.ok_or_else(|| format!("{option} needs a number above 0"))
}

/// Runs batches up to `asked`; `None` when one failed.
fn advance(
    root: &Path,
    campaign: &Campaign,
    asked: u64,
    options: &Options<'_>,
) -> Result<Option<Progress>> {
    let store = Store::new(&directory(root), campaign.name)?;
    let mut progress = store.load(&progress::commit(root)?, options.fresh)?;
    println!("{}: {} / {asked} done", campaign.name, progress.done);
    // Compiling first keeps it out of the time that is recorded.
    if progress.done < asked && !succeeds(cargo_test(root, options.release).arg("--no-run"))? {
        return Ok(None);
    }
    while progress.done < asked {
        let count = options.batch.unwrap_or(campaign.batch).min(asked - progress.done);
        let began = Instant::now();
        if !batch(root, campaign, progress.done, count, options.release)? {
            let (first, last) = (progress.done, progress.done + count - 1);
            println!(
                "{}: FAILED within seeds {first} to {last}; {first} / {asked} done",
                campaign.name
            );
            return Ok(None);
        }
        progress.done += count;
        progress.elapsed_ms += u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        store.save(&progress)?;
        println!(
            "{}: {} / {asked} done, {} s",
            campaign.name,
            progress.done,
            progress.elapsed_ms / 1000
        );
    }
    Ok(Some(progress))
}

/// Cargo on the integration tests, with the same features as `cargo test` has, so that nothing is built twice.
fn cargo_test(root: &Path, release: bool) -> Command {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--test", "it"]).args(release.then_some("--release"));
    command.current_dir(root).stdin(Stdio::null());
    command
}

fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    Ok(status.success())
}

/// Runs the tests of a campaign over some seeds. A test that never asked for its seeds ran nothing: that is an error.
fn batch(root: &Path, campaign: &Campaign, from: u64, count: u64, release: bool) -> Result<bool> {
    let asked_log = directory(root).join(format!("{}.asked", campaign.name));
    remove_if_there(&asked_log)?;
    let mut command = cargo_test(root, release);
    command.arg(campaign.filter);
    command.env("LARDER_CAMPAIGN", format!("{}={count}", campaign.name));
    command.env("LARDER_CAMPAIGN_FROM", format!("{}={from}", campaign.name));
    command.env("LARDER_CAMPAIGN_LOG", &asked_log);
    let passed = succeeds(&mut command)?;
    let expected = format!("{} {from} {count}", campaign.name);
    if passed && !was_asked(&fs::read_to_string(&asked_log).unwrap_or_default(), &expected) {
        return Err(format!(
            "no test with `{}` in its name asked larder_testkit::campaign for `{}`: the campaign ran nothing",
            campaign.filter, campaign.name
        ));
    }
    Ok(passed)
}

fn was_asked(log: &str, expected: &str) -> bool {
    log.lines().any(|line| line == expected)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

fn directory(root: &Path) -> PathBuf {
    root.join("target/campaign")
}

/// A row of the table in `docs/testing.md`. There is one only for a campaign that passed to the end.
fn result_row(campaign: &Campaign, asked: u64, progress: &Progress) -> String {
    let Progress { commit, done, elapsed_ms } = progress;
    format!("| {} | {asked} | {done} | {commit} | {} s |", campaign.name, elapsed_ms / 1000)
}

fn record(root: &Path, row: &str) -> Result<()> {
    let path = root.join("docs/testing.md");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read docs/testing.md: {error}"))?;
    let added = with_row(&text, row)
        .ok_or_else(|| format!("docs/testing.md has no line `{RESULTS_END}`"))?;
    fs::write(&path, added).map_err(|error| format!("cannot write docs/testing.md: {error}"))
}

/// The document with one more row. A table ends at a blank line, so the mark stands right below its rows.
fn with_row(text: &str, row: &str) -> Option<String> {
    let (before, after) = text.split_once(RESULTS_END)?;
    Some(format!("{before}{row}\n{RESULTS_END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        let options = parse(&["crash", "--count", "1_000", "--release"]).unwrap();
        let expected =
            Options { name: Some("crash"), count: Some(1000), release: true, ..Options::default() };
        assert_eq!(options, expected);
        for wrong in
            [&["--count"][..], &["--count", "0"], &["--count", "x"], &["--cuont", "1"], &["a", "b"]]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rows_gather_above_the_mark() {
        let text = format!("| a |\n{RESULTS_END}\nrest\n");
        let once = with_row(&text, "| b |").unwrap();
        assert_eq!(once, format!("| a |\n| b |\n{RESULTS_END}\nrest\n"));
        assert!(with_row("no table", "| b |").is_none());
    }

    #[test]
    fn a_campaign_whose_tests_did_not_ask_ran_nothing() {
        assert!(was_asked("kill9 0 25\ncrash 8 8\n", "crash 8 8"));
        assert!(!was_asked("crash 0 8\n", "crash 8 8"));
        assert!(!was_asked("", "crash 8 8"));
    }

    #[test]
    fn names_are_unique_and_filters_select_only_their_own() {
        for (index, campaign) in CAMPAIGNS.iter().enumerate() {
            for other in &CAMPAIGNS[index + 1..] {
                assert_ne!(campaign.name, other.name);
                assert!(
                    !campaign.filter.contains(other.filter)
                        && !other.filter.contains(campaign.filter)
                );
            }
        }
    }
}
