//! Records of a log, one by one → what they say about sign-in.
//!
//! A failure and a removal are each tied to their request by its id: the access line tells whether the client
//! had gone before (then Synapse cancels the check itself and logs the same error), and who removed a device.

use std::collections::VecDeque;
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;
use regex::bytes::Regex;
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::evidence::auth::{AuthLog, By, DeviceRemoval, Outage, Synced};
use crate::evidence::key_log::{Coverage, Format, Span};
use crate::evidence::removal::RemovedBy;
use crate::evidence::{About, Window};
use crate::synapse_log::access::{Access, access};
use crate::synapse_log::record::{self, Record};
use crate::synapse_log::record_view::RecordView;
use crate::synapse_log::removal::removed;

/// Requests of which something was said before their end.
const OPEN: usize = 1024;
/// A client that closed its connection sooner left before the check was late.
const LEFT: f64 = 2.0;
/// Longest id of a user or a request that is kept.
const ID: usize = 255;

/// The lines that say something by themselves.
static NEEDLES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&WORDS.join("|")).expect("constants"));
/// For the search over blocks.
pub(crate) const WORDS: [&str; 5] =
    ["introspect t", "Deleting devices ", "/_synapse/mas/", "@__oidc_admin:", "Syncing "];
static PROCESSED: LazyLock<Finder> = LazyLock::new(|| Finder::new("} Processed request: "));

/// The loggers of Synapse's two ways to ask an authentication service: `matrix_authentication_service`, and
/// until 1.156 `experimental_features.msc3861`.
const CHECKERS: [&str; 2] = ["synapse.api.auth.mas", "synapse.api.auth.msc3861_delegated"];
const FAILED: &str = "Failed to introspect token";
const ANSWERED: &str = "503 - Unable to introspect the access token";
/// Who MAS is while it uses the admin API (msc3861).
const OIDC_ADMIN: &str = "@__oidc_admin:";

/// Whether a record says that a token could not be checked, and not because the client had gone.
pub(crate) fn is_failure(record: &Record) -> bool {
    CHECKERS.contains(&&*record.logger)
        && record.message == FAILED
        && record.extras.exception.as_deref() != Some(CANCELLED)
}

/// Twisted's error where a request is cancelled because its client has gone.
const CANCELLED: &str = "CancelledError";

/// Reads a log for one user, or for nobody.
#[derive(Debug)]
pub struct AuthTally {
    user: Option<OwnedUserId>,
    device: Option<OwnedDeviceId>,
    window: Window,
    log: AuthLog,
    open: VecDeque<Open>,
}

/// A request of which something was said, and whose end is waited for.
#[derive(Debug)]
struct Open {
    process: usize,
    id: String,
    at: Timestamp,
    format: Format,
    what: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Failed {
        upload: bool,
        delay: bool,
    },
    /// The client had gone: the check was cancelled, and says nothing of the service.
    Cancelled,
    Removed,
}

impl AuthTally {
    /// Nothing yet.
    pub fn new(about: &About, window: Window) -> Self {
        Self {
            user: about.user().map(ToOwned::to_owned),
            device: about.device().map(|subject| subject.device.clone()),
            window,
            log: AuthLog::default(),
            open: VecDeque::new(),
        }
    }

    /// Whether the end of a request is waited for: then each access line says something.
    pub fn waits(&self) -> bool {
        !self.open.is_empty()
    }

    /// One record.
    pub fn see(&mut self, view: &RecordView) {
        let says = NEEDLES.is_match(view.line);
        let ends = (says || !self.open.is_empty()) && PROCESSED.find(view.line).is_some();
        if !says && !ends || view.at > self.window.to {
            return;
        }
        if view.reach {
            self.log.doubtful += u64::from(says && !ends);
            return;
        }
        let text = record::text(view.line);
        let Some(record) = Record::parse(&text) else { return };
        let message = &*record.message;
        match &*record.logger {
            logger if CHECKERS.contains(&logger) && message == FAILED => {
                self.failing(view, &record);
            }
            "synapse.http.server" => self.answered(view, &record),
            "synapse.handlers.device" => self.deleting(view, &record),
            "synapse.rest.synapse.mas.devices" => self.synced(message, view.at),
            logger if logger.starts_with("synapse.access.") => {
                if let Some(access) = access(message) {
                    self.ended(&access, view, &record);
                }
            }
            _ => {}
        }
    }

