//! Reads the complete lines of one log file, and notices if the file is replaced.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use super::position::{FilePosition, Fingerprint, HEAD};
use crate::collect::logs::lines::{BEFORE, FileBytes, Lines};
use crate::collect::logs::log_file::{self, LogFile};
use kestrel_core::carriers::Wrappings;
use kestrel_core::synapse_log::attribution::Attribution;
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::synapse_lines;

/// One open file, and how far it was read.
#[derive(Debug)]
pub struct Tail {
    pub path: PathBuf,
    /// Device and inode.
    pub identity: (u64, u64),
    /// The time of its first record, if known when it was opened.
    pub first: Option<Stamp>,
    /// Nothing more is written to it: it is compressed, or a copy.
    pub closed: bool,
    lines: Lines<FileBytes>,
    start: u64,
    head: Vec<u8>,
    /// The reader knows that another file begins.
    told: bool,
    /// What a carrier put around its lines.
    wrappings: Wrappings,
}

/// The newest record is searched for in this much of the end of a file.
const NEWEST: u64 = 64 << 10;

/// How reading went.
#[derive(Debug)]
pub enum More {
    Lines,
    End,
    /// It was truncated, or has other content now.
    Other,
}

/// How a file relates to a saved position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Another file.
    Not,
    /// It continues there.
    GoesOn,
    /// It has the same start and ends earlier.
    Short,
}

impl Tail {
    /// Opens a file at the start of a line.
    pub fn open(part: &LogFile, at: u64) -> io::Result<Self> {
        let mut file = File::open(&part.path)?;
        let about = file.metadata()?;
        let (head, before, source);
        if part.gzip {
            head = self::head(part)?;
            let mut unpacked = part.open(0)?;
            before = skip(&mut unpacked, at)?;
            source = unpacked;
        } else {
            head = piece(&file, 0, about.len().min(HEAD as u64))?;
            let length = at.min(BEFORE as u64);
            before = piece(&file, at - length, length)?;
            file.seek(SeekFrom::Start(at))?;
            source = FileBytes::Plain(file.take(u64::MAX));
        }
        let mut lines = Lines::new(source);
        lines.before = before;
        Ok(Self {
            path: part.path.clone(),
            identity: (about.dev(), about.ino()),
            first: part.first,
            closed: part.gzip,
            lines,
            start: at,
            head,
            told: false,
            wrappings: part.wrappings.clone(),
        })
    }

    /// The start of the first line that was not read.
    pub fn offset(&self) -> u64 {
        self.start + self.lines.read - self.lines.unfinished()
    }

    /// Bytes read so far.
    pub fn read(&self) -> u64 {
        self.lines.read
    }

    /// Whether it was empty until now, so that other files may have existed before its first line.
    pub fn was_empty(&self) -> bool {
        self.head.is_empty() && self.lines.read == 0
    }

    /// Reads the start of a file that was empty when it was opened; returns when it starts.
    pub fn fill_head(&mut self) -> io::Result<Option<i64>> {
        if let FileBytes::Plain(file) = self.lines.source() {
            let file = file.get_ref();
            self.head = piece(file, 0, file.metadata()?.len().min(HEAD as u64))?;
        }
        Ok(self.began())
    }

    /// Continues to read, at most this many bytes.
    pub fn more(&mut self, most: usize, into: &mut Attribution) -> io::Result<More> {
        let got = self.lines.fill(most)?;
        // Checked after the read, so that nothing from another file is used.
        if !self.is_same()? {
            return Ok(More::Other);
        }
        if got == 0 {
            return Ok(More::End);
        }
        let Self { told, wrappings, .. } = self;
        self.lines.split(|line| {
            // A file that was empty when it was opened shows only now what is around its lines.
            if !*told
                && synapse_lines::learn(wrappings, line)
                && let Some(first) = synapse_lines::stamp(wrappings, line)
            {
                *told = true;
                into.next_file(matches!(first, Stamp::Local(_)), wrappings.clone());
            }
            into.line(line);
        });
        Ok(More::Lines)
    }

    /// Takes the last line as it is: the file is complete.
    pub fn finish(&mut self, into: &mut Attribution) {
        self.lines.rest(|line| into.line(line));
    }

