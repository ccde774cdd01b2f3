//! Notices about a followed log: that it cannot be read, that it is not a log, that lines are hidden. Each is
//! given once.

use std::mem;
use std::path::PathBuf;

use crate::collect::logs::log_file::LogFile;
use crate::collect::logs::summary;
use crate::config::LogSource;
use kestrel_core::synapse_log::attribution::Attribution;

/// A log that is missing for less than this (milliseconds) is just being rotated.
const ROTATING: i64 = 5_000;

/// Milliseconds.
const DAY: i64 = 24 * 3_600_000;

/// A file with this many lines and no record is not a log.
const ODD: u64 = 1000;

/// What people have been told about one log, and what they have yet to be told.
#[derive(Debug)]
pub struct Notices {
    name: String,
    path: PathBuf,
    texts: Vec<String>,
    /// Since when (milliseconds) the log cannot be read.
    absent: Option<i64>,
    is_blind: bool,
    is_odd: bool,
    /// When (milliseconds) people were last told about logins that hide lines.
    hidden: Option<i64>,
}

impl Notices {
    pub fn new(source: &LogSource) -> Self {
        Self {
            name: source.name.clone(),
            path: source.path.clone(),
            texts: Vec::new(),
            absent: None,
            is_blind: false,
            is_odd: false,
            hidden: None,
        }
    }

    /// Adds a text after the log's name.
    pub fn push(&mut self, text: &str) {
        self.texts.push(format!("log {}{text}", self.name));
    }

    /// The notices since the last call.
    pub fn take(&mut self) -> Vec<String> {
        mem::take(&mut self.texts)
    }

    /// People were told that the log cannot be read, and it still cannot.
    pub fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// Reports once that the log can be read again.
    pub fn readable(&mut self) {
        if mem::take(&mut self.is_blind) {
            self.push(" can be read again");
        }
        self.absent = None;
    }

    /// Reports once that the log cannot be read: at once, or when it lasts longer than a rotation. An empty
    /// reason means that the log is missing.
    pub fn unreadable(&mut self, why: String, at_once: bool, now: i64) {
        let since = *self.absent.get_or_insert(now);
        if self.is_blind || !(at_once || now - since >= ROTATING) {
            return;
        }
        self.is_blind = true;
        let why = if why.is_empty() {
            let gone = LogFile::inspect(&self.path).err();
            gone.unwrap_or_else(|| "the file is being replaced".into())
        } else {
            why
        };
        self.push(&format!(" cannot be read: {why}"));
    }

    /// Reports once a day that login names make lines untrustworthy.
    pub fn hidden(&mut self, reading: &mut Attribution, now: i64) {
        if self.hidden.is_none_or(|told| now - told >= DAY)
            && let Some(why) = reading.hidden()
        {
            self.hidden = Some(now);
            self.push(&format!(": {why}"));
        }
    }

    /// Reports once that a file is not a log.
    pub fn odd(&mut self, reading: &Attribution) {
        if !self.is_odd
            && reading.end().lines > ODD
            && let Some(why) = summary::unreadable(reading.end(), &self.path)
        {
            self.is_odd = true;
            self.push(&format!(" cannot be followed: {why}"));
        }
    }
}
