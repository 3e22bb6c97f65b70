//! `larder forget` as a person uses it: nights, policies, the brake, names, the way back.

use std::fs;

use jiff::civil::{Date, date};
use rusqlite::Connection;
use serde_json::Value;

use super::rig::{Rig, damage, only_file};

const SEED: &str =
    "zone = 'Europe/Zurich'\n[retention]\ndaily = 7\nweekly = 4\nmonthly = 'forever'\n";

/// Saves the source once a night at 03:00, from this day on.
fn nights(rig: &Rig, first: Date, count: i64) -> Vec<String> {
    let save = |n| {
        let day = first.checked_add(jiff::Span::new().days(n)).unwrap();
        rig.write("app/readme.txt", format!("night {day}\n"));
        rig.backup_at(&format!("{day} 03:00"))
    };
    (0..count).map(save).collect()
}

/// The nights that there are, oldest first, as `MM-DD`.
fn there(rig: &Rig, source: &str) -> Vec<String> {
    let document = rig.json(&["snapshots", "--source", source]);
    let snapshots = document["snapshots"].as_array().unwrap();
    let mut days: Vec<&str> = snapshots.iter().map(|it| it["time"].as_str().unwrap()).collect();
    days.sort_unstable();
    days.into_iter().map(|time| time[5..10].to_owned()).collect()
}

fn forget(rig: &Rig, arguments: &[&str], code: i32) -> (String, String) {
    let run = rig.run(&[&["forget"], arguments].concat());
    (run.out_of(code).to_owned(), run.err.clone())
}

#[test]
fn sixty_nights_of_a_new_user() {
    let rig = Rig::new();
    nights(&rig, date(2025, 9, 23), 60);
    let none = rig.run(&["forget"]);
    let said = none.err_of(2);
    assert!(said.starts_with("error: no policy says which snapshots to keep"), "{said}");
    assert!(said.contains("hint: larder forget --keep-daily 7 --keep-weekly 4"), "{said}");
    assert_eq!(there(&rig, "app").len(), 60);

    rig.write("work/larder.toml", SEED);
    let (dry, _) = forget(&rig, &["--dry-run"], 0);
    assert!(
        dry.starts_with("policy  7 daily, 4 weekly, monthly for ever   (larder.toml:3)\n"),
        "{dry}"
    );
    assert!(dry.contains("would be remembered by the repository"), "{dry}");
    assert!(dry.ends_with("\nwould forget 49 of 60 snapshots\n"), "{dry}");
    assert_eq!(there(&rig, "app").len(), 60, "a dry run changes nothing");

    let (out, err) = forget(&rig, &[], 0);
    assert_eq!(err.matches("error").count(), 0, "{err}");
    assert!(out.contains("Fri 21 Nov 2025 03:00  daily 1/7, weekly 1/4, monthly 1"), "{out}");
    assert!(
        out.contains("Sat  1 Nov 2025 03:00  weekly 4/4") || out.contains("Sun  2 Nov 2025"),
        "{out}"
    );
    assert!(out.contains("GOES      TAKEN") && out.contains("-v shows each"), "{out}");
    assert!(out.contains("\nforgotten: 49 of 60 snapshots; 11 stay\n"), "{out}");
    assert_eq!(there(&rig, "app").len(), 11);

    let (again, _) = forget(&rig, &[], 0);
    assert!(again.ends_with("\nnothing to forget: 11 snapshots stay\n"), "{again}");
    assert!(!again.contains("remembered"), "{again}");
    // Without the configuration the repository still knows.
    fs::remove_file(rig.path("work/larder.toml")).unwrap();
    let (stored, _) = forget(&rig, &[], 0);
    assert!(
        stored.starts_with("policy  7 daily, 4 weekly, monthly for ever   (the repository)\n"),
        "{stored}"
    );
}

#[test]
fn what_stays_is_what_the_rules_say() {
    let rig = Rig::new();
    nights(&rig, date(2025, 9, 23), 60);
    let arguments = ["--keep-daily", "7", "--keep-weekly", "4", "--keep-monthly", "forever"];
    let (out, _) = forget(&rig, &arguments, 0);
    assert!(out.contains("(the command line, for this run)"), "{out}");
    let kept = there(&rig, "app");
    let sundays = ["11-02", "11-09", "11-16"];
    assert!(sundays.iter().all(|day| kept.contains(&(*day).to_owned())), "{kept:?}");
    assert!(["09-30", "10-31"].iter().all(|day| kept.contains(&(*day).to_owned())), "{kept:?}");
    assert!(kept.ends_with(&["11-20".to_owned(), "11-21".to_owned()]), "{kept:?}");
    // Rules of one run are not remembered.
    rig.run(&["forget"]).err_of(2);
}

