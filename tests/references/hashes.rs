//! Rows that say a hash: the file has it, and is not read for it every night.

use larder::codec::manifest::{TAG_BLAKE3, TAG_SHA256};
use larder::codec::snapshot::{FindingKind, Outcome};
use larder::ops::catalog::Catalog;
use larder::ops::paths::find_entry;

use larder::sqlite::questions::{BaseDir, ReferenceQuery};

use crate::references::rig::{Rig, Scripted, first_set, named, query, said};

/// SHA-256 of `one`, from another implementation.
const SHA256_OF_ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

fn blake3_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn tags(rig: &Rig, name: &str) -> Vec<u32> {
    let repository = rig.world.repository();
    let catalog = Catalog::open(&repository).unwrap();
    let snapshot = catalog.select("latest", None, &jiff::tz::TimeZone::UTC).unwrap();
    let path = std::path::Path::new("files").join(name);
    let entry = find_entry(&catalog.reader().unwrap(), snapshot, &path).unwrap();
    entry.extensions.iter().map(|extension| extension.tag).collect()
}

#[test]
fn either_hash_will_do_and_is_remembered() {
    let rig = Rig::new(161, &[("a", "one"), ("b", "two"), ("c", "three")]);
    let two = blake3_of("two");
    for night in 0..2 {
        let capture = Scripted::new(|_| {
            vec![named([
                ("a", Some(3), Some(SHA256_OF_ONE)),
                ("b", None, Some(two.as_str())),
                ("c", Some(5), None),
            ])]
        });
        let report = rig.night(&capture);
        assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", report.record.findings);
        assert_eq!(first_set(&report).present, 3);
        assert_eq!(tags(&rig, "a"), [TAG_SHA256], "{night}");
        assert_eq!(tags(&rig, "b"), [TAG_BLAKE3], "{night}");
        assert_eq!(tags(&rig, "c"), [0; 0], "{night}");
    }
    // Both rows and both hashes: the other one is computed and remembered too.
    let one = blake3_of("one");
    let capture = Scripted::new(|_| {
        vec![named([("a", Some(3), Some(SHA256_OF_ONE)), ("a", None, Some(one.as_str()))])]
    });
    assert_eq!(rig.night(&capture).record.outcome, Outcome::Clean);
    assert_eq!(tags(&rig, "a"), [TAG_BLAKE3, TAG_SHA256]);
    rig.world.assert_sound();
}

#[test]
fn another_content_of_the_same_size_is_found_out() {
    let rig = Rig::new(162, &[("a", "one"), ("b", "two")]);
    let wrong = blake3_of("owt");
    let capture = Scripted::new(|_| {
        vec![named([("a", Some(3), Some(wrong.as_str())), ("b", Some(3), Some("f00d"))])]
    });
    let report = rig.night(&capture);
    let what =
        "files/a: named by a row of a.db (docs); its content has not the hash that the row says";
    assert_eq!(said(&report, FindingKind::Dangling), [what]);
    let digits = "a.db: reference docs: the hash \"f00d\" of \"b\" is not 64 hexadecimal digits";
    assert_eq!(said(&report, FindingKind::Row), [digits]);
}

#[test]
fn a_remembered_hash_goes_with_the_bytes_that_had_it() {
    let rig = Rig::new(163, &[("a", "one")]);
    let (one, two) = (blake3_of("one"), blake3_of("two"));
    let night = |hash: &str| {
        let hash = hash.to_owned();
        rig.night(&Scripted::new(move |_| vec![named([("a", Some(3), Some(hash.as_str()))])]))
    };
    assert_eq!(night(&one).record.outcome, Outcome::Clean);
    rig.remove("a");
    rig.write("a", "two");
    assert_eq!(night(&one).record.outcome, Outcome::WithFindings);
    assert_eq!(tags(&rig, "a"), [0; 0]);
    assert_eq!(night(&two).record.outcome, Outcome::Clean);
}

#[test]
fn a_file_that_went_is_compared_as_it_was_saved() {
    let rig = Rig::new(164, &[("a", "one"), ("b", "two")]);
    // Saved the night before without a hash; now its row says one, and the file goes while it is captured.
    rig.night(&Scripted::new(|_| vec![named([("a", None, None), ("b", None, None)])]));
    let (one, two) = (blake3_of("one"), blake3_of("two"));
    let capture = Scripted::new(|round| {
        if round == 1 {
            rig.remove("a");
            rig.remove("b");
        }
        vec![named([("a", None, Some(one.as_str())), ("b", None, Some(one.as_str()))])]
    });
    let report = rig.night(&capture);
    let what =
        "files/b: named by a row of a.db (docs); its content has not the hash that the row says";
    assert_eq!(said(&report, FindingKind::Dangling), [what]);
    assert_eq!(tags(&rig, "a"), [TAG_BLAKE3]);
    assert_ne!(one, two);
    // One that was saved this very night cannot be read back yet, and that is said.
    rig.write("c", "new");
    let new = blake3_of("new");
    let capture = Scripted::new(|round| {
        if round == 1 {
            rig.remove("c");
        }
        vec![named([("c", Some(3), Some(new.as_str()))])]
    });
    let report = rig.night(&capture);
    let what = "files/c: named by a row of a.db (docs); it went before its hash could be checked";
    assert_eq!(said(&report, FindingKind::Dangling), [what]);
}

#[test]
fn a_hash_of_a_database_is_not_compared_with_its_file() {
    let rig = Rig::new(165, &[]);
    std::fs::copy(rig.path("a.db"), rig.path("z.db")).unwrap();
    let night = |name: &str, hash: Option<&str>, removed: bool| {
        let of_z = ReferenceQuery {
            database: Some(b"z.db".to_vec()),
            base: BaseDir::BelowRoot(Vec::new()),
            ..query(name)
        };
        let capture = Scripted::new(|_| {
            if removed {
                std::fs::remove_file(rig.path("a.db")).unwrap_or_default();
            }
            vec![named([("a.db", None, hash)])]
        });
        rig.night_with(&capture.at_rest(), &rig.options(vec![of_z]), &|| {})
    };
    assert_eq!(night("docs", None, false).record.outcome, Outcome::Clean);
    // Another question: only the database that asks it is captured again, and the other one goes meanwhile.
    let report = night("other", Some(&blake3_of("x")), true);
    let what = "a.db: named by a row of z.db (other); it is a database: what is saved is a capture, \
                which no hash of its file fits";
    assert_eq!(said(&report, FindingKind::Dangling), [what]);
    // Nor while it is there, and has that hash.
    std::fs::copy(rig.path("z.db"), rig.path("a.db")).unwrap();
    let hash = blake3::hash(&std::fs::read(rig.path("a.db")).unwrap()).to_hex().to_string();
    assert_eq!(
        said(&night("more", Some(&hash), false), FindingKind::Dangling),
        ["a.db: named by a row of z.db (more)".to_owned()
            + &what["a.db: named by a row of z.db (other)".len()..]]
    );
}
