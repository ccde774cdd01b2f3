//! A question with a live watch → what is said before the watch begins.

use super::answer::Flow;
use kestrel_core::question::{Question, Topic};
use kestrel_core::render::{self, Reply};

impl Flow {
    /// What is said before a live watch begins: it ends long after it was asked for, and needs a call.
    /// Nothing where none will begin.
    pub fn announcement(&self, question: &Question) -> Option<Reply> {
        let Topic::Ke2 { user, device: Some(device), live: Some(length), .. } = &question.topic
        else {
            return None;
        };
        let begins = self.config.database.is_some() && self.live_watch.available_permits() > 0;
        if !begins || self.foreign(user).is_some() {
            return None;
        }
        let seconds = length.as_secs();
        let line =
            format!("Watching the inbox of {user} {device} for {seconds} s. Make the call now.");
        Some(render::lines([line.as_str()]).reply())
    }
}
