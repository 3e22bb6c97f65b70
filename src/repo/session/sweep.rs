//! Removing what dead writers left in `tmp/`.

use crate::id::SessionId;
use crate::repo::backend::{Backend, Refusal};
use crate::repo::error::Result;
use crate::repo::layout;
use crate::repo::locks::{is_abandoned, try_alone};

/// Empties the stages of writers that are dead. A writer that announced itself holds a lock on its marker while it lives; one that
/// did not holds `repository` shared, so when that can be had alone, it is dead too.
///
/// Where locks are refused, nothing says who lives, and nothing is removed.
pub(super) fn sweep_dead_stages(backend: &dyn Backend) -> Result<()> {
    let stages = backend.list(layout::TMP)?;
    if stages.is_empty() {
        return Ok(());
    }
    let alone = try_alone(backend)?;
    if backend.refusals().contains(&Refusal::Locks) {
        return Ok(());
    }
    for stage in stages.iter().filter(|stage| stage.is_dir) {
        if alone.is_some() || announced_and_dead(backend, &stage.name)? {
            backend.sweep_stage(&stage.name)?;
        }
    }
    Ok(())
}

fn announced_and_dead(backend: &dyn Backend, stage: &str) -> Result<bool> {
    match stage.parse::<SessionId>() {
        Ok(session) => is_abandoned(backend, &layout::session(&session)),
        Err(_) => Ok(false),
    }
}
