//! `!cases` and `!case` → the store's cases, and their automatic deletion.

use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::Room;
use ruma::{EventId, UserId};

use super::state::Responder;
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::owed_message;
use crate::bot::outbox::placeholder;
use crate::bot::supervisor::TaskEnd;
use crate::config::Cases;
use crate::flow::{self, Answer};
use crate::store::{Kept, NewMessage, Store};
use kestrel_core::command::CaseAction;
use kestrel_core::evidence::Evidence;
use kestrel_core::render::Reply;
use kestrel_core::render::case::{self, CaseLine};
use kestrel_core::render::replies;

/// Cases that a list shows.
const LISTED: usize = 20;
/// How often what is too old is deleted.
const HOURLY: Duration = Duration::from_secs(60 * 60);

/// Deletes what is older than the config allows, once at the start and then hourly.
pub(crate) async fn forget_in_time(store: Store, cases: Cases) -> TaskEnd {
    let keep = SignedDuration::try_from(cases.keep).unwrap_or(SignedDuration::MAX);
    loop {
        let oldest = Timestamp::now().checked_sub(keep).unwrap_or(Timestamp::MIN);
        let kept = store.clone();
        let most = cases.most;
        let work = tokio::task::spawn_blocking(move || kept.forget_before(oldest, most));
        match work.await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!("deleted {count} old cases"),
            Ok(Err(error)) => {
                tracing::warn!("old cases could not be deleted, trying again in an hour: {error:#}")
            }
            Err(error) => tracing::error!("deleting old cases failed: {error}"),
        }
        tokio::time::sleep(HOURLY).await;
    }
}

impl Responder {
    /// The newest, of one user or of all.
    pub(crate) fn cases(&self, user: Option<&UserId>) -> Result<Reply> {
        let cases = self.store.cases(user, LISTED)?;
        let links: Vec<_> = cases.iter().map(link).collect();
        let lines: Vec<_> = cases
            .iter()
            .zip(&links)
            .map(|(kept, link)| self.case_line(kept, link.as_deref()))
            .collect();
        Ok(case::cases(&lines, user.map(UserId::as_str), &self.flow.view()).reply())
    }

    /// Shows one case as it was answered, or every step of it, or deletes it.
    pub(crate) fn case(&self, number: u64, action: CaseAction) -> Result<Reply> {
        if action == CaseAction::Delete {
            if self.store.forget_case(number)? {
                return Ok(replies::case_deleted(number));
            }
            return Ok(replies::no_such_case(number));
        }
        let (kept, evidence) = match self.found(number) {
            Ok(found) => found,
            Err(reply) => return Ok(reply),
        };
        let view = self.flow.view();
        Ok(match action {
            CaseAction::Why => self.flow.why(&evidence),
            _ => {
                let page = flow::page_of_saved(&evidence, &view);
                case::kept(&self.case_line(&kept, None), page, &view).reply()
            }
        })
    }

    /// Asks the same question now: first what changed since, then the answer, in the case's own thread.
    pub(crate) async fn again(
        &self,
        room: &Room,
        line: &ChatLine,
        number: u64,
        asked_at: Timestamp,
    ) -> Vec<NewMessage> {
        let room = room.room_id();
        let words =
            |reply: &Reply| vec![owed_message::answer(room, line, Purpose::Answer, reply, None)];
        let (kept, before) = match self.found(number) {
            Ok(found) => found,
            Err(reply) => return words(&reply),
        };
        let Some(question) = flow::rerun(&before) else {
            return words(&replies::not_again(number));
        };
        let client = flow::client_said(&before);
        let answer = self.flow.answer_with(&question, &client, asked_at).await;
        let now = match &answer {
            Answer::Words(reply) => return words(reply),
            Answer::Case(case) => (&case.evidence, &case.judgement),
            Answer::Survey(survey) => (&survey.evidence, &survey.judgement),
        };
        let changed = flow::what_changed(&before, now);
        let said = case::changes(&self.case_line(&kept, None), &changed, &self.flow.view()).reply();
        let mut line = line.clone();
        if let Some(thread) = thread(&kept).filter(|_| kept.room.as_deref() == Some(room)) {
            line.thread = Some(thread.to_owned());
        }
        let mut messages = vec![owed_message::answer(room, &line, Purpose::Changes, &said, None)];
        messages.extend(self.answer_messages(room, &line, answer));
        messages
    }

    /// A case by its number, or the reply if there is none.
    fn found(&self, number: u64) -> Result<(Kept, Evidence), Reply> {
        match self.store.case(number) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(replies::no_such_case(number)),
            Err(error) => {
                tracing::warn!("case {number} cannot be read: {error:#}");
                Err(replies::case_unreadable(number))
            }
        }
    }

    /// A case as lists show it. Questions of the storm watch have no asker.
    fn case_line<'a>(&self, kept: &'a Kept, link: Option<&'a str>) -> CaseLine<'a> {
        let line = flow::case_line(kept, link);
        let own = self.own.as_deref().map(UserId::as_str);
        CaseLine { asker: line.asker.filter(|asker| Some(*asker) != own), ..line }
    }
}

/// The thread of a case; none until a storm's first message is sent.
fn thread(kept: &Kept) -> Option<&EventId> {
    kept.thread.as_deref().filter(|thread| !placeholder::is_placeholder(thread))
}

/// A link to the case's thread.
fn link(kept: &Kept) -> Option<String> {
    let room = kept.room.as_ref()?;
    let thread = thread(kept)?;
    Some(room.matrix_to_event_uri(thread.to_owned()).to_string())
}