#[test]
fn the_configuration_wins_and_the_repository_is_told() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 5);
    rig.write("work/larder.toml", SEED);
    let (first, _) = forget(&rig, &[], 0);
    assert!(first.contains("is remembered now by the repository, for runs without"), "{first}");
    rig.write("work/larder.toml", "[retention]\nkeep_last = 2\n");
    let (second, _) = forget(&rig, &[], 0);
    assert!(second.contains("which said: 7 daily, 4 weekly, monthly for ever"), "{second}");
    assert_eq!(there(&rig, "app"), ["11-13", "11-14"]);
    rig.write("work/larder.toml", "zone = 'Asia/Tokyo'\n");
    let (zone, _) = forget(&rig, &[], 0);
    assert!(zone.contains("which said: the last 2, days in Europe/Zurich"), "{zone}");
    assert!(zone.contains("times in Asia/Tokyo"), "{zone}");
    let json = rig.json(&["forget", "--keep-last", "1", "--dry-run"]);
    assert_eq!(
        (&json["policy_origin"], &json["policy_stored"]),
        (&"command_line".into(), &false.into())
    );
}

#[test]
fn sources_and_tags_are_decided_apart() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 4);
    let other = rig.arg("app/attachments");
    for (day, tag) in [(10, "hourly"), (11, "hourly"), (12, "nightly"), (13, "nightly")] {
        let time = format!("2025-11-{day} 03:00");
        rig.run(&["backup", "-q", "--source", "b", "--tag", tag, "--time", &time, &other])
            .out_of(0);
    }
    forget(&rig, &["--source", "app", "--keep-last", "1"], 0);
    assert_eq!((there(&rig, "app").len(), there(&rig, "b").len()), (1, 4));
    forget(&rig, &["--tag", "hourly", "--keep-last", "1"], 0);
    assert_eq!(there(&rig, "b"), ["11-11", "11-12", "11-13"]);
    forget(&rig, &["--keep-last", "1", "--keep-tag", "hourly"], 0);
    assert_eq!(there(&rig, "b"), ["11-11", "11-13"]);
    let unknown = rig.run(&["forget", "--source", "c", "--keep-last", "1"]);
    assert!(
        unknown.err_of(1).contains("no snapshot of a source \"c\"; sources here: app, b"),
        "{}",
        unknown.err
    );
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let rig = Rig::saved();
    for (arguments, said) in [
        (&["--keep-daily", "-1"][..], "write a whole number from 0, or forever"),
        (&["--keep-daily=many"], "write a whole number from 0, or forever"),
        (
            &["--keep-daily", "0", "--keep-last", "0"],
            "these rules keep nothing: all of them are off",
        ),
        (&["--keep-within", "30"], "write a length of time like 12h, 30d or 8w"),
        (&["--keep-tag", ""], "an empty name"),
        (&["--keep-secondly", "1"], "unexpected argument"),
        (&["latest", "--keep-last", "1"], "cannot be used with"),
        (&["--preview", "0d", "--keep-last", "1"], "a preview shows 1 to 3,660 days"),
        (&["--lock-wait", "soon", "--keep-last", "1"], "write a duration"),
    ] {
        let run = rig.run(&[&["forget"], arguments].concat());
        assert!(run.err_of(2).contains(said), "{arguments:?}: {}", run.err);
    }
    for (policy, said) in [
        ("daily = -1", "must be a whole number from 0, or \"forever\""),
        ("daily = 0\nweekly = 0", "[retention] keeps nothing: every rule in it is off"),
        ("keep_daily = 7", "did you mean \"daily\"?"),
        ("monthly = 'always'", "must be a whole number from 0, or \"forever\""),
        ("within = '1 fortnight'", "write a length of time"),
    ] {
        rig.write("work/larder.toml", format!("[retention]\n{policy}\n"));
        let run = rig.run(&["forget"]);
        assert!(run.err_of(2).contains(said), "{policy}: {}", run.err);
    }
    assert_eq!(there_unconfigured(&rig), 1);
}

