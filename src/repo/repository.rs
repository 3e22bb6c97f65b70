//! Making a repository, and opening one.
//!
//! Opening reads one small object and nothing that grows with the repository.

use std::sync::Arc;

use crate::codec::config::{ChunkerConfig, CipherSuite, Config};
use crate::host::Host;
use crate::id::{HashKeys, RepositoryId};
use crate::repo::backend::{Backend, Key};
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::layout;
use crate::repo::locks::share_repository;
use crate::repo::named::read_object;

/// An open repository.
#[derive(Debug, Clone)]
pub struct Repository {
    backend: Arc<dyn Backend>,
    config: Config,
    keys: HashKeys,
    /// Config objects that are missing or bad; the other one served.
    config_damage: Vec<Damage>,
}

/// How to make a repository.
#[derive(Debug, Clone, Copy)]
pub struct InitOptions {
    /// How files are cut.
    pub chunker: ChunkerConfig,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self { chunker: ChunkerConfig { average_bytes: 1 << 20, whole_file_bytes: 4 << 20 } }
    }
}

impl Repository {
    /// Makes a repository where none is. Its config comes last: until then there is no repository, and making it again is allowed.
    pub fn init(
        backend: Arc<dyn Backend>,
        location: &str,
        options: InitOptions,
        host: &dyn Host,
    ) -> Result<Self> {
        refuse_what_is_there(&*backend, location)?;
        backend.create_directories(&layout::DIRECTORIES)?;
        // Whoever finds the first config must not sweep away the second.
        let _held = share_repository(&*backend)?;
        let mut id = [0; RepositoryId::LEN];
        host.fill_random(&mut id);
        let config = Config {
            repository: RepositoryId::from_bytes(id),
            created_ns: host.now_ns(),
            chunker: options.chunker,
            cipher: CipherSuite::None,
            extensions: Vec::new(),
        };
        let mut repository = Self::with_config(backend, config);
        repository.write_config(&[layout::config_copy(), layout::config()], host)?;
        repository.config_damage.clear();
        Ok(repository)
    }

    /// Opens a repository through either of its configs.
    pub fn open(backend: Arc<dyn Backend>, location: &str) -> Result<Self> {
        let mut damage = Vec::new();
        let mut found = None;
        for key in [layout::config(), layout::config_copy()] {
            match read_config(&*backend, &key) {
                Ok(config) if found.as_ref().is_none_or(|first| *first == config) => {
                    found = Some(config);
                }
                Ok(_) => damage.push(Damage::Object {
                    object: key.to_string(),
                    reason: "is the config of another repository".into(),
                }),
                Err(RepoError::Damaged(bad)) => damage.push(bad),
                Err(error) => return Err(error),
            }
        }
        let Some(config) = found else {
            return Err(no_config(&*backend, location, damage));
        };
        let mut repository = Self::with_config(backend, config);
        repository.config_damage = damage;
        Ok(repository)
    }

    fn with_config(backend: Arc<dyn Backend>, config: Config) -> Self {
        let keys = HashKeys::of_repository(&config.repository);
        Self { backend, config, keys, config_damage: Vec::new() }
    }

    /// Writes a config again that is missing; a bad one stays, for check to name it.
    pub(super) fn heal_config(&self, host: &dyn Host) -> Result<()> {
        let mut missing = Vec::new();
        for key in [layout::config_copy(), layout::config()] {
            match self.backend.stat(&key) {
                Ok(_) => {}
                Err(error) if error.is_not_found() => missing.push(key),
                Err(error) => return Err(error.into()),
            }
        }
        if missing.is_empty() { Ok(()) } else { self.write_config(&missing, host) }
    }

    /// Makes the directories again that are missing: empty ones are easily lost when a repository is copied by hand.
    pub(super) fn heal_directories(&self) -> Result<()> {
        let there = self.backend.list("")?;
        let is_there = |name: &str| there.iter().any(|it| it.is_dir && it.name == name);
        let missing: Vec<_> =
            layout::DIRECTORIES.into_iter().filter(|name| !is_there(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Ok(self.backend.create_directories(&missing)?)
    }

    fn write_config(&self, keys: &[Key], host: &dyn Host) -> Result<()> {
        let bytes = self.config.to_file().map_err(RepoError::Encode)?;
        let stage = self.backend.stage(&format!("init-{}", random_name(host)))?;
        for key in keys {
            stage.put(key, &bytes)?;
            stage.barrier()?;
        }
        Ok(())
    }

    /// Where its objects are.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// What it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its identity.
    pub fn id(&self) -> &RepositoryId {
        &self.config.repository
    }

    /// Its hash keys.
    pub fn keys(&self) -> &HashKeys {
        &self.keys
    }

    /// What was wrong with one of the configs at opening.
    pub fn config_damage(&self) -> &[Damage] {
        &self.config_damage
    }
}

/// A name that no other writer uses.
pub(super) fn random_name(host: &dyn Host) -> String {
    let mut bytes = [0; crate::id::SessionId::LEN];
    host.fill_random(&mut bytes);
    crate::id::SessionId::from_bytes(bytes).to_string()
}

fn read_config(backend: &dyn Backend, key: &Key) -> Result<Config> {
    let damage = |reason| Damage::Object { object: key.to_string(), reason };
    let Some(bytes) = read_object(backend, key)? else {
        return Err(damage("is missing".into()).into());
    };
    match Config::from_file(&bytes) {
        Ok(config) => Ok(config),
        Err(error) if error.is_too_new() => Err(RepoError::Unsupported { what: error.to_string() }),
        Err(error) => Err(damage(error.to_string()).into()),
    }
}

/// Neither config served: either there is no repository, or both are damaged.
fn no_config(backend: &dyn Backend, location: &str, mut damage: Vec<Damage>) -> RepoError {
    let exists = |key: Key| backend.stat(&key).is_ok();
    if exists(layout::config()) || exists(layout::config_copy()) {
        return damage.swap_remove(0).into();
    }
    RepoError::NoRepository { location: location.to_owned() }
}

fn refuse_what_is_there(backend: &dyn Backend, location: &str) -> Result<()> {
    let in_the_way = |reason: &str| RepoError::InTheWay {
        location: location.to_owned(),
        reason: reason.to_owned(),
    };
    for key in [layout::config(), layout::config_copy()] {
        match backend.stat(&key) {
            Ok(_) => return Err(in_the_way("is a repository already")),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !backend.list(layout::PACKS)?.is_empty() {
        return Err(in_the_way(
            "holds packs but no config: a repository that lost both; put one of them back from a copy",
        ));
    }
    let foreign = backend
        .list("")?
        .into_iter()
        .find(|object| !layout::DIRECTORIES.contains(&object.name.as_str()));
    match foreign {
        Some(object) if object.name != "lost+found" => Err(in_the_way(&format!(
            "is not empty: it holds {:?}, which is not larder's",
            object.name
        ))),
        _ => Ok(()),
    }
}
