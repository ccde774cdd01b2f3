//! What waits in a device's inbox, weighed against the identity that the server holds for it: for whom
//! each message is encrypted, from whom it is, and whether the device fetches.
//!
//! The ciphertext of an Olm message is keyed by its recipient's curve25519 key. A message for another key
//! than the device's own can never be opened by it, however it came to be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use ruma::{ServerName, UserId};

use crate::evidence::to_device::{Inbox, InboxRow, ToDeviceLog};
use crate::evidence::{DeviceKeys, DeviceRow, counted, utc};

/// Synapse notes a device's last request at most every two minutes, and a sync waits 30 s: a device that
/// was not seen for so long does not sync.
const IDLE: SignedDuration = SignedDuration::from_mins(5);
/// A backlog younger than this may be on its way.
const OLD: SignedDuration = SignedDuration::from_secs(60);
/// How far the clocks of Synapse and Kestrel may be apart before "the identity is older" is believed.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);
/// An unpadded base64 of 32 bytes.
const KEY: usize = 43;
/// Senders that are named.
const NAMED: usize = 2;

/// The inbox, message by message.
#[derive(Debug, Default)]
pub(super) struct InboxContents<'a> {
    pub inbox: Option<&'a Inbox>,
    /// The curve25519 key of the device.
    own: Option<&'a str>,
    pub right: Vec<&'a InboxRow>,
    pub dead: Vec<&'a InboxRow>,
    /// Not encrypted with Olm: there is no identity to be wrong about.
    pub plain: u64,
    /// Encrypted, and for whom cannot be told.
    pub unclear: u64,
    /// From others than the sender asked about.
    pub others: u64,
}

impl<'a> InboxContents<'a> {
    /// Sorts what was seen; only one sender's where one is asked about.
    pub fn sort(
        inbox: Option<&'a Inbox>,
        keys: Option<&'a DeviceKeys>,
        sender: Option<&UserId>,
    ) -> Self {
        let own = keys.and_then(|keys| keys.curve25519.as_deref());
        let mut contents = Self { inbox, own, ..Self::default() };
        // What a watch saw before the identity came may have been right when it was fetched.
        let changed = |live: Timestamp| {
            let keys = keys.map(|keys| keys.added);
            keys.is_some_and(|added| added.duration_since(live) > -CLOCK_SLACK)
        };
        let unsure = inbox.and_then(|inbox| inbox.live).is_some_and(|live| changed(live.from));
        for row in inbox.iter().flat_map(|inbox| &inbox.rows) {
            if sender.is_some_and(|sender| row.sender.as_deref() != Some(sender.as_str())) {
                contents.others += 1;
                continue;
            }
            let olm = row.algorithm.as_deref().is_some_and(|name| name.starts_with("m.olm."));
            if row.kind.as_deref() != Some("m.room.encrypted") || !olm {
                contents.plain += 1;
                continue;
            }
            let keys = &row.recipients;
            match own {
                Some(own) if keys.iter().any(|key| key.trim_end_matches('=') == own) => {
                    contents.right.push(row);
                }
                Some(own)
                    if is_key(own) && !unsure && !keys.is_empty() && keys.iter().all(is_key) =>
                {
                    contents.dead.push(row);
                }
                _ => contents.unclear += 1,
            }
        }
        contents
    }

    /// Whether each sender of a message for a dead identity has sent one for the device's own since.
    pub fn caught_up(&self) -> bool {
        let since = |dead: &&&InboxRow| {
            let newer = |right: &&InboxRow| right.stream > dead.stream;
            self.right.iter().any(|right| newer(right) && right.sender == dead.sender)
        };
        !self.dead.is_empty() && self.dead.iter().filter(since).count() == self.dead.len()
    }