    /// Whether a file continues where this one was read to.
    pub fn is_in(&self, part: &LogFile) -> bool {
        self.offset() > 0 && matches!(fit(part, &self.mark()), Ok(Fit::GoesOn))
    }

    /// The time of its first record, if known; `None` without a record.
    pub fn began(&mut self) -> Option<i64> {
        if self.first.is_none() {
            let head = log_file::head(&mut &self.head[..]);
            self.first = head.ok().and_then(|(first, _)| first);
        }
        match self.first? {
            Stamp::Local(at) | Stamp::Utc(at) => Some(at),
            Stamp::Unknown => {
                let about = std::fs::metadata(&self.path).ok()?;
                Some(about.mtime() * 1000)
            }
        }
    }

    /// What finds this place again.
    pub fn mark(&self) -> FilePosition {
        let length = self.head.len().min(self.offset() as usize);
        FilePosition {
            device: self.identity.0,
            inode: self.identity.1,
            head: Fingerprint::of_bytes(&self.head[..length]),
            offset: self.offset(),
            before: Fingerprint::of_bytes(&self.lines.before),
        }
    }

    /// The local time of the newest record and the file's modification time: together they show the zone.
    pub fn written(&self) -> io::Result<Option<(i64, i64)>> {
        let FileBytes::Plain(file) = self.lines.source() else { return Ok(None) };
        let about = file.get_ref().metadata()?;
        let length = about.len().min(NEWEST);
        let end = piece(file.get_ref(), about.len() - length, length)?;
        let mut lines = end.split(|byte| *byte == b'\n').rev();
        let local = lines.find_map(|line| match synapse_lines::stamp(&self.wrappings, line) {
            Some(Stamp::Local(local)) => Some(local),
            _ => None,
        });
        Ok(local.zip(Some(about.mtime() * 1000 + about.mtime_nsec() / 1_000_000)))
    }

    /// Whether the file still has the content that was read.
    fn is_same(&mut self) -> io::Result<bool> {
        let FileBytes::Plain(file) = self.lines.source() else { return Ok(true) };
        let file = file.get_ref();
        let offset = self.offset();
        if file.metadata()?.len() < offset + self.lines.unfinished() {
            return Ok(false);
        }
        let known = [&self.lines.before, self.lines.next()].concat();
        let now = piece(file, offset - self.lines.before.len() as u64, known.len() as u64);
        if !is(now, &known)? {
            return Ok(false);
        }
        if self.head.len() < HEAD && (self.head.len() as u64) < offset {
            let head = piece(file, 0, offset.min(HEAD as u64));
            self.head = match head {
                Ok(head) if head.starts_with(&self.head) => head,
                head => return is(head, &self.head),
            };
        }
        Ok(true)
    }
}

/// How a file relates to a saved position. An error means that the file is just being written or removed.
pub fn fit(part: &LogFile, mark: &FilePosition) -> io::Result<Fit> {
    if !mark.begins(&head(part)?) {
        return Ok(Fit::Not);
    }
    let before = if part.gzip {
        skip(&mut part.open(0)?, mark.offset)?
    } else {
        let file = File::open(&part.path)?;
        if file.metadata()?.len() < mark.offset {
            return Ok(Fit::Short);
        }
        piece(&file, mark.offset - mark.before.length, mark.before.length)?
    };
    let extra = before.len().checked_sub(mark.before.length as usize);
    Ok(match extra.map(|extra| Fingerprint::of_bytes(&before[extra..]) == mark.before) {
        None => Fit::Short,
        Some(true) => Fit::GoesOn,
        Some(false) => Fit::Not,
    })
}

/// The first bytes of a file.
fn head(part: &LogFile) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    part.open(0)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Skips this many bytes and returns the last of them, or fewer if there are none.
fn skip(source: &mut impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let last = bytes.min(BEFORE as u64);
    io::copy(&mut source.take(bytes - last), &mut io::sink())?;
    let mut before = Vec::new();
    source.take(last).read_to_end(&mut before)?;
    Ok(before)
}

fn piece(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Whether these bytes were read; a file that ends before them is another.
fn is(read: io::Result<Vec<u8>>, known: &[u8]) -> io::Result<bool> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => Ok(read? == known),
    }
}
