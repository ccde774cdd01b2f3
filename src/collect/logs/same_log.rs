//! Finds configured logs that are the same file, so that no line is read twice.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::log_file::is_rotated;
use crate::config::LogSource;

/// Lines contain milliseconds and request IDs, so two processes never start with this many equal bytes.
const BEGINNING: u64 = 4096;

/// Fewer bytes are only a line or two, which two logs may share.
const SHORTEST: usize = 512;

/// The sources without duplicates: a line that is read twice would count twice, and a race would look like a
/// storm.
pub fn distinct(sources: &[LogSource]) -> Vec<&LogSource> {
    let read_before = |at: usize| {
        let own = &sources[at].path;
        sources.iter().enumerate().any(|(other, source)| {
            let covered = covers(&source.path, own);
            other != at && covered && (other < at || !covers(own, &source.path))
        })
    };
    (0..sources.len()).filter(|at| !read_before(*at)).map(|at| &sources[at]).collect()
}

/// Whether `log` includes `other`: the same file, a rotated file of it, or an earlier copy.
fn covers(log: &Path, other: &Path) -> bool {
    let (Ok(log), Ok(other)) = (log.canonicalize(), other.canonicalize()) else { return false };
    let name = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
    let rotated = log.parent() == other.parent()
        && name(&log).is_some_and(|log| is_rotated(name(&other).as_deref(), &log));
    log == other || rotated && File::open(&log).is_ok() || is_copy(&log, &other)
}

/// Whether `other` is a copy of `log`, or was one before `log` grew.
fn is_copy(log: &Path, other: &Path) -> bool {
    let length =
        |path: &Path| path.metadata().ok().filter(fs::Metadata::is_file).map(|of| of.len());
    let (Some(own), Some(copied)) = (length(log), length(other)) else { return false };
    if copied > own {
        return false;
    }
    let beginning = |path: &Path| {
        let mut bytes = Vec::new();
        File::open(path)?.take(copied.min(BEGINNING)).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    match (beginning(log), beginning(other)) {
        (Ok(own), Ok(copied)) => own.len() >= SHORTEST && own == copied,
        _ => false,
    }
}
