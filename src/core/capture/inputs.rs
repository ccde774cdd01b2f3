//! What goes into a capture session, what comes out of it, and what it keeps.

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::checklist::Step;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRequest {
    pub user: OwnedUserId,
    /// `None`: all of the user's devices are looked at.
    pub device: Option<OwnedDeviceId>,
    pub by: OwnedUserId,
    /// Taken as the nearest that is allowed.
    pub length: SignedDuration,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Nothing but that time went by.
    Clock,
    /// This process took the session up from the store.
    Restarted,
    /// A person ticked a step, or took the tick back.
    Ticked {
        step: Step,
        by: OwnedUserId,
    },
    Unticked(Step),
    /// A person noted a moment; foreign text.
    Marked {
        text: String,
        by: OwnedUserId,
    },
    /// Where a log stood; the position is opaque.
    Place {
        source: String,
        position: String,
    },
    /// A clock was compared: its time minus ours.
    Clocks {
        source: String,
        millis: i64,
    },
    /// A file about the subject came in and was kept, redacted, under this name of ours.
    Received {
        name: String,
        step: Step,
    },
    /// The inbox was looked at, or latency sampled.
    Polled,
    Sampled,
    /// A person ended it.
    Stopped {
        by: OwnedUserId,
    },
    /// The bundle is posted and kept: nothing is left to do.
    Bundled,
}

/// What the bot is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Say(Said),
    /// The checklist changed: show it anew.
    Tick(Step),
    Remind(Reminder),
    /// Look at the inbox of the subject.
    Poll,
    /// Ask for latency.
    Sample,
    /// Run every question over the window, and bundle.
    Finish(End),
}

/// What there is to tell; worded elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Began,
    /// The number of the mark, from 1.
    Marked(usize),
    /// No more marks are kept.
    MarksFull,
    /// It was away for so long, and goes on.
    WentOn(SignedDuration),
    Ended(End),
    /// Something was asked of a session that is over.
    IsOver,
}

/// What a person forgets.
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
    /// A person said so.
    Stopped,
    /// Its time was over.
    Length,
    /// Its time was over, and nobody had ticked, marked or sent anything.
    Abandoned,
}

/// A moment that a person noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub at: Timestamp,
    pub by: OwnedUserId,
    /// Clipped, and of one line.
    pub text: String,
}

/// What was measured at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    Place { at: Timestamp, source: String, position: String },
    Clocks { at: Timestamp, source: String, millis: i64 },
}
