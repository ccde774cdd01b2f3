//! A log's records → what happened to one device's to-device messages.
//!
//! Most lines are let go after a search of bytes. What is left is read by its grammar from its start, and
//! has to be used up: device ids and message ids are text of clients, and what can be read in two ways
//! counts as neither.

use std::collections::VecDeque;
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde_json::Value;

use crate::evidence::key_log::{Coverage, Format, Span};
use crate::evidence::python_repr;
use crate::evidence::to_device::{ToDeviceLog, count_in};
use crate::evidence::{Subject, Window};
use crate::synapse_log::loud_lines::Word;
use crate::synapse_log::message;
use crate::synapse_log::record::{self, Record};
use crate::synapse_log::record_view::RecordView;

static DEBUG: LazyLock<Finder> = LazyLock::new(|| Finder::new("synapse.9533_debug"));
static LARGE: LazyLock<Finder> = LazyLock::new(|| Finder::new("413 - To-device message for "));
static RETURNING: LazyLock<Finder> =
    LazyLock::new(|| Finder::new("Returning to-device messages with"));
static SYNC: LazyLock<Finder> = LazyLock::new(|| Finder::new("sync"));

/// Answers on their way, kept until their access line tells whose they were: it follows at once.
const OPEN: usize = 256;
/// What is between a device id and the message's id.
const MSGID: &str = " (msgid ";

/// Reads a log for one device.
#[derive(Debug)]
pub struct ToDeviceTally {
    log: ToDeviceLog,
    window: Window,
    user: Finder<'static>,
    user_id: String,
    /// How a list of 9533_debug spells the device.
    item: String,
    /// How a refusal spells it.
    large: String,
    /// Syncs that were handed messages: the process, the request and when.
    open: VecDeque<(usize, String, Timestamp)>,
}

/// What one record says about the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Stored(u64),
    Dropped(u64),
    Returned,
    TooLarge,
    Sync,
    /// 9533_debug speaks of something else.
    Debug,
}

impl ToDeviceTally {
    /// Nothing yet.
    pub fn new(subject: Subject, window: Window) -> Self {
        let user = &subject.user;
        let device = &subject.device;
        Self {
            log: ToDeviceLog::default(),
            window,
            user: Finder::new(user.as_str()).into_owned(),
            user_id: user.to_string(),
            item: format!("{user}/{device}{MSGID}"),
            large: format!("413 - To-device message for {user}:{device} is too large to send ("),
            open: VecDeque::new(),
        }
    }

    /// The words of which a line must have one to say anything.
    pub(crate) fn words(&self) -> [Word; 2] {
        [Word::Borrowed("9533_debug"), Word::Owned(self.user_id.clone())]
    }

    /// One record.
    pub fn see(&mut self, view: &RecordView) {
        if !self.matters(view.line) || !self.window.holds(view.at) {
            return;
        }
        let line = view.line;
        let text = record::text(line);
        let Some(record) = Record::parse(&text) else { return };
        let Some(said) = self.read(&record) else { return };
        if view.reach {
            let of_device = !matches!(said, Said::Debug | Said::Sync | Said::Returned);
            self.log.doubtful += u64::from(of_device);
            return;
        }
        self.count(said, &record, view);
    }

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> ToDeviceLog {
        self.log.coverage = coverage;
        self.log
    }

    /// Runs on every line of a log, so it only searches. 9533_debug writes a handful of lines for each
    /// message: of others' the first is enough, to know that it writes.
    fn matters(&self, line: &[u8]) -> bool {
        let of_user = self.user.find(line).is_some();
        match DEBUG.find(line) {
            Some(_) => of_user || !self.log.debug || RETURNING.find(line).is_some(),
            None => of_user && (LARGE.find(line).is_some() || SYNC.find(line).is_some()),
        }
    }

    fn read(&self, record: &Record) -> Option<Said> {
        let message = &*record.message;
        match &*record.logger {
            "synapse.9533_debug" => Some(self.debug(message).unwrap_or(Said::Debug)),
            "synapse.http.server" => {
                let (request, error) = message.split_once("> SynapseError: ")?;
                let sent = request.contains("/sendToDevice/");
                (sent && self.is_large(error)).then_some(Said::TooLarge)
            }
            logger if logger.starts_with("synapse.access.") => self.sync(message),
            _ => None,
        }
    }

