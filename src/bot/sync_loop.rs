//! Sync responses → commands and reports that are accepted, invitations that are joined, upgrades that are followed.

pub(super) mod absence;
pub(super) mod accept;
pub(super) mod admission;
pub(super) mod catch_up;
pub(super) mod command_age;
pub(super) mod direct_chat;
pub(super) mod event_handling;
pub(super) mod homeserver_clock;
pub(super) mod invites;
pub(super) mod late_keys;
pub(super) mod listen;
pub(super) mod missed_events;
pub(super) mod retries;
pub(super) mod state;
pub(super) mod undecrypted;
pub(super) mod upgrade;
pub(super) mod upgrade_trust;
