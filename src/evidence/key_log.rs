//! What the logs say of one device's one-time keys: uploads accepted and refused, claims, restarts.
//!
//! A storm makes a hundred refusals a second; here equal ones are counted, not kept, so that a day of
//! it fits in a few kilobytes. Every list has a bound, and says so when it was reached.

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::log_message::Refusal;
use super::otk::{Claim, KeyId, KeyView};
use super::request::Facts;

/// Distinct conflicts, batches and claims that are kept one by one; beyond it only totals grow.
pub const KEPT: usize = 256;
/// Claims kept one by one: more than a device ever holds of healthy keys, with room for a flood.
pub const KEPT_CLAIMS: usize = 2048;
/// Addresses and agents kept of one group.
const FEW: usize = 4;

/// One device's key traffic over the window, from one log or several.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyLog {
    pub coverage: Vec<Coverage>,
    /// Refusals of the subject's own uploads: one group a conflict (key id, old value, new value).
    pub refused: Vec<Refused>,
    /// The subject's own refusals beyond the kept groups: counted, not told apart.
    #[serde(default)]
    pub refused_beyond: Option<Span>,
    /// Refusals of the subject's own uploads that stand right behind a client's text, where a client could
    /// have written them. They count only where the database confirms the very key.
    #[serde(default)]
    pub doubtful: Vec<Refused>,
    /// Refusals of *another* account's uploads whose key value carries the subject's name. Anyone can
    /// write that; it never counts against the subject.
    pub named_by_others: Vec<Refused>,
    /// Refusals that no upload of the subject's could be tied to (its request id has no `Adding` line
    /// in the log). They name the subject in the value only, and never count against it.
    pub unattributed: u64,
    pub accepted: Accepted,
    /// Uploads refused because the device would hold too many keys (Synapse ≥ 1.163).
    pub too_large: Option<Span>,
    pub claims: Claims,
    /// `[sync]: using incomplete cached result` lines of the device: two syncs overlapped.
    pub shared_sync: u64,
    /// Requests by which the user's clients start: a /sync without `since`. The log names no device.
    pub client_starts: Vec<Timestamp>,
    /// Lines that look written by a client and not by Synapse; they were left out.
    pub distrusted: Vec<Distrusted>,
    /// A list reached its bound; totals are right, the lists are not whole.
    pub clipped: bool,
}

/// How far a log was read, and how its times were understood.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coverage {
    pub source: String,
    /// The first and the last moment that the log really holds inside the window.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Whether the log reaches back to the window's start.
    pub whole: bool,
    pub lines: u64,
    pub format: Format,
    /// Where the zone came from, for a person: `UTC-05:00, derived from 12 lines`.
    pub zone: String,
    /// What a person should know: a zone that contradicts the config, a rotated file that was missing.
    pub notes: Vec<String>,
}

/// How a log writes its records, and so what it can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Newlines pass unescaped: whole fake lines can be written by anyone. Never proves by itself.
    #[default]
    Text,
    /// Synapse's TerseJson: one object a line, newlines escaped; no forging.
    Json,
}

/// A count with its first and last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
}

impl Span {
    /// One event.
    pub fn once(at: Timestamp) -> Self {
        Self { first: at, last: at, count: 1 }
    }

    /// Counts another span in.
    pub fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
    }
}

/// Whose upload a refusal was, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Doubtful,
    /// It only names the subject.
    Others,
}

/// A group of equal refusals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    pub key: KeyId,
    /// The value that the server holds.
    pub old: KeyView,
    /// The value that was refused.
    pub new: KeyView,
    pub span: Span,
    /// The authenticated uploader.
    pub by: OwnedUserId,
    pub batch: Batch,
    /// How many of the refused uploads also carried device keys.
    pub with_device_keys: u64,
    /// Client addresses, at most 4, as logged (a proxy's header may be the client's own text).
    pub addresses: Vec<String>,
    /// User agents, at most 4; client text.
    pub agents: Vec<String>,
    pub format: Format,
}

/// The ids of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Batch {
    /// The lowest and highest counter, where every id is a vodozemac counter.
    pub range: Option<(u64, u64)>,
    pub count: u64,
}

