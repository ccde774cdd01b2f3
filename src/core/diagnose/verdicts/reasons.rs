//! Why a remedy helps or not, and what would confirm a verdict, if several verdicts say the same.

use crate::diagnose::verdict_row::Confirmation;

pub(super) const NO_VERSION_HEALS: Option<&str> =
    Some("no version heals a device that has diverged");
pub(super) const OLD_REFUSED: Option<&str> =
    Some("the new account stays refused by everyone who remembers the old one");
pub(super) const LOGOUT_FIRST: Option<&str> = Some("only after a real logout");
pub(super) const PREVENTS: Option<&str> = Some("afterwards, so that it does not come back");
pub(super) const AFTER_LAST_CLIENT: Option<&str> = Some("once only one client is left");

/// What makes a verdict from a text log proven.
pub(super) const WITNESS: Confirmation = Confirmation {
    need: "a witness besides the text log",
    how: "ask again while it goes on, with the database at hand: a row that equals the line's key \
          proves it; so does a Terse JSON log",
};
