//! Sync responses → commands and reports that are accepted, invitations that are joined, upgrades that are followed.

pub(super) mod absence;
pub(super) mod accept;
pub(super) mod admission;
pub(super) mod catch_up;
pub(super) mod command_age;
pub(super) mod direct_chat;
pub(super) mod invites;
pub(super) mod listen;
pub(super) mod missed_events;
pub(super) mod undecrypted;
pub(super) mod upgrade;
