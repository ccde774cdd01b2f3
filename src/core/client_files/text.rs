//! Bytes as they come → text, a piece at a time, whatever editor saved it. For anything that is not text: a sentence.

use std::io::{self, BufRead, Read};

/// Bytes that are decoded at a time.
const PIECE: usize = 64 << 10;

/// Reads UTF-8 and UTF-16, with or without a byte order mark and with any line ending. It gives UTF-8, and each piece
/// is valid by itself.
pub(crate) struct Decoded<'r> {
    from: &'r mut dyn Read,
    form: Form,
    /// Bytes that were read; the first of them may belong to a character whose end has not come yet.
    raw: Box<[u8]>,
    carried: usize,
    out: Vec<u8>,
    at: usize,
    seen: Seen,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Utf16 { little: bool },
}

/// What distinguishes text from other data.
#[derive(Default)]
struct Seen {
    bytes: u64,
    /// Bytes of another encoding.
    foreign: u64,
    nul: bool,
    letters: bool,
    ended: bool,
}

impl<'r> Decoded<'r> {
    /// Begins to read. The error is a sentence for a person.
    pub(crate) fn begin(from: &'r mut dyn Read) -> Result<Self, String> {
        let mut decoded = Self {
            from,
            form: Form::Utf8,
            raw: vec![0; PIECE].into(),
            carried: 0,
            out: Vec::new(),
            at: 0,
            seen: Seen::default(),
        };
        let mut head = 0;
        while head < HEAD {
            match decoded.from.read(&mut decoded.raw[head..HEAD]) {
                Ok(read @ 1..) => head += read,
                Ok(0) | Err(_) => break,
            }
        }
        let bytes = &decoded.raw[..head];
        if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Err(format!(
                "it is {what}: send the report, the HAR file or the log itself, or a zip of them"
            ));
        }
        let (form, mark) = match bytes {
            [0xff, 0xfe, ..] => (Form::Utf16 { little: true }, 2),
            [0xfe, 0xff, ..] => (Form::Utf16 { little: false }, 2),
            [0xef, 0xbb, 0xbf, ..] => (Form::Utf8, 3),
            _ => (Form::Utf8, 0),
        };
        decoded.form = form;
        decoded.raw.copy_within(mark..head, 0);
        decoded.carried = head - mark;
        Ok(decoded)
    }

    /// The first byte that is not a space; spaces before it are skipped.
    pub(crate) fn start(&mut self) -> Option<u8> {
        loop {
            let piece = self.fill_buf().ok()?;
            if piece.is_empty() {
                return None;
            }
            let spaces = piece.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if let Some(first) = piece.get(spaces).copied() {
                self.consume(spaces);
                return Some(first);
            }
            self.consume(spaces);
        }
    }

    /// Whether what was read is text.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        // Text in another encoding has few such bytes among ASCII.
        if self.seen.nul || self.seen.foreign > self.seen.bytes / 4 {
            return Err(
                "it is not a text file: only reports, HAR files and logs can be read".into()
            );
        }
        if !self.seen.letters {
            return Err("it is empty".into());
        }
        Ok(())
    }

    fn piece(&mut self) {
        let read = self.from.read(&mut self.raw[self.carried..]).unwrap_or(0);
        self.seen.ended = read == 0;
        let length = core::mem::take(&mut self.carried) + read;
        self.seen.bytes += length as u64;
        match self.form {
            Form::Utf8 => self.utf8(length),
            Form::Utf16 { little } => self.utf16(length, little),
        }
        self.seen.bytes -= self.carried as u64;
        self.seen.letters |= self.out.iter().any(|byte| !byte.is_ascii_whitespace());
    }

    fn utf8(&mut self, length: usize) {
        if memchr::memchr(0, &self.raw[..length]).is_some() {
            self.seen.nul = true;
            self.seen.ended = true;
            return;
        }
        let mut rest = &self.raw[..length];
        while !rest.is_empty() {
            let error = match str::from_utf8(rest) {
                Ok(_) => break,
                Err(error) => error,
            };
            let (valid, after) = rest.split_at(error.valid_up_to());
            self.out.extend_from_slice(valid);
            if error.error_len().is_none() && !self.seen.ended {
                let from = length - after.len();
                self.raw.copy_within(from..length, 0);
                self.carried = length - from;
                return;
            }
            let foreign = error.error_len().unwrap_or(after.len());
            self.seen.foreign += foreign as u64;
            self.out.extend_from_slice("\u{fffd}".as_bytes());
            rest = &after[foreign..];
        }
        self.out.extend_from_slice(rest);
    }

    fn utf16(&mut self, length: usize, little: bool) {
        let mut pairs = length / 2;
        let unit = |at: usize| {
            let pair = [self.raw[2 * at], self.raw[2 * at + 1]];
            if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        };
        // Its second half has not come yet.
        if pairs > 0 && !self.seen.ended && (0xd800..0xdc00).contains(&unit(pairs - 1)) {
            pairs -= 1;
        }
        for letter in char::decode_utf16((0..pairs).map(unit)) {
            let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if !self.seen.ended {
            self.raw.copy_within(2 * pairs..length, 0);
            self.carried = length - 2 * pairs;
        }
    }
}

impl BufRead for Decoded<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.out.len() {
            self.out.clear();
            self.at = 0;
            while self.out.is_empty() && !self.seen.ended {
                self.piece();
            }
        }
        Ok(&self.out[self.at..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.out.len());
    }
}

impl Read for Decoded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

/// As long as the longest mark.
const HEAD: usize = 16;
/// How files begin that people send instead of a log.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture or a sound"),
    (b"%PDF", "a PDF"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most a few bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }

    fn decoded(bytes: &[u8], pieces: usize) -> (String, Result<(), String>) {
        let mut slowly = Slowly(bytes, pieces);
        let mut decoded = Decoded::begin(&mut slowly).unwrap();
        let mut text = String::new();
        decoded.read_to_string(&mut text).unwrap();
        (text, decoded.verdict())
    }

    #[test]
    fn text_is_the_same_whatever_pieces_it_comes_in() {
        let torn = [b"Gr\xfc\xdfe \xe2\x80\xa6 \xf0\x9f\x98 and more text \xe2\x80".as_slice()];
        let long = "grüße 😀 ".repeat(20_000);
        for bytes in torn.into_iter().chain([long.as_bytes(), b"\xef\xbb\xbfplain"]) {
            let whole =
                String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
            for pieces in [1, 3, 1 << 20] {
                assert_eq!(decoded(bytes, pieces), (whole.clone().into_owned(), Ok(())));
            }
        }
        for little in [true, false] {
            let units = format!("\u{feff}{long}");
            let units = units.encode_utf16();
            let bytes: Vec<u8> = units
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect();
            for pieces in [1, 3, 1 << 20] {
                assert_eq!(decoded(&bytes, pieces), (long.clone(), Ok(())));
            }
        }
    }

    #[test]
    fn what_is_not_text_is_reported() {
        assert!(decoded(b"abc\0def", 2).1.unwrap_err().contains("not a text file"));
        assert!(decoded(&[0xff; 4096], 100).1.unwrap_err().contains("not a text file"));
        assert_eq!(decoded(b" \r\n\t", 3).1.unwrap_err(), "it is empty");
    }
}
