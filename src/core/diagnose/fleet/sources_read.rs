//! What a survey read → what it could not read, and what it covers.

use super::overview::Fleet;
use crate::evidence::fleet::{FleetLog, FleetRows};
use crate::evidence::{Evidence, Fact, Known, Need, State, utc_span};

impl Fleet {
    /// A log that failed half-way still told what it had read; one without a line of the window told nothing.
    /// One that is `blind` is there already, with what to do.
    pub(super) fn failed(&mut self, evidence: &Evidence, blind: bool) {
        for answer in evidence.answers(Need::FleetLog) {
            let (State::Failed(why), Some(Fact::FleetLog(log))) = (&answer.state, &answer.fact)
            else {
                continue;
            };
            let any = log.coverage.iter().any(|coverage| coverage.span.is_some());
            if any && blind {
                continue;
            }
            let into = if any { &mut self.cut } else { &mut self.unread };
            into.push(format!("{}: {why}", answer.source));
        }
        self.cut.extend(evidence.database_behind());
    }

    /// How far the sources reach.
    pub(super) fn reach(&mut self, log: &Known<FleetLog>, rows: &Known<&FleetRows>) {
        if let Some(log) = log.value() {
            for coverage in &log.coverage {
                let source = &coverage.source;
                let part = if coverage.whole { "" } else { ", not the whole log window" };
                if let Some((from, to)) = coverage.span {
                    let span = utc_span(from, to);
                    self.read.push(format!("log {source}: {span}{part}"));
                }
                let notes = coverage.notes.iter();
                self.findings.extend(notes.map(|note| format!("log {source}: {note}")));
            }
            if log.beyond > 0 {
                let kept = log.devices.len();
                self.cut.push(format!(
                    "{} rejected uploads are of further devices: only {kept} devices are listed one by one",
                    log.beyond
                ));
            }
            if log.doubtful > 0 {
                let said =
                    "lines not counted: a client may have written them, or they match no upload";
                self.findings.push(format!("{} {said}", log.doubtful));
            }
        }
        if let Some(rows) = rows.value() {
            self.read.push(format!("database: {} devices", rows.read));
            self.cut.extend(rows.cut.iter().map(|cut| format!("database: {cut}")));
        }
        for (what, why) in [("the log", log.unknown()), ("the database", rows.unknown())] {
            self.unread.extend(why.map(|why| format!("{what}: {why}")));
        }
    }
}
