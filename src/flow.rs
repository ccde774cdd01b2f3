//! The chain, spelled once: command → plan → collect → evidence → diagnose → render.
//! The bot and the terminal both call it.

mod again;
mod alert;
mod capture;
mod poll;
pub mod report;
pub mod storm_list;
mod visible;

use std::sync::Arc;

use jiff::Timestamp;
use ruma::{OwnedDeviceId, UserId};
use tokio::sync::Semaphore;

use crate::collect;
use crate::config::Config;
use kestrel_core::command::{self, Command, Ke1, Ke2, Ke3, Span, Triage};
use kestrel_core::diagnose::device_list::worst_first;
use kestrel_core::diagnose::{
    AlsoId, Certainty, Verdict, VerdictId, advise, chain, diagnose, fleet, questions,
};
use kestrel_core::evidence::{Evidence, Fact, Gathered, Need, State, Symptom, counted};
use kestrel_core::plan::Plan;
use kestrel_core::render::{self, Reply, View};

pub use again::{again, client_said, what_changed};
pub use alert::{Cure, Depth, Judged, SETTLE};
pub use capture::{Captured, InboxWatch};
pub use kestrel_core::diagnose::YOUNG;
pub use kestrel_core::evidence::poll::{Cursor, Poll};
pub use visible::BlindLog;

/// The chain with its configuration.
#[derive(Debug, Clone)]
pub struct Flow {
    config: Arc<Config>,
    /// One live watch at a time: each asks the database fifty times a second.
    watch: Arc<Semaphore>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Help, a list of devices, a slip: words only.
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
    pub evidence: Evidence,
}

/// A judged question.
#[derive(Debug, Clone)]
pub struct Case {
    /// At most 12 lines for a phone, and a line each for some of the devices that the subject was chosen from.
    pub reply: Reply,
    pub verdict: Verdict,
    /// The evidence it rests on: attached as `evidence.json`, and kept so that `!why` works later.
    pub evidence: Evidence,
}

