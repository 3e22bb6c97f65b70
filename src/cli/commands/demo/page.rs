//! The page that the demo prints.

use crate::cli::commands::demo::story::{Comparison, Loss, Made, Night, Proof, Work};
use crate::cli::output::units::{bytes, count};

/// A line of the page: what it is about, then what there is to say.
pub(super) fn line(label: &str, text: &str) -> String {
    format!(" {label:<8} {text}")
}

/// What was made.
pub(super) fn made(made: &Made) -> String {
    line(
        "made",
        &format!(
            "a PartsHub: {} database (WAL), {} attachments, {}; its application is writing",
            bytes(made.database_bytes),
            count(made.attachments),
            bytes(made.attachments_bytes)
        ),
    )
}

/// By how much the repository grew each night, and how the application fared meanwhile.
pub(super) fn week(nights: &[Night], work: &Work) -> Vec<String> {
    let grown: Vec<String> = nights
        .iter()
        .enumerate()
        .map(|(number, night)| match number {
            0 => format!("{} {}", night.day, bytes(night.added_bytes)),
            _ => format!("{} +{}", night.day, megabytes(night.added_bytes)),
        })
        .collect();
    let database = nights.last().map(|last| {
        let night = format!("+{} MB", megabytes(last.database_added_bytes));
        let whole = bytes(last.database_bytes);
        line("", &format!("of that the database: {} {night}, of {whole}", last.day))
    });
    let mut lines = vec![line("nights", &grown.join(", "))];
    lines.extend(database);
    lines.push(line(
        "",
        &format!(
            "application: {} commits/s, {} errors, slowest {} ms",
            count(work.commits_per_second),
            count(work.errors),
            count(work.slowest_ms)
        ),
    ));
    for night in nights {
        lines.extend(night.findings.iter().map(|it| line("", &format!("{}: {it}", night.day))));
    }
    lines
}

/// What was lost, and how it came back.
pub(super) fn loss(loss: &Loss) -> [String; 2] {
    let verdict = if loss.same_bytes {
        "byte for byte the file we kept aside"
    } else {
        "NOT the bytes of the file we kept aside"
    };
    [
        line("oops", &format!("deleted {}, row and file", loss.file)),
        line("back", &format!("from {} in {} ms, {verdict}", loss.from, count(loss.took_ms))),
    ]
}

/// What the snapshots are worth.
pub(super) fn proof(proof: &Proof) -> Vec<String> {
    let good = proof.databases.iter().filter(|database| database.fault.is_none()).count();
    let mut lines = vec![line(
        "proof",
        &format!(
            "{good} of {} databases are a commit of the writer's log; {} of {} blobs hash right",
            proof.databases.len(),
            count(proof.sound_blobs),
            count(proof.blobs)
        ),
    )];
    if proof.rows_without_file > 0 {
        lines.push(line(
            "",
            &format!(
                "rows whose file the same snapshot has not: {}, against the promise (README, P4)",
                count(proof.rows_without_file)
            ),
        ));
    }
    lines
}

/// Both procedures.
pub(super) fn comparison(it: &Comparison) -> String {
    let tar = match &it.tar_skipped {
        Some(why) if it.tars == 0 => format!("nightly tar: skipped, {why}"),
        _ => format!(
            "nightly tar of the same directory: {}, {} of {} databases torn",
            bytes(it.tar_bytes),
            it.tars_torn,
            it.tars
        ),
    };
    let larder = format!("larder: {}, {} torn", bytes(it.larder_bytes), it.larder_torn);
    line("compare", &format!("{tar}        {larder}"))
}

