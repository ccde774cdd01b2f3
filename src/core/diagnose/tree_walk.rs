//! A walk down a branch: every question that was asked, and every answer on the way.

use super::certainty::Certainty;
use super::facts::Facts;
use super::quiet_period::too_large_at_end;
use super::refusals::Refusals;
use super::verdict::{Answer, Figure, Missing, Step};
use super::verdict_id::VerdictId;
use crate::evidence::key_log::Span;
use crate::evidence::{ClientFacts, Evidence, Known};

/// What ends a walk.
pub(super) type Ruling = (VerdictId, Certainty);

/// One question of a branch: a row of its table, from which the tree is shown too.
#[derive(Debug)]
pub struct TreeQuestion {
    pub name: &'static str,
    pub asked: &'static str,
    /// The verdicts that an answer to it can give; none where it only informs.
    pub rules: &'static [VerdictId],
    pub(super) ask: fn(&mut Walk) -> Option<Ruling>,
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
    question: Option<&'static TreeQuestion>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(evidence: &'a Evidence, known: &'a Facts<'a>) -> Self {
        let stored = known.stored_keys();
        let keys = known.keys.value().copied();
        let replica = evidence.replica();
        let mut refusals = Refusals::weigh(&known.reported, stored, keys, replica);
        let end = evidence.window.to.min(evidence.now);
        let too_large = too_large_at_end(&known.reported, end);
        let is_over = |span: Span| refusals.renewed.is_some_and(|at| span.last <= at);
        let too_large = too_large.filter(|span| !is_over(*span));
        refusals.note_too_large(too_large, stored);
        Self {
            evidence,
            known,
            refusals,
            path: Vec::new(),
            because: Vec::new(),
            findings: Vec::new(),
            missing: Vec::new(),
            figures: Vec::new(),
            more_figures: Vec::new(),
            relogin: None,
            question: None,
        }
    }

    /// What the clients of the device asked about say, each with the evidence's id.
    pub(super) fn own_clients(&self) -> impl Iterator<Item = (&'a str, &'a ClientFacts)> {
        let subject = self.evidence.device();
        self.evidence
            .clients()
            .filter(move |(_, client)| subject.is_some_and(|own| client.is_of(own)))
    }

    /// Asks one question of its branch.
    pub(super) fn ask(&mut self, question: &'static TreeQuestion) -> Option<Ruling> {
        self.question = Some(question);
        (question.ask)(self)
    }

    /// Answers the question that is being asked.
    pub(super) fn step<T>(&mut self, answer: Answer, because: impl Into<String>, of: &Known<T>) {
        let Some(TreeQuestion { name: question, asked, .. }) = self.question else { return };
        self.path.push(Step {
            question,
            asked,
            answer,
            because: because.into(),
            evidence: of.ids().to_vec(),
        });
    }

    /// Answers with what the verdict rests on: the reasons are in the step and before all others.
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
}

/// What to do where the database was not read.
pub(super) fn database_how(why: &str) -> String {
    format!(
        "let Kestrel read Synapse's database ({why}); `kestrel grants` prints the SQL for a read-only role"
    )
}

/// What to do where the log was not read.
pub(super) fn log_how(why: &str) -> String {
    format!("give Kestrel the log of the process that serves /keys/upload ({why})")
}
