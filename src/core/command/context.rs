//! What the words of a command are read against.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ruma::ServerName;

/// What the words are read against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Completes a bare `alice`.
    pub server_name: Option<&'a ServerName>,
    /// The zone of times written without an offset.
    pub zone: &'a TimeZone,
    pub now: Timestamp,
}

/// The contexts of tests.
#[cfg(test)]
pub(super) mod tests {
    use ruma::server_name;

    use super::*;

    /// At the epoch, on a server that is known.
    pub(in super::super) fn epoch() -> Context<'static> {
        Context {
            server_name: Some(server_name!("example.org")),
            zone: const { &TimeZone::UTC },
            now: Timestamp::UNIX_EPOCH,
        }
    }
}
