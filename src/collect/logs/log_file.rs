//! A log file and its rotated files: what each is, and when it starts.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use kestrel_core::carriers::Wrappings;
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::synapse_lines;

use super::lines::{FileBytes, Lines, Remaining};

/// The most rotated files that are considered.
const ROTATED: usize = 64;

/// This many of a file's first records tell what is around its lines.
const RECORDS: usize = 256;

/// The search for a record stops after this many bytes.
pub(super) const FURTHEST: u64 = 4 << 20;

/// One file of a log: the current or a rotated one.
#[derive(Debug, Clone)]
pub struct LogFile {
    pub path: PathBuf,
    pub gzip: bool,
    /// Bytes on disk when it was opened; a growing file is read up to here.
    pub length: u64,
    /// The time of its first record.
    pub first: Option<Stamp>,
    /// What a carrier put around its lines.
    pub wrappings: Wrappings,
}

impl LogFile {
    /// Inspects one file. The error is a sentence for people.
    pub fn inspect(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{shown} does not exist: check the path")
            }
            io::ErrorKind::PermissionDenied => format!(
                "this account has no permission to read {shown}: add it to the group that owns the file"
            ),
            _ => format!("{shown} cannot be read: {error}"),
        };
        let about = fs::metadata(path).map_err(explain)?;
        if about.is_dir() {
            return Err(format!("{shown} is a directory: set path to the log file inside it"));
        }
        if !about.is_file() {
            return Err(format!(
                "{shown} is not a regular file, and Kestrel must be able to seek in a log"
            ));
        }
        let mut part = Self {
            path: path.to_owned(),
            gzip: path.extension() == Some(OsStr::new("gz")),
            length: about.len(),
            first: None,
            wrappings: Wrappings::default(),
        };
        let mut source = part.open(0).map_err(explain)?;
        (part.first, part.wrappings) = head(&mut source).map_err(explain)?;
        Ok(part)
    }

    /// The time of the record that a line of it starts; `None` where it starts none.
    pub fn stamp(&self, line: &[u8]) -> Option<Stamp> {
        synapse_lines::stamp(&self.wrappings, line)
    }

    /// Whether its records have local times, as far as its first record shows.
    pub fn is_text(&self) -> bool {
        matches!(self.first, Some(Stamp::Local(_)) | None)
    }

    /// Opens the file at a byte; a compressed one only at its start.
    pub fn open(&self, at: u64) -> io::Result<FileBytes> {
        let mut file = File::open(&self.path)?;
        if self.gzip {
            return Ok(FileBytes::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))));
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(FileBytes::Plain(file.take(self.length.saturating_sub(at))))
    }
}

/// The rotated files of a log, oldest first: `homeserver.log.2026-11-24`, `.1`, `.1.gz`, `-20261122`.
/// Unreadable ones are listed in the notes.
pub fn rotated_files(path: &Path, notes: &mut Vec<String>) -> Vec<LogFile> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else {
        notes.push("the log's folder cannot be listed, so rotated files were not read".into());
        return Vec::new();
    };
    let rotated = |entry: &fs::DirEntry| is_rotated(entry.file_name().to_str(), name);
    let mut parts = Vec::new();
    for entry in entries.flatten().filter(rotated).take(ROTATED) {
        match LogFile::inspect(&entry.path()) {
            Ok(part) if part.first.is_some() => parts.push(part),
            Ok(part) if part.length > 0 => {
                notes.push(format!("{} has no record with a timestamp", part.path.display()));
            }
            Ok(_) => {}
            Err(why) => notes.push(why),
        }
    }
    parts.sort_by_key(|part| match part.first {
        Some(Stamp::Local(at) | Stamp::Utc(at)) => at,
        _ => i64::MIN,
    });
    parts
}

/// Whether a file's name is that of a rotated file of the log `name`.
pub(super) fn is_rotated(file: Option<&str>, name: &str) -> bool {
    let rest = file.and_then(|file| file.strip_prefix(name));
    rest.and_then(|rest| rest.strip_prefix(['.', '-']))
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The time of the first record, and what is around the lines: of a file that is put together, its first records tell.
pub fn head(source: &mut impl Read) -> io::Result<(Option<Stamp>, Wrappings)> {
    let mut lines = Lines::new(source.take(FURTHEST));
    let mut wrappings = Wrappings::default();
    let mut first = None;
    let mut records = 0;
    while records < RECORDS {
        let left = lines.chunk(|line| {
            if records < RECORDS && synapse_lines::learn(&mut wrappings, line) {
                records += 1;
                first = first.or_else(|| synapse_lines::stamp(&wrappings, line));
            }
        })?;
        if left != Remaining::More {
            break;
        }
    }
    Ok((first, wrappings))
}
