//! What one moment of a log came to, of everybody: the grain that storms are counted in. Equal log events of
//! one second are one, with a count: a hundred refusals a second are no more to hold than one.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::evidence::delay::PATIENCE;
use crate::evidence::log_event::{Delay, LogEvent, What};
use crate::synapse_log::access::{Access, access};
use crate::synapse_log::auth;
use crate::synapse_log::delays::ended::{Ended, restarts};
use crate::synapse_log::record::{self, Record};
use crate::synapse_log::record_view::RecordView;

/// What lines are read for beside keys, for the search over blocks.
pub(crate) const WORDS: [&str; 2] = ["/delayed_events/", "Failed to introspect"];

/// LogEvents held at once: two hundred devices in storm for some hours.
const HELD: usize = 2_000_000;

/// LogEvents as they come, those of one second put together.
#[derive(Debug, Default)]
pub struct LogEvents {
    second: i64,
    /// Places in `all` of this second's.
    places: HashMap<What, usize>,
    all: Vec<LogEvent>,
    /// There was no more room: what came later is missing.
    pub cut: bool,
}

impl LogEvents {
    /// Notes so many of one kind.
    pub fn note(&mut self, at: Timestamp, count: u64, what: What) {
        if at.as_second() != self.second {
            self.places.clear();
            self.second = at.as_second();
        }
        if let Some(place) = self.places.get(&what) {
            self.all[*place].count += count;
        } else if self.all.len() < HELD {
            self.places.insert(what.clone(), self.all.len());
            self.all.push(LogEvent { at, count, what });
        } else {
            self.cut = true;
        }
    }

    /// A record of which nothing has to be waited for: a claim, the end of a restart.
    pub(crate) fn see(&mut self, view: &RecordView) {
        static CLAIM: LazyLock<Finder> = LazyLock::new(|| Finder::new("Claimed one-time-keys: "));
        static DELAY: LazyLock<Finder> = LazyLock::new(|| Finder::new("/delayed_events/"));
        static FAILED: LazyLock<Finder> =
            LazyLock::new(|| Finder::new("Failed to introspect token"));
        let claim = CLAIM.find(view.line);
        let delay = DELAY.find(view.line);
        // Claims accuse nobody, and most are right after another's, where a client may write: without
        // those a device that tops up what is claimed would look like a flood.
        let claim = claim.filter(|_| !view.forged);
        let delay = delay.filter(|_| !view.reach);
        let failed = FAILED.find(view.line).filter(|_| !view.reach);
        if claim.is_none() && delay.is_none() && failed.is_none() {
            return;
        }
        let text = record::text(view.line);
        let Some(record) = Record::parse(&text) else { return };
        match &*record.logger {
            "synapse.handlers.e2e_keys" => self.claims(&record.message, view.at),
            logger if logger.starts_with("synapse.access.") => {
                self.restart(access(&record.message), view.at);
            }
            _ if auth::is_failure(&record) => self.note(view.at, 1, What::AuthFailed),
            _ => {}
        }
    }

    fn claims(&mut self, message: &str, at: Timestamp) {
        let list = message.strip_prefix("Claimed one-time-keys: ");
        // A device id may hold a comma; such a claim is not counted.
        for claim in list.into_iter().flat_map(|list| list.split(',')) {
            if let Some((user, device)) = claim.split_once(" for ").and_then(|(_, of)| owner(of)) {
                self.note(at, 1, What::Claimed { user, device });
            }
        }
    }

    fn restart(&mut self, access: Option<Access>, at: Timestamp) {
        let Some(access) = access.filter(restarts) else { return };
        let late = access.took.0 >= PATIENCE;
        let answer = match Ended::from_status(access.status) {
            Ended::Limited => Delay::Limited,
            Ended::Gone => Delay::Gone,
            // Nobody may restart it, or the access token could not be checked: no matter how long it took.
            _ if matches!(access.status, 401 | 403 | 503) => Delay::Refused,
            _ if late => Delay::Slow,
            Ended::Answered => Delay::Fast,
            Ended::Refused => Delay::Refused,
        };
        let address = access.address.clone();
        self.note(at, 1, What::Delay { address, answer });
    }

    /// All of them, oldest first.
    pub fn sorted(mut self) -> Vec<LogEvent> {
        self.all.sort_by_key(|log_event| log_event.at);
        self.all
    }
}

/// `@user:server:DEVICE`, where the server may have a port.
fn owner(text: &str) -> Option<(OwnedUserId, OwnedDeviceId)> {
    let (_, rest) = text.strip_prefix('@')?.split_once(':')?;
    let (server, mut device) = rest.split_once(':')?;
    let mut end = text.len() - rest.len() + server.len();
    if let Some((port, behind)) = device.split_once(':')
        && (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        (end, device) = (end + 1 + port.len(), behind);
    }
    Some((text[..end].try_into().ok()?, device.into()))
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn a_claim_names_its_device() {
        for (text, user, device) in [
            ("@u:s.org:DEV", "@u:s.org", "DEV"),
            ("@u:localhost:8448:DEV", "@u:localhost:8448", "DEV"),
            ("@u:s.org:a:b", "@u:s.org", "a:b"),
        ] {
            assert_eq!(owner(text), Some((user.try_into().unwrap(), device.into())));
        }
        assert_eq!(owner("nobody"), None);
    }

    #[test]
    fn one_second_is_one_sight() {
        let at = |ms: i64| Timestamp::from_millisecond(1_795_348_000_000 + ms).unwrap();
        let what = || What::TooLarge { user: user_id!("@u:s").into(), device: "D".into() };
        let mut log_events = LogEvents::default();
        for ms in [0, 10, 20, 1500] {
            log_events.note(at(ms), 1, what());
        }
        let counts: Vec<_> =
            log_events.sorted().into_iter().map(|log_event| log_event.count).collect();
        assert_eq!(counts, [3, 1]);
    }
}
