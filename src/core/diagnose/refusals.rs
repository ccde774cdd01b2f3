//! The refusals that count: the log's groups weighed against the database, and the figures of the storm.
//!
//! A text log can be forged by anyone (a newline in a login name writes whole lines), so a group that
//! the database contradicts, or that nothing supports, is a finding and no evidence.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::quiet_period::{goes_on, many_at_once};
use super::resolved_refusals::LastRemoval;
use super::verdict::{Resolved, Storm};
use crate::evidence::key_log::{Format, Refused, Span};
use crate::evidence::otk::{Check, Claim};
use crate::evidence::{DeviceKeys, KeyLog, Replica, StoredKey, StoredKeys, Window};

/// How far a log's clock may be from the row's before "the row is older than the refusal" is believed.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Whose account made the two keys, by the signature test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    /// Old fails, new verifies.
    Recreated,
    /// Both verify.
    SameAccount,
    /// Old verifies, new fails.
    Foreign,
    /// Neither verifies, or a key carries no signature of the device.
    Silent,
}

/// What is in the database under the conflicting id now.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// The Old key of the line: nobody but server and device knows it, so the line is true.
    Old(&'a StoredKey),
    Other(&'a StoredKey),
    Gone,
    NotRead,
}

/// One group of refusals that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    pub refused: &'a Refused,
    pub row: Row<'a>,
    pub pattern: Pattern,
}

impl Group<'_> {
    /// Whether it can be believed without trusting a line that anyone could have written.
    pub fn proves(&self) -> bool {
        matches!(self.row, Row::Old(_)) || self.refused.format == Format::Json
    }

    /// When the row was stored that still holds the conflicting key.
    fn old_since(&self) -> Option<Timestamp> {
        match self.row {
            Row::Old(key) => Some(key.added),
            _ => None,
        }
    }
}

/// Why conflicts before it explain nothing any more.
const FLOODED: &str = "no key is stored, and uploads are now rejected as too many";

/// All refusals of the device, weighed.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals<'a> {
    /// The strongest first.
    pub groups: Vec<Group<'a>>,
    /// Refusals that the database contradicts: an older row holds another value.
    pub contradicted: u64,
    /// Refusals that only the database ties to the device: the log shows no upload of theirs.
    pub tied: u64,
    /// Refusals in a text log that neither the database nor a signature nor a claim supports.
    pub unsupported: u64,
    /// Refusals from before the device came back under its ID: history.
    pub past: u64,
    /// How and when those ended.
    pub resolved: Option<Resolved>,
    /// When the device was removed before it came back under its ID, where a line names it.
    pub renewed: Option<Timestamp>,
    /// Refusals beyond the kept groups.
    pub beyond: Option<Span>,
    /// Uploads that are rejected as too many, up to the end of the log.
    pub too_large: Option<Span>,
    /// No key is stored, and what is rejected now is their number: the conflicts before are over.
    pub flooded: bool,
}

impl<'a> Refusals<'a> {
    /// Weighs what the log holds against the stored keys and the current identity. Of what happened after
    /// the data of a replica, its rows contradict nothing.
    pub fn weigh(
        log: &'a KeyLog,
        stored: Option<&'a StoredKeys>,
        keys: Option<&DeviceKeys>,
        replica: Option<&Replica>,
    ) -> Self {
        let row = |refused: &Refused| row(refused, stored, replica);
        let last_removal = LastRemoval::find(log, keys);
        let removed = last_removal.named.map(|removal| removal.at);
        let too_large = log.too_large.and_then(|span| last_removal.too_large(span, stored));
        let renewed = removed.max(too_large.as_ref().map(|resolved| resolved.at));
        let mut all = Self { renewed, beyond: log.refused_beyond, ..Self::default() };
        if let Some(beyond) = all.beyond.filter(|beyond| last_removal.is_over(*beyond)) {
            (all.beyond, all.past) = (None, beyond.count);
        }
        too_large.into_iter().for_each(|resolved| all.resolve(resolved));
        for refused in &log.refused {
            let group = Group { refused, row: row(refused), pattern: pattern(refused) };
            if let Some(resolved) = last_removal.history(refused, group.old_since()) {
                all.resolve(resolved);
            } else if contradicted(&group) {
                all.contradicted += refused.span.count;
            } else if unsupported(&group, log) {
                all.unsupported += refused.span.count;
            } else {
                all.groups.push(group);
            }
        }
        for refused in &log.doubtful {
            let group = Group { refused, row: row(refused), pattern: pattern(refused) };
            all.add_doubtful(group, last_removal.is_over(refused.span));
        }
        let weight = |group: &Group| {
            let refused = group.refused;
            (!group.proves(), group.pattern, refused.reported, Reverse(refused.span.count))
        };
        all.groups.sort_by_key(weight);
        // What the database or an unforgeable log shows outweighs what only a text line says: beside it
        // stand other lines that say the same, and none that say something else.
        if let Some(proven) = all.groups.first().copied().filter(Group::proves) {
            all.groups.retain(|group| group.proves() || group.pattern == proven.pattern);
        }
        all
    }

