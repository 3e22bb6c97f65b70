//! Opening the database as the application does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Error;

/// The application's newest migration; a `PartsHub` is recognised by it.
pub const ALEMBIC_HEAD: &str = "7cb259170036";
/// The database's name in the data directory.
pub const DATABASE: &str = "partshub.db";
/// The directory that `file_path` and `thumbnail_path` are relative to.
pub const ATTACHMENTS: &str = "attachments";

/// Tables, indexes and triggers of the application.
pub(crate) const TABLES: &str = include_str!("schema.sql");

/// How long a statement waits for another process's commit.
const BUSY: Duration = Duration::from_secs(30);

pub(crate) fn database_path(data_dir: &Path) -> PathBuf {
    data_dir.join(DATABASE)
}

/// A new, empty database for a bulk load: nothing is synced, nobody else may look.
pub(crate) fn create(path: &Path) -> Result<Connection, Error> {
    let conn = Connection::open(path).map_err(Error::sql("create the database"))?;
    conn.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
         PRAGMA foreign_keys = ON;",
    )
    .map_err(Error::sql("prepare the bulk load"))?;
    Ok(conn)
}

/// The application's connection: WAL, synchronous NORMAL, foreign keys.
pub(crate) fn open(data_dir: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database_path(data_dir), flags)
        .map_err(Error::sql("open the database"))?;
    conn.busy_timeout(BUSY).map_err(Error::sql("set the busy timeout"))?;
    conn.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         PRAGMA temp_store = MEMORY;",
    )
    .map_err(Error::sql("configure the connection"))?;
    Ok(conn)
}

/// Makes the last close leave `-wal` and `-shm` in place, as a killed application does.
pub(crate) fn keep_wal_on_close(conn: &Connection) -> Result<(), Error> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(Error::sql("keep the write-ahead log at close"))?;
    Ok(())
}

/// Stops the application cleanly: the write-ahead log is moved into the database and removed
/// (it stays while another process has the database open).
pub fn close(data_dir: &Path) -> Result<(), Error> {
    let conn = open(data_dir)?;
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .map_err(Error::sql("checkpoint the write-ahead log"))?;
    conn.close().map_err(|(_, source)| Error::Sql { doing: "close the database", source })
}
