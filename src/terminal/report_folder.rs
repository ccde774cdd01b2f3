//! Reads the files of a folder like those of an archive: the newest first, with the same limits as a report.
//! Links are not followed, so that nothing outside the folder is read.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kestrel_core::client_files::{Listed, take_in_folder};
use kestrel_core::evidence::client_file::{Limits, Parcel};
use rustix::fs::OFlags;

/// The most files that are considered, and the most levels of subfolders.
const FILES: usize = 4096;
const DEPTH: usize = 3;

/// The contents of a folder.
#[derive(Default)]
struct FolderContents {
    files: Vec<(SystemTime, PathBuf, u64)>,
    links: u64,
    /// There are more than the limit.
    more: bool,
}

/// Reads the files of a folder. The error is a sentence for a person.
pub(super) fn taken(folder: &Path, limits: &Limits) -> Result<Parcel, String> {
    let mut found = FolderContents::default();
    found.look(folder, 0).map_err(|why| format!("it cannot be read: {why}"))?;
    // By time, if the names say nothing.
    found.files.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
    let name =
        |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    let listed = found.files.iter().map(|(_, path, size)| Listed { name: name(path), size: *size });
    let listed: Vec<_> = listed.collect();
    let mut open =
        |place: usize| found.files.get(place).map_or_else(none, |(_, path, _)| opened(path));
    let mut parcel = take_in_folder(&listed, &mut open, limits)?;
    if found.links > 0 {
        parcel.notes.push(format!("{} links in the folder were not followed", found.links));
    }
    if found.more {
        parcel.notes.push(format!(
            "the folder has more than {FILES} files or {DEPTH} levels: the rest was not read"
        ));
    }
    Ok(parcel)
}

impl FolderContents {
    fn look(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(folder)?.flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if self.files.len() >= FILES {
                self.more = true;
                return Ok(());
            }
            if about.is_symlink() {
                self.links += 1;
            } else if about.is_dir() && depth < DEPTH {
                // An unreadable folder has no readable files.
                let _ = self.look(&entry.path(), depth + 1);
            } else if about.is_dir() {
                self.more = true;
            } else if about.is_file() && about.len() > 0 {
                let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                self.files.push((changed, entry.path(), about.len()));
            }
        }
        Ok(())
    }
}

/// Opens a file, unless it is a link by now.
fn opened(path: &Path) -> io::Result<BufReader<File>> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(path).map(BufReader::new)
}

fn none() -> io::Result<BufReader<File>> {
    Err(io::ErrorKind::NotFound.into())
}
