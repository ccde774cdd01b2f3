//! The times that carriers write in front of a line.

use jiff::Timestamp;

/// Longer than any of them.
const LONGEST: usize = 40;

/// An RFC 3339 time up to the first of these bytes, and what is behind that byte. Without an offset the moment is not
/// known, because the zone is not.
pub(super) fn rfc3339(line: &[u8], end: u8) -> Option<(Option<i64>, &[u8])> {
    let head = &line[..line.len().min(LONGEST)];
    let length = head.iter().position(|byte| *byte == end)?;
    let text = std::str::from_utf8(&head[..length]).ok()?;
    Some((moment(text)?, &line[length + 1..]))
}

/// `2026-11-22T11:37:09.246000417Z`, `…+0000`, `…+01:00`, or without an offset. `None` where it is no time.
fn moment(text: &str) -> Option<Option<i64>> {
    let bytes = text.as_bytes();
    let digits =
        |from: usize, to: usize| bytes.get(from..to)?.iter().all(u8::is_ascii_digit).then_some(());
    let is = |at: usize, byte: u8| (bytes.get(at) == Some(&byte)).then_some(());
    digits(0, 4)?;
    is(4, b'-')?;
    digits(5, 7)?;
    is(7, b'-')?;
    digits(8, 10)?;
    is(10, b'T')?;
    digits(11, 13)?;
    is(13, b':')?;
    digits(14, 16)?;
    is(16, b':')?;
    digits(17, 19)?;
    let fraction = bytes[19..].iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.'));
    match fraction {
        None => Some(None),
        Some(_) => Some(Some(text.parse::<Timestamp>().ok()?.as_millisecond())),
    }
}

/// `@40000000…`, TAI64N of `multilog` and `svlogd`, and what is behind it. The label counts TAI seconds from 2^62; the
/// writers add ten and no leap second since 1972, so ten are taken off again.
pub(super) fn tai64n(line: &[u8]) -> Option<(i64, &[u8])> {
    const EPOCH: u64 = (1 << 62) + 10;
    let digits = std::str::from_utf8(line.strip_prefix(b"@")?.get(..24)?).ok()?;
    let seconds = u64::from_str_radix(&digits[..16], 16).ok()?.checked_sub(EPOCH)?;
    let nanos =
        u32::from_str_radix(&digits[16..], 16).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds < 1 << 36)?;
    let rest = line[25..].strip_prefix(b" ")?;
    Some((seconds * 1000 + i64::from(nanos / 1_000_000), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_any_offset() {
        let at = Some(1_795_347_429_246);
        for (text, expected) in [
            ("2026-11-22T11:37:09.246000417Z x", at),
            ("2026-11-22T11:37:09.246000+00:00 x", at),
            ("2026-11-22T12:37:09.246+0100 x", at),
            ("2026-11-22T11:37:09.24600 x", None),
        ] {
            assert_eq!(rfc3339(text.as_bytes(), b' '), Some((expected, &b"x"[..])), "{text}");
        }
        for odd in ["2026-11-22 11:37:09 x", "2026-11-22T11:37:09Zx", "2026-13-22T11:37:09Z x", ""]
        {
            assert_eq!(rfc3339(odd.as_bytes(), b' '), None, "{odd}");
        }
    }

    #[test]
    fn a_tai_label_is_a_moment() {
        let line = format!("@{:016x}{:08x} x", (1_u64 << 62) + 10 + 1_795_347_429, 246_000_000);
        assert_eq!(tai64n(line.as_bytes()), Some((1_795_347_429_246, &b"x"[..])));
        assert_eq!(tai64n(b"@4000000000000000ffffffff x"), None);
        assert_eq!(tai64n("@400000006a0ö".as_bytes()), None);
    }
}
