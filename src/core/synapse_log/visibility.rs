//! The records of a log → what that log could have shown.
//!
//! A log that could not have shown a fault says nothing about it. A logger that is known to write and wrote
//! nothing is quiet; one that was never seen may be silenced. A line that a client may have written never counts.

pub(crate) mod head;

use jiff::{SignedDuration, Timestamp};

use self::head::Head;
use crate::evidence::Window;
use crate::evidence::visibility::{BACK, Logger, Visibility};

/// `Server hostname:` follows the start in the same millisecond, and reaches the file up to 5 s later.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// Reads a log's records, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Looker {
    /// The window, and the oldest moment at which a logger counts.
    of: Option<(Window, i64)>,
    info: Option<(i64, i64)>,
    wrote_info: bool,
    started: Option<i64>,
    /// Another logger than the one of the start wrote since.
    went_on: bool,
    in_window: Vec<Logger>,
    since_start: Vec<Logger>,
    since: Option<i64>,
    /// Records whose logger and level could be read.
    pub recognised: u64,
    /// Lines whose text the carrier did not show.
    pub lost: u64,
    /// Lines under the ID of another request.
    pub moved: u64,
}

impl Looker {
    /// For one window.
    pub fn new(window: Window) -> Self {
        let from = window.from.checked_sub(BACK).unwrap_or(Timestamp::MIN);
        Self { of: Some((window, from.as_millisecond())), ..Self::default() }
    }

    /// A record of a text log, behind a prefix of so many bytes, and its moment.
    pub fn text(&mut self, line: &[u8], prefix: usize, at: Option<i64>) {
        if let Some(head) = Head::text(line, prefix) {
            self.record(head, at);
        }
    }

    /// A line of a JSON log without its prefix, and its moment.
    pub fn json(&mut self, line: &[u8], at: Option<i64>) {
        if let Some(head) = Head::json(line) {
            self.record(head, at);
        }
    }

    /// A record by its head, and its moment.
    pub(crate) fn record(&mut self, head: Head, at: Option<i64>) {
        self.recognised += 1;
        let (Some(at), Some((window, oldest))) = (at, self.of) else { return };
        if at > window.to.as_millisecond() {
            return;
        }
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        if head.starts {
            (self.started, self.wrote_info, self.went_on) = (Some(at), false, false);
            self.since_start.clear();
            return;
        }
        self.went_on |= !head.of_start;
        if !head.info {
            return;
        }
        self.wrote_info = true;
        let inside = at >= window.from.as_millisecond();
        if inside {
            let (first, last) = self.info.unwrap_or((at, at));
            self.info = Some((first.min(at), last.max(at)));
        }
        let Some(logger) = head.logger.filter(|_| at >= oldest) else { return };
        if inside && !self.in_window.contains(&logger) {
            self.in_window.push(logger);
        }
        if !self.since_start.contains(&logger) {
            self.since_start.push(logger);
        }
    }

    /// Whether older records could still tell more: nothing before the last start does.
    pub fn wants_more(&self, at: Option<i64>) -> bool {
        let recent = at.zip(self.of).is_none_or(|(at, (_, oldest))| at >= oldest);
        let missing = Logger::ALL.iter().any(|logger| !self.knows(*logger));
        self.started.is_none() && (!self.wrote_info || missing && recent)
    }

    fn knows(&self, logger: Logger) -> bool {
        self.in_window.contains(&logger) || self.since_start.contains(&logger)
    }

    /// The oldest moment that was looked at.
    pub fn oldest(&self) -> Option<i64> {
        self.since
    }

    /// Puts what is right before these records in front of them.
    pub fn preceded_by(&mut self, older: Self) {
        if self.started.is_some() {
            return;
        }
        let new = older.since_start.iter().filter(|logger| !self.since_start.contains(logger));
        let new: Vec<_> = new.copied().collect();
        self.since_start.extend(new);
        self.wrote_info |= older.wrote_info;
        self.went_on |= older.went_on;
        self.started = older.started;
        self.since = older.since.or(self.since);
    }

