//! A log file and its rotated siblings → lines, as bytes, in order. Holds one buffer, however long the
//! file or a line is. Never interprets a line.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::seek;
use kestrel_core::synapse_log::record::Stamp;

/// A longer line is clipped here: the longest true one is about 200 kB.
const LONGEST: usize = 1 << 20;
/// How much is read at once.
pub const CHUNK: usize = 1 << 18;
/// Rotated files that are looked at.
const SIBLINGS: usize = 64;

/// One file of a log: the current one, or one that was rotated away.
#[derive(Debug, Clone)]
pub struct Part {
    pub path: PathBuf,
    pub gzip: bool,
    /// Bytes on disk when it was opened; a growing file is read up to here.
    pub length: u64,
    /// The time of its first record.
    pub first: Option<Stamp>,
}

impl Part {
    /// Looks at one file; the text of an error is for people.
    pub fn of(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{shown} does not exist: check the path")
            }
            io::ErrorKind::PermissionDenied => format!(
                "{shown} may not be read by this account: add it to the group that owns the file"
            ),
            _ => format!("{shown} cannot be read: {error}"),
        };
        let about = fs::metadata(path).map_err(explain)?;
        if about.is_dir() {
            return Err(format!("{shown} is a directory: name the log file in it"));
        }
        if !about.is_file() {
            return Err(format!("{shown} is no regular file: a log is read by seeking in it"));
        }
        let mut part = Self {
            path: path.to_owned(),
            gzip: path.extension() == Some(OsStr::new("gz")),
            length: about.len(),
            first: None,
        };
        let mut source = part.open(0).map_err(explain)?;
        part.first = seek::first_stamp(&mut source).map_err(explain)?;
        Ok(part)
    }

    /// Opens the file at a byte; a compressed one only at its start.
    pub fn open(&self, at: u64) -> io::Result<Source> {
        let mut file = File::open(&self.path)?;
        if self.gzip {
            return Ok(Source::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))));
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(Source::Plain(file.take(self.length.saturating_sub(at))))
    }
}

