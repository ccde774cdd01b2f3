//! What happened, one by one → a `KeyLog`.

use jiff::Timestamp;

use crate::evidence::Subject;
use crate::evidence::key_log::{
    Accepted, AcceptedBatch, Batch, Claims, Format, KEPT, KeyLog, Refused, Span, Whose,
};
use crate::evidence::key_log_sum::add_span;
use crate::evidence::otk::{Claim, KeyId};
use crate::synapse_log::message::Refusal;
use crate::synapse_log::request::UploadFacts;

impl KeyLog {
    /// A refused upload.
    pub(crate) fn refused(
        &mut self,
        refusal: &Refusal,
        facts: &UploadFacts,
        format: Format,
        whose: Whose,
    ) {
        let Some(at) = moment(facts.at) else { return };
        let group = Refused {
            key: refusal.key.clone(),
            old: refusal.old.clone(),
            new: refusal.new.clone(),
            span: Span::once(at),
            by: facts.upload.user.clone(),
            batch: facts.upload.batch,
            with_device_keys: u64::from(facts.with_device_keys),
            addresses: facts.address.clone().into_iter().collect(),
            agents: facts.agent.clone().into_iter().collect(),
            format,
            reported: false,
            read_to: None,
        };
        self.put_refused(&group, whose);
    }

    /// A refusal that only the database can tie to the subject: its batch is empty.
    pub(crate) fn doubt(&mut self, refusal: &Refusal, at: i64, subject: &Subject, format: Format) {
        let Some(at) = moment(at) else { return };
        let group = Refused {
            key: refusal.key.clone(),
            old: refusal.old.clone(),
            new: refusal.new.clone(),
            span: Span::once(at),
            by: subject.user.clone(),
            batch: Batch::default(),
            with_device_keys: 0,
            addresses: Vec::new(),
            agents: Vec::new(),
            format,
            reported: false,
            read_to: None,
        };
        self.put_refused(&group, Whose::Doubtful);
    }

    /// Whether the conflict of this upload is already counted.
    pub(crate) fn has_refused(&self, refusal: &Refusal, facts: &UploadFacts) -> bool {
        self.refused.iter().chain(&self.named_by_others).any(|group| {
            group.key == refusal.key
                && group.old.same_key(&refusal.old)
                && group.new.same_key(&refusal.new)
                && group.by == facts.upload.user
        })
    }

    /// An upload that was taken.
    pub(crate) fn accepted(&mut self, facts: &UploadFacts) {
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
    pub(crate) fn was_too_large(&mut self, facts: &UploadFacts) {
        add_span(&mut self.too_large, moment(facts.at).map(Span::once));
    }

    /// A claim of one key.
    pub(crate) fn claimed(&mut self, id: KeyId, at: Timestamp) {
        self.add_claims(&Claims { all: Some(Span::once(at)), kept: vec![Claim { at, id }] });
    }

    /// A client of the user's begins.
    pub(crate) fn client_started(&mut self, at: Timestamp) {
        if self.client_starts.len() < KEPT {
            self.client_starts.push(at)
        } else {
            self.clipped = true
        }
    }

    /// A line about the subject that was left out.
    pub(crate) fn distrust(&mut self, why: &str) {
        self.put_distrusted(why, 1);
    }
}

fn moment(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds).ok()
}
