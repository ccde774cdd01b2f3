//! Requests on delayed events → whose they are, and what is wrong with the user's.
//!
//! In Synapse 1.143 to 1.155 such a request names nobody. It is the user's where the digest of its delayed
//! event is that of a pending row or of a sent event of theirs, or where it is authenticated; else where
//! nobody but the user was seen at its address, which a client may have written and so never proves.
//! What is somebody else's never counts. Where nothing can be told to be the user's, what is nobody's by name
//! stands in for it, and never proves.

use jiff::{SignedDuration, Timestamp};

use crate::evidence::delay::{
    Address, DelayLog, Delayed, Handled, Pending, Requests, Sent, Stall, is_membership,
};
use crate::evidence::key_log::{Format, Span};
use crate::evidence::{Evidence, Known};

/// 404s of one delayed event that end a call: a restart that crossed the leave, and its repetition.
const HARMLESS: u64 = 2;
/// A client restarts its leave after so long (js-sdk 41: every 5 s of 8 s), and a moment for the way.
const RESTART: SignedDuration = SignedDuration::from_secs(6);
/// Two clocks of one server, and a request's way through it.
const SAME: SignedDuration = SignedDuration::from_secs(2);
/// One slow restart in so many is felt in every call of some minutes.
const SHARE: u64 = 50;
/// A client whose leave is gone joins anew at once.
const REJOIN: SignedDuration = SignedDuration::from_secs(10);

/// Why requests are taken for the user's, surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TiedBy {
    Pending,
    Sent,
    Authenticated,
    Address,
    /// Nobody's by name, while the user had a delayed event.
    Anyone,
}

impl TiedBy {
    /// As a reason says it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Pending => "that the database has as pending for the user",
            Self::Sent => "whose leave event was sent in the user's name",
            Self::Authenticated => "whose requests were authenticated as the user",
            Self::Address => "from an address where no other user was seen",
            Self::Anyone => "of unknown users: they could be anybody's",
        }
    }
}

/// The user's delayed events as every source reports them.
pub(super) struct Delays<'a> {
    pub(super) log: Option<&'a DelayLog>,
    pub(super) rows: &'a [Pending],
    /// This Synapse has no table of delayed events.
    pub(super) absent: bool,
    /// The user's own; `None` where nobody could say.
    pub(super) sent: Option<Vec<&'a Sent>>,
    pub(super) own: Vec<(&'a Handled, TiedBy)>,
    /// Those that nothing ties to anybody, where the database could not say either.
    open: Vec<&'a Handled>,
    user: &'a str,
    now: Timestamp,
}

impl<'a> Delays<'a> {
    pub(super) fn of_user(evidence: &'a Evidence, log: &'a Known<DelayLog>) -> Self {
        let user = evidence.subject.user().map_or("", |user| user.as_str());
        let log = log.value();
        let table: Option<&Delayed> = evidence.delayed_events().value().copied();
        let rows = table.map_or(&[][..], |table| &table.rows);
        let all_sent = match evidence.sent_delays() {
            Known::Is(sent, _) => Some(sent),
            Known::None(_) => Some(&[][..]),
            Known::Unknown(..) => None,
        };
        let theirs = |sent: &&Sent| sent.sender == user;
        let sent = all_sent.map(|sent| sent.iter().filter(theirs).collect::<Vec<_>>());
        let of_others = |handled: &Handled| {
            let named = all_sent.unwrap_or_default().iter().find(|sent| sent.id == handled.id);
            named.is_some_and(|sent| sent.sender != user)
                || !handled.users.is_empty() && handled.users.iter().all(|other| other != user)
        };
        let how = |handled: &Handled| {
            let sent = sent.as_deref().unwrap_or_default();
            match handled {
                _ if rows.iter().any(|row| row.id == handled.id) => Some(TiedBy::Pending),
                _ if sent.iter().any(|sent| sent.id == handled.id) => Some(TiedBy::Sent),
                _ if of_others(handled) => None,
                _ if handled.users.iter().any(|known| known == user) => Some(TiedBy::Authenticated),
                _ if at_own_address(log?, handled, user) => Some(TiedBy::Address),
                _ => None,
            }
        };
        let handled = log.map_or(&[][..], |log| &log.handled);
        let own: Vec<_> =
            handled.iter().filter_map(|handled| Some((handled, how(handled)?))).collect();
        // A database that was read and knows none of them has answered.
        let blind = evidence.delayed_events().unknown().is_some();
        let open = handled.iter().filter(|one| blind && how(one).is_none() && !of_others(one));
        let open = open.collect();
        let absent = table.is_some_and(|table| table.absent);
        Self { log, rows, absent, sent, own, open, user, now: evidence.now }
    }

