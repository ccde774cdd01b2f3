//! The state of the watch: its subjects, in bounded memory. It serialises, so that a restart continues.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{Id, StormKind};
use super::map_as_pairs;
use super::poll_state::PollState;
use super::storm_state::Watched;
use crate::evidence::storm_thresholds::Thresholds;

/// The most subjects; beyond that the longest silent one is forgotten, storms last.
pub(super) const WATCHED: usize = 10_000;
/// This many of them may be addresses, however many devices there are.
const ADDRESSES: usize = 2000;

/// Everything that is watched. It serialises, so that it survives a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StormWatch {
    pub(super) thresholds: Thresholds,
    #[serde(with = "map_as_pairs")]
    pub(super) watched: BTreeMap<Id, Watched>,
    /// The newest storm's number.
    pub(super) next: u64,
    /// When storms of each kind started, newest last.
    #[serde(with = "map_as_pairs")]
    pub(super) starts: BTreeMap<StormKind, VecDeque<Timestamp>>,
    pub(super) now: Option<Timestamp>,
    #[serde(default)]
    pub(super) polled: PollState,
}

impl StormWatch {
    /// A watch without events.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// The same watch with other thresholds.
    pub fn tuned(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// The same watch, whose next storm has a higher number than this.
    pub fn numbered_after(self, newest: u64) -> Self {
        Self { next: self.next.max(newest), ..self }
    }

    /// The state of a subject; a new one if there is room.
    pub(super) fn watched(&mut self, id: &Id, at: Timestamp) -> &mut Watched {
        if !self.watched.contains_key(id) && self.watched.len() >= WATCHED {
            self.forget();
        }
        let watched = self.watched.entry(id.clone()).or_default();
        watched.last = Some(at);
        watched
    }

    /// Frees an eighth of the room, so that this is rare: the longest silent subjects go first, storms last.
    fn forget(&mut self) {
        let mut all: Vec<_> = std::mem::take(&mut self.watched).into_iter().collect();
        all.sort_by_key(|(_, one)| std::cmp::Reverse((one.storm.is_some(), one.last)));
        let (mut addresses, mut others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|((kind, _), _)| *kind == StormKind::Delay);
        // Anyone can fake an address: addresses never displace devices, nor devices addresses.
        let room = WATCHED - WATCHED / 8;
        others.truncate(room - addresses.len().min(ADDRESSES));
        addresses.truncate(room - others.len());
        self.watched = others.into_iter().chain(addresses).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Whose;
    use super::*;
    use crate::evidence::log_event::{LogEvent, What};

    /// An older version stored IDs as any text.
    #[test]
    fn a_user_id_that_is_none_loses_nobody_else() {
        let mut watch = StormWatch::new(Thresholds::default());
        for user in ["@a:example.org", "@b:example.org"] {
            let user = user.try_into().unwrap();
            let what = What::Refused { user, device: "DEV".into(), key: "a:1".into() };
            let started = watch.see(LogEvent { at: Timestamp::UNIX_EPOCH, count: 3, what });
            assert_eq!(started.len(), 1);
        }
        let stored = serde_json::to_string(&watch).unwrap();
        let damaged = stored.replace("@b:example.org", "@b:not_a_server");
        let read: StormWatch = serde_json::from_str(&damaged).unwrap();
        let left: Vec<_> = read.watched.keys().map(|(_, whose)| whose.clone()).collect();
        let user = "@a:example.org".try_into().unwrap();
        assert_eq!(left, [Whose::Device { user, device: "DEV".into() }]);
        assert_eq!(read.next, 2);
    }
}
