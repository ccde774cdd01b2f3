//! Opens a database of the version that this Kestrel supports, or explains why it cannot.
//!
//! The version is in the file (`PRAGMA user_version`): the number of applied migrations. Each migration is a
//! transaction, so a crash leaves the version before or after it. A damaged, foreign or newer file is
//! rejected and never written to: a person decides what to do with it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use super::migrations::MIGRATIONS;
use anyhow::{Context, Result, anyhow, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// `KSTL`: marks our file among SQLite databases (`PRAGMA application_id`).
const OURS: i32 = 0x4b53_544c;

/// How long one connection waits for another. A step takes milliseconds; only a stopped process takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the database at `path`, and creates it if needed.
pub(super) fn open(path: &Path) -> Result<Connection> {
    open_with(path, MIGRATIONS)
}

fn open_with(path: &Path, migrations: &[&str]) -> Result<Connection> {
    make_file(path).with_context(|| format!("cannot create the ledger {}", path.display()))?;
    // Without URI: a folder can have any name.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
    prepare(&mut connection, path, migrations)?;
    Ok(connection)
}

/// Created here and not by SQLite, which would make it readable for everyone; SQLite's own files (`-wal`,
/// `-shm`) get its mode. An existing file is not opened: closing it would drop all locks of this process on
/// it.
fn make_file(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all(),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // It may have been restored by hand, with wider permissions; another user's file stays as it is.
            let mode = fs::metadata(path)?.permissions().mode() & 0o777;
            match mode & 0o077 {
                0 => Ok(()),
                _ => fs::set_permissions(path, Permissions::from_mode(0o600)),
            }
        }
        Err(error) => Err(error),
    }
}

fn prepare(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<()> {
    let plain = |error| explain(path, error);
    connection.busy_timeout(PATIENCE).map_err(plain)?;
    // One read-only snapshot: a rejected file stays as it was.
    let look = connection.transaction().map_err(plain)?;
    let shape = recognise(&look, path, migrations.len())?;
    sound(&look, path)?;
    drop(look);
    write_ahead(connection).map_err(plain)?;
    // Writes must survive a power failure, because a post follows them.
    connection.pragma_update(None, "synchronous", "full").map_err(plain)?;
    // Deleted data is overwritten: a deleted case is in no file any more.
    connection.pragma_update(None, "secure_delete", true).map_err(plain)?;
    // Rewriting the file needs space for a copy: in memory, so that none outlives the process.
    connection.pragma_update(None, "temp_store", "memory").map_err(plain)?;
    // An occasional state of some megabytes must not leave a large file.
    connection.pragma_update(None, "journal_size_limit", 8 << 20).map_err(plain)?;
    // Most starts have nothing to do, and then lock nothing.
    (shape..migrations.len()).try_for_each(|done| migrate(connection, path, migrations, done))
}

/// Whether the file is ours, and how many migrations it has.
fn recognise(connection: &Connection, path: &Path, known: usize) -> Result<usize> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let plain = |error| explain(path, error);
    let shape = number("user_version").map_err(plain)?;
    let whose = number("application_id").map_err(plain)?;
    let things: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(plain)?;
    let shown = path.display();
    if whose != OURS && (shape != 0 || whose != 0 || things != 0) {
        bail!(
            "{shown} is a database of another program, and Kestrel does not touch it. Move it away, or set \
             `store` in the config to another folder, and start again."
        );
    }
    let shape = usize::try_from(shape).unwrap_or(usize::MAX);
    if shape > known {
        bail!(
            "The ledger {shown} was written by a newer Kestrel (schema version {shape}, this one supports \
             {known}). Nothing was changed. Start the newer Kestrel again, or move ledger.sqlite, \
             ledger.sqlite-wal and ledger.sqlite-shm away together; cases, storms, mutes and unsent messages \
             are then lost."
        );
    }
    Ok(shape)
}

/// A damaged page shows only when it is read, possibly months later. The database is small, so all of it is
/// checked.
fn sound(connection: &Connection, path: &Path) -> Result<()> {
    let says: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(path, error))?;
    match says.as_str() {
        "ok" => Ok(()),
        says => Err(anyhow!("{says}").context(broken(path))),
    }
}

/// Enables the write-ahead log, permanently for the file. SQLite does not wait here, so two processes that
/// open a new file at the same time retry.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    const NAP: Duration = Duration::from_millis(20);
    let mut naps = 0;
    loop {
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode == "wal" {
            return Ok(());
        }
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if is_busy(&error) && NAP * naps < PATIENCE => naps += 1,
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        std::thread::sleep(NAP);
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Applies the next migration to a database that has `done` of them.
fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
    done: usize,
) -> Result<()> {
    let plain = |error| explain(path, error);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(plain)?;
    // Another process may have done it already.
    if recognise(&tx, path, migrations.len())? > done {
        return Ok(());
    }
    tx.execute_batch(migrations[done])
        .and_then(|()| tx.pragma_update(None, "application_id", OURS))
        .and_then(|()| tx.pragma_update(None, "user_version", done + 1))
        .and_then(|()| tx.commit())
        .map_err(plain)
}

