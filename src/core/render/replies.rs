//! The bot's own short replies: those that are not a verdict, a storm or a case. The bot chooses which one to send.
//! One file holds one theme.

mod account;
mod captures;
mod cases;
mod commands;
mod reports;
mod rooms;
#[cfg(test)]
mod snapshot_tests;
mod storms;

pub use self::account::{
    clocks_differ, device_conflict, device_replaced, device_unverified, password_changed,
};
pub use self::captures::{
    capture_answers_elsewhere, no_capture, no_device_in_capture, one_capture,
};
pub use self::cases::{case_deleted, case_unreadable, no_case_here, no_such_case, not_again};
pub use self::commands::{
    NotRun, answer_rejected, not_encrypted_here, not_for_you, not_run, our_fault, queue_full,
    read_back_to, skipped, stopping, too_long, too_many_presses,
};
pub use self::reports::{
    commands_elsewhere, download_failed, download_too_slow, file_not_attached, how_to_report,
    in_its_thread, message_not_fetched, message_without_key, no_file_there, no_ops_room,
    no_picture, not_read, report_of_what, reports_limited, too_large, your_turn_comes,
};
pub use self::rooms::{
    NotFollowed, absences, absent, not_followed, unfollowed, upgrade_proven, upgraded,
};
pub use self::storms::{
    all_unmuted, cannot_mute, how_to_mute, no_device_in_it, not_watching, was_not_muted,
};
