//! A reply → an event in a room, once: in the asker's thread, mentioning nobody else, under a
//! transaction id that the event that caused it decides. Says what it is given and words nothing.

use std::io::Cursor;
use std::time::Duration;

use anyhow::{Context, Result};
use matrix_sdk::Room;
use matrix_sdk::ruma::events::Mentions;
use matrix_sdk::ruma::events::relation::Thread;
use matrix_sdk::ruma::events::room::message::{
    FileInfo, FileMessageEventContent, MessageType, Relation, RoomMessageEventContent,
};
use matrix_sdk::ruma::{OwnedTransactionId, UInt, events::room::MediaSource};
use ruma::{EventId, OwnedEventId};
use sha2::{Digest, Sha256};

use super::line::ChatLine;
use crate::render::Reply;

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
    let size = UInt::try_from(evidence.len()).ok();
    let source = upload(room, evidence.into_bytes()).await?;
    let mut info = FileInfo::new();
    info.mimetype = Some("application/json".to_owned());
    info.size = size;
    let mut file = FileMessageEventContent::new("evidence.json".to_owned(), source);
    file.filename = Some("evidence.json".to_owned());
    file.info = Some(Box::new(info));
    let mut content = RoomMessageEventContent::new(MessageType::File(file));
    content.relates_to =
        Some(Relation::Thread(Thread::plain(line.root().to_owned(), line.event.clone())));
    content.mentions = Some(Mentions::new());
    send(room, content, txn_id(&line.event, About::Evidence)).await?;
    Ok(())
}

fn notice(reply: &Reply) -> RoomMessageEventContent {
    RoomMessageEventContent::notice_html(&reply.plain, &reply.html)
}

/// Encrypts the file where the room is encrypted.
async fn upload(room: &Room, data: Vec<u8>) -> Result<MediaSource> {
    let client = room.client();
    if room.latest_encryption_state().await?.is_encrypted() {
        let file = client.upload_encrypted_file(&mut Cursor::new(data)).await;
        return Ok(MediaSource::Encrypted(Box::new(file.context("cannot upload")?)));
    }
    let kind = "application/json".parse()?;
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

/// The same for the same cause, whatever the process: a crash between sending and noting it cannot make
/// a second answer.
fn txn_id(cause: &EventId, about: About) -> OwnedTransactionId {
    let sum = Sha256::digest(cause.as_bytes());
    let short: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let what = match about {
        About::Answer => "answer",
        About::Evidence => "evidence",
        About::Fault => "fault",
        About::Stranger => "stranger",
        About::Skipped => "skipped",
        About::Watch => "watch",
    };
    format!("kestrel-{short}-{what}").into()
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
