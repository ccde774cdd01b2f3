//! Every command there is, and its name.

use std::time::Duration;

use ruma::OwnedUserId;

use super::capture::CaptureCommand;
use super::cases::CaseAction;
use super::storms::MuteTarget;
use crate::evidence::Symptom;
use crate::question::{Question, Topic};

/// One command, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!ke1 …`, `!ke2 …`, `!ke3 …`, `!ke4 …`, `!triage …`, `!fleet …`.
    Ask(Question),
    /// `!report [@user]`: reads the file or the pasted log that it replies to.
    Report { about: Option<OwnedUserId> },
    /// `!storms`: the ongoing ones and the latest resolved ones.
    Storms,
    /// `!mute <storm|@user|all> [time]`: no alerts about it for a while.
    Mute { target: MuteTarget, length: Duration },
    /// `!unmute [storm|@user|all]`: ends that mute; `None` ends every mute.
    Unmute(Option<MuteTarget>),
    /// `!cases [@user]`: the newest that are stored, of one user or of all.
    Cases(Option<OwnedUserId>),
    /// `!case NUMBER [why | again | delete]`: one of them.
    Case { number: u64, action: CaseAction },
    /// `!capture [start @user [DEVICE] [for 30m] | mark TEXT | stop]`: records a call while it fails.
    Capture(CaptureCommand),
    /// `!why`: the whole path and every query of the verdict in this thread.
    Why,
    /// `!tree [ke1…ke4]`: the questions of a branch, or of all four.
    Tree(Option<Symptom>),
    /// `!remedies [verdict]`: what can be done, and its impact.
    Remedies(Option<String>),
    /// `!help [command]`.
    Help(Option<CommandName>),
}

/// Which command. The table has a row for each, in this order; `Help` stays the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandName {
    Ke1,
    Ke2,
    Ke3,
    Ke4,
    Triage,
    Fleet,
    Report,
    Storms,
    Mute,
    Unmute,
    Cases,
    Case,
    Capture,
    Why,
    Tree,
    Remedies,
    Help,
}

impl CommandName {
    pub const COUNT: usize = Self::Help as usize + 1;
}

impl Command {
    /// Without a wildcard: a new command does not compile until it has a name, and a name not until the table
    /// has its row.
    pub fn name(&self) -> CommandName {
        match self {
            Self::Ask(question) => match question.topic {
                Topic::Ke1 { .. } => CommandName::Ke1,
                Topic::Ke2 { .. } => CommandName::Ke2,
                Topic::Ke3(_) => CommandName::Ke3,
                Topic::Ke4 { .. } => CommandName::Ke4,
                Topic::All { .. } => CommandName::Triage,
                Topic::Fleet => CommandName::Fleet,
            },
            Self::Report { .. } => CommandName::Report,
            Self::Storms => CommandName::Storms,
            Self::Mute { .. } => CommandName::Mute,
            Self::Unmute(_) => CommandName::Unmute,
            Self::Cases(_) => CommandName::Cases,
            Self::Case { .. } => CommandName::Case,
            Self::Capture(_) => CommandName::Capture,
            Self::Why => CommandName::Why,
            Self::Tree(_) => CommandName::Tree,
            Self::Remedies(_) => CommandName::Remedies,
            Self::Help(_) => CommandName::Help,
        }
    }
}