/// The rotated files beside a log, oldest first: `homeserver.log.2026-11-24`, `.1`, `.1.gz`,
/// `-20261122`. Those that cannot be read are named in the notes.
pub fn siblings(path: &Path, notes: &mut Vec<String>) -> Vec<Part> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else {
        notes.push("the log's folder cannot be listed: rotated files were not looked for".into());
        return Vec::new();
    };
    let rotated = |entry: &fs::DirEntry| is_rotated(entry.file_name().to_str(), name);
    let mut parts = Vec::new();
    for entry in entries.flatten().filter(rotated).take(SIBLINGS) {
        match Part::of(&entry.path()) {
            Ok(part) if part.first.is_some() => parts.push(part),
            Ok(part) if part.length > 0 => {
                notes.push(format!("{} holds no record with a time", part.path.display()));
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
fn is_rotated(file: Option<&str>, name: &str) -> bool {
    let rest = file.and_then(|file| file.strip_prefix(name));
    rest.and_then(|rest| rest.strip_prefix(['.', '-']))
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether reading `log` reads `other` too: it is the same file, a rotated one of it, or an earlier copy.
pub fn covers(log: &Path, other: &Path) -> bool {
    let (Ok(log), Ok(other)) = (log.canonicalize(), other.canonicalize()) else { return false };
    let name = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
    let rotated = log.parent() == other.parent()
        && name(&log).is_some_and(|log| is_rotated(name(&other).as_deref(), &log));
    log == other || rotated && File::open(&log).is_ok() || is_copy(&log, &other)
}

/// Lines carry milliseconds and request ids, so that two processes never begin alike for so many bytes.
const BEGINNING: u64 = 4096;
/// Less than this is a line or two, which two logs may share.
const SHORTEST: usize = 512;

/// Whether `other` is a copy of `log`, or was one before `log` grew on.
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

/// The bytes of one file.
#[derive(Debug)]
pub enum Source {
    Plain(io::Take<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(file) => file.read(buffer),
        }
    }
}

/// Cuts a source into lines.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold an unfinished line: its first ones, where it is longer than the bound.
    kept: usize,
    /// Bytes behind it that were not looked at yet.
    fresh: usize,
    /// Bytes of the unfinished line that were passed over.
    passed: u64,
    /// Bytes read so far.
    pub read: u64,
    /// The last bytes before the unfinished line, in one piece.
    pub before: Vec<u8>,
}

/// So many bytes before the unfinished line are remembered.
pub const BEFORE: usize = 1024;

/// What is left of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    More,
    /// Read to the end; `cut` where the last line has no newline and may be half written.
    Nothing {
        cut: bool,
    },
}

impl<R: Read> Lines<R> {
    /// Reads lines from here on.
    pub fn new(source: R) -> Self {
        let (buffer, before) = (vec![0; LONGEST + CHUNK], Vec::new());
        Self { source, buffer, kept: 0, fresh: 0, passed: 0, read: 0, before }
    }

    /// Reads one more chunk and hands out its lines, without newlines. Only `\n` ends a line.
    pub fn chunk(&mut self, each: impl FnMut(&[u8])) -> io::Result<Left> {
        if self.fill(CHUNK)? > 0 {
            self.split(each);
            return Ok(Left::More);
        }
        Ok(Left::Nothing { cut: self.rest(each) })
    }

    /// Reads at most so many bytes, whose lines are handed out by `split`. None is the source's end, which
    /// may be no end for long.
    pub fn fill(&mut self, most: usize) -> io::Result<usize> {
        let from = self.kept + self.fresh;
        let end = (from + most.min(CHUNK)).min(self.buffer.len());
        let got = loop {
            match self.source.read(&mut self.buffer[from..end]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got?,
            }
        };
        self.read += got as u64;
        self.fresh += got;
        Ok(got)
    }

    /// Hands out the lines that are whole, without newlines.
    pub fn split(&mut self, mut each: impl FnMut(&[u8])) {
        let full = self.kept + std::mem::take(&mut self.fresh);
        let (mut start, mut gap) = (0, 0);
        for newline in memchr::memchr_iter(b'\n', &self.buffer[self.kept..full]) {
            let newline = self.kept + newline;
            each(&self.buffer[start..newline.min(start + LONGEST)]);
            if self.passed > 0 {
                // What was passed over stands between these bytes and those before.
                gap = LONGEST;
                self.before.clear();
            }
            (self.passed, start) = (0, newline + 1);
        }
        let newer = &self.buffer[start.saturating_sub(BEFORE).max(gap).min(start)..start];
        let stale = (self.before.len() + newer.len()).saturating_sub(BEFORE);
        self.before.drain(..stale);
        self.before.extend_from_slice(newer);
        self.buffer.copy_within(start..full, 0);
        self.kept = full - start;
        if self.kept > LONGEST {
            self.passed += (self.kept - LONGEST) as u64;
            self.kept = LONGEST;
        }
    }

    /// Hands out the unfinished last line, where there is one.
    pub fn rest(&mut self, mut each: impl FnMut(&[u8])) -> bool {
        let cut = self.kept > 0;
        if cut {
            each(&self.buffer[..self.kept]);
            if self.passed > 0 {
                self.before.clear();
            } else {
                self.before.extend_from_slice(&self.buffer[..self.kept]);
                self.before.drain(..self.before.len().saturating_sub(BEFORE));
            }
        }
        (self.kept, self.passed) = (0, 0);
        cut
    }

    /// Bytes that were read and not handed out: the unfinished last line.
    pub fn unfinished(&self) -> u64 {
        (self.kept + self.fresh) as u64 + self.passed
    }

    /// The first of these bytes.
    pub fn next(&self) -> &[u8] {
        &self.buffer[..(self.kept + self.fresh).min(BEFORE)]
    }

    /// Where the lines come from.
    pub fn source(&self) -> &R {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut lines, mut all) = (Lines::new(bytes), Vec::new());
        while lines.chunk(|line| all.push(line.to_vec())).unwrap() == Left::More {}
        all
    }

    #[test]
    fn only_a_newline_ends_a_line() {
        let text = "a\rb\u{2028}c\u{b}d\n\ne";
        assert_eq!(lines_of(text.as_bytes()), [&b"a\rb\xe2\x80\xa8c\x0bd"[..], b"", b"e"]);
    }

    #[test]
    fn a_long_line_is_clipped_and_the_next_is_whole() {
        let mut bytes = vec![b'x'; 5 * LONGEST];
        bytes.extend(b"\nnext\n");
        let lines = lines_of(&bytes);
        let lengths: Vec<_> = lines.iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST, 4]);
        assert_eq!(lines[1], b"next");
    }
}
