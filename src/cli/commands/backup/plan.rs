//! What to save: the paths of the command line, else the sources of the configuration.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use larder::error::Error;
use larder::snapshot::source::error::SourceError;
use larder::snapshot::source::exclude::patterns_in;

use super::BackupArgs;
use crate::cli::config::SourceConfig;
use crate::cli::config::suggest::nearest;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::times;
use crate::cli::paths;

/// One snapshot to take.
#[derive(Debug)]
pub(super) struct Job {
    /// Absolute, each once.
    pub(super) roots: Vec<PathBuf>,
    pub(super) source: Option<String>,
    pub(super) excludes: Vec<String>,
    pub(super) one_file_system: bool,
}

/// The snapshots to take, at least one.
pub(super) fn jobs(args: &BackupArgs, context: &Context) -> Result<Vec<Job>> {
    let excludes = excludes(args)?;
    let configured = context.settings.sources();
    let of_config = |source: &SourceConfig| Job {
        roots: source.paths.clone(),
        source: args.source.clone().or_else(|| source.name.clone()),
        excludes: source.exclude.iter().chain(&excludes).cloned().collect(),
        one_file_system: source.one_file_system || args.one_file_system,
    };
    if !args.paths.is_empty() {
        let roots = absolute(&args.paths)?;
        // A source of the configuration is the same source when it is named by its paths.
        let job = match configured.iter().find(|source| source.paths == roots) {
            Some(source) => of_config(source),
            None => Job {
                roots,
                source: args.source.clone(),
                excludes,
                one_file_system: args.one_file_system,
            },
        };
        return Ok(vec![job]);
    }
    let chosen: Vec<&SourceConfig> = match &args.source {
        Some(name) => vec![by_name(configured, name, context)?],
        None => configured.iter().collect(),
    };
    if chosen.is_empty() {
        let what = "nothing to save: no PATH is given, and no configuration has a [[source]]";
        return Err(Failure::usage(what).with_hint(context.command("backup DIR")));
    }
    Ok(chosen.into_iter().map(of_config).collect())
}

/// A typing error must not leave a repository behind: before one is made, something to save must be there.
pub(super) fn refuse_missing(jobs: &[Job]) -> Result<()> {
    let mut failure = None;
    for root in jobs.iter().flat_map(|job| &job.roots) {
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => return Ok(()),
            Ok(_) => {
                let path = root.to_owned();
                failure = Some(Error::from(SourceError::NotADirectory { path }));
            }
            Err(source) => {
                failure = Some(Error::from(SourceError::Root { path: root.to_owned(), source }));
            }
        }
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn by_name<'s>(
    sources: &'s [SourceConfig],
    name: &str,
    context: &Context,
) -> Result<&'s SourceConfig> {
    let found = sources.iter().find(|source| source.name.as_deref() == Some(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = sources.iter().filter_map(|it| it.name.as_deref()).collect();
        let meant = nearest(name, &names).map(|it| format!("; did you mean {it:?}?"));
        let what = format!(
            "no PATH is given, and no [[source]] is named {name:?}{}",
            meant.unwrap_or_default()
        );
        Failure::usage(what).with_hint(context.command(&format!("backup --source {name} DIR")))
    })
}

/// Absolute paths, each once.
fn absolute(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let here = env::current_dir().map_err(|error| Failure::io("the working directory", &error))?;
    let mut roots: Vec<PathBuf> = Vec::new();
    for path in given {
        let full = paths::absolute(path, &here)
            .map_err(|error| Failure::io(format!("source {}", path.display()), &error))?;
        if !roots.contains(&full) {
            roots.push(full);
        }
    }
    refuse_nested(&roots)?;
    Ok(roots)
}

/// What lies in two roots would be saved twice, a path would mean two things, and a restore of both could not be complete. Links and
/// bind mounts are looked through; a root that is not there is refused later, as missing.
pub(super) fn refuse_nested(roots: &[PathBuf]) -> Result<()> {
    let within: Vec<_> = roots.iter().map(|root| places_above(root)).collect();
    for (outer, own) in roots.iter().zip(&within) {
        let Some(place) = own.first() else { continue };
        let others = roots.iter().zip(&within).filter(|(it, _)| *it != outer);
        if let Some((inner, _)) = others.into_iter().find(|(_, above)| above.contains(place)) {
            let what = format!("{} is saved with {} already", inner.display(), outer.display());
            return Err(Failure::usage(what).with_hint("leave it out, or give it a run of its own"));
        }
    }
    Ok(())
}

/// The directory itself and those that it is in, by device and inode.
fn places_above(root: &Path) -> Vec<(u64, u64)> {
    let path = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let place = |dir: &Path| fs::metadata(dir).map(|it| (it.dev(), it.ino()));
    path.ancestors().map_while(|dir| place(dir).ok()).collect()
}

fn excludes(args: &BackupArgs) -> Result<Vec<String>> {
    let mut excludes = args.exclude.clone();
    for file in &args.exclude_from {
        excludes.extend(patterns_of(file)?);
    }
    Ok(excludes)
}

fn patterns_of(file: &Path) -> Result<Vec<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(patterns_in(&text)),
        Err(error) => Err(Failure::io(format!("exclude file {}", file.display()), &error)),
    }
}

/// The time that the snapshots stand for.
pub(super) fn time(args: &BackupArgs, context: &Context) -> Result<Option<i64>> {
    let Some(text) = &args.time else { return Ok(None) };
    match times::parse(text, &context.settings.zone.rules) {
        Ok(time_ns) => Ok(Some(time_ns)),
        Err(why) => Err(Failure::usage(format!("{text:?} is not a time: {why}"))),
    }
}
