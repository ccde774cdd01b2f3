//! When a command was sent, by its homeserver's clock → its age by this machine's clock. The homeserver is asked for
//! its time only if a command looks too old.

use jiff::Timestamp;
use matrix_sdk::deserialized_responses::TimelineEvent;
use ruma::UserId;

use super::homeserver_clock::HomeserverClock;
use super::state::SyncLoop;
use crate::bot::clock_offset;
use crate::bot::event_age::{NOBODY_WAITS, by_our_clock, too_old};
use crate::bot::timeline_event;

impl SyncLoop {
    /// Asks the homeserver for its time, if one of these events looks too old to be answered.
    pub(crate) async fn check_homeserver_clock(&mut self, events: &[TimelineEvent]) {
        let now = Timestamp::now();
        let most = self.max_age();
        let looks_old = |event: &TimelineEvent| {
            let sent = timeline_event::raw_sent(event.raw());
            sent.is_some_and(|sent| too_old(sent, now, most) && !too_old(sent, now, NOBODY_WAITS))
        };
        if self.clock.is_fresh() || !events.iter().any(looks_old) {
            return;
        }
        self.clock = HomeserverClock::ask(&self.client).await;
        if let Some(wrong) = self.clock.wrong() {
            tracing::warn!("{}: set the clocks (NTP)", clock_offset::describe(wrong));
        }
    }

    /// When something was sent, by this machine's clock. The offset is known of the own homeserver only.
    pub(crate) fn sent_by_our_clock(&self, sender: &UserId, sent: Timestamp) -> Timestamp {
        let ours = self.client.user_id().map(UserId::server_name);
        let offset = self.clock.wrong().filter(|_| ours == Some(sender.server_name()));
        by_our_clock(sent, offset)
    }
}
