//! What was typed, as a closed set of commands.
//!
//! A line in, a `Command` or a kind word about the slip out. What a command means on this server (which
//! window, which sources) is the plan's business.

use std::time::Duration;

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId};

/// One command, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!ke1 @user:server DEVICE [window]`: one-time key conflicts of one device.
    Ke1(Ke1),
    /// `!why`: the whole path and every query of the verdict in this thread.
    Why,
    /// `!help [command]`.
    Help(Option<String>),
}

/// The words of `!ke1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ke1 {
    pub user: OwnedUserId,
    /// `None` lists the user's devices, those in trouble first.
    pub device: Option<OwnedDeviceId>,
    pub span: Span,
}

/// The window as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// None was named: the configured default, ending now.
    Unsaid,
    Last(Duration),
    Since(Timestamp),
    Between(Timestamp, Timestamp),
}
