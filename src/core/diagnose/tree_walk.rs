//! A walk down a branch: what the evidence says, looked up once, and every answer on the way.

use super::advice::advise;
use super::auth_outage;
use super::device_removal;
use super::log_visibility::Unseen;
use super::refusals::Refusals;
use super::verdict::{Answer, Certainty, Figure, Missing, Step, Verdict, VerdictId};
use crate::evidence::auth::AuthLog;
use crate::evidence::delay::DelayLog;
use crate::evidence::key_log::Span;
use crate::evidence::{ClientFacts, DeviceKeys, Evidence, KeyLog, Known, StoredKeys, utc};

/// What ends a walk.
pub(super) type Ruling = (VerdictId, Certainty);

/// One question of a branch: a row of its table, from which the tree is shown too.
#[derive(Debug)]
pub struct Question {
    pub name: &'static str,
    pub asked: &'static str,
    /// The verdicts that an answer to it can give; none where it only informs.
    pub rules: &'static [VerdictId],
    pub(super) ask: fn(&mut Walk) -> Option<Ruling>,
}

/// Asks a branch's questions in their order, until one gives the verdict.
pub(super) fn walk(evidence: &Evidence, questions: &'static [Question]) -> Verdict {
    let known = Facts::of(evidence);
    let mut walk = Walk::new(evidence, &known);
    for question in questions {
        walk.question = Some(question);
        if let Some((id, certainty)) = (question.ask)(&mut walk) {
            debug_assert!(question.rules.contains(&id), "{} gives {}", question.name, id.name());
            return walk.verdict(id, certainty);
        }
    }
    walk.verdict(VerdictId::Inconclusive, Certainty::NotEnoughEvidence)
}

/// What the evidence says, looked up once.
pub(super) struct Facts<'a> {
    pub(super) log: Known<KeyLog>,
    /// The log, and beside it what a client's report says was refused.
    pub(super) reported: KeyLog,
    pub(super) keys: Known<&'a DeviceKeys>,
    pub(super) stored: Known<&'a StoredKeys>,
    pub(super) delays: Known<DelayLog>,
    pub(super) auth: Known<AuthLog>,
    /// What the logs could not have shown.
    pub(super) unseen: Unseen,
    /// What stands for a table that was read and holds nothing of the device.
    no_keys: StoredKeys,
}

impl<'a> Facts<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
        let log = evidence.key_log();
        let mut reported = log.value().cloned().unwrap_or_default();
        let unseen = Unseen::of(evidence, &log);
        for (_, client) in evidence.clients() {
            reported.report(evidence.device(), client, evidence.now);
        }
        Self {
            log,
            reported,
            keys: evidence.device_keys(),
            stored: evidence.one_time_keys(),
            delays: evidence.delay_log(),
            auth: evidence.auth_log(),
            unseen,
            no_keys: StoredKeys::default(),
        }
    }
}

