//! An old log, whole → what each of its moments came to, for those who watch storms.

use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::{Asked, Reading};
use crate::config::LogSource;
use kestrel_core::evidence::{About, ServerSubject, Subject, Window};
use kestrel_core::synapse_log::log_events::Sights;

/// What a log came to.
#[derive(Debug)]
pub struct Replayed {
    pub sights: Sights,
    /// The first and last record; none of a log without any.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What a person should know: a zone that was guessed, a part that was not read.
    pub notes: Vec<String>,
}

/// Reads a log and its rotated siblings from their beginning. The error says why it cannot be read.
pub fn replay(source: &LogSource) -> Result<Replayed, String> {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let about = About::Server(ServerSubject { server: None });
    let asked = Asked { about, window, needs: &[] };
    let mut reading = Reading { most: u64::MAX, ..Reading::default() };
    let stop = AtomicBool::new(false);
    let (_, mut end) = reading.run(source, &asked, &Subject::nobody(), &stop)?;
    let mut notes = std::mem::take(&mut reading.notes);
    notes.extend(end.notes.iter().cloned());
    notes.extend(reading.cut_short.take());
    notes.push(end.zone.clone());
    // No further line is waited for.
    end.aside.tire(Timestamp::MAX);
    let sights = end.aside.sights();
    if sights.cut {
        notes.push("more happened than is held; the last part is missing".into());
    }
    Ok(Replayed { sights, span: end.first.zip(end.last), notes })
}
