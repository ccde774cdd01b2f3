//! A question → its answer: the chain itself, from plan to reply.

use std::sync::Arc;

use jiff::Timestamp;
use ruma::UserId;
use tokio::sync::Semaphore;

use super::devices::{device_list, worst_device};
use crate::collect;
use crate::config::Config;
use kestrel_core::diagnose::{Judgement, Verdict, judge};
use kestrel_core::evidence::{EventSubject, Evidence, Fact, Gathered, Symptom};
use kestrel_core::plan::{NoDevice, Plan};
use kestrel_core::question::{Question, Topic};
use kestrel_core::render::judged::{page, why};
use kestrel_core::render::{self, Reply, View};

/// The chain with its configuration.
#[derive(Debug, Clone)]
pub struct Flow {
    pub(super) config: Arc<Config>,
    /// One live watch at a time: each asks the database fifty times a second.
    pub(super) live_watch: Arc<Semaphore>,
}

/// What a question came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Words only: a list of devices, or why there is no verdict.
    Words(Reply),
    /// A verdict, with what it rests on.
    Case(Box<Case>),
    /// Who is affected, with what it rests on.
    Survey(Box<Survey>),
}

/// A look at everybody: no verdict.
#[derive(Debug, Clone)]
pub struct Survey {
    pub reply: Reply,
    pub judgement: Judgement,
    pub evidence: Evidence,
}

/// A judged question.
#[derive(Debug, Clone)]
pub struct Case {
    /// Short enough for a phone; where the device was chosen, the user's other devices are listed too.
    pub reply: Reply,
    /// Made once, and used for the answer, for the saved case and for `!why`.
    pub judgement: Judgement,
    /// The evidence it rests on: attached as `evidence.json`, and kept so that `!why` works later.
    pub evidence: Evidence,
}

impl Case {
    /// The verdict; of a chain the one to act on first.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.judgement.verdict()
    }
}

impl Flow {
    /// A chain over the configured sources.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, live_watch: Arc::new(Semaphore::new(1)) }
    }

    /// Answers one question. Never fails: a source that fails is evidence.
    pub async fn answer(&self, question: &Question, now: Timestamp) -> Answer {
        self.answer_with(question, &[], now).await
    }

    /// The same, with what clients said of themselves.
    pub async fn answer_with(
        &self,
        question: &Question,
        client: &[Gathered],
        now: Timestamp,
    ) -> Answer {
        self.answer_amended(question, client, now, |_| {}).await
    }

    /// The same; `amend` adds what was seen before the question, so that the evidence is judged once and whole.
    pub(super) async fn answer_amended(
        &self,
        question: &Question,
        client: &[Gathered],
        now: Timestamp,
        amend: impl FnOnce(&mut Evidence) + Send,
    ) -> Answer {
        if let Some(reply) = question.user().and_then(|user| self.foreign(user)) {
            return Answer::Words(reply);
        }
        let mut question = question.clone();
        let mut listed = None;
        if let Topic::All { user, device, event } = &mut question.topic {
            if device.is_none() {
                match worst_device(user, &self.config).await {
                    Ok((worst, list)) => {
                        *device = Some(worst);
                        listed = Some(list);
                    }
                    Err(reply) => return Answer::Words(reply),
                }
            }
            // A report that names an event asks about it too.
            if event.is_none() {
                *event = reported_event(client);
            }
        }
        let plan = match self.plan(&question, now) {
            Ok(plan) => plan,
            Err(NoDevice { user }) => return Answer::Words(device_list(&user, &self.config).await),
        };
        if plan.symptom == Symptom::Fleet {
            return self.survey(&plan).await;
        }
        let plan = plan.with(client).out_of(listed);
        if plan.live.is_none() {
            return self.judge(&plan, amend).await;
        }
        let Ok(_watching) = self.live_watch.try_acquire() else {
            let line = "Another live watch is running. Ask again when it ends.";
            return Answer::Words(render::lines([line]).reply());
        };
        self.judge(&plan, amend).await
    }

    /// What the question means here.
    pub(super) fn plan(&self, question: &Question, now: Timestamp) -> Result<Plan, NoDevice> {
        Plan::new(question, self.config.server.name.as_deref(), self.config.limits.window, now)
    }

    /// What is said where the user is on another homeserver: nothing of theirs is kept here.
    pub fn foreign(&self, user: &UserId) -> Option<Reply> {
        let own = self.config.server.name.as_ref()?;
        self.is_foreign(user).then(|| render::foreign_user(user, own).reply())
    }

    /// Whether the user is on another homeserver than the configured one.
    pub(super) fn is_foreign(&self, user: &UserId) -> bool {
        self.config.server.name.as_ref().is_some_and(|name| user.server_name() != name)
    }

    async fn survey(&self, plan: &Plan) -> Answer {
        let evidence = self.collect(plan).await;
        let judgement = judge(&evidence);
        let reply = page(&evidence, &judgement, &self.view()).reply();
        Answer::Survey(Box::new(Survey { reply, judgement, evidence }))
    }

    async fn judge(&self, plan: &Plan, amend: impl FnOnce(&mut Evidence) + Send) -> Answer {
        let mut evidence = self.collect(plan).await;
        amend(&mut evidence);
        let judgement = judge(&evidence);
        let reply = page(&evidence, &judgement, &self.view()).reply();
        Answer::Case(Box::new(Case { reply, judgement, evidence }))
    }

    /// Everything the plan asks for, fit to be posted.
    pub async fn collect(&self, plan: &Plan) -> Evidence {
        let mut evidence = collect::run(plan, &self.config).await;
        if !self.config.limits.show_addresses {
            evidence.shorten_addresses();
        }
        evidence
    }

    /// A case's answer with its number in the last line.
    pub fn numbered(&self, evidence: &Evidence, judgement: &Judgement, number: u64) -> Reply {
        render::case::numbered(page(evidence, judgement, &self.view()), number).reply()
    }

    /// The whole path of a case with every query that was run. A saved case has its evidence only.
    pub fn why(&self, saved: &Evidence) -> Reply {
        why(saved, &judge(saved), &self.view()).reply()
    }

    /// A case's evidence as the text of `evidence.json`.
    pub fn evidence_json(&self, evidence: &Evidence) -> String {
        serde_json::to_string_pretty(evidence).unwrap_or_default()
    }

    /// How people here read times.
    pub fn view(&self) -> View {
        View::in_zone(self.config.limits.timezone.clone())
    }
}

/// The answer of a saved case: it has its evidence only, and is judged once more.
pub fn page_of_saved(saved: &Evidence, view: &View) -> render::Page {
    page(saved, &judge(saved), view)
}

/// The first event that a client's report names.
fn reported_event(client: &[Gathered]) -> Option<EventSubject> {
    let facts = client.iter().filter_map(|answer| match &answer.fact {
        Some(Fact::Client(facts)) => Some(facts),
        _ => None,
    });
    let seen = facts.flat_map(|facts| &facts.events).next()?;
    let event = seen.event.as_str().try_into().ok()?;
    Some(EventSubject { event, room: None, column: None })
}