    fn count(&mut self, said: Said, record: &Record, view: &RecordView) {
        let many = |count| Some(Span { count, ..Span::once(view.at) });
        let id = || record.request.as_deref().unwrap_or_default();
        let log = &mut self.log;
        match said {
            Said::Debug => log.debug = true,
            Said::Stored(count) => {
                log.debug = true;
                count_in(&mut log.stored, many(count));
            }
            Said::Dropped(count) => {
                log.debug = true;
                log.dropped_in_text |= view.format == Format::Text;
                count_in(&mut log.dropped, many(count));
            }
            Said::TooLarge => count_in(&mut log.too_large, many(1)),
            Said::Returned => {
                log.debug = true;
                if self.open.len() == OPEN {
                    self.open.pop_front();
                }
                self.open.push_back((view.process, id().to_owned(), view.at));
            }
            Said::Sync => {
                count_in(&mut log.syncs, many(1));
                let own = |(process, open, _): &(usize, String, Timestamp)| {
                    *process == view.process && open == id()
                };
                if let Some(at) = self.open.iter().rposition(own)
                    && let Some((_, _, at)) = self.open.remove(at)
                {
                    count_in(&mut log.returned, Some(Span::once(at)));
                }
            }
        }
    }

    /// A line of 9533_debug, where it is about the device or a sync.
    fn debug(&self, message: &str) -> Option<Said> {
        if let Some(list) =
            message.strip_prefix("Dropping to-device messages for unknown devices: ")
        {
            return self.own(list).map(Said::Dropped);
        }
        if let Some(rest) = message.strip_prefix("Storing to-device messages with stream_id ") {
            let (stream, list) = rest.split_once(": ")?;
            stream.parse::<u64>().ok()?;
            return self.own(list).map(Said::Stored);
        }
        let rest = message.strip_prefix("Returning to-device messages with stream_ids (")?;
        let (stream, rest) = rest.split_once(", ")?;
        stream.parse::<u64>().ok()?;
        let (_, list) = rest.split_once("; msgids: ")?;
        let (messages, rest) = python_repr::literal(list)?;
        (rest.is_empty() && messages.is_array()).then_some(Said::Returned)
    }

    /// How many entries of `['@u:s/DEVICE (msgid ID)', …]` are the device's; none is no count.
    fn own(&self, list: &str) -> Option<u64> {
        let (items, rest) = python_repr::literal(list)?;
        let items = items.as_array().filter(|_| rest.is_empty())?;
        let own = items.iter().filter_map(Value::as_str).filter(|item| self.is_own(item)).count();
        (own > 0).then_some(own as u64)
    }

    /// A device may be named `DEVICE (msgid x)`, and a message may be given any id: where the mark stands
    /// twice behind the name, nothing tells which of the two it is.
    fn is_own(&self, item: &str) -> bool {
        let id = item.strip_prefix(&self.item).and_then(|rest| rest.strip_suffix(')'));
        id.is_some_and(|id| !id.contains(MSGID))
    }

    /// `413 - To-device message for @u:s:DEVICE is too large to send (70008 > 65536)`
    fn is_large(&self, error: &str) -> bool {
        let sizes = error.strip_prefix(&self.large).and_then(|rest| rest.strip_suffix(')'));
        let sizes = sizes.and_then(|sizes| sizes.split_once(" > "));
        sizes.is_some_and(|(size, most)| {
            [size, most].iter().all(|number| number.parse::<u64>().is_ok())
        })
    }

