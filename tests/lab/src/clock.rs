//! A homeserver's answer → the same answer by a clock that is wrong. Only digits change, so its length stays.

use anyhow::{Context, Result};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use jiff::{SignedDuration, Timestamp};

const TIMES: &[&[u8]] = &[b"\"origin_server_ts\":", b"\"origin_server_ts\": "];
const DATE: &[u8] = b"\r\nDate: ";

/// Moves the times of all events, and the answer's own, by so many seconds.
pub fn set_clock(answer: &[u8], ahead: i64) -> Result<Vec<u8>> {
    let mut moved = answer.to_vec();
    for start in TIMES.iter().flat_map(|key| ends_of(answer, key)) {
        let digits = answer[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            continue;
        }
        let time: i64 = std::str::from_utf8(&answer[start..start + digits])?.parse()?;
        let later = format!("{:0digits$}", time + ahead * 1000);
        anyhow::ensure!(later.len() == digits, "the time {later} has another length");
        moved[start..start + digits].copy_from_slice(later.as_bytes());
    }
    if let Some(start) = ends_of(answer, DATE).into_iter().next() {
        let length = answer[start..].iter().take_while(|byte| **byte != b'\r').count();
        let date = std::str::from_utf8(&answer[start..start + length])?;
        let date: Timestamp = DateTimeParser::new().parse_timestamp(date).context("no date")?;
        let later = date + SignedDuration::from_secs(ahead);
        let later = DateTimePrinter::new().timestamp_to_rfc9110_string(&later)?;
        anyhow::ensure!(later.len() == length, "the date {later} has another length");
        moved[start..start + length].copy_from_slice(later.as_bytes());
    }
    Ok(moved)
}

/// Where each of these words ends.
fn ends_of(text: &[u8], word: &[u8]) -> Vec<usize> {
    let found = text.windows(word.len()).enumerate().filter(|(_, piece)| *piece == word);
    found.map(|(at, _)| at + word.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_and_lengths_stay() {
        let answer = b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 11:50:00 GMT\r\n\r\n{\"origin_server_ts\":1795348200000}";
        let moved = String::from_utf8(set_clock(answer, -420).unwrap()).unwrap();
        assert!(moved.contains("Date: Sun, 22 Nov 2026 11:43:00 GMT\r\n"), "{moved}");
        assert!(moved.ends_with("{\"origin_server_ts\":1795347780000}"), "{moved}");
        assert_eq!(moved.len(), answer.len());
    }
}
