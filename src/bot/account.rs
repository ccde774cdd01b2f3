//! The bot's account: its session on disk, its device and identity, the lease that holds it, and what ends it.

pub(super) mod checkup;
pub(super) mod client;
pub(super) mod cross_signing;
pub(super) mod device_keys;
pub(super) mod keeper;
pub(super) mod lease;
pub(super) mod lease_record;
pub(super) mod login;
pub(super) mod notices;
pub(super) mod password;
pub(super) mod random;
pub(super) mod restore;
pub(super) mod session;
pub(super) mod session_end;