    /// `***** STARTING SERVER *****`: the process's request ids start again.
    pub fn restart(&mut self, process: usize) {
        while let Some(at) = self.open.iter().position(|open| open.process == process) {
            self.give_up(at);
        }
    }

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> AuthLog {
        while !self.open.is_empty() {
            self.give_up(0);
        }
        self.log.coverage = coverage;
        self.log.removed.sort_by_key(|removed| removed.at);
        self.log.clip();
        self.log
    }

    fn open(&mut self, view: &RecordView, record: &Record, what: Said) {
        let id = record.request.as_deref().unwrap_or_default();
        let id: String = id.chars().take(ID).collect();
        if self.open.len() >= OPEN {
            self.give_up(0);
        }
        let process = view.process;
        let at = view.at;
        let format = view.format;
        self.open.push_back(Open { process, id, at, format, what });
    }

    /// The error of the check itself.
    fn failing(&mut self, view: &RecordView, record: &Record) {
        let cancelled = !is_failure(record);
        match self.failure_of(view.process, record) {
            Some(at) if cancelled => self.open[at].what = Said::Cancelled,
            Some(_) => {}
            None if cancelled => self.open(view, record, Said::Cancelled),
            None => self.open(view, record, Said::Failed { upload: false, delay: false }),
        }
    }

    /// `<XForwardedForRequest … uri='…' …> SynapseError: 503 - Unable to introspect the access token`
    fn answered(&mut self, view: &RecordView, record: &Record) {
        let Some((request, error)) = record.message.split_once("> SynapseError: ") else { return };
        if error != ANSWERED {
            return;
        }
        let uri = request.split_once(" uri='").map_or("", |(_, rest)| rest);
        let what = Said::Failed { upload: is_upload(uri), delay: is_delay(uri) };
        match self.failure_of(view.process, record) {
            Some(at) if self.open[at].what == Said::Cancelled => {}
            Some(at) => self.open[at].what = what,
            None => self.open(view, record, what),
        }
    }

    /// Where the failure of this request is waiting for its end.
    fn failure_of(&self, process: usize, record: &Record) -> Option<usize> {
        let id = record.request.as_deref().filter(|id| !id.is_empty())?;
        self.open
            .iter()
            .position(|open| open.process == process && open.id == id && open.what != Said::Removed)
    }

    /// `Deleting devices ['D'] for '@u'`
    fn deleting(&mut self, view: &RecordView, record: &Record) {
        let (Some(user), Some(device)) = (&self.user, &self.device) else { return };
        let Some(line) = removed(&record.logger, &record.message) else { return };
        let named = line.devices.contains(device);
        if line.by != RemovedBy::Deleted || line.user != *user || !named {
            return;
        }
        let extras = &record.extras;
        if let (Some(url), Format::Json) = (&extras.url, view.format) {
            let by = by(url, extras.requester.as_deref());
            self.log.removed.push(DeviceRemoval { at: view.at, by, format: view.format });
            self.log.clip();
            return;
        }
        self.open(view, record, Said::Removed);
    }

    /// `Syncing 1 devices for user @u will add 1 devices and delete 2 devices`
    fn synced(&mut self, message: &str, at: Timestamp) {
        let Some(user) = &self.user else { return };
        let Some((_, rest)) = message.split_once(" devices for user ") else { return };
        let Some((of, changes)) = rest.split_once(" will ") else { return };
        if of != user.as_str() {
            return;
        }
        let count = |verb: &str| {
            let (_, rest) = changes.split_once(verb)?;
            rest.trim_start().split(' ').next()?.parse().ok()
        };
        let added = count("add").unwrap_or(0);
        let deleted = count("delete").unwrap_or(0);
        self.log.synced.push(Synced { at, added, deleted });
        self.log.clip();
    }

