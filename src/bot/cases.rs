//! `!cases` and `!case` → the store's cases, and what it says of them; and their deletion in time.

use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::Room;
use ruma::{EventId, UserId};

use super::answer::Desk;
use super::line::ChatLine;
use super::outbox;
use super::send::About;
use super::supervise::Ended;
use super::words;
use crate::config::Cases;
use crate::flow::{self, Answer};
use crate::store::{Kept, NewMessage, Store};
use kestrel_core::command::Look;
use kestrel_core::evidence::Evidence;
use kestrel_core::render::Reply;
use kestrel_core::render::case::{self, CaseLine};

/// Cases that a list shows.
const LISTED: usize = 20;
/// How often what is too old is deleted.
const HOURLY: Duration = Duration::from_secs(60 * 60);

/// Deletes what is older than the config allows, once at the start and then hourly.
pub(super) async fn forget_in_time(store: Store, cases: Cases) -> Ended {
    let keep = SignedDuration::try_from(cases.keep).unwrap_or(SignedDuration::MAX);
    loop {
        let oldest = Timestamp::now().checked_sub(keep).unwrap_or(Timestamp::MIN);
        let (kept, most) = (store.clone(), cases.most);
        let work = tokio::task::spawn_blocking(move || kept.forget_before(oldest, most));
        match work.await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!("{count} cases were old and are deleted"),
            Ok(Err(error)) => tracing::warn!("old cases are not deleted yet: {error:#}"),
            Err(error) => tracing::error!("deleting old cases broke off: {error}"),
        }
        tokio::time::sleep(HOURLY).await;
    }
}

impl Desk {
    /// The newest, of one user or of all.
    pub(super) fn cases(&self, user: Option<&UserId>) -> Result<Reply> {
        let cases = self.store.cases(user, LISTED)?;
        let links: Vec<_> = cases.iter().map(link).collect();
        let lines: Vec<_> =
            cases.iter().zip(&links).map(|(kept, link)| self.told(kept, link.as_deref())).collect();
        Ok(case::cases(&lines, user.map(UserId::as_str), &self.flow.view()).reply())
    }

    /// One case as it was answered, or all behind it; or its end.
    pub(super) fn case(&self, number: u64, look: Look) -> Result<Reply> {
        if look == Look::Delete {
            return Ok(match self.store.forget_case(number)? {
                true => words::case_deleted(number),
                false => words::no_such_case(number),
            });
        }
        let (kept, evidence) = match self.found(number) {
            Ok(found) => found,
            Err(reply) => return Ok(reply),
        };
        let view = self.flow.view();
        Ok(match look {
            Look::Why => self.flow.why(&evidence),
            _ => {
                let page = flow::kept_page(&evidence, &view);
                case::kept(&self.told(&kept, None), page, &view).reply()
            }
        })
    }

    /// Asks the same question now: first what changed since, then the answer, in the case's own thread.
    pub(super) async fn again(
        &self,
        room: &Room,
        line: &ChatLine,
        number: u64,
        asked_at: Timestamp,
    ) -> Vec<NewMessage> {
        let room = room.room_id();
        let words = |reply: &Reply| vec![outbox::answer(room, line, About::Answer, reply, None)];
        let (kept, before) = match self.found(number) {
            Ok(found) => found,
            Err(reply) => return words(&reply),
        };
        let Some(command) = flow::again(&before) else {
            return words(&words::not_again(number));
        };
        let client = flow::client_said(&before);
        let answer = self.flow.answer_with(&command, &client, asked_at).await;
        let now = match &answer {
            Answer::Words(reply) => return words(reply),
            Answer::Case(case) => (&case.evidence, &case.judgement),
            Answer::Survey(survey) => (&survey.evidence, &survey.judgement),
        };
        let changed = flow::what_changed(&before, now);
        let said = case::changes(&self.told(&kept, None), &changed, &self.flow.view()).reply();
        let mut line = line.clone();
        if let Some(thread) = thread(&kept).filter(|_| kept.room.as_deref() == Some(room)) {
            line.thread = Some(thread.to_owned());
        }
        let mut messages = vec![outbox::answer(room, &line, About::Changes, &said, None)];
        messages.extend(self.give(room, &line, answer));
        messages
    }

    /// A case by its number, or what there is to say instead.
    fn found(&self, number: u64) -> Result<(Kept, Evidence), Reply> {
        match self.store.case(number) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(words::no_such_case(number)),
            Err(error) => {
                tracing::warn!("case {number} cannot be read: {error:#}");
                Err(words::case_unreadable(number))
            }
        }
    }

    /// A case as lists and heads name it. What the storm watch asked, nobody asked.
    fn told<'a>(&self, kept: &'a Kept, link: Option<&'a str>) -> CaseLine<'a> {
        let asker = kept.asker.as_deref().filter(|asker| Some(*asker) != self.own.as_deref());
        CaseLine {
            number: kept.number,
            at: kept.at,
            symptom: kept.symptom,
            about: &kept.about,
            verdict: &kept.verdict,
            certainty: &kept.certainty,
            asker: asker.map(UserId::as_str),
            link,
        }
    }
}

/// The thread that a case stands in; none as long as a storm's first message is not sent.
fn thread(kept: &Kept) -> Option<&EventId> {
    kept.thread.as_deref().filter(|thread| !thread.as_str().starts_with(super::post::UNSENT))
}

/// A link to the case's thread.
fn link(kept: &Kept) -> Option<String> {
    let (room, thread) = (kept.room.as_ref()?, thread(kept)?);
    Some(room.matrix_to_event_uri(thread.to_owned()).to_string())
}
