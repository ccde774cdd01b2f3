//! A verdict → its row: one for each, and a verdict without one does not compile.

mod delays;
mod events;
mod keys;
mod media;
mod reasons;

use std::fmt;

use super::verdict_id::VerdictId;
use super::verdict_row::{VerdictKind, VerdictRow};

impl VerdictId {
    /// Everything about the verdict that is the same in every case.
    pub const fn row(self) -> &'static VerdictRow {
        match self {
            Self::AuthUnreachable => &keys::AUTH_UNREACHABLE,
            Self::UnknownDevice => &keys::UNKNOWN_DEVICE,
            Self::KeylessDevice => &keys::KEYLESS_DEVICE,
            Self::OtkRecreated => &keys::OTK_RECREATED,
            Self::OtkConcurrent => &keys::OTK_CONCURRENT,
            Self::OtkRolledBack => &keys::OTK_ROLLED_BACK,
            Self::OtkSameAccount => &keys::OTK_SAME_ACCOUNT,
            Self::OtkForeignIdentity => &keys::OTK_FOREIGN_IDENTITY,
            Self::OtkDiverged => &keys::OTK_DIVERGED,
            Self::OtkRace => &keys::OTK_RACE,
            Self::OtkFlood => &keys::OTK_FLOOD,
            Self::OtkExhausted => &keys::OTK_EXHAUSTED,
            Self::OtkUploadLoop => &keys::OTK_UPLOAD_LOOP,
            Self::OtkHealthy => &keys::OTK_HEALTHY,
            Self::MediaStaleDevice => &media::MEDIA_STALE_DEVICE,
            Self::MediaDeadIdentity => &media::MEDIA_DEAD_IDENTITY,
            Self::MediaLinkKe1 => &media::MEDIA_LINK_KE1,
            Self::MediaOtkExhausted => &media::MEDIA_OTK_EXHAUSTED,
            Self::MediaValidation => &media::MEDIA_VALIDATION,
            Self::MediaNotDrained => &media::MEDIA_NOT_DRAINED,
            Self::MediaSfu => &media::MEDIA_SFU,
            Self::MediaSender => &media::MEDIA_SENDER,
            Self::EventUnknown => &events::EVENT_UNKNOWN,
            Self::EventNotEncrypted => &events::EVENT_NOT_ENCRYPTED,
            Self::EventRedacted => &events::EVENT_REDACTED,
            Self::EventMalformed => &events::EVENT_MALFORMED,
            Self::EventUnsupported => &events::EVENT_UNSUPPORTED,
            Self::EventClient => &events::EVENT_CLIENT,
            Self::EventWellFormed => &events::EVENT_WELL_FORMED,
            Self::Inconclusive => &events::INCONCLUSIVE,
            Self::DelayRateLimited => &delays::DELAY_RATE_LIMITED,
            Self::DelayHomeserverSlow => &delays::DELAY_HOMESERVER_SLOW,
            Self::DelayGone => &delays::DELAY_GONE,
            Self::DelayOff => &delays::DELAY_OFF,
            Self::DelayNotArriving => &delays::DELAY_NOT_ARRIVING,
            Self::DelayClient => &delays::DELAY_CLIENT,
            Self::DelayHealthy => &delays::DELAY_HEALTHY,
        }
    }

    /// The id as answers, cases and scripts write it.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The verdict with this name; `None` where a later version, or somebody else, wrote it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.name() == name)
    }

    /// One short sentence in everyday words, for a lock screen.
    pub const fn headline(self) -> &'static str {
        self.row().headline
    }

    /// What to do once it is proven, in everyday words; empty where nothing has to be done.
    pub const fn action(self) -> &'static str {
        self.row().action
    }

    /// What happened, in technical words; empty where nothing is decided.
    pub const fn explanation(self) -> &'static str {
        self.row().explanation
    }

    /// Whether it names a trouble, and which else.
    pub const fn kind(self) -> VerdictKind {
        self.row().kind
    }
}

impl fmt::Display for VerdictId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_serialised_id_and_stands_once() {
        for id in VerdictId::ALL {
            assert_eq!(serde_json::to_value(id).unwrap(), id.name());
            assert_eq!(VerdictId::named(id.name()), Some(id));
        }
        assert_eq!(VerdictId::named("survey"), None);
    }

    #[test]
    fn a_headline_is_one_short_sentence() {
        use crate::diagnose::verdict_row::LONGEST_HEADLINE;
        for id in VerdictId::ALL {
            let said = id.headline();
            assert!(said.chars().count() <= LONGEST_HEADLINE, "{id}: {said}");
            for text in
                [said, id.action(), id.explanation()].into_iter().filter(|text| !text.is_empty())
            {
                assert!(
                    text.starts_with(char::is_uppercase) && text.ends_with('.'),
                    "{id}: {text}"
                );
            }
            let decided = id.kind() != VerdictKind::NotEnoughEvidence;
            assert_eq!(decided, !id.explanation().is_empty(), "{id}");
        }
    }

    #[test]
    fn only_trouble_has_something_to_do_at_once() {
        use crate::diagnose::remedy::Recommendation::Recommended;
        for id in VerdictId::ALL.into_iter().filter(|id| id.kind() != VerdictKind::Trouble) {
            let remedies = id.row().remedies;
            assert!(!remedies.iter().any(|(_, advised, _)| *advised == Recommended), "{id:?}");
        }
    }
}
