//! A timer's beat → the logs that could not show a storm, for the storm watch. The same function decides it as
//! for an answer and for `kestrel doctor`.

use jiff::{SignedDuration, Timestamp};

use super::Flow;
use crate::collect;
use crate::config::Config;
use kestrel_core::evidence::blind::{Blind, Why, blind, key_logs};
use kestrel_core::evidence::key_log::Coverage;
use kestrel_core::evidence::visibility::{BACK, Logger};
use kestrel_core::evidence::{About, Need, ServerSubject, Symptom, Window};
use kestrel_core::plan::Plan;

/// The stretch of each log that is read whole; what a quiet server wrote before is looked for backwards.
const LAST: SignedDuration = SignedDuration::from_hours(1);
/// Where the search for a logger has come to, it has come far enough.
const NEARLY: SignedDuration = SignedDuration::from_hours(1);

/// A log that could not show a storm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindLog {
    /// Its name in the config, or those of several.
    pub log: String,
    /// What is wrong, without a full stop.
    pub text: String,
    /// What to do, without a full stop.
    pub how: String,
}

impl Flow {
    /// Looks at the logs alone. Logs that cannot be read are told of by whoever follows them.
    pub async fn blind_logs(&self, now: Timestamp) -> Vec<BlindLog> {
        let from = now.checked_sub(LAST).unwrap_or(now);
        let plan = Plan {
            symptom: Symptom::Fleet,
            subject: About::Server(ServerSubject { server: None }),
            window: Window { from, to: now },
            needs: &[Need::KeyLog],
            live: None,
            client: Vec::new(),
            listed: None,
            now,
        };
        let config = Config { database: None, prometheus: None, ..(*self.config).clone() };
        let evidence = collect::run(&plan, &config).await;
        unseen(&key_logs(&evidence), now)
    }
}

/// What is worth a message: a level that is wrong, log by log; a silent logger only where no log has it and the
/// search went back a whole day. A server that has just started has had nothing to write.
fn unseen(logs: &[&Coverage], now: Timestamp) -> Vec<BlindLog> {
    let is_level = |log: &Coverage, found: &Blind| match found.why {
        // A quiet hour of a log that wrote INFO lines before.
        Why::NoInfo => log.visible.as_ref().is_some_and(|visible| !visible.wrote_info),
        _ => true,
    };
    let levels =
        logs.iter().filter_map(|log| blind(&[*log], &[]).filter(|found| is_level(log, found)));
    let mut found: Vec<_> = levels.collect();
    let whole = |log: &&&Coverage| {
        let since = log.visible.as_ref().and_then(|visible| visible.since);
        since.is_some_and(|since| now.duration_since(since) >= BACK - NEARLY)
    };
    if found.is_empty() && logs.iter().filter(|log| log.span.is_some()).all(|log| whole(&log)) {
        let all = blind(logs, &Logger::ALL);
        found.extend(all.filter(|found| matches!(found.why, Why::Loggers(_))));
    }
    let told = |found: Blind| {
        let (text, how) = (found.text(), found.how());
        BlindLog { log: found.logs.join(", "), text, how }
    };
    found.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kestrel_core::evidence::key_log::Format;
    use kestrel_core::evidence::visibility::Visibility;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + hour * 3600).unwrap()
    }

    fn log(name: &str, visible: Visibility) -> Coverage {
        Coverage {
            source: name.into(),
            span: Some((at(23), at(24))),
            whole: true,
            lines: 9,
            format: Format::Text,
            zone: String::new(),
            notes: Vec::new(),
            visible: Some(visible),
        }
    }

    fn seeing(loggers: &[Logger], since: i64) -> Visibility {
        Visibility {
            info: Some((at(23), at(24))),
            wrote_info: true,
            loggers: loggers.to_vec(),
            since: Some(at(since)),
            ..Visibility::default()
        }
    }

    fn said(logs: &[Coverage]) -> Vec<String> {
        let logs: Vec<_> = logs.iter().collect();
        unseen(&logs, at(24)).into_iter().map(|blind| blind.text).collect()
    }

    #[test]
    fn a_level_is_told_at_once_and_a_quiet_logger_after_a_day() {
        let off = Visibility { info_off: Some(at(20)), ..Visibility::default() };
        let told = said(&[log("main", off), log("worker", seeing(&Logger::ALL, 0))]);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("INFO is off in log main"), "{told:?}");
        let two = [Logger::Access, Logger::E2eKeys];
        assert_eq!(said(&[log("main", seeing(&two, 22))]), [""; 0], "it started two hours ago");
        let told = said(&[log("main", seeing(&two, 0))]);
        assert!(told[0].contains("no line of synapse.http.server"), "{told:?}");
        // Another process has it.
        let other = log("worker", seeing(&[Logger::HttpServer], 0));
        assert_eq!(said(&[log("main", seeing(&two, 0)), other]), [""; 0]);
        // A quiet hour.
        let quiet = Visibility { info: None, ..seeing(&Logger::ALL, 0) };
        assert_eq!(said(&[log("main", quiet)]), [""; 0]);
    }
}
