//! Which name a source has.

use std::path::{Path, PathBuf};

use crate::codec::names::source_name_fault;
use crate::repo::snapshots::{Listing, Snapshot};

/// Why no name could be given to a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// The name is used for other roots.
    #[error("source {name:?} is used for {}, not for {}", list(.recorded), list(.given))]
    OtherRoots {
        /// The name.
        name: String,
        /// The roots that its newest snapshot has.
        recorded: Vec<PathBuf>,
        /// The roots of this run.
        given: Vec<PathBuf>,
    },
    /// The name cannot be used.
    #[error("{name:?} cannot be a source's name: {rule}")]
    Unfit {
        /// The name.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
}

/// Roots in a message.
pub(super) fn list(roots: &[PathBuf]) -> String {
    roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The name of the source with these roots: the wanted one, else the one under which they were saved last, else `partshub` for a
/// `PartsHub` directory, else the last component of the first root. `moved` accepts other roots for a name that exists.
pub fn source_name(
    listing: &Listing,
    roots: &[PathBuf],
    wanted: Option<&str>,
    moved: bool,
) -> Result<String, NamingError> {
    let name = match wanted {
        Some(name) => name.to_owned(),
        None => saved_as(listing, roots).unwrap_or_else(|| natural_name(roots)),
    };
    fit(&name)?;
    match listing.newest(&name) {
        Some(newest) if !moved && roots_of(newest) != roots => {
            Err(NamingError::OtherRoots { name, recorded: roots_of(newest), given: roots.to_vec() })
        }
        _ => Ok(name),
    }
}

fn saved_as(listing: &Listing, roots: &[PathBuf]) -> Option<String> {
    let same = listing.snapshots.iter().filter(|snapshot| roots_of(snapshot) == roots);
    same.max_by_key(|snapshot| snapshot.record.started_ns)
        .map(|snapshot| snapshot.record.source.clone())
}

fn natural_name(roots: &[PathBuf]) -> String {
    if roots.iter().any(|root| root.join("partshub.db").is_file()) {
        return "partshub".to_owned();
    }
    let last = roots.first().and_then(|root| root.file_name());
    last.map_or_else(
        || "root".to_owned(),
        |name| name.to_string_lossy().replace(|c: char| c.is_control(), "_"),
    )
}

fn fit(name: &str) -> Result<(), NamingError> {
    match source_name_fault(name) {
        Some(rule) => Err(NamingError::Unfit { name: name.to_owned(), rule }),
        None => Ok(()),
    }
}

/// The roots of a snapshot as paths.
pub fn roots_of(snapshot: &Snapshot) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let path = |bytes: &[u8]| Path::new(std::ffi::OsStr::from_bytes(bytes)).to_path_buf();
    snapshot.record.roots.iter().map(|root| path(&root.path)).collect()
}