/// Hundredths of a megabyte, so that a night's figure can be compared with the next one's.
fn megabytes(bytes: u64) -> String {
    let hundredths = bytes.saturating_add(5_000) / 10_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
pub(super) use tests::invented;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::demo::story::{DatabaseProof, Story, Tar};

    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

    /// A week as it could have been.
    pub(in crate::cli::commands::demo) fn invented() -> Story {
        let night = |(number, day): (u64, &&str)| Night {
            day: (*day).to_owned(),
            time: format!("2026-11-{}T03:00:00+01:00", 16 + number),
            snapshot: "7f".repeat(32),
            added_bytes: if number == 0 { 12_100_000 } else { 304_000 + number * 10_000 },
            database_added_bytes: 61_000,
            database_bytes: 4_700_000,
            took_ms: 90,
            database: "committed",
            findings: Vec::new(),
            tar: Tar::Archive {
                bytes: 19_571_428,
                torn: (number % 2 == 0).then(|| "malformed".to_owned()),
            },
        };
        let database =
            |day: &&str| DatabaseProof { day: (*day).to_owned(), commit: Some(7), fault: None };
        Story {
            made: Made {
                database_bytes: 4_612_096,
                attachments: 158,
                attachments_bytes: 15_040_000,
                landmark: "attachments/3f/id/datasheets/ne555_datasheet_0a1b2c3d.pdf".to_owned(),
            },
            application: Work {
                commits: 4_240,
                commits_per_second: 212,
                uploads: 17,
                deletes: 15,
                errors: 0,
                first_error: String::new(),
                slowest_ms: 9,
            },
            nights: (0..).zip(&DAYS).map(night).collect(),
            loss: Loss {
                file: "ne555_datasheet.pdf".to_owned(),
                from: "Sat 21 Nov 03:00".to_owned(),
                asked: "2026-11-21".to_owned(),
                took_ms: 6,
                same_bytes: true,
            },
            proof: Proof {
                databases: DAYS.iter().map(database).collect(),
                blobs: 340,
                sound_blobs: 340,
                damage: Vec::new(),
                rows_without_file: 0,
            },
            comparison: Comparison {
                tars: 7,
                tar_bytes: 137_000_000,
                tars_torn: 4,
                tar_skipped: None,
                larder_bytes: 14_000_000,
                larder_torn: 0,
            },
            wrong: Vec::new(),
        }
    }

    #[test]
    fn the_page_is_as_the_design_has_it() {
        let it = invented();
        let mut page = vec![made(&it.made)];
        page.extend(week(&it.nights, &it.application));
        page.extend(loss(&it.loss));
        page.extend(proof(&it.proof));
        page.push(comparison(&it.comparison));
        assert_eq!(
            page,
            [
                " made     a PartsHub: 4.6 MB database (WAL), 158 attachments, 15.0 MB; its application is writing",
                " nights   Mon 12.1 MB, Tue +0.31, Wed +0.32, Thu +0.33, Fri +0.34, Sat +0.35, Sun +0.36",
                "          of that the database: Sun +0.06 MB, of 4.7 MB",
                "          application: 212 commits/s, 0 errors, slowest 9 ms",
                " oops     deleted ne555_datasheet.pdf, row and file",
                " back     from Sat 21 Nov 03:00 in 6 ms, byte for byte the file we kept aside",
                " proof    7 of 7 databases are a commit of the writer's log; 340 of 340 blobs hash right",
                " compare  nightly tar of the same directory: 137 MB, 4 of 7 databases torn        larder: 14.0 MB, 0 torn",
            ]
        );
    }

    #[test]
    fn what_is_less_than_good_is_said() {
        let mut it = invented();
        it.loss.same_bytes = false;
        it.nights[1].findings.push("a.pdf: changed while it was read".to_owned());
        it.proof.databases[0].fault = Some("mixed".to_owned());
        it.proof.rows_without_file = 2;
        let none =
            Comparison { tars: 0, tar_skipped: Some("no `tar`".to_owned()), ..it.comparison };
        assert!(loss(&it.loss)[1].contains("NOT the bytes"));
        assert!(
            week(&it.nights, &it.application)[3].ends_with("Tue: a.pdf: changed while it was read")
        );
        assert!(proof(&it.proof)[0].contains("6 of 7 databases"));
        assert!(proof(&it.proof)[1].contains("has not: 2, against the promise"));
        assert!(comparison(&none).contains("skipped, no `tar`"));
    }
}
