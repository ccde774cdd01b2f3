//! Checks whether the store folder is writable. It takes no lock and opens no database, so that it works
//! while the bot runs; it deletes its test file again.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

/// With less space than this the folder counts as full: the ledger's write-ahead log, the Matrix client's
/// databases and a capture bundle take some megabytes each.
pub const SPARE: u64 = 64 << 20;

/// What `kestrel doctor` says about the folder; an error if there is something to do.
pub fn health(folder: &Path) -> Result<String, String> {
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => {
            return Err(format!(
                "{shown} is not a folder. Set `store` in the config to another path"
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return missing(folder),
        Err(error) => return Err(unusable(folder, &error)),
    }
    let free = free_space(folder).map_err(|error| unusable(folder, &error))?;
    try_out(folder).map_err(|error| unwritten(folder, free, &error))?;
    if free < SPARE {
        return Err(full(folder, free));
    }
    Ok(format!("{shown} is writable; {} MB free", free >> 20))
}

/// A missing folder is created by the first command that needs it, if that is permitted.
fn missing(folder: &Path) -> Result<String, String> {
    let above = folder.ancestors().skip(1).find(|above| above.exists());
    // The path may be relative and have no parent.
    let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match access(above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => {
            Ok(format!("{} does not exist yet; `kestrel login` creates it", folder.display()))
        }
        Err(error) => Err(unusable(folder, &error.into())),
    }
}

/// Writes a file and deletes it.
fn try_out(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!("doctor-{}.new", std::process::id()));
    let written = fs::File::create_new(&path).and_then(|mut file| {
        // More than one block: a full disk may still have space for a name.
        file.write_all(&[0; 64 << 10])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

/// The bytes that this user can still write to the folder's disk.
pub fn free_space(folder: &Path) -> std::io::Result<u64> {
    let disk = statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn unwritten(folder: &Path, free: u64, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => full(folder, free),
        _ => unusable(folder, error),
    }
}

fn full(folder: &Path, free: u64) -> String {
    format!(
        "the disk of {} is full or nearly full: {} MB free, Kestrel needs {} MB. On a full disk it cannot \
         record its counts and what it has sent, so storm alerts stop. Free some space on that disk",
        folder.display(),
        free >> 20,
        SPARE >> 20
    )
}

fn unusable(folder: &Path, error: &std::io::Error) -> String {
    format!(
        "{} cannot be used: {error}. Run this as the user that runs the bot, or set `store` in the config to \
         another folder",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_room_is_well_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let says = health(folder.path()).unwrap();
        assert!(says.contains(" is writable; "), "{says}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let says = health(&folder.path().join("not/yet")).unwrap();
        assert!(says.ends_with("not/yet does not exist yet; `kestrel login` creates it"), "{says}");
    }

    #[test]
    fn what_is_no_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let says = health(&file).unwrap_err();
        assert!(says.contains("file is not a folder"), "{says}");
        let says = health(&file.join("below")).unwrap_err();
        assert!(says.contains("cannot be used"), "{says}");
    }

    #[test]
    fn a_full_disk_is_told() {
        // The one file of every Linux that is always full.
        let mut file = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = file.write_all(b"x").unwrap_err();
        let says = unwritten(Path::new("/var/lib/kestrel"), 3 << 20, &error);
        assert!(says.contains("/var/lib/kestrel is full") && says.contains("3 MB free"), "{says}");
    }
}