    /// What the log could have shown.
    pub fn finish(&self, zone_known: bool) -> Visibility {
        let moment = |at: i64| Timestamp::from_millisecond(at).ok();
        let started = self.started.and_then(moment);
        let passed = |start: &Timestamp| {
            let to = self.of.map_or(*start, |(window, _)| window.to);
            self.went_on || to.duration_since(*start) > GRACE
        };
        let loggers = Logger::ALL.into_iter().filter(|logger| self.knows(*logger));
        Visibility {
            info: self.info.and_then(|(first, last)| moment(first).zip(moment(last))),
            wrote_info: self.wrote_info,
            info_off: started.filter(|_| !self.wrote_info).filter(passed),
            loggers: loggers.collect(),
            since: self.since.and_then(moment),
            zone_known,
            lost: self.lost,
            moved: self.moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::blind::{Why, blind};
    use crate::evidence::key_log::Coverage;
    use crate::evidence::key_log::Format;
    use crate::synapse_log::record::{Shape, Stamp, shape, stamp};

    const WARNING: &str = include_str!("../../../tests/fixtures/log/b7-warning-level.log");
    const INFO_START: &str = include_str!("../../../tests/fixtures/log/b7-info-start.log");
    const HEALTHY: &str = include_str!("../../../tests/fixtures/log/healthy.log");

    fn window(from: &str, to: &str) -> Window {
        Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn look(text: &str, window: Window) -> Visibility {
        let mut looker = Looker::new(window);
        for line in text.lines().map(str::as_bytes) {
            let Some(Stamp::Local(at)) = stamp(line) else { continue };
            if let Shape::Text { prefix, .. } = shape(line) {
                looker.text(line, prefix, Some(at));
            }
        }
        looker.finish(true)
    }

    fn of(name: &str, visible: &Visibility) -> Coverage {
        let at = Timestamp::UNIX_EPOCH;
        Coverage {
            source: name.into(),
            span: Some((at, at)),
            whole: true,
            lines: 1,
            format: Format::Text,
            zone: String::new(),
            notes: Vec::new(),
            visible: Some(visible.clone()),
        }
    }

    fn why(logs: &[Coverage]) -> Option<Why> {
        blind(&logs.iter().collect::<Vec<_>>(), &Logger::ALL).map(|blind| blind.why)
    }

    #[test]
    fn a_recording_at_warning_is_blind_and_one_at_info_is_not() {
        let day = window("2026-11-27T17:00:00Z", "2026-11-27T19:00:00Z");
        let off = look(WARNING, day);
        let start = "2026-11-27T17:41:47.326Z".parse().unwrap();
        assert_eq!((off.info_off, off.info), (Some(start), None));
        let log = of("main", &off);
        assert_eq!(why(std::slice::from_ref(&log)), Some(Why::InfoOff(start)));
        let found = blind(&[&log], &Logger::ALL).unwrap();
        assert!(found.is_proven());
        for line in ["synapse.http.server: {level: INFO}", "synapse.handlers.device: {level: INFO}"]
        {
            assert!(found.how().contains(line), "{}", found.how());
        }
        assert!(found.how().contains("matrix_synapse_additional_loggers_custom"));
        let started = look(INFO_START, day);
        assert_eq!(started.info_off, None);
        let healthy = look(HEALTHY, window("2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z"));
        assert_eq!(healthy.loggers, Logger::ALL);
        assert_eq!(why(&[of("main", &healthy)]), None);
    }

    #[test]
    fn one_silent_logger_is_named() {
        let day = window("2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z");
        let without = |name: &str| -> String {
            HEALTHY
                .lines()
                .filter(|line| !line.contains(name))
                .map(|line| format!("{line}\n"))
                .collect()
        };
        for logger in Logger::ALL {
            let blind = why(&[of("main", &look(&without(logger.name()), day))]);
            assert_eq!(blind, Some(Why::Loggers(vec![logger])));
        }
        // Another process has it: together they could have shown it.
        let parts = [without("synapse.http.server"), without("synapse.access")];
        let logs = parts.map(|part| of("x", &look(&part, day)));
        assert_eq!(why(&logs), None);
    }

    #[test]
    fn a_start_that_is_not_over_says_nothing() {
        let start = WARNING.lines().take(4).map(|line| format!("{line}\n")).collect::<String>();
        let right_then = window("2026-11-27T17:00:00Z", "2026-11-27T17:41:50Z");
        assert_eq!(look(&start, right_then).info_off, None);
        let later = window("2026-11-27T17:00:00Z", "2026-11-27T17:42:00Z");
        assert!(look(&start, later).info_off.is_some());
    }

    #[test]
    fn a_restart_at_warning_makes_a_log_blind() {
        let day = window("2026-11-22T12:00:00Z", "2026-11-27T19:00:00Z");
        let restarted = [HEALTHY, "\n", WARNING].concat();
        assert!(matches!(why(&[of("main", &look(&restarted, day))]), Some(Why::InfoOff(_))));
        let back = [WARNING, INFO_START].concat();
        assert_eq!(look(&back, day).info_off, None);
    }

    #[test]
    fn what_earlier_versions_kept_is_left_as_it_was() {
        let unsaid = Coverage { visible: None, ..of("main", &Visibility::default()) };
        assert_eq!(why(&[unsaid]), None);
        let empty = Coverage { span: None, ..of("main", &Visibility::default()) };
        assert_eq!(why(&[empty]), None);
    }
}
