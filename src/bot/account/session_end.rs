//! Why a session or a run ended → who can help: the homeserver in time, Kestrel itself, or a person only.
//!
//! It decides by the homeserver's error codes and never by their text.

use std::fmt;

use matrix_sdk::HttpError;
use matrix_sdk::ruma::api::error::ErrorKind;

/// A restart does not help: a person has to do something first. The process exits with a status of its own, so that a
/// service manager does not restart it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsPerson(String);

impl NeedsPerson {
    /// `says` is for that person: what happened, what it means, what to do.
    pub(crate) fn error(says: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(says.into()))
    }
}

impl fmt::Display for NeedsPerson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for NeedsPerson {}

/// The homeserver no longer accepts the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// The access token is unknown. The error code is the same for each of its causes.
    Token,
    Deactivated,
    Locked,
}

impl SessionEnd {
    /// What an error code says; `None` when the session is still valid.
    pub(crate) fn from_error_kind(kind: Option<&ErrorKind>) -> Option<Self> {
        match kind? {
            ErrorKind::UnknownToken(_) | ErrorKind::MissingToken => Some(Self::Token),
            ErrorKind::UserDeactivated => Some(Self::Deactivated),
            ErrorKind::UserLocked => Some(Self::Locked),
            _ => None,
        }
    }

    /// What an error chain says, if a request's error is in it.
    pub(crate) fn in_chain(error: &anyhow::Error) -> Option<Self> {
        if let Some(over) = error.downcast_ref::<Self>() {
            return Some(*over);
        }
        error.chain().find_map(|cause| {
            let http = cause.downcast_ref::<HttpError>();
            let sdk = cause.downcast_ref::<matrix_sdk::Error>();
            Self::from_error_kind(
                http.and_then(HttpError::client_api_error_kind)
                    .or_else(|| sdk.and_then(matrix_sdk::Error::client_api_error_kind)),
            )
        })
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Token => {
                "the homeserver ended this session: the device was deleted, its access token was revoked or \
                 expired, or the account was deactivated"
            }
            Self::Deactivated => "the homeserver ended this session: the account is deactivated",
            Self::Locked => "the homeserver rejects this session: the account is locked",
        })
    }
}

impl std::error::Error for SessionEnd {}

/// The device must not be used any more. A new one replaces it if a password is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnusableDevice {
    /// The newest run of this store is not in it.
    OlderCopy,
    /// The homeserver has other one-time keys under the same key IDs.
    Conflict,
}

impl fmt::Display for UnusableDevice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::OlderCopy => {
                "the store is older than the account's last run with it: an older copy was restored"
            }
            Self::Conflict => {
                "the homeserver rejects this device's one-time keys: the crypto store is older than the \
                 device, for example because an older copy was restored"
            }
        })
    }
}

impl std::error::Error for UnusableDevice {}

/// Whether restoring the session again may help: it then decides what takes the device's place.
pub(crate) fn is_replaceable(error: &anyhow::Error) -> bool {
    error.is::<SessionEnd>() || error.is::<UnusableDevice>()
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn the_kind_of_an_end_survives_context() {
        let ended: anyhow::Result<()> = Err(anyhow!("401").context(SessionEnd::Token));
        let ended = ended.context("syncing").unwrap_err();
        assert_eq!(SessionEnd::in_chain(&ended), Some(SessionEnd::Token));
        assert!(is_replaceable(&ended) && !ended.is::<NeedsPerson>());
        let person = NeedsPerson::error("log in").context("starting");
        assert!(person.is::<NeedsPerson>() && !is_replaceable(&person));
    }

    #[test]
    fn only_the_ends_of_a_session_are_ends() {
        assert_eq!(
            SessionEnd::from_error_kind(Some(&ErrorKind::UserDeactivated)),
            Some(SessionEnd::Deactivated)
        );
        assert_eq!(
            SessionEnd::from_error_kind(Some(&ErrorKind::UserLocked)),
            Some(SessionEnd::Locked)
        );
        assert_eq!(
            SessionEnd::from_error_kind(Some(&ErrorKind::MissingToken)),
            Some(SessionEnd::Token)
        );
        assert_eq!(SessionEnd::from_error_kind(Some(&ErrorKind::Forbidden)), None);
        assert_eq!(SessionEnd::from_error_kind(None), None);
    }
}
