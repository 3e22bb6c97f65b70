//! Attachments: a file, perhaps a thumbnail, and a row, in the application's order.
//!
//! Upload: files first, written in place, then the row. Delete: files first, then the row.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::media::{self, Format};
use crate::moment::Moment;
use crate::names::LANDMARK;
use crate::parts::Part;
use crate::rng::{Rng, fnv1a};

/// An attachment before it is stored.
pub(crate) struct Upload {
    pub(crate) component: String,
    pub(crate) original: String,
    pub(crate) format: Format,
    pub(crate) title: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// A stored attachment: paths relative to the attachments directory.
pub(crate) struct Stored {
    pub(crate) file_path: String,
    pub(crate) thumbnail_path: Option<String>,
    /// Bytes of file and thumbnail together.
    pub(crate) bytes: u64,
}

/// What a delete needs of a row.
pub(crate) struct Row {
    id: String,
    file_path: String,
    thumbnail_path: Option<String>,
}

impl Upload {
    /// A new document of about `target` bytes for a component.
    pub(crate) fn draw(rng: &mut Rng, part: &Part, format: Format, target: usize) -> Self {
        let bytes = media::document(format, rng, target, &part.number);
        Self::of(rng, part, format, bytes)
    }

    /// A document that is there already, under a drawn name.
    pub(crate) fn of(rng: &mut Rng, part: &Part, format: Format, bytes: Vec<u8>) -> Self {
        let title = (format == Format::Pdf).then(|| format!("{} Datasheet", part.number));
        let original = original_name(rng, format, &part.number);
        Self { component: part.id.clone(), original, format, title, bytes }
    }

    fn label(&self) -> &'static str {
        match self.format {
            Format::Pdf => "datasheet",
            Format::Jpeg => "photo",
            Format::Png => "schematic",
        }
    }

    /// The name on disk keeps letters (of any script), digits and `._-`.
    fn filename(&self) -> String {
        self.original.chars().filter(|c| c.is_alphanumeric() || "._-".contains(*c)).collect()
    }
}

/// The name that a user's file had; now and then with spaces or letters beyond ASCII.
fn original_name(rng: &mut Rng, format: Format, part: &str) -> String {
    let number = rng.below(240_000);
    let odd = rng.below(10);
    match format {
        Format::Pdf if odd == 0 => format!("Datenblatt_{part}_Gr\u{f6}\u{df}e_\u{b5}.pdf"),
        Format::Pdf if odd < 4 => format!("{part}_datasheet.pdf"),
        Format::Pdf if odd < 6 => format!("AN-{number} {part} guide.pdf"),
        Format::Pdf => format!("{part}.pdf"),
        Format::Jpeg if odd == 0 => format!("Bild_gr\u{f6}\u{df}er_{number}.jpg"),
        Format::Jpeg if odd < 3 => format!("photo ({}).jpg", number % 60),
        Format::Jpeg => format!("IMG_{number:06}.jpg"),
        Format::Png => format!("{part}_pinout.png"),
    }
}

/// Writes the upload's files in place, without temporary name or sync, as the application does.
/// `modified` sets their time; a live writer leaves it to the clock.
pub(crate) fn store(
    root: &Path,
    rng: &mut Rng,
    upload: &Upload,
    modified: Option<Moment>,
) -> Result<Stored, Error> {
    let filename = upload.filename();
    let (stem, extension) = filename.rsplit_once('.').unwrap_or((&filename, "bin"));
    let kind = if upload.format.is_image() { "images" } else { "datasheets" };
    let component = &upload.component;
    let fan = fnv1a(component.as_bytes()) & 0xff;
    let base = format!("{fan:02x}/{component}/{kind}/{stem}_{}", rng.hex8());
    let mut stored =
        Stored { file_path: format!("{base}.{extension}"), thumbnail_path: None, bytes: 0 };
    stored.bytes += write(root, &stored.file_path, &upload.bytes, modified)?;
    if upload.format.is_image() {
        let path = format!("{base}_thumb.jpg");
        stored.bytes += write(root, &path, &media::thumbnail(rng), modified)?;
        stored.thumbnail_path = Some(path);
    }
    Ok(stored)
}

fn write(root: &Path, name: &str, bytes: &[u8], modified: Option<Moment>) -> Result<u64, Error> {
    let path = root.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    let mut file = File::create(&path).map_err(Error::io("create", &path))?;
    file.write_all(bytes).map_err(Error::io("write", &path))?;
    if let Some(moment) = modified {
        file.set_modified(moment.system_time()).map_err(Error::io("set the time of", &path))?;
    }
    Ok(bytes.len() as u64)
}

/// The row of a stored upload; none when the component has meanwhile been deleted
/// (the files then stay as orphans, as in the application).
pub(crate) fn insert(
    conn: &Connection,
    rng: &mut Rng,
    upload: &Upload,
    stored: &Stored,
    at: Moment,
) -> Result<(), Error> {
    let size = i64::try_from(upload.bytes.len()).expect("invariant: a file in memory");
    conn.execute(
        "INSERT INTO attachments (id, component_id, filename, original_filename, file_size,
           mime_type, file_path, title, attachment_type, is_primary_image, thumbnail_path,
           display_order, created_at, updated_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?12
         WHERE EXISTS (SELECT 1 FROM components WHERE id = ?2)",
        params![
            rng.uuid(),
            upload.component,
            upload.filename(),
            upload.original,
            size,
            upload.format.mime(),
            stored.file_path,
            upload.title,
            upload.label(),
            upload.format == Format::Jpeg,
            stored.thumbnail_path,
            at.text()
        ],
    )
    .map_err(Error::sql("insert an attachment"))?;
    Ok(())
}

/// An attachment somewhere in the table, never the landmark.
pub(crate) fn random_row(conn: &Connection, rng: &mut Rng) -> Result<Option<Row>, Error> {
    let from = |id: &str| {
        conn.query_one(
            "SELECT id, file_path, thumbnail_path FROM attachments
             WHERE id >= ?1 AND original_filename <> ?2 ORDER BY id LIMIT 1",
            [id, LANDMARK],
            |row| Ok(Row { id: row.get(0)?, file_path: row.get(1)?, thumbnail_path: row.get(2)? }),
        )
        .optional()
        .map_err(Error::sql("pick an attachment"))
    };
    match from(&rng.uuid())? {
        None => from(""),
        found => Ok(found),
    }
}

/// The attachment whose file has this path, relative to the attachments directory.
pub(crate) fn row_of(conn: &Connection, file_path: &str) -> Result<Option<Row>, Error> {
    conn.query_one(
        "SELECT id, file_path, thumbnail_path FROM attachments WHERE file_path = ?1",
        [file_path],
        |row| Ok(Row { id: row.get(0)?, file_path: row.get(1)?, thumbnail_path: row.get(2)? }),
    )
    .optional()
    .map_err(Error::sql("find an attachment"))
}

/// Removes a row's files; one that is gone already is no error, as in the application.
pub(crate) fn unlink(root: &Path, row: &Row) -> Result<(), Error> {
    for name in std::iter::once(&row.file_path).chain(&row.thumbnail_path) {
        let path = root.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(Error::io("remove", &path))?,
        }
    }
    Ok(())
}

pub(crate) fn delete_row(conn: &Connection, row: &Row) -> Result<(), Error> {
    conn.execute("DELETE FROM attachments WHERE id = ?1", [&row.id])
        .map_err(Error::sql("delete an attachment"))?;
    Ok(())
}
