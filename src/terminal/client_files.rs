//! Reads a client's file, a pipe or a folder of files.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use kestrel_core::client_files::take_in_from;
use kestrel_core::command::UsageError;
use kestrel_core::evidence::client_file::{Limits, Parcel};

use super::report_folder;
use super::slip::slip;

/// A local file may be larger than one that is sent.
pub(super) fn file_limits() -> Limits {
    Limits { size: 64 << 20, ..Limits::default() }
}

/// Reads a client's file, whatever its kind, or the files of a folder.
pub(super) fn taken(file: &Path, limits: &Limits) -> Result<Parcel, UsageError> {
    let shown = file.display();
    if file.is_dir() {
        return report_folder::taken(file, limits).map_err(|why| slip(format!("{shown}: {why}")));
    }
    let unread = |why| slip(format!("{shown} cannot be read: {why}"));
    let mut open = File::open(file).map_err(unread)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let taken = if open.metadata().is_ok_and(|about| about.is_file()) {
        take_in_from(&name, BufReader::new(open), limits)
    } else {
        // A pipe is not seekable, so it is read into memory.
        let most = limits.size.min(Limits::default().size);
        let mut bytes = Vec::new();
        open.by_ref().take(most as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
        take_in_from(&name, Cursor::new(bytes), &Limits { size: most, ..limits.clone() })
    };
    taken.map_err(|why| slip(format!("{shown}: {why}")))
}
