//! A reply → an event in a room, once: in the asker's thread, mentioning nobody else, under a transaction ID that its
//! cause decides. It does not word messages.

use std::io::Cursor;

use anyhow::{Context, Result};
use matrix_sdk::Room;
use matrix_sdk::ruma::events::Mentions;
use matrix_sdk::ruma::events::reaction::ReactionEventContent;
use matrix_sdk::ruma::events::relation::{Annotation, InReplyTo, Reply as InReply, Thread};
use matrix_sdk::ruma::events::room::message::{
    FileInfo, FileMessageEventContent, ImageMessageEventContent, MessageType, Relation,
    ReplacementMetadata, RoomMessageEventContent, RoomMessageEventContentWithoutRelation,
};
use matrix_sdk::ruma::events::room::{ImageInfo, MediaSource};
use matrix_sdk::ruma::{OwnedTransactionId, UInt};
use ruma::{EventId, OwnedEventId, OwnedUserId};

use super::delivery;
use super::outgoing_message::OutgoingMessage;
use kestrel_core::render::{Picture, Reply};

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Destination<'a> {
    Room,
    /// Under this root.
    Thread(&'a EventId),
    /// An edit of this event.
    Instead(&'a EventId),
}

/// Sends a message that mentions the users in `rings`.
pub(crate) async fn post(
    room: &Room,
    place: Destination<'_>,
    message: &OutgoingMessage,
    rings: &[OwnedUserId],
    txn: OwnedTransactionId,
) -> Result<OwnedEventId> {
    let plain = &message.plain;
    let html = &message.html;
    let mut content = if message.rings {
        RoomMessageEventContent::text_html(plain, html)
    } else {
        RoomMessageEventContent::notice_html(plain, html)
    };
    content.mentions = Some(Mentions::with_user_ids(rings.iter().cloned()));
    match place {
        Destination::Room => {}
        Destination::Thread(root) => {
            let thread = Thread::plain(root.to_owned(), root.to_owned());
            content.relates_to = Some(Relation::Thread(thread));
        }
        Destination::Instead(root) => {
            content = content.make_replacement(ReplacementMetadata::new(root.to_owned(), None));
        }
    }
    delivery::patiently(room, content, txn).await
}

/// Puts a button under a message.
pub(crate) async fn react(
    room: &Room,
    root: &EventId,
    button: &str,
    txn: OwnedTransactionId,
) -> Result<()> {
    let annotation = Annotation::new(root.to_owned(), button.to_owned());
    let content = ReactionEventContent::new(annotation);
    let sent = delivery::patiently(room, content, txn).await;
    sent.map(drop).context("the button was not taken")
}

/// Posts a picture in a thread, with its description; notifies nobody.
pub(crate) async fn show(
    room: &Room,
    root: &EventId,
    picture: Picture,
    txn: OwnedTransactionId,
) -> Result<()> {
    let mut info = ImageInfo::new();
    info.mimetype = Some("image/png".to_owned());
    info.size = UInt::try_from(picture.png.len()).ok();
    info.width = Some(picture.width.into());
    info.height = Some(picture.height.into());
    let source = upload(room, picture.png, "image/png").await?;
    // The body is what a screen reader reads and a client without pictures shows.
    let mut image = ImageMessageEventContent::new(picture.alt, source);
    image.filename = Some("storm.png".to_owned());
    image.info = Some(Box::new(info));
    let mut content = RoomMessageEventContent::new(MessageType::Image(image));
    content.relates_to = Some(Relation::Thread(Thread::plain(root.to_owned(), root.to_owned())));
    content.mentions = Some(Mentions::new());
    delivery::patiently(room, content, txn).await.map(drop)
}

/// A file that Kestrel made: its name is safe, and everybody in the room may read it.
#[derive(Debug)]
pub(crate) struct Attached<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) text: String,
}

/// Uploads a file; returns the message that shows it after the last one of a thread and notifies nobody.
pub(crate) async fn enclosed(
    room: &Room,
    thread: (&EventId, &EventId),
    file: Attached<'_>,
) -> Result<RoomMessageEventContent> {
    uploaded(room, thread, (file.name, file.kind), file.text.into_bytes()).await
}

/// Posts a file in a thread; notifies nobody.
pub(crate) async fn file(
    room: &Room,
    root: &EventId,
    name: (&str, &str),
    content: Vec<u8>,
    txn: OwnedTransactionId,
) -> Result<OwnedEventId> {
    let content = uploaded(room, (root, root), name, content).await?;
    delivery::patiently(room, content, txn).await
}

/// Uploads a file, encrypted where the room is; returns the message that shows it in a thread.
async fn uploaded(
    room: &Room,
    (root, last): (&EventId, &EventId),
    (name, kind): (&str, &str),
    content: Vec<u8>,
) -> Result<RoomMessageEventContent> {
    let mut info = FileInfo::new();
    info.mimetype = Some(kind.to_owned());
    info.size = UInt::try_from(content.len()).ok();
    let source = upload(room, content, kind).await?;
    let mut file = FileMessageEventContent::new(name.to_owned(), source);
    file.filename = Some(name.to_owned());
    file.info = Some(Box::new(info));
    let mut content = RoomMessageEventContent::new(MessageType::File(file));
    content.relates_to = Some(under(root.to_owned(), last.to_owned()));
    content.mentions = Some(Mentions::new());
    Ok(content)
}

/// Puts a message into a thread, after its last one.
pub(crate) fn under(
    root: OwnedEventId,
    last: OwnedEventId,
) -> Relation<RoomMessageEventContentWithoutRelation> {
    Relation::Thread(Thread::plain(root, last))
}

/// Turns a message into a reply.
pub(crate) fn in_reply(to: OwnedEventId) -> Relation<RoomMessageEventContentWithoutRelation> {
    Relation::Reply(InReply::new(InReplyTo::new(to)))
}

/// A message for these people.
pub(crate) fn notice(reply: &Reply, mentions: Vec<OwnedUserId>) -> RoomMessageEventContent {
    let mut content = RoomMessageEventContent::notice_html(&reply.plain, &reply.html);
    content.mentions = Some(Mentions::with_user_ids(mentions));
    content
}

/// Encrypts the file where the room is encrypted.
async fn upload(room: &Room, data: Vec<u8>, kind: &str) -> Result<MediaSource> {
    let client = room.client();
    if room.latest_encryption_state().await?.is_encrypted() {
        let file = client.upload_encrypted_file(&mut Cursor::new(data)).await;
        return Ok(MediaSource::Encrypted(Box::new(file.context("cannot upload")?)));
    }
    let kind = kind.parse()?;
    let stored = client.media().upload(&kind, data, None).await;
    Ok(MediaSource::Plain(stored.context("cannot upload")?.content_uri))
}