    /// The end of a request.
    fn ended(&mut self, access: &Access, view: &RecordView, record: &Record) {
        let user = access.user.as_deref().unwrap_or_default();
        let of_mas = access.path().starts_with("/_synapse/mas/") || user.starts_with(OIDC_ADMIN);
        if of_mas && (200..300).contains(&access.status) && self.window.holds(view.at) {
            count(&mut self.log.mas, view.at);
        }
        let id = record.request.as_deref().unwrap_or_default();
        let known = |open: &Open| open.process == view.process && open.id == id;
        while let Some(at) = self.open.iter().position(known) {
            let Some(open) = self.open.remove(at) else { return };
            match open.what {
                Said::Cancelled => {}
                // The client closed the connection at once, which cancels the check.
                Said::Failed { .. } if access.aborted && access.took.0 < LEFT => {}
                Said::Failed { .. } => {
                    let upload = access.is_key_upload();
                    let delay = is_delay(&access.uri);
                    self.failed(&open, upload, delay);
                }
                Said::Removed => {
                    let by = by(&access.uri, access.user.as_deref());
                    self.log.removed.push(DeviceRemoval { at: open.at, by, format: open.format });
                    self.log.clip();
                }
            }
        }
    }

    /// No end of the request is waited for: at WARNING there are no access lines.
    fn give_up(&mut self, at: usize) {
        let Some(open) = self.open.remove(at) else { return };
        match open.what {
            Said::Cancelled => {}
            Said::Failed { upload, delay } => self.failed(&open, upload, delay),
            Said::Removed => {
                let at = open.at;
                let by = By::Unknown;
                let format = open.format;
                self.log.removed.push(DeviceRemoval { at, by, format });
                self.log.clip();
            }
        }
    }

    fn failed(&mut self, open: &Open, upload: bool, delay: bool) {
        if !self.window.holds(open.at) {
            return;
        }
        let one = Outage {
            span: Span::once(open.at),
            uploads: u64::from(upload),
            delays: u64::from(delay),
            format: open.format,
        };
        match &mut self.log.outage {
            Some(outage) => outage.add(one),
            outage @ None => *outage = Some(one),
        }
    }
}

fn count(span: &mut Option<Span>, at: Timestamp) {
    match span {
        Some(span) => span.add(Span::once(at)),
        None => *span = Some(Span::once(at)),
    }
}

fn is_upload(uri: &str) -> bool {
    uri.starts_with("/_matrix/client/") && uri.contains("/keys/upload")
}

fn is_delay(uri: &str) -> bool {
    uri.starts_with("/_matrix/client/") && uri.contains("/delayed_events/")
}

/// Who removed a device, by the request that did it.
fn by(uri: &str, user: Option<&str>) -> By {
    let path = uri.split('?').next().unwrap_or_default();
    let user: String = user.unwrap_or_default().chars().take(ID).collect();
    match path {
        _ if path.starts_with("/_synapse/mas/delete_user") => By::Deactivation,
        _ if path.starts_with("/_synapse/mas/") || user.starts_with(OIDC_ADMIN) => By::Mas,
        _ if path.starts_with("/_synapse/admin/") && path.contains("/deactivate/") => {
            By::Deactivation
        }
        _ if path.starts_with("/_synapse/admin/") && !user.is_empty() => By::Admin(user),
        _ if !path.starts_with("/_matrix/client/") => By::Unknown,
        _ if path.ends_with("/logout") => By::Logout,
        _ if path.ends_with("/account/deactivate") => By::Deactivation,
        _ => By::User,
    }
}

#[cfg(test)]
mod tests;
