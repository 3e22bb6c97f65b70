//! Where captured databases are kept until they are stored, or looked at.

use std::env;
use std::path::{Path, PathBuf};

use larder::ops::open::directory_identity;
use larder::sqlite::private_dir::PrivateDir;

use crate::cli::failure::{Failure, Result};

/// The directory of the spool.
///
/// Where it lies inside of what is saved, it is a directory of its own, which the walk can stay out of without leaving out
/// anything of the user's.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    own: Option<PrivateDir>,
}

impl Spool {
    /// The directory that was asked for, else the system's for temporary files.
    pub(crate) fn find(asked: Option<&Path>, repository: &Path, roots: &[PathBuf]) -> Result<Self> {
        let named = asked
            .map(Path::to_owned)
            .or_else(|| env::var_os("TMPDIR").filter(|dir| !dir.is_empty()).map(PathBuf::from));
        let given = named.unwrap_or_else(|| PathBuf::from("/var/tmp"));
        let unusable = |error| {
            Failure::io(format!("spool directory {}", given.display()), &error)
                .with_hint("add --spool DIR")
        };
        let dir = given.canonicalize().map_err(unusable)?;
        if is_within(&dir, repository) {
            let what = format!("spool directory {} is inside the repository", given.display());
            return Err(Failure::usage(what).with_hint("add --spool DIR"));
        }
        if !roots.iter().any(|root| is_within(&dir, root)) {
            return Ok(Self { dir, own: None });
        }
        let own = PrivateDir::create_in(&dir, "larder-spool-").map_err(unusable)?;
        Ok(Self { dir: own.path().to_owned(), own: Some(own) })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the walk must stay out of.
    pub(crate) fn never_enter(&self) -> Option<(u64, u64)> {
        self.own.as_ref().and_then(|own| directory_identity(own.path()))
    }
}

/// True when the canonical path is the directory or lies below it, by whatever names.
fn is_within(path: &Path, directory: &Path) -> bool {
    let Some(directory) = directory_identity(directory) else { return false };
    path.ancestors().any(|above| directory_identity(above) == Some(directory))
}
