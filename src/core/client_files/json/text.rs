//! JSON text as it comes → the text of one value at a time, in bounded memory: a long string is cut, and a value that
//! is still too long is skipped. What is not asked for is never in memory, however long it is
//! and however deep it is nested.

use std::io::{self, BufRead, Read};

/// Bytes of one string, as written. A to-device message to 250 devices has 400 KiB, 200 uploaded keys 50 KiB.
pub(crate) const STRING: usize = 512 << 10;
/// Bytes of one value with its strings cut: three long ones, and all the rest of an entry.
const VALUE: usize = 2 << 20;
/// Text that can be read again from its start, if it turns out to be no JSON.
const AGAIN: usize = 1 << 20;
/// The end of a string that was cut.
const CUT: &str = "…";

/// Whether a string was cut here.
pub(crate) fn is_cut(text: &str) -> bool {
    text.len() > STRING / 8 && text.ends_with(CUT)
}

/// Why JSON was not read to its end, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It does not begin with an object.
    Other,
    Early(u64),
    Wrong(u64),
}

impl Broken {
    /// For a person, without any text of the file.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Other => "it is not a report: a report is a JSON object with entries".into(),
            Self::Early(at) => format!("its JSON ends too early, at byte {at}"),
            Self::Wrong(at) => format!("it is not valid JSON at byte {at}"),
        }
    }
}

/// JSON that is read value by value.
pub(crate) struct JsonText<R> {
    from: R,
    at: u64,
    /// Everything that was read so far, while it is short.
    seen: Option<Vec<u8>>,
}

