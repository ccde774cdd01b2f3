//! A timeline event → a line that may be a command. Edits, notices, quotes and everything that is not the sender's
//! own text starting with `!` are dropped here. Reads no clock and sends nothing.

use jiff::Timestamp;
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::ruma::events::room::message::{
    MessageFormat, MessageType, OriginalSyncRoomMessageEvent, Relation, TextMessageEventContent,
};
use ruma::{EventId, OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::timeline_event;

/// A line that begins with `!`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChatLine {
    pub(super) event: OwnedEventId,
    pub(super) sender: OwnedUserId,
    /// By the sender's homeserver's clock.
    pub(super) sent: Timestamp,
    pub(super) body: String,
    /// The HTML body, without quotes; mention pills live here.
    pub(super) formatted: Option<String>,
    /// The root of the thread it was written in.
    pub(super) thread: Option<OwnedEventId>,
    /// The message it replies to: clients without threads write `!why` so.
    pub(super) replied: Option<OwnedEventId>,
}

impl ChatLine {
    /// The line of this event, if it can be a command.
    pub(super) fn from_event(event: &AnySyncTimelineEvent) -> Option<Self> {
        let event = timeline_event::message(event)?;
        let MessageType::Text(text) = &event.content.msgtype else {
            return None;
        };
        let (thread, replied) = match &event.content.relates_to {
            None => (None, None),
            Some(Relation::Reply(reply)) => (None, Some(reply.in_reply_to.event_id.clone())),
            Some(Relation::Thread(thread)) => (Some(thread.event_id.clone()), None),
            // An edit; or a relation that no thread can start from (MSC3440).
            Some(_) => return None,
        };
        let line = Self::written(event, text)?;
        Some(Self { thread, replied, ..line })
    }

    fn written(
        event: &OriginalSyncRoomMessageEvent,
        text: &TextMessageEventContent,
    ) -> Option<Self> {
        let body = without_quotes(&text.body);
        if !body.starts_with('!') {
            return None;
        }
        let formatted = (text.formatted.as_ref())
            .filter(|formatted| formatted.format == MessageFormat::Html)
            .and_then(|formatted| without_quoted_html(&formatted.body));
        Some(Self {
            event: event.event_id.clone(),
            sender: event.sender.clone(),
            sent: timeline_event::sent(event.origin_server_ts)?,
            body,
            formatted,
            thread: None,
            replied: None,
        })
    }

    /// The thread its answer belongs in.
    pub(super) fn root(&self) -> &EventId {
        self.thread.as_deref().unwrap_or(&self.event)
    }
}

/// The text without its quoted lines: a reply's fallback, or a quote typed by hand.
fn without_quotes(body: &str) -> String {
    let own: Vec<&str> =
        (body.lines()).filter(|line| !line.trim_start().starts_with('>')).collect();
    own.join("\n").trim().to_owned()
}

/// The HTML without what it quotes; `None` where a quote does not end.
fn without_quoted_html(html: &str) -> Option<String> {
    let html = without_element(html, "mx-reply")?;
    without_element(&html, "blockquote")
}

