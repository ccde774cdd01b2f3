//! A reply → an event in a room, once: in the asker's thread, mentioning nobody else, under a
//! transaction id that the event that caused it decides. Says what it is given and words nothing.

use std::io::Cursor;
use std::time::Duration;

use anyhow::{Context, Result};
use matrix_sdk::Room;
use matrix_sdk::ruma::events::Mentions;
use matrix_sdk::ruma::events::reaction::ReactionEventContent;
use matrix_sdk::ruma::events::relation::{Annotation, InReplyTo, Reply as InReply, Thread};
use matrix_sdk::ruma::events::room::message::{
    FileInfo, FileMessageEventContent, ImageMessageEventContent, MessageType, Relation,
    ReplacementMetadata, RoomMessageEventContent,
};
use matrix_sdk::ruma::events::room::{ImageInfo, MediaSource};
use matrix_sdk::ruma::{OwnedTransactionId, UInt};
use ruma::{EventId, OwnedEventId, OwnedUserId};
use sha2::{Digest, Sha256};

use super::letter::Letter;
use super::line::ChatLine;
use crate::render::{Picture, Reply};

/// How often one event is sent before it is given up, and the first pause: together about a minute,
/// which is a homeserver's restart.
const MOST_TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// What is said because of an event: each at most once.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    Answer,
    Evidence,
    Fault,
    Stranger,
    Skipped,
    Watch,
    /// In the ops room, of a report.
    Root,
    Notes,
    /// Beside the answer to `!report`, which has the same cause.
    Verdict,
    /// By its number in the report.
    File(usize),
    /// To the report's sender.
    Receipt,
    Waiting,
    Changes,
}

/// Where a letter goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Room,
    /// Under this root.
    Thread(&'a EventId),
    /// In the place of what this event said: an edit.
    Instead(&'a EventId),
}

/// The parts of one owed message; each has its own transaction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Words,
    Picture,
    Edit,
    Again,
    Why,
    Mute,
}

impl Part {
    /// The transaction of this part of an owed message.
    pub(super) fn of(self, key: &str) -> OwnedTransactionId {
        let part = match self {
            Self::Words => "words",
            Self::Picture => "picture",
            Self::Edit => "edit",
            Self::Again => "again",
            Self::Why => "why",
            Self::Mute => "mute",
        };
        format!("kestrel-owed-{key}-{part}").into()
    }
}

/// Sends a letter; phones of `rings` ring for it.
pub(super) async fn post(
    room: &Room,
    place: Place<'_>,
    letter: &Letter,
    rings: &[OwnedUserId],
    txn: OwnedTransactionId,
) -> Result<OwnedEventId> {
    let (plain, html) = (&letter.plain, &letter.html);
    let mut content = match letter.rings {
        true => RoomMessageEventContent::text_html(plain, html),
        false => RoomMessageEventContent::notice_html(plain, html),
    };
    content.mentions = Some(Mentions::with_user_ids(rings.iter().cloned()));
    match place {
        Place::Room => {}
        Place::Thread(root) => {
            let thread = Thread::plain(root.to_owned(), root.to_owned());
            content.relates_to = Some(Relation::Thread(thread));
        }
        Place::Instead(root) => {
            content = content.make_replacement(ReplacementMetadata::new(root.to_owned(), None));
        }
    }
    send(room, content, txn).await
}

/// Puts a button under a message.
pub(super) async fn react(
    room: &Room,
    root: &EventId,
    button: &str,
    txn: OwnedTransactionId,
) -> Result<()> {
    let annotation = Annotation::new(root.to_owned(), button.to_owned());
    let content = ReactionEventContent::new(annotation);
    room.send(content).with_transaction_id(txn).await.context("the button was not taken")?;
    Ok(())
}

/// Puts a picture into a thread, with the words that say what it shows; pings nobody.
pub(super) async fn show(
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
    // The body is what a screen reader says and a client without pictures shows.
    let mut image = ImageMessageEventContent::new(picture.alt, source);
    image.filename = Some("storm.png".to_owned());
    image.info = Some(Box::new(info));
    let mut content = RoomMessageEventContent::new(MessageType::Image(image));
    content.relates_to = Some(Relation::Thread(Thread::plain(root.to_owned(), root.to_owned())));
    content.mentions = Some(Mentions::new());
    send(room, content, txn).await?;
    Ok(())
}

/// Answers a line in its thread, mentioning its sender.
pub(super) async fn answer(
    room: &Room,
    line: &ChatLine,
    about: About,
    reply: &Reply,
) -> Result<OwnedEventId> {
    let mut content = notice(reply);
    content.relates_to =
        Some(Relation::Thread(Thread::plain(line.root().to_owned(), line.event.clone())));
    content.mentions = Some(Mentions::with_user_ids([line.sender.clone()]));
    send(room, content, txn_id(&line.event, about)).await
}

/// Says something in the room itself, to nobody in particular.
pub(super) async fn remark(
    room: &Room,
    cause: &EventId,
    about: About,
    reply: &Reply,
) -> Result<OwnedEventId> {
    let mut content = notice(reply);
    content.mentions = Some(Mentions::new());
    send(room, content, txn_id(cause, about)).await
}

/// Puts a case's evidence into the thread, as a file; pings nobody.
pub(super) async fn attach(room: &Room, line: &ChatLine, evidence: String) -> Result<()> {
    let file = Attached { name: "evidence.json", kind: "application/json", text: evidence };
    enclose(room, line.root(), &line.event, file, txn_id(&line.event, About::Evidence)).await
}