/// The uploads that Synapse took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accepted {
    pub uploads: Option<Span>,
    pub keys: u64,
    /// Equal batches counted together, by first acceptance.
    pub batches: Vec<AcceptedBatch>,
}

/// A batch that was accepted, once or again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptedBatch {
    pub batch: Batch,
    pub span: Span,
    pub with_device_keys: u64,
    pub address: Option<String>,
    pub agent: Option<String>,
}

/// The claims of the device's keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Claims {
    pub all: Option<Span>,
    /// The newest `KEPT_CLAIMS`, oldest first.
    pub kept: Vec<Claim>,
}

/// Lines left out because they contradict what Synapse writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distrusted {
    pub why: String,
    pub count: u64,
}

impl KeyLog {
    /// Puts another process's log beside this one: equal groups are counted together.
    pub fn add(&mut self, other: &KeyLog) {
        self.coverage.extend(other.coverage.iter().cloned());
        for (whose, groups) in [
            (Whose::Own, &other.refused),
            (Whose::Doubtful, &other.doubtful),
            (Whose::Others, &other.named_by_others),
        ] {
            groups.iter().for_each(|group| self.put_refused(group, whose));
        }
        self.unattributed += other.unattributed;
        add_span(&mut self.refused_beyond, other.refused_beyond);
        add_span(&mut self.too_large, other.too_large);
        self.add_accepted(&other.accepted);
        self.add_claims(&other.claims);
        self.shared_sync += other.shared_sync;
        self.client_starts.extend(&other.client_starts);
        self.client_starts.sort_unstable();
        self.clipped |= other.clipped || self.client_starts.len() > KEPT;
        self.client_starts.truncate(KEPT);
        for known in &other.distrusted {
            self.put_distrusted(&known.why, known.count);
        }
    }

    /// Whether the log says anything of the device itself.
    pub fn says_anything(&self) -> bool {
        !self.refused.is_empty()
            || !self.doubtful.is_empty()
            || !self.named_by_others.is_empty()
            || self.refused_beyond.is_some()
            || self.unattributed > 0
            || self.accepted.uploads.is_some()
            || self.too_large.is_some()
            || self.claims.all.is_some()
            || self.shared_sync > 0
    }

    /// How many of the subject's own uploads were refused for a conflict.
    pub fn refusals(&self) -> u64 {
        let kept: u64 = self.refused.iter().map(|group| group.span.count).sum();
        kept + self.refused_beyond.map_or(0, |span| span.count)
    }

    /// A refused upload.
    pub(super) fn refused(
        &mut self,
        refusal: &Refusal,
        facts: &Facts,
        format: Format,
        whose: Whose,
    ) {
        let (Some(at), Ok(by)) = (moment(facts.at), OwnedUserId::try_from(&*facts.upload.user))
        else {
            return;
        };
        let group = Refused {
            key: refusal.key.clone(),
            old: refusal.old.clone(),
            new: refusal.new.clone(),
            span: Span::once(at),
            by,
            batch: facts.upload.batch,
            with_device_keys: u64::from(facts.with_device_keys),
            addresses: facts.address.clone().into_iter().collect(),
            agents: facts.agent.clone().into_iter().collect(),
            format,
        };
        self.put_refused(&group, whose);
    }

    /// Whether the conflict of this upload is already counted.
    pub(super) fn has_refused(&self, refusal: &Refusal, facts: &Facts) -> bool {
        self.refused.iter().chain(&self.named_by_others).any(|group| {
            group.key == refusal.key
                && group.old.same_key(&refusal.old)
                && group.new.same_key(&refusal.new)
                && group.by.as_str() == facts.upload.user
        })
    }

    /// An upload that was taken.
    pub(super) fn accepted(&mut self, facts: &Facts) {
        let Some(at) = moment(facts.at) else { return };
        let span = Span::once(at);
        self.add_accepted(&Accepted {
            uploads: Some(span),
            keys: facts.upload.batch.count,
            batches: vec![AcceptedBatch {
                batch: facts.upload.batch,
                span,
                with_device_keys: u64::from(facts.with_device_keys),
                address: facts.address.clone(),
                agent: facts.agent.clone(),
            }],
        });
    }