    /// Whether senders who have nothing to do with each other name the same dead identity. Synapse sees to
    /// it that nobody writes in another's name, but a remote server may invent users: all of its count once.
    pub fn agreed(&self, server: &ServerName) -> bool {
        let mut by_key = BTreeMap::<&str, BTreeSet<&str>>::new();
        for row in &self.dead {
            let Some(sender) = row.sender.as_deref().and_then(|id| <&UserId>::try_from(id).ok())
            else {
                continue;
            };
            let local = sender.server_name() == server;
            let witness = if local { sender.as_str() } else { sender.server_name().as_str() };
            for key in &row.recipients {
                by_key.entry(key.trim_end_matches('=')).or_default().insert(witness);
            }
        }
        by_key.values().any(|witnesses| witnesses.len() > 1)
    }

    /// For which dead identities, by the heads of their keys.
    pub fn dead_keys(&self) -> String {
        let mut heads: Vec<_> =
            self.dead.iter().flat_map(|row| &row.recipients).map(|key| head(key)).collect();
        heads.sort();
        heads.dedup();
        let more = heads.len().saturating_sub(NAMED);
        heads.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", heads.join(", "))
    }

    /// The device's own key, as far as it is shown.
    pub fn own_key(&self) -> String {
        match self.own {
            Some(own) if is_key(own) => head(own),
            Some(_) => "an unreadable key".to_owned(),
            None => "unknown".to_owned(),
        }
    }

    /// The figures of the inbox; none where it was not read.
    pub fn figure(&self) -> Option<(&'static str, String)> {
        let inbox = self.inbox?;
        let more = if inbox.capped { " or more" } else { "" };
        let read = inbox.rows.len() as u64;
        let (label, mut all) = match inbox.live {
            Some(live) => {
                let seconds = live.to.duration_since(live.from).as_secs();
                let more = if live.clipped { " or more" } else { "" };
                ("Live", format!("{read}{more} seen in {seconds} s"))
            }
            None if read < inbox.pending && read > 0 => {
                ("Inbox", format!("{}{more} undelivered, the oldest {read}", inbox.pending))
            }
            None => ("Inbox", format!("{}{more} undelivered", inbox.pending)),
        };
        if let Some(kinds) = self.kinds() {
            all = format!("{all}: {kinds}");
        }
        let mut parts = vec![all];
        if inbox.live.is_some() {
            parts.push(format!("{}{more} still undelivered", inbox.pending));
        }
        parts.extend(self.senders().map(|senders| format!("from {senders}")));
        let largest = inbox.rows.iter().map(|row| row.bytes).max();
        parts.extend(largest.map(|bytes| format!("largest {bytes} bytes")));
        if let Some(again) = inbox.again.filter(|again| inbox.live.is_none() && again.came > 0) {
            parts.push(format!("{} more after {} s", again.came, again.after / 1000));
        }
        Some((label, parts.join("; ")))
    }

    /// How many of which kind.
    fn kinds(&self) -> Option<String> {
        let kinds = [
            (self.dead.len() as u64, format!("for an old identity ({})", self.dead_keys())),
            (self.right.len() as u64, format!("for its own identity ({})", self.own_key())),
            (self.unclear, "for an unknown identity".to_owned()),
            (self.plain, "not encrypted".to_owned()),
            (self.others, "from others".to_owned()),
        ];
        let seen = kinds.iter().filter(|(count, _)| *count > 0);
        let seen: Vec<_> = seen.map(|(count, what)| format!("{count} {what}")).collect();
        (!seen.is_empty()).then(|| seen.join(", "))
    }

    /// Who sent what was seen, the busiest first. A remote server may write anything there.
    fn senders(&self) -> Option<String> {
        let mut count = BTreeMap::<&str, u64>::new();
        for row in self.inbox.iter().flat_map(|inbox| &inbox.rows) {
            *count.entry(shown(row.sender.as_deref())).or_default() += 1;
        }
        let mut all: Vec<_> = count.into_iter().collect();
        all.sort_by_key(|(_, count)| Reverse(*count));
        let more = all.len().saturating_sub(NAMED);
        let named = all.iter().take(NAMED).map(|(who, count)| format!("{who} ({count})"));
        let named = named.collect::<Vec<_>>().join(", ");
        match (named.as_str(), more) {
            ("", _) => None,
            (_, 0) => Some(named),
            (_, more) => Some(format!("{named} and {more} more")),
        }
    }

