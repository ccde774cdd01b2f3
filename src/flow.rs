//! The chain, spelled once: command → plan → collect → evidence → diagnose → render.
//! The bot and the terminal both call it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::collect;
use crate::command::{self, Command, Ke1};
use crate::config::Config;
use crate::diagnose::remedy::advise;
use crate::diagnose::{Verdict, VerdictId, diagnose, questions};
use crate::evidence::{Evidence, Symptom};
use crate::plan::Plan;
use crate::render::{self, Reply, View};

/// The chain with its configuration.
#[derive(Debug, Clone)]
pub struct Flow {
    config: Arc<Config>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Help, a list of devices, a slip: words only.
    Words(Reply),
    /// A verdict, with what it rests on.
    Case(Box<Case>),
}

/// A judged question.
#[derive(Debug, Clone)]
pub struct Case {
    /// At most 12 lines for a phone.
    pub reply: Reply,
    pub verdict: Verdict,
    /// The evidence it rests on: attached as `evidence.json`, and kept so that `!why` works later.
    pub evidence: Evidence,
}

impl Flow {
    /// A chain over the configured sources.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }

    /// Answers one command. Never fails: a source that fails is evidence. `Command::Why` is answered
    /// by `why`, because only the caller knows which case a thread is about.
    pub async fn answer(&self, command: &Command, now: Timestamp) -> Answer {
        if let Some(slip) =
            self.config.server.name.as_ref().and_then(|name| command::foreign_user(command, name))
        {
            return Answer::Words(render::slip(&slip).reply());
        }
        match command {
            Command::Ke1(typed) => self.ke1(typed, now).await,
            Command::Ke3(typed) => {
                self.judge(&Plan::ke3(typed, self.config.limits.window, now)).await
            }
            Command::Help(about) => {
                Answer::Words(render::help(&command::help(about.as_deref())).reply())
            }
            Command::Tree(about) => Answer::Words(trees(about.as_deref()).reply()),
            Command::Remedies(verdict) => Answer::Words(remedies(verdict.as_deref()).reply()),
            Command::Why => Answer::Words(
                render::lines(["!why belongs into the thread of a verdict: answer there."]).reply(),
            ),
        }
    }

    async fn ke1(&self, typed: &Ke1, now: Timestamp) -> Answer {
        let Some(device) = typed.device.clone() else {
            return Answer::Words(self.devices(typed).await);
        };
        self.judge(&Plan::ke1(typed, device, self.config.limits.window, now)).await
    }

    async fn judge(&self, plan: &Plan) -> Answer {
        let evidence = self.collect(plan).await;
        let verdict = diagnose(&evidence);
        let reply = render::answer(&evidence, &verdict, &self.view()).reply();
        Answer::Case(Box::new(Case { reply, verdict, evidence }))
    }

    /// Everything the plan asks for, fit to be posted.
    pub async fn collect(&self, plan: &Plan) -> Evidence {
        let mut evidence = collect::run(plan, &self.config).await;
        if !self.config.limits.show_addresses {
            evidence.shorten_addresses();
        }
        evidence
    }

    async fn devices(&self, typed: &Ke1) -> Reply {
        let Some(database) = &self.config.database else {
            return render::lines(["Name a device: without a database Kestrel cannot list them."])
                .reply();
        };
        let deadline = self.config.limits.deadline;
        match collect::postgres::device_list(&typed.user, database, deadline).await {
            Ok(rows) => render::devices(typed.user.as_str(), &rows, &self.view()).reply(),
            Err(why) => {
                let line = format!("The devices cannot be listed: {why}. Name the device instead.");
                render::lines([line.as_str()]).reply()
            }
        }
    }

    /// The whole path of a case with every query that was run.
    pub fn why(&self, evidence: &Evidence) -> Reply {
        render::why(evidence, &diagnose(evidence), &self.view()).reply()
    }

    /// A case's evidence as the text of `evidence.json`.
    pub fn evidence_json(&self, evidence: &Evidence) -> String {
        serde_json::to_string_pretty(evidence).unwrap_or_default()
    }

    /// How people here read times.
    pub fn view(&self) -> View {
        View { zone: self.config.limits.timezone.clone() }
    }
}

/// The tree of one branch, or of all.
fn trees(about: Option<&str>) -> render::Page {
    let asked = |symptom: &Symptom| about.is_none_or(|about| symptom.name() == about);
    let mut pages = Symptom::ALL
        .into_iter()
        .filter(asked)
        .map(|symptom| render::tree(symptom, questions(symptom)));
    let Some(mut page) = pages.next() else {
        return render::lines(["I know the trees of ke1 and ke3."]);
    };
    pages.for_each(|next| page.append(next));
    page
}

/// The remedies of one verdict, or all there are.
fn remedies(verdict: Option<&str>) -> render::Page {
    let named = |id: &VerdictId| verdict == Some(id.name());
    match VerdictId::ALL.into_iter().find(named) {
        Some(id) => render::remedies(id, &advise(id)),
        None => render::all_remedies(&VerdictId::ALL),
    }
}
