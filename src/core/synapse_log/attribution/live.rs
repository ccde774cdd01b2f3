//! What a reader of a growing log asks between two lines: what came since, how far the log's time got, and
//! how far back reading has to begin to come to the same again.

use jiff::Timestamp;

use crate::evidence::key_log::Format;
use crate::synapse_log::attribution::reader::Attribution;
use crate::synapse_log::key_tally::End;
use crate::synapse_log::log_events::LogEvents;
use crate::synapse_log::message::{self, Message};
use crate::synapse_log::record::{self, Record, Stamp};

impl Attribution {
    /// For people, if lines were not counted since this was last asked.
    pub fn hidden(&mut self) -> Option<String> {
        self.hidden.summary()
    }

    /// The moments since this was asked last.
    pub fn log_events(&mut self) -> LogEvents {
        if let Some(now) = self.reached().and_then(|at| Timestamp::from_millisecond(at).ok()) {
            self.end.readers.tire(now);
        }
        self.end.readers.log_events()
    }

    /// How far the log's own time got, in milliseconds. One line far ahead does not move it.
    pub fn reached(&self) -> Option<i64> {
        let last = self.end.last?.as_millisecond();
        if self.end.format == Format::Json {
            return Some(last);
        }
        let times = self.processes.iter().filter_map(|process| process.watch.time());
        times.filter_map(|local| self.clock.peek(Stamp::Local(local))).max()
    }

    /// How many bytes before here the oldest upload began whose end is waited for.
    pub fn under_way(&self) -> u64 {
        self.end.readers.oldest().map_or(0, |byte| self.next.byte.saturating_sub(byte))
    }

    /// The reference for tests: nothing is passed over.
    #[cfg(test)]
    pub fn parse_every_line(&mut self) {
        self.loud = crate::synapse_log::loud_lines::LoudLines::Every;
    }

    /// What was read so far.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// The moment of a record that is not read yet.
    pub fn moment(&self, stamp: Stamp) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.clock.peek(stamp)?).ok()
    }

    /// Whether nothing tells the zone of the log's times so far.
    pub fn is_zone_unknown(&self) -> bool {
        self.clock.is_unknown()
    }

    /// When the line of a local time was written, as the file itself says: where no line tells the zone.
    pub fn written(&mut self, local: i64, epoch: i64) {
        self.clock.vote(local, epoch);
        self.clock.settle();
    }

    /// Whether the last line so far is no half of a record that matters: it reads to its end.
    pub fn last_is_whole(&self) -> bool {
        let Some(held) = &self.held else { return true };
        let text = record::text(&held.line);
        let message =
            Record::parse(&text).map(|record| message::read(&record, &self.tally.subject));
        !matches!(message, None | Some(Message::Broken))
    }
}
