//! Turns a person with a client into somebody in the ops room: what they say, and what they see.
//!
//! Everything is sent and read by a real client with its own keys, so a message is here only when a
//! person could read it. It never looks into the database for what was said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use matrix_sdk::Room;
use matrix_sdk::attachment::AttachmentConfig;
use matrix_sdk::event_handler::RawEvent;
use matrix_sdk::media::{MediaFormat, MediaRequestParameters};
use matrix_sdk::room::MessagesOptions;
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::ruma::events::reaction::ReactionEventContent;
use matrix_sdk::ruma::events::relation::Annotation;
use matrix_sdk::ruma::events::room::message::{
    MessageType, RoomMessageEventContent, RoomMessageEventContentWithoutRelation,
};
use matrix_sdk::ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId, UserId, uint};
use serde_json::Value;

use crate::device::{Device, Syncing};
use crate::lab::{Account, Lab};

const POLL: Duration = Duration::from_millis(100);
/// An answer may have several messages; after this much quiet it is taken to be whole.
const THREAD_QUIET: Duration = Duration::from_millis(1500);
/// How often the room's timeline is fetched while more is awaited.
const CATCH_UP: Duration = Duration::from_secs(3);
const JOIN_PATIENCE: Duration = Duration::from_secs(20);

/// Somebody in a room, with a client that is running.
#[derive(Debug)]
pub struct Person {
    pub account: Account,
    device: Arc<Device>,
    room: Room,
    heard: Arc<Mutex<Vec<Value>>>,
    _syncing: Arc<Syncing>,
}

/// A message as its reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub event_id: OwnedEventId,
    pub sender: String,
    /// The msgtype: `m.notice`, `m.file` and so on; `m.room.encrypted` when it cannot be read.
    pub kind: String,
    /// Of a picture, its alternative text.
    pub plain: String,
    pub html: Option<String>,
    pub attachment_name: Option<String>,
    /// When the server took it, by its clock.
    pub sent: SystemTime,
    /// The whole content, decrypted.
    pub content: Value,
    /// Whether it was edited; all the rest is as it now reads.
    pub edited: bool,
    /// The plain text as it was first said, which is what a notification showed.
    pub first_said: String,
}

impl Person {
    /// Starts a client for the account and waits until it is in the room, and sees how it is encrypted.
    pub async fn enter(lab: &Lab, account: Account, room_id: &RoomId) -> Result<Self> {
        let store = lab.scratch().join(lab.fresh_name("person"));
        let device = Device::open(lab, &account, &store).await?;
        let heard = listen(&device, room_id);
        device.sync().await?;
        device.client().join_room_by_id(room_id).await?;
        let syncing = Arc::new(device.syncing());
        let room = known_room(&device, room_id).await?;
        Ok(Self { account, device: Arc::new(device), room, heard, _syncing: syncing })
    }

    /// The same person with the same client, in another room that they are in already.
    pub async fn in_room(&self, room_id: &RoomId) -> Result<Self> {
        let heard = listen(&self.device, room_id);
        Ok(Self {
            account: self.account.clone(),
            device: Arc::clone(&self.device),
            room: known_room(&self.device, room_id).await?,
            heard,
            _syncing: Arc::clone(&self._syncing),
        })
    }

    /// Makes the account's cross-signing identity and signs this device with it, as clients do at a first login. A
    /// first identity needs no password (MSC3967).
    pub async fn cross_sign(&self) -> Result<()> {
        let made = self.device.client().encryption().bootstrap_cross_signing(None).await;
        made.context("the identity was not made")
    }

    /// Signs another device of the account, as its owner does after comparing emoji.
    pub async fn sign(&self, other: &Account) -> Result<()> {
        let encryption = self.device.client().encryption();
        let user = UserId::parse(&other.user_id)?;
        let deadline = Instant::now() + JOIN_PATIENCE;
        loop {
            let id = other.device_id.as_str().into();
            if let Some(device) = encryption.get_device(&user, id).await? {
                return device.verify().await.context("the other device was not signed");
            }
            if Instant::now() > deadline {
                bail!("the client did not see {} in {JOIN_PATIENCE:?}", other.device_id);
            }
            encryption.request_user_identity(&user).await?;
            tokio::time::sleep(POLL).await;
        }
    }

    pub fn room_id(&self) -> OwnedRoomId {
        self.room.room_id().to_owned()
    }

    pub async fn invite(&self, user_id: &str) -> Result<()> {
        let user_id = UserId::parse(user_id)?;
        Ok(self.room.invite_user_by_id(&user_id).await?)
    }

