//! `larder.toml`: what it may say, and what is wrong with what it says.
//!
//! Here live the file's shape and its faults. Not here: which value wins when a
//! flag or the environment says otherwise (`settings`).
//!
//! Invariant: nothing in the file is ignored. An unknown key, a wrong type and a
//! name that does not exist are faults with their line.

use std::fs;
use std::path::{Path, PathBuf};

use larder::snapshot::retention::policy::Policy;
use toml::de::DeTable;

use crate::cli::failure::Failure;
use crate::cli::paths;
use crate::cli::zone;

mod reader;
mod reference;
mod retention;
pub(crate) mod suggest;

pub(crate) use reader::Fault;
use reader::{Located, Reader, Section};
pub(crate) use reference::ReferenceConfig;
use reference::read_references;
use retention::read_retention;

/// A configuration that was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    /// The time zone.
    pub(crate) zone: Option<Located<String>>,
    /// The repository.
    pub(crate) repository: Option<Located<PathBuf>>,
    /// What to back up.
    pub(crate) sources: Vec<SourceConfig>,
    /// Which snapshots to keep.
    pub(crate) retention: Option<Located<Policy>>,
    /// Which files rows name.
    pub(crate) references: Vec<ReferenceConfig>,
    /// What is built in is asked, too, unless this says no.
    pub(crate) built_in_references: Option<Located<bool>>,
}

/// A `[[source]]`.
#[derive(Debug, Clone)]
pub(crate) struct SourceConfig {
    /// Its name, if it is not left to larder.
    pub(crate) name: Option<String>,
    /// Its roots, absolute.
    pub(crate) paths: Vec<PathBuf>,
    /// What to leave out.
    pub(crate) exclude: Vec<String>,
    /// Stay on the file system of each root.
    pub(crate) one_file_system: bool,
    /// Its line.
    pub(crate) line: usize,
}

/// Everything that is wrong with a file.
#[derive(Debug)]
pub(crate) struct Faults {
    /// The file.
    pub(crate) path: PathBuf,
    /// At least one.
    pub(crate) faults: Vec<Fault>,
}

const TOP: &[&str] =
    &["zone", "repository", "source", "retention", "reference", "built_in_references"];
const REPOSITORY: &[&str] = &["path"];
const SOURCE: &[&str] = &["name", "paths", "exclude", "one_file_system"];

/// Why a configuration could not be read.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// The file itself.
    Unreadable(PathBuf, std::io::Error),
    /// What it says.
    Faulty(Faults),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Unreadable(path, error) => {
                let io = Failure::io(format!("configuration {}", path.display()), &error);
                match io {
                    Failure::Own { message, .. } => Failure::usage(message),
                    other => other,
                }
            }
            ConfigError::Faulty(faults) => faults.into_failure(),
        }
    }
}

impl Faults {
    fn into_failure(self) -> Failure {
        let more = self.faults.len().saturating_sub(1);
        let first = self.lines().next().unwrap_or_default();
        let failure = Failure::usage(first);
        match more {
            0 => failure,
            _ => failure.with_hint(format!(
                "larder --config {} config check   # lists {more} more",
                crate::cli::shell::word(&self.path.to_string_lossy())
            )),
        }
    }

    /// Each fault with file and line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let path = self.path.display().to_string();
        self.faults.iter().map(move |fault| format!("{path}:{}: {}", fault.line, fault.what))
    }
}

/// Reads a file. Relative paths in it start from its directory.
pub(crate) fn load(path: &Path, home: Option<&Path>) -> Result<Config, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable(path.to_owned(), error);
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let path = std::path::absolute(path).map_err(unreadable)?;
    let base = path.parent().unwrap_or(Path::new("/"));
    parse(&text, Origin { base, home })
        .map_err(|faults| ConfigError::Faulty(Faults { path: path.clone(), faults }))
}

/// From where paths are read.
#[derive(Clone, Copy)]
struct Origin<'p> {
    base: &'p Path,
    home: Option<&'p Path>,
}

impl Origin<'_> {
    /// A path that climbs out of what does not exist stays as it is: using it says what is missing.
    fn resolve(self, text: &str) -> PathBuf {
        let below_home = text.strip_prefix("~/").zip(self.home);
        let path = below_home.map_or_else(|| PathBuf::from(text), |(rest, home)| home.join(rest));
        paths::absolute(&path, self.base).unwrap_or_else(|_| self.base.join(path))
    }
}

fn parse(text: &str, from: Origin<'_>) -> Result<Config, Vec<Fault>> {
    let mut reader = Reader::new(text);
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let line = reader.line_at(error.span().map_or(0, |span| span.start));
            return Err(vec![Fault { line, what: error.message().replace('\n', ", ") }]);
        }
    };
    let top = Section { name: "the top level", table: document.get_ref() };
    reader.refuse_unknown(top, TOP);
    let built_in_references = reader.located_flag(top, "built_in_references");
    let built_in = built_in_references.is_none_or(|flag| flag.value);
    let config = Config {
        zone: read_zone(&mut reader, top),
        repository: read_repository(&mut reader, top, from),
        sources: read_sources(&mut reader, top, from),
        retention: read_retention(&mut reader, top),
        references: read_references(&mut reader, top, built_in),
        built_in_references,
    };
    if reader.faults.is_empty() {
        Ok(config)
    } else {
        reader.faults.sort_by_key(|fault| fault.line);
        Err(reader.faults)
    }
}

