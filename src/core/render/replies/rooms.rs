//! Replies about ops rooms: an upgrade that the bot follows or not, a room that it was removed from. They contain IDs
//! of rooms and users, and no other foreign text.

use ruma::{RoomId, UserId};

use crate::render::answer::sentence;
use crate::render::page::{Page, Reply};

/// Why an upgrade of an ops room is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFollowed<'a> {
    NotAdmin,
    LostAdmin(&'a UserId),
    NewAdmin(&'a UserId),
    AllAdmins,
    NotInvited,
    Followed(&'a RoomId),
    Circle,
}

impl NotFollowed<'_> {
    /// The reason, for a room and for the log.
    pub fn words(self) -> String {
        match self {
            Self::NotAdmin => "the sender is not allowed to command Kestrel".to_owned(),
            Self::LostAdmin(user) => {
                format!("{user} has admin power in the old room and not in the new one")
            }
            Self::NewAdmin(user) => {
                format!("{user} has admin power in the new room and not in the old one")
            }
            Self::AllAdmins => "everybody has admin power in the new room".to_owned(),
            Self::NotInvited => "no admin has invited Kestrel to the new room".to_owned(),
            Self::Followed(room) => {
                format!("Kestrel already followed an upgrade of the old room to {room}")
            }
            Self::Circle => "the new room is an earlier version of the old one".to_owned(),
        }
    }
}

/// In both rooms of an upgrade that is followed. `line` is a line of the config. `proven`: an admin's encrypted
/// command already came from the new room.
pub fn upgraded(
    (old, new): (&RoomId, &RoomId),
    sender: &UserId,
    line: &str,
    proven: bool,
) -> Reply {
    let mut page = Page::default();
    page.line().strong("Room upgraded").text(format!(": {sender} replaced "));
    link(&mut page, old).text(" with ");
    link(&mut page, new).text(", and Kestrel follows.");
    change_config(&mut page, line);
    if !proven {
        page.line().text(
            "Not confirmed yet: storm alerts are posted in both rooms, if Kestrel may send there. To confirm the new \
             room, an admin must send this in it: ",
        );
        page.usage("!storms");
    }
    page.reply()
}

/// In the new room, when an admin's encrypted command came from there.
pub fn upgrade_proven(line: &str) -> Reply {
    let mut page = Page::default();
    page.line().text(
        "An admin's encrypted command arrived here. From now on storm alerts are posted in this room and not in the \
         old one.",
    );
    change_config(&mut page, line);
    page.reply()
}

fn change_config(page: &mut Page, line: &str) {
    page.line().text("Change the config, section [matrix]: ");
    // An ID may contain any character. One that is not ASCII is shown as text, where hidden characters become
    // visible.
    if line.is_ascii() {
        page.usage(line);
    } else {
        page.text(line);
    }
    page.text(". If [watch] room or [reports] room names the old room, change it too.");
}

/// In the old room, for an upgrade that is not followed.
pub fn not_followed(
    (old, new): (&RoomId, &RoomId),
    sender: &UserId,
    why: NotFollowed<'_>,
) -> Reply {
    let mut page = Page::default();
    page.line().strong("Room upgrade not followed").text(format!(": {sender} replaced "));
    link(&mut page, old).text(" with ");
    link(&mut page, new).text(".");
    page.label("Why").text(sentence(&why.words()));
    page.line().text(match why {
        NotFollowed::NotInvited => {
            "Kestrel stays in the old room. An admin has to invite it to the new one. If it cannot send in the \
             old room, its alerts wait until it is invited."
        }
        _ => {
            "Kestrel stays in the old room. If the new room is right, put its ID into `rooms` in the config's [matrix] \
             section, restart Kestrel and invite it there."
        }
    });
    page.reply()
}

/// For a new room that the bot was removed from before a command came from there.
pub fn unfollowed(old: &RoomId, new: &RoomId) -> Reply {
    let mut page = Page::default();
    page.line().text("Kestrel was removed from ");
    link(&mut page, new).text(
        " before an admin's encrypted command arrived there, so it no longer follows the upgrade of ",
    );
    link(&mut page, old)
        .text(". To make it follow the upgrade again, an admin has to invite it to the new room.");
    page.reply()
}

/// In another ops room, for one that the bot was removed from. `how` says how, as in "removed by @admin:server".
pub fn absent(room: &RoomId, how: &str) -> Reply {
    let mut page = Page::default();
    page.line().text("🔴 ");
    not_in(&mut page, room, how);
    page.reply()
}

/// The same in a list of storms: each room, how the bot left it, and since when.
pub fn absences<'a>(all: impl IntoIterator<Item = (&'a RoomId, &'a str, String)>) -> Page {
    let mut page = Page::default();
    for (room, how, since) in all {
        page.line().text("🔴 ");
        not_in(&mut page, room, how);
        page.text(format!(" Since {since}."));
    }
    page
}

fn not_in(page: &mut Page, room: &RoomId, how: &str) {
    page.text("Kestrel is not in the ops room ");
    link(page, room).text(format!(
        " any more: {how}. Its alerts and answers are sent when Kestrel is back. An admin has to invite it again."
    ));
}

fn link<'page>(page: &'page mut Page, room: &RoomId) -> &'page mut Page {
    page.link(room.as_str(), &room.matrix_to_uri().to_string())
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    #[test]
    fn an_upgrade_is_said_with_the_config_line() {
        let rooms = (room_id!("!old:x"), room_id!("!new:x"));
        let line = r#"rooms = ["!new:x"]"#;
        let says = upgraded(rooms, user_id!("@a:x"), line, false);
        assert!(says.plain.contains(line), "{}", says.plain);
        assert!(says.plain.contains("in both rooms"), "{}", says.plain);
        assert!(says.html.contains("matrix.to"), "{}", says.html);
        let says = upgraded(rooms, user_id!("@a:x"), line, true);
        assert!(!says.plain.contains("both rooms"), "{}", says.plain);
        assert!(upgrade_proven(line).plain.contains(line));
    }

    #[test]
    fn each_reason_names_what_is_wrong() {
        let rooms = (room_id!("!old:x"), room_id!("!new:x"));
        for (why, says) in [
            (NotFollowed::NotAdmin, "not allowed to command Kestrel"),
            (
                NotFollowed::LostAdmin(user_id!("@l:x")),
                "@l:x has admin power in the old room and not",
            ),
            (
                NotFollowed::NewAdmin(user_id!("@n:x")),
                "@n:x has admin power in the new room and not",
            ),
            (NotFollowed::AllAdmins, "Everybody"),
            (NotFollowed::NotInvited, "An admin has to invite it"),
            (NotFollowed::Followed(room_id!("!b:x")), "upgrade of the old room to !b:x"),
            (NotFollowed::Circle, "an earlier version"),
        ] {
            let reply = not_followed(rooms, user_id!("@m:x"), why);
            assert!(reply.plain.contains(says), "{}", reply.plain);
            assert!(reply.plain.contains("Kestrel stays in the old room."), "{}", reply.plain);
        }
    }

    #[test]
    fn what_is_foreign_is_escaped() {
        let room = room_id!("!ops:x");
        let how = "removed by @<b>:x";
        assert!(!absent(room, how).html.contains("<b>"), "{}", absent(room, how).html);
        let page = absences([(room, how, "now".to_owned())]).reply();
        assert!(page.plain.ends_with("Since now."), "{}", page.plain);
    }
}
