//! The bot's replies about its ops rooms: an upgrade that it follows or not, a room that it was removed from. They
//! contain IDs of rooms and users, and no other foreign text.

use ruma::{RoomId, UserId};

use super::sync_loop::upgrade_trust::{NotTrusted, Tombstone};
use crate::store::{Absence, Upgrade};
use kestrel_core::render::{Page, Reply};

/// In both rooms of an upgrade that is followed. `line` is a line of the config.
pub(super) fn upgraded(upgrade: &Upgrade, sender: &UserId, line: &str) -> Reply {
    let mut page = Page::default();
    page.line().strong("Room upgraded").text(": ");
    link(&mut page, &upgrade.old).text(" was replaced by ");
    link(&mut page, &upgrade.new).text(format!(". {sender} did it, and Kestrel follows."));
    change_config(&mut page, line);
    if !upgrade.proven {
        page.line().text("Until an admin's encrypted command arrives in the new room, storms are posted in both rooms where Kestrel may \
             send. To confirm the new room, send there: ");
        page.usage("!storms");
    }
    page.reply()
}

/// In the new room, when an admin's encrypted command came from there.
pub(super) fn upgrade_proven(line: &str) -> Reply {
    let mut page = Page::default();
    page.line().text("An admin's encrypted command arrived here. From now on storms are posted in this room and not in the old one.");
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
pub(super) fn not_followed(old: &RoomId, tombstone: &Tombstone, why: &NotTrusted) -> Reply {
    let mut page = Page::default();
    page.line().strong("Room upgrade not followed").text(": ");
    link(&mut page, old).text(" was replaced by ");
    link(&mut page, &tombstone.new);
    page.text(format!(" ({}), and {}.", tombstone.sender, why_not_followed(why)));
    page.line().text(match why {
        NotTrusted::NotInvited => {
            "Kestrel stays in the old room. An admin has to invite it to the new one. If it cannot send in the \
             old room, alerts wait."
        }
        _ => {
            "Kestrel stays in the old room. If the new room is right, put its ID into `rooms` in the config's [matrix], \
             restart Kestrel and invite it there."
        }
    });
    page.reply()
}

/// The reason, for a room and for the log.
pub(super) fn why_not_followed(why: &NotTrusted) -> String {
    match why {
        NotTrusted::NotAdmin => "the sender may not command Kestrel".to_owned(),
        NotTrusted::LostAdmin(user) => {
            format!("{user} has admin power in the old room and not in the new one")
        }
        NotTrusted::NewAdmin(user) => {
            format!("{user} has admin power in the new room and not in the old one")
        }
        NotTrusted::AllAdmins => "everybody has admin power in the new room".to_owned(),
        NotTrusted::NotInvited => "no admin has invited Kestrel to the new room".to_owned(),
        NotTrusted::Followed(room) => format!("Kestrel has followed its upgrade to {room} already"),
        NotTrusted::Circle => "the new room is one that was upgraded before".to_owned(),
    }
}

/// For a new room that the bot was removed from before a command came from there.
pub(super) fn unfollowed(upgrade: &Upgrade) -> Reply {
    let mut page = Page::default();
    page.line().text("Kestrel was removed from ");
    link(&mut page, &upgrade.new).text(" before an admin's encrypted command arrived there, so it no longer follows the upgrade of ");
    link(&mut page, &upgrade.old)
        .text(". An admin's invitation to the new room makes it follow again.");
    page.reply()
}

/// In another ops room, for one that the bot was removed from.
pub(super) fn absent(absence: &Absence) -> Reply {
    let mut page = Page::default();
    page.line().text("🔴 ");
    not_in(&mut page, absence);
    page.reply()
}

/// The same in a list of storms.
pub(super) fn absences(absences: &[Absence], moment: impl Fn(&Absence) -> String) -> Page {
    let mut page = Page::default();
    for absence in absences {
        page.line().text("🔴 ");
        not_in(&mut page, absence);
        page.text(format!(" Since {}.", moment(absence)));
    }
    page
}

fn not_in(page: &mut Page, absence: &Absence) {
    page.text("Kestrel is not in the ops room ");
    link(page, &absence.room).text(format!(
        " any more: {}. Alerts and answers for it wait. An admin has to invite Kestrel again.",
        absence.how
    ));
}

fn link<'page>(page: &'page mut Page, room: &RoomId) -> &'page mut Page {
    page.link(room.as_str(), &room.matrix_to_uri().to_string())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ruma::{owned_event_id, owned_room_id, owned_user_id, user_id};

    use super::*;

    fn upgrade(proven: bool) -> Upgrade {
        Upgrade { old: owned_room_id!("!old:x"), new: owned_room_id!("!new:x"), proven }
    }

    #[test]
    fn an_upgrade_is_said_with_the_config_line() {
        let line = r#"rooms = ["!new:x"]"#;
        let says = upgraded(&upgrade(false), user_id!("@a:x"), line);
        assert!(says.plain.contains(line), "{}", says.plain);
        assert!(says.plain.contains("in both rooms"), "{}", says.plain);
        assert!(says.html.contains("matrix.to"), "{}", says.html);
        assert!(!upgraded(&upgrade(true), user_id!("@a:x"), line).plain.contains("both rooms"));
        assert!(upgrade_proven(line).plain.contains(line));
    }

    #[test]
    fn each_reason_names_what_is_wrong() {
        let tombstone = Tombstone {
            event: owned_event_id!("$t"),
            sender: owned_user_id!("@m:x"),
            new: owned_room_id!("!new:x"),
        };
        for (why, says) in [
            (NotTrusted::NotAdmin, "may not command Kestrel"),
            (NotTrusted::LostAdmin(owned_user_id!("@l:x")), "@l:x has admin power in the old room"),
            (NotTrusted::NewAdmin(owned_user_id!("@n:x")), "@n:x has admin power in the new room"),
            (NotTrusted::AllAdmins, "everybody"),
            (NotTrusted::NotInvited, "An admin has to invite it"),
            (NotTrusted::Followed(owned_room_id!("!b:x")), "!b:x already"),
            (NotTrusted::Circle, "upgraded before"),
        ] {
            let reply = not_followed(&owned_room_id!("!old:x"), &tombstone, &why);
            assert!(reply.plain.contains(says), "{}", reply.plain);
            assert!(reply.plain.contains("Kestrel stays in the old room."), "{}", reply.plain);
        }
    }

    #[test]
    fn what_is_foreign_is_escaped() {
        let absence = Absence {
            room: owned_room_id!("!ops:x"),
            how: "removed by @<b>:x".into(),
            since: Timestamp::UNIX_EPOCH,
        };
        assert!(!absent(&absence).html.contains("<b>"), "{}", absent(&absence).html);
        let page = absences(&[absence], |_| "now".into()).reply();
        assert!(page.plain.ends_with("Since now."), "{}", page.plain);
    }

    #[test]
    fn every_reply() {
        let (old, sender) = (owned_room_id!("!old:x"), user_id!("@a:x"));
        let line = r#"rooms = ["!new:x"]"#;
        let absence = Absence {
            room: owned_room_id!("!ops:x"),
            how: "removed by @a:x".into(),
            since: Timestamp::UNIX_EPOCH,
        };
        let tombstone = Tombstone {
            event: owned_event_id!("$t"),
            sender: owned_user_id!("@m:x"),
            new: owned_room_id!("!new:x"),
        };
        let mut replies = vec![
            ("upgraded, proven", upgraded(&upgrade(true), sender, line)),
            ("upgraded, not proven", upgraded(&upgrade(false), sender, line)),
            ("proven later", upgrade_proven(line)),
            ("no longer followed", unfollowed(&upgrade(false))),
            ("not in a room", absent(&absence)),
            ("not in a room, in a list", absences(&[absence], |_| "(moment)".into()).reply()),
        ];
        for why in [
            NotTrusted::NotAdmin,
            NotTrusted::LostAdmin(owned_user_id!("@l:x")),
            NotTrusted::NewAdmin(owned_user_id!("@n:x")),
            NotTrusted::AllAdmins,
            NotTrusted::NotInvited,
            NotTrusted::Followed(owned_room_id!("!b:x")),
            NotTrusted::Circle,
        ] {
            replies.push(("not followed", not_followed(&old, &tombstone, &why)));
        }
        let page: String = replies
            .iter()
            .map(|(name, reply)| format!("=== {name} ===\n{}\n\n", reply.plain))
            .collect();
        insta::assert_snapshot!("room_replies", page);
    }
}
