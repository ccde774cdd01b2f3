//! When an event was sent, and by which clock → how old it is. Does not read the clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Older messages get no answer: their sender no longer waits.
pub(super) const NOBODY_WAITS: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a command has waited so long that its answer would come as a surprise.
pub(super) fn too_old(sent: Timestamp, now: Timestamp, most: Duration) -> bool {
    // A sender's server may be ahead of this clock: that is not old.
    let waited = Duration::try_from(now.duration_since(sent)).unwrap_or_default();
    waited > most
}

/// When something was sent, by this machine's clock. `offset` is how far the clock that dated it is ahead of this
/// machine's; none where the clocks agree, or it is not known.
pub(super) fn by_our_clock(sent: Timestamp, offset: Option<SignedDuration>) -> Timestamp {
    offset.and_then(|offset| sent.checked_sub(offset).ok()).unwrap_or(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn age_is_counted_from_when_it_was_sent() {
        let most = Duration::from_secs(300);
        assert!(!too_old(at(0), at(300), most));
        assert!(too_old(at(0), at(301), most));
        assert!(!too_old(at(9000), at(0), most));
    }

    #[test]
    fn a_wrong_clock_makes_no_command_too_old() {
        let most = Duration::from_secs(300);
        let ahead = |seconds| Some(SignedDuration::from_secs(seconds));
        for (sent, offset, old) in [
            // Sent now, by a clock that is seven minutes behind.
            (1000 - 420, None, true),
            (1000 - 420, ahead(-420), false),
            // And six minutes ago.
            (1000 - 420 - 360, ahead(-420), true),
            // A clock that is ahead does not make it younger than it is.
            (1000 + 420, None, false),
            (1000 + 420 - 360, None, false),
            (1000 + 420 - 360, ahead(420), true),
            (1000 - 301, ahead(0), true),
        ] {
            let sent = by_our_clock(at(sent), offset);
            assert_eq!(too_old(sent, at(1000), most), old, "{sent} {offset:?}");
        }
        assert_eq!(by_our_clock(Timestamp::MIN, ahead(1)), Timestamp::MIN);
    }
}
