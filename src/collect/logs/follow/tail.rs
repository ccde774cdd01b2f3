//! One file of a log → its whole lines, up to where it is written by now. Notices where the file is no
//! longer the one that was read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use super::super::file::{BEFORE, Lines, Part, Source};
use super::position::{Digest, HEAD, Mark};
use kestrel_core::synapse_log::attribution::Attribution;
use kestrel_core::synapse_log::record::{Stamp, stamp};

/// One open file, and how far it was read.
#[derive(Debug)]
pub struct Tail {
    pub path: PathBuf,
    /// Device and inode.
    pub identity: (u64, u64),
    /// The time of its first record, as known when it was opened.
    pub first: Option<Stamp>,
    /// Nothing is written to it any more: it is compressed, or a copy.
    pub closed: bool,
    lines: Lines<Source>,
    start: u64,
    head: Vec<u8>,
    /// The reader was told that another file begins.
    told: bool,
}

/// The newest record is looked for in so much of a file's end.
const NEWEST: u64 = 64 << 10;

/// How reading went.
#[derive(Debug)]
pub enum More {
    Lines,
    End,
    /// It was cut, or holds something else now.
    Other,
}

/// What a file is to a place that was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Another file.
    Not,
    /// It goes on there.
    GoesOn,
    /// It begins alike and ends before.
    Short,
}

impl Tail {
    /// Opens a file at the start of a line.
    pub fn open(part: &Part, at: u64) -> io::Result<Self> {
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
            source = Source::Plain(file.take(u64::MAX));
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

    /// Whether it was empty until now, so that files may have come and gone before its first line.
    pub fn was_empty(&self) -> bool {
        self.head.is_empty() && self.lines.read == 0
    }

    /// Looks at the beginning of a file that was empty when it was opened; gives when it begins.
    pub fn fill_head(&mut self) -> io::Result<Option<i64>> {
        if let Source::Plain(file) = self.lines.source() {
            let file = file.get_ref();
            self.head = piece(file, 0, file.metadata()?.len().min(HEAD as u64))?;
        }
        Ok(self.began())
    }

    /// Reads on, at most so many bytes.
    pub fn more(&mut self, most: usize, into: &mut Attribution) -> io::Result<More> {
        let got = self.lines.fill(most)?;
        // Asked behind the read: what was read of another file is never looked at.
        if !self.is_same()? {
            return Ok(More::Other);
        }
        if got == 0 {
            return Ok(More::End);
        }
        let told = &mut self.told;
        self.lines.split(|line| {
            if !*told && let Some(first) = stamp(line) {
                *told = true;
                into.next_file(matches!(first, Stamp::Local(_)));
            }
            into.line(line);
        });
        Ok(More::Lines)
    }

    /// Takes the last line as it is: nothing more will come to it.
    pub fn finish(&mut self, into: &mut Attribution) {
        self.lines.rest(|line| into.line(line));
    }

    /// Whether a file goes on where this one was read to.
    pub fn is_in(&self, part: &Part) -> bool {
        self.offset() > 0 && matches!(fit(part, &self.mark()), Ok(Fit::GoesOn))
    }

    /// When its first record was written, as far as one is known; `None` for one that had none.
    pub fn began(&mut self) -> Option<i64> {
        if self.first.is_none() {
            let first = super::super::seek::first_stamp(&mut &self.head[..]);
            self.first = first.ok().flatten();
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
    pub fn mark(&self) -> Mark {
        let length = self.head.len().min(self.offset() as usize);
        Mark {
            device: self.identity.0,
            inode: self.identity.1,
            head: Digest::of(&self.head[..length]),
            offset: self.offset(),
            before: Digest::of(&self.lines.before),
        }
    }

    /// The local time of the newest record, and when the file was written last: they tell the zone.
    pub fn written(&self) -> io::Result<Option<(i64, i64)>> {
        let Source::Plain(file) = self.lines.source() else { return Ok(None) };
        let about = file.get_ref().metadata()?;
        let length = about.len().min(NEWEST);
        let end = piece(file.get_ref(), about.len() - length, length)?;
        let mut newest = end.split(|byte| *byte == b'\n').rev().filter_map(stamp);
        let local = newest.find_map(|stamp| match stamp {
            Stamp::Local(local) => Some(local),
            _ => None,
        });
        Ok(local.zip(Some(about.mtime() * 1000 + about.mtime_nsec() / 1_000_000)))
    }

    /// Whether the file still holds what was read of it.
    fn is_same(&mut self) -> io::Result<bool> {
        let Source::Plain(file) = self.lines.source() else { return Ok(true) };
        let (file, offset) = (file.get_ref(), self.offset());
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

/// What a file is to a place. An error is a file that is just being written or taken away.
pub fn fit(part: &Part, mark: &Mark) -> io::Result<Fit> {
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
    Ok(match extra.map(|extra| Digest::of(&before[extra..]) == mark.before) {
        None => Fit::Short,
        Some(true) => Fit::GoesOn,
        Some(false) => Fit::Not,
    })
}

/// The first bytes of a file.
fn head(part: &Part) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    part.open(0)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Passes over so many bytes, and gives the last of them; fewer where there are none.
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