/// The walk so far.
pub(super) struct Walk<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) known: &'a Facts<'a>,
    pub(super) refusals: Refusals<'a>,
    pub(super) path: Vec<Step>,
    pub(super) because: Vec<String>,
    pub(super) findings: Vec<String>,
    pub(super) missing: Vec<Missing>,
    pub(super) figures: Vec<Figure>,
    pub(super) more_figures: Vec<Figure>,
    /// Why a logout and a login help here, where that is known.
    pub(super) relogin: Option<&'static str>,
    /// What is being asked.
    question: Option<&'static Question>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(evidence: &'a Evidence, known: &'a Facts<'a>) -> Self {
        let stored = match &known.stored {
            Known::Is(stored, _) => Some(*stored),
            Known::None(_) => Some(&known.no_keys),
            Known::Unknown(..) => None,
        };
        let keys = known.keys.value().copied();
        let replica = evidence.replica();
        let mut refusals = Refusals::weigh(&known.reported, stored, keys, replica);
        let end = evidence.window.to.min(evidence.now);
        let too_large = super::quiet_period::too_large(&known.reported, end);
        let is_over = |span: Span| refusals.renewed.is_some_and(|at| span.last <= at);
        let too_large = too_large.filter(|span| !is_over(*span));
        refusals.note_too_large(too_large, stored);
        let (path, because, findings, missing, figures, more_figures) = Default::default();
        Self {
            evidence,
            known,
            refusals,
            path,
            because,
            findings,
            missing,
            figures,
            more_figures,
            relogin: None,
            question: None,
        }
    }

    /// What the clients of the device asked about say, each with the evidence's id.
    pub(super) fn own_clients(&self) -> impl Iterator<Item = (&'a str, &'a ClientFacts)> {
        let (evidence, subject) = (self.evidence, self.evidence.device());
        evidence.clients().filter(move |(_, client)| subject.is_some_and(|own| client.is_of(own)))
    }

    /// Answers the question that is being asked.
    pub(super) fn step<T>(&mut self, answer: Answer, because: impl Into<String>, of: &Known<T>) {
        let Some(Question { name: question, asked, .. }) = self.question else { return };
        let (because, evidence) = (because.into(), of.ids().to_vec());
        self.path.push(Step { question, asked, answer, because, evidence });
    }

    /// Answers with what the verdict rests on: the reasons stand in the step and before all others.
    pub(super) fn decided<T>(&mut self, answer: Answer, reasons: Vec<String>, of: &Known<T>) {
        self.step(answer, reasons.join("; "), of);
        self.because.splice(0..0, reasons);
    }

    /// Notes what could not be seen, once.
    pub(super) fn missing(&mut self, need: &str, how: String) {
        if !self.missing.iter().any(|missing| missing.need == need) {
            self.missing.push(Missing { need: need.into(), how });
        }
    }

    pub(super) fn verdict(mut self, id: VerdictId, certainty: Certainty) -> Verdict {
        let mut notes = Vec::new();
        if let Some(log) = self.known.log.value() {
            super::findings::of_log(log, &self.refusals, &mut self.findings);
            notes = super::findings::reach(&log.coverage);
        } else if let Some(log) = self.known.delays.value() {
            notes = super::findings::reach(&log.coverage);
        }
        super::findings::of_clients(self.evidence, &mut self.findings);
        if id != VerdictId::AuthUnreachable {
            self.findings.extend(auth_outage::beside(&self));
        }
        let (proxied, _) = auth_outage::proxied(&self);
        if proxied > 0 {
            self.findings.push(auth_outage::proxied_told(proxied));
        }
        let mut remedies = advise(id);
        device_removal::sign_out(&mut self, &mut remedies);
        let (window, keys) = (self.evidence.window, self.known.keys.value().copied());
        if let Some(keys) = keys.filter(|keys| keys.added > window.to) {
            // Rows have no history: a window in the past is judged by what stands today.
            let since = utc(keys.added);
            self.findings.push(format!(
                "the database tells of today: this identity came after the window, {since}"
            ));
        }
        let mut storm = self
            .known
            .log
            .value()
            .and_then(|log| self.refusals.storm(log, keys, window, self.evidence.now));
        let end = window.to.min(self.evidence.now);
        self.findings.extend(super::quiet_period::unread_after(&self.refusals.refused(), end));
        if let Some(storm) = storm.as_mut().filter(|_| self.evidence.database_behind().is_some()) {
            // What a replica still shows may be gone by now.
            storm.row_stands = None;
        }
        if id == VerdictId::OtkRecreated && storm.as_ref().is_none_or(|storm| !storm.goes_on) {
            self.findings.push(NOT_CURED.into());
        }
        // Of a client's word alone the log is the second witness, and is named as missing already.
        let by_client = id == VerdictId::OtkSameAccount && self.refusals.only_reported();
        if certainty == Certainty::Consistent
            && !(by_client && self.known.log.value().is_none())
            && let Some((need, how)) = confirmed_by(id)
        {
            self.missing(need, how.into());
        }
        super::database_lag::tell(self.evidence, &mut self.missing, &mut self.findings);
        Verdict {
            id,
            certainty,
            path: self.path,
            because: self.because,
            storm,
            resolved: self.refusals.resolved,
            figures: self.figures,
            more_figures: self.more_figures,
            findings: self.findings,
            also: self.known.unseen.also(),
            notes,
            remedies,
            missing: self.missing,
            window,
        }
    }
}

