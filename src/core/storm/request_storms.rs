//! Storms of requests that fail: of one address, or of the whole homeserver.

use jiff::{SignedDuration, Timestamp};

use super::event::{Event, StormKind, Whose};
use super::time_series::Measure;
use super::trigger::Trigger;
use super::watch_state::StormWatch;
use crate::evidence::log_event::Delay;

impl StormWatch {
    /// A request on a delayed event was answered.
    pub(super) fn delay(
        &mut self,
        address: String,
        answer: Delay,
        (at, count): (Timestamp, u64),
        events: &mut Vec<Event>,
    ) {
        let limits = &self.thresholds;
        let minute = SignedDuration::from_mins(1);
        let (trigger, within, enough, part) = match answer {
            Delay::Limited => (Trigger::RateLimited, minute, limits.limited, Measure::Trouble),
            Delay::Slow => (Trigger::Slow, limits.within, limits.slow, Measure::Second),
            Delay::Gone => (Trigger::NotFound, limits.within, limits.gone, Measure::Third),
            Delay::Fast => {
                // The row is interrupted.
                let id = (StormKind::Delay, Whose::Address(address));
                if let Some(watched) = self.watched.get_mut(&id) {
                    watched.recent.retain(|(trigger, _)| *trigger != Trigger::Slow);
                }
                return;
            }
            // Neither fast nor slow: nothing was restarted.
            Delay::Refused => return,
        };
        let id = (StormKind::Delay, Whose::Address(address));
        let watched = self.watched(&id, at);
        let repeats = watched.repeats(trigger, (at, count, within, enough));
        watched.draw(at, part, count);
        self.count(&id, (at, count), repeats, events);
    }

    /// An access token could not be checked. It counts for the homeserver: such a request names no user.
    pub(super) fn auth_failed(&mut self, (at, count): (Timestamp, u64), events: &mut Vec<Event>) {
        let within = self.thresholds.within;
        let enough = self.thresholds.refusals;
        let id = (StormKind::Auth, Whose::Server);
        let watched = self.watched(&id, at);
        let repeats = watched.repeats(Trigger::Unnamed, (at, count, within, enough));
        watched.draw(at, Measure::Trouble, count);
        self.count(&id, (at, count), repeats, events);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Change;
    use super::*;
    use crate::evidence::log_event::{LogEvent, What};
    use crate::evidence::storm_thresholds::Thresholds;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + seconds).unwrap()
    }

    #[test]
    fn tokens_that_cannot_be_checked_are_one_storm_of_the_homeserver() {
        let mut watch = StormWatch::new(Thresholds::default());
        let mut told = Vec::new();
        for second in 0..40 {
            told.extend(watch.see(LogEvent {
                at: at(second * 3),
                count: 1,
                what: What::AuthFailed,
            }));
        }
        let [began] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(
            (began.change, began.kind, &began.whose),
            (Change::Started, StormKind::Auth, &Whose::Server)
        );
        let timeline = watch.timeline(began.storm).unwrap();
        assert_eq!(timeline.curves[0].counts.iter().sum::<u32>(), 40);
        assert_eq!(watch.going_on().len(), 1);
        // It survives a restart of the bot, and ends.
        let kept = serde_json::to_string(&watch).unwrap();
        let mut watch: StormWatch = serde_json::from_str(&kept).unwrap();
        let ended = watch.tick(at(117 + 601));
        assert_eq!(ended.iter().map(|event| event.change).collect::<Vec<_>>(), [Change::Ended]);
        assert_eq!(ended[0].count, 40);
    }

    #[test]
    fn one_request_that_failed_is_no_storm() {
        let mut watch = StormWatch::new(Thresholds::default());
        for minute in 0..10 {
            let what = What::AuthFailed;
            assert!(watch.see(LogEvent { at: at(minute * 400), count: 1, what }).is_empty());
        }
    }

    #[test]
    fn a_restart_that_was_refused_is_no_fast_one() {
        let mut watch = StormWatch::new(Thresholds::default());
        let mut see = |second: i64, answer: Delay| {
            let what = What::Delay { address: "192.0.2.1".into(), answer };
            watch.see(LogEvent { at: at(second), count: 1, what })
        };
        assert!(see(0, Delay::Slow).is_empty() && see(5, Delay::Refused).is_empty());
        assert_eq!(see(10, Delay::Slow)[0].trigger, Trigger::Slow);
    }
}