fn there_unconfigured(rig: &Rig) -> usize {
    fs::read_dir(rig.repository().join("snapshots")).unwrap().count()
}

#[test]
fn snapshots_are_forgotten_by_name_and_come_back() {
    let rig = Rig::new();
    let ids = nights(&rig, date(2025, 11, 10), 4);
    let dry = rig.run(&["forget", "latest", "--dry-run"]);
    assert!(
        dry.out_of(0).starts_with(&format!("would forget snapshot {}", &ids[3][..8])),
        "{}",
        dry.out
    );
    let run = rig.run(&["forget", "latest", "2025-11-11", &ids[1]]);
    assert_eq!(run.out_of(0).lines().count(), 3, "{}", run.out);
    assert!(run.out.starts_with(&format!(
        "forgot snapshot {} (Thu 13 Nov 2025 03:00 +01:00) of app\n",
        &ids[3][..8]
    )));
    assert!(
        run.out.contains("`larder forget --undo` brings it back\n") && run.err.is_empty(),
        "{}",
        run.err
    );
    assert_eq!(there(&rig, "app"), ["11-10", "11-12"]);
    assert!(rig.run(&["forget", &ids[3][..8]]).err_of(1).contains("no snapshot fits"));

    let back = rig.run(&["forget", "--undo"]);
    assert_eq!(back.out_of(0).matches("brought back snapshot").count(), 2, "{}", back.out);
    assert_eq!(there(&rig, "app").len(), 4);
    rig.run(&["check", "--read-data"]).out_of(0);
    let order: Vec<&str> = back.out.lines().map(|it| &it[22..30]).collect();
    assert_eq!(order, [&ids[3][..8], &ids[1][..8]], "the newest first");
    assert_eq!(
        rig.run(&["forget", "--undo"]).err_of(1),
        "error: nothing that was forgotten can be brought back\n"
    );
    let not = rig.run(&["forget", "--undo", &ids[0]]);
    assert!(not.out_of(0).contains("is there: it was not forgotten"), "{}", not.out);
    let json = rig.json(&["forget", "2025-11-12"]);
    assert_eq!(json["forgotten"][0]["id"], ids[2].as_str());
    let one = rig.json(&["forget", "--undo", &ids[2][..8]]);
    assert_eq!(one["back"][0]["id"], ids[2].as_str());
}

#[test]
fn the_last_snapshot_of_a_source_goes_only_with_permission() {
    let rig = Rig::saved();
    let run = rig.run(&["forget", "latest"]);
    assert_eq!(
        run.err_of(1),
        "error: that would leave no snapshot of source \"app\"\nhint: add --allow-last if that is meant\n"
    );
    let (tags, _) = forget(&rig, &["--keep-tag", "none"], 0);
    assert!(tags.contains("nothing to forget: 1 snapshot stays"), "{tags}");
    forget(&rig, &["--keep-tag", "none", "--allow-last"], 0);
    assert_eq!(there_unconfigured(&rig), 0);
    let (none, _) = forget(&rig, &["--keep-last", "1"], 0);
    assert!(none.ends_with("no snapshots\n"), "{none}");
    // The sequence goes on, and the next backup is a first one.
    rig.backup_at("2026-11-23 03:00");
    assert_eq!(rig.json(&["snapshots"])["snapshots"][0]["sequence"], 2);
}