    /// Waits until somebody has joined the room.
    pub async fn sees_join(&self, user_id: &str, patience: Duration) -> Result<()> {
        let user = UserId::parse(user_id)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(member) = self.room.get_member_no_sync(&user).await?
                && member.membership().as_str() == "join"
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("{user_id} did not join the room in {patience:?}")
    }

    /// Says something in the room.
    pub async fn ask(&self, text: &str) -> Result<OwnedEventId> {
        self.send(RoomMessageEventContent::text_plain(text)).await
    }

    /// Says something in the thread under an event.
    pub async fn ask_in_thread(&self, root: &EventId, text: &str) -> Result<OwnedEventId> {
        use matrix_sdk::ruma::events::relation::Thread;
        use matrix_sdk::ruma::events::room::message::Relation;
        let mut content = RoomMessageEventContent::text_plain(text);
        content.relates_to =
            Some(Relation::Thread(Thread::plain(root.to_owned(), root.to_owned())));
        self.send(content).await
    }

    /// Puts a file into the room, encrypted as clients do.
    pub async fn attach(&self, name: &str, kind: &str, bytes: Vec<u8>) -> Result<OwnedEventId> {
        let kind = kind.parse().with_context(|| format!("{kind:?} is not a media type"))?;
        let sent = self.room.send_attachment(name, &kind, bytes, AttachmentConfig::new()).await?;
        Ok(sent.event_id)
    }

    /// What is in the thread under an event: waits for the first answer, then until nothing more
    /// comes. When the time is up it is what there is, and that may be nothing.
    pub async fn thread(&self, root: &EventId, patience: Duration) -> Result<Vec<Message>> {
        let below = |event: &Value| relation(event) == Some(("m.thread", root.as_str()));
        self.settled(patience, |heard| collect(heard, below), |messages| !messages.is_empty()).await
    }

    /// What is in the threads under many events, in their order: waits until it is enough, and then until
    /// nothing changes any more. A sync leaves events out where many come at once; they are fetched.
    pub async fn threads(
        &self,
        roots: &[OwnedEventId],
        patience: Duration,
        enough: impl Fn(&[Vec<Message>]) -> bool,
    ) -> Result<Vec<Vec<Message>>> {
        let deadline = Instant::now() + patience;
        loop {
            self.catch_up().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let threads = self.settled_threads(roots, left.min(CATCH_UP), &enough).await?;
            if enough(&threads) || left.is_zero() {
                return Ok(threads);
            }
        }
    }

    async fn settled_threads(
        &self,
        roots: &[OwnedEventId],
        patience: Duration,
        enough: impl Fn(&[Vec<Message>]) -> bool,
    ) -> Result<Vec<Vec<Message>>> {
        let below = |heard: &[Value], root: &EventId| {
            let below = |event: &Value| relation(event) == Some(("m.thread", root.as_str()));
            let mut thread = collect(heard, below);
            thread.sort_by_key(|message| message.sent);
            thread
        };
        let all = |heard: &[Value]| roots.iter().map(|root| below(heard, root)).collect();
        self.settled(patience, all, enough).await
    }

    /// What others have said outside any thread, waited for as in `thread`.
    pub async fn notices(&self, patience: Duration) -> Result<Vec<Message>> {
        self.roots(patience, |messages| !messages.is_empty()).await
    }

    /// What others have said outside any thread, as it was first said and as it now reads: waits until it is
    /// enough, and then until nothing changes any more. When the time is up it is what there is.
    pub async fn roots(
        &self,
        patience: Duration,
        enough: impl Fn(&[Message]) -> bool,
    ) -> Result<Vec<Message>> {
        let me = self.account.user_id.as_str();
        let outside = |event: &Value| event["sender"] != me && relation(event).is_none();
        self.settled(patience, |heard| collect(heard, outside), enough).await
    }

    /// Reacts to an event with an emoji.
    pub async fn react(&self, event: &EventId, key: &str) -> Result<OwnedEventId> {
        let content = ReactionEventContent::new(Annotation::new(event.to_owned(), key.to_owned()));
        let sent = self.room.send(content).await.context("the reaction was not taken")?;
        Ok(sent.response.event_id)
    }

    /// Who reacted to an event with what, in the order it came, without what was taken back; waited for as
    /// in `thread`.
    pub async fn reactions(
        &self,
        event: &EventId,
        patience: Duration,
    ) -> Result<Vec<(String, String)>> {
        self.settled(patience, |heard| reactions(heard, event), |all| !all.is_empty()).await
    }

    /// The bytes of a message's file or picture.
    pub async fn download(&self, message: &Message) -> Result<Vec<u8>> {
        let content: RoomMessageEventContentWithoutRelation =
            serde_json::from_value(message.content.clone())?;
        let source = match content.msgtype {
            MessageType::File(file) => file.source,
            MessageType::Image(image) => image.source,
            _ => bail!("{} has no attachment", message.event_id),
        };
        let request = MediaRequestParameters { source, format: MediaFormat::File };
        Ok(self.device.client().media().get_media_content(&request, false).await?)
    }

