//! Looks facts up in the evidence, whichever source has them, and puts several logs together.

use crate::evidence::auth::AuthLog;
use crate::evidence::client::ClientFacts;
use crate::evidence::delay::{DelayLog, Delayed, Metrics, Sent};
use crate::evidence::device_rows::{DeviceKeys, DeviceRow, FallbackKey, StoredKeys};
use crate::evidence::event::{EventRow, EventShape, Redaction};
use crate::evidence::fleet::{FleetLog, FleetRows};
use crate::evidence::gathered::{Evidence, Fact, Gathered, State};
use crate::evidence::key_log::KeyLog;
use crate::evidence::known::Known;
use crate::evidence::need::Need;
use crate::evidence::replica::Replica;
use crate::evidence::subject::Subject;
use crate::evidence::to_device::{Inbox, ToDeviceLog};

impl Evidence {
    /// The answers of every source to one need.
    pub fn answers(&self, need: Need) -> impl Iterator<Item = &Gathered> {
        self.gathered.iter().filter(move |answer| answer.need == need)
    }

    /// The user's devices, hidden rows included.
    pub fn devices(&self) -> Known<&[DeviceRow]> {
        self.one(Need::Devices, |fact| match fact {
            Fact::Devices(rows) => Some(rows.as_slice()),
            _ => None,
        })
    }

    /// All devices of the user, where one of them had to be chosen.
    pub fn device_list(&self) -> Known<&[DeviceRow]> {
        self.one(Need::DeviceList, |fact| match fact {
            Fact::Devices(rows) => Some(rows.as_slice()),
            _ => None,
        })
    }

    /// The subject's identity keys as the server holds them.
    pub fn device_keys(&self) -> Known<&DeviceKeys> {
        self.one(Need::DeviceKeys, |fact| match fact {
            Fact::DeviceKeys(keys) => Some(keys),
            _ => None,
        })
    }

    /// The subject's stored one-time keys.
    pub fn one_time_keys(&self) -> Known<&StoredKeys> {
        self.one(Need::OneTimeKeys, |fact| match fact {
            Fact::OneTimeKeys(keys) => Some(keys),
            _ => None,
        })
    }

    /// The subject's fallback keys.
    pub fn fallback_keys(&self) -> Known<&[FallbackKey]> {
        self.one(Need::FallbackKeys, |fact| match fact {
            Fact::FallbackKeys(keys) => Some(keys.as_slice()),
            _ => None,
        })
    }

    /// The device that the question is about, where it is about one.
    pub fn device(&self) -> Option<&Subject> {
        self.subject.device()
    }

    /// The event's row.
    pub fn event(&self) -> Known<&EventRow> {
        self.one(Need::Event, |fact| match fact {
            Fact::Event(row) => Some(row),
            _ => None,
        })
    }

    /// The shape of the event's content.
    pub fn event_shape(&self) -> Known<&EventShape> {
        self.one(Need::EventShape, |fact| match fact {
            Fact::EventShape(shape) => Some(shape),
            _ => None,
        })
    }

    /// The redactions that name the event.
    pub fn redactions(&self) -> Known<&[Redaction]> {
        self.one(Need::Redactions, |fact| match fact {
            Fact::Redactions(rows) => Some(rows.as_slice()),
            _ => None,
        })
    }

    /// To-device messages that wait for the device.
    pub fn inbox(&self) -> Known<&Inbox> {
        self.one(Need::Inbox, |fact| match fact {
            Fact::Inbox(inbox) => Some(inbox),
            _ => None,
        })
    }

    /// Whether the device is a dehydrated one.
    pub fn dehydrated(&self) -> Known<bool> {
        self.one(Need::Dehydrated, |fact| match fact {
            Fact::Dehydrated(dehydrated) => Some(*dehydrated),
            _ => None,
        })
    }

    /// The user's pending delayed events.
    pub fn delayed_events(&self) -> Known<&Delayed> {
        self.one(Need::DelayedEvents, |fact| match fact {
            Fact::DelayedEvents(table) => Some(table),
            _ => None,
        })
    }

    /// Delayed events that were sent in the rooms at hand.
    pub fn sent_delays(&self) -> Known<&[Sent]> {
        self.one(Need::SentDelays, |fact| match fact {
            Fact::SentDelays(rows) => Some(rows.as_slice()),
            _ => None,
        })
    }

    /// What Prometheus measured.
    pub fn metrics(&self) -> Known<&Metrics> {
        self.one(Need::Metrics, |fact| match fact {
            Fact::Metrics(metrics) => Some(metrics),
            _ => None,
        })
    }