fn read_zone(reader: &mut Reader<'_>, top: Section<'_>) -> Option<Located<String>> {
    let zone = reader.text(top, "zone")?;
    if let Some(fault) = zone::fault(&zone.value) {
        reader.fault(zone.line, format!("zone {fault}"));
    }
    Some(zone)
}

fn read_repository(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    from: Origin<'_>,
) -> Option<Located<PathBuf>> {
    let section = reader.section(top, ("repository", "[repository]"))?;
    reader.refuse_unknown(section, REPOSITORY);
    let path = reader.text(section, "path")?;
    if path.value.contains("://") {
        reader.fault(
            path.line,
            "a repository is a directory; URLs are not supported by this version",
        );
    }
    Some(Located { value: from.resolve(&path.value), line: path.line })
}

fn read_sources(reader: &mut Reader<'_>, top: Section<'_>, from: Origin<'_>) -> Vec<SourceConfig> {
    let mut sources: Vec<SourceConfig> = Vec::new();
    for Located { value: section, line } in reader.sections(top, ("source", "[[source]]")) {
        reader.refuse_unknown(section, SOURCE);
        let roots = reader.texts(section, "paths");
        if roots.is_empty() {
            reader.fault(line, "a [[source]] needs paths = [\"...\"]");
        }
        let name = reader.text(section, "name");
        if let Some(name) = &name
            && sources.iter().any(|it| it.name.as_ref() == Some(&name.value))
        {
            reader.fault(name.line, format!("there is another source named {:?}", name.value));
        }
        sources.push(SourceConfig {
            name: name.map(|name| name.value),
            paths: roots.iter().map(|root| from.resolve(&root.value)).collect(),
            exclude: reader.texts(section, "exclude").into_iter().map(|it| it.value).collect(),
            one_file_system: reader.flag(section, "one_file_system").unwrap_or(false),
            line,
        });
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        let paths = Origin { base: Path::new("/etc/larder"), home: Some(Path::new("/home/app")) };
        parse(text, paths).map_err(|faults| {
            faults.into_iter().map(|fault| format!("{}: {}", fault.line, fault.what)).collect()
        })
    }

    #[test]
    fn a_whole_configuration_is_read() {
        let config = read(
            "zone = 'Europe/Zurich'\n[repository]\npath = 'repo/'\n[[source]]\nname = 'partshub'\n\
             paths = ['/app/data', '~/notes']\nexclude = ['*.tmp']\none_file_system = true\n\
             [retention]\ndaily = 7\nkeep_last = 2\n[[reference]]\nname = 'docs'\n\
             database = 'a.db'\nsql = 'SELECT c FROM t'\n",
        )
        .unwrap();
        assert_eq!(config.zone.unwrap().value, "Europe/Zurich");
        assert_eq!(config.repository.unwrap().value, Path::new("/etc/larder/repo"));
        let source = &config.sources[0];
        assert_eq!(source.name.as_deref(), Some("partshub"));
        assert_eq!(source.paths, [Path::new("/app/data"), Path::new("/home/app/notes")]);
        assert_eq!(
            (&source.exclude[..], source.one_file_system),
            (&["*.tmp".to_owned()][..], true)
        );
        let policy = config.retention.unwrap();
        assert_eq!((policy.value.to_string(), policy.line), ("the last 2, 7 daily".into(), 10));
        assert_eq!(config.references[0].sql, "SELECT c FROM t");
        assert_eq!(config.built_in_references, None);
    }

    #[test]
    fn every_fault_has_its_line() {
        let faults = read(
            "zne = 'UTC'\n[[source]]\nexlude = []\npaths = 'x'\n[retention]\ndaily = '7'\nweekly = -1\n",
        )
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "1: unknown key \"zne\" in the top level; did you mean \"zone\"?",
                "2: a [[source]] needs paths = [\"...\"]",
                "3: unknown key \"exlude\" in [[source]]; did you mean \"exclude\"?",
                "4: \"paths\" in [[source]] must be a list of texts, not a text",
                "6: \"daily\" in [retention] must be a whole number from 0, or \"forever\", not a text",
                "7: \"weekly\" in [retention] must be a whole number from 0, or \"forever\", not a number",
            ]
        );
    }

    #[test]
    fn zones_urls_and_names_are_looked_at() {
        let faults = read(
            "zone = 'Europe/Zurch'\nrepository.path = 's3://b'\n[[source]]\nname = 'a'\npaths = ['/a']\n\
             [[source]]\nname = 'a'\npaths = ['/b']\n[source.x]\n",
        )
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "1: zone \"Europe/Zurch\" is not in the time zone database; did you mean \"Europe/Zurich\"?",
                "2: a repository is a directory; URLs are not supported by this version",
                "7: there is another source named \"a\"",
                "9: unknown key \"x\" in [[source]]; known here: name, paths, exclude, one_file_system",
            ]
        );
    }

    #[test]
    fn what_is_not_toml_is_said_with_its_line() {
        let faults = read("zone = 'UTC'\npaths = [\n").unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("2:") || faults[0].starts_with("3:"), "{faults:?}");
        assert_eq!(read("").unwrap().sources.len(), 0);
    }
}
