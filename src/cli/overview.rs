//! The verbs in groups: what bare `larder` and `larder --help` say.

use std::fmt::Write as _;

use clap::Command;

/// The groups and their verbs. What a verb does is said by its own help.
const GROUPS: &[(&str, &[&str])] = &[
    ("Save", &["init", "backup"]),
    ("Look", &["snapshots", "ls", "diff"]),
    ("Get", &["restore", "cat"]),
    ("Keep", &["check", "tag"]),
    ("More", &["config", "demo"]),
];

/// The verbs, a line each.
pub(crate) fn verbs(command: &Command) -> String {
    let mut text = String::new();
    for (group, verbs) in GROUPS {
        for (n, verb) in verbs.iter().enumerate() {
            let group = if n == 0 { group } else { "" };
            let about = command.find_subcommand(verb).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {group:<6}{verb:<11}{about}");
        }
    }
    text
}

/// What bare `larder` says.
pub(crate) fn page(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    format!(
        "{about}.\n\n{}\nTo begin: larder backup DIR\nMore:     larder --help, larder COMMAND --help\n",
        verbs(command)
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
        assert!(verbs(&command).lines().all(|line| line.len() > 20), "a verb without its summary");
    }
}
