//! Replies about mutes and about a storm watch that is off.

use crate::render::page::Reply;
use crate::render::plain_replies::said;

/// For 🔕: a reaction does not prove who sent it.
pub fn how_to_mute(storm: u64) -> Reply {
    said(&format!(
        "Reactions are not encrypted, so this one does not mute. To mute this storm for 1 hour, send: `!mute {storm} \
         1h`"
    ))
}

/// For "run again" under a storm of delayed events, which name no device.
pub fn no_device_in_it() -> Reply {
    said(
        "This storm has no user: requests for delayed events do not name one. To check a user who was in the call, send: `!ke4 @user:server`",
    )
}

/// For `!unmute` without a name.
pub fn all_unmuted(count: usize) -> Reply {
    if count == 0 {
        return said("Nothing was muted.");
    }
    said("Nothing is muted any more.")
}

/// For `!unmute` of something that is not muted.
pub fn was_not_muted() -> Reply {
    said("That was not muted. `!storms` lists what is muted.")
}

/// For `!mute` of a storm that is not ongoing.
pub fn cannot_mute(storm: u64, is_known: bool) -> Reply {
    let why = if is_known {
        format!("Storm {storm} is resolved.")
    } else {
        format!("There is no storm {storm}.")
    };
    said(&format!(
        "{why} `!storms` lists the ongoing storms. To mute a user, send: `!mute @user:server`"
    ))
}

/// For `!storms` where nothing is watched.
pub fn not_watching() -> Reply {
    said("The storm watch is off: no log is configured, or [watch] has `enabled = false`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_button_is_answered_with_a_line_that_works() {
        let reply = how_to_mute(7);
        assert!(reply.plain.contains(" send: `!mute 7 1h`"), "{}", reply.plain);
        assert!(reply.html.contains("<code>!mute 7 1h</code>"), "{}", reply.html);
    }
}
