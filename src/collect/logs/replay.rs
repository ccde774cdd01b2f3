//! Reads a whole old log and returns its events, for the storm watch.

use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::question::LogQuestion;
use super::reading::Reading;
use crate::config::LogSource;
use kestrel_core::evidence::{About, ServerSubject, Subject, Window};
use kestrel_core::synapse_log::log_events::LogEvents;

/// What a log contains.
#[derive(Debug)]
pub struct Replayed {
    pub log_events: LogEvents,
    /// The first and last record; `None` without records.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Notes for people: a guessed time zone, a part that was not read.
    pub notes: Vec<String>,
}

/// Reads a log and its rotated files from the start. The error says why it cannot be read.
pub fn replay(source: &LogSource) -> Result<Replayed, String> {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let about = About::Server(ServerSubject { server: None });
    let asked = LogQuestion { about, window, needs: &[] };
    let mut reading = Reading { most: u64::MAX, ..Reading::default() };
    let stop = AtomicBool::new(false);
    let (_, mut end) = reading.run(source, &asked, &Subject::nobody(), &stop)?;
    let mut notes = std::mem::take(&mut reading.notes);
    notes.extend(end.notes.iter().cloned());
    notes.extend(reading.cut_short.take());
    notes.push(end.zone.clone());
    // No more lines will follow.
    end.readers.tire(Timestamp::MAX);
    let log_events = end.readers.log_events();
    if log_events.cut {
        notes.push("there were more events than fit in memory; the last part is missing".into());
    }
    Ok(Replayed { log_events, span: end.first.zip(end.last), notes })
}
