//! A block of a log's lines → which of them may say something. The others only tell how far the log's time is, and which
//! requests ended: they are never parsed.
//!
//! One search over all bytes, many at once, for the words that the readers declare. A word may be a part of the one
//! that a reader looks for later: then it finds more lines, and never fewer.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, packed};

/// A word that a reader looks for.
pub(crate) type Word = Cow<'static, str>;

/// Finds the lines that may say something.
#[derive(Debug, Clone, Default)]
pub(crate) enum LoudLines {
    /// Each line does.
    #[default]
    Every,
    /// A search by vector instructions.
    Packed(Box<packed::Searcher>),
    /// The same, for processors without them.
    Plain(Box<AhoCorasick>),
}

impl LoudLines {
    /// Lines that hold one of these words.
    pub fn with(words: &[Word]) -> Self {
        let words = words.iter().map(|word| word.as_bytes());
        if let Some(packed) = packed::Searcher::new(words.clone()) {
            return Self::Packed(Box::new(packed));
        }
        AhoCorasick::new(words).map_or(Self::Every, |plain| Self::Plain(Box::new(plain)))
    }

    /// Where the next word begins at or behind a byte; none where no further line says anything.
    pub fn next(&self, block: &[u8], from: usize) -> Option<usize> {
        let rest = block.get(from..)?;
        let found = match self {
            Self::Every => return (!rest.is_empty()).then_some(from),
            Self::Packed(packed) => packed.find(rest).map(|found| found.start()),
            Self::Plain(plain) => plain.find(rest).map(|found| found.start()),
        };
        found.map(|at| from + at)
    }

    /// Each line of a block, without its newline, and whether it may say something.
    pub fn each_line(&self, block: &[u8], mut each: impl FnMut(&[u8], bool)) {
        let mut loud = self.next(block, 0);
        let mut start = 0;
        while start < block.len() {
            let length = memchr::memchr(b'\n', &block[start..]).unwrap_or(block.len() - start);
            let end = start + length;
            let is_loud = loud.is_some_and(|at| at < end);
            if is_loud {
                loud = self.next(block, end);
            }
            each(&block[start..end], is_loud);
            start = end + 1;
        }
    }

    /// Whether a line may say something.
    pub fn is_loud(&self, line: &[u8]) -> bool {
        matches!(self, Self::Every) || self.next(line, 0).is_some()
    }
}