#[test]
fn what_is_pinned_stays_until_the_pin_is_gone() {
    let rig = Rig::new();
    let ids = nights(&rig, date(2025, 11, 10), 4);
    let pinned = rig.run(&["pin", "2025-11-10", "before upgrade", "--until", "30d"]);
    assert!(pinned.out_of(0).contains("pin:before upgrade until "), "{}", pinned.out);
    let also = rig.run(&["pin", "2025-11-11"]);
    assert!(also.out_of(0).ends_with("  pin:manual\n"), "{}", also.out);
    let (out, _) = forget(&rig, &["--keep-last", "1"], 0);
    assert!(out.contains("pin before upgrade") && out.contains("pin manual"), "{out}");
    assert_eq!(there(&rig, "app"), ["11-10", "11-11", "11-13"]);
    let listed = rig.run(&["snapshots"]);
    assert!(listed.out_of(0).contains("pin:before upgrade until "), "{}", listed.out);
    let named = rig.run(&["forget", &ids[0]]);
    let short = &ids[0][..8];
    assert_eq!(
        named.err_of(1),
        format!(
            "error: snapshot {short} is pinned (before upgrade)\n\
             hint: larder pin {short} 'before upgrade' --remove\n"
        )
    );
    assert!(
        rig.run(&["pin", short, "other", "--remove"]).err_of(1).contains("has no pin \"other\"")
    );
    let gone = rig.run(&["pin", short, "before upgrade", "--remove"]);
    assert!(gone.out_of(0).ends_with("  no pins\n"), "{}", gone.out);
    assert_eq!(rig.json(&["pin", &ids[1], "--remove"])["pins"], serde_json::json!([]));
    forget(&rig, &["--keep-last", "1"], 0);
    assert_eq!(there(&rig, "app"), ["11-13"]);
    for bad in ["2020-01-01", "yesterday", "0d"] {
        rig.run(&["pin", "latest", "--until", bad]).err_of(2);
    }
}

/// Twenty parts, a row each.
fn database(rig: &Rig) -> Connection {
    let database = Connection::open(rig.path("app/shop.db")).unwrap();
    database.execute_batch("CREATE TABLE parts(name TEXT)").unwrap();
    for n in 0..20 {
        database.execute("INSERT INTO parts VALUES (?1)", [n]).unwrap();
    }
    database
}

#[test]
fn the_brake_is_on_until_somebody_has_looked() {
    let rig = Rig::new();
    let database = database(&rig);
    nights(&rig, date(2025, 11, 10), 3);
    database.execute_batch("DELETE FROM parts WHERE rowid > 5").unwrap();
    let small = nights(&rig, date(2025, 11, 13), 1);
    let other = rig.arg("app/attachments");
    for day in [11, 12] {
        let time = format!("2025-11-{day} 03:00");
        rig.run(&["backup", "-q", "--source", "b", "--time", &time, &other]).out_of(0);
    }
    let (out, err) = forget(&rig, &["--keep-last", "1"], 3);
    assert_eq!((there(&rig, "app").len(), there(&rig, "b").len()), (4, 1), "{out}");
    let short = &small[0][..8];
    let because = format!(
        "warning: app: nothing expires, because of its newest snapshot {short}, compared with "
    );
    assert!(err.starts_with(&because), "{err}");
    assert!(
        err.contains(": 5 rows in parts of shop.db, there were 20; 3 snapshots would have gone\n"),
        "{err}"
    );
    assert!(
        err.ends_with(&format!("hint: larder accept {short}   # if that is as it should be\n")),
        "{err}"
    );
    let json = rig.run(&["--json", "forget", "--keep-last", "1"]);
    let json: Value = serde_json::from_str(json.out_of(3)).unwrap();
    assert_eq!((&json["exit_code"], &json["sources"][0]["held_total"]), (&3.into(), &3.into()));
    assert_eq!(json["sources"][0]["brake"]["snapshot"], small[0].as_str());

    // A night that is small again keeps the brake on; the same word for the newest one takes it off.
    nights(&rig, date(2025, 11, 14), 1);
    forget(&rig, &["--keep-last", "1"], 3);
    let accepted = rig.run(&["accept", "--source", "app", "latest"]);
    assert!(
        accepted.out_of(0).ends_with(
            "larder forget goes on for app; it had stopped because of: 5 rows in parts of shop.db, there were 20\n"
        ),
        "{}",
        accepted.out
    );
    forget(&rig, &["--keep-last", "1"], 0);
    assert_eq!(there(&rig, "app"), ["11-14"]);
    let again = rig.run(&["accept", "--source", "app", "latest"]);
    assert!(again.out_of(0).ends_with("is clean: there is nothing to accept\n"), "{}", again.out);
}

