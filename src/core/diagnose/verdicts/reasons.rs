//! Why a remedy helps or not, where several verdicts say the same.

pub(super) const NO_VERSION_HEALS: Option<&str> =
    Some("no version heals a device that has diverged");
pub(super) const OLD_REFUSED: Option<&str> =
    Some("the new account stays refused by everyone who remembers the old one");
pub(super) const LOGOUT_FIRST: Option<&str> = Some("only after a real logout");
pub(super) const PREVENTS: Option<&str> = Some("afterwards, so that it does not come back");
pub(super) const AFTER_LAST_CLIENT: Option<&str> = Some("once only one client is left");
