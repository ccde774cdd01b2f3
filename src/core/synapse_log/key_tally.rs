//! What was judged of one log → the subject's `KeyLog`, inside the window.

use jiff::Timestamp;

use crate::evidence::key_log::{Format, KeyLog, Removal, Whose};
use crate::evidence::{Subject, Window};
use crate::synapse_log::message::Refusal;
use crate::synapse_log::process::Loose;
use crate::synapse_log::readers::Readers;
use crate::synapse_log::request::{BEHIND, Judged, Outcome, Seen, UploadFacts, is_of};
use crate::synapse_log::visibility::Looker;

/// Distinct conflicts of the subject's own held at once, and as many that only name the subject: what
/// others write must not use up the room.
const CONFLICTS: usize = 512;

/// What was read.
#[derive(Debug, Default)]
pub struct End {
    pub lines: u64,
    /// Lines that began a record.
    pub records: u64,
    /// Lines of the journal's format, which has no times.
    pub journal: u64,
    /// How the first line began that is in no known format.
    pub odd: Option<String>,
    /// The first and last record, wherever they lie.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// The first and last record inside the window.
    pub span: Option<(Timestamp, Timestamp)>,
    pub format: Format,
    /// Refusals of a JSON format that writes no request ids.
    pub without_ids: u64,
    pub zone: String,
    pub notes: Vec<String>,
    /// What was read beside the keys.
    pub readers: Readers,
    /// What the log could have shown.
    pub visible: Looker,
    /// The times are sure.
    pub zone_known: bool,
}

impl End {
    /// Notes the moment of a record.
    pub(crate) fn saw(&mut self, at: Timestamp, window: Window) {
        self.first.get_or_insert(at);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        if window.holds(at) {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
        }
    }
}

/// The sum so far.
#[derive(Debug)]
pub struct Tally {
    pub subject: Subject,
    pub window: Window,
    pub format: Format,
    pub log: KeyLog,
    conflicts: Vec<Conflict>,
    /// Refusals whose every line a client may have written.
    behind: Vec<(usize, UploadFacts)>,
}

#[derive(Debug)]
struct Conflict {
    refusal: Refusal,
    /// One of the values is signed by the subject's device.
    names: bool,
    /// Seen in an upload of the subject's.
    own: bool,
}

impl Tally {
    /// Nothing yet.
    pub fn new(subject: Subject, window: Window) -> Self {
        Self {
            subject,
            window,
            format: Format::default(),
            log: KeyLog::default(),
            conflicts: Vec::new(),
            behind: Vec::new(),
        }
    }

    /// The number of a conflict, the same for equal ones; none where there are too many.
    pub fn conflict(&mut self, refusal: Refusal, names: bool, own: bool) -> Option<usize> {
        let same = |known: &Conflict| {
            known.refusal.key == refusal.key
                && known.refusal.old.same_key(&refusal.old)
                && known.refusal.new.same_key(&refusal.new)
        };
        if let Some(at) = self.conflicts.iter().rposition(same) {
            let known = &mut self.conflicts[at];
            (known.names, known.own) = (known.names || names, known.own || own);
            return Some(at);
        }
        let alike = self.conflicts.iter().filter(|known| known.own == own).count();
        if alike == CONFLICTS {
            self.log.clipped = true;
            return None;
        }
        self.conflicts.push(Conflict { refusal, names, own });
        Some(self.conflicts.len() - 1)
    }

    /// A refusal that no id ties to an upload. Whose it was is known if the database holds its old key:
    /// keys are stored per device.
    pub fn untied(&mut self, conflict: usize, at: i64) {
        if self.window_holds(at) {
            self.log.unattributed += 1;
            self.doubt(conflict, at);
        }
    }

    fn doubt(&mut self, conflict: usize, at: i64) {
        let subject = &self.subject;
        let format = self.format;
        self.log.doubt(&self.conflicts[conflict].refusal, at, subject, format);
    }

    /// A single line.
    pub fn loose(&mut self, seen: Seen<Loose>) {
        if !self.window_holds(seen.at) {
            return;
        }
        let Ok(at) = Timestamp::from_millisecond(seen.at) else {
            return;
        };
        match seen.what {
            Loose::Claims(ids) => ids.into_iter().for_each(|id| self.log.claimed(id, at)),
            Loose::SharedSync => self.log.shared_sync += 1,
            Loose::ClientStart => self.log.client_started(at),
            Loose::Removed(by) => {
                self.log.was_removed(Removal { at, by, format: self.format });
            }
        }
    }

    /// A request.
    pub fn fold(&mut self, judged: Judged) {
        let ours = match &judged.outcome {
            Outcome::Refused(_, facts) | Outcome::Accepted(facts) | Outcome::TooLarge(facts) => {
                self.window_holds(facts.at)
            }
            Outcome::Unattributed(_, at) | Outcome::Doubtful(_, at) => self.window_holds(*at),
            Outcome::Nothing => judged.at.is_none_or(|at| self.window_holds(at)),
        };
        if !ours {
            return;
        }
        for why in &judged.distrusted {
            self.log.distrust(why);
        }
        match judged.outcome {
            Outcome::Nothing => {}
            Outcome::Unattributed(conflict, at) => self.untied(conflict, at),
            Outcome::Doubtful(conflict, at) => self.doubt(conflict, at),
            Outcome::Refused(conflict, facts) if judged.in_reach => {
                if self.behind.len() < CONFLICTS {
                    self.behind.push((conflict, facts));
                } else {
                    self.log.distrust(BEHIND);
                }
            }
            Outcome::Refused(conflict, facts) => self.refusal(conflict, &facts),
            Outcome::TooLarge(facts) if is_of(&facts.upload, &self.subject) => {
                self.log.was_too_large(&facts);
            }
            Outcome::Accepted(facts) if is_of(&facts.upload, &self.subject) => {
                self.log.accepted(&facts);
            }
            Outcome::TooLarge(_) | Outcome::Accepted(_) => {}
        }
    }

    fn refusal(&mut self, conflict: usize, facts: &UploadFacts) {
        let format = self.format;
        let Conflict { refusal, names, .. } = &self.conflicts[conflict];
        if is_of(&facts.upload, &self.subject) {
            self.log.refused(refusal, facts, format, Whose::Own);
        } else if *names {
            self.log.refused(refusal, facts, format, Whose::Others);
        }
    }

    /// A refusal behind client text counts where the same conflict also stands elsewhere; else it waits
    /// for the database.
    pub fn corroborate(&mut self) {
        for (conflict, facts) in std::mem::take(&mut self.behind) {
            let refusal = &self.conflicts[conflict].refusal;
            if self.log.has_refused(refusal, &facts) {
                self.refusal(conflict, &facts);
            } else if is_of(&facts.upload, &self.subject) {
                self.log.refused(refusal, &facts, self.format, Whose::Doubtful);
            } else {
                self.log.distrust(BEHIND);
            }
        }
    }

    /// The log's request IDs are of other requests: which upload a rejection belongs to, only the database can say.
    pub fn untie_all(&mut self) {
        self.log.doubtful.append(&mut self.log.refused);
    }

    fn window_holds(&self, at: i64) -> bool {
        Timestamp::from_millisecond(at).is_ok_and(|at| self.window.holds(at))
    }
}
