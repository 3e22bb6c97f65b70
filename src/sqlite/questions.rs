//! What a capture is asked about the captured bytes beside whether they are sound: which files its rows name.
//!
//! Here live the questions, the profiles that are built in, and the shape of the answers. Not here: who asks `SQLite`
//! (the helper), and what becomes of a named file (`snapshot::archive`).

/// The most bytes of answers of one database: path and hash of each row, and [`ROW_BYTES`]. Some 90,000 rows.
pub const MAX_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// What a row counts beside its texts.
pub const ROW_BYTES: usize = 48;

/// The longest path of an answer, in bytes; a longer one is cut there. No system has files with paths of this length, so such a row
/// names nothing that exists either way.
pub const MAX_PATH_BYTES: usize = 8192;

/// The longest hash of an answer, in bytes; a longer text is cut there, and is none either way.
pub const MAX_HASH_BYTES: usize = 256;

/// The most queries that are put to one database; those beyond are answered with a failure.
pub const MAX_QUERIES: usize = 64;

/// The most different values of one column that a sample has.
pub const MAX_SAMPLE_VALUES: usize = 64;

/// The longest value of a sample, in bytes; longer ones are left out, for they are no paths.
pub const MAX_SAMPLE_BYTES: usize = 512;

/// The most columns that are sampled in one database.
pub const MAX_SAMPLED_COLUMNS: usize = 4096;

/// A query for the files that rows name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceQuery {
    /// What people call it: the name of the profile, or of the entry in the configuration.
    pub name: String,
    /// The database that it is for, relative to its root; `None` for every one that has the columns.
    pub database: Option<Vec<u8>>,
    /// Tables and columns without which it does not apply.
    pub needs: Vec<(String, String)>,
    /// The directory that paths are relative to.
    pub base: BaseDir,
    /// One SELECT of one to three columns: path, size in bytes, hash. A path that is NULL or empty names nothing. A size counts when
    /// it is a whole number that is not negative, a hash when it is a text that is not empty, or a BLOB, which stands for its
    /// hexadecimal digits; else it is not known. Of 64 digits a hash is BLAKE3 or SHA-256, whichever fits.
    pub sql: String,
}

/// Where a relative path begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseDir {
    /// Below the directory that the database is in.
    BesideDatabase(Vec<u8>),
    /// Below the database's root.
    BelowRoot(Vec<u8>),
}

/// A file that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As the row has it; may be anything.
    pub path: Box<[u8]>,
    /// Its size in bytes, when the row says so.
    pub size_bytes: Option<u64>,
    /// Its hash, when the row says so; may be anything.
    pub hash: Option<Box<str>>,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The database has not all of the columns.
    DoesNotApply,
    /// The files that its rows name, in the order of the query.
    Named {
        /// One a row.
        files: Vec<Named>,
        /// Rows whose path is no text.
        without_text: u64,
    },
    /// The query failed, or has more rows than can be held.
    Failed(String),
}

/// A column of an ordinary table that may hold paths, or sizes beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSample {
    /// Its table.
    pub table: String,
    /// Its name.
    pub column: String,
    /// What is in it.
    pub content: Content,
}

/// What was found in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Different texts, at most [`MAX_SAMPLE_VALUES`], each of 1 to [`MAX_SAMPLE_BYTES`] bytes.
    Texts(Vec<Box<[u8]>>),
    /// It is declared to hold integers, which a size may be; they are not looked at.
    Integers,
}

/// The query that `larder` knows without being told: `PartsHub`'s attachments and their thumbnails.
///
/// Older schemas have attachments without thumbnails, or without sizes. Where a column is missing, its name means that of `absent`: a name
/// is looked up in the inner query first, and only then around it.
pub fn built_in() -> Vec<ReferenceQuery> {
    let column = |name: &str| {
        format!("(SELECT {name} FROM attachments AS it WHERE it.rowid = attachments.rowid)")
    };
    let (size, thumbnail) = (column("file_size"), column("thumbnail_path"));
    let rows = "FROM attachments, (SELECT NULL AS file_size, NULL AS thumbnail_path) AS absent";
    vec![ReferenceQuery {
        name: "partshub".to_owned(),
        database: None,
        // Of every version; the second tells it from others that attach files to something.
        needs: ["file_path", "component_id"].map(|name| ("attachments".into(), name.into())).into(),
        base: BaseDir::BesideDatabase(b"attachments".to_vec()),
        sql: format!(
            "SELECT attachments.file_path, {size} {rows} UNION ALL SELECT {thumbnail}, NULL {rows}"
        ),
    }]
}