/// Explains a SQLite error: what a person can do about it.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> anyhow::Error {
    let shown = path.display();
    let says = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => broken(path),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => format!(
            "The ledger {shown} cannot be opened or written. Only its owner has access: run this as the user \
             that runs the bot."
        ),
        _ if is_busy(&error) => format!(
            "The ledger {shown} has been locked by another process for more than {} s. Nothing was written. \
             Check whether another Kestrel process is stuck.",
            PATIENCE.as_secs()
        ),
        Some(ErrorCode::DiskFull) => {
            format!(
                "The ledger {shown} cannot be written: the disk is full. Nothing was written. Free some space."
            )
        }
        _ => format!("The ledger {shown} could not be read or written"),
    };
    anyhow::Error::from(error).context(says)
}

fn broken(path: &Path) -> String {
    format!(
        "The ledger {} is damaged: it is not a database, or not a complete one. Nothing was changed. Restore a \
         copy, or move ledger.sqlite, ledger.sqlite-wal and ledger.sqlite-shm away together and start again; \
         cases, storms, mutes and unsent messages are then lost, and logs are read from their ends.",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NEWEST: i64 = MIGRATIONS.len() as i64;

    /// Every file of a folder, and what is in it.
    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
    }

    fn shape(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[track_caller]
    fn refused(path: &Path, says: &str) {
        let before = files(path.parent().unwrap());
        let error = open(path).map(drop).unwrap_err();
        assert!(format!("{error:#}").contains(says), "{error:#}");
        assert!(error.to_string().contains("ledger.sqlite"), "{error}");
        assert_eq!(files(path.parent().unwrap()), before, "a refused file was touched");
    }

    #[test]
    fn an_empty_folder_gets_the_newest_shape_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let connection = open(&path).unwrap();
        assert_eq!(shape(&connection), NEWEST);
        let text = |name| -> String {
            connection.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(text("journal_mode"), "wal");
        let full: i64 =
            connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(full, 2);
        connection.execute("INSERT INTO place VALUES ('a', 'b')", []).unwrap();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"]);
        drop(connection);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_older_shape_is_brought_up_and_keeps_what_it_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let one = "CREATE TABLE a (x TEXT) STRICT;";
        let two = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = length(x);";
        let wrong = "CREATE TABLE c (z TEXT); INSERT INTO nowhere VALUES (1);";
        let old = open_with(&path, &[one]).unwrap();
        old.execute("INSERT INTO a (x) VALUES ('kept')", []).unwrap();
        assert_eq!(shape(&old), 1);
        drop(old);
        // A step that fails leaves the shape before it, whole.
        let failed = open_with(&path, &[one, two, wrong]).map(drop).unwrap_err();
        assert!(format!("{failed:#}").contains("nowhere"), "{failed:#}");
        let new = open_with(&path, &[one, two]).unwrap();
        assert_eq!(shape(&new), 2);
        let row = new.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row.unwrap(), ("kept".to_owned(), 4));
        assert!(new.prepare("SELECT * FROM c").is_err(), "half a migration stands");
    }

    #[test]
    fn a_newer_shape_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let mut newer = MIGRATIONS.to_vec();
        newer.push("CREATE TABLE later (x TEXT) STRICT;");
        open_with(&path, &newer).unwrap();
        let known = MIGRATIONS.len();
        let says =
            format!("a newer Kestrel (schema version {}, this one supports {known})", known + 1);
        refused(&path, &says);
        assert_eq!(shape(&open_with(&path, &newer).unwrap()), NEWEST + 1);
    }

    #[test]
    fn what_is_no_ledger_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        for garbage in [&b"xy"[..], &[0xff; 40], b"SQLite format 3\0 but not really", &[7; 9000]] {
            fs::write(&path, garbage).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            refused(&path, "is damaged: it is not a database, or not a complete one");
        }
        fs::remove_file(&path).unwrap();
        let foreign = Connection::open(&path).unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x TEXT)").unwrap();
        drop(foreign);
        refused(&path, "is a database of another program");
        // Nothing at all is what a crash right after the file was made leaves.
        fs::write(&path, "").unwrap();
        assert_eq!(shape(&open(&path).unwrap()), NEWEST);
    }

    #[test]
    fn a_ledger_with_a_torn_page_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let connection = open(&path).unwrap();
        for source in 0..200 {
            let sql = "INSERT INTO place VALUES (?1, ?2)";
            connection.execute(sql, (source.to_string(), "x".repeat(300))).unwrap();
        }
        drop(connection);
        let whole = fs::read(&path).unwrap();
        for page in 1..whole.len() / 4096 {
            let mut torn = whole.clone();
            torn[page * 4096..page * 4096 + 512].fill(0xee);
            fs::write(&path, &torn).unwrap();
            refused(&path, "is damaged");
            fs::write(&path, &whole[..page * 4096]).unwrap();
            refused(&path, "is damaged");
        }
        fs::write(&path, &whole).unwrap();
        open(&path).unwrap();
    }

    #[test]
    fn many_that_open_it_at_once_all_find_it_whole() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger.sqlite");
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..6).map(|_| scope.spawn(|| open(&path).map(drop))).collect();
                for one in all {
                    one.join().unwrap().unwrap();
                }
            });
            assert_eq!(shape(&open(&path).unwrap()), NEWEST);
        }
    }
}
