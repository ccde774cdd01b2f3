//! What carriers write in front of a line → the line behind it.

use std::borrow::Cow;

use super::peeled::{Peeled, Piece};
use super::times::{rfc3339, tai64n};

/// The longest name that a carrier writes in front of a line: a pod's name may be of 253 characters.
const NAME: usize = 384;

/// `> `, as mail and issues quote.
pub(super) fn quote(line: &[u8]) -> Option<Peeled<'_>> {
    line.strip_prefix(b"> ").map(Peeled::of)
}

/// `NAME  | ` of `docker compose logs` and of Synapse's image with workers.
pub(super) fn compose(line: &[u8]) -> Option<Peeled<'_>> {
    let head = &line[..line.len().min(NAME)];
    let end = head.windows(3).position(|three| three == b" | ")?;
    named(head[..end].trim_ascii_end(), &line[end + 3..])
}

/// `[pod/NAME/CONTAINER] ` of `kubectl logs --prefix`.
pub(super) fn pod(line: &[u8]) -> Option<Peeled<'_>> {
    let rest = line.strip_prefix(b"[pod/")?;
    let end = rest[..rest.len().min(NAME)].windows(2).position(|two| two == b"] ")?;
    named(&rest[..end], &rest[end + 2..])
}

/// `TIME ` of `docker logs --timestamps`, `kubectl logs --timestamps` and `svlogd -ttt`.
pub(super) fn time(line: &[u8]) -> Option<Peeled<'_>> {
    let (at, rest) = rfc3339(line, b' ')?;
    Some(Peeled { at, ..Peeled::of(rest) })
}

/// `TIME<tab>stderr<tab>`, as collectors write.
pub(super) fn tabs(line: &[u8]) -> Option<Peeled<'_>> {
    let (at, rest) = rfc3339(line, b'\t')?;
    let (stream, rest) = stream(rest, b'\t')?;
    Some(Peeled { at, stream: Cow::Borrowed(stream), ..Peeled::of(rest) })
}

/// `TIME stderr F ` of the container runtime interface: files under /var/log/pods, podman's k8s-file. `P` is a part of
/// a line (8 or 16 KiB), `F` is its end.
pub(super) fn cri(line: &[u8]) -> Option<Peeled<'_>> {
    let (at, rest) = rfc3339(line, b' ')?;
    let (stream, rest) = stream(rest, b' ')?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    // Tags are joined by colons; the first one says whether the line is cut.
    let piece = match rest[..end].split(|byte| *byte == b':').next()? {
        b"P" => Piece::Part,
        b"F" => Piece::Last,
        _ => return None,
    };
    Some(Peeled { at, stream: Cow::Borrowed(stream), piece, ..Peeled::of(&rest[end + 1..]) })
}

/// `@40000000… ` of `multilog` and `svlogd`.
pub(super) fn tai(line: &[u8]) -> Option<Peeled<'_>> {
    let (at, rest) = tai64n(line)?;
    Some(Peeled { at: Some(at), ..Peeled::of(rest) })
}

/// `Nov 22 11:37:09 HOST TAG[PID]: ` of RFC 3164 and `journalctl -o short`, with the other times of journalctl's short
/// forms and of rsyslog's file format, and with a priority in front.
pub(super) fn syslog(line: &[u8]) -> Option<Peeled<'_>> {
    let (severity, line) = priority(line);
    let (at, rest) = match rfc3339(line, b' ') {
        Some((at, rest)) => (at, rest),
        None => (None, short_time(line)?),
    };
    let head = &rest[..rest.len().min(NAME)];
    let host = head.iter().position(|byte| *byte == b' ').filter(|end| *end > 0)?;
    let colon = head[host..].windows(2).position(|two| two == b": ")? + host;
    let tag = &head[host + 1..colon];
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    if tag.is_empty() || !tag.iter().all(plain) || !head[..host].iter().all(plain) {
        return None;
    }
    let text = &rest[colon + 2..];
    // journalctl's short forms, for text that it takes for binary or too long (4 KiB and more).
    let lost = text.ends_with(b" blob data]")
        && text.strip_prefix(b"[").is_some_and(|rest| rest[0].is_ascii_digit());
    Some(Peeled { at, severity, name: Cow::Borrowed(tag), lost, ..Peeled::of(text) })
}

