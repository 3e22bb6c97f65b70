//! Whether everything that the demo claims did hold.

use crate::cli::commands::demo::story::Story;
use crate::cli::output::units::count;

/// The application must have been at work in earnest.
const LEAST_COMMITS_PER_SECOND: u64 = 100;

const NIGHTS: usize = 7;

/// What did not hold, a sentence each. Archives with a torn database do not fail the demo: they are what it shows.
pub(super) fn faults(story: &Story) -> Vec<String> {
    let mut faults = of_the_application(story);
    faults.extend(of_the_nights(story));
    if !story.loss.same_bytes {
        faults.push(format!("{} came back with other bytes", story.loss.file));
    }
    faults.extend(of_the_proof(story));
    faults
}

fn of_the_application(story: &Story) -> Vec<String> {
    let mut faults = Vec::new();
    let work = &story.application;
    if work.errors > 0 {
        faults.push(format!(
            "the application met {} errors, the first: {}",
            count(work.errors),
            work.first_error
        ));
    }
    if work.commits_per_second < LEAST_COMMITS_PER_SECOND {
        faults.push(format!(
            "the application made {} commits a second, {LEAST_COMMITS_PER_SECOND} at least are needed for the demo to show anything; is the machine busy?",
            work.commits_per_second
        ));
    }
    faults
}

fn of_the_nights(story: &Story) -> Vec<String> {
    let mut faults = Vec::new();
    if story.nights.len() != NIGHTS {
        faults.push(format!("there are {} nights", story.nights.len()));
    }
    for night in story.nights.iter().filter(|night| night.database != "committed") {
        faults.push(format!("{}'s database is {}", night.day, night.database));
    }
    faults
}

fn of_the_proof(story: &Story) -> Vec<String> {
    let mut faults = Vec::new();
    let proof = &story.proof;
    if proof.databases.len() != story.nights.len() {
        faults.push("not every night's database was restored".to_owned());
    }
    for database in &proof.databases {
        if let Some(fault) = &database.fault {
            faults.push(format!("{}'s database is torn: {fault}", database.day));
        }
    }
    if proof.rows_without_file > 0 {
        faults.push(format!(
            "{} rows name a file that their snapshot has not",
            count(proof.rows_without_file)
        ));
    }
    if proof.blobs == 0 || proof.sound_blobs != proof.blobs {
        faults.push(format!("{} of {} blobs hash right", proof.sound_blobs, proof.blobs));
    }
    faults.extend(proof.damage.iter().map(|damage| format!("damage: {damage}")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::demo::page::invented;
    use crate::cli::commands::demo::story::Tar;

    #[test]
    fn a_good_week_has_no_faults_whatever_became_of_the_archives() {
        let mut story = invented();
        assert_eq!(faults(&story), [""; 0]);
        for night in &mut story.nights {
            night.tar = Tar::Skipped("no tar".to_owned());
        }
        assert_eq!(faults(&story), [""; 0]);
    }

    /// Something that breaks a week.
    type Breaking = fn(&mut Story);

    #[test]
    fn whatever_does_not_hold_is_a_fault() {
        let broken: [(Breaking, &str); 11] = [
            (|story| story.application.errors = 1, "met 1 errors"),
            (|story| story.application.commits_per_second = 99, "99 commits a second"),
            (|story| drop(story.nights.pop()), "6 nights"),
            (|story| story.nights[2].database = "crash-image", "Wed's database is crash-image"),
            (|story| story.loss.same_bytes = false, "other bytes"),
            (|story| drop(story.proof.databases.pop()), "not every night"),
            (
                |story| story.proof.databases[4].fault = Some("mixed".into()),
                "Fri's database is torn: mixed",
            ),
            (|story| story.proof.rows_without_file = 2, "2 rows name a file"),
            (|story| story.proof.sound_blobs -= 1, "339 of 340 blobs"),
            (|story| (story.proof.blobs, story.proof.sound_blobs) = (0, 0), "0 of 0 blobs"),
            (|story| story.proof.damage.push("packs/ab is missing".into()), "damage: packs/ab"),
        ];
        for (breaking, said) in broken {
            let mut story = invented();
            breaking(&mut story);
            let found = faults(&story);
            assert!(found.iter().any(|fault| fault.contains(said)), "{said}: {found:?}");
        }
    }
}