    /// Why the device is taken not to fetch what waits: the reasons, or `None` where one is missing.
    pub fn undrained(
        &self,
        device: Option<&DeviceRow>,
        log: Option<&ToDeviceLog>,
        now: Timestamp,
    ) -> Option<Vec<String>> {
        let inbox = self.inbox?;
        let waiting = counted(self.right.len() as u64, "message");
        if let Some(span) = inbox.grown {
            let from = utc(span.from);
            let to = utc(span.to);
            return Some(vec![
                format!(
                    "the inbox has {waiting} for its own identity, more at each check from {from} to {to}"
                ),
                "the device made requests in that time, but fetched fewer messages than arrived"
                    .to_owned(),
            ]);
        }
        let again = inbox.again.filter(|again| again.stands)?;
        let stored = log.and_then(|log| log.stored);
        // What was fetched does not clear the rest: that some of what the log saw stored still waits will do.
        let stored = stored.filter(|span| span.count > 1 && self.right.len() > 1);
        let grown = match (again.came, stored) {
            (0, None) => return None,
            (0, Some(span)) => match span.count.saturating_sub(inbox.pending) {
                0 => {
                    format!("{} arrived in the log window, but the device fetched none", span.count)
                }
                fetched => {
                    format!(
                        "{} arrived in the log window, of which the device fetched {fetched}",
                        span.count
                    )
                }
            },
            (came, _) => format!("{came} more arrived within {} s", again.after / 1000),
        };
        let seen = device.and_then(|row| row.last_seen);
        let away = seen.map(|seen| now.duration_since(seen)).filter(|away| *away >= IDLE);
        let watched = inbox.live.filter(|live| live.to.duration_since(live.from) >= OLD);
        let still = match (away, watched) {
            (Some(away), _) => format!("the device was last seen {} min ago", away.as_mins()),
            (None, Some(_)) => "it fetched nothing for a whole minute of watching".to_owned(),
            (None, None) => {
                let last = log.and_then(fetched_last)?;
                format!(
                    "9533_debug shows no message delivered to the user's syncs after {}",
                    utc(last)
                )
            }
        };
        Some(vec![
            format!("the inbox has {waiting} for its own identity, and {grown}"),
            still,
            "a device that is switched off looks the same".to_owned(),
        ])
    }
}

/// When the user's syncs were handed messages last, where more were stored later and the log continues for a
/// minute without another. A log that shows no such sync at all may be of another worker.
fn fetched_last(log: &ToDeviceLog) -> Option<Timestamp> {
    let last = log.returned?.last;
    let read_to = log.coverage.iter().filter_map(|part| Some(part.span?.1)).max()?;
    let later = log.stored.is_some_and(|stored| stored.last > last);
    (log.debug && later && read_to.duration_since(last) >= OLD).then_some(last)
}

fn is_key(key: impl AsRef<str>) -> bool {
    let key = key.as_ref().trim_end_matches('=');
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY && key.bytes().all(letter)
}

fn head(key: &str) -> String {
    let head: String = key.chars().take(8).collect();
    format!("{head}…")
}