/// `<14>1 TIME HOST APP PID MSGID [DATA] ` of RFC 5424, with or without the priority.
pub(super) fn syslog5424(line: &[u8]) -> Option<Peeled<'_>> {
    let (severity, line) = priority(line);
    let (at, rest) = rfc3339(line.strip_prefix(b"1 ")?, b' ')?;
    let mut fields = rest.splitn(5, |byte| *byte == b' ');
    let mut field = || fields.next().filter(|field| field.iter().all(u8::is_ascii_graphic));
    let _host = field()?;
    let app = field()?;
    let pid = field()?;
    let _kind = field()?;
    let text = structured(fields.next()?)?;
    let name = [app, b"[", pid, b"]"].concat();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Some(Peeled { at, severity, name: Cow::Owned(name), ..Peeled::of(text) })
}

/// Colours of a terminal: `ESC [ … m` and its kin anywhere in the line.
pub(super) fn colour(line: &[u8]) -> Option<Peeled<'_>> {
    memchr::memchr(0x1b, line)?;
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        text.extend_from_slice(&rest[..at]);
        rest = match rest[at + 1..].strip_prefix(b"[") {
            Some(sequence) => {
                let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
                end.map_or(&[][..], |end| &sequence[end + 1..])
            }
            None => &rest[at + 1..],
        };
    }
    text.extend_from_slice(rest);
    Some(Peeled { text: Cow::Owned(text), ..Peeled::default() })
}

fn named<'a>(name: &'a [u8], rest: &'a [u8]) -> Option<Peeled<'a>> {
    let plain = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    plain.then(|| Peeled { name: Cow::Borrowed(name), ..Peeled::of(rest) })
}

fn stream(line: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let stream = [&b"stdout"[..], b"stderr"].into_iter().find(|name| line.starts_with(name))?;
    Some((stream, line[stream.len()..].strip_prefix(&[end])?))
}

/// `<PRIORITY>`: its three low bits are the severity.
fn priority(line: &[u8]) -> (Option<u8>, &[u8]) {
    let read = || {
        let rest = line.strip_prefix(b"<")?;
        let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
        let number: u8 = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        Some((Some(number & 7), &rest[end + 1..]))
    };
    read().unwrap_or((None, line))
}

/// What is behind `Nov 22 11:37:09 `, `Nov 22 11:37:09.246700 `, `Sun 2026-11-22 11:37:09 UTC ` or `1795347429.246700 `.
/// None of them names a moment for sure: they have no year, or the zone of whoever asked the journal.
fn short_time(line: &[u8]) -> Option<&[u8]> {
    const MONTHS: [&[u8]; 12] = [
        b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
        b"Nov ", b"Dec ",
    ];
    const DAYS: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
    let starts = |words: &[&[u8]]| words.iter().any(|word| line.starts_with(word));
    if starts(&MONTHS) {
        // A day below ten has two spaces before it.
        return clock(line.get(7..)?);
    }
    if starts(&DAYS) {
        return behind_words(line, 4);
    }
    let end = line.iter().take(32).position(|byte| *byte == b' ')?;
    let number = line[..end].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    (number && line[..end].contains(&b'.')).then(|| &line[end + 1..])
}

/// What is behind so many words, each with a space.
fn behind_words(line: &[u8], words: usize) -> Option<&[u8]> {
    let mut rest = line;
    for _ in 0..words {
        let end = rest.iter().take(32).position(|byte| *byte == b' ')?;
        rest = &rest[end + 1..];
    }
    Some(rest)
}

/// What is behind `HH:MM:SS ` or `HH:MM:SS.ffffff `.
fn clock(line: &[u8]) -> Option<&[u8]> {
    let end = line[..line.len().min(16)].iter().position(|byte| *byte == b' ')?;
    let time = &line[..end];
    let fits = time.len() >= 8 && time[2] == b':' && time[5] == b':';
    let digits = time.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    (fits && digits).then(|| &line[end + 1..])
}

/// What is behind RFC 5424's structured data: `- `, or elements in brackets, whose strings escape quotes.
fn structured(rest: &[u8]) -> Option<&[u8]> {
    if let Some(text) = rest.strip_prefix(b"- ") {
        return Some(text);
    }
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in rest.iter().enumerate().take(16 * 1024) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b' ' if !quoted && at > 0 && rest[at - 1] == b']' => return Some(&rest[at + 1..]),
            _ => {}
        }
    }
    None
}
