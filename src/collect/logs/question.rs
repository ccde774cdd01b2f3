//! What is asked of a log.

use kestrel_core::evidence::{About, Need, Subject, Window};
use kestrel_core::synapse_log::readers::Readers;

/// What is asked of a log.
#[derive(Debug, Clone)]
pub struct LogQuestion {
    pub about: About,
    pub window: Window,
    /// Only needs that a log can answer; other sources handle the rest.
    pub needs: &'static [Need],
}

impl LogQuestion {
    /// The readers for other needs; without a need, the events of everybody.
    pub(super) fn readers(&self) -> Readers {
        match self.needs {
            [] => Readers::watching(self.window),
            needs => Readers::new(needs, &self.about, self.window),
        }
    }

    /// Whose key traffic is read.
    pub(super) fn subject(&self) -> Subject {
        let keys = self.needs.contains(&Need::KeyLog);
        self.about.device().filter(|_| keys).cloned().unwrap_or_else(Subject::nobody)
    }
}
