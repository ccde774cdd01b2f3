//! Words → user IDs and device IDs, in any form that people write them.

use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use super::context::Context;
use super::durations::duration;
use super::permalinks::{is_link, user_of_link};
use super::tokens::Word;
use super::usage_error::{UsageError, in_quotes};
use super::written_time::plain_dashes;
use crate::evidence::hidden::is_invisible;

pub(super) fn user_id(word: &Word, context: &Context<'_>) -> Result<OwnedUserId, UsageError> {
    let typed = in_quotes(&word.text);
    if word.is_pill() {
        return whole_user_id(&word.text).ok_or_else(|| not_a_user(&typed));
    }
    if let Some(linked) = user_of_link(&word.text) {
        return whole_user_id(&linked).ok_or_else(|| not_a_user(&typed));
    }
    if is_link(&word.text) {
        return Err(UsageError::new(format!("{typed} is a link, but not to a user.")));
    }
    // Clients complete a mention with a colon or a comma, and phones turn hyphens into dashes. A server name
    // can hold neither.
    let text = plain_dashes(word.text.trim_end_matches([':', ',']));
    // Synapse registers lower-case names only, and phones start a word with a capital letter. An older name with
    // capital letters keeps them if it is written with its @.
    let text = match text.strip_prefix('@') {
        Some(exact) => exact.to_owned(),
        None if looks_like_device(&text) => {
            return Err(UsageError::new(format!(
                "{typed} looks like a device ID. Put its user first."
            )));
        }
        None => text.to_lowercase(),
    };
    if text.contains(':') {
        return whole_user_id(&format!("@{text}")).ok_or_else(|| not_a_user(&typed));
    }
    let Some(server) = context.server_name else {
        return Err(UsageError::new(format!(
            "{typed} has no server name. Write the whole user ID, for example @alice:example.org."
        )));
    };
    whole_user_id(&format!("@{text}:{server}")).ok_or_else(|| not_a_user(&typed))
}

/// In bytes: the specification's bound on user ids. A longer one makes an answer that no homeserver takes.
const LONGEST_ID: usize = 255;

/// A user id that a person can read: ruma also accepts controls, spaces and an empty name, which no
/// server registers and which only serve to deceive.
fn whole_user_id(text: &str) -> Option<OwnedUserId> {
    let unreadable = |c: char| c.is_whitespace() || is_invisible(c);
    if text.contains(unreadable) {
        return None;
    }
    let sensible = |id: &OwnedUserId| !id.localpart().is_empty() && id.as_str().len() <= LONGEST_ID;
    UserId::parse(text).ok().filter(sensible)
}

fn not_a_user(typed: &str) -> UsageError {
    UsageError::new(format!("{typed} is not a Matrix user ID. Example: @alice:example.org."))
}

/// Synapse's own device ids: ten capitals.
fn looks_like_device(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_uppercase())
}

pub(super) fn device_id(word: &Word) -> Result<OwnedDeviceId, UsageError> {
    let typed = in_quotes(&word.text);
    if word.text.is_empty() {
        return Err(UsageError::new("The device ID in quotes is empty."));
    }
    if word.text.len() > LONGEST_ID {
        return Err(UsageError::new(format!("{typed} is too long for a device ID.")));
    }
    if word.is_pill() {
        return Err(UsageError::new(format!(
            "Expected a device ID, found a second user: {typed}."
        )));
    }
    if word.is_bare() && duration(&word.text).is_ok() {
        return Err(UsageError::new(format!(
            "Is {typed} a window or a device ID? Write last {typed} for a window, or quote the device ID."
        )));
    }
    Ok(word.text.as_str().into())
}
