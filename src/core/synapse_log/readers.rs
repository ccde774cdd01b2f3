//! The lines of a log, once each → what is read from them beside one device's keys: to-device messages,
//! delayed events, everybody's keys. A log is read once, however much is asked of it.

use jiff::Timestamp;
use ruma::UserId;

use crate::evidence::key_log::{Coverage, Format};
use crate::evidence::{About, Fact, Need, Window};
use crate::synapse_log::auth::{self, AuthTally};
use crate::synapse_log::delays::DelayTally;
use crate::synapse_log::fleet::FleetTally;
use crate::synapse_log::log_events::{self, LogEvents};
use crate::synapse_log::loud_lines::Word;
use crate::synapse_log::record_view::RecordView;
use crate::synapse_log::to_device::ToDeviceTally;

/// The readers that a question asks for.
#[derive(Debug, Default)]
pub struct Readers {
    to_device: Option<ToDeviceTally>,
    delays: Option<DelayTally>,
    auth: Option<AuthTally>,
    fleet: Option<FleetTally>,
}

impl Readers {
    /// The readers that answer the needs.
    pub fn new(needs: &[Need], about: &About, window: Window) -> Self {
        let asked = |need| needs.contains(&need);
        let device = about.device().filter(|_| asked(Need::ToDeviceLog));
        let user: Option<&UserId> = about.user().filter(|_| asked(Need::DelayLog));
        Self {
            to_device: device.map(|device| ToDeviceTally::new(device.clone(), window)),
            delays: user.map(|user| DelayTally::new(user.to_owned(), window)),
            auth: asked(Need::AuthLog).then(|| AuthTally::new(about, window)),
            fleet: asked(Need::FleetLog).then(|| FleetTally::new(window)),
        }
    }

    /// The reader of everybody's moments, for those who watch storms.
    pub fn watching(window: Window) -> Self {
        Self { fleet: Some(FleetTally::new(window).watching()), ..Self::default() }
    }

    /// Whether nothing but everybody's moments is read.
    pub fn is_watching(&self) -> bool {
        let watching = self.fleet.as_ref().is_some_and(FleetTally::is_watching);
        watching && self.to_device.is_none() && self.delays.is_none() && self.auth.is_none()
    }

    /// The next record begins at this byte of all that was read.
    pub fn here(&mut self, byte: u64) {
        if let Some(tally) = &mut self.fleet {
            tally.here(byte);
        }
    }

    /// Where the oldest upload began whose end is waited for.
    pub fn oldest(&self) -> Option<u64> {
        self.fleet.as_ref().and_then(FleetTally::oldest)
    }

    /// The log's time is this far.
    pub fn tire(&mut self, now: Timestamp) {
        if let Some(tally) = &mut self.fleet {
            tally.tire(now);
        }
    }

    /// The moments that were kept since this was asked last.
    pub fn log_events(&mut self) -> LogEvents {
        self.fleet.as_mut().and_then(FleetTally::log_events).unwrap_or_default()
    }

    /// The words of which a line must have one to say anything to a reader, but for those that are shown every line.
    pub(crate) fn words(&self) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        if let Some(tally) = &self.to_device {
            words.extend(tally.words());
        }
        if self.auth.is_some() {
            words.extend(auth::WORDS.map(Word::Borrowed));
        }
        if self.fleet.is_some() {
            words.extend(log_events::WORDS.map(Word::Borrowed));
        }
        words
    }

    /// Whether a reader is shown every line: the latency of all requests is asked for.
    pub(crate) fn wants_every(&self) -> bool {
        self.delays.is_some()
    }

    /// Whether the end of a request is waited for, which any access line may be.
    pub(crate) fn waits(&self) -> bool {
        self.auth.as_ref().is_some_and(AuthTally::waits)
    }

    /// A record that no client can have written, whatever it says, and its moment.
    pub(crate) fn passed(&mut self, at: Timestamp) {
        if let Some(tally) = &mut self.fleet {
            tally.passed(at);
        }
    }

    /// Whether anything is read at all.
    pub fn is_asked(&self) -> bool {
        self.to_device.is_some()
            || self.delays.is_some()
            || self.auth.is_some()
            || self.fleet.is_some()
    }

    /// A record of this moment, if that is known: whether it says anything to those who look for words, whether a client's
    /// text may reach it, whether it is surely a client's, and the log's format.
    pub(crate) fn look(
        &mut self,
        line: &[u8],
        at: Option<i64>,
        process: usize,
        (speaks, (reach, forged, format)): (bool, (bool, bool, Format)),
    ) {
        let Some(at) = at.and_then(|at| Timestamp::from_millisecond(at).ok()) else { return };
        let view = RecordView { line, at, process, reach, forged, format };
        if speaks {
            self.see(&view);
        } else if let Some(tally) = &mut self.delays {
            tally.see(&view);
        }
    }

    /// One record.
    pub fn see(&mut self, view: &RecordView) {
        if let Some(tally) = &mut self.to_device {
            tally.see(view);
        }
        if let Some(tally) = &mut self.delays {
            tally.see(view);
        }
        if let Some(tally) = &mut self.auth {
            tally.see(view);
        }
        if let Some(tally) = &mut self.fleet {
            tally.see(view);
        }
    }

    /// `***** STARTING SERVER *****`: the process's request ids start again.
    pub fn restart(&mut self, process: usize) {
        if let Some(tally) = &mut self.auth {
            tally.restart(process);
        }
        if let Some(tally) = &mut self.fleet {
            tally.restart(process);
        }
    }

    /// What came of it: each need with its fact, one line for a person, and whether it says anything.
    pub fn finish(self, coverage: &Coverage) -> Vec<NeedAnswer> {
        let coverage = || vec![coverage.clone()];
        let mut told = Vec::new();
        if let Some(tally) = self.to_device {
            let log = tally.finish(coverage());
            let what = log.summary();
            let found = log.says_anything();
            let fact = Fact::ToDeviceLog(Box::new(log));
            told.push(NeedAnswer { need: Need::ToDeviceLog, fact, what, found });
        }
        if let Some(tally) = self.delays {
            let log = tally.finish(coverage());
            let what = log.summary();
            let found = log.says_anything();
            told.push(NeedAnswer {
                need: Need::DelayLog,
                fact: Fact::DelayLog(Box::new(log)),
                what,
                found,
            });
        }
        if let Some(tally) = self.auth {
            let log = tally.finish(coverage());
            let what = log.summary();
            let found = log.says_anything();
            let fact = Fact::AuthLog(Box::new(log));
            told.push(NeedAnswer { need: Need::AuthLog, fact, what, found });
        }
        if let Some(tally) = self.fleet {
            let log = tally.finish(coverage());
            let what = log.summary();
            let found = log.says_anything();
            told.push(NeedAnswer {
                need: Need::FleetLog,
                fact: Fact::FleetLog(Box::new(log)),
                what,
                found,
            });
        }
        told
    }
}

/// One reader's result.
#[derive(Debug)]
pub struct NeedAnswer {
    pub need: Need,
    pub fact: Fact,
    pub what: String,
    pub found: bool,
}
