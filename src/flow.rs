//! The chain, spelled once: command → plan → collect → evidence → diagnose → render.
//! The bot and the terminal both call it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::command::Command;
use crate::config::Config;
use crate::evidence::Evidence;
use crate::render::Reply;

/// The chain with its configuration.
#[derive(Debug, Clone)]
pub struct Flow {
    config: Arc<Config>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Help, a list of devices, a slip: words only.
    Words(Reply),
    /// A verdict, with what it rests on.
    Case(Box<Case>),
}

/// A judged question.
#[derive(Debug, Clone)]
pub struct Case {
    /// At most 12 lines for a phone.
    pub reply: Reply,
    /// The evidence it rests on: attached as `evidence.json`, and kept so that `!why` works later.
    pub evidence: Evidence,
}

impl Flow {
    /// A chain over the configured sources.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }

    /// Answers one command. Never fails: a source that fails is evidence. `Command::Why` is answered
    /// by `why`, because only the caller knows which case a thread is about.
    pub async fn answer(&self, command: &Command, now: Timestamp) -> Answer {
        let _ = (command, now, &self.config);
        Answer::Words(Reply { plain: String::new(), html: String::new() })
    }

    /// The whole path of a case with every query that was run.
    pub fn why(&self, evidence: &Evidence) -> Reply {
        let _ = evidence;
        Reply { plain: String::new(), html: String::new() }
    }

    /// A case's evidence as the text of `evidence.json`.
    pub fn evidence_json(&self, evidence: &Evidence) -> String {
        serde_json::to_string_pretty(evidence).unwrap_or_default()
    }
}
