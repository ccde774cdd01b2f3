//! A timeline event → its attachment and its bytes: a file, or text that may be a log.
//!
//! A file is downloaded and decrypted into memory, piece by piece and up to a limit. It is never written to disk
//! here, and no name, key or content of it reaches the log.

mod download;

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Client;
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::ruma::events::room::MediaSource;
use matrix_sdk::ruma::events::room::message::{MessageType, Relation};
use ruma::{OwnedEventId, OwnedUserId, UserId};
use tokio::time::timeout;

use super::chat_line::ChatLine;
use super::timeline_event;
use crate::flow::handed_in::is_sign;
use download::{DownloadError, fetch};
use kestrel_core::render::replies;

/// How long a download may take.
const FETCHING: Duration = Duration::from_secs(60);
/// Longer text counts as a log. Shorter text counts if it has a known sign of one.
const TALK: usize = 200;

/// A message that may be a report.
#[derive(Clone)]
pub(super) struct Attachment {
    pub(super) event: OwnedEventId,
    pub(super) sender: OwnedUserId,
    /// By the sender's homeserver's clock.
    pub(super) sent: Timestamp,
    pub(super) what: AttachedContent,
    caption: String,
    mentions: Vec<OwnedUserId>,
    thread: Option<OwnedEventId>,
}

/// What it is.
#[derive(Clone)]
pub(super) enum AttachedContent {
    File {
        name: String,
        source: MediaSource,
        size: Option<u64>,
    },
    Text(String),
    /// A picture, audio or video: not a report.
    Picture,
}

/// Why a report was not accepted: a sentence for its sender.
#[derive(Debug)]
pub(super) struct ReportRefused(pub(super) String);

impl std::fmt::Display for ReportRefused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for ReportRefused {}

impl Attachment {
    /// What this event carries; an edit, a notice or a location carries nothing.
    pub(super) fn from_event(event: &AnySyncTimelineEvent) -> Option<Self> {
        let event = timeline_event::message(event)?;
        let thread = match &event.content.relates_to {
            None | Some(Relation::Reply(_)) => None,
            Some(Relation::Thread(thread)) => Some(thread.event_id.clone()),
            Some(_) => return None,
        };
        let (what, caption) = match &event.content.msgtype {
            MessageType::File(file) => {
                let caption = file.filename.as_ref().filter(|name| **name != file.body);
                let size = file.info.as_ref().and_then(|info| info.size).map(u64::from);
                let name = file.filename().to_owned();
                let source = file.source.clone();
                let caption = caption.map(|_| file.body.clone()).unwrap_or_default();
                (AttachedContent::File { name, source, size }, caption)
            }
            MessageType::Text(text) => (AttachedContent::Text(text.body.clone()), String::new()),
            MessageType::Image(_) | MessageType::Video(_) | MessageType::Audio(_) => {
                (AttachedContent::Picture, String::new())
            }
            _ => return None,
        };
        let mentions = event.content.mentions.iter().flat_map(|all| all.user_ids.iter().cloned());
        Some(Self {
            event: event.event_id.clone(),
            sender: event.sender.clone(),
            sent: timeline_event::sent(event.origin_server_ts)?,
            what,
            caption,
            mentions: mentions.collect(),
            thread,
        })
    }

    /// Whether it is only talk.
    pub(super) fn is_talk(&self) -> bool {
        match &self.what {
            AttachedContent::Text(text) => text.chars().nth(TALK).is_none() && !is_sign(text),
            AttachedContent::File { .. } | AttachedContent::Picture => false,
        }
    }

    /// Whether it begins as a command does.
    pub(super) fn is_command(&self) -> bool {
        matches!(&self.what, AttachedContent::Text(text) if text.trim_start().starts_with('!'))
    }

    /// A file that is handed to the bot in the room: with `!report` as its caption, or with a mention.
    pub(super) fn handed(self, bot: &UserId) -> Option<ChatLine> {
        let asked = self.caption.trim_start().to_lowercase().starts_with("!report");
        let file = matches!(self.what, AttachedContent::File { .. });
        let mentioned = self.mentions.iter().any(|user| user == bot);
        let body = match (file, asked, mentioned) {
            (true, true, _) => self.caption.trim().to_owned(),
            (true, false, true) => "!report".to_owned(),
            _ => return None,
        };
        let event = self.event;
        let thread = self.thread;
        let sender = self.sender;
        let sent = self.sent;
        let replied = Some(event.clone());
        Some(ChatLine { event, sender, sent, body, formatted: None, thread, replied })
    }