    /// Weighs a refusal that the log ties to no upload of the device's own.
    fn add_doubtful(&mut self, group: Group<'a>, is_over: bool) {
        let refused = group.refused;
        let count = refused.span.count;
        let untied = refused.batch.count == 0;
        let is_known = self.groups.iter().any(|own| own.refused.same_conflict(refused));
        // A worker that hands uploads on logs the same refusal once more, without the upload. And a rejected
        // upload before the removal says nothing about the keys that came later.
        if untied && (is_known || is_over) {
            self.tied += count;
        } else if matches!(group.row, Row::Old(_)) {
            self.tied += if untied { count } else { 0 };
            self.groups.push(group);
        } else if !untied && !refused.reported {
            self.unsupported += count;
        }
    }

    /// Notes that uploads are rejected as too many, and whether that is all that is wrong by now.
    pub fn note_too_large(&mut self, span: Option<Span>, stored: Option<&StoredKeys>) {
        self.too_large = span;
        let later = |span: Span| self.span().is_none_or(|own| own.last <= span.last);
        self.flooded = span.is_some_and(later) && stored.is_some_and(|stored| stored.total == 0);
    }

    fn resolve(&mut self, resolved: Resolved) {
        self.past += resolved.span.count;
        match &mut self.resolved {
            Some(known) => known.add(resolved),
            None => self.resolved = Some(resolved),
        }
    }

    /// Why there is none of a kind.
    pub fn why_none(&self, none: &'static str) -> &'static str {
        if self.flooded { FLOODED } else { none }
    }

    /// The strongest group of a pattern.
    pub fn with_pattern(&self, pattern: Pattern) -> Option<&Group<'a>> {
        self.groups.iter().find(|group| group.pattern == pattern && !self.flooded)
    }

    /// Whether the device was refused again and again: what parts a storm from a race. The offered key may
    /// differ each time, and so may the id that is named.
    pub fn repeated(&self) -> bool {
        many_at_once(&self.refused())
            || self.groups.iter().any(|group| {
                let again = |other: &&Group| {
                    other.refused.key == group.refused.key
                        || shares_ids(other.refused, group.refused)
                };
                let same = self.groups.iter().filter(again);
                same.map(|other| other.refused.span.count).sum::<u64>() > 1
            })
    }

    /// What the logs or the client say about them.
    pub fn refused(&self) -> Vec<&'a Refused> {
        self.groups.iter().map(|group| group.refused).collect()
    }

    /// Whether no log has any of them.
    pub fn only_reported(&self) -> bool {
        self.groups.iter().all(|group| group.refused.reported)
    }

    /// All that count, as one span.
    pub fn span(&self) -> Option<Span> {
        let mut spans = self.groups.iter().map(|group| group.refused.span);
        let mut sum = spans.next()?;
        spans.for_each(|span| sum.add(span));
        Some(sum)
    }

    /// The figures that every verdict with refusals states.
    pub fn storm(
        &self,
        log: &KeyLog,
        keys: Option<&DeviceKeys>,
        window: Window,
        now: Timestamp,
    ) -> Option<Storm> {
        let main = self.groups.first()?;
        let mut span = self.span()?;
        self.beyond.into_iter().for_each(|beyond| span.add(beyond));
        let ids: BTreeSet<_> = self.groups.iter().map(|group| &group.refused.key).collect();
        let seconds = span.last.duration_since(span.first).as_secs_f64();
        let row_stands = match main.row {
            Row::NotRead => None,
            row => Some(matches!(row, Row::Old(_))),
        };
        let born = match main.row {
            Row::Old(key) => Some(key.added),
            _ => None,
        };
        Some(Storm {
            span,
            key: main.refused.key.to_string(),
            more_keys: ids.len() - 1,
            rate: (span.count > 2 && seconds > 0.0).then(|| (span.count - 1) as f64 / seconds),
            goes_on: self.too_large.is_some()
                || goes_on(&self.refused(), span.last, window.to.min(now)),
            too_large: self.too_large,
            row_stands,
            claimed: claimed(main.refused, log),
            dead_keys_handed_out: match main.pattern {
                Pattern::Recreated => {
                    dead_claims(log, keys.map_or(span.first, |keys| keys.added.min(span.first)))
                }
                _ => 0,
            },
            born,
            born_by: born.and_then(|born| upload_of(log, born)),
        })
    }
}

