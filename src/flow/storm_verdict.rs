//! A storm → its verdict, by the same chain as a question, and how far the database bears the alert out.

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedDeviceId, OwnedUserId};

use super::answer::{Answer, Case, Flow};
use kestrel_core::diagnose::fleet::{Cause, Standing};
use kestrel_core::diagnose::verdict::Storm;
use kestrel_core::diagnose::verdict_row::StormCure;
use kestrel_core::diagnose::{Certainty, Judgement, Verdict, VerdictId, YOUNG, advise, is_young};
use kestrel_core::evidence::{Evidence, Fact, Known, Window, utc};
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render::judged::page;
use kestrel_core::render::{self, Page};
use kestrel_core::storm::{Change, Confirmation, Event, StormKind, Trigger, Whose};

/// How much before a storm its verdict looks, and how far back at most.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);
const FURTHEST: SignedDuration = SignedDuration::from_hours(2);
/// So many unknown devices of an alert about many, and the log was likely written by somebody.
const MADE_UP: usize = 2;

/// The longest time for which an alert that the database denies waits to be judged again.
pub const LONGEST_DENIAL: SignedDuration = YOUNG;
/// How long a storm lasts before it is evaluated: in its first second two clients look like one.
pub const SETTLE: SignedDuration = SignedDuration::from_secs(5);

/// How thoroughly a storm is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All four branches and the chain between them.
    Full,
    /// One-time keys only: hundreds of old storms in a row.
    Keys,
}

/// A storm's verdict, and what it rests on.
#[derive(Debug, Clone)]
pub struct Judged {
    pub verdict: VerdictId,
    pub sure: Confirmation,
    /// The answer as a room reads it; none where no source could be asked about this.
    pub page: Option<Page>,
    pub evidence: Option<Evidence>,
    pub judgement: Option<Judgement>,
    pub cure: Cure,
    /// The database denies it, and may only be late: nothing is said before it was asked again then.
    pub again: Option<Timestamp>,
}

/// Whether a storm that ended left a fault behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cure {
    Yes,
    /// The device is gone, and its keys with it.
    SignedOut,
    /// What is left, and who should act.
    No(String),
    Unknown,
}

impl Flow {
    /// Judges a storm by what is there at `now`.
    pub async fn judge_storm(&self, event: &Event, now: Timestamp, depth: Depth) -> Judged {
        let furthest = now.checked_sub(FURTHEST).unwrap_or(event.first);
        let from = event.first.checked_sub(BEFORE).unwrap_or(event.first).max(furthest);
        let span = Span::Between(from.min(now), now);
        match (&event.whose, event.kind) {
            (Whose::Device { user, device }, _) => {
                let topic = topic(event.kind, user.clone(), Some(device.clone()), depth);
                self.judge_device(event, &Question { topic, span }, now).await
            }
            (Whose::Everybody, StormKind::Fleet) if event.trigger == Trigger::Backlog => {
                judge_backlogs()
            }
            (Whose::Everybody, StormKind::Fleet) => {
                self.judge_fleet(event, &Question { topic: Topic::Fleet, span }, now).await
            }
            (Whose::Server, _) => judge_auth(),
            (Whose::Address(_) | Whose::Everybody, _) => judge_delay(event),
        }
    }

    async fn judge_device(&self, event: &Event, question: &Question, now: Timestamp) -> Judged {
        if let Some(user) = question.user().filter(|user| self.is_foreign(user)) {
            return Judged {
                sure: Confirmation::Contradicted(format!("{user} is not on this homeserver")),
                ..Judged::none(String::new())
            };
        }
        let device = question.device().map(|device| device.as_str()).unwrap_or_default();
        let grows = event.kind == StormKind::Backlog && event.change != Change::Ended;
        let amend = |evidence: &mut Evidence| {
            if grows {
                note_growth(evidence, event);
            }
        };
        match self.answer_amended(question, &[], now, amend).await {
            Answer::Case(case) => self.judged(event, device, *case),
            Answer::Survey(_) | Answer::Words(_) => {
                Judged::none("it could not be evaluated".into())
            }
        }
    }

    fn judged(&self, event: &Event, device: &str, case: Case) -> Judged {
        let Case { evidence, judgement, .. } = case;
        // A storm is about the keys, and one device's question is no survey.
        let Some(keys) = judgement.keys_verdict() else {
            return Judged::none("it could not be evaluated".into());
        };
        let sure = sure(event, &evidence, keys, device);
        let (sure, again) = in_time(event, evidence.now, sure);
        Judged {
            verdict: keys.id,
            sure,
            again,
            cure: match event.kind {
                StormKind::Backlog => fetched(&evidence, keys),
                _ => cure(event, keys),
            },
            page: Some(match &judgement {
                Judgement::Chain(chain) => render::brief(chain),
                _ => page(&evidence, &judgement, &self.view()),
            }),
            evidence: Some(evidence),
            judgement: Some(judgement),
        }
    }

