//! The command line, as clap reads it.

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::cli::commands::{
    accept, backup, cat, check, config, demo, diff, doctor, forget, init, ls, pin, prune, restore,
    sample_writer, snapshots, tag,
};
use crate::cli::output::units::parse_duration;
use crate::cli::overview;

/// Snapshots of a live application's directory, its SQLite databases and files as one.
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    version,
    help_template = "{about}\n\n{before-help}Options of every command:\n{options}{after-help}",
    before_help = overview::verbs(),
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = "`larder COMMAND --help` says more about a command.",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// The repository, a directory
    #[arg(long, global = true, value_name = "PATH", env = "LARDER_REPO", hide_env_values = true)]
    pub(crate) repo: Option<PathBuf>,
    /// The configuration [default: ./larder.toml, else the one in ~/.config/larder]
    #[arg(long, global = true, value_name = "FILE", env = "LARDER_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Write JSON to standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what was asked for, and what is wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Use colours: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: Colors,
    /// Wait so long for others who use the repository, and say whom one waits for [default: 0s; forget, pin, prune: 5s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lock_wait: Option<Duration>,
    /// Show no progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Say how to use it
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
    /// Say which version this is
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// The names of values that came from the environment.
    #[arg(skip)]
    from_environment: Vec<&'static str>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colors {
    /// On a terminal, unless `NO_COLOR` is set or TERM is dumb
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do. What a command is for is said by its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::InitArgs),
    Backup(backup::BackupArgs),
    Snapshots(snapshots::SnapshotsArgs),
    Ls(ls::LsArgs),
    Cat(cat::CatArgs),
    Restore(restore::RestoreArgs),
    Diff(diff::DiffArgs),
    Check(check::CheckArgs),
    Forget(forget::ForgetArgs),
    Pin(pin::PinArgs),
    Prune(prune::PruneArgs),
    Accept(accept::AcceptArgs),
    #[command(override_usage = "larder tag [OPTIONS] <SNAP> <+TAG|-TAG>...")]
    Tag(tag::TagArgs),
    Doctor(doctor::DoctorArgs),
    Config(config::ConfigArgs),
    Demo(demo::DemoArgs),
    /// Capture one database, for a larder that asks over standard input
    #[command(name = larder::sqlite::options::HELPER_COMMAND, hide = true)]
    CaptureHelper,
    #[command(hide = true)]
    SampleWriter(sample_writer::SampleWriterArgs),
}

/// Whose snapshots are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OfSource {
    /// Only snapshots of this source
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

impl Cli {
    /// Reads the process's arguments and the variables that stand for some of them.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let of_environment =
            |id: &&&str| matches.value_source(id) == Some(ValueSource::EnvVariable);
        cli.globals.from_environment =
            ["repo", "config"].iter().filter(of_environment).copied().collect();
        Ok(cli)
    }
}

impl Globals {
    /// Who gave a value: the flag, or the variable that stands for it.
    pub(crate) fn named(&self, flag: &str, variable: &str) -> String {
        if self.is_from_environment(flag) { variable.to_owned() } else { format!("--{flag}") }
    }

    /// True when the value of a flag is the environment's.
    pub(crate) fn is_from_environment(&self, flag: &str) -> bool {
        self.from_environment.contains(&flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_argument_says_what_it_is() {
        let command = Cli::command();
        for verb in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", verb.get_name(), argument.get_id());
            }
        }
    }
}
