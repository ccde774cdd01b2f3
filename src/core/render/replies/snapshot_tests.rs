//! Every short reply, as people read it.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ruma::{DeviceId, room_id, user_id};

use super::*;
use crate::render::plain_replies::said;
use crate::render::{Reply, View};

fn snapshot(name: &str, replies: &[(&str, Reply)]) {
    let page: String = replies
        .iter()
        .map(|(name, reply)| format!("=== {name} ===\n{}\n\n", reply.plain))
        .collect();
    insta::assert_snapshot!(name, page);
}

#[test]
fn commands_and_storms() {
    let rule = "destructive";
    let five = Duration::from_secs(300);
    let clock = "the homeserver's clock is 7 min behind this machine's";
    snapshot(
        "commands",
        &[
            ("not an admin", not_for_you()),
            ("plain in an encrypted room", not_run(NotRun::NotEncrypted)),
            ("room not encrypted", not_run(NotRun::RoomNotEncrypted)),
            ("no device to verify", not_run(NotRun::NoDeviceToVerify { rule })),
            ("device not verified", not_run(NotRun::NotVerified { rule })),
            ("identity changed", not_run(NotRun::IdentityChanged)),
            ("unknown device", not_run(NotRun::UnknownDevice)),
            ("key of unknown source", not_run(NotRun::UnknownSource)),
            ("another user's key", not_run(NotRun::OtherUser)),
            ("copied", not_run(NotRun::Copied)),
            ("store not writable", not_run(NotRun::NotSaved)),
            ("room not encrypted, allowed", not_encrypted_here()),
            ("mute button", how_to_mute(7)),
            ("too many reactions", too_many_presses(20)),
            ("one command skipped", skipped(1, five, None)),
            ("commands skipped", skipped(3, five, None)),
            ("skipped, clock behind", skipped(1, five, Some(clock))),
            ("queue full", queue_full(50)),
            ("backlog not read", read_back_to(500, "2026-11-22 11:46:40 UTC")),
            ("no device in a delay storm", no_device_in_it()),
            ("nothing was muted", all_unmuted(0)),
            ("all unmuted", all_unmuted(2)),
            ("that was not muted", was_not_muted()),
            ("mute of a resolved storm", cannot_mute(7, true)),
            ("mute of an unknown storm", cannot_mute(7, false)),
            ("no storm watch", not_watching()),
            ("answer rejected", answer_rejected()),
            ("internal error", our_fault()),
            ("stopping", stopping()),
            ("deadline", too_long()),
        ],
    );
}

#[test]
fn cases_captures_and_reports() {
    let link = "https://matrix.to/#/!r%3Ax/%24e";
    let view = View::in_zone(TimeZone::UTC);
    snapshot(
        "cases_captures_and_reports",
        &[
            ("no case in the thread", no_case_here()),
            ("no such case", no_such_case(7)),
            ("case unreadable", case_unreadable(7)),
            ("case names no user", not_again(7)),
            ("case deleted", case_deleted(7)),
            ("no capture", no_capture()),
            ("capture already running", one_capture(3)),
            ("capture outside its thread", capture_answers_elsewhere(3)),
            ("capture without a device", no_device_in_capture()),
            ("how to report", how_to_report()),
            ("command in a direct chat", commands_elsewhere()),
            ("report queued", your_turn_comes()),
            ("too many reports", reports_limited(5, Timestamp::UNIX_EPOCH, &view)),
            ("!report without a file", report_of_what()),
            ("report posted", in_its_thread(Some(12), link)),
            ("report posted, no case", in_its_thread(None, link)),
            ("file not read", said(&not_read("it is empty"))),
            ("file too large", said(&too_large(32 << 20))),
            ("picture", said(no_picture())),
            ("download failed", said(download_failed())),
            ("download too slow", said(download_too_slow())),
            ("message not fetched", said(message_not_fetched())),
            ("message without a key", said(message_without_key())),
            ("message without a file", said(no_file_there())),
            ("no ops room", said(no_ops_room())),
            ("file not attached", said(&file_not_attached("network.har"))),
        ],
    );
}

#[test]
fn rooms() {
    let (old, new) = (room_id!("!old:x"), room_id!("!new:x"));
    let sender = user_id!("@a:x");
    let line = r#"rooms = ["!new:x"]"#;
    let gone = room_id!("!ops:x");
    let how = "removed by @a:x";
    let mut replies = vec![
        ("upgraded, proven", upgraded((old, new), sender, line, true)),
        ("upgraded, not proven", upgraded((old, new), sender, line, false)),
        ("proven later", upgrade_proven(line)),
        ("no longer followed", unfollowed(old, new)),
        ("not in a room", absent(gone, how)),
        ("not in a room, in a list", absences([(gone, how, "(moment)".to_owned())]).reply()),
    ];
    for why in [
        NotFollowed::NotAdmin,
        NotFollowed::LostAdmin(user_id!("@l:x")),
        NotFollowed::NewAdmin(user_id!("@n:x")),
        NotFollowed::AllAdmins,
        NotFollowed::NotInvited,
        NotFollowed::Followed(room_id!("!b:x")),
        NotFollowed::Circle,
    ] {
        replies.push(("not followed", not_followed((old, new), user_id!("@m:x"), why)));
    }
    snapshot("rooms", &replies);
}

#[test]
fn account() {
    let (old, new) = (<&DeviceId>::from("OLD"), <&DeviceId>::from("NEW"));
    let why = "the homeserver ended this session: the account is locked";
    let clock = "the homeserver's clock is 7 min behind this machine's";
    snapshot(
        "account",
        &[
            ("new device", device_replaced(old, new, why, true)),
            ("new device, not verified", device_replaced(old, new, why, false)),
            ("not verified", device_unverified(new)),
            ("one-time key conflict", device_conflict(new)),
            ("password changed", password_changed(Path::new("/etc/kestrel/password"))),
            ("clocks differ", clocks_differ(clock)),
        ],
    );
}
