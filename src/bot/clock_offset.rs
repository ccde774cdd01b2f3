//! The homeserver's clock and this machine's → how far they are apart.
//!
//! Events carry the homeserver's time, so a command's age is wrong by exactly this much. It is measured, never
//! corrected: whichever clock is wrong, a person has to set it.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::Client;

/// Clocks this far apart make commands look too old and shift storms. A working NTP client stays within
/// milliseconds.
pub(super) const WRONG: SignedDuration = SignedDuration::from_secs(60);

/// How long the homeserver gets to answer. The answer's delay is the measurement's error.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far the homeserver's clock is ahead of this machine's; negative if it is behind. Accurate to about a second.
/// Any answer works, so no session is needed. Behind a reverse proxy it may be the proxy's clock.
pub(super) async fn offset(client: &Client) -> Result<SignedDuration> {
    let address = client.homeserver().join("/_matrix/client/versions")?;
    let sent = Timestamp::now();
    let answer = client.http_client().get(address).timeout(PATIENCE).send().await;
    let came = Timestamp::now();
    let answer = answer.context("the homeserver did not answer")?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.context("the homeserver's answer has no Date header")?;
    between(date, sent, came).context("the homeserver's Date header cannot be read")
}

/// Whether the clocks are so far apart that the age of commands is wrong.
pub(super) fn is_wrong(offset: SignedDuration) -> bool {
    offset.abs() >= WRONG
}

/// As text: which clock is ahead, and by how much.
pub(super) fn describe(offset: SignedDuration) -> String {
    let seconds = offset.abs().as_secs();
    if seconds < 2 {
        return "the homeserver's clock and this machine's agree".to_owned();
    }
    let length = match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    };
    let place = if offset.is_negative() { "behind" } else { "ahead of" };
    format!("the homeserver's clock is {length} {place} this machine's")
}

/// The header has whole seconds, cut: on average half a second has passed since.
fn between(date: &str, sent: Timestamp, came: Timestamp) -> Result<SignedDuration> {
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date)?;
    let theirs = theirs.checked_add(SignedDuration::from_millis(500))?;
    let ours = sent.checked_add(came.duration_since(sent) / 2)?;
    Ok(theirs.duration_since(ours))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_offset_is_taken_from_the_middle_of_the_request() {
        let sent = at("2026-11-22T11:50:00Z");
        let came = at("2026-11-22T11:50:04Z");
        let offset = between("Sun, 22 Nov 2026 11:57:02 GMT", sent, came).unwrap();
        assert_eq!(offset, SignedDuration::from_millis(7 * 60_000 + 500));
        assert!(between("yesterday", sent, came).is_err());
    }

    #[test]
    fn an_offset_is_told_with_its_direction() {
        let said = |seconds| describe(SignedDuration::from_secs(seconds));
        assert_eq!(said(420), "the homeserver's clock is 7 min ahead of this machine's");
        assert_eq!(said(-75), "the homeserver's clock is 1 min 15 s behind this machine's");
        assert_eq!(said(-1), "the homeserver's clock and this machine's agree");
        assert!(is_wrong(SignedDuration::from_secs(-60)));
        assert!(!is_wrong(SignedDuration::from_secs(59)));
    }

    /// Against a server whose clock is an hour ahead.
    #[tokio::test]
    async fn a_wrong_clock_is_measured() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            let ahead = Timestamp::now() + SignedDuration::from_hours(1);
            let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&ahead).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(head.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let client = Client::builder().homeserver_url(address).build().await.unwrap();
        let offset = offset(&client).await.unwrap();
        assert!(served.join().unwrap().starts_with("GET /_matrix/client/versions "));
        let wrong = offset - SignedDuration::from_hours(1);
        assert!(wrong.abs() < SignedDuration::from_secs(5), "{offset:?}");
    }
}
