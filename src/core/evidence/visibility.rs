//! The records of a log → what that log could have shown: whether Synapse writes INFO lines, and which of the
//! loggers that an answer rests on are known to write.
//!
//! A log that could not have shown a fault says nothing about it. A logger that is known to write and wrote
//! nothing is quiet; one that was never seen may be silenced. A line that a client may have written never counts.

mod head;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::head::Head;
use super::key_log::Coverage;
use super::told::utc;
use super::{Evidence, Fact, Gathered, Need, Window};

/// How far before the window a logger's last line is looked for.
pub const BACK: SignedDuration = SignedDuration::from_hours(24);
/// `Server hostname:` follows the start in the same millisecond, and reaches the file up to 5 s later.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// A logger of Synapse's that answers rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Logger {
    /// Uploads and claims.
    E2eKeys,
    /// Refusals.
    HttpServer,
    /// Every request.
    Access,
}

impl Logger {
    /// All of them: what one-time keys rest on.
    pub const ALL: [Self; 3] = [Self::E2eKeys, Self::HttpServer, Self::Access];

    /// As Synapse's log config names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::E2eKeys => "synapse.handlers.e2e_keys",
            Self::HttpServer => "synapse.http.server",
            Self::Access => "synapse.access",
        }
    }

    /// Those that a need's "none seen" rests on.
    pub fn of(need: Need) -> &'static [Self] {
        match need {
            Need::KeyLog | Need::FleetLog => &Self::ALL,
            Need::ToDeviceLog | Need::DelayLog => &[Self::Access],
            _ => &[],
        }
    }
}

/// What one log could have shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visibility {
    /// The first and the last INFO record inside the window.
    pub info: Option<(Timestamp, Timestamp)>,
    /// An INFO record was seen since the last start, or without one as far back as was searched.
    pub wrote_info: bool,
    /// The last start, where it was found, and no INFO record since: INFO is off.
    pub info_off: Option<Timestamp>,
    /// The loggers with a record in the window, or since the last start and less than `BACK` before the window.
    pub loggers: Vec<Logger>,
    /// The oldest record that was looked at.
    pub since: Option<Timestamp>,
    /// The log's times are sure: written as UTC, by a zone of the config, or by lines that carry both times.
    pub zone_known: bool,
}

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
    /// Lines that docker's json-file driver wrapped.
    pub wrapped: u64,
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
        match Head::json(line) {
            Some(head) => self.record(head, at),
            None => self.wrapped += u64::from(head::is_wrapped(line)),
        }
    }

    fn record(&mut self, head: Head, at: Option<i64>) {
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

    /// Puts what stands right before these records in front of them.
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
        }
    }
}

/// Logs that could not have shown what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// The names of the logs.
    pub logs: Vec<String>,
    pub why: Why,
}

/// Why a log could not have shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Synapse's last start, and no INFO line since.
    InfoOff(Timestamp),
    /// No INFO line in the window.
    NoInfo,
    /// These loggers are not known to write.
    Loggers(Vec<Logger>),
    /// The database dates an upload here, inside the logs' span, and no log shows it.
    Upload(Timestamp),
}

