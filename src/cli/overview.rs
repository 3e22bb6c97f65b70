//! The verbs in groups: what bare `larder` and `larder --help` say.

use std::fmt::Write as _;

/// The groups and their verbs. What a verb does is said by its own help.
const GROUPS: &[(&str, &[&str])] = &[
    ("Save", &["init", "backup"]),
    ("Look", &["snapshots", "ls", "diff"]),
    ("Get", &["restore", "cat"]),
    ("Keep", &["check", "forget", "prune", "pin", "tag", "accept"]),
    ("More", &["doctor", "config", "demo"]),
];

/// What each verb does, in a few words; its own help says more.
const SUMMARIES: &[(&str, &str)] = &[
    ("init", "make a repository (the first backup does it by itself)"),
    ("backup", "take a snapshot of a directory, or of every source of the configuration"),
    ("snapshots", "list snapshots, or show all that one knows"),
    ("ls", "list files of a snapshot"),
    ("diff", "show what changed between two snapshots"),
    ("restore", "get files back, all or some"),
    ("cat", "write one file to standard output"),
    ("check", "look for damage, offline"),
    ("forget", "remove the snapshots that the policy does not keep, or some by name"),
    ("prune", "give back the room of what no snapshot needs"),
    ("pin", "keep a snapshot whatever the policy says"),
    ("accept", "say that a snapshot is as it should be, so that its findings no longer count"),
    ("tag", "give tags to a snapshot, or take them away"),
    ("doctor", "look at a directory: its databases, the files that they name, what to mend"),
    ("config", "show, check or begin a configuration"),
    ("demo", "show larder at work on a made-up application"),
];

/// The verbs, a line each.
pub(crate) fn verbs() -> String {
    let mut text = String::new();
    for (group, verbs) in GROUPS {
        for (n, verb) in verbs.iter().enumerate() {
            let group = if n == 0 { group } else { "" };
            let summary = SUMMARIES.iter().find(|(name, _)| name == verb);
            let summary = summary.map_or("", |(_, summary)| summary);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {group:<6}{verb:<11}{summary}");
        }
    }
    text
}

/// What bare `larder` says.
pub(crate) fn page() -> String {
    format!(
        "larder: snapshots of a live application's directory, its SQLite databases and files as one\n\n{}\n\
         To begin: larder backup DIR\nMore:     larder --help, larder COMMAND --help",
        verbs()
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn every_verb_is_in_one_group_and_none_is_invented() {
        let mut shown: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        let command = Cli::command();
        let mut real: Vec<&str> = command
            .get_subcommands()
            .filter(|it| !it.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        shown.sort_unstable();
        real.sort_unstable();
        assert_eq!(shown, real);
        assert!(verbs().lines().all(|line| line.len() > 20), "a verb without its summary");
    }
}