    /// A /sync of the user's that was answered.
    fn sync(&self, message: &str) -> Option<Said> {
        let access = message::access(message)?;
        let path = access.uri.split('?').next().unwrap_or_default();
        let sync = path.starts_with("/_matrix/client/") && path.ends_with("/sync");
        let own = access.user.as_deref() == Some(self.user_id.as_str());
        (sync && own && access.status == 200 && !access.aborted).then_some(Said::Sync)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../tests/fixtures/log/ke2-to-device-debug.log");

    fn tally(user: &str, device: &str) -> ToDeviceTally {
        let subject = Subject { user: user.try_into().unwrap(), device: device.into() };
        ToDeviceTally::new(subject, Window { from: Timestamp::MIN, to: Timestamp::MAX })
    }

    fn reading(tally: &mut ToDeviceTally, line: &str, reach: bool) {
        let at = Timestamp::UNIX_EPOCH;
        let line = line.as_bytes();
        tally.see(&RecordView { line, at, process: 0, reach, forged: false, format: Format::Text });
    }

    fn read(user: &str, device: &str, text: &str) -> ToDeviceLog {
        let mut tally = tally(user, device);
        text.lines().for_each(|line| reading(&mut tally, line, false));
        tally.finish(Vec::new())
    }

    fn debug(message: &str) -> String {
        format!("2026-11-22 11:40:42,672 - synapse.9533_debug - 1 - DEBUG - PUT-4 - {message}")
    }

    fn count(span: Option<Span>) -> u64 {
        span.map_or(0, |span| span.count)
    }

    #[test]
    fn a_real_log_is_counted() {
        let log = read("@s7db:lab.local", "DEVS7DB", TEXT);
        assert!(log.debug && log.says_anything() && log.dropped.is_none());
        assert_eq!((count(log.stored), count(log.too_large)), (STORED, 1));
        assert!(count(log.returned) > 3 && count(log.returned) <= count(log.syncs));
        let gone = read("@s7db:lab.local", "GONEDEVICE", TEXT);
        assert_eq!((count(gone.dropped), count(gone.stored)), (1, 0));
        assert!(gone.dropped_in_text, "{}", gone.summary());
    }

    /// By `grep -c "Storing.*@s7db:lab.local/DEVS7DB (msgid"`, wildcards among them.
    const STORED: u64 = 12;

    #[test]
    fn hostile_ids_are_read_as_they_are() {
        let list = debug(
            r#"Storing to-device messages with stream_id 9: ['@u:x.org/A B (msgid 1)', "@u:x.org/A'B (msgid 2)", '@u:x.org/A/B (msgid )', '@u:x.org/A\nB (msgid 3)']"#,
        );
        for device in ["A B", "A'B", "A/B", "A\nB"] {
            assert_eq!(count(read("@u:x.org", device, &list).stored), 1, "{device:?}");
        }
        for device in ["A", "B", "", "a b"] {
            assert_eq!(count(read("@u:x.org", device, &list).stored), 0, "{device:?}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_counts_as_neither() {
        let dropped = "Dropping to-device messages for unknown devices: ";
        for item in ["'@u:x.org/DEV (msgid x) (msgid )'", "'@u:x.org/DEV (msgid  (msgid x))'"] {
            let log = read("@u:x.org", "DEV", &debug(&format!("{dropped}[{item}]")));
            assert_eq!((log.dropped, log.debug), (None, true), "{item}");
        }
        let real = "'@u:x.org/DEV (msgid x)'";
        for message in [
            format!("{dropped}[{real}] and more"),
            format!("x {dropped}[{real}]"),
            format!("{dropped}{{{real}: 1}}"),
            format!("{dropped}[{real}"),
            format!("Storing to-device messages with stream_id x: [{real}]"),
        ] {
            let log = read("@u:x.org", "DEV", &debug(&message));
            assert!(!log.says_anything(), "{message}");
        }
        let elsewhere = debug(&format!("{dropped}[{real}]")).replace("9533_debug", "9533_debugger");
        assert!(!read("@u:x.org", "DEV", &elsewhere).says_anything());
    }

    #[test]
    fn a_refusal_has_to_be_used_up() {
        let line = |device: &str, uri: &str| {
            format!(
                "2026-11-22 11:40:49,886 - synapse.http.server - 131 - INFO - PUT-68 - \
                 <XForwardedForRequest at 0x7f method='PUT' uri='{uri}' site='1'> SynapseError: \
                 413 - To-device message for @u:x.org:{device} is too large to send (70008 > 65536)"
            )
        };
        let uri = "/_matrix/client/v3/sendToDevice/m.room.encrypted/1";
        let read = |line: &str| count(read("@u:x.org", "DEV", line).too_large);
        assert_eq!(read(&line("DEV", uri)), 1);
        assert_eq!(read(&line("DEV is too large to send (1 > 2)", uri)), 0);
        assert_eq!(read(&line("DEVICE", uri)), 0);
        assert_eq!(read(&line("DEV", "/_matrix/client/v3/join/x")), 0);
    }

    #[test]
    fn what_a_client_may_have_written_is_only_counted() {
        let dropped =
            debug("Dropping to-device messages for unknown devices: ['@u:x.org/DEV (msgid x)']");
        let mut tally = tally("@u:x.org", "DEV");
        reading(&mut tally, &dropped, true);
        let log = tally.finish(Vec::new());
        assert_eq!((log.dropped, log.doubtful, log.debug), (None, 1, false));
    }

    #[test]
    fn two_logs_add_up() {
        let mut log = read("@s7db:lab.local", "DEVS7DB", TEXT);
        let other = log.clone();
        log.add(&other);
        assert_eq!(count(log.stored), 2 * STORED);
    }
}