    async fn send(&self, content: RoomMessageEventContent) -> Result<OwnedEventId> {
        let sent = self.room.send(content).await.context("the message was not taken")?;
        Ok(sent.response.event_id)
    }

    /// Looks again and again until it is enough and has not changed for a while.
    async fn settled<T: PartialEq>(
        &self,
        patience: Duration,
        look: impl Fn(&[Value]) -> Vec<T>,
        enough: impl Fn(&[T]) -> bool,
    ) -> Result<Vec<T>> {
        let deadline = Instant::now() + patience;
        let mut quiet_since = Instant::now();
        let mut seen: Vec<T> = Vec::new();
        loop {
            self.read_again().await;
            let now = look(&lock(&self.heard));
            if now != seen {
                quiet_since = Instant::now();
            }
            seen = now;
            let whole = enough(&seen) && quiet_since.elapsed() >= THREAD_QUIET;
            if whole || Instant::now() > deadline {
                // A sync leaves events out where many come at once.
                self.catch_up().await?;
                let all = look(&lock(&self.heard));
                if all == seen || Instant::now() > deadline {
                    return Ok(all);
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Fetches the room's timeline, and hears what no sync brought.
    async fn catch_up(&self) -> Result<()> {
        let mut from = None;
        loop {
            let mut options = MessagesOptions::backward().from(from.as_deref());
            options.limit = uint!(100);
            let page = self.room.messages(options).await?;
            for event in &page.chunk {
                let value: Value = serde_json::from_str(event.raw().json().get())?;
                hear(&self.heard, value);
            }
            from = page.end;
            if from.is_none() || page.chunk.is_empty() {
                // Those of one moment stay in the order in which they came.
                lock(&self.heard).sort_by_key(|event| event["origin_server_ts"].as_u64());
                return Ok(());
            }
        }
    }

    /// A message that came before its key is read again, as clients do.
    async fn read_again(&self) {
        let sealed: Vec<String> = lock(&self.heard)
            .iter()
            .filter(|event| event["type"] == "m.room.encrypted")
            .filter_map(|event| Some(event["event_id"].as_str()?.to_owned()))
            .collect();
        for id in sealed {
            let Ok(event_id) = EventId::parse(&id) else {
                continue;
            };
            let Ok(event) = self.room.event(&event_id, None).await else {
                continue;
            };
            let Ok(opened) = serde_json::from_str::<Value>(event.raw().json().get()) else {
                continue;
            };
            let mut heard = lock(&self.heard);
            if let Some(place) = heard.iter_mut().find(|event| event["event_id"] == id) {
                *place = opened;
            }
        }
    }
}

/// What the client sees in a room from now on.
fn listen(device: &Device, room_id: &RoomId) -> Arc<Mutex<Vec<Value>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let listened_room = room_id.to_owned();
    device.client().add_event_handler(
        move |_: AnySyncTimelineEvent, event: RawEvent, room: Room| {
            let value = serde_json::from_str::<Value>(event.get());
            if let (Ok(value), true) = (value, room.room_id() == listened_room) {
                hear(&listener, value);
            }
            std::future::ready(())
        },
    );
    heard
}

async fn known_room(device: &Device, room_id: &RoomId) -> Result<Room> {
    let deadline = Instant::now() + JOIN_PATIENCE;
    while Instant::now() < deadline {
        if let Some(room) = device.client().get_room(room_id)
            && room.state() == matrix_sdk::RoomState::Joined
            && !room.latest_encryption_state().await?.is_unknown()
        {
            return Ok(room);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("the client did not see the room {room_id} in {JOIN_PATIENCE:?}")
}

/// Keeps an event, unless it came before by another way.
fn hear(heard: &Mutex<Vec<Value>>, event: Value) {
    let mut heard = lock(heard);
    if !heard.iter().any(|known| known["event_id"] == event["event_id"]) {
        heard.push(event);
    }
}

fn lock(heard: &Mutex<Vec<Value>>) -> std::sync::MutexGuard<'_, Vec<Value>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The messages a reader sees: an edit takes the place of what it edits.
fn collect(heard: &[Value], wanted: impl Fn(&Value) -> bool) -> Vec<Message> {
    let mut messages: Vec<Message> = heard
        .iter()
        .filter(|event| wanted(event))
        .filter_map(|event| message(event, &event["content"]))
        .collect();
    for event in heard {
        let Some(("m.replace", target)) = relation(event) else {
            continue;
        };
        let edited = messages.iter_mut().find(|message| message.event_id == target);
        if let (Some(edited), Some(new)) =
            (edited, message(event, &event["content"]["m.new_content"]))
        {
            let (event_id, first_said) = (edited.event_id.clone(), edited.first_said.clone());
            *edited = Message { event_id, first_said, edited: true, ..new };
        }
    }
    messages
}

/// Who reacted to an event with what. A reaction that was redacted has lost its key, or is named by the
/// redaction.
fn reactions(heard: &[Value], to: &EventId) -> Vec<(String, String)> {
    let named = |event: &Value| {
        let redacts = [&event["redacts"], &event["content"]["redacts"]];
        redacts.into_iter().find_map(|id| id.as_str().map(str::to_owned))
    };
    let redactions = heard.iter().filter(|event| event["type"] == "m.room.redaction");
    let taken_back: Vec<String> = redactions.filter_map(named).collect();
    heard
        .iter()
        .filter(|event| relation(event) == Some(("m.annotation", to.as_str())))
        .filter(|event| !taken_back.iter().any(|id| event["event_id"] == id.as_str()))
        .filter_map(|event| {
            let key = event["content"]["m.relates_to"]["key"].as_str()?;
            Some((event["sender"].as_str()?.to_owned(), key.to_owned()))
        })
        .collect()
}

fn relation(event: &Value) -> Option<(&str, &str)> {
    let relation = &event["content"]["m.relates_to"];
    Some((relation["rel_type"].as_str()?, relation["event_id"].as_str()?))
}

fn message(event: &Value, content: &Value) -> Option<Message> {
    let kind = match event["type"].as_str()? {
        "m.room.message" => content["msgtype"].as_str()?,
        "m.room.encrypted" => "m.room.encrypted",
        _ => return None,
    };
    let text = |key: &str| content[key].as_str().map(str::to_owned);
    let attached = ["m.file", "m.image"].contains(&kind);
    Some(Message {
        event_id: EventId::parse(event["event_id"].as_str()?).ok()?,
        sender: event["sender"].as_str()?.to_owned(),
        kind: kind.to_owned(),
        plain: text("body").unwrap_or_default(),
        html: text("formatted_body"),
        sent: UNIX_EPOCH + Duration::from_millis(event["origin_server_ts"].as_u64().unwrap_or(0)),
        attachment_name: attached.then(|| text("filename").or_else(|| text("body"))).flatten(),
        content: content.clone(),
        edited: false,
        first_said: text("body").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_edit_takes_the_place_of_what_it_edits() {
        let heard = [
            json!({"type": "m.room.message", "event_id": "$a", "sender": "@b:x", "content": {
                "msgtype": "m.notice", "body": "looking",
                "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}}),
            json!({"type": "m.room.message", "event_id": "$b", "sender": "@b:x", "content": {
                "msgtype": "m.notice", "body": "* found",
                "m.new_content": {"msgtype": "m.notice", "body": "found"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": "$a"}}}),
        ];
        let messages = collect(&heard, |event| relation(event) == Some(("m.thread", "$root")));
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].plain.as_str(), messages[0].edited), ("found", true));
        assert_eq!(messages[0].first_said, "looking");
        assert_eq!(messages[0].event_id.as_str(), "$a");
    }

    #[test]
    fn a_picture_is_told_by_its_alternative_text() {
        let heard = [
            json!({"type": "m.room.message", "event_id": "$a", "sender": "@b:x", "content": {
            "msgtype": "m.image", "body": "Refused uploads of @u DEV: 412", "filename": "storm.png"}}),
        ];
        let messages = collect(&heard, |event| relation(event).is_none());
        assert_eq!((messages[0].kind.as_str(), messages[0].edited), ("m.image", false));
        assert_eq!(messages[0].plain, "Refused uploads of @u DEV: 412");
        assert_eq!(messages[0].attachment_name.as_deref(), Some("storm.png"));
    }

    #[test]
    fn what_was_taken_back_is_no_reaction() {
        let reaction = |id: &str, key: &str| {
            json!({"type": "m.reaction", "event_id": id, "sender": "@b:x", "content": {
                "m.relates_to": {"rel_type": "m.annotation", "event_id": "$root", "key": key}}})
        };
        let heard = [
            reaction("$1", "🔁"),
            reaction("$2", "❓"),
            reaction("$3", "🔕"),
            json!({"type": "m.room.redaction", "redacts": "$1"}),
            json!({"type": "m.room.redaction", "content": {"redacts": "$2"}}),
        ];
        let root = EventId::parse("$root").unwrap();
        assert_eq!(reactions(&heard, &root), [("@b:x".to_owned(), "🔕".to_owned())]);
    }
}
