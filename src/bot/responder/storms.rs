//! `!storms`, `!mute`, `!unmute` → the ledger, and the reply.

use std::cmp::Reverse;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use super::state::Responder;
use crate::bot::chat_line::ChatLine;
use crate::bot::replies;
use crate::bot::room_replies::absences;
use crate::store::Known;
use kestrel_core::command::Whom;
use kestrel_core::evidence::shortened;
use kestrel_core::render::storm::{Listed, list, muted, unmuted};
use kestrel_core::render::{self, Reply, restarted};
use kestrel_core::storm::{Event, Mute, Muted, Sure, Whose};

/// Storms that are listed: the ongoing ones, and the newest resolved ones.
const LISTED: usize = 200;
const ENDED: usize = 5;
/// How long an alert that was not sent is listed.
const DROPPED: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Responder {
    /// What is ongoing, what ended last, and what is muted.
    pub(crate) fn storms(&self) -> Result<Reply> {
        let ledger = self.store.ledger();
        let now = Timestamp::now();
        if !self.watches {
            return Ok(replies::not_watching());
        }
        let mut known = ledger.storms(LISTED)?;
        if !self.show_addresses {
            known.iter_mut().for_each(|known| hide(&mut known.event));
        }
        let links: Vec<_> = known.iter().map(link).collect();
        let (dropped, told): (Vec<_>, Vec<_>) =
            known.iter().zip(&links).partition(|(known, _)| was_dropped(known));
        let lately = |known: &Known| now.duration_since(known.event.last) < DROPPED;
        let dropped = dropped.into_iter().filter(|(known, _)| lately(known));
        let dropped: Vec<_> = dropped.map(listed).collect();
        let (going_on, ended): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|(known, _)| known.ended.is_none());
        let mut going_on: Vec<_> = going_on.into_iter().map(listed).collect();
        let ended: Vec<_> = ended.into_iter().take(ENDED).map(listed).collect();
        going_on.sort_by_key(|listed| Reverse((listed.event.devices, listed.event.count)));
        let mutes = ledger.mutes(now)?;
        let mut page = list(&going_on, &ended, &mutes, &self.flow.view());
        page.append(render::storm::dropped(&dropped, &self.flow.view()));
        page.append(restarted(&self.health.restarted()));
        let view = self.flow.view();
        page.append(absences(&ledger.absences()?, |absence| view.moment(absence.since)));
        Ok(page.reply())
    }

    /// Mutes alerts; counting continues.
    pub(crate) fn mute(&self, line: &ChatLine, whom: &Whom, length: Duration) -> Result<Reply> {
        let now = Timestamp::now();
        let until =
            SignedDuration::try_from(length).ok().and_then(|length| now.checked_add(length).ok());
        let mute =
            Mute { what: muted_of(whom), until: until.unwrap_or(now), by: line.sender.to_string() };
        let ledger = self.store.ledger();
        if let Whom::Storm(number) = whom {
            let known = ledger.storm(*number)?;
            if known.as_ref().is_none_or(|known| known.ended.is_some()) {
                return Ok(replies::cannot_mute(*number, known.is_some()));
            }
        }
        ledger.mute(&mute)?;
        Ok(muted(&mute, &self.flow.view()).reply())
    }

    /// Ends one mute, or all of them.
    pub(crate) fn unmute(&self, whom: Option<&Whom>) -> Result<Reply> {
        let ledger = self.store.ledger();
        let Some(what) = whom.map(muted_of) else {
            return Ok(replies::all_unmuted(ledger.unmute_everything()?));
        };
        if ledger.unmute(&what)? {
            return Ok(unmuted(&what).reply());
        }
        Ok(replies::was_not_muted())
    }
}

/// Whether its alert was not sent because the database contradicts it.
fn was_dropped(known: &Known) -> bool {
    known.root.is_none() && matches!(known.sure, Some(Sure::Contradicted(_)))
}

fn listed<'a>((known, link): (&'a Known, &'a Option<String>)) -> Listed<'a> {
    Listed {
        event: &known.event,
        verdict: known.verdict.as_deref(),
        sure: known.sure.as_ref(),
        root: link.as_deref(),
    }
}

fn muted_of(whom: &Whom) -> Muted {
    match whom {
        Whom::Storm(number) => Muted::Storm(*number),
        Whom::User(user) => Muted::User(user.clone()),
        Whom::All => Muted::All,
    }
}

fn hide(event: &mut Event) {
    if let Whose::Address(address) = &mut event.whose {
        *address = shortened(address);
    }
}

/// A link to the storm's thread.
fn link(known: &Known) -> Option<String> {
    let (room, root) = known.root.as_ref()?;
    Some(room.matrix_to_event_uri(root.clone()).to_string())
}
