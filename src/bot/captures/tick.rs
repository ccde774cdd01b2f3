//! A reaction → the step of a capture's checklist that it ticks.

use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use ruma::{OwnedEventId, OwnedUserId};

use crate::bot::timeline_event;
use kestrel_core::capture::Step;

/// A reaction that ticks a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepTick {
    pub(crate) sender: OwnedUserId,
    pub(super) step: Step,
    pub(super) on: OwnedEventId,
}

impl StepTick {
    /// The tick of this event, if it is a reaction by which a step may be ticked.
    pub(crate) fn from_event(event: &AnySyncTimelineEvent) -> Option<Self> {
        let event = timeline_event::reaction(event)?;
        let annotation = &event.content.relates_to;
        let step = Step::from_button(&annotation.key)?;
        Some(Self { sender: event.sender.clone(), step, on: annotation.event_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reaction_with_a_number_is_a_tick() {
        let tick = |key: &str| {
            let event = json!({
                "type": "m.reaction", "event_id": "$press", "sender": "@a:example.org",
                "origin_server_ts": 1_000,
                "content": {"m.relates_to": {
                    "rel_type": "m.annotation", "event_id": "$list", "key": key,
                }},
            });
            StepTick::from_event(&serde_json::from_value(event).ok()?)
        };
        let first = tick("1️⃣").unwrap();
        assert_eq!((first.step, first.on.as_str()), (Step::RaiseLoggers, "$list"));
        assert_eq!(tick("1\u{20e3}"), Some(first));
        assert_eq!(tick("🔁"), None);
    }
}
