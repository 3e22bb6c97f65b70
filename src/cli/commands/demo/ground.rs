//! The demo's own directory, and what lies where in it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use larder_sample::{ATTACHMENTS, DATABASE, Spec};
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::cli::commands::demo::scene::of_sample;
use crate::cli::commands::demo::story::Made;
use crate::cli::failure::{Failure, Result};

/// A directory that goes when the demo ends, unless a person named it.
#[derive(Debug)]
pub(super) struct Ground {
    root: PathBuf,
    temporary: Option<TempDir>,
}

impl Ground {
    /// The named directory, which must be missing or empty, or else a temporary one.
    pub(super) fn choose(named: Option<&Path>) -> Result<Self> {
        let (root, temporary) = if let Some(path) = named {
            (empty(path)?, None)
        } else {
            let made = temporary()?;
            (made.path().to_owned(), Some(made))
        };
        let root = fs::canonicalize(&root)
            .map_err(|error| Failure::io(format!("opening {}", root.display()), &error))?;
        Ok(Self { root, temporary })
    }

    /// True when it stays.
    pub(super) fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// The directory itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The application's directory.
    pub(super) fn live(&self) -> PathBuf {
        self.root.join("partshub")
    }

    /// The application's database.
    pub(super) fn database(&self) -> PathBuf {
        self.live().join(DATABASE)
    }

    /// larder's repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repo")
    }

    /// The archives of the other procedure.
    pub(super) fn tars(&self) -> PathBuf {
        self.root.join("tar")
    }

    /// The copy of the attachment that will be lost.
    pub(super) fn aside(&self) -> PathBuf {
        self.root.join("aside")
    }

    /// Where the lost attachment comes back to.
    pub(super) fn back(&self) -> PathBuf {
        self.root.join("back")
    }

    /// A directory for what is looked at and thrown away.
    pub(super) fn scratch(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix("scratch-")
            .tempdir_in(&self.root)
            .map_err(|error| Failure::io("making a temporary directory", &error))
    }

    /// Makes the application's directory.
    pub(super) fn make(&self, spec: &Spec) -> Result<Made> {
        for path in [self.tars(), self.aside(), self.back()] {
            fs::create_dir(&path)
                .map_err(|error| Failure::io(format!("making {}", path.display()), &error))?;
        }
        let made = larder_sample::make(spec, &self.live()).map_err(|error| of_sample(&error))?;
        Ok(Made {
            database_bytes: made.database_bytes,
            attachments: made.files as u64,
            attachments_bytes: made.file_bytes,
            landmark: format!("{ATTACHMENTS}/{}", made.landmark),
        })
    }
}

fn temporary() -> Result<TempDir> {
    let made = tempfile::Builder::new().prefix("larder-demo-").tempdir();
    made.map_err(|error| Failure::io("making a temporary directory", &error))
}

fn empty(path: &Path) -> Result<PathBuf> {
    let failed = |error| Failure::io(format!("the demo's directory {}", path.display()), &error);
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(path.to_owned()),
        Ok(false) => Err(Failure::failed(format!(
            "{} is not empty, and the demo never writes beside other data",
            path.display()
        ))
        .with_hint("name a directory that does not exist yet")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path).map_err(failed)?;
            Ok(path.to_owned())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Bytes of all files below a directory. What vanishes meanwhile counts nothing.
pub(super) fn bytes_below(directory: &Path) -> u64 {
    let entries = WalkDir::new(directory).into_iter().filter_map(std::result::Result::ok);
    let files = entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
    files.map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_anything_in_it_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("new/one");
        assert!(Ground::choose(Some(&inner)).unwrap().is_kept());
        fs::write(inner.join("mine"), b"12345").unwrap();
        assert!(matches!(Ground::choose(Some(&inner)), Err(Failure::Own { hint: Some(_), .. })));
        assert_eq!(bytes_below(outer.path()), 5);
    }

    #[test]
    fn what_nobody_named_goes() {
        let ground = Ground::choose(None).unwrap();
        let root = ground.root().to_owned();
        assert!(root.is_dir() && !ground.is_kept());
        drop(ground);
        assert!(!root.exists());
    }
}
