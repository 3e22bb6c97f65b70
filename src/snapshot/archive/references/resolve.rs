//! From answers to keys: every path that a row has is distrusted.

use crate::codec::manifest::EntryKey;
use crate::snapshot::archive::references::refusals::{Refusals, quoted};
use crate::snapshot::archive::references::room::{Room, bytes_of};
use crate::snapshot::archive::references::{Asked, Reference, Set};
use crate::snapshot::beneath::{path_flaw, split_last};
use crate::sqlite::questions::{Answer, BaseDir, Named, ReferenceQuery};

/// The queries that are for this database.
pub(in crate::snapshot::archive) fn questions_for(
    references: &[ReferenceQuery],
    database: &EntryKey,
) -> Vec<ReferenceQuery> {
    let is_for = |query: &&ReferenceQuery| {
        query.database.as_ref().is_none_or(|path| **path == *database.path)
    };
    references.iter().filter(is_for).cloned().collect()
}

/// What identifies a list of questions: where it is the same, equal bytes give equal answers.
pub(in crate::snapshot::archive) fn digest_of(questions: &[ReferenceQuery]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    for query in questions {
        let (kind, base) = match &query.base {
            BaseDir::BesideDatabase(base) => (0_u8, base),
            BaseDir::BelowRoot(base) => (1, base),
        };
        part(query.name.as_bytes());
        part(&[kind]);
        part(base);
        part(query.sql.as_bytes());
        part(&(query.needs.len() as u64).to_le_bytes());
        for (table, column) in &query.needs {
            part(table.as_bytes());
            part(column.as_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

/// Makes references of a database's answers, as far as there is room for them.
pub(in crate::snapshot::archive) fn resolve(
    database: &EntryKey,
    questions: &[ReferenceQuery],
    answers: Vec<Answer>,
    room: &mut Room,
) -> Asked {
    let mut asked = Asked::default();
    let is_complete = answers.len() == questions.len();
    let mut answers = answers.into_iter();
    for query in questions {
        // A query for any database may not apply to one that could not be asked.
        let is_meant = query.database.is_some();
        let answer = match answers.next() {
            Some(Answer::DoesNotApply) if is_meant => {
                Answer::Failed("the database has not the columns that it needs".to_owned())
            }
            None if is_meant => Answer::Failed("the database could not be asked".to_owned()),
            Some(answer) => answer,
            None => Answer::DoesNotApply,
        };
        asked.take(database, query, (answer, &mut *room));
    }
    asked.questions = is_complete.then(|| digest_of(questions));
    asked
}

impl Asked {
    fn take(
        &mut self,
        database: &EntryKey,
        query: &ReferenceQuery,
        (answer, room): (Answer, &mut Room),
    ) {
        let base = base_of(database, &query.base);
        let (base, fault) = match base {
            Ok(base) => (base, None),
            Err(fault) => {
                (EntryKey { root: database.root, path: "".into() }, Some(fault.to_owned()))
            }
        };
        let mut set = Set { name: query.name.clone(), base, files: Vec::new(), failure: fault };
        match answer {
            Answer::DoesNotApply => return,
            Answer::Failed(why) => set.failure = Some(quoted(&why)),
            Answer::Named { files, without_text } if set.failure.is_none() => {
                let mut refusals = Refusals::new(&query.name);
                match resolve_all(&set.base, files, (room, &mut refusals)) {
                    Some((files, bytes)) => {
                        set.files = files;
                        self.taken_bytes += bytes;
                    }
                    None => set.failure = Some("its rows name more than can be held".to_owned()),
                }
                self.refused.extend(refusals.counted(without_text));
                self.refused_rows.extend(refusals.said);
            }
            Answer::Named { .. } => {}
        }
        if let Some(why) = &set.failure {
            self.refused.push(format!("reference {}: {why}", query.name));
        }
        self.sets.push(set);
    }
}

/// The directory of a query, for this database.
fn base_of(database: &EntryKey, base: &BaseDir) -> Result<EntryKey, &'static str> {
    let path = match base {
        BaseDir::BelowRoot(path) => path.clone(),
        BaseDir::BesideDatabase(path) => join(split_last(&database.path).0, path),
    };
    match path_flaw(&path) {
        Some(_) => Err("its directory is no path below the root of the database"),
        None => Ok(EntryKey { root: database.root, path: path.into() }),
    }
}

fn join(dir: &[u8], below: &[u8]) -> Vec<u8> {
    match (dir, below) {
        (b"", path) | (path, b"") => path.to_vec(),
        (dir, below) => [dir, b"/", below].concat(),
    }
}

/// With what they take of the room; `None` when there are more than can be held.
fn resolve_all(
    base: &EntryKey,
    files: Vec<Named>,
    (room, refusals): (&mut Room, &mut Refusals<'_>),
) -> Option<(Vec<Reference>, usize)> {
    let (mut resolved, mut taken) = (Vec::with_capacity(files.len()), 0);
    for file in files {
        if file.path.is_empty() {
            continue;
        }
        let path = match resolved_path(base, &file.path) {
            Ok(path) => path,
            Err(flaw) => {
                refusals.path(&file.path, flaw);
                continue;
            }
        };
        let hash = file.hash.as_deref().filter(|hash| !hash.is_empty());
        let digits = hash.and_then(digest);
        if let (Some(hash), None) = (hash, &digits) {
            refusals.hash(&file.path, hash);
        }
        let key = EntryKey { root: base.root, path: path.into() };
        let bytes = bytes_of(&key, digits.is_some());
        if !room.take(bytes) {
            room.give(taken);
            return None;
        }
        taken += bytes;
        resolved.push(Reference {
            key,
            size_bytes: file.size_bytes,
            hash: digits.map(Box::new),
            flaw: None,
            is_newer: false,
        });
    }
    resolved.sort_unstable_by(|a, b| {
        a.key.cmp(&b.key).then_with(|| (a.size_bytes, &a.hash).cmp(&(b.size_bytes, &b.hash)))
    });
    resolved.dedup();
    Some((resolved, taken))
}

fn resolved_path(base: &EntryKey, value: &[u8]) -> Result<Vec<u8>, &'static str> {
    if value.starts_with(b"/") {
        return Err("the path is absolute");
    }
    // On its own first: a base of the right length must not hide what is wrong with the value.
    let path = join(&base.path, value);
    path_flaw(value).or_else(|| path_flaw(&path)).map_or(Ok(path), Err)
}

/// 64 hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|it| !it.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, base: BaseDir) -> ReferenceQuery {
        let sql = "SELECT path FROM t".to_owned();
        ReferenceQuery { name: name.into(), database: None, needs: Vec::new(), base, sql }
    }

    fn named(path: &str, size_bytes: Option<u64>, hash: Option<&str>) -> Named {
        Named { path: path.as_bytes().into(), size_bytes, hash: hash.map(Into::into) }
    }

    fn key(path: &str) -> EntryKey {
        EntryKey { root: 2, path: path.into() }
    }

    fn ask(files: Vec<Named>, without_text: u64) -> Asked {
        let query = query("q", BaseDir::BesideDatabase(b"files".to_vec()));
        let answers = vec![Answer::Named { files, without_text }];
        resolve(&key("app/a.db"), &[query], answers, &mut Room::default())
    }

    #[test]
    fn paths_are_below_the_directory_beside_the_database() {
        let files = vec![
            named("b", Some(2), None),
            named("a/x", None, None),
            named("b", Some(2), None),
            named("", Some(1), None),
            named("b", Some(1), None),
        ];
        let asked = ask(files, 0);
        assert_eq!(asked.refused, [""; 0]);
        let set = &asked.sets[0];
        assert_eq!(set.base, key("app/files"));
        let seen: Vec<_> = set.files.iter().map(|it| (it.key.clone(), it.size_bytes)).collect();
        let (x, b) = (key("app/files/a/x"), key("app/files/b"));
        assert_eq!(seen, [(x, None), (b.clone(), Some(1)), (b, Some(2))]);
    }

    #[test]
    fn values_that_lead_elsewhere_are_refused_by_name() {
        let long = "x".repeat(300);
        let bad = ["/etc/passwd", "../a", "a/../../b", "a//b", "a/", "./a", "a\0b", &long];
        let asked = ask(bad.iter().map(|path| named(path, None, None)).collect(), 3);
        assert_eq!(asked.sets[0].files, []);
        assert_eq!(asked.refused_rows.len(), bad.len());
        assert!(
            asked.refused_rows[0]
                .contains("q: a row's path \"/etc/passwd\" is refused: the path is absolute")
        );
        assert!(asked.refused_rows[6].contains("a\\0b"), "{}", asked.refused_rows[6]);
        assert!(asked.refused_rows[7].len() < 400);
        assert_eq!(asked.refused, ["reference q: the path of 3 rows is no text"]);
    }

    #[test]
    fn the_rest_of_many_refusals_is_counted() {
        let asked = ask((0..50).map(|n| named(&format!("../{n}"), None, None)).collect(), 0);
        assert_eq!(asked.refused_rows.len(), 20);
        assert_eq!(asked.refused, ["reference q: 30 more values are refused"]);
    }

    /// However many databases there are, together they name no more than can be held.
    #[test]
    fn all_databases_share_one_room() {
        let many = || (0..60_000).map(|n| named(&format!("{n:070}"), None, None)).collect();
        let answer = || vec![Answer::Named { files: many(), without_text: 0 }];
        let query = [query("q", BaseDir::BelowRoot(Vec::new()))];
        let mut room = Room::default();
        let mut ask = |name: &str| resolve(&key(name), &query, answer(), &mut room);
        let (first, second, third) = (ask("a.db"), ask("b.db"), ask("c.db"));
        assert!(first.sets[0].files.len() == 60_000 && second.sets[0].files.len() == 60_000);
        assert!(third.sets[0].files.is_empty() && third.taken_bytes == 0);
        assert_eq!(third.refused, ["reference q: its rows name more than can be held"]);
        // What did not fit takes nothing from those that do, and an answer that is replaced makes room.
        room.give_back(&first);
        assert_eq!(resolve(&key("c.db"), &query, answer(), &mut room).sets[0].files.len(), 60_000);
    }

    #[test]
    fn a_hash_is_64_digits_or_said() {
        let good = "00ff".repeat(16);
        let mut bytes = [0; 32];
        bytes.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 255);
        let asked = ask(
            vec![
                named("a", None, Some(&good)),
                named("b", None, Some("d41d8cd98f00b204e9800998ecf8427e")),
                named("c", None, Some(&"+1".repeat(32))),
                named("d", None, Some("")),
            ],
            0,
        );
        let hashes: Vec<_> = asked.sets[0].files.iter().map(|it| it.hash.as_deref()).collect();
        assert_eq!(hashes, [Some(&bytes), None, None, None]);
        assert_eq!(asked.refused_rows.len(), 2);
    }

    #[test]
    fn what_fails_is_said_and_what_does_not_apply_is_not() {
        let general = query("g", BaseDir::BelowRoot(Vec::new()));
        let meant = ReferenceQuery { database: Some(b"a.db".to_vec()), ..general.clone() };
        let meant = ReferenceQuery { name: "m".into(), ..meant };
        let both = [general, meant];
        let does_not = vec![Answer::DoesNotApply, Answer::DoesNotApply];
        let asked = resolve(&key("a.db"), &both, does_not, &mut Room::default());
        assert_eq!(asked.sets.len(), 1);
        assert!(asked.sets[0].failure.is_some() && asked.questions.is_some());
        let asked = resolve(&key("a.db"), &both, Vec::new(), &mut Room::default());
        assert_eq!((asked.sets.len(), asked.questions), (1, None));
        assert_eq!(asked.refused, ["reference m: the database could not be asked"]);
        let outside = query("o", BaseDir::BelowRoot(b"../x".to_vec()));
        let answer = Answer::Named { files: vec![named("a", None, None)], without_text: 0 };
        let asked = resolve(&key("a.db"), &[outside], vec![answer], &mut Room::default());
        assert!(asked.sets[0].files.is_empty() && asked.refused[0].contains("no path below"));
    }

    #[test]
    fn questions_are_for_one_database_or_all() {
        let all = query("all", BaseDir::BelowRoot(Vec::new()));
        let one = ReferenceQuery { database: Some(b"x/a.db".to_vec()), ..all.clone() };
        let both = [all, one];
        assert_eq!(questions_for(&both, &key("x/a.db")).len(), 2);
        assert_eq!(questions_for(&both, &key("a.db")).len(), 1);
        assert_ne!(digest_of(&both), digest_of(&both[..1]));
    }
}
