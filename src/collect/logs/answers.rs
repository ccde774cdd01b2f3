//! Turns what was read from a log into one answer for each need. It never fails: an error is part of the
//! answer.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use jiff::{SignedDuration, Timestamp};
use kestrel_core::evidence::key_log::Coverage;
use kestrel_core::evidence::{Fact, Gathered, KeyLog, Need, Shown, State, Window, utc};
use kestrel_core::synapse_log::attribution::End;
use kestrel_core::synapse_log::readers::NeedAnswer;

use super::question::LogQuestion;
use super::reading::Reading;
use super::{grep_command, summary};
use crate::config::LogSource;

/// The most bytes of a window that are read, about what fits into the default deadline. Older bytes are left
/// out, because the newest events matter most.
pub(super) const MOST: u64 = 2 << 30;

/// If the newest line of a log is older than this, the log is probably not written any more.
const STALE: SignedDuration = SignedDuration::from_mins(10);

/// One log's answer on one device's keys.
#[derive(Debug)]
pub struct LogReading {
    pub state: State,
    /// Present if the log was read, even partly.
    pub log: Option<KeyLog>,
    /// One line for a person.
    pub what: String,
    /// A command that shows the same lines again, safe to paste.
    pub query: String,
    /// What the same lines say for other needs.
    pub beside: Vec<NeedAnswer>,
}

/// Reads one log to its end, or until `stop` is set, and returns one answer for each need. `siblings` may
/// provide the time zone.
pub fn read(
    source: &LogSource,
    siblings: &[PathBuf],
    asked: &LogQuestion,
    stop: &AtomicBool,
) -> Vec<Gathered> {
    let reading = read_at_most(MOST, (source, siblings), asked, stop);
    let name = format!("log:{}", source.name);
    let mut answers = Vec::new();
    for need in asked.needs.iter().copied().filter(|need| Need::OF_LOGS.contains(need)) {
        if need == Need::KeyLog {
            let fact = reading.log.clone().map(|log| Fact::KeyLog(Box::new(log)));
            let state = reading.state.clone();
            let what = reading.what.clone();
            answers.push(Gathered::answered(
                need,
                &name,
                state,
                Shown { what, query: reading.query.clone() },
                fact,
            ));
            continue;
        }
        let query = grep_command::for_need(need, &source.path, &asked.about);
        let told = reading.beside.iter().find(|told| told.need == need);
        let (state, what, fact) = match (&reading.state, told) {
            (State::Failed(why), None) => (reading.state.clone(), why.clone(), None),
            (state, None) => (state.clone(), String::new(), None),
            (State::Failed(_), Some(told)) => {
                (reading.state.clone(), told.what.clone(), Some(told.fact.clone()))
            }
            (_, Some(told)) => {
                let state = if told.found { State::Found } else { State::Empty };
                (state, told.what.clone(), Some(told.fact.clone()))
            }
        };
        answers.push(Gathered::answered(need, &name, state, Shown { what, query }, fact));
    }
    answers
}

pub(super) fn read_at_most(
    most: u64,
    (source, siblings): (&LogSource, &[PathBuf]),
    asked: &LogQuestion,
    stop: &AtomicBool,
) -> LogReading {
    let mut reading = Reading { most, siblings: siblings.to_vec(), ..Reading::default() };
    let subject = asked.subject();
    let found = reading.run(source, asked, &subject, stop);
    let query = grep_command::for_keys(&source.path, &subject);
    match found {
        Ok(found) => reading.answer(source, asked.window, found, query),
        Err(why) => {
            let state = State::Failed(why.clone());
            LogReading { state, log: None, what: why, query, beside: Vec::new() }
        }
    }
}

impl Reading {
    fn answer(
        mut self,
        source: &LogSource,
        window: Window,
        (mut log, mut end): (KeyLog, End),
        query: String,
    ) -> LogReading {
        self.notes.extend(end.notes.iter().cloned());
        self.explain(&end, window);
        let whole = self.reached_back && self.cut_short.is_none();
        let what = summary::of_keys(&log, &end);
        let coverage = Coverage {
            source: source.name.clone(),
            span: end.span,
            whole,
            lines: end.lines,
            format: end.format,
            zone: end.zone.clone(),
            notes: self.notes,
            visible: Some(end.visible.finish(end.zone_known)),
        };
        let beside = std::mem::take(&mut end.readers).finish(&coverage);
        log.coverage.push(coverage);
        let state = match self.cut_short {
            Some(why) => State::Failed(why),
            None if log.says_anything() => State::Found,
            None if end.span.is_none() && !spans(&end, window) => State::Failed(format!(
                "the log has no line in the requested window; it covers {} to {}",
                shown(end.first),
                shown(end.last)
            )),
            None => State::Empty,
        };
        LogReading { state, log: Some(log), what, query, beside }
    }

    fn explain(&mut self, end: &End, window: Window) {
        if self.cut_old {
            self.notes.push(format!(
                "the window is larger than {} MiB, so only its newest part was read; use a shorter window",
                self.most >> 20
            ));
        } else if !self.reached_back {
            self.notes.push(format!(
                "the log starts at {}, after the start of the window; older rotated files are missing or \
                 unreadable",
                shown(end.first)
            ));
        }
        if end.last.is_some_and(|last| window.to.duration_since(last) > STALE) {
            self.notes.push(format!(
                "the newest line is from {}: logging may have stopped, or this is the wrong file",
                shown(end.last)
            ));
        }
        if end.without_ids > 0 {
            self.notes.push(
                "this JSON format has no request IDs, so rejected uploads cannot be matched to requests; use \
                 Synapse's TerseJsonFormatter or the text format"
                    .into(),
            );
        }
    }
}

/// Whether the log covers the window, even without a line inside it.
fn spans(end: &End, window: Window) -> bool {
    end.first.is_some_and(|first| first <= window.from)
        && end.last.is_some_and(|last| last >= window.to)
}

fn shown(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "an unknown time".into(), utc)
}
