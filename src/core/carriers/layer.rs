//! The wrappings that are known, each with how it is taken off.

use super::peeled::Peeled;
use super::{heads, json};

/// One wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// `{"log":…}` of docker's json-file driver.
    DockerJson,
    /// `journalctl -o json`.
    JournalJson,
    /// `logcli -o jsonl`.
    LogcliJson,
    /// `> `, in a mail or an issue.
    Quote,
    /// A terminal's colours.
    Colour,
    /// `kubectl logs --prefix`.
    Pod,
    /// Files of a container runtime, with parts of lines.
    Cri,
    /// Time and stream of a log collector, with tabs.
    Tabs,
    /// `multilog` and `svlogd`.
    Tai,
    /// RFC 5424.
    Syslog5424,
    /// RFC 3164, rsyslog's files and journalctl's short forms.
    Syslog,
    /// A time in front of each line.
    Time,
    /// `docker compose logs`, and Synapse's image with workers.
    Compose,
}

impl Layer {
    /// All of them. A head that is part of another's comes later.
    pub(super) const ALL: [Self; 13] = [
        Self::DockerJson,
        Self::JournalJson,
        Self::LogcliJson,
        Self::Quote,
        Self::Colour,
        Self::Pod,
        Self::Cri,
        Self::Tabs,
        Self::Tai,
        Self::Syslog5424,
        Self::Syslog,
        Self::Time,
        Self::Compose,
    ];

    /// The line without this wrapping; `None` where it is not wrapped so.
    pub(super) fn peel(self, line: &[u8]) -> Option<Peeled<'_>> {
        match self {
            Self::DockerJson => json::docker(line),
            Self::JournalJson => json::journal(line),
            Self::LogcliJson => json::logcli(line),
            Self::Quote => heads::quote(line),
            Self::Colour => heads::colour(line),
            Self::Pod => heads::pod(line),
            Self::Cri => heads::cri(line),
            Self::Tabs => heads::tabs(line),
            Self::Tai => heads::tai(line),
            Self::Syslog5424 => heads::syslog5424(line),
            Self::Syslog => heads::syslog(line),
            Self::Time => heads::time(line),
            Self::Compose => heads::compose(line),
        }
    }
}
