//! What a question means here: about whom, which window, and what the branch needs to know.
//!
//! Nothing here asks a source, and "now" comes in as a value.

use std::time::Duration;

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId, ServerName};

use crate::diagnose;
use crate::evidence::{
    About, Gathered, Need, SenderSubject, ServerSubject, Subject, Symptom, UserSubject,
    WholeSubject, Window,
};
use crate::question::{Question, Span, Topic};

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

/// A question is about a device of this user, and names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoDevice {
    pub user: OwnedUserId,
}

impl Plan {
    /// The plan of a question. `default` is the length of a window that is not said.
    pub fn new(
        question: &Question,
        server: Option<&ServerName>,
        default: Duration,
        now: Timestamp,
    ) -> Result<Self, NoDevice> {
        let symptom = question.symptom();
        let subject = subject(&question.topic, server)?;
        // What is read of an event has no time.
        let span = if symptom == Symptom::Ke3 { Span::Unsaid } else { question.span };
        Ok(Self {
            symptom,
            needs: diagnose::needs(symptom, &subject),
            subject,
            window: window(span, default, now),
            live: question.live(),
            client: Vec::new(),
            listed: None,
            now,
        })
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
}

fn subject(topic: &Topic, server: Option<&ServerName>) -> Result<About, NoDevice> {
    let of_user = |user: &OwnedUserId, device: &Option<OwnedDeviceId>| match device.clone() {
        Some(device) => Ok(Subject { user: user.clone(), device }),
        None => Err(NoDevice { user: user.clone() }),
    };
    Ok(match topic {
        Topic::Ke1 { user, device } => About::Device(of_user(user, device)?),
        Topic::Ke2 { user, device, sender, .. } => {
            let device = of_user(user, device)?;
            match sender.clone() {
                Some(sender) => About::Sender(SenderSubject { device, sender }),
                None => About::Device(device),
            }
        }
        Topic::Ke3(event) => About::Event(event.clone()),
        Topic::Ke4 { user } => About::User(UserSubject { user: user.clone() }),
        Topic::All { user, device, event } => {
            let device = of_user(user, device)?;
            match event.clone() {
                Some(event) => About::Whole(WholeSubject { device, event }),
                None => About::Device(device),
            }
        }
        Topic::Fleet => About::Server(ServerSubject { server: server.map(ToOwned::to_owned) }),
    })
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