    async fn judge_fleet(&self, event: &Event, question: &Question, now: Timestamp) -> Judged {
        let Answer::Survey(survey) = self.answer(question, now).await else {
            return Judged::none("the devices could not be checked".into());
        };
        let Judgement::Survey(all) = &survey.judgement else {
            return Judged::none("the devices could not be checked".into());
        };
        let with = |standing: &[Standing]| {
            all.affected.iter().filter(|one| standing.contains(&one.standing)).count()
        };
        let known = with(&[Standing::Proven, Standing::Exists]);
        let sure = match (known, with(&[Standing::Absent])) {
            (0, absent) if absent > 0 => {
                Confirmation::Contradicted("the database has none of these devices".into())
            }
            (0, _) => Confirmation::Unconfirmed(
                survey.evidence.database_behind().unwrap_or_else(|| self.no_database()),
            ),
            (known, absent) if absent > known * MADE_UP => Confirmation::Unconfirmed(format!(
                "the database has {known} of these devices and not the other {absent}"
            )),
            _ => Confirmation::Confirmed,
        };
        let (sure, again) = in_time(event, now, sure);
        let dead = all.affected.iter().filter(|one| one.has(Cause::DeadIdentity)).count();
        let cure = match dead {
            0 => Cure::Unknown,
            dead => Cure::No(format!(
                "{} still have keys of an old identity. Their users should log them out and in again; \
                 !fleet lists them",
                kestrel_core::evidence::counted(dead as u64, "device")
            )),
        };
        Judged {
            sure,
            cure,
            again,
            page: Some(page(&survey.evidence, &survey.judgement, &self.view())),
            evidence: Some(survey.evidence),
            judgement: Some(survey.judgement),
            ..Judged::none(String::new())
        }
    }

    fn no_database(&self) -> String {
        match self.config.database {
            Some(_) => "the database did not answer".into(),
            None => "no database is configured".into(),
        }
    }
}

/// What is asked about a storm of one device.
fn topic(kind: StormKind, user: OwnedUserId, device: Option<OwnedDeviceId>, depth: Depth) -> Topic {
    match (kind, depth) {
        (StormKind::Backlog, _) => Topic::Ke2 { user, device, sender: None, live: None },
        (_, Depth::Full) => Topic::All { user, device, event: None },
        (_, Depth::Keys) => Topic::Ke1 { user, device },
    }
}

/// Two looks within seconds seldom see a backlog grow; the slow ones that made it a storm did.
fn note_growth(evidence: &mut Evidence, event: &Event) {
    for answer in &mut evidence.gathered {
        if let Some(Fact::Inbox(inbox)) = &mut answer.fact {
            inbox.grown = Some(Window { from: event.first, to: event.last });
        }
    }
}

/// The device exists, and the refusals were of its own uploads. What the database itself showed needs no
/// log to bear it out.
fn sure(event: &Event, evidence: &Evidence, verdict: &Verdict, device: &str) -> Confirmation {
    let rows = match evidence.devices() {
        Known::Is(rows, _) => rows,
        Known::None(_) => &[],
        Known::Unknown(why, _) => return Confirmation::Unconfirmed(why),
    };
    let exists = rows.iter().any(|row| row.device.as_str() == device && !row.hidden);
    if let Some(why) = evidence.database_behind().filter(|_| !exists) {
        return Confirmation::Unconfirmed(why);
    }
    match (exists, verdict.certainty, &verdict.storm, resolved(event, verdict)) {
        (false, ..) => Confirmation::Contradicted("the database has no such device".into()),
        (true, ..) if matches!(event.kind, StormKind::DeadIdentity | StormKind::Backlog) => {
            Confirmation::Confirmed
        }
        // It is the homeserver's trouble, and no word on this device's uploads.
        (true, ..) if verdict.id == VerdictId::AuthUnreachable => Confirmation::Unconfirmed(
            "the device exists, but Synapse could not check access tokens in that time".into(),
        ),
        (true, _, None, Some(why)) => Confirmation::Unconfirmed(why),
        (true, Certainty::Proven, ..) | (true, _, Some(_), _) => Confirmation::Confirmed,
        (true, ..) if verdict.id == VerdictId::OtkFlood => Confirmation::Confirmed,
        (true, ..) => Confirmation::Unconfirmed(match evidence.key_log().unknown() {
            Some(why) => format!("the device exists, and the log could not be read: {why}"),
            None => {
                "the device exists, and the log does not connect the rejections to its own uploads"
                    .into()
            }
        }),
    }
}

/// Why the storm is history: all of it was before the device was removed and came back under its ID.
fn resolved(event: &Event, verdict: &Verdict) -> Option<String> {
    let resolved = verdict.resolved.filter(|resolved| event.last <= resolved.at)?;
    Some(format!(
        "resolved: all of it happened before {}, when the device was logged out and in again under the same ID",
        utc(resolved.at)
    ))
}