    /// Whether the user had a delayed event that something could have happened to.
    fn had_one(&self) -> bool {
        let made = self.log.map_or(&[][..], |log| &log.made);
        !self.rows.is_empty() || made.iter().any(|made| made.status == 200)
    }

    /// Whether so many restarts were slow, whosever they were, that it is the homeserver's trouble: for a
    /// user who was there, but whose delayed event was made before the log begins.
    fn slow_for_all(&self) -> bool {
        let Some(log) = self.log.filter(|log| log.others.is_some()) else { return false };
        let slow = log.restarts.slow.count();
        let all = log.restarts.latency.count;
        slow > 1 && slow * SHARE >= all
    }

    /// Where nothing is tied to the user, who had a delayed event: with what is tied to nobody.
    pub(super) fn widened(&self) -> Option<Self> {
        let blind = self.own.is_empty() && !self.open.is_empty();
        (blind && (self.had_one() || self.slow_for_all())).then(|| Self {
            own: self.open.iter().map(|handled| (*handled, TiedBy::Anyone)).collect(),
            open: Vec::new(),
            sent: self.sent.clone(),
            ..*self
        })
    }

    /// The user's address where requests were rejected, though none is tied to the user. Requests that
    /// name nobody share one allowance (Synapse 1.143 to 1.155), so it is the user's trouble all the same.
    pub(super) fn limited_address(&self) -> Option<&'a Address> {
        let log =
            self.log.filter(|_| self.own.is_empty() && self.had_one() && !self.open.is_empty())?;
        let named = log.handled.iter().any(|handled| !handled.users.is_empty());
        let own = |known: &&Address| known.users.iter().any(|user| user == self.user);
        let limited = log.addresses.iter().filter(|known| known.limited.is_some());
        limited
            .filter(own)
            .max_by_key(|known| known.limited.map(|span| span.count))
            .filter(|_| !named)
    }

    /// Whether these are anybody's, for want of the user's.
    pub(super) fn are_anyones(&self) -> bool {
        self.own.iter().any(|(_, how)| *how == TiedBy::Anyone)
    }

    /// The user's restarts, put together.
    pub(super) fn restarts(&self) -> Requests {
        let mut sum = Requests::default();
        self.own.iter().for_each(|(handled, _)| sum.add(&handled.restarts));
        sum
    }

    /// Whether what was counted of these could not have been written by somebody else: one is enough.
    pub(super) fn proves(&self, counts: impl Fn(&Handled) -> bool) -> bool {
        let sure = |(handled, how): &&(&Handled, TiedBy)| {
            *how < TiedBy::Address && handled.format == Format::Json && counts(handled)
        };
        self.own.iter().any(|own| sure(&own))
    }

    /// Stalls of the process that the user's restarts felt.
    pub(super) fn stalls(&self) -> Vec<&'a Stall> {
        let own = |id: &String| self.own.iter().any(|(handled, _)| handled.id == *id);
        let stalls = self.log.map_or(&[][..], |log| &log.stalls);
        stalls.iter().filter(|stall| stall.felt.iter().any(own)).collect()
    }

    /// The event that was sent of a delayed one, where that is known.
    fn sent_of(&self, id: &str) -> Option<&'a Sent> {
        self.sent.as_deref().unwrap_or_default().iter().find(|sent| sent.id == id).copied()
    }

    /// Leaves of the user's that fired by themselves: nobody restarted them in time.
    pub(super) fn fired(&self) -> Vec<&'a Sent> {
        let by_hand = |sent: &Sent| {
            let handled = self.own.iter().find(|(handled, _)| handled.id == sent.id);
            handled.is_some_and(|(handled, _)| {
                let near = |at: Timestamp| sent.sent.is_some_and(|sent| near(sent, at));
                // With the action in the body the last request may have been the one that sent it.
                handled.ended.is_some()
                    || handled.restarts.in_body > 0 && handled.kept_alive.is_some_and(near)
            })
        };
        let sent = self.sent.as_deref().unwrap_or_default().iter().copied();
        sent.filter(|sent| is_membership(&sent.kind) && !by_hand(sent)).collect()
    }

    /// 404s that mean trouble: how many of each delayed event of the user's.
    pub(super) fn gone(&self) -> Vec<(&'a Handled, u64)> {
        let troubled = |(handled, _): &(&'a Handled, TiedBy)| {
            let gone = handled.gone?;
            let count = gone.count.saturating_sub(handled.gone_after_end);
            (count > 0 && !self.is_harmless(handled, gone, count)).then_some((*handled, count))
        };
        self.own.iter().filter_map(troubled).collect()
    }

    /// 404s that only the database could explain, and it was not read.
    pub(super) fn unexplained(&self) -> u64 {
        let left = |(own, _): &(&Handled, TiedBy)| {
            own.gone.map_or(0, |gone| gone.count.saturating_sub(own.gone_after_end))
        };
        let all: u64 = self.own.iter().map(left).sum();
        if self.sent.is_none() && self.gone().is_empty() { all } else { 0 }
    }

    /// At the end of a call a restart may cross the leave; a leave that fired is never harmless.
    fn is_harmless(&self, handled: &Handled, gone: Span, count: u64) -> bool {
        let fired = self.fired().iter().any(|sent| sent.id == handled.id);
        let made = self.log.map_or(&[][..], |log| &log.made);
        let rejoined = made.iter().any(|made| {
            made.status == 200
                && gone.first <= made.at
                && made.at.duration_since(gone.first) <= REJOIN
        });
        let known = self.sent_of(&handled.id).is_some();
        let cancelled = self.sent.is_some() && !known;
        !fired && count <= HARMLESS && (known || cancelled || !rejoined)
    }

    /// Leaves of calls that were never restarted, though the user's client was there: pending ones, and
    /// ones that fired as soon as they could.
    pub(super) fn never_restarted(&self) -> (usize, usize) {
        let Some(log) = self.log else { return (0, 0) };
        let seen = |id: &str| log.handled.iter().any(|handled| handled.id == id);
        let others = log.others.map(|span| span.last);
        let pending = self.rows.iter().filter(|row| {
            let Some(begun) = row.begun().filter(|_| is_membership(&row.kind)) else {
                return false;
            };
            let client_is_there = others.is_some_and(|last| last.duration_since(begun) > RESTART);
            let waited = self.now.duration_since(begun) > RESTART && !row.processed;
            waited && client_is_there && !seen(&row.id) && !self.moved(row)
        });
        let fired = self.fired();
        let fired = fired.iter().filter(|sent| {
            let made = log.made.iter().find(|made| {
                let delay = made.delay.and_then(|delay| i64::try_from(delay).ok());
                let due = delay
                    .and_then(|delay| made.at.checked_add(SignedDuration::from_millis(delay)).ok());
                made.room == sent.room && due.zip(sent.sent).is_some_and(|(due, at)| near(due, at))
            });
            !seen(&sent.id) && made.is_some_and(|made| made.beside > 0)
        });
        (pending.count(), fired.count())
    }

    /// Rows that were restarted though no log that was read has it: another process served it.
    pub(super) fn restarted_elsewhere(&self) -> usize {
        let Some(log) = self.log else { return 0 };
        let seen = |id: &str| log.handled.iter().any(|handled| handled.id == id);
        self.rows.iter().filter(|row| !seen(&row.id) && self.moved(row)).count()
    }

    /// Whether a row's time has been put off since the log has it made.
    fn moved(&self, row: &Pending) -> bool {
        let made = self.log.map_or(&[][..], |log| &log.made).iter();
        let mut of_room =
            made.filter(|made| made.room == row.room && made.status == 200).peekable();
        let Some(begun) = row.begun().filter(|_| of_room.peek().is_some()) else { return false };
        of_room.all(|made| !near(made.at, begun))
    }
}

fn near(a: Timestamp, b: Timestamp) -> bool {
    a.duration_since(b).abs() <= SAME
}

/// Whether all its requests came from where nobody but the user was seen.
fn at_own_address(log: &DelayLog, handled: &Handled, user: &str) -> bool {
    let only = |address: &String| log.address(address).is_some_and(|known| known.is_only(user));
    !handled.addresses.is_empty() && handled.addresses.iter().all(only)
}
