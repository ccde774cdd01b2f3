//! Logs that could not have shown what is asked: which, why, and the lines of configuration that mend it.

use jiff::Timestamp;

use crate::evidence::figures::{counted, utc};
use crate::evidence::gathered::{Evidence, Fact, Gathered};
use crate::evidence::key_log::Coverage;
use crate::evidence::need::Need;
use crate::evidence::visibility::{Logger, Visibility};

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
    /// Whatever carried the lines left out the text of so many.
    Lost(u64),
    /// So many lines are under the ID of another request.
    Moved(u64),
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
    if !missing.is_empty() {
        return Some(Blind { logs: named(&|_| true), why: Why::Loggers(missing) });
    }
    let lost: u64 = seen.iter().map(|(_, of)| of.lost).sum();
    if lost > 0 {
        return Some(Blind { logs: named(&|of| of.lost > 0), why: Why::Lost(lost) });
    }
    let moved: u64 = seen.iter().map(|(_, of)| of.moved).sum();
    (moved > 0).then(|| Blind { logs: named(&|of| of.moved > 0), why: Why::Moved(moved) })
}

/// The same of the answers of all logs to one need. What a log at WARNING would show of a device is of others where
/// another log, which sees, has the device's own uploads: one process serves them.
pub fn blind_answers(answers: &[&Gathered], need: Need) -> Option<Blind> {
    let logs: Vec<_> = answers.iter().flat_map(|answer| coverage(answer)).collect();
    let found = blind(&logs, Logger::needed_for(need))?;
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

/// What has to be at INFO, as facts of one-time keys are read from it.
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
                "INFO is off in {name}: Synapse has written no INFO line since its last start ({}), so it \
                 shows no requests, uploads, rejections or claims",
                utc(*start)
            ),
            Why::NoInfo => format!(
                "{name} {has} no INFO line in the log window, so it shows no requests, uploads, rejections or claims"
            ),
            Why::Loggers(missing) => format!(
                "{name} {has} no line of {} in the log window or in the 24 hours before it (or since \
                 Synapse's last start, if that is later): that logger may be turned off",
                names(missing).join(", ")
            ),
            Why::Upload(at) => format!(
                "the database has keys that were uploaded {}, and {name} {has} no line of that upload",
                utc(*at)
            ),
            Why::Moved(count) => format!(
                "{name} {has} {} under the ID of another request, so it does not show which upload was rejected",
                counted(*count, "line")
            ),
            Why::Lost(count) => format!(
                "{name} {has} {} without text, which the journal left out: a rejected upload may be among them",
                counted(*count, "line")
            ),
        }
    }

    /// What to do: the exact lines.
    pub fn how(&self) -> String {
        if let Why::Lost(_) = self.why {
            return "give Kestrel the output of `journalctl -o json --all`: the short forms, and JSON without `--all`, \
                    leave out long lines and lines with control characters"
                .to_owned();
        }
        if let Why::Moved(_) = self.why {
            return "in the file that log_config of homeserver.yaml names, move `filters: [context]` from the handler \
                    that the buffer writes to (its `target`) to the buffer itself, and restart Synapse"
                .to_owned();
        }
        let all: &[&str] = &ALL_LINES;
        let loggers = match &self.why {
            Why::Loggers(missing) => names(missing),
            _ => all.to_vec(),
        };
        let first = match &self.why {
            Why::Loggers(_) | Why::Upload(_) => {
                "add the log of every Synapse process (worker) that serves /keys/upload and /keys/claim to \
                 Kestrel's config ([[logs]]). If Kestrel has them all: "
            }
            _ => "",
        };
        format!("{first}{}", lines_at_info(&loggers))
    }
}

/// The lines that set these loggers to INFO, and how they take effect.
pub fn lines_at_info(loggers: &[&str]) -> String {
    let yaml: Vec<_> = loggers.iter().map(|name| format!("`{name}: {{level: INFO}}`")).collect();
    format!(
        "in the file that log_config of homeserver.yaml names, add these lines under `loggers:`: {}. Then run \
         `systemctl reload matrix-synapse` (in a container: `docker kill --signal HUP synapse`). \
         matrix-docker-ansible-deploy keeps some loggers at CRITICAL: with it, add each logger above as \
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