    /// Its name and its bytes, at most `most`. A declared size counts only if it is too large.
    pub(super) async fn bytes(self, client: &Client, most: usize) -> Result<(String, Vec<u8>)> {
        let (name, source, size) = match self.what {
            AttachedContent::Text(text) if text.len() > most => return Err(too_large(most)),
            AttachedContent::Text(text) => return Ok(("paste.txt".to_owned(), text.into_bytes())),
            AttachedContent::Picture => return Err(no_picture()),
            AttachedContent::File { name, source, size } => (name, source, size),
        };
        if size.is_some_and(|size| size > most as u64) {
            return Err(too_large(most));
        }
        let refused = |says: &str| Err(ReportRefused(says.to_owned()).into());
        match timeout(FETCHING, fetch(client, &source, most)).await {
            Ok(Ok(bytes)) => Ok((name, bytes)),
            Ok(Err(DownloadError::TooLarge)) => Err(too_large(most)),
            Ok(Err(DownloadError::Failed(error) | DownloadError::Busy(error))) => {
                // The error's text may contain an address with its media ID, and nothing of the content.
                tracing::warn!("the file of {} could not be downloaded: {error:#}", self.event);
                refused(replies::download_failed())
            }
            Err(_) => refused(replies::download_too_slow()),
        }
    }
}

fn too_large(most: usize) -> anyhow::Error {
    ReportRefused(replies::too_large(most)).into()
}

fn no_picture() -> anyhow::Error {
    ReportRefused(replies::no_picture().to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn enclosed(content: Value) -> Option<Attachment> {
        let event = json!({
            "type": "m.room.message", "event_id": "$sent", "sender": "@a:x",
            "origin_server_ts": 1_000, "content": content,
        });
        Attachment::from_event(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn what_is_enclosed_is_told_from_talk() {
        let text = |body: &str| enclosed(json!({"msgtype": "m.text", "body": body})).unwrap();
        assert!(text("hi").is_talk());
        assert!(!text(&"line\n".repeat(60)).is_talk());
        assert!(!text("MissingKey: missing key at index 3").is_talk());
        assert!(text(" !help").is_command());
        let file = enclosed(json!({"msgtype": "m.file", "body": "a.json", "url": "mxc://x/a"}));
        assert!(!file.unwrap().is_talk());
        for content in [
            json!({"msgtype": "m.notice", "body": "hi"}),
            json!({"msgtype": "m.emote", "body": "hi"}),
            json!({"msgtype": "m.text", "body": "* hi", "m.new_content": {"msgtype": "m.text", "body": "hi"},
                   "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"}}),
        ] {
            assert!(enclosed(content).is_none());
        }
    }

    #[test]
    fn a_file_is_handed_on_by_its_caption_or_a_mention_only() {
        let bot = ruma::user_id!("@kestrel:x");
        let handed = |content: Value| enclosed(content).unwrap().handed(bot);
        let file = |extra: Value| {
            let mut content = json!({"msgtype": "m.file", "body": "a.json", "url": "mxc://x/a"});
            let fields = extra.as_object().unwrap().clone();
            content.as_object_mut().unwrap().extend(fields);
            content
        };
        assert!(handed(file(json!({}))).is_none());
        assert!(handed(file(json!({"filename": "a.json"}))).is_none());
        let line = handed(file(json!({"filename": "a.json", "body": "!report @b:x"}))).unwrap();
        assert_eq!(
            (line.body.as_str(), line.replied.as_ref()),
            ("!report @b:x", Some(&line.event))
        );
        let mention = json!({"m.mentions": {"user_ids": ["@kestrel:x"]}});
        assert_eq!(handed(file(mention.clone())).unwrap().body, "!report");
        let other = json!({"m.mentions": {"user_ids": ["@admin:x"]}});
        assert!(handed(file(other)).is_none());
        let text = json!({"msgtype": "m.text", "body": "kestrel: hi", "m.mentions": {"user_ids": ["@kestrel:x"]}});
        assert!(handed(text).is_none());
    }

    #[tokio::test]
    async fn what_says_that_it_is_too_large_is_not_fetched() {
        let file = |size: u64| {
            let content = json!({"msgtype": "m.file", "body": "a", "url": "mxc://x/a", "info": {"size": size}});
            enclosed(content).unwrap()
        };
        // No server listens there: an attempt to fetch the file would be another error.
        let client = Client::builder().homeserver_url("http://127.0.0.1:9").build().await.unwrap();
        let says = |error: anyhow::Error| error.downcast::<ReportRefused>().unwrap().0;
        let large = says(file(2 << 20).bytes(&client, 1 << 20).await.unwrap_err());
        assert!(large.contains("larger than the limit of 1 MiB"), "{large}");
        let text = enclosed(json!({"msgtype": "m.text", "body": "a".repeat(2000)})).unwrap();
        let large = says(text.bytes(&client, 1024).await.unwrap_err());
        assert!(large.contains("larger than the limit of 1 KiB"), "{large}");
        let picture =
            enclosed(json!({"msgtype": "m.image", "body": "a", "url": "mxc://x/a"})).unwrap();
        assert!(says(picture.bytes(&client, 1024).await.unwrap_err()).contains("Pictures"));
    }
}