impl<R: BufRead> JsonText<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, at: 0, seen: Some(Vec::new()) }
    }

    /// What was read, and the rest; none if it was too much for memory.
    pub(crate) fn again(self) -> Option<impl BufRead> {
        Some(io::Cursor::new(self.seen?).chain(self.from))
    }

    /// The next byte that is not a space; it is not taken.
    pub(crate) fn peek(&mut self) -> Result<u8, Broken> {
        loop {
            let piece = self.from.fill_buf().unwrap_or_default();
            if piece.is_empty() {
                return Err(Broken::Early(self.at));
            }
            let spaces = piece.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let next = piece.get(spaces).copied();
            self.consume(spaces);
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }

    /// Takes the next byte that is not a space.
    pub(crate) fn take(&mut self) -> Result<u8, Broken> {
        let next = self.peek()?;
        self.consume(1);
        Ok(next)
    }

    /// The error is at this byte.
    pub(crate) fn wrong(&self) -> Broken {
        Broken::Wrong(self.at)
    }

    /// Skips the next value.
    pub(crate) fn skip(&mut self) -> Result<(), Broken> {
        self.scan(&mut Scan::new(None))
    }

    /// The next value, written into the given buffer; false if it is too long.
    pub(crate) fn value(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        into.clear();
        let mut scan = Scan::new(Some(into));
        self.scan(&mut scan)?;
        Ok(scan.out.is_some())
    }

    fn scan(&mut self, scan: &mut Scan<'_>) -> Result<(), Broken> {
        self.peek()?;
        loop {
            let piece = self.from.fill_buf().unwrap_or_default();
            if piece.is_empty() {
                return Err(Broken::Early(self.at));
            }
            let mut rest = piece;
            while !rest.is_empty() && !scan.ended {
                rest = scan.step(rest);
            }
            let read = piece.len() - rest.len();
            self.consume(read);
            if scan.ended {
                return Ok(());
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        if let Some(seen) = &mut self.seen {
            let piece = self.from.fill_buf().unwrap_or_default();
            seen.extend_from_slice(piece.get(..bytes).unwrap_or_default());
        }
        if self.seen.as_ref().is_some_and(|seen| seen.len() > AGAIN) {
            self.seen = None;
        }
        self.at += bytes as u64;
        self.from.consume(bytes);
    }
}

/// Where the next byte is.
#[derive(Clone, Copy)]
enum Place {
    Outside,
    Inside(Inside),
    /// After a backslash, and the number of bytes of the escape.
    Escape(Inside, [u8; 6], usize),
    /// In a string that is already cut, or after a backslash there.
    Beyond {
        escaped: bool,
    },
}

/// In a string.
#[derive(Clone, Copy)]
struct Inside {
    /// Its bytes so far.
    bytes: usize,
    /// The first half of a pair of `\u` was last: its second half belongs to it.
    half: bool,
}

/// The state of reading one value.
struct Scan<'o> {
    /// Where it is stored, while it is not too long.
    out: Option<&'o mut Vec<u8>>,
    place: Place,
    depth: u64,
    ended: bool,
}

impl<'o> Scan<'o> {
    fn new(out: Option<&'o mut Vec<u8>>) -> Self {
        // Of a string that is not stored only its end is searched for.
        Self { out, place: Place::Outside, depth: 0, ended: false }
    }

    fn keep(&mut self, text: &[u8]) {
        let Some(out) = &mut self.out else { return };
        if out.len() + text.len() > VALUE {
            self.out = None;
        } else {
            out.extend_from_slice(text);
        }
    }

    /// Takes the next bytes of one kind; gives the rest.
    fn step<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        match self.place {
            Place::Outside => self.outside(text),
            Place::Inside(inside) => self.inside(inside, text),
            Place::Escape(inside, read, length) => self.escape(inside, read, length, text),
            Place::Beyond { escaped } => self.beyond(escaped, text),
        }
    }

    fn outside<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'"' => {
                    self.place = match self.out {
                        Some(_) => Place::Inside(Inside { bytes: 0, half: false }),
                        None => Place::Beyond { escaped: false },
                    };
                    self.keep(&text[..=at]);
                    return &text[at + 1..];
                }
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' if self.depth > 1 => self.depth -= 1,
                b']' | b'}' if self.depth == 1 => {
                    self.ended = true;
                    self.keep(&text[..=at]);
                    return &text[at + 1..];
                }
                // After a number or a word.
                b']' | b'}' | b',' | b' ' | b'\n' | b'\r' | b'\t' if self.depth == 0 => {
                    self.ended = true;
                    self.keep(&text[..at]);
                    return &text[at..];
                }
                _ => {}
            }
        }
        self.keep(text);
        &[]
    }

    fn inside<'t>(&mut self, mut inside: Inside, mut text: &'t [u8]) -> &'t [u8] {
        loop {
            let end = memchr::memchr2(b'"', b'\\', text).unwrap_or(text.len());
            let room = STRING.saturating_sub(inside.bytes);
            if room < end {
                // Not within a character.
                let starts = |at: &usize| text[*at] & 0xc0 != 0x80;
                let fits = (0..=room).rev().find(starts).unwrap_or(0);
                self.keep(&text[..fits]);
                return self.cut(false, &text[fits..]);
            }
            inside = Inside { bytes: inside.bytes + end, half: inside.half && end == 0 };
            match text.get(end..) {
                Some([b'"', rest @ ..]) => {
                    self.keep(&text[..=end]);
                    return self.closed(rest);
                }
                // Both halves of a pair, or none.
                Some([_, rest @ ..]) if inside.bytes >= STRING && !inside.half => {
                    self.keep(&text[..end]);
                    return self.cut(true, rest);
                }
                Some([_, escaped, rest @ ..]) if *escaped != b'u' => {
                    self.keep(&text[..end + 2]);
                    inside = Inside { bytes: inside.bytes + 2, half: false };
                    text = rest;
                }
                Some([_, rest @ ..]) => {
                    self.keep(&text[..end]);
                    self.place = Place::Escape(inside, *b"\\_____", 1);
                    return rest;
                }
                _ => {
                    self.keep(text);
                    self.place = Place::Inside(inside);
                    return &[];
                }
            }
        }
    }

    fn closed<'t>(&mut self, rest: &'t [u8]) -> &'t [u8] {
        self.place = Place::Outside;
        self.ended = self.depth == 0;
        rest
    }

    fn cut<'t>(&mut self, escaped: bool, rest: &'t [u8]) -> &'t [u8] {
        self.keep(CUT.as_bytes());
        self.place = Place::Beyond { escaped };
        rest
    }

    fn escape<'t>(
        &mut self,
        inside: Inside,
        mut read: [u8; 6],
        length: usize,
        text: &'t [u8],
    ) -> &'t [u8] {
        read[length] = text[0];
        let whole = if read[1] == b'u' { 6 } else { 2 };
        let length = length + 1;
        self.place = Place::Escape(inside, read, length);
        if length == whole {
            let high = matches!(read[2..4], [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B']);
            let half = whole == 6 && high && !inside.half;
            self.keep(&read[..whole]);
            self.place = Place::Inside(Inside { bytes: inside.bytes + whole, half });
        }
        &text[1..]
    }

    fn beyond<'t>(&mut self, escaped: bool, text: &'t [u8]) -> &'t [u8] {
        if escaped {
            self.place = Place::Beyond { escaped: false };
            return &text[1..];
        }
        let Some(end) = memchr::memchr2(b'"', b'\\', text) else { return &[] };
        if text[end] == b'"' {
            self.keep(b"\"");
            return self.closed(&text[end + 1..]);
        }
        self.place = Place::Beyond { escaped: true };
        &text[end + 1..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The values of a list, whatever pieces it comes in.
    fn values(text: &str, pieces: usize) -> Result<Vec<Option<String>>, Broken> {
        let mut json = JsonText::new(io::BufReader::with_capacity(pieces, text.as_bytes()));
        let mut values = Vec::new();
        let mut value = Vec::new();
        assert_eq!(json.take()?, b'[');
        loop {
            let fits = json.value(&mut value)?;
            values.push(fits.then(|| String::from_utf8(value.clone()).unwrap()));
            match json.take()? {
                b',' => {}
                b']' => return Ok(values),
                _ => return Err(json.wrong()),
            }
        }
    }

    #[test]
    fn values_are_given_as_they_are() {
        let whole = [
            r#"{"a\"[{":["x\\","\u00e9\ud83d\uDE00 \n","[[[["],"b":{"c":-1.5e3}, "d" : null}"#,
            "-17.5e3",
            "true",
            r#""\\\"]\u0022""#,
            "[]",
            "[[1, 2],\n[3]]",
        ];
        let text = format!(" [ {} \n]", whole.join(" , "));
        for pieces in [1, 2, 3, 5, 7, 4096] {
            let read: Vec<_> = values(&text, pieces).unwrap().into_iter().flatten().collect();
            assert_eq!(read, whole);
            assert_eq!(values("[1, 2", pieces), Err(Broken::Early(5)));
            assert_eq!(values("[\"\\ud8", pieces), Err(Broken::Early(6)));
            assert_eq!(values("[1 2]", pieces), Err(Broken::Wrong(4)));
        }
    }

    #[test]
    fn a_long_string_is_cut_between_letters() {
        for (letter, pieces) in [
            ("a", 4096),
            ("ü", 4097),
            (r"\\", 64),
            (r"\ud83d\ude00", 63),
            (r"\u00e9", 4096),
            (r#"\""#, 9),
        ] {
            let long = letter.repeat(STRING / letter.len() + 100);
            let text = format!("[{{\"a{long}\":[\"{long}\"],\"b\":\"{letter}\"}}]");
            let cut = values(&text, pieces).unwrap().remove(0).unwrap();
            assert!(cut.len() < 2 * STRING + 100, "{letter}: {}", cut.len());
            let read: Value = serde_json::from_str(&cut).unwrap();
            let (name, value) = read.as_object().unwrap().iter().next().unwrap();
            assert!(is_cut(name) && is_cut(value[0].as_str().unwrap()), "{letter}");
            let short: Value = serde_json::from_str(&format!("\"{letter}\"")).unwrap();
            assert_eq!(read["b"], short);
        }
        let longest = json!(["a".repeat(STRING)]).to_string();
        assert_eq!(values(&format!("[{longest}]"), 4096).unwrap(), [Some(longest)]);
    }

    #[test]
    fn a_long_value_is_passed_over_and_the_next_one_is_read() {
        let long = format!("[{}0]", "0,".repeat(VALUE));
        let nested = format!("{}{}", "[".repeat(VALUE + 1), "]".repeat(VALUE + 1));
        let text = format!("[{long},1,{nested},2]");
        let read: Vec<_> = values(&text, 4096).unwrap();
        assert_eq!(read, [None, Some("1".to_owned()), None, Some("2".to_owned())]);
        let mut json = JsonText::new(io::BufReader::new(nested.as_bytes()));
        json.skip().unwrap();
        assert_eq!(json.peek(), Err(Broken::Early(nested.len() as u64)));
    }

    #[test]
    fn short_text_can_be_read_again() {
        let again = |text: &str| {
            let mut json = JsonText::new(io::BufReader::with_capacity(64, text.as_bytes()));
            let _ = json.skip();
            let mut all = String::new();
            json.again().map(|mut from| from.read_to_string(&mut all).map(|_| all))
        };
        assert_eq!(again("[1] and more").unwrap().unwrap(), "[1] and more");
        assert_eq!(again("\"torn").unwrap().unwrap(), "\"torn");
        assert!(again(&"x".repeat(AGAIN + 100)).is_none());
    }
}
