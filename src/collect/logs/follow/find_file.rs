//! Finds the file to resume in: the one that was read last, under whatever name, and the one that follows it.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::position::FilePosition;
use super::tail::{Fit, fit};
use crate::collect::logs::log_file::{self, LogFile};
use kestrel_core::synapse_log::record::Stamp;

/// Where a saved position was found.
#[derive(Debug)]
pub enum FoundFile {
    /// Reading continues in this file. The flag says whether it is the log's current file.
    At(LogFile, bool),
    /// A copy that ends before the position: all of it was read.
    Ended,
    Nowhere,
}

/// Looks for a saved position in the log itself, then in rotated files, plain ones first.
pub fn find(path: &Path, mark: &FilePosition) -> FoundFile {
    let mut ended = false;
    if let Ok(part) = LogFile::inspect(path) {
        match fit(&part, mark) {
            Ok(Fit::GoesOn) => return FoundFile::At(part, true),
            Ok(Fit::Short) => ended = true,
            _ => {}
        }
    }
    let mut parts = rotated(path);
    parts.sort_by_key(|part| (part.gzip, Reverse(begins(part))));
    for part in parts {
        match fit(&part, mark) {
            Ok(Fit::GoesOn) => return FoundFile::At(part, false),
            Ok(Fit::Short) => ended = true,
            // It may be in the middle of being compressed or renamed.
            _ => {}
        }
    }
    if ended { FoundFile::Ended } else { FoundFile::Nowhere }
}

/// The file after one that starts at `began`: the oldest rotated file that is newer, otherwise the log
/// itself. `None` if the log is missing, or is `same`.
pub fn next(
    path: &Path,
    began: Option<i64>,
    same: Option<(u64, u64)>,
) -> io::Result<Option<LogFile>> {
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about?,
    };
    if same == Some((about.dev(), about.ino())) {
        return Ok(None);
    }
    let newer = |part: &LogFile| began.is_some_and(|began| begins(part) > began);
    let mut parts = rotated(path);
    parts.retain(newer);
    // If a file exists twice, use the plain one.
    let oldest = parts.into_iter().min_by_key(|part| (begins(part), part.gzip));
    let current = LogFile::inspect(path).map_err(io::Error::other)?;
    // A copy of the log itself that was made before the log was truncated.
    let oldest = oldest.filter(|part| current.first.is_none() || part.first != current.first);
    Ok(Some(oldest.unwrap_or(current)))
}

/// The oldest rotated file that is newer than `began` and older than `own`.
pub fn between(path: &Path, began: Option<i64>, own: i64) -> Option<LogFile> {
    let mut parts = rotated(path);
    parts.retain(|part| began.is_some_and(|began| (began + 1..own).contains(&begins(part))));
    parts.into_iter().min_by_key(|part| (begins(part), part.gzip))
}

/// The rotated files before one, newest first.
pub fn before(path: &Path, began: Option<i64>) -> Vec<LogFile> {
    let mut parts = rotated(path);
    parts.retain(|part| began.is_some_and(|began| begins(part) < began));
    parts.sort_by_key(|part| (Reverse(begins(part)), part.gzip));
    parts.dedup_by_key(|part| begins(part));
    parts
}

/// The start of a file, from its first record.
pub fn begins(part: &LogFile) -> i64 {
    match part.first {
        Some(Stamp::Local(at) | Stamp::Utc(at)) => at,
        // Synapse's plain JSON has no timestamps; use the file's modification time to order the files.
        _ => fs::metadata(&part.path).map_or(i64::MIN, |about| about.mtime() * 1000),
    }
}

fn rotated(path: &Path) -> Vec<LogFile> {
    // Otherwise each unreadable file would be reported at every rotation.
    log_file::rotated_files(path, &mut Vec::new())
}
