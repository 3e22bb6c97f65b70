//! What people do without larder: `tar czf` of the living directory, every night, each archive a full copy.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use larder_sample::{DATABASE, oracle};

use crate::cli::commands::demo::ground::bytes_below;
use crate::cli::commands::demo::scene::{Scene, causes};
use crate::cli::commands::demo::story::{Comparison, Night, Proof, Tar};
use crate::cli::failure::{Failure, Result};

/// Makes the night's archive, and looks at the database in it.
pub(super) fn nightly(scene: &Scene<'_>, date: &str) -> Result<Tar> {
    let archive = scene.ground.tars().join(format!("partshub-{date}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(scene.ground.live()).arg(".");
    let status = match quiet(&mut tar).status() {
        Ok(status) => status,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Tar::Skipped("there is no `tar` on this machine".to_owned()));
        }
        Err(error) => return Err(Failure::io("starting tar", &error)),
    };
    // 1 says that files changed under its hands, which is what the procedure is used to.
    if !matches!(status.code(), Some(0 | 1)) {
        return Ok(Tar::Skipped(format!("`tar -czf` failed ({status})")));
    }
    let bytes = fs::metadata(&archive)
        .map_err(|error| Failure::io(format!("looking at {}", archive.display()), &error))?
        .len();
    Ok(Tar::Archive { bytes, torn: fault(scene, &archive)? })
}

/// Why the database in the archive is no commit of the application.
fn fault(scene: &Scene<'_>, archive: &Path) -> Result<Option<String>> {
    let scratch = scene.ground.scratch()?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(scratch.path());
    // The files beside it belong to it; one that is not in the archive is no failure.
    tar.args(["", "-wal", "-shm"].map(|suffix| format!("./{DATABASE}{suffix}")));
    quiet(&mut tar).status().map_err(|error| Failure::io("starting tar", &error))?;
    let database = scratch.path().join(DATABASE);
    Ok(oracle::check(&database).err().map(|torn| causes(&torn)))
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Both procedures, over the whole week.
pub(super) fn compare(scene: &Scene<'_>, nights: &[Night], proof: &Proof) -> Comparison {
    let mut comparison = Comparison {
        tars: 0,
        tar_bytes: 0,
        tars_torn: 0,
        tar_skipped: None,
        larder_bytes: bytes_below(&scene.ground.repository()),
        larder_torn: proof.databases.iter().filter(|it| it.fault.is_some()).count() as u64,
    };
    for night in nights {
        match &night.tar {
            Tar::Archive { bytes, torn } => {
                comparison.tars += 1;
                comparison.tar_bytes += bytes;
                comparison.tars_torn += u64::from(torn.is_some());
            }
            Tar::Skipped(why) => comparison.tar_skipped = Some(why.clone()),
        }
    }
    comparison
}
