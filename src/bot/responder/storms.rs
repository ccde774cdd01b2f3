//! `!storms`, `!mute`, `!unmute` → the ledger, and the reply.

use std::cmp::Reverse;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use super::state::Responder;
use crate::bot::chat_line::ChatLine;
use crate::flow::storm_list::{listed, thread_link, was_suppressed};
use crate::store::StoredStorm;
use kestrel_core::command::MuteTarget;
use kestrel_core::render::replies;
use kestrel_core::render::storm::{ListedStorm, list, muted, unmuted};
use kestrel_core::render::{self, Reply, restarted};
use kestrel_core::storm::{Mute, Muted};

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
            known.iter_mut().for_each(|known| known.event.hide_address());
        }
        let links: Vec<_> = known.iter().map(thread_link).collect();
        let (dropped, told): (Vec<_>, Vec<_>) =
            known.iter().zip(&links).partition(|(known, _)| was_suppressed(known));
        let lately = |known: &StoredStorm| now.duration_since(known.event.last) < DROPPED;
        let dropped = dropped.into_iter().filter(|(known, _)| lately(known));
        let dropped: Vec<_> = dropped.map(entry).collect();
        let (going_on, ended): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|(known, _)| known.ended.is_none());
        let mut going_on: Vec<_> = going_on.into_iter().map(entry).collect();
        let ended: Vec<_> = ended.into_iter().take(ENDED).map(entry).collect();
        going_on.sort_by_key(|listed| Reverse((listed.event.devices, listed.event.count)));
        let mutes = ledger.mutes(now)?;
        let mut page = list(&going_on, &ended, &mutes, &self.flow.view());
        page.append(render::storm::dropped(&dropped, &self.flow.view()));
        page.append(restarted(&self.health.restarted()));
        let view = self.flow.view();
        page.append(replies::absences(
            ledger
                .absences()?
                .iter()
                .map(|gone| (&*gone.room, &*gone.how, view.moment(gone.since))),
        ));
        Ok(page.reply())
    }

    /// Mutes alerts; counting continues.
    pub(crate) fn mute(
        &self,
        line: &ChatLine,
        target: &MuteTarget,
        length: Duration,
    ) -> Result<Reply> {
        let now = Timestamp::now();
        let until =
            SignedDuration::try_from(length).ok().and_then(|length| now.checked_add(length).ok());
        let mute = Mute {
            what: muted_of(target),
            until: until.unwrap_or(now),
            by: line.sender.to_string(),
        };
        let ledger = self.store.ledger();
        if let MuteTarget::Storm(number) = target {
            let known = ledger.storm(*number)?;
            if known.as_ref().is_none_or(|known| known.ended.is_some()) {
                return Ok(replies::cannot_mute(*number, known.is_some()));
            }
        }
        ledger.mute(&mute)?;
        Ok(muted(&mute, &self.flow.view()).reply())
    }

    /// Ends one mute, or all of them.
    pub(crate) fn unmute(&self, target: Option<&MuteTarget>) -> Result<Reply> {
        let ledger = self.store.ledger();
        let Some(what) = target.map(muted_of) else {
            return Ok(replies::all_unmuted(ledger.unmute_everything()?));
        };
        if ledger.unmute(&what)? {
            return Ok(unmuted(&what).reply());
        }
        Ok(replies::was_not_muted())
    }
}

fn entry<'a>((known, link): (&'a StoredStorm, &'a Option<String>)) -> ListedStorm<'a> {
    listed(known, link.as_deref())
}

fn muted_of(target: &MuteTarget) -> Muted {
    match target {
        MuteTarget::Storm(number) => Muted::Storm(*number),
        MuteTarget::User(user) => Muted::User(user.clone()),
        MuteTarget::All => Muted::All,
    }
}
