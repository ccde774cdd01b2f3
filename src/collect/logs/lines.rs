//! Splits bytes into lines, in order. It holds one buffer, however long the file or a line is, and never
//! interprets a line.

use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

/// Longer lines are clipped; the longest genuine one is about 200 kB.
const LONGEST: usize = 1 << 20;

/// How much is read at once.
pub const CHUNK: usize = 1 << 18;

/// This many bytes before the unfinished line are remembered.
pub const BEFORE: usize = 1024;

/// The bytes of one file.
#[derive(Debug)]
pub enum FileBytes {
    Plain(io::Take<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Read for FileBytes {
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
    /// Bytes of the buffer with the unfinished line (only its start, if it exceeds the limit).
    kept: usize,
    /// Bytes after it that were not processed yet.
    fresh: usize,
    /// Bytes of the unfinished line that were skipped.
    passed: u64,
    /// Bytes read so far.
    pub read: u64,
    /// The last bytes before the unfinished line, in one piece.
    pub before: Vec<u8>,
}

/// What is left of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    More,
    /// Read to the end; `cut` where the last line has no newline and may be half written.
    Nothing {
        cut: bool,
    },
}

impl<R: Read> Lines<R> {
    /// Reads lines from here on.
    pub fn new(source: R) -> Self {
        let buffer = vec![0; LONGEST + CHUNK];
        Self { source, buffer, kept: 0, fresh: 0, passed: 0, read: 0, before: Vec::new() }
    }

    /// Reads one more chunk and passes on its lines, without newlines. Only `\n` ends a line.
    pub fn chunk(&mut self, each: impl FnMut(&[u8])) -> io::Result<Remaining> {
        if self.fill(CHUNK)? > 0 {
            self.split(each);
            return Ok(Remaining::More);
        }
        Ok(Remaining::Nothing { cut: self.rest(each) })
    }

    /// Reads one more chunk and passes on its whole lines in one piece, each with its newline. A line that is too long is
    /// clipped and passed on alone, and so is the last line where nothing ends it.
    pub fn block(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<Remaining> {
        if self.fill(CHUNK)? == 0 {
            return Ok(Remaining::Nothing { cut: self.rest(each) });
        }
        let full = self.kept + self.fresh;
        let newest = memchr::memrchr(b'\n', &self.buffer[self.kept..full]);
        let whole = newest.map_or(0, |at| self.kept + at + 1);
        let first = memchr::memchr(b'\n', &self.buffer[self.kept.min(whole)..whole]);
        let is_short = first.is_none_or(|at| self.kept + at <= LONGEST);
        if self.passed == 0 && is_short {
            if whole > 0 {
                each(&self.buffer[..whole]);
            }
            self.split(|_| {});
        } else {
            self.split(each);
        }
        Ok(Remaining::More)
    }

    /// Reads at most this many bytes; `split` passes on their lines. Zero means the current end of the
    /// source.
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

    /// Passes on the complete lines, without newlines.
    pub fn split(&mut self, mut each: impl FnMut(&[u8])) {
        let full = self.kept + std::mem::take(&mut self.fresh);
        let mut start = 0;
        let mut gap = 0;
        for newline in memchr::memchr_iter(b'\n', &self.buffer[self.kept..full]) {
            let newline = self.kept + newline;
            each(&self.buffer[start..newline.min(start + LONGEST)]);
            if self.passed > 0 {
                // Skipped bytes are between these bytes and those before.
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

    /// Passes on the unfinished last line, if there is one.
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

    /// Bytes that were read but not passed on: the unfinished last line.
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
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        while lines.chunk(|line| all.push(line.to_vec())).unwrap() == Remaining::More {}
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
