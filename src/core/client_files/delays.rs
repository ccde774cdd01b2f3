//! One delayed event request, from a HAR file or a line of the client's log → the client's figures, in total and per
//! minute.

use jiff::{SignedDuration, Timestamp};

use crate::client_files::signs::{self, Fetched};
use crate::evidence::client::{ClientDelays, ClientFacts, DelayMinute};

/// js-sdk gives up a restart after this time, without closing the request (domain 39); milliseconds.
const PATIENCE: f64 = 2000.0;
/// The most minutes with delayed event requests that are stored: four hours of a call.
const MINUTES: usize = 240;

/// One request and how it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DelayRequest {
    /// When it began, by the client's clock.
    pub at: Option<Timestamp>,
    /// Milliseconds.
    pub took: f64,
    /// None or 0 where there was no answer.
    pub status: Option<i64>,
    /// The answer is Synapse's own "too many requests".
    pub limited: bool,
}

impl DelayRequest {
    /// Whether the client had no answer in time. A browser writes 0, or nothing, if it gave up.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.status, None | Some(0)) || self.took >= PATIENCE
    }
}

impl ClientFacts {
    /// Counts a delayed event request.
    pub(crate) fn delay(&mut self, request: DelayRequest) {
        let empty = ClientDelays { count: 0, timed_out: 0, refused: 0, gone: 0, slowest: 0.0 };
        let delays = self.delays.get_or_insert(empty);
        let gone = request.status == Some(404);
        let timed_out = request.is_late() && request.status != Some(429) && !gone;
        let seconds = request.took / 1000.0;
        delays.count += 1;
        delays.slowest = delays.slowest.max(seconds);
        delays.refused += u64::from(request.limited);
        delays.gone += u64::from(gone);
        delays.timed_out += u64::from(timed_out);
        let minute = request.at.map(|at| at.as_second().div_euclid(60) * 60);
        let Some(at) = minute.and_then(|at| Timestamp::from_second(at).ok()) else { return };
        let place = self.minutes.partition_point(|minute| minute.at < at);
        if self.minutes.get(place).is_none_or(|minute| minute.at != at) {
            if self.minutes.len() >= MINUTES {
                return;
            }
            let empty = DelayMinute { at, count: 0, timed_out: 0, refused: 0, slowest: 0.0 };
            self.minutes.insert(place, empty);
        }
        let minute = &mut self.minutes[place];
        minute.count += 1;
        minute.timed_out += u64::from(timed_out);
        minute.refused += u64::from(request.limited);
        minute.slowest = minute.slowest.max(seconds);
    }

    /// Counts the request whose end the line reports, if it reports one; the line is written at that end. It has no
    /// body, so it does not say who answered with a 429.
    pub(crate) fn fetched(&mut self, line: &str, ended: Option<Timestamp>) -> bool {
        let Some(Fetched { took, status }) = signs::fetched(line) else { return false };
        let length = SignedDuration::from_millis(took as i64);
        let at = ended.and_then(|ended| ended.checked_sub(length).ok());
        self.delay(DelayRequest { at, took, status, limited: false });
        true
    }
}
