//! Whether a line of a client's log is of a kind that is stored.

use std::sync::LazyLock;

use regex::Regex;

use crate::client_files::signs;

/// Whether a line is of a kind that is stored.
pub(crate) fn is_known(line: &str) -> bool {
    signs::sign(line).is_some() || KNOWN.is_match(shortened(line))
}

fn shortened(line: &str) -> &str {
    let mut end = line.len().min(2048);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

/// Versions, the state of the sync, whose session it is, and the loggers that are kept. It reads every line,
/// so its word boundaries are ASCII: others take seconds per megabyte if a line is not ASCII.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:matrix-js-sdk|matrix-sdk-crypto-wasm|matrix-rust-sdk|[Vv]odozemac|[Rr]ust.?[Cc]rypto)(?-u:\b).{0,40}?[0-9]+\.[0-9]+\.[0-9]+",
        r"|(?i:(?-u:\b)sync state(?-u:\b))|(?-u:\b)SyncState(?-u:\b)|MatrixActionCreators\.sync|/sync error",
        r"|(?-u:\b)matrix[_]sdk(?:_crypto|_base|_common|_ui)?(?:::[A-Za-z0-9_]+)*[: ]|(?-u:\b)vodozemac::",
        r"|\[MembershipManager\]|\[?MatrixRTCSession|\[?RTCEncryptionManager|ToDeviceKeyTransport|RoomKeyTransport",
        r"|(?-u:\b)FetchHttpApi: |(?-u:\b)OutgoingRequest(?:Processor|sManager)|(?-u:\bRustCrypto\b|\bKeyClaimManager\b)",
        r"|(?i:restoring session for|logged in as) @"
    ))
});
