//! `larder init`: makes a repository.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Args;
use larder::ops::open::init_local;
use larder::repo::repository::{InitOptions, Repository};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::json::{self, Document};
use crate::cli::output::{times, wording};
use crate::cli::shell;

/// Make a repository in the directory that --repo names, missing or empty; without --repo, in the default
/// place, as the first backup does by itself.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {}

#[derive(Serialize)]
struct InitBody {
    repository: RepositoryBody,
}

#[derive(Serialize)]
struct RepositoryBody {
    #[serde(flatten)]
    path: json::Path,
    id: String,
    created: String,
    zone: String,
}

/// Runs the command.
pub(crate) fn run(_: &InitArgs, context: &Context) -> Result<Exit> {
    let repository = make(context)?;
    let place = &context.place()?.value;
    if context.console.form() == Form::Document {
        let clock = context.clock();
        let body = InitBody {
            repository: RepositoryBody {
                path: json::Path::of(place.as_os_str().as_bytes()),
                id: repository.id().to_string(),
                created: times::rfc3339(repository.config().created_ns, clock.zone),
                zone: clock.name.to_owned(),
            },
        };
        context.console.document(&Document::new(body))?;
    } else if context.console.is_quiet() {
        context.console.line(&repository.id().to_string())?;
    } else {
        let id = repository.id().short();
        context.console.line(&format!("repository {id} made in {}", place.display()))?;
    }
    Ok(Exit::Ok)
}

/// Makes the repository that is meant, and says what its storage cannot promise.
pub(crate) fn make(context: &Context) -> Result<Repository> {
    let given = context.place()?;
    let place = &given.value;
    let above = std::path::absolute(place).ok().and_then(|it| it.parent().map(Path::to_owned));
    if let Some(above) = above.filter(|above| !above.exists()) {
        // A mistyped path must not become a repository; the default one is never mistyped.
        if !given.is_default {
            let what = format!("{} does not exist", above.display());
            let hint = format!("mkdir -p {}", shell::word(&above.to_string_lossy()));
            return Err(Failure::failed(what).with_hint(hint));
        }
        make_durably(&above)
            .map_err(|error| Failure::io(format!("making {}", above.display()), &error))?;
    }
    let repository = init_local(place, InitOptions::default(), &context.host)?;
    for refusal in repository.backend().refusals() {
        context.console.storage(wording::refusal(refusal));
    }
    Ok(repository)
}

/// Makes a directory and those above it; each is there after a power loss.
fn make_durably(directory: &Path) -> io::Result<()> {
    let Some(above) = directory.parent() else { return Ok(()) };
    if !above.exists() {
        make_durably(above)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| File::open(above)?.sync_all()),
    }
}