/// Domain: a storm that stopped is not cured (rust-sdk #5200, `SigningKeyChanged`).
const NOT_CURED: &str = "quiet is not cured: peers that remember the old identity refuse the new one, and each \
                         dead key that was handed out cost its receiver one undecryptable message";

/// What would turn "it fits" into "it is so".
fn confirmed_by(id: VerdictId) -> Option<(&'static str, &'static str)> {
    match id {
        VerdictId::OtkConcurrent => Some((
            "the second client",
            "ask which tabs, processes or copied tokens use this session",
        )),
        VerdictId::OtkRolledBack => Some((
            "what was put back",
            "ask whether a backup, snapshot or disk image of the client was restored just before the \
             first refusal",
        )),
        VerdictId::OtkRecreated
        | VerdictId::OtkSameAccount
        | VerdictId::OtkForeignIdentity
        | VerdictId::OtkDiverged => Some((
            "a witness besides the text log",
            "ask again while it goes on, with the database at hand: a row that equals the line's key \
             proves it; so does a Terse JSON log",
        )),
        VerdictId::OtkUploadLoop => {
            Some(("the client's side", "its log: why it takes its uploads for unanswered"))
        }
        VerdictId::DelayRateLimited
        | VerdictId::DelayHomeserverSlow
        | VerdictId::DelayGone
        | VerdictId::DelayOff => Some((
            "a log that cannot be forged",
            "Synapse's TerseJsonFormatter; a pending row or a sent event must tie the restarts to the user",
        )),
        VerdictId::AuthUnreachable => Some((
            "a log that cannot be forged",
            "Synapse's TerseJsonFormatter; and the authentication service's own log of these minutes",
        )),
        VerdictId::DelayNotArriving => Some((
            "the way to the server",
            "the client's HAR file: whether it sends restarts, and the proxy's log: where they end",
        )),
        VerdictId::OtkFlood => Some(("the count", "let Kestrel read e2e_one_time_keys_json")),
        _ => confirmed_in_calls(id),
    }
}

/// The same, of KE-2.
fn confirmed_in_calls(id: VerdictId) -> Option<(&'static str, &'static str)> {
    match id {
        VerdictId::MediaStaleDevice => Some((
            "a log that cannot be forged",
            "Terse JSON; and ask the sender to open the list of this user's devices",
        )),
        VerdictId::MediaDeadIdentity => Some((
            "a live watch",
            "`!ke2` with `live 60s` during a call shows for whom it is encrypted",
        )),
        VerdictId::MediaLinkKe1 | VerdictId::MediaOtkExhausted => {
            Some(("the same call afterwards", "heal KE-1 and call once more: it has to be gone"))
        }
        VerdictId::MediaValidation => Some((
            "the client's log",
            "a line on sender_device_keys names the check that failed, and whose keys",
        )),
        VerdictId::MediaNotDrained => {
            Some(("the user's word", "whether this device was switched on and in the call"))
        }
        VerdictId::MediaSfu => {
            Some(("the SFU's side", "LiveKit's log of the call: whether the tracks arrived"))
        }
        VerdictId::MediaSender => Some((
            "the sender's side",
            "whether its client sees this member in the call, and any device of the user's",
        )),
        _ => None,
    }
}

/// What to do where the database was not read.
pub(super) fn database_how(why: &str) -> String {
    format!("let Kestrel read Synapse's database ({why}); `kestrel grants` prints a read-only role")
}

/// What to do where the log was not read.
pub(super) fn log_how(why: &str) -> String {
    format!("give Kestrel the log of the process that serves /keys/upload ({why})")
}
