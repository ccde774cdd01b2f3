//! One request on a delayed event → what it adds to the figures of its event, and of all.

use jiff::Timestamp;

use crate::evidence::api_path::Action;
use crate::evidence::delay::join::join;
use crate::evidence::delay::{Digest, Handled, PATIENCE, Requests};
use crate::evidence::key_log::{Format, Span};
use crate::synapse_log::delays::ended::Ended;
use crate::synapse_log::message::Access;

/// Users that are kept of one delayed event; it has one, unless its id was given away.
const USERS: usize = 4;
/// A user id is never longer (spec "User identifiers").
pub(crate) const USER: usize = 255;

/// One request on a delayed event.
pub(super) struct DelayedEventRequest<'a> {
    pub(super) id: Digest,
    pub(super) action: Action,
    pub(super) access: &'a Access,
    /// None of an address that is not watched.
    pub(super) address: Option<&'a str>,
    /// It waited for a lock that another transaction held.
    pub(super) contended: bool,
}

impl Handled {
    pub(crate) fn new(id: Digest, format: Format) -> Self {
        Self {
            id,
            restarts: Requests::default(),
            ended: None,
            kept_alive: None,
            gone: None,
            gone_after_end: 0,
            users: Vec::new(),
            addresses: Vec::new(),
            format,
        }
    }

    pub(crate) fn see(&mut self, access: &Access, at: Timestamp, action: Action) {
        match (Ended::from_status(access.status), action) {
            (Ended::Answered, Action::End) => self.ended = Some(at),
            (Ended::Answered, _) => self.kept_alive = Some(at),
            (Ended::Gone, Action::Restart | Action::InBody) => {
                join(&mut self.gone, Some(Span::once(at)));
                self.gone_after_end += u64::from(self.ended.is_some());
            }
            _ => {}
        }
        if let Some(user) = access.user.as_ref().filter(|user| user.len() <= USER)
            && self.users.len() < USERS
            && !self.users.contains(user)
        {
            self.users.push(user.clone());
        }
    }
}

impl Requests {
    /// Counts so many that ended with another status.
    fn refuse(&mut self, status: u16, count: u64) {
        self.refused += count;
        self.note_status(status, count);
    }

    pub(crate) fn note(
        &mut self,
        access: &Access,
        at: Timestamp,
        (action, overlaps, contended): (Action, bool, bool),
    ) {
        join(&mut self.span, Some(Span::once(at)));
        self.latency.note(access.took.0);
        match Ended::from_status(access.status) {
            Ended::Answered => self.answered += 1,
            Ended::Limited => self.limited += 1,
            Ended::Gone => self.gone += 1,
            Ended::Refused => self.refuse(access.status, 1),
        }
        self.in_body += u64::from(action == Action::InBody);
        self.aborted += u64::from(access.aborted);
        self.overlapping += u64::from(overlaps);
        if access.took.0 < PATIENCE {
            return;
        }
        let half = access.took.0 / 2.0;
        match access.database {
            Some(database) if database.inside >= half => {
                self.slow.database += 1;
                self.slow.contended += u64::from(contended);
            }
            Some(database) if database.waiting >= half => self.slow.pool += 1,
            _ => self.slow.process += 1,
        }
    }
}