/// Why these logs together could not have shown what the loggers write; the one place that decides it. Logs
/// without a line of the window are judged elsewhere, and so are saved ones that do not say.
pub fn blind(logs: &[&Coverage], rests_on: &[Logger]) -> Option<Blind> {
    let read: Vec<_> = logs.iter().filter(|log| log.span.is_some()).collect();
    let seen: Option<Vec<_>> =
        read.iter().map(|log| Some((log.source.clone(), log.visible.as_ref()?))).collect();
    let seen = seen.filter(|seen| !seen.is_empty())?;
    let named = |is: &dyn Fn(&Visibility) -> bool| {
        seen.iter().filter(|(_, of)| is(of)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    if let Some(start) = seen.iter().filter_map(|(_, of)| of.info_off).max() {
        let logs = named(&|of| of.info_off.is_some());
        return Some(Blind { logs, why: Why::InfoOff(start) });
    }
    let dark = named(&|of| !of.wrote_info);
    let silent = seen.iter().all(|(_, of)| of.info.is_none());
    if silent || !dark.is_empty() {
        let logs = if dark.is_empty() { named(&|_| true) } else { dark };
        return Some(Blind { logs, why: Why::NoInfo });
    }
    let knows = |logger: &Logger| seen.iter().any(|(_, of)| of.loggers.contains(logger));
    let missing: Vec<_> = rests_on.iter().filter(|logger| !knows(logger)).copied().collect();
    let why = Why::Loggers(missing.clone());
    (!missing.is_empty()).then(|| Blind { logs: named(&|_| true), why })
}

/// The same of the answers of all logs to one need. What a log at WARNING would show of a device is of others where
/// another log, which sees, has the device's own uploads: one process serves them.
pub fn blind_answers(answers: &[&Gathered], need: Need) -> Option<Blind> {
    let logs: Vec<_> = answers.iter().flat_map(|answer| coverage(answer)).collect();
    let found = blind(&logs, Logger::of(need))?;
    let level = matches!(found.why, Why::InfoOff(_) | Why::NoInfo);
    let served = need == Need::KeyLog && answers.iter().any(|answer| shows_own(answer));
    (!(level && served)).then_some(found)
}

/// Whether a log that sees has an upload of the device.
fn shows_own(answer: &Gathered) -> bool {
    let Some(Fact::KeyLog(log)) = &answer.fact else { return false };
    let sees = |of: &Visibility| of.wrote_info && of.info.is_some();
    let sees = log.coverage.iter().all(|part| part.visible.as_ref().is_some_and(sees));
    let uploads = log.accepted.uploads.is_some() || log.refusals() > 0 || log.too_large.is_some();
    sees && uploads
}

/// How far each log was read for the keys; nothing of logs that could not be read.
pub fn key_logs(evidence: &Evidence) -> Vec<&Coverage> {
    evidence.answers(Need::KeyLog).filter_map(|answer| coverage(answer).first()).collect()
}

fn coverage(answer: &Gathered) -> &[Coverage] {
    match &answer.fact {
        Some(Fact::KeyLog(log)) => &log.coverage,
        Some(Fact::ToDeviceLog(log)) => &log.coverage,
        Some(Fact::DelayLog(log)) => &log.coverage,
        Some(Fact::FleetLog(log)) => &log.coverage,
        _ => &[],
    }
}

/// What has to be at INFO, as facts of one-time keys are read off it.
const ALL_LINES: [&str; 8] = [
    "synapse.access",
    "synapse.http.server",
    "synapse.handlers.e2e_keys",
    "synapse.handlers.device",
    "synapse.handlers.auth",
    "synapse.rest.client.login",
    "synapse.util.caches.response_cache",
    "synapse.config.logger",
];

impl Blind {
    /// Whether it is certain, or a logger may just have had nothing to write.
    pub fn is_proven(&self) -> bool {
        matches!(self.why, Why::InfoOff(_))
    }

    /// What is wrong, as a sentence.
    pub fn text(&self) -> String {
        let (name, has) = match self.logs.as_slice() {
            [one] => (format!("log {one}"), "has"),
            all => (format!("logs {}", all.join(", ")), "have"),
        };
        match &self.why {
            Why::InfoOff(start) => format!(
                "INFO is off in {name}: Synapse has written no INFO line since its last start ({}), so requests, \
                 uploads, refusals and claims are not in it",
                utc(*start)
            ),
            Why::NoInfo => format!(
                "{name} {has} no INFO line in the log window, so requests, uploads, refusals and claims are not in it"
            ),
            Why::Loggers(missing) => format!(
                "{name} {has} no line of {} in the log window, since the last start or in the 24 hours before: it may \
                 be silenced",
                names(missing).join(", ")
            ),
            Why::Upload(at) => format!(
                "the database has keys that were uploaded {}, and {name} {has} no line of that upload",
                utc(*at)
            ),
        }
    }

    /// What to do: the exact lines.
    pub fn how(&self) -> String {
        let all: &[&str] = &ALL_LINES;
        let loggers = match &self.why {
            Why::Loggers(missing) => names(missing),
            Why::InfoOff(_) | Why::NoInfo | Why::Upload(_) => all.to_vec(),
        };
        let first = match &self.why {
            Why::Loggers(_) | Why::Upload(_) => {
                "add the log of every Synapse process (worker) that serves /keys/upload and /keys/claim to \
                 Kestrel's config ([[logs]]). If all are there: "
            }
            Why::InfoOff(_) | Why::NoInfo => "",
        };
        format!("{first}{}", lines_at_info(&loggers))
    }
}

/// The lines that set these loggers to INFO, and how they take effect.
pub fn lines_at_info(loggers: &[&str]) -> String {
    let yaml: Vec<_> = loggers.iter().map(|name| format!("`{name}: {{level: INFO}}`")).collect();
    format!(
        "in the file that log_config of homeserver.yaml names, put these lines under `loggers:`: {}. Then run \
         `systemctl reload matrix-synapse` (in a container: `docker kill --signal HUP synapse`). With \
         matrix-docker-ansible-deploy, which keeps some loggers at CRITICAL, put each of them as \
         `- {{name: LOGGER, level: INFO}}` under `matrix_synapse_additional_loggers_custom:` in vars.yml and run the \
         playbook with `--tags=setup-synapse,start`",
        yaml.join(", ")
    )
}

/// The lines for everything that one-time keys rest on.
pub fn all_lines_at_info() -> String {
    lines_at_info(&ALL_LINES)
}

fn names(loggers: &[Logger]) -> Vec<&'static str> {
    loggers.iter().map(|logger| logger.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::key_log::Format;
    use crate::evidence::log_line::{Shape, Stamp, shape, stamp};

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
