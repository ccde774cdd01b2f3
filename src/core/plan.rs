//! What a command means here: about whom, which window, and what the branch needs to know.
//!
//! Nothing here asks a source, and "now" comes in as a value.

use std::time::Duration;

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedServerName};

use crate::command::{Ke1, Ke2, Ke3, Ke4, Span, Triage};
use crate::diagnose;
use crate::evidence::{
    About, EventSubject, Gathered, Need, SenderSubject, ServerSubject, Subject, Symptom,
    UserSubject, WholeSubject, Window,
};

/// What to collect for one question.
#[derive(Debug, Clone)]
pub struct Plan {
    pub symptom: Symptom,
    pub subject: About,
    pub window: Window,
    pub needs: &'static [Need],
    /// How long the device's inbox is watched, instead of looked at once.
    pub live: Option<Duration>,
    /// What clients said of themselves, read before.
    pub client: Vec<Gathered>,
    /// The user's devices, where one of them was chosen for the question.
    pub listed: Option<Gathered>,
    /// The reference time of the verdict.
    pub now: Timestamp,
}

impl Plan {
    /// The plan of `!ke1` for one device.
    pub fn ke1(typed: &Ke1, device: OwnedDeviceId, default: Duration, now: Timestamp) -> Self {
        let subject = Subject { user: typed.user.clone(), device };
        Self::new(Symptom::Ke1, About::Device(subject), window(typed.span, default, now), now)
    }

    /// The plan of `!ke2` for one device.
    pub fn ke2(typed: &Ke2, device: OwnedDeviceId, default: Duration, now: Timestamp) -> Self {
        let device = Subject { user: typed.user.clone(), device };
        let about = match typed.sender.clone() {
            Some(sender) => About::Sender(SenderSubject { device, sender }),
            None => About::Device(device),
        };
        let plan = Self::new(Symptom::Ke2, about, window(typed.span, default, now), now);
        Self { live: typed.live, ..plan }
    }

    /// The plan of `!ke3` for one event. What it reads has no time.
    pub fn ke3(typed: &Ke3, default: Duration, now: Timestamp) -> Self {
        let about = About::Event(event(typed));
        Self::new(Symptom::Ke3, about, window(Span::Unsaid, default, now), now)
    }

    /// The plan of `!ke4` for one user.
    pub fn ke4(typed: &Ke4, default: Duration, now: Timestamp) -> Self {
        let about = About::User(UserSubject { user: typed.user.clone() });
        Self::new(Symptom::Ke4, about, window(typed.span, default, now), now)
    }

    /// The plan of `!triage`: everything about one device, and one event where there is one.
    pub fn all(typed: &Triage, device: OwnedDeviceId, default: Duration, now: Timestamp) -> Self {
        let device = Subject { user: typed.user.clone(), device };
        let about = match &typed.event {
            Some(typed) => About::Whole(WholeSubject { device, event: event(typed) }),
            None => About::Device(device),
        };
        Self::new(Symptom::All, about, window(typed.span, default, now), now)
    }

    /// The plan of `!fleet`: everybody.
    pub fn fleet(
        span: Span,
        server: Option<OwnedServerName>,
        default: Duration,
        now: Timestamp,
    ) -> Self {
        let about = About::Server(ServerSubject { server });
        Self::new(Symptom::Fleet, about, window(span, default, now), now)
    }

    /// With what clients said of themselves.
    pub fn with(mut self, client: &[Gathered]) -> Self {
        self.client = client.to_vec();
        self
    }

    /// With the user's devices, of which the subject was chosen.
    pub fn out_of(mut self, listed: Option<Gathered>) -> Self {
        self.listed = listed;
        self
    }

    /// The answers that were there before anything was asked.
    pub fn given(&self) -> impl Iterator<Item = Gathered> {
        self.client.iter().chain(&self.listed).cloned()
    }

    fn new(symptom: Symptom, subject: About, window: Window, now: Timestamp) -> Self {
        let needs = diagnose::needs(symptom, &subject);
        Self { symptom, subject, window, needs, live: None, client: Vec::new(), listed: None, now }
    }
}

fn event(typed: &Ke3) -> EventSubject {
    EventSubject { event: typed.event.clone(), room: typed.room.clone(), column: typed.column }
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
