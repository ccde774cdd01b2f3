//! A silence of a whole process, and what comes right after it: whether clients felt it.

use jiff::Timestamp;

use crate::evidence::delay::{Digest, Stall};

/// Delayed events that are named of one stall.
const FELT: usize = 16;

/// A silence, and the restarts after it so far.
#[derive(Debug)]
pub(crate) struct Silence {
    pub(crate) stall: Stall,
    pub(crate) restarted: Vec<Digest>,
}

impl Silence {
    /// Nobody has felt it yet.
    pub(crate) fn new(from: Timestamp, to: Timestamp) -> Self {
        let stall = Stall { from, to, left: 0, bunched: 0, felt: Vec::new() };
        Self { stall, restarted: Vec::new() }
    }

    /// A restart came right after it. The second of one event means that the client had asked twice.
    pub(crate) fn restarted(&mut self, id: &Digest, aborted: bool) {
        let again = self.restarted.contains(id);
        self.stall.bunched += u64::from(again);
        let felt = &mut self.stall.felt;
        if (again || aborted) && felt.len() < FELT && !felt.contains(id) {
            felt.push(id.clone());
        }
        self.restarted.push(id.clone());
    }
}
