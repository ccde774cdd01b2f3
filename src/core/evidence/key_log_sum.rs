//! What several logs say about one device's keys, put together: equal things are counted together, and no list
//! outgrows its bound.

use jiff::Timestamp;

use crate::evidence::client::ClientFacts;
use crate::evidence::key_log::{
    Accepted, AcceptedBatch, Batch, Claims, Distrusted, Format, KEPT, KEPT_CLAIMS, KEPT_DATES,
    KeyLog, Refused, Removal, Span, Whose,
};
use crate::evidence::subject::Subject;

/// Addresses and agents kept of one group.
const FEW: usize = 4;

impl KeyLog {
    /// Adds another process's log to this one: equal groups are counted together.
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
        other.removed.iter().for_each(|removal| self.was_removed(*removal));
        for known in &other.distrusted {
            self.put_distrusted(&known.why, known.count);
        }
        self.dated_beyond |= other.dated_beyond;
        other.dated.iter().for_each(|at| self.dates(*at));
    }

    /// An upload of the device began at this millisecond.
    pub(crate) fn dates(&mut self, at: i64) {
        if self.dated.last() == Some(&at) {
            return;
        }
        self.dated.push(at);
        if self.dated.len() > 2 * KEPT_DATES {
            self.dated.drain(..KEPT_DATES);
            self.dated_beyond = true;
        }
    }

    /// Adds a client's report to the log. Its refusals count where the database holds the very old
    /// key; a report of another device says nothing here, and what the log has too it does not count again.
    pub fn report(&mut self, subject: Option<&Subject>, client: &ClientFacts, now: Timestamp) {
        let Some(subject) = subject.filter(|subject| client.is_of(subject)) else { return };
        for seen in &client.refused {
            let first = seen.at.map_or(now, |at| client.by_server(at));
            let last = seen.last.map_or(first, |at| client.by_server(at)).max(first);
            let group = Refused {
                key: seen.key.clone(),
                old: seen.old.clone(),
                new: seen.new.clone(),
                span: Span { first, last, count: seen.again.saturating_add(1) },
                by: subject.user.clone(),
                // Its own upload, of which the client kept no list.
                batch: Batch { range: None, count: 1 },
                with_device_keys: 0,
                addresses: Vec::new(),
                agents: Vec::new(),
                format: Format::Text,
                reported: true,
                read_to: None,
            };
            let mut logged = self.refused.iter().chain(&self.doubtful).filter(|own| !own.reported);
            if logged.any(|own| own.same_conflict(&group)) {
                continue;
            }
            match self.doubtful.iter().position(|known| known.same_conflict(&group)) {
                // Several files of one client report the same refusals.
                Some(known) => {
                    let known = &mut self.doubtful[known];
                    known.span.first = known.span.first.min(first);
                    known.span.last = known.span.last.max(last);
                    known.span.count = known.span.count.max(group.span.count);
                }
                None if self.doubtful.len() < KEPT => self.doubtful.push(group),
                None => self.clipped = true,
            }
        }
    }

    /// Notes at each refusal how far its log was read.
    pub fn note_ends(&mut self) {
        let read_to = self.coverage.iter().filter_map(|part| Some(part.span?.1)).max();
        for refused in self.refused.iter_mut().chain(&mut self.doubtful) {
            refused.read_to = read_to;
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
            || !self.removed.is_empty()
    }

    /// How many of the subject's own uploads were refused for a conflict.
    pub fn refusals(&self) -> u64 {
        let kept: u64 = self.refused.iter().map(|group| group.span.count).sum();
        kept + self.refused_beyond.map_or(0, |span| span.count)
    }

    /// The device was removed. Of several processes' lines of one removal one is enough.
    pub(crate) fn was_removed(&mut self, removal: Removal) {
        if self.removed.len() >= KEPT {
            // The newest decides what is history.
            self.removed.remove(0);
            self.clipped = true;
        }
        let at = self.removed.partition_point(|known| known.at <= removal.at);
        self.removed.insert(at, removal);
    }

    pub(crate) fn put_distrusted(&mut self, why: &str, count: u64) {
        match self.distrusted.iter_mut().find(|known| known.why == why) {
            Some(known) => known.count += count,
            None => self.distrusted.push(Distrusted { why: why.to_owned(), count }),
        }
    }

    pub(crate) fn put_refused(&mut self, group: &Refused, whose: Whose) {
        let groups = match whose {
            Whose::Own => &mut self.refused,
            Whose::Doubtful => &mut self.doubtful,
            Whose::Others => &mut self.named_by_others,
        };
        let known =
            groups.iter().rposition(|known| known.by == group.by && known.same_conflict(group));
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

    pub(crate) fn add_accepted(&mut self, other: &Accepted) {
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

    pub(crate) fn add_claims(&mut self, other: &Claims) {
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
        self.read_to = match (self.read_to, other.read_to) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        // What a text log says too, JSON alone proves.
        if other.format == Format::Json {
            self.format = Format::Json;
        }
    }
}

pub(crate) fn add_span(sum: &mut Option<Span>, other: Option<Span>) {
    match (sum, other) {
        (Some(sum), Some(other)) => sum.add(other),
        (sum @ None, other) => *sum = other,
        (Some(_), None) => {}
    }
}