/// A file of ours: its name is safe, and its text fit to be read by everybody in the room.
#[derive(Debug)]
pub(super) struct Attached<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) text: String,
}

/// Puts a file behind the last message of a thread; pings nobody.
pub(super) async fn enclose(
    room: &Room,
    root: &EventId,
    last: &EventId,
    file: Attached<'_>,
    txn: OwnedTransactionId,
) -> Result<()> {
    put(room, (root, last), (file.name, file.kind), file.text.into_bytes(), txn).await.map(drop)
}

/// Replies to an event in a direct chat.
pub(super) async fn reply(
    room: &Room,
    cause: &EventId,
    about: About,
    reply: &Reply,
) -> Result<OwnedEventId> {
    let mut content = notice(reply);
    content.relates_to = Some(Relation::Reply(InReply::new(InReplyTo::new(cause.to_owned()))));
    content.mentions = Some(Mentions::new());
    send(room, content, txn_id(cause, about)).await
}

/// Puts a file into a thread; pings nobody.
pub(super) async fn file(
    room: &Room,
    root: &EventId,
    name: (&str, &str),
    content: Vec<u8>,
    txn: OwnedTransactionId,
) -> Result<OwnedEventId> {
    put(room, (root, root), name, content, txn).await
}

/// Puts a file into a thread, encrypted where the room is.
async fn put(
    room: &Room,
    (root, last): (&EventId, &EventId),
    (name, kind): (&str, &str),
    content: Vec<u8>,
    txn: OwnedTransactionId,
) -> Result<OwnedEventId> {
    let mut info = FileInfo::new();
    info.mimetype = Some(kind.to_owned());
    info.size = UInt::try_from(content.len()).ok();
    let source = upload(room, content, kind).await?;
    let mut file = FileMessageEventContent::new(name.to_owned(), source);
    file.filename = Some(name.to_owned());
    file.info = Some(Box::new(info));
    let mut content = RoomMessageEventContent::new(MessageType::File(file));
    content.relates_to = Some(Relation::Thread(Thread::plain(root.to_owned(), last.to_owned())));
    content.mentions = Some(Mentions::new());
    send(room, content, txn).await
}

/// The transaction of one part of what an event caused, over many processes.
pub(super) fn part_of(cause: &EventId, part: &str) -> OwnedTransactionId {
    let sum = Sha256::digest(cause.as_bytes());
    let short: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("kestrel-{short}-{part}").into()
}

fn notice(reply: &Reply) -> RoomMessageEventContent {
    RoomMessageEventContent::notice_html(&reply.plain, &reply.html)
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

/// Sends until the homeserver took it. Sending the same again is harmless: the transaction id is the
/// same, and Synapse answers with the event it made the first time (for a day, per device).
async fn send(
    room: &Room,
    content: RoomMessageEventContent,
    txn: OwnedTransactionId,
) -> Result<OwnedEventId> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..MOST_TRIES {
        let sent = room.send(content.clone()).with_transaction_id(txn.clone()).await;
        match sent {
            Ok(sent) => return Ok(sent.response.event_id),
            Err(error) if is_refusal(&error) => {
                return Err(error).context("the homeserver refused the message");
            }
            Err(error) => tracing::warn!("sending failed, trying again in {pause:?}: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    let sent = room.send(content).with_transaction_id(txn).await;
    Ok(sent.context("the message could not be sent")?.response.event_id)
}

/// Whether trying again cannot help. A limit on the rate is not a refusal.
fn is_refusal(error: &matrix_sdk::Error) -> bool {
    (error.as_client_api_error()).is_some_and(|error| {
        error.status_code.is_client_error() && error.status_code.as_u16() != 429
    })
}

/// Whether the homeserver will never take this message: it is malformed, or too large. A right that is
/// missing may be given, and a session renewed.
pub(super) fn is_unsendable(error: &anyhow::Error) -> bool {
    let of = error.chain().find_map(|cause| cause.downcast_ref::<matrix_sdk::Error>());
    of.and_then(matrix_sdk::Error::as_client_api_error)
        .is_some_and(|error| matches!(error.status_code.as_u16(), 400 | 413))
}

/// The same for the same cause, whatever the process: a crash between sending and noting it cannot make
/// a second answer.
pub(super) fn txn_id(cause: &EventId, about: About) -> OwnedTransactionId {
    let what = match about {
        About::File(number) => return part_of(cause, &format!("file-{number}")),
        About::Root => "root",
        About::Notes => "notes",
        About::Verdict => "verdict",
        About::Receipt => "receipt",
        About::Waiting => "waiting",
        About::Answer => "answer",
        About::Evidence => "evidence",
        About::Fault => "fault",
        About::Stranger => "stranger",
        About::Skipped => "skipped",
        About::Watch => "watch",
        About::Changes => "changes",
    };
    part_of(cause, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::event_id;

    #[test]
    fn a_cause_has_one_transaction_for_each_thing_said() {
        let (one, two) = (event_id!("$one"), event_id!("$two"));
        let answer = txn_id(one, About::Answer);
        assert_eq!(answer, txn_id(one, About::Answer));
        assert_ne!(answer, txn_id(one, About::Evidence));
        assert_ne!(answer, txn_id(two, About::Answer));
        assert_eq!(answer.as_str(), "kestrel-c4d49a215ddc1f918ab02580802df054-answer");
    }

    #[test]
    fn hostile_ids_make_plain_transactions() {
        let txn = txn_id(event_id!("$a/../b?c#d"), About::Skipped);
        assert!(txn.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }
}