fn row<'a>(
    refused: &Refused,
    stored: Option<&'a StoredKeys>,
    replica: Option<&Replica>,
) -> Row<'a> {
    let Some(stored) = stored else {
        return Row::NotRead;
    };
    let covers = |replica: &Replica| replica.to.is_some_and(|to| refused.span.last <= to);
    let newer = replica.is_some_and(|replica| !covers(replica));
    match stored.keys.iter().find(|key| key.id == refused.key) {
        Some(key) if key.value.same_key(&refused.old) => Row::Old(key),
        _ if newer => Row::NotRead,
        Some(key) => Row::Other(key),
        None if stored.keys.len() as u64 == stored.total => Row::Gone,
        None => Row::NotRead,
    }
}

fn shares_ids(one: &Refused, other: &Refused) -> bool {
    let ranges = one.batch.range.zip(other.batch.range);
    ranges.is_some_and(|(one, other)| one.0 <= other.1 && other.0 <= one.1)
}

/// Whether a key was stored after the current identity: then no dead account made it.
pub(super) fn newer(key: &StoredKey, keys: &DeviceKeys) -> bool {
    key.added.duration_since(keys.added) > CLOCK_SLACK
}

fn pattern(refused: &Refused) -> Pattern {
    match (refused.old.check, refused.new.check) {
        (Check::Fails, Check::Verifies) => Pattern::Recreated,
        (Check::Verifies, Check::Verifies) => Pattern::SameAccount,
        (Check::Verifies, Check::Fails) => Pattern::Foreign,
        _ => Pattern::Silent,
    }
}

/// A row is never changed in place. One that was there before the refusal and holds another value than
/// the line says was in the way disproves the line.
fn contradicted(group: &Group) -> bool {
    let Row::Other(key) = group.row else {
        return false;
    };
    group.refused.format == Format::Text
        && group.refused.span.first.duration_since(key.added) > CLOCK_SLACK
}

/// The line says a row was in the way. Where it is not there now, something took it: a claim.
/// Without one, and with no signature of the device on either key, only the text speaks for the refusal.
fn unsupported(group: &Group, log: &KeyLog) -> bool {
    let text_alone = group.refused.format == Format::Text && group.pattern == Pattern::Silent;
    let row_missing = matches!(group.row, Row::Gone | Row::Other(_));
    text_alone && row_missing && claimed(group.refused, log).is_none()
}

fn claimed(refused: &Refused, log: &KeyLog) -> Option<Timestamp> {
    let after = |at: &Timestamp| *at >= refused.span.first;
    log.claims
        .kept
        .iter()
        .filter(|claim| claim.id == refused.key)
        .map(|claim| claim.at)
        .rfind(after)
}

/// Claims since the new identity's birth of keys that it had not uploaded by then: each handed out a key
/// of the dead account, and cost its claimer one undecryptable message.
pub(super) fn dead_claims(log: &KeyLog, born: Timestamp) -> u64 {
    let fresh = |claim: &&Claim| {
        let holds =
            |(low, high): (u64, u64)| claim.id.counter().is_some_and(|id| low <= id && id <= high);
        log.accepted.batches.iter().any(|batch| {
            let uploaded = batch.span.last;
            let range = batch.batch.range;
            born <= uploaded && uploaded <= claim.at && range.is_some_and(holds)
        })
    };
    let since = log.claims.kept.iter().filter(|claim| claim.at >= born);
    since.filter(|claim| !fresh(claim)).count() as u64
}

/// The upload of that minute: who published the conflicting key.
fn upload_of(log: &KeyLog, born: Timestamp) -> Option<(Option<String>, Option<String>)> {
    let near = |at: Timestamp| at.duration_since(born).abs() <= SignedDuration::from_secs(60);
    let batch = log.accepted.batches.iter().find(|batch| near(batch.span.first))?;
    Some((batch.agent.clone(), batch.address.clone()))
}