#[test]
fn a_snapshot_that_is_not_clean_pushes_no_clean_one_out() {
    let rig = Rig::new();
    let shop = database(&rig);
    nights(&rig, date(2025, 11, 10), 2);
    drop(shop);
    let mut bytes = fs::read(rig.path("app/shop.db")).unwrap();
    bytes[4096..4196].fill(0xff);
    rig.write("app/shop.db", &bytes);
    let corrupt = rig.run(&["backup", "-q", "--time", "2025-11-12 03:00", &rig.arg("app")]);
    corrupt.out_of(3);
    let (_, err) = forget(&rig, &["--keep-last", "1"], 3);
    assert!(err.contains("app: nothing expires") && err.contains("shop.db: "), "{err}");
    // Accepted, it still takes no place of a clean one.
    let accepted = rig.run(&["accept", "latest"]);
    assert!(accepted.out_of(0).contains("larder forget goes on for app"), "{}", accepted.out);
    forget(&rig, &["--keep-last", "1"], 0);
    assert_eq!(there(&rig, "app"), ["11-11", "11-12"]);
}

#[test]
fn a_snapshot_of_the_future_stays_and_counts_for_nothing() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 3);
    rig.backup_at("2199-01-01 03:00");
    let (out, _) = forget(&rig, &["--keep-daily", "2"], 0);
    assert!(out.contains("1 Jan 2199 03:00  future") && out.contains("open"), "{out}");
    let days: Vec<String> = there(&rig, "app");
    assert_eq!(days, ["11-11", "11-12", "01-01"]);
}

#[test]
fn while_something_is_lost_nothing_goes_by_a_policy() {
    let rig = Rig::new();
    let ids = nights(&rig, date(2025, 11, 10), 4);
    fs::remove_file(rig.repository().join("snapshots").join(&ids[1])).unwrap();
    let (out, err) = forget(&rig, &["--keep-last", "1"], 20);
    assert!(
        out.ends_with(
            "nothing is forgotten while something is damaged or missing; 2 snapshots would be\n"
        ),
        "{out}"
    );
    assert!(err.contains("damage: ") && err.contains("is missing"), "{err}");
    assert!(
        err.ends_with(&format!("hint: larder forget {}   # gives up what is missing\n", ids[1])),
        "{err}"
    );
    assert_eq!(there_unconfigured(&rig), 3);
    rig.run(&["forget", &ids[1][..8]]).err_of(1);
    let given_up = rig.run(&["forget", &ids[1]]);
    assert!(given_up.out_of(0).ends_with(" of app, which is missing\n"), "{}", given_up.out);
    rig.run(&["snapshots"]).out_of(0);

    damage(&rig.repository().join("snapshots").join(&ids[0]), 40);
    let (_, err) = forget(&rig, &["--keep-last", "1"], 20);
    assert!(err.contains("hint: larder check"), "{err}");
    let unreadable = rig.run(&["--json", "forget", &ids[0]]);
    let json: Value = serde_json::from_str(unreadable.out_of(0)).unwrap();
    assert_eq!(json["forgotten"][0]["was"], "unreadable");
    forget(&rig, &["--keep-last", "1"], 0);
    assert_eq!(there(&rig, "app"), ["11-13"]);
}

#[test]
fn a_fact_that_cannot_be_read_may_be_a_pin() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 3);
    rig.run(&["pin", "latest~2"]).out_of(0);
    let fact = only_file(&rig.repository().join("facts"));
    damage(&fact, 40);
    forget(&rig, &["--keep-last", "1"], 20);
    assert_eq!(there_unconfigured(&rig), 3);
    let id = fact.file_name().unwrap().to_str().unwrap();
    let run = rig.run(&["forget", id]);
    assert_eq!(run.out_of(0), format!("gave up fact {}, which cannot be read\n", &id[..8]));
    forget(&rig, &["--keep-last", "1"], 0);
    assert_eq!(there_unconfigured(&rig), 1);
}

#[test]
fn the_calendar_foretells_what_comes() {
    let rig = Rig::new();
    let zone = jiff::tz::TimeZone::get("Europe/Zurich").unwrap();
    let today = jiff::Timestamp::now().to_zoned_datetime(zone);
    let first = today.date().checked_sub(jiff::Span::new().days(4)).unwrap();
    nights(&rig, first, 4);
    let json = rig.json(&["forget", "--keep-daily", "3", "--preview", "5d"]);
    let days = json["sources"][0]["days"].as_array().unwrap();
    assert_eq!(days.len(), 6);
    assert_eq!(days[0]["removed"].as_array().unwrap().len(), 1);
    assert!(days.iter().all(|day| day["present"].as_array().unwrap().len() == 3), "{json}");
    let page = rig.run(&["forget", "--keep-daily", "3", "--preview", "5d"]);
    assert!(page.out_of(0).contains("\nAFTER "), "{}", page.out);
    assert_eq!(page.out.lines().count(), 3 + 2 + 6, "{}", page.out);
    assert_eq!(there_unconfigured(&rig), 4, "it changes nothing");
}