/// The HTML without everything from the first such element's start to the last one's end.
fn without_element(html: &str, name: &str) -> Option<String> {
    // ASCII only, so that positions are the same in both.
    let lower = html.to_ascii_lowercase();
    let Some(start) = lower.find(&format!("<{name}")) else {
        return Some(html.to_owned());
    };
    let close = format!("</{name}>");
    let end = lower.rfind(&close)? + close.len();
    if end <= start {
        return None;
    }
    Some(format!("{}{}", html.get(..start)?, html.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn line(content: Value) -> Option<ChatLine> {
        event("m.room.message", content)
    }

    fn event(kind: &str, content: Value) -> Option<ChatLine> {
        let event = json!({
            "type": kind,
            "event_id": "$command",
            "sender": "@a:example.org",
            "origin_server_ts": 1_000,
            "content": content,
        });
        ChatLine::from_event(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn a_command_is_a_text_that_begins_with_a_bang() {
        let said = line(json!({"msgtype": "m.text", "body": " !help ke1 "})).unwrap();
        assert_eq!(said.body, "!help ke1");
        assert_eq!(said.root(), "$command");
        assert_eq!(said.sent, Timestamp::from_second(1).unwrap());
        for content in [
            json!({"msgtype": "m.text", "body": "help"}),
            json!({"msgtype": "m.text", "body": "say !help"}),
            json!({"msgtype": "m.notice", "body": "!help"}),
            json!({"msgtype": "m.emote", "body": "!help"}),
            json!({"msgtype": "m.file", "body": "!help", "url": "mxc://a/b"}),
        ] {
            assert_eq!(line(content), None);
        }
        assert_eq!(event("m.room.topic", json!({"topic": "!help"})), None);
    }

    #[test]
    fn an_edit_is_no_command() {
        let edit = json!({
            "msgtype": "m.text",
            "body": "* !help",
            "m.new_content": {"msgtype": "m.text", "body": "!help"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"},
        });
        assert_eq!(line(edit), None);
        let bare = json!({
            "msgtype": "m.text",
            "body": "!help",
            "m.new_content": {"msgtype": "m.text", "body": "!help"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"},
        });
        assert_eq!(line(bare), None);
    }

    #[test]
    fn a_relation_that_no_thread_starts_from_is_no_command() {
        let other = json!({
            "msgtype": "m.text",
            "body": "!help",
            "m.relates_to": {"rel_type": "org.example.other", "event_id": "$first"},
        });
        assert_eq!(line(other), None);
    }

    #[test]
    fn in_a_thread_the_answer_belongs_to_that_thread() {
        let said = line(json!({
            "msgtype": "m.text",
            "body": "!why",
            "m.relates_to": {
                "rel_type": "m.thread",
                "event_id": "$root",
                "is_falling_back": true,
                "m.in_reply_to": {"event_id": "$last"},
            },
        }));
        assert_eq!(said.unwrap().root(), "$root");
    }

    #[test]
    fn quoted_text_is_not_read() {
        let reply = |body: &str, html: &str| {
            line(json!({
                "msgtype": "m.text",
                "body": body,
                "format": "org.matrix.custom.html",
                "formatted_body": html,
                "m.relates_to": {"m.in_reply_to": {"event_id": "$first"}},
            }))
        };
        let quoted = "<mx-reply><blockquote>!ke1</blockquote></mx-reply>";
        assert_eq!(reply("> <@b:x> !ke1\n\nthanks", quoted), None);
        assert_eq!(reply("> !ke1", quoted), None);
        let said = reply("> <@b:x> !ke1\n> more\n\n!why", &format!("{quoted}!why")).unwrap();
        assert_eq!(said.body, "!why");
        assert_eq!(said.formatted.as_deref(), Some("!why"));
        assert_eq!(said.root(), "$command");
    }

    #[test]
    fn a_reply_says_what_it_replies_to() {
        let reply = json!({"msgtype": "m.text", "body": "> <@k:s> KE-1\n\n!why",
            "m.relates_to": {"m.in_reply_to": {"event_id": "$verdict"}}});
        let line = line(reply).unwrap();
        assert_eq!(line.body, "!why");
        assert_eq!(line.replied.unwrap().as_str(), "$verdict");
        assert_eq!(line.thread, None);
    }

    #[test]
    fn quotes_in_html_go_whole_or_the_html_goes() {
        let cut = without_quoted_html;
        assert_eq!(cut("!a <b>c</b>").as_deref(), Some("!a <b>c</b>"));
        assert_eq!(cut("<MX-Reply>x</mx-reply>!a").as_deref(), Some("!a"));
        assert_eq!(
            cut("a<blockquote>1<blockquote>2</blockquote></blockquote>b").as_deref(),
            Some("ab")
        );
        assert_eq!(cut("<mx-reply>!a"), None);
        assert_eq!(cut("</mx-reply>é<mx-reply>"), None);
    }
}
