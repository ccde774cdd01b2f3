//! A request on a delayed event → how it ended, and whether it may have restarted the event.

use crate::evidence::api_path::{Action, action};
use crate::synapse_log::access::Access;

/// How a request on a delayed event ended, by its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Done: the event waits again. Every status that counts as answered is named in [`Ended::from_status`].
    Answered,
    /// 429: too many.
    Limited,
    /// 404: the event had fired, was cancelled, or was never known here.
    Gone,
    /// Anything else: the event was not restarted.
    Refused,
}

impl Ended {
    pub(crate) fn from_status(status: u16) -> Self {
        match status {
            200 | 201 | 202 | 204 => Self::Answered,
            429 => Self::Limited,
            404 => Self::Gone,
            _ => Self::Refused,
        }
    }
}

/// Whether a request may restart a delayed event: by its path, or by a body that no log has.
pub(crate) fn restarts(access: &Access) -> bool {
    let path = access.uri.split('?').next().unwrap_or_default();
    let action = action(&access.method, path);
    action.is_some_and(|(_, action)| action != Action::End)
}
