//! Requests that can have no further lines → the sum.

use crate::evidence::key_log::Format;
use crate::synapse_log::attribution::reader::Attribution;
use crate::synapse_log::forgery::LinePlace;
use crate::synapse_log::process::Settled;

/// Settled again after so many lines.
const EVERY: u64 = 256;

impl Attribution {
    /// Settles what is due, not at every line.
    pub(crate) fn now_and_then(&mut self, place: LinePlace, process: usize) {
        if place.line.is_multiple_of(EVERY) {
            self.settle(process, false);
        }
    }

    pub(crate) fn settle_all(&mut self) {
        (0..self.processes.len()).for_each(|process| self.settle(process, true));
    }

    /// Judges the requests that can have no further lines; all of them at the `end`.
    pub(crate) fn settle(&mut self, process: usize, end: bool) {
        let text = self.end.format == Format::Text;
        while let Some(settled) =
            self.processes[process].settle(&self.tally.subject, self.next, (text, end))
        {
            match settled {
                Settled::Loose(seen) => self.tally.loose(seen),
                Settled::Request(request) => self.tally.fold(*request),
            }
        }
    }
}
