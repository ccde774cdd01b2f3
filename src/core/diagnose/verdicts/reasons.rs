//! Why a remedy helps or not, and what would confirm a verdict, if several verdicts say the same.

use crate::diagnose::verdict_row::Confirmation;

pub(super) const NO_VERSION_HEALS: Option<&str> =
    Some("no SDK version repairs a device whose keys have diverged");
pub(super) const OLD_REMEMBERED: Option<&str> =
    Some("contacts who remember the old account keep rejecting the new one");
pub(super) const LOGOUT_FIRST: Option<&str> = Some("do this only after the device was logged out");
pub(super) const PREVENTS: Option<&str> =
    Some("do this afterwards, so that it does not happen again");
pub(super) const AFTER_LAST_CLIENT: Option<&str> = Some("do this when only one client is left");

/// What makes a verdict from a text log proven.
pub(super) const WITNESS: Confirmation = Confirmation {
    need: "a second source besides the text log",
    how: "ask again while the rejected uploads are ongoing and the database is reachable: a stored key that \
          equals the key in the log line proves it. A JSON log (TerseJsonFormatter) proves it too",
};
