//! A log's folder → the file where reading goes on: the one that was left, under whatever name, and the one
//! that follows it.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::file::{self, Part};
use super::position::Mark;
use super::tail::{Fit, fit};
use kestrel_core::synapse_log::record::Stamp;

/// Where a place was found.
#[derive(Debug)]
pub enum Found {
    /// Reading goes on in this file; whether it is the log's current one.
    At(Part, bool),
    /// A copy that ends before the place: all of it was read.
    Ended,
    Nowhere,
}

/// Looks for a place: in the log itself, then in rotated files, plain ones first.
pub fn find(path: &Path, mark: &Mark) -> Found {
    let mut ended = false;
    if let Ok(part) = Part::of(path) {
        match fit(&part, mark) {
            Ok(Fit::GoesOn) => return Found::At(part, true),
            Ok(Fit::Short) => ended = true,
            _ => {}
        }
    }
    let mut parts = rotated(path);
    parts.sort_by_key(|part| (part.gzip, Reverse(begins(part))));
    for part in parts {
        match fit(&part, mark) {
            Ok(Fit::GoesOn) => return Found::At(part, false),
            Ok(Fit::Short) => ended = true,
            // Just being compressed, or renamed: not yet to be said.
            _ => {}
        }
    }
    if ended { Found::Ended } else { Found::Nowhere }
}

/// The file behind one that began at `began`: the oldest rotated one that is newer, else the log itself.
/// None where the log is not there, or is `same`.
pub fn next(path: &Path, began: Option<i64>, same: Option<(u64, u64)>) -> io::Result<Option<Part>> {
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about?,
    };
    if same == Some((about.dev(), about.ino())) {
        return Ok(None);
    }
    let newer = |part: &Part| began.is_some_and(|began| begins(part) > began);
    let mut parts = rotated(path);
    parts.retain(newer);
    // Of one that is there twice, the plain one.
    let oldest = parts.into_iter().min_by_key(|part| (begins(part), part.gzip));
    let current = Part::of(path).map_err(io::Error::other)?;
    // A copy of the log itself, made but not cut yet.
    let oldest = oldest.filter(|part| current.first.is_none() || part.first != current.first);
    Ok(Some(oldest.unwrap_or(current)))
}

/// The oldest rotated file that is newer than `began` and older than `own`.
pub fn between(path: &Path, began: Option<i64>, own: i64) -> Option<Part> {
    let mut parts = rotated(path);
    parts.retain(|part| began.is_some_and(|began| (began + 1..own).contains(&begins(part))));
    parts.into_iter().min_by_key(|part| (begins(part), part.gzip))
}

/// The rotated files before one, newest first.
pub fn before(path: &Path, began: Option<i64>) -> Vec<Part> {
    let mut parts = rotated(path);
    parts.retain(|part| began.is_some_and(|began| begins(part) < began));
    parts.sort_by_key(|part| (Reverse(begins(part)), part.gzip));
    parts.dedup_by_key(|part| begins(part));
    parts
}

/// When a file begins, as its first record writes it.
pub fn begins(part: &Part) -> i64 {
    match part.first {
        Some(Stamp::Local(at) | Stamp::Utc(at)) => at,
        // Synapse's plain JSON has no times; the file's own then tell an order.
        _ => fs::metadata(&part.path).map_or(i64::MIN, |about| about.mtime() * 1000),
    }
}

fn rotated(path: &Path) -> Vec<Part> {
    // Each that cannot be read would be told at every rotation.
    file::siblings(path, &mut Vec::new())
}