impl Flow {
    /// A chain over the configured sources.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, watch: Arc::new(Semaphore::new(1)) }
    }

    /// Answers one command. Never fails: a source that fails is evidence. `Command::Why` is answered
    /// by `why`, because only the caller knows which case a thread is about, and storms and mutes by whoever
    /// holds the ledger.
    pub async fn answer(&self, command: &Command, now: Timestamp) -> Answer {
        self.answer_with(command, &[], now).await
    }

    /// The same, with what clients said of themselves.
    pub async fn answer_with(
        &self,
        command: &Command,
        client: &[Gathered],
        now: Timestamp,
    ) -> Answer {
        let window = self.config.limits.window;
        if let Some(slip) =
            self.config.server.name.as_ref().and_then(|name| command::foreign_user(command, name))
        {
            return Answer::Words(render::slip(&slip).reply());
        }
        match command {
            Command::Ke1(typed) => self.ke1(typed, client, now).await,
            Command::Ke2(typed) => self.ke2(typed, client, now).await,
            Command::Ke3(typed) => self.judge(&Plan::ke3(typed, window, now).with(client)).await,
            Command::Ke4(typed) => self.judge(&Plan::ke4(typed, window, now).with(client)).await,
            Command::Triage(typed) => self.triage(typed, client, now).await,
            Command::Fleet(span) => self.fleet(*span, now).await,
            Command::Help(about) => {
                Answer::Words(render::help(&command::help(about.as_deref())).reply())
            }
            Command::Tree(about) => Answer::Words(trees(about.as_deref()).reply()),
            Command::Remedies(verdict) => Answer::Words(remedies(verdict.as_deref()).reply()),
            Command::Storms | Command::Mute { .. } | Command::Unmute(_) => Answer::Words(
                render::lines(["The storm watch answers that itself, in an ops room."]).reply(),
            ),
            Command::Report { .. } => Answer::Words(
                render::lines(["!report reads a file in an ops room: reply to it there."]).reply(),
            ),
            Command::Capture(_) => Answer::Words(
                render::lines(["The bot answers that itself, in an ops room."]).reply(),
            ),
            Command::Cases(_) | Command::Case { .. } => Answer::Words(
                render::lines([
                    "Cases are kept by the bot: it answers that itself, in an ops room.",
                ])
                .reply(),
            ),
            Command::Why => Answer::Words(
                render::lines(["!why belongs into the thread of a verdict: answer there."]).reply(),
            ),
        }
    }

    async fn ke1(&self, typed: &Ke1, client: &[Gathered], now: Timestamp) -> Answer {
        let Some(device) = typed.device.clone() else {
            return Answer::Words(self.devices(&typed.user).await);
        };
        self.judge(&Plan::ke1(typed, device, self.config.limits.window, now).with(client)).await
    }

    async fn ke2(&self, typed: &Ke2, client: &[Gathered], now: Timestamp) -> Answer {
        let Some(device) = typed.device.clone() else {
            return Answer::Words(self.devices(&typed.user).await);
        };
        let plan = Plan::ke2(typed, device, self.config.limits.window, now).with(client);
        if plan.live.is_none() {
            return self.judge(&plan).await;
        }
        let Ok(_watching) = self.watch.try_acquire() else {
            let line = "Another live watch is running; please ask again when it has ended.";
            return Answer::Words(render::lines([line]).reply());
        };
        self.judge(&plan).await
    }

    /// What is said before a live watch begins: it ends long after it was asked for, and needs a call.
    /// Nothing where none will begin.
    pub fn announcement(&self, command: &Command) -> Option<Reply> {
        let Command::Ke2(Ke2 { user, device: Some(device), live: Some(length), .. }) = command
        else {
            return None;
        };
        let server = self.config.server.name.as_ref();
        let foreign = server.is_some_and(|name| command::foreign_user(command, name).is_some());
        let begins = self.config.database.is_some() && self.watch.available_permits() > 0;
        let seconds = length.as_secs();
        let line =
            format!("Watching the inbox of {user} {device} for {seconds} s: make the call now.");
        (begins && !foreign).then(|| render::lines([line.as_str()]).reply())
    }

    async fn triage(&self, typed: &Triage, client: &[Gathered], now: Timestamp) -> Answer {
        let (device, listed) = match typed.device.clone() {
            Some(device) => (device, None),
            None => match self.worst_device(&typed.user).await {
                Ok((device, listed)) => (device, Some(listed)),
                Err(reply) => return Answer::Words(reply),
            },
        };
        // A report that names an event asks about it too.
        let mut typed = typed.clone();
        typed.event = typed.event.or_else(|| reported_event(client));
        let plan = Plan::all(&typed, device, self.config.limits.window, now).with(client);
        self.judge(&plan.out_of(listed)).await
    }

    /// The user's device in trouble, else the one seen last, and all of them; a session without encryption keys
    /// only where the user has nothing else.
    async fn worst_device(&self, user: &UserId) -> Result<(OwnedDeviceId, Gathered), Reply> {
        let Some(database) = &self.config.database else {
            return Err(self.devices(user).await);
        };
        let deadline = self.config.limits.deadline;
        let list = collect::postgres::device_list(user, database, deadline).await;
        let mut list = list.unwrap_or_default();
        worst_first(&mut list.rows);
        let Some(device) = list.rows.first().map(|row| row.device.clone()) else {
            return Err(self.devices(user).await);
        };
        let what = counted(list.rows.len() as u64, "device");
        let fact = Some(Fact::Devices(list.rows));
        let (need, state) = (Need::DeviceList, State::Found);
        Ok((device, Gathered::told(need, "database", state, what, list.query, fact)))
    }

    async fn fleet(&self, span: Span, now: Timestamp) -> Answer {
        let server = self.config.server.name.clone();
        let evidence =
            self.collect(&Plan::fleet(span, server, self.config.limits.window, now)).await;
        let reply = render::fleet(&evidence, &fleet(&evidence), &self.view()).reply();
        Answer::Survey(Box::new(Survey { reply, evidence }))
    }

    async fn judge(&self, plan: &Plan) -> Answer {
        let evidence = self.collect(plan).await;
        let verdict = diagnose(&evidence);
        let reply = page(&evidence, &self.view()).reply();
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

    async fn devices(&self, user: &UserId) -> Reply {
        let Some(database) = &self.config.database else {
            return render::lines(["Name a device: without a database Kestrel cannot list them."])
                .reply();
        };
        let deadline = self.config.limits.deadline;
        match collect::postgres::device_list(user, database, deadline).await {
            Ok(list) => {
                let behind = list.behind.as_deref();
                render::devices(user.as_str(), &list.rows, behind, &self.view()).reply()
            }
            Err(why) => {
                let line = format!("The devices cannot be listed: {why}. Name the device instead.");
                render::lines([line.as_str()]).reply()
            }
        }
    }

    /// A case's answer with its number in the last line.
    pub fn numbered(&self, evidence: &Evidence, number: u64) -> Reply {
        render::case::numbered(page(evidence, &self.view()), number).reply()
    }

    /// The whole path of a case with every query that was run.
    pub fn why(&self, evidence: &Evidence) -> Reply {
        why(evidence, &self.view()).reply()
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

/// The first event that a client's report names.
fn reported_event(client: &[Gathered]) -> Option<Ke3> {
    let facts = client.iter().filter_map(|answer| match &answer.fact {
        Some(Fact::Client(facts)) => Some(facts),
        _ => None,
    });
    let seen = facts.flat_map(|facts| &facts.events).next()?;
    let event = seen.event.as_str().try_into().ok()?;
    Some(Ke3 { event, room: None, column: None })
}

/// What a case's evidence comes to, as it is answered in a room and on a terminal.
pub fn page(evidence: &Evidence, view: &View) -> render::Page {
    match evidence.symptom {
        Symptom::Fleet => render::fleet(evidence, &fleet(evidence), view),
        Symptom::All => render::chain(evidence, &chain(evidence), view),
        _ => render::answer(evidence, &diagnose(evidence), view),
    }
}

/// Everything behind it.
pub fn why(evidence: &Evidence, view: &View) -> render::Page {
    match evidence.symptom {
        Symptom::Fleet => render::fleet_why(evidence, &fleet(evidence), view),
        Symptom::All => render::chain_why(evidence, &chain(evidence), view),
        _ => render::why(evidence, &diagnose(evidence), view),
    }
}

/// The stable JSON of a case.
pub fn json(evidence: &Evidence) -> serde_json::Value {
    match evidence.symptom {
        Symptom::Fleet => render::json::fleet(evidence, &fleet(evidence)),
        Symptom::All => render::json::chain(evidence, &chain(evidence)),
        _ => render::json::json(evidence, &diagnose(evidence)),
    }
}

/// A verdict's name, as cases are kept under it; a survey has none.
pub fn verdict(evidence: &Evidence) -> &'static str {
    match evidence.symptom {
        Symptom::Fleet => "survey",
        _ => diagnose(evidence).id.name(),
    }
}

/// How sure a case's verdict is; a survey that was read is as sure as a list can be.
pub fn certainty(evidence: &Evidence) -> Certainty {
    match evidence.symptom {
        Symptom::Fleet => fleet(evidence).certainty(),
        _ => diagnose(evidence).certainty,
    }
}

/// The tree of one branch, or of all.
fn trees(about: Option<&str>) -> render::Page {
    let asked = |symptom: &Symptom| about.is_none_or(|about| symptom.name() == about);
    let mut pages = Symptom::BRANCHES
        .into_iter()
        .filter(asked)
        .map(|symptom| render::tree(symptom, questions(symptom)));
    let Some(mut page) = pages.next() else {
        return render::lines(["I know the trees of ke1, ke2, ke3 and ke4."]);
    };
    pages.for_each(|next| page.append(next));
    page
}

/// The remedies of one verdict, or all there are.
fn remedies(verdict: Option<&str>) -> render::Page {
    if let Some(also) = AlsoId::ALL.into_iter().find(|id| verdict == Some(id.name())) {
        return render::what_to_do(also);
    }
    let named = |id: &VerdictId| verdict == Some(id.name());
    match VerdictId::ALL.into_iter().find(named) {
        Some(id) => render::remedies(id, &advise(id)),
        None => render::all_remedies(&VerdictId::ALL),
    }
}
