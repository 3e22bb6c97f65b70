//! Which value counts: the command line's, else the environment's, else the configuration's, else the default.

use std::env;
use std::path::{Path, PathBuf};

use larder::sqlite::questions::ReferenceQuery;

use crate::cli::args::Globals;
use crate::cli::config::{self, Config, ConfigError};
use crate::cli::failure::{Failure, Result};
use crate::cli::zone::{self, Zone};

/// A value and who gave it.
#[derive(Debug, Clone)]
pub(crate) struct Given<T> {
    /// The value.
    pub(crate) value: T,
    /// Who gave it, for people.
    pub(crate) origin: String,
    /// True when nobody did.
    pub(crate) is_default: bool,
}

impl<T> Given<T> {
    fn by(value: T, origin: impl Into<String>) -> Self {
        Self { value, origin: origin.into(), is_default: false }
    }
}

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The configuration and its file, if there is one.
    pub(crate) config: Option<(PathBuf, Config)>,
    /// Who named the configuration file.
    pub(crate) config_origin: String,
    /// The repository; `None` when none is named and there is no home to put one in.
    pub(crate) repository: Option<Given<PathBuf>>,
    /// The time zone.
    pub(crate) zone: Zone,
}

/// The environment, as far as it is looked at.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    tz: Option<String>,
}

impl Environment {
    pub(crate) fn read() -> Self {
        let path = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        // By the XDG specification a relative path there is to be ignored.
        let xdg = |name: &str, below_home: &str| {
            let named = path(name).filter(|path| path.is_absolute());
            named.or_else(|| home.as_ref().map(|home| home.join(below_home)))
        };
        Self {
            data_home: xdg("XDG_DATA_HOME", ".local/share"),
            config_home: xdg("XDG_CONFIG_HOME", ".config"),
            tz: env::var("TZ").ok(),
            home,
        }
    }
}

/// The configuration file that counts, and who named it.
pub(crate) fn config_file(globals: &Globals, environment: &Environment) -> Option<Given<PathBuf>> {
    if let Some(path) = &globals.config {
        return Some(Given::by(path.clone(), globals.named("config", "LARDER_CONFIG")));
    }
    let here = PathBuf::from("larder.toml");
    let of_user = environment.config_home.as_ref().map(|home| home.join("larder/larder.toml"));
    let there = [Some(here), of_user].into_iter().flatten().find(|path| path.is_file());
    there.map(|path| Given { value: path, origin: "default".to_owned(), is_default: true })
}

/// Reads the configuration that counts.
pub(crate) fn load_config(
    globals: &Globals,
    environment: &Environment,
) -> std::result::Result<Option<(Given<PathBuf>, Config)>, ConfigError> {
    let Some(file) = config_file(globals, environment) else { return Ok(None) };
    let config = config::load(&file.value, environment.home.as_deref())?;
    Ok(Some((file, config)))
}

impl Settings {
    /// Puts together what command line, environment and configuration say.
    pub(crate) fn resolve(globals: &Globals, environment: &Environment) -> Result<Self> {
        let loaded = load_config(globals, environment)?;
        let origin = |line: usize, file: &Path| format!("{}:{line}", file.display());
        let zone = loaded.as_ref().and_then(|(file, config)| {
            let zone = config.zone.as_ref()?;
            Some((zone.value.as_str(), origin(zone.line, &file.value)))
        });
        let zone = zone::choose(zone, environment.tz.as_deref());
        let of_config = loaded.as_ref().and_then(|(file, config)| {
            let path = config.repository.as_ref()?;
            Some(Given::by(path.value.clone(), origin(path.line, &file.value)))
        });
        let repository = match &globals.repo {
            Some(path) => Some(named_repository(path, globals.named("repo", "LARDER_REPO"))?),
            None => of_config.or_else(|| default_repository(environment)),
        };
        let config_origin =
            loaded.as_ref().map_or_else(String::new, |(file, _)| file.origin.clone());
        let config = loaded.map(|(file, config)| (file.value, config));
        Ok(Self { config, config_origin, repository, zone })
    }

    /// The queries for files that the configuration gives.
    pub(crate) fn references(&self) -> Vec<ReferenceQuery> {
        let references = self.config.iter().flat_map(|(_, config)| &config.references);
        references.map(config::ReferenceConfig::query).collect()
    }

    /// Whether the queries that are built in are asked, too.
    pub(crate) fn built_in_references(&self) -> bool {
        let flag = self.config.as_ref().and_then(|(_, config)| config.built_in_references);
        flag.is_none_or(|flag| flag.value)
    }

    /// The sources of the configuration.
    pub(crate) fn sources(&self) -> &[config::SourceConfig] {
        self.config.as_ref().map_or(&[], |(_, config)| &config.sources)
    }
}

fn named_repository(path: &Path, origin: String) -> Result<Given<PathBuf>> {
    if path.to_str().is_some_and(|text| text.contains("://")) {
        let message = "a repository is a directory; URLs are not supported by this version";
        return Err(Failure::usage(message));
    }
    Ok(Given::by(path.to_owned(), origin))
}

fn default_repository(environment: &Environment) -> Option<Given<PathBuf>> {
    let value = environment.data_home.as_ref()?.join("larder/repo");
    Some(Given { value, origin: "default".to_owned(), is_default: true })
}
