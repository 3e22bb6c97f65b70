//! `larder prune` as a person uses it: what goes, what waits, who is in the way.

use std::fs;
use std::io::{BufRead, BufReader, Read};

use super::rig::Rig;

/// Two nights, of which the first had a file of its own and was forgotten.
fn forgotten() -> Rig {
    let rig = Rig::new();
    rig.write("app/large.bin", incompressible());
    let first = rig.backup_at("2026-11-22T03:00:00+01:00");
    fs::remove_file(rig.path("app/large.bin")).unwrap();
    rig.backup_at("2026-11-23T03:00:00+01:00");
    rig.run(&["forget", &first]).out_of(0);
    rig
}

/// Bytes that do not compress.
fn incompressible() -> Vec<u8> {
    let mut bytes = vec![0; 90_000];
    blake3::Hasher::new().update(b"large").finalize_xof().fill(&mut bytes);
    bytes
}

fn packs(rig: &Rig) -> usize {
    fs::read_dir(rig.repository().join("packs")).unwrap().count()
}

#[test]
fn what_goes_is_said_and_until_when_it_could_come_back() {
    let rig = forgotten();
    let before = packs(&rig);
    let dry = rig.run(&["prune", "--dry-run"]);
    let out = dry.out_of(0);
    assert!(out.contains("\n  removed     ") && out.contains(" kB, to the trash\n"), "{out}");
    assert!(out.contains("\ndry run: nothing was changed; 0 B would be freed now, "), "{out}");
    assert_eq!(packs(&rig), before);

    let out = rig.run(&["prune"]).out_of(0).to_owned();
    assert!(out.starts_with("  snapshots   1 snapshot: what they need stays"), "{out}");
    assert!(out.contains(" kB, now in the trash\n"), "{out}");
    assert!(out.contains("1 forgotten snapshot; freed by a prune "), "{out}");
    assert!(
        out.contains("\nfreed 0 B now; ") && out.contains(" kB when the trash is emptied"),
        "{out}"
    );
    assert!(packs(&rig) < before);

    let out = rig.run(&["prune", "--grace", "0"]).out_of(0).to_owned();
    assert!(out.contains("\n  freed       ") && out.contains(", 1 forgotten snapshot\n"), "{out}");
    assert!(!out.contains("\n  trash "), "{out}");
    assert_eq!(fs::read_dir(rig.repository().join("trash")).unwrap().count(), 0);
    let out = rig.run(&["prune"]).out_of(0).to_owned();
    assert!(out.contains("\nnothing to free    "), "{out}");
    assert_eq!(rig.run(&["prune", "-q"]).out_of(0), "");
    rig.run(&["check", "--read-data"]).out_of(0);
}

#[test]
fn a_missing_snapshot_stops_it_and_is_named() {
    let rig = Rig::saved();
    rig.write("app/new.txt", "new");
    rig.backup_at("2026-11-23T03:00:00+01:00");
    let first = rig.json(&["snapshots"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    fs::remove_file(rig.repository().join("snapshots").join(&first)).unwrap();
    let run = rig.run(&["prune"]);
    let said = run.err_of(20);
    let short = &first[..8];
    assert!(said.starts_with(&format!("error: snapshot {short} of \"app\" is missing")), "{said}");
    assert!(said.contains(&format!("larder forget {first}")), "{said}");
    rig.run(&["forget", &first]).out_of(0);
    rig.run(&["prune"]).out_of(0);
}

#[test]
fn who_is_in_the_way_is_said_and_waited_for() {
    let rig = Rig::saved();
    let lock = rig.repository().join("locks/maintenance");
    let held = fs::File::create(&lock).unwrap();
    fs2::FileExt::lock_exclusive(&held).unwrap();
    let run = rig.run(&["prune", "--lock-wait", "300ms"]);
    let said = run.err_of(11);
    assert!(said.contains(" is in use"), "{said}");
    let mut waiting = rig.command(&["prune", "--lock-wait", "1m"]).spawn().unwrap();
    let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let note = lines.next().unwrap().unwrap();
    assert!(note.starts_with("note: waiting: ") && note.contains(" is in use"), "{note}");
    drop(held);
    let mut out = String::new();
    waiting.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(waiting.wait().unwrap().success(), "{out}");
}

#[test]
fn a_prune_that_is_at_work_is_named_with_process_and_time() {
    let rig = Rig::saved();
    // Shared by somebody: the first prune has something to switch and waits for its moment.
    rig.write("app/new.txt", "new");
    let first = rig.backup_at("2026-11-23T03:00:00+01:00");
    rig.run(&["forget", &first]).out_of(0);
    let lock = fs::File::open(rig.repository().join("locks/repository")).unwrap();
    fs2::FileExt::lock_shared(&lock).unwrap();
    let mut first = rig.command(&["prune", "--lock-wait", "1m"]).spawn().unwrap();
    let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("note: waiting: the repository is in use"));
    let second = rig.run(&["prune", "--lock-wait", "0s"]);
    let said = second.err_of(11);
    let who = "`larder prune --lock-wait 1m` on ";
    assert!(said.contains(who), "{said}");
    assert!(said.contains(&format!(" (process {}, since ", first.id())), "{said}");
    drop(lock);
    assert!(first.wait().unwrap().success());
}
