//! What doctor says to people.

use larder::ops::doctor::{Concern, Examined, ExaminedDatabase, Names, Origin, Place, State};

use super::{Said, paste};
use crate::cli::failure::Result;
use crate::cli::output::escape::printable;
use crate::cli::output::known;
use crate::cli::output::units::{bytes, count, many};
use crate::cli::output::wording::of_total;

/// So many names are listed.
const NAMED: usize = 5;

impl Said<'_> {
    /// What is there, what is around, what to mend.
    pub(super) fn page(&self) -> Result<()> {
        let mut lines = self.directory();
        for database in &self.report.databases {
            lines.push(String::new());
            lines.extend(of_database(database));
        }
        lines.push(String::new());
        lines.extend(self.around());
        for line in lines {
            self.context.console.detail(line.trim_end())?;
        }
        for line in self.to_mend() {
            self.context.console.line(line.trim_end())?;
        }
        Ok(())
    }

    fn directory(&self) -> Vec<String> {
        let report = self.report;
        let what = format!(
            "{}  {}, {}",
            printable(report.dir.as_os_str().as_encoded_bytes()),
            many(report.files, "file"),
            bytes(report.bytes)
        );
        let mut lines = vec![line("directory", &what)];
        if let Some(volume) = &report.surroundings.volume {
            let volume = printable(volume.as_bytes());
            lines.push(line("", &format!("the volume {volume} of a container engine")));
        }
        lines
    }

    fn around(&self) -> Vec<String> {
        let around = &self.report.surroundings;
        let mut lines: Vec<String> =
            around.repository.iter().map(|place| line("repository", &of_place(place))).collect();
        let spool = of_place(&around.spool);
        let need = match around.spool_need_bytes {
            0 => String::new(),
            need => format!("; a backup needs at most {} there", bytes(need)),
        };
        lines.push(line("spool", &format!("{spool}{need}")));
        lines.push(line("sqlite", &format!("{}, part of larder", around.sqlite_version)));
        if around.in_container {
            let what = "larder runs in a container itself: who has a database open in another one cannot be seen";
            lines.push(line("container", what));
        }
        lines
    }

    fn to_mend(&self) -> Vec<String> {
        if self.concerns.is_empty() {
            return if self.context.console.is_quiet() {
                Vec::new()
            } else {
                vec![String::new(), "nothing to mend".to_owned()]
            };
        }
        let mut lines = vec![String::new(), "to mend".to_owned()];
        lines.extend(self.concerns.iter().map(concern));
        if let Some(configuration) = paste::configuration(self.report) {
            lines.extend([
                String::new(),
                "for larder.toml, so that every backup sees to it that these files are in it:"
                    .to_owned(),
                String::new(),
            ]);
            lines.extend(configuration.lines().map(str::to_owned));
        }
        lines
    }
}

fn concern(concern: &Concern) -> String {
    let message = printable(concern.message.as_bytes());
    match concern.subject.as_slice() {
        b"" => format!("  {message}"),
        subject => format!("  {}: {message}", printable(subject)),
    }
}

fn of_place(place: &Place) -> String {
    let path = printable(place.path.as_os_str().as_encoded_bytes()).into_owned();
    let there = if place.exists { "" } else { ", not there yet" };
    let free = place.space.map(|space| format!(", {} free", bytes(space.available_bytes)));
    format!("{path}{there}{}", free.unwrap_or_default())
}

fn of_database(database: &ExaminedDatabase) -> Vec<String> {
    let path = printable(&database.path);
    let mut lines = Vec::new();
    if let Ok(state) = &database.state {
        let said = known::state_of(state.label, &state.check);
        lines.push(line("database", &format!("{path}  {}  {said}", bytes(state.len))));
        lines.extend(of_state(state));
    } else {
        let size = bytes(database.file_bytes);
        lines.push(line("database", &format!("{path}  {size}  cannot be captured")));
    }
    lines.extend(open_in(database).map(|text| line("  open in", &text)));
    for set in &database.references {
        lines.extend(of_references(set));
    }
    lines
}

fn of_state(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    if state.page_size > 0 {
        let pages = many(state.page_count, "page");
        let size = count(u64::from(state.page_size));
        let mode = known::journal_mode(state.journal_mode);
        lines.push(line("  journal", &format!("{mode}, {pages} of {size} bytes")));
    }
    if let Some(knowledge) = &state.knowledge {
        lines.extend(known::schema_version(knowledge).map(|it| line("  schema", &it)));
        let total: u64 = knowledge.tables.iter().map(|it| it.rows).sum();
        let tables = many(knowledge.tables.len() as u64, "table");
        lines.push(line("  rows", &format!("{} in {tables}", count(total))));
    }
    lines
}

fn open_in(database: &ExaminedDatabase) -> Option<String> {
    let holders = database.holders.iter();
    let named: Vec<_> =
        holders.map(|it| format!("{} ({})", printable(it.command.as_bytes()), it.pid)).collect();
    match (named.is_empty(), database.is_in_use) {
        (false, _) => Some(named.join(", ")),
        (true, true) => Some("a process that cannot be seen from here".to_owned()),
        (true, false) => None,
    }
}

fn of_references(set: &Examined) -> Vec<String> {
    let name = printable(set.query.name.as_bytes());
    let who = match &set.origin {
        Origin::BuiltIn => "known to larder".to_owned(),
        Origin::Configured => "by [[reference]]".to_owned(),
        Origin::Found(columns) => format!("found in {}", printable(columns.join(", ").as_bytes())),
    };
    let mut lines = vec![line("  files", &format!("{name}, {who}"))];
    if let Some(why) = &set.failure {
        lines.push(line("", &format!("could not be looked up: {}", printable(why.as_bytes()))));
        return lines;
    }
    let (all, are) = if set.named == 1 { ("file", "is") } else { ("files", "are") };
    let number = of_total(set.present, set.named);
    let below = match set.base.as_slice() {
        b"" => "here".to_owned(),
        base => format!("below {}", printable(base)),
    };
    lines.push(match set.named {
        0 => line("", "no row names a file"),
        _ => line("", &format!("{number} {all} named by rows {are} {below}")),
    });
    lines.extend(names("missing", &set.missing));
    lines.extend(names("of another size", &set.other_size));
    lines.extend(names("not below that", &set.refused));
    if let Some(first) = set.orphans.first.first() {
        let total = many(set.orphans.total, "file");
        let like = if set.orphans.total == 1 { "" } else { "such as " };
        lines.push(line("", &format!("named by no row: {total}, {like}{}", printable(first))));
    }
    lines
}

/// How many there are, and the first of them, a line each.
fn names(what: &str, names: &Names) -> Vec<String> {
    if names.total == 0 {
        return Vec::new();
    }
    let mut lines = vec![line("", &format!("{what}: {}", count(names.total)))];
    let first = names.first.iter().take(NAMED);
    lines.extend(first.map(|name| line("", &format!("  {}", printable(name)))));
    let more = names.total.saturating_sub(lines.len() as u64 - 1);
    if more > 0 {
        lines.push(line("", &format!("  and {} more", count(more))));
    }
    lines
}

fn line(label: &str, text: &str) -> String {
    format!("{label:<12}{text}")
}
