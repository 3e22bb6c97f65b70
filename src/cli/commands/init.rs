//! `larder init`: makes a repository.

use std::os::unix::ffi::OsStrExt;

use clap::Args;
use larder::ops::open::init_local;
use larder::repo::repository::{InitOptions, Repository};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::console::Form;
use crate::cli::output::json::{Document, Path};
use crate::cli::output::{times, wording};

/// Makes the repository that --repo names, in a directory that is missing or empty. It is written last
/// of all: an interrupted init is made good by another one.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {}

#[derive(Serialize)]
struct InitBody {
    repository: RepositoryBody,
}

#[derive(Serialize)]
struct RepositoryBody {
    #[serde(flatten)]
    path: Path,
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
                path: Path::of(place.as_os_str().as_bytes()),
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
    let place = &context.place()?.value;
    let repository = init_local(place, InitOptions::default(), &context.host)?;
    for refusal in repository.backend().refusals() {
        context.console.storage(wording::refusal(refusal));
    }
    Ok(repository)
}
