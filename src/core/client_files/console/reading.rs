//! A client's log as it comes → its known lines, or the fields of a bug report.

use std::io::BufRead;

use serde_json::Value;

use crate::client_files::console::lines::{Console, NO_LINE};
use crate::client_files::draft::Draft;
use crate::client_files::report::redaction::Report;
use crate::evidence::client_file::Limits;

/// How much of one line is read: a rejection is searched for in 64 KiB, which may be twice as many as written.
const LINE: usize = 192 << 10;
/// Reads a log, or the fields of a bug report where a client writes one a line. The error is a sentence for a
/// person.
pub(crate) fn read(
    from: &mut dyn BufRead,
    budget: usize,
    limits: &Limits,
) -> Result<Draft, String> {
    let mut read = Console::new(budget);
    let mut details = Report::new(budget, limits);
    let mut fields = 0;
    each_line(from, &mut |line| {
        read.line(line);
        if let Some((name, value)) = field(line).filter(|_| fields < FIELDS) {
            fields += 1;
            details.scalar(None, name, Value::String(value.to_owned()));
        }
    });
    if !read.is_empty() {
        return Ok(Draft::Console(read));
    }
    details.is_one().map_err(|_| NO_LINE)?;
    Ok(Draft::Report(details))
}

/// `device_id = DEV`, as Element Web's `issue.txt` has it.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ").or_else(|| line.split_once(": "))?;
    let is_name = name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_name.then(|| (name, value.trim()))
}

/// Lines that are read as fields.
const FIELDS: usize = 200;

/// Gives each line, whatever its line ending; of a long line only the part that is read.
fn each_line(from: &mut dyn BufRead, each: &mut dyn FnMut(&str)) {
    let mut begun = Vec::new();
    let mut full = false;
    let mut give = |line: &[u8]| each(String::from_utf8_lossy(line).trim_end_matches('\r'));
    loop {
        let piece = from.fill_buf().unwrap_or_default();
        if piece.is_empty() {
            return give(&begun);
        }
        let end = memchr::memchr(b'\n', piece);
        let part = &piece[..end.unwrap_or(piece.len())];
        let read = part.len() + usize::from(end.is_some());
        if begun.is_empty() && end.is_some() && part.len() <= LINE {
            give(part);
            from.consume(read);
            continue;
        }
        if !full {
            let room = LINE - begun.len();
            let starts = |at: &usize| part.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
            let fits = (0..=room.min(part.len())).rev().find(starts).unwrap_or(0);
            full = fits < part.len();
            begun.extend_from_slice(&part[..fits]);
        }
        from.consume(read);
        if end.is_some() {
            give(&begun);
            begun.clear();
            full = false;
        }
    }
}