/// A sender as far as it is one.
fn shown(sender: Option<&str>) -> &str {
    let plain = |id: &&str| id.len() < 80 && !id.contains(|c: char| c.is_control() || c == ' ');
    sender.filter(|id| UserId::parse(id).is_ok()).filter(plain).unwrap_or("an invalid sender")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Window;
    use crate::evidence::key_log::{Coverage, Format, Span};
    use crate::evidence::to_device::{Again, Live};

    const OWN: &str = "JI6ajuekUuZJAFsahSIymiovxLK51iwjxJ0ggk1znOn";
    const GONE: &str = "AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng";

    fn row(stream: i64, sender: &str, key: &str) -> InboxRow {
        InboxRow {
            stream,
            sender: Some(sender.into()),
            kind: Some("m.room.encrypted".into()),
            algorithm: Some("m.olm.v1.curve25519-aes-sha2".into()),
            recipients: vec![key.into()],
            bytes: 900,
            seen: None,
        }
    }

    fn keys(added: i64) -> DeviceKeys {
        let added = Timestamp::from_second(added).unwrap();
        DeviceKeys { added, ed25519: None, curve25519: Some(OWN.into()) }
    }

    fn inbox(rows: Vec<InboxRow>) -> Inbox {
        Inbox { pending: rows.len() as u64, rows, ..Inbox::default() }
    }

    #[test]
    fn messages_are_sorted_by_whom_they_are_for() {
        let plain =
            InboxRow { kind: Some("m.room_key_request".into()), ..row(5, "@b:x.org", GONE) };
        let none = InboxRow { recipients: Vec::new(), ..row(6, "@b:x.org", GONE) };
        let rows = vec![
            row(1, "@a:x.org", GONE),
            row(2, "@b:x.org", OWN),
            row(3, "@a:x.org", "no key"),
            row(4, "@c:x.org", &format!("{OWN}=")),
            plain,
            none,
        ];
        let inbox = inbox(rows);
        let keys = keys(0);
        let contents = InboxContents::sort(Some(&inbox), Some(&keys), None);
        assert_eq!(
            (contents.dead.len(), contents.right.len(), contents.plain, contents.unclear),
            (1, 2, 1, 2)
        );
        assert!(!contents.caught_up());
        let (_, figure) = contents.figure().unwrap();
        assert!(
            figure.starts_with("6 undelivered: 1 for an old identity (AFsahSIy…), 2 for its own"),
            "{figure}"
        );
        let sender = UserId::parse("@b:x.org").unwrap();
        let contents = InboxContents::sort(Some(&inbox), Some(&keys), Some(&sender));
        assert_eq!((contents.dead.len(), contents.right.len(), contents.others), (0, 1, 3));
        let contents = InboxContents::sort(Some(&inbox), None, None);
        assert_eq!((contents.dead.len(), contents.unclear), (0, 5));
    }

    #[test]
    fn what_was_fetched_before_the_identity_came_is_not_dead() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let live = Some(Live { from: at(1000), to: at(1060), polls: 3000, clipped: false });
        let inbox = Inbox { live, ..inbox(vec![row(1, "@a:x.org", GONE)]) };
        for (added, dead) in [(10, 1), (1030, 0), (990, 0)] {
            let keys = keys(added);
            assert_eq!(
                InboxContents::sort(Some(&inbox), Some(&keys), None).dead.len(),
                dead,
                "{added}"
            );
        }
    }

    #[test]
    fn a_sender_catches_up() {
        let rows = vec![row(1, "@a:x.org", GONE), row(2, "@a:x.org", OWN)];
        let inbox = inbox(rows);
        let keys = keys(0);
        assert!(InboxContents::sort(Some(&inbox), Some(&keys), None).caught_up());
    }

    #[test]
    fn one_sender_is_one_witness() {
        let other = GONE.replace('A', "B");
        for (rows, agreed) in [
            (vec![row(1, "@a:x.org", GONE), row(2, "@a:x.org", GONE)], false),
            (vec![row(1, "@a:x.org", GONE), row(2, "@b:x.org", GONE)], true),
            (vec![row(1, "@a:x.org", GONE), row(2, "@b:x.org", &other)], false),
            (vec![row(1, "@a:evil.org", GONE), row(2, "@b:evil.org", GONE)], false),
            (vec![row(1, "@a:evil.org", GONE), row(2, "@b:x.org", GONE)], true),
            (vec![row(1, "nobody", GONE), row(2, "@b:x.org", GONE)], false),
        ] {
            let inbox = inbox(rows);
            let keys = keys(0);
            let contents = InboxContents::sort(Some(&inbox), Some(&keys), None);
            assert_eq!(contents.agreed("x.org".try_into().unwrap()), agreed, "{:?}", contents.dead);
        }
    }

    #[test]
    fn a_backlog_has_to_be_seen_to_grow() {
        let now = Timestamp::from_second(10_000).unwrap();
        let device = |ago: i64| DeviceRow {
            device: "D".into(),
            display_name: None,
            last_seen: Timestamp::from_second(10_000 - ago).ok(),
            hidden: false,
            has_keys: None,
            one_time_keys: None,
            next_key: None,
        };
        let keys = keys(0);
        for (came, stands, ago, expected) in [
            (2, true, 400, true),
            (0, true, 400, false),
            (2, false, 400, false),
            (2, true, 100, false),
        ] {
            let again = Some(Again { after: 2000, came, stands });
            let inbox = Inbox { again, ..inbox(vec![row(1, "@a:x.org", OWN)]) };
            let contents = InboxContents::sort(Some(&inbox), Some(&keys), None);
            let said = contents.undrained(Some(&device(ago)), None, now);
            assert_eq!(said.is_some(), expected, "{came} {stands} {ago}");
        }
        // Slow looks saw it grow while the device was there: two within seconds need not.
        let again = Some(Again { after: 2000, came: 0, stands: true });
        let span = Window { from: now, to: now };
        let inbox = Inbox { again, grown: Some(span), ..inbox(vec![row(1, "@a:x.org", OWN)]) };
        let said = InboxContents::sort(Some(&inbox), Some(&keys), None).undrained(None, None, now);
        assert!(said.is_some_and(|said| said[0].contains("more at each check")));
    }

    /// Measured with 9533_debug on: 16 stored, 2 fetched, 14 waiting.
    #[test]
    fn what_was_fetched_does_not_clear_the_rest() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let span = |from, to, count| Some(Span { first: at(from), last: at(to), count });
        let coverage = Coverage {
            source: "main".into(),
            span: Some((at(9000), at(9990))),
            whole: true,
            lines: 500,
            format: Format::Text,
            zone: "UTC".into(),
            notes: Vec::new(),
            visible: None,
        };
        let log = ToDeviceLog {
            coverage: vec![coverage],
            debug: true,
            stored: span(9800, 9900, 16),
            returned: span(9801, 9803, 2),
            ..ToDeviceLog::default()
        };
        let device = |ago: i64| DeviceRow {
            device: "D".into(),
            display_name: None,
            last_seen: Some(at(10_000 - ago)),
            hidden: false,
            has_keys: None,
            one_time_keys: None,
            next_key: None,
        };
        let keys = keys(0);
        let rows = (1..15).map(|stream| row(stream, "@a:x.org", OWN)).collect();
        let again = Some(Again { after: 2000, came: 0, stands: true });
        let inbox = Inbox { again, ..inbox(rows) };
        let contents = InboxContents::sort(Some(&inbox), Some(&keys), None);
        let said =
            |log: &ToDeviceLog, ago| contents.undrained(Some(&device(ago)), Some(log), at(10_000));
        // Synapse notes a device's last request only every few minutes: the log may be all that tells.
        for ago in [400, 100] {
            let said = said(&log, ago).expect("it is not drained");
            assert!(
                said[0].contains("16 arrived in the log window, of which the device fetched 2"),
                "{said:?}"
            );
        }
        let none = ToDeviceLog { returned: None, ..log.clone() };
        assert!(said(&none, 100).is_none(), "another worker may answer the syncs");
        let at_once = ToDeviceLog { returned: span(9801, 9940, 5), ..log };
        assert!(said(&at_once, 100).is_none(), "it still fetches");
    }

    #[test]
    fn an_odd_sender_is_not_shown() {
        for odd in ["@a\n:x.org", "<b>", &format!("@{}:x.org", "a".repeat(200)), ""] {
            assert_eq!(shown(Some(odd)), "an invalid sender");
        }
        assert_eq!(shown(Some("@a:x.org")), "@a:x.org");
    }
}
