//! Words → a user's or a device's id, in any form that people write them.

use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use super::tokens::Word;
use super::usage_error::{self, Slip};
use super::{Context, message, window, written_time};

pub(super) fn user_id(word: &Word, context: &Context<'_>) -> Result<OwnedUserId, Slip> {
    let typed = usage_error::shown(&word.text);
    if word.is_pill() {
        return whole_user_id(&word.text).ok_or_else(|| not_a_user(&typed));
    }
    if let Some(linked) = message::user_of_link(&word.text) {
        return whole_user_id(&linked).ok_or_else(|| not_a_user(&typed));
    }
    if message::is_link(&word.text) {
        return Err(Slip::new(format!("{typed} is a link, but not to a user.")));
    }
    // Clients complete a mention with a colon or a comma, and phones turn hyphens into dashes; neither
    // can stand in a server name.
    let text = written_time::plain_dashes(word.text.trim_end_matches([':', ',']));
    // Synapse registers lower-case names only, and phones begin a word with a capital. Whoever has an
    // older name with capitals writes the @, which keeps them.
    let text = match text.strip_prefix('@') {
        Some(exact) => exact.to_owned(),
        None if looks_like_device(&text) => {
            return Err(Slip::new(format!(
                "{typed} looks like a device. Whose is it? The user comes first."
            )));
        }
        None => text.to_lowercase(),
    };
    if text.contains(':') {
        return whole_user_id(&format!("@{text}")).ok_or_else(|| not_a_user(&typed));
    }
    let Some(server) = context.server_name else {
        return Err(Slip::new(format!(
            "{typed} has no server name. Write the whole id, as in @alice:example.org."
        )));
    };
    whole_user_id(&format!("@{text}:{server}")).ok_or_else(|| not_a_user(&typed))
}

/// In bytes: the specification's bound on user ids. A longer one makes an answer that no homeserver takes.
const LONGEST_ID: usize = 255;

/// A user id that a person can read: ruma also accepts controls, spaces and an empty name, which no
/// server registers and which only serve to deceive.
fn whole_user_id(text: &str) -> Option<OwnedUserId> {
    let unreadable = |c: char| c.is_whitespace() || usage_error::is_invisible(c);
    if text.contains(unreadable) {
        return None;
    }
    let sensible = |id: &OwnedUserId| !id.localpart().is_empty() && id.as_str().len() <= LONGEST_ID;
    UserId::parse(text).ok().filter(sensible)
}

fn not_a_user(typed: &str) -> Slip {
    Slip::new(format!("{typed} is not a user's Matrix id. One looks like @alice:example.org."))
}

/// Synapse's own device ids: ten capitals.
fn looks_like_device(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_uppercase())
}

pub(super) fn device_id(word: &Word) -> Result<OwnedDeviceId, Slip> {
    let typed = usage_error::shown(&word.text);
    if word.text.is_empty() {
        return Err(Slip::new("The device's quotes are empty."));
    }
    if word.text.len() > LONGEST_ID {
        return Err(Slip::new(format!("{typed} is too long for a device.")));
    }
    if word.is_pill() {
        return Err(Slip::new(format!("{typed} is a second user; a device goes there.")));
    }
    if word.is_bare() && window::duration(&word.text).is_ok() {
        return Err(Slip::new(format!(
            "Is {typed} a window or a device? Write last {typed} for a window, or put a device in quotes."
        )));
    }
    Ok(word.text.as_str().into())
}