/// What the database denies of a storm that began less than a minute ago is not denied yet: the device may have
/// been logged in a moment before, and an alert that is dropped is never heard of. How long the storm continues
/// does not matter, so that made-up lines cannot hold the answer off for ever.
fn in_time(event: &Event, now: Timestamp, sure: Confirmation) -> (Confirmation, Option<Timestamp>) {
    match sure {
        Confirmation::Contradicted(why) if is_young(event.first, now) => {
            let why = format!("{why}, and the log shows it for less than a minute");
            (Confirmation::Unconfirmed(why), event.first.checked_add(YOUNG).ok())
        }
        sure => (sure, None),
    }
}

/// What a storm that ended left behind (domain: claimed dead keys, a replaced identity, a row that stands).
fn cure(event: &Event, verdict: &Verdict) -> Cure {
    let StormCure::NothingLeft { also_left, act } = verdict.id.row().storm else {
        return Cure::SignedOut;
    };
    if verdict.storm.is_none() && resolved(event, verdict).is_some() {
        return Cure::Yes;
    }
    let (Whose::Device { user, .. }, Some(storm)) = (&event.whose, &verdict.storm) else {
        return Cure::Unknown;
    };
    let mut left = Vec::from_iter(storm.claimed_keys());
    left.extend(also_left.map(ToOwned::to_owned));
    if storm.row_stands == Some(true) {
        left.push("the conflicting key is still there, so this will recur".into());
    }
    if storm.too_large.is_some() {
        left.push("the server now rejects its uploads as too many, so it has no new keys".into());
    }
    match (left.is_empty(), storm.row_stands) {
        (false, _) => {
            let act = act.unwrap_or_else(|| usual_act(storm));
            Cure::No(format!("{}. {user} should {act}", left.join("; ")))
        }
        (true, Some(false)) => Cure::Yes,
        (true, _) => Cure::Unknown,
    }
}

/// Whether a backlog is gone: fetched, or with its device.
fn fetched(evidence: &Evidence, verdict: &Verdict) -> Cure {
    match evidence.inbox() {
        _ if matches!(verdict.id.row().storm, StormCure::DeviceGone) => Cure::SignedOut,
        Known::None(_) => Cure::Yes,
        Known::Is(inbox, _) if inbox.pending == 0 => Cure::Yes,
        Known::Is(..) | Known::Unknown(..) => Cure::Unknown,
    }
}

fn usual_act(storm: &Storm) -> &'static str {
    if storm.dead_keys_handed_out > 0 {
        "log that device out and in again, and ask the senders to resend what was lost"
    } else {
        "log that device out and in again"
    }
}

/// Delayed events name nobody: only how they were answered is known.
fn judge_delay(event: &Event) -> Judged {
    let id = match event.trigger {
        Trigger::RateLimited => VerdictId::DelayRateLimited,
        Trigger::NotFound => VerdictId::DelayGone,
        Trigger::Slow
        | Trigger::Unnamed
        | Trigger::Key(_)
        | Trigger::DeadIdentity
        | Trigger::Backlog => VerdictId::DelayHomeserverSlow,
    };
    Judged {
        verdict: id,
        page: Some(render::remedies(id, &advise(id))),
        ..Judged::none("the database does not record how requests were answered".into())
    }
}

/// Only the log reports it, and a text log can be forged.
fn judge_auth() -> Judged {
    let id = VerdictId::AuthUnreachable;
    Judged {
        verdict: id,
        page: Some(render::remedies(id, &advise(id))),
        ..Judged::none(
            "only the log shows it. Check that the authentication service answers".into(),
        )
    }
}

/// Backlogs of many at once: the keys of everybody say nothing of them, and the database has shown them.
fn judge_backlogs() -> Judged {
    let id = VerdictId::MediaNotDrained;
    Judged { verdict: id, sure: Confirmation::Confirmed, ..Judged::none(String::new()) }
}

impl Judged {
    /// The same of a storm that the database bore out before: a device that is gone now was signed out, which
    /// contradicts nothing.
    pub fn of_known(self) -> Self {
        let denied = matches!(self.sure, Confirmation::Contradicted(_)) || self.again.is_some();
        let gone = self.cure == Cure::SignedOut && denied;
        Self { sure: if gone { Confirmation::Confirmed } else { self.sure }, ..self }
    }

    /// Whether nothing was decided.
    pub fn is_open(&self) -> bool {
        self.verdict == VerdictId::Inconclusive
    }

    /// Whether the verdict is the one that was kept under this name.
    pub fn is_named(&self, kept: Option<&str>) -> bool {
        kept.and_then(VerdictId::named) == Some(self.verdict)
    }

    /// No verdict, and why nobody could say.
    pub fn none(why: String) -> Self {
        Self {
            verdict: VerdictId::Inconclusive,
            sure: Confirmation::Unconfirmed(why),
            page: None,
            evidence: None,
            judgement: None,
            cure: Cure::Unknown,
            again: None,
        }
    }
}