    /// An upload that would have left the device with too many keys.
    pub(super) fn was_too_large(&mut self, facts: &Facts) {
        add_span(&mut self.too_large, moment(facts.at).map(Span::once));
    }

    /// A claim of one key.
    pub(super) fn claimed(&mut self, id: KeyId, at: Timestamp) {
        self.add_claims(&Claims { all: Some(Span::once(at)), kept: vec![Claim { at, id }] });
    }

    /// A client of the user's begins.
    pub(super) fn client_started(&mut self, at: Timestamp) {
        match self.client_starts.len() < KEPT {
            true => self.client_starts.push(at),
            false => self.clipped = true,
        }
    }

    /// A line about the subject that was left out.
    pub(super) fn distrust(&mut self, why: &str) {
        self.put_distrusted(why, 1);
    }

    fn put_distrusted(&mut self, why: &str, count: u64) {
        match self.distrusted.iter_mut().find(|known| known.why == why) {
            Some(known) => known.count += count,
            None => self.distrusted.push(Distrusted { why: why.to_owned(), count }),
        }
    }

    fn put_refused(&mut self, group: &Refused, whose: Whose) {
        let groups = match whose {
            Whose::Own => &mut self.refused,
            Whose::Doubtful => &mut self.doubtful,
            Whose::Others => &mut self.named_by_others,
        };
        let known = groups.iter().rposition(|known| {
            known.key == group.key
                && known.by == group.by
                && known.old.same_key(&group.old)
                && known.new.same_key(&group.new)
        });
        match known {
            Some(known) => groups[known].join(group),
            None if groups.len() < KEPT => groups.push(group.clone()),
            None => {
                self.clipped = true;
                if whose == Whose::Own {
                    add_span(&mut self.refused_beyond, Some(group.span));
                }
            }
        }
    }

    fn add_accepted(&mut self, other: &Accepted) {
        add_span(&mut self.accepted.uploads, other.uploads);
        self.accepted.keys += other.keys;
        for batch in &other.batches {
            let batches = &mut self.accepted.batches;
            let known = batches.iter().position(|known| known.batch == batch.batch);
            match known {
                Some(known) => {
                    batches[known].span.add(batch.span);
                    batches[known].with_device_keys += batch.with_device_keys;
                }
                None if batches.len() < KEPT => batches.push(batch.clone()),
                None => self.clipped = true,
            }
        }
        let first = |batch: &AcceptedBatch| batch.span.first;
        if !self.accepted.batches.is_sorted_by_key(first) {
            self.accepted.batches.sort_by_key(first);
        }
    }

    fn add_claims(&mut self, other: &Claims) {
        add_span(&mut self.claims.all, other.all);
        let kept = &mut self.claims.kept;
        kept.extend(other.kept.iter().cloned());
        if !kept.is_sorted_by_key(|claim| claim.at) {
            kept.sort_by_key(|claim| claim.at);
        }
        if kept.len() > KEPT_CLAIMS {
            kept.drain(..kept.len() - KEPT_CLAIMS);
            self.clipped = true;
        }
    }
}

impl Refused {
    fn join(&mut self, other: &Self) {
        self.span.add(other.span);
        self.with_device_keys += other.with_device_keys;
        for (mine, theirs) in
            [(&mut self.addresses, &other.addresses), (&mut self.agents, &other.agents)]
        {
            for text in theirs {
                if mine.len() < FEW && !mine.contains(text) {
                    mine.push(text.clone());
                }
            }
        }
        // What a text log says too, JSON alone proves.
        if other.format == Format::Json {
            self.format = Format::Json;
        }
    }
}

fn add_span(sum: &mut Option<Span>, other: Option<Span>) {
    match (sum, other) {
        (Some(sum), Some(other)) => sum.add(other),
        (sum @ None, other) => *sum = other,
        (Some(_), None) => {}
    }
}

fn moment(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds).ok()
}