#[test]
fn the_list_says_why_each_is_kept() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 3);
    assert!(!rig.run(&["snapshots"]).out_of(0).contains("KEPT AS"));
    rig.write("work/larder.toml", "[retention]\ndaily = 2\n");
    let run = rig.run(&["snapshots"]);
    let out = run.out_of(0);
    assert!(
        out.contains("KEPT AS") && out.contains("daily 1/2") && out.contains("daily 2/2"),
        "{out}"
    );
    assert!(out.trim_end().ends_with("goes"), "{out}");
    let one = rig.run(&["snapshots", "latest"]);
    assert!(one.out_of(0).contains("  kept as    daily 1/2; until "), "{}", one.out);
    let json = rig.json(&["snapshots", "2025-11-10"]);
    assert_eq!(json["snapshots"][0]["kept_as"], serde_json::json!([]));
}

#[test]
fn two_that_forget_do_not_decide_at_once() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 2);
    rig.run(&["forget", "latest", "--dry-run"]).out_of(0);
    let file = fs::File::create(rig.repository().join("locks/forget")).unwrap();
    file.lock().unwrap();
    for arguments in [&["forget", "latest"][..], &["forget", "--keep-last", "1"]] {
        let run = rig.run(&[arguments, &["--lock-wait", "0s"]].concat());
        assert!(
            run.err_of(11).contains("the choice of snapshots to keep is in use"),
            "{}",
            run.err
        );
    }
    rig.run(&["forget", "--keep-last", "1", "--dry-run"]).out_of(0);
    assert_eq!(there_unconfigured(&rig), 2);
    file.unlock().unwrap();
    rig.run(&["forget", "latest"]).out_of(0);
}

#[test]
fn the_room_is_given_back_in_the_same_run() {
    let rig = Rig::new();
    nights(&rig, date(2025, 11, 10), 5);
    let packs = || fs::read_dir(rig.repository().join("packs")).unwrap().count();
    let before = packs();
    let (dry, err) = forget(&rig, &["--keep-last", "1", "--prune", "--dry-run"], 0);
    assert!(
        dry.ends_with("would forget 4 of 5 snapshots\n")
            && err.starts_with("note: what a prune frees"),
        "{dry}{err}"
    );
    let (out, _) = forget(&rig, &["--keep-last", "2", "--prune"], 0);
    assert!(out.contains("\nforgotten: 3 of 5 snapshots; 2 stay\n\n"), "{out}");
    assert!(
        out.contains("3 forgotten snapshots; freed by a prune after ") && !out.contains("--undo"),
        "{out}"
    );
    assert!(packs() < before, "{out}");
    // Within the time of grace all of it comes back.
    assert_eq!(rig.run(&["forget", "--undo"]).out_of(0).lines().count(), 3);
    rig.run(&["check", "--read-data"]).out_of(0);

    let (named, _) = forget(&rig, &["latest", "--prune", "--grace", "0"], 0);
    assert!(named.contains("1 forgotten snapshot") && named.contains("\nfreed "), "{named}");
    rig.run(&["forget", "--undo"]).err_of(1);
    let run = rig.run(&["--json", "forget", "--keep-last", "1", "--prune", "--grace", "0"]);
    let values = serde_json::Deserializer::from_str(run.out_of(0)).into_iter();
    let values: Vec<Value> = values.map(|it| it.unwrap()).collect();
    assert_eq!(
        (&values[0]["forgotten_total"], &values[1]["message_type"]),
        (&3.into(), &"summary".into())
    );
    rig.run(&["check", "--read-data"]).out_of(0);
    let quiet = rig.run(&["forget", "--keep-last", "1", "--prune", "--quiet"]);
    assert_eq!(quiet.err_of(0), "", "cron mails what is written there");
    for bad in [&["--grace", "0"][..], &["--undo", "--prune"], &["--preview", "3d", "--prune"]] {
        rig.run(&[&["forget"], bad].concat()).err_of(2);
    }
}
