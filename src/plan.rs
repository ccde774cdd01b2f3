//! What a command means here: whose device, which window, and what the branch needs to know.
//!
//! Nothing here asks a source, and "now" comes in as a value.

use std::time::Duration;

use jiff::Timestamp;
use ruma::OwnedDeviceId;

use crate::command::{Ke1, Ke3, Span};
use crate::diagnose;
use crate::evidence::{About, EventSubject, Need, Subject, Symptom, Window};

/// What to collect for one question.
#[derive(Debug, Clone)]
pub struct Plan {
    pub symptom: Symptom,
    pub subject: About,
    pub window: Window,
    pub needs: &'static [Need],
    /// The reference time of the verdict.
    pub now: Timestamp,
}

impl Plan {
    /// The plan of `!ke1` for one device.
    pub fn ke1(typed: &Ke1, device: OwnedDeviceId, default: Duration, now: Timestamp) -> Self {
        Self {
            symptom: Symptom::Ke1,
            subject: About::Device(Subject { user: typed.user.clone(), device }),
            window: window(typed.span, default, now),
            needs: diagnose::needs(Symptom::Ke1),
            now,
        }
    }

    /// The plan of `!ke3` for one event. What it reads has no time.
    pub fn ke3(typed: &Ke3, default: Duration, now: Timestamp) -> Self {
        let subject = EventSubject {
            event: typed.event.clone(),
            room: typed.room.clone(),
            column: typed.column,
        };
        Self {
            symptom: Symptom::Ke3,
            subject: About::Event(subject),
            window: window(Span::Unsaid, default, now),
            needs: diagnose::needs(Symptom::Ke3),
            now,
        }
    }
}

/// The window that a span means at `now`. A window never ends before it begins.
pub fn window(span: Span, default: Duration, now: Timestamp) -> Window {
    let back = |duration: Duration| {
        let duration =
            jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
        now.checked_sub(duration).unwrap_or(Timestamp::MIN)
    };
    match span {
        Span::Unsaid => Window { from: back(default), to: now },
        Span::Last(duration) => Window { from: back(duration), to: now },
        Span::Since(from) => Window { from: from.min(now), to: now },
        Span::Between(from, to) => Window { from: from.min(to), to: to.max(from) },
    }
}
