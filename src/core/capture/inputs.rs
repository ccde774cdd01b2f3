//! What goes into a capture session, what comes out of it, and what it keeps.

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::checklist::Step;

/// The requested capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRequest {
    pub user: OwnedUserId,
    /// `None`: all devices of the user.
    pub device: Option<OwnedDeviceId>,
    pub by: OwnedUserId,
    /// Limited to the allowed range.
    pub length: SignedDuration,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Only time has passed.
    Clock,
    /// This process resumed the session from the store.
    Restarted,
    /// A person ticked a step, or removed the tick.
    Ticked {
        step: Step,
        by: OwnedUserId,
    },
    Unticked(Step),
    /// A person marked a moment; foreign text.
    Marked {
        text: String,
        by: OwnedUserId,
    },
    /// The position of a log; opaque text.
    Place {
        source: String,
        position: String,
    },
    /// A clock comparison: its time minus ours.
    Clocks {
        source: String,
        millis: i64,
    },
    /// A file about the subject arrived and was stored, redacted, under this name of ours.
    Received {
        name: String,
        step: Step,
    },
    /// The inbox was polled, or latency sampled.
    Polled,
    Sampled,
    /// A person stopped it.
    Stopped {
        by: OwnedUserId,
    },
    /// The bundle is posted and stored: nothing is left to do.
    Bundled,
}

/// What the bot has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Say(Said),
    /// The checklist changed: update it.
    Tick(Step),
    Remind(Reminder),
    /// Poll the inbox of the subject.
    Poll,
    /// Sample latency.
    Sample,
    /// Run every question over the window, and create the bundle.
    Finish(End),
}

/// What to say; the words are elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Began,
    /// The number of the mark, from 1.
    Marked(usize),
    /// No more marks are kept.
    MarksFull,
    /// Kestrel was offline for this long, and the session continues.
    WentOn(SignedDuration),
    Ended(End),
    /// A command for a session that has ended.
    IsOver,
}

/// What people forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reminder {
    /// `synapse.9533_debug` to DEBUG: without it the log says nothing of to-device messages.
    RaiseLoggers,
    /// Back to INFO: DEBUG is very verbose.
    RevertLoggers,
    EndsSoon,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A person stopped it.
    Stopped,
    /// It reached its length.
    Length,
    /// It reached its length, and nobody ticked, marked or sent anything.
    Abandoned,
}

/// A moment that a person marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub at: Timestamp,
    pub by: OwnedUserId,
    /// Clipped, on one line.
    pub text: String,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    Place { at: Timestamp, source: String, position: String },
    Clocks { at: Timestamp, source: String, millis: i64 },
}
