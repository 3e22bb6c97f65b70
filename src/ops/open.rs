//! Opening and making repositories in the file system.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::repo::backend::Backend;
use crate::repo::backend::local::LocalBackend;
use crate::repo::disk::real::RealDisk;
use crate::repo::disk::{DiskError, DiskErrorKind};
use crate::repo::error::RepoError;
use crate::repo::repository::{InitOptions, Repository};

/// Opens the repository in a directory.
pub fn open_local(path: &Path) -> Result<Repository> {
    let location = path.display().to_string();
    let disk = match RealDisk::open(path) {
        Ok(disk) => disk,
        Err(error) if error.kind() == DiskErrorKind::NotFound => {
            return Err(RepoError::NoRepository { location }.into());
        }
        Err(error) => return Err(io_error(path, error)),
    };
    Ok(Repository::open(backend(disk), &location)?)
}

/// Makes a repository in a directory, which may be missing or empty.
pub fn init_local(path: &Path, options: InitOptions, host: &dyn Host) -> Result<Repository> {
    let disk = RealDisk::create(path).map_err(|error| io_error(path, error))?;
    Ok(Repository::init(backend(disk), &path.display().to_string(), options, host)?)
}

fn backend(disk: RealDisk) -> Arc<dyn Backend> {
    Arc::new(LocalBackend::new(Arc::new(disk)))
}

/// Device and inode of a directory, by which a walk recognises what it must not enter.
pub fn directory_identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn io_error(path: &Path, error: DiskError) -> Error {
    Error::Io { what: format!("opening {}", path.display()), source: error.source }
}
