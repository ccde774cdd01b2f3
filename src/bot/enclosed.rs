//! A timeline event → what somebody enclosed in it, and its bytes: a file, or text that may be a log.
//!
//! A file is fetched and decrypted into memory, as it comes and up to a limit. It is never written down here,
//! and no name, key or content of it reaches the log.

mod fetch;

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Client;
use matrix_sdk::ruma::events::room::MediaSource;
use matrix_sdk::ruma::events::room::message::{MessageType, Relation};
use matrix_sdk::ruma::events::{
    AnySyncMessageLikeEvent, AnySyncTimelineEvent, SyncMessageLikeEvent,
};
use ruma::{OwnedEventId, OwnedUserId, UserId};
use tokio::time::timeout;

use super::line::ChatLine;
use fetch::{Unfetched, fetch};
use kestrel_core::client_files::signs;

/// How long a file may take to come.
const FETCHING: Duration = Duration::from_secs(60);
/// Text of more characters is taken for a log; a shorter one where it holds a sign that is known.
const TALK: usize = 200;

/// A message with something in it.
#[derive(Clone)]
pub(super) struct Enclosed {
    pub(super) event: OwnedEventId,
    pub(super) sender: OwnedUserId,
    /// By the sender's homeserver's clock.
    pub(super) sent: Timestamp,
    pub(super) what: What,
    caption: String,
    mentions: Vec<OwnedUserId>,
    thread: Option<OwnedEventId>,
}

/// What it is.
#[derive(Clone)]
pub(super) enum What {
    File {
        name: String,
        source: MediaSource,
        size: Option<u64>,
    },
    Text(String),
    /// A picture, a sound or a film: no report.
    Picture,
}

/// Why something was not taken: a sentence for whoever sent it.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Enclosed {
    /// What this event encloses; an edit, a notice or a place encloses nothing.
    pub(super) fn of(event: &AnySyncTimelineEvent) -> Option<Self> {
        let AnySyncTimelineEvent::MessageLike(AnySyncMessageLikeEvent::RoomMessage(
            SyncMessageLikeEvent::Original(event),
        )) = event
        else {
            return None;
        };
        let thread = match &event.content.relates_to {
            None | Some(Relation::Reply(_)) => None,
            Some(Relation::Thread(thread)) => Some(thread.event_id.clone()),
            Some(_) => return None,
        };
        let (what, caption) = match &event.content.msgtype {
            MessageType::File(file) => {
                let caption = file.filename.as_ref().filter(|name| **name != file.body);
                let size = file.info.as_ref().and_then(|info| info.size).map(u64::from);
                let (name, source) = (file.filename().to_owned(), file.source.clone());
                let caption = caption.map(|_| file.body.clone()).unwrap_or_default();
                (What::File { name, source, size }, caption)
            }
            MessageType::Text(text) => (What::Text(text.body.clone()), String::new()),
            MessageType::Image(_) | MessageType::Video(_) | MessageType::Audio(_) => {
                (What::Picture, String::new())
            }
            _ => return None,
        };
        let mentions = event.content.mentions.iter().flat_map(|all| all.user_ids.iter().cloned());
        Some(Self {
            event: event.event_id.clone(),
            sender: event.sender.clone(),
            sent: Timestamp::from_millisecond(event.origin_server_ts.get().into()).ok()?,
            what,
            caption,
            mentions: mentions.collect(),
            thread,
        })
    }

    /// Whether somebody only talks.
    pub(super) fn is_talk(&self) -> bool {
        match &self.what {
            What::Text(text) => text.chars().nth(TALK).is_none() && signs::sign(text).is_none(),
            What::File { .. } | What::Picture => false,
        }
    }

    /// Whether it begins as a command does.
    pub(super) fn is_command(&self) -> bool {
        matches!(&self.what, What::Text(text) if text.trim_start().starts_with('!'))
    }

    /// A file that is handed to the bot where it is: with `!report` as its caption, or with a mention.
    pub(super) fn handed(self, bot: &UserId) -> Option<ChatLine> {
        let asked = self.caption.trim_start().to_lowercase().starts_with("!report");
        let file = matches!(self.what, What::File { .. });
        let mentioned = self.mentions.iter().any(|user| user == bot);
        let body = match (file, asked, mentioned) {
            (true, true, _) => self.caption.trim().to_owned(),
            (true, false, true) => "!report".to_owned(),
            _ => return None,
        };
        let (event, thread) = (self.event, self.thread);
        let (sender, sent, replied) = (self.sender, self.sent, Some(event.clone()));
        Some(ChatLine { event, sender, sent, body, formatted: None, thread, replied })
    }

    /// Its name and its bytes, at most so many. What a size says is believed only where it says too much.
    pub(super) async fn bytes(self, client: &Client, most: usize) -> Result<(String, Vec<u8>)> {
        let (name, source, size) = match self.what {
            What::Text(text) if text.len() > most => return Err(too_large(most)),
            What::Text(text) => return Ok(("paste.txt".to_owned(), text.into_bytes())),
            What::Picture => return Err(no_picture()),
            What::File { name, source, size } => (name, source, size),
        };
        if size.is_some_and(|size| size > most as u64) {
            return Err(too_large(most));
        }
        let refused = |says: &str| Err(Refused(says.to_owned()).into());
        match timeout(FETCHING, fetch(client, &source, most)).await {
            Ok(Ok(bytes)) => Ok((name, bytes)),
            Ok(Err(Unfetched::TooLarge)) => Err(too_large(most)),
            Ok(Err(Unfetched::Failed(error) | Unfetched::Busy(error))) => {
                // The error's own words may hold an address with its media id, and nothing of the content.
                tracing::warn!("the file of {} was not fetched: {error:#}", self.event);
                refused(
                    "The file could not be fetched, or its key does not open it. Send it again.",
                )
            }
            Err(_) => refused(
                "The file took longer than a minute to come. Send it again, or a smaller one.",
            ),
        }
    }
}

fn too_large(most: usize) -> anyhow::Error {
    let most = match most >> 20 {
        0 => format!("{} KiB", most >> 10),
        mib => format!("{mib} MiB"),
    };
    let says = format!(
        "The file is larger than the {most} limit, so I did not read it. Zip it, or record one call only."
    );
    Refused(says).into()
}

fn no_picture() -> anyhow::Error {
    let says = "I cannot read pictures, sounds or films. Send me the file that your client saved (.json, .har, \
                .log, also zipped), or paste the text.";
    Refused(says.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn enclosed(content: Value) -> Option<Enclosed> {
        let event = json!({
            "type": "m.room.message", "event_id": "$sent", "sender": "@a:x",
            "origin_server_ts": 1_000, "content": content,
        });
        Enclosed::of(&serde_json::from_value(event).unwrap())
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
        // Nobody listens there: a try to fetch it would be another refusal.
        let client = Client::builder().homeserver_url("http://127.0.0.1:9").build().await.unwrap();
        let says = |error: anyhow::Error| error.downcast::<Refused>().unwrap().0;
        let large = says(file(2 << 20).bytes(&client, 1 << 20).await.unwrap_err());
        assert!(large.contains("larger than the 1 MiB limit"), "{large}");
        let text = enclosed(json!({"msgtype": "m.text", "body": "a".repeat(2000)})).unwrap();
        let large = says(text.bytes(&client, 1024).await.unwrap_err());
        assert!(large.contains("larger than the 1 KiB limit"), "{large}");
        let picture =
            enclosed(json!({"msgtype": "m.image", "body": "a", "url": "mxc://x/a"})).unwrap();
        assert!(says(picture.bytes(&client, 1024).await.unwrap_err()).contains("pictures"));
    }
}
