//! `larder demo`: a week of an application at work, its backups, a loss, and proof of what they are worth.
//!
//! Here lives the order of the acts, each of which is a file. Not here: the
//! application (`larder-sample`), and anything that only a demo could do: it
//! calls the use cases that the other commands call.
//!
//! Invariant: every figure on the page was measured in this run, whatever does
//! not hold makes the command fail, and nothing outside the demo's own
//! directory is touched.

use std::path::PathBuf;

use clap::Args;
use larder_sample::Spec;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::json::Document;

mod application;
mod calendar;
mod cost;
mod ground;
mod loss;
mod night;
mod page;
mod proof;
mod rival;
mod scene;
mod story;
mod try_it;
mod verdict;
mod watch;

use application::Application;
use calendar::Week;
use ground::Ground;
use scene::Scene;
use story::Story;
use watch::Watch;

/// Show larder at work on a made-up application: seven nights, a loss, the way back, and proof. Takes less than a minute.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Keep what the demo makes in DIR, which must be missing or empty
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// As little data as shows everything, for tests
    #[arg(long, hide = true)]
    tiny: bool,
}

/// Plays the demo. Fails when anything that it claims does not hold.
pub(crate) fn run(args: &DemoArgs, context: &Context) -> Result<Exit> {
    context.signals.watch()?;
    let ground = Ground::choose(args.dir.as_deref())?;
    let watch = Watch::new(context);
    let story =
        play(args, context, &ground, &watch).map_err(|failure| cut_off(failure, &ground))?;
    watch.finish();
    if context.console.form() != Form::Text {
        context.console.document(&Document::new(&story))?;
        return Ok(if story.wrong.is_empty() { Exit::Ok } else { Exit::Failed });
    }
    if ground.is_kept() {
        for line in try_it::lines(&ground, &story) {
            context.console.line(&line)?;
        }
    }
    if story.wrong.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failure::failed(format!("the demo did not hold: {}", story.wrong.join("; "))))
}

/// An interrupted demo is not taken up again, whatever is said of other commands.
fn cut_off(failure: Failure, ground: &Ground) -> Failure {
    let exit = failure.exit();
    if !matches!(exit, Exit::Interrupted(_)) {
        return failure;
    }
    let message = if ground.is_kept() {
        format!("interrupted; {} has what was made so far", ground.root().display())
    } else {
        "interrupted; nothing is kept".to_owned()
    };
    Failure::Own { exit, message, hint: None }
}

fn play(args: &DemoArgs, context: &Context, ground: &Ground, watch: &Watch<'_>) -> Result<Story> {
    let week = Week::before(&context.host, &context.settings.zone.rules)?;
    let spec = if args.tiny { Spec::tiny() } else { Spec::small() };
    watch.say("making an application's directory");
    let made = ground.make(&Spec { start_unix_s: week.start_unix_s(), ..spec })?;
    let scene = Scene::set(context, ground, watch)?;
    let application = Application::start(&ground.live())?;
    watch.line(&page::made(&made))?;
    let mut nights = week
        .nights()
        .map(|(day, time_ns)| night::pass(&scene, day, time_ns))
        .collect::<Result<Vec<_>>>()?;
    cost::of_nights(&scene, &mut nights)?;
    let loss = loss::lose_and_get_back(&scene, &week, &made)?;
    let application = application.stop()?;
    for line in page::week(&nights, &application).into_iter().chain(page::loss(&loss)) {
        watch.line(&line)?;
    }
    watch.say("proving it");
    let proof = proof::prove(&scene, &nights)?;
    let comparison = rival::compare(&scene, &nights, &proof);
    for line in page::proof(&proof).into_iter().chain([page::comparison(&comparison)]) {
        watch.line(&line)?;
    }
    let mut story = Story { made, application, nights, loss, proof, comparison, wrong: Vec::new() };
    story.wrong = verdict::faults(&story);
    Ok(story)
}
