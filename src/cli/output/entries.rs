//! Entries of a snapshot, for people and in JSON.

use jiff::tz::TimeZone;
use larder::codec::manifest::{Entry, EntryKind};
use serde::Serialize;

use crate::cli::output::json::Path;
use crate::cli::output::times;
use crate::cli::output::units::bytes;

/// An entry in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct EntryBody {
    root: u32,
    #[serde(flatten)]
    path: Path,
    kind: &'static str,
    /// Permission bits in octal.
    mode: String,
    uid: u32,
    gid: u32,
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetBody>,
}

#[derive(Debug, Serialize)]
struct TargetBody {
    #[serde(flatten)]
    path: Path,
}

impl EntryBody {
    /// An entry with its time in this zone.
    pub(crate) fn of(entry: &Entry, zone: &TimeZone) -> Self {
        Self {
            root: entry.key.root,
            path: Path::of(&entry.key.path),
            kind: kind(entry),
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            mtime: times::rfc3339_of_file((entry.mtime.secs, entry.mtime.nanos), zone),
            size_bytes: size(entry),
            target: match &entry.kind {
                EntryKind::Symlink { target } => Some(TargetBody { path: Path::of(target) }),
                _ => None,
            },
        }
    }
}

/// The size of a file.
pub(crate) fn size(entry: &Entry) -> Option<u64> {
    match &entry.kind {
        EntryKind::File(file) => Some(file.size),
        _ => None,
    }
}

fn kind(entry: &Entry) -> &'static str {
    match &entry.kind {
        EntryKind::File(_) => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice { .. } => "char_device",
        EntryKind::BlockDevice { .. } => "block_device",
    }
}

/// Mode, owner, size and time before the name, as `ls -l` has them.
pub(crate) fn long(entry: &Entry, zone: &TimeZone) -> String {
    let owner = format!("{}:{}", entry.uid, entry.gid);
    let size = match &entry.kind {
        EntryKind::File(file) => bytes(file.size),
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            format!("{major}, {minor}")
        }
        _ => "-".to_owned(),
    };
    let time = times::of_file(entry.mtime.secs, zone);
    format!("{}  {owner:<11}  {size:>8}  {time}  ", mode(entry))
}

fn mode(entry: &Entry) -> String {
    let mut text = String::with_capacity(10);
    text.push(match &entry.kind {
        EntryKind::File(_) => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharDevice { .. } => 'c',
        EntryKind::BlockDevice { .. } => 'b',
    });
    for (shift, special, letters) in
        [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])]
    {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letters[0],
            (true, false) => letters[1],
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use larder::codec::manifest::{EntryKey, FileTime};

    use super::*;

    fn entry(mode: u32, kind: EntryKind) -> Entry {
        Entry {
            key: EntryKey { root: 0, path: b"a".to_vec().into() },
            kind,
            mode,
            uid: 1000,
            gid: 100,
            mtime: FileTime { secs: 1_795_312_800, nanos: 5 },
            ctime: FileTime::default(),
            device: 0,
            inode: 0,
            links: 1,
            xattrs: Vec::new(),
            extensions: Vec::new(),
        }
    }

    #[test]
    fn modes_are_spelt_as_ls_does() {
        for (bits, text) in [
            (0o644, "drw-r--r--"),
            (0o1777, "drwxrwxrwt"),
            (0o6755, "drwsr-sr-x"),
            (0o7000, "d--S--S--T"),
        ] {
            assert_eq!(mode(&entry(bits, EntryKind::Directory)), text);
        }
    }

    #[test]
    fn a_long_line_has_fixed_columns() {
        let line = long(&entry(0o644, EntryKind::Fifo), &TimeZone::UTC);
        assert_eq!(line, "prw-r--r--  1000:100            -  2026-11-22 02:00  ");
        let device = entry(0o660, EntryKind::BlockDevice { major: 8, minor: 1 });
        assert!(long(&device, &TimeZone::UTC).contains("    8, 1  "));
    }

    #[test]
    fn json_has_exact_values() {
        let target = EntryKind::Symlink { target: b"\xff".to_vec().into() };
        let json =
            serde_json::to_value(EntryBody::of(&entry(0o777, target), &TimeZone::UTC)).unwrap();
        assert_eq!(json["mtime"], "2026-11-22T02:00:00.000000005+00:00");
        assert_eq!(json["mode"], "0777");
        assert_eq!(json["target"]["path_b64"], "/w==");
        assert!(json.get("size_bytes").is_none());
    }
}