    /// Devices in trouble by their stored keys.
    pub fn fleet_rows(&self) -> Known<&FleetRows> {
        self.one(Need::FleetRows, |fact| match fact {
            Fact::FleetRows(rows) => Some(rows),
            _ => None,
        })
    }

    /// The replica that was asked, where the database is one.
    pub fn replica(&self) -> Option<&Replica> {
        let replica = self.one(Need::Replica, |fact| match fact {
            Fact::Replica(replica) => Some(replica),
            _ => None,
        });
        match replica {
            Known::Is(replica, _) => Some(replica),
            Known::None(_) | Known::Unknown(..) => None,
        }
    }

    /// Why the database cannot prove an absence in this window; `None` where it can, or was not asked.
    pub fn database_behind(&self) -> Option<String> {
        self.replica()?.behind(self.window.to.min(self.now))
    }

    /// What clients said of themselves, each with the evidence's id.
    pub fn clients(&self) -> impl Iterator<Item = (&str, &ClientFacts)> {
        self.answers(Need::Client).filter_map(|answer| match &answer.fact {
            Some(Fact::Client(facts)) => Some((answer.id.as_str(), &**facts)),
            _ => None,
        })
    }

    /// The logs, put together: each process writes its own, and one device may speak to several.
    pub fn key_log(&self) -> Known<KeyLog> {
        let pick = |fact: &Fact| match fact {
            Fact::KeyLog(log) => {
                let mut log = (**log).clone();
                log.note_ends();
                Some(log)
            }
            _ => None,
        };
        self.sum(Need::KeyLog, pick, KeyLog::add)
    }

    /// To-device messages, from all logs.
    pub fn to_device_log(&self) -> Known<ToDeviceLog> {
        let pick = |fact: &Fact| match fact {
            Fact::ToDeviceLog(log) => Some((**log).clone()),
            _ => None,
        };
        self.sum(Need::ToDeviceLog, pick, ToDeviceLog::add)
    }

    /// Delayed events and latency, from all logs.
    pub fn delay_log(&self) -> Known<DelayLog> {
        let pick = |fact: &Fact| match fact {
            Fact::DelayLog(log) => Some((**log).clone()),
            _ => None,
        };
        self.sum(Need::DelayLog, pick, DelayLog::add)
    }

    /// Sign-in, from all logs.
    pub fn auth_log(&self) -> Known<AuthLog> {
        let pick = |fact: &Fact| match fact {
            Fact::AuthLog(log) => Some((**log).clone()),
            _ => None,
        };
        self.sum(Need::AuthLog, pick, AuthLog::add)
    }

    /// Everybody's key uploads, from all logs.
    pub fn fleet_log(&self) -> Known<FleetLog> {
        let pick = |fact: &Fact| match fact {
            Fact::FleetLog(log) => {
                let mut log = (**log).clone();
                log.note_ends();
                Some(log)
            }
            _ => None,
        };
        self.sum(Need::FleetLog, pick, FleetLog::add)
    }

    /// The answers of several logs to one need, put together.
    fn sum<T>(
        &self,
        need: Need,
        pick: impl Fn(&Fact) -> Option<T>,
        add: impl Fn(&mut T, &T),
    ) -> Known<T> {
        let mut whole: Option<T> = None;
        let mut ids = Vec::new();
        let mut why = Vec::new();
        let mut asked = false;
        for answer in self.answers(need) {
            ids.push(answer.id.clone());
            match &answer.state {
                State::Found | State::Empty => asked = true,
                State::Failed(reason) => why.push(format!("{}: {reason}", answer.source)),
                State::NotAsked(reason) => why.push(reason.clone()),
            }
            if let Some(log) = answer.fact.as_ref().and_then(&pick) {
                match &mut whole {
                    Some(sum) => add(sum, &log),
                    None => whole = Some(log),
                }
            }
        }
        match whole {
            Some(log) => Known::Is(log, ids),
            None if asked && why.is_empty() => Known::None(ids),
            None if why.is_empty() => Known::Unknown("no log is configured".into(), ids),
            None => Known::Unknown(why.join("; "), ids),
        }
    }

    pub(crate) fn one<'a, T>(
        &'a self,
        need: Need,
        pick: impl Fn(&'a Fact) -> Option<T>,
    ) -> Known<T> {
        let mut unknown = Known::Unknown("it was not queried".into(), Vec::new());
        for answer in self.answers(need) {
            let ids = vec![answer.id.clone()];
            match (&answer.state, answer.fact.as_ref().and_then(&pick)) {
                (_, Some(value)) => return Known::Is(value, ids),
                (State::Empty | State::Found, None) => return Known::None(ids),
                (State::Failed(why) | State::NotAsked(why), None) => {
                    unknown = Known::Unknown(why.clone(), ids);
                }
            }
        }
        unknown
    }
}
