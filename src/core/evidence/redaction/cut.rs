//! The mark of a cut, and what kind of thing a name says that its value is.

use crate::evidence::redaction::removed::Secret;

/// What replaces something that was cut.
pub(crate) const CUT: &str = "…";

/// What is named by a word, or by the words in an object.
pub(crate) fn kind_of(text: &str) -> Secret {
    let words = text.to_lowercase();
    let has = |names: &[&str]| names.iter().any(|name| words.contains(name));
    if has(&["refresh"]) {
        Secret::RefreshToken
    } else if has(&["token", "authorization", "bearer"]) {
        Secret::AccessToken
    } else if has(&["cookie"]) {
        Secret::Cookie
    } else if has(&["recovery", "security"]) {
        Secret::RecoveryKey
    } else if has(&["passw", "passphrase", "pwd", "secret"]) {
        Secret::Password
    } else if has(&["session_data", "backup", "ciphertext", "mac", "private"]) {
        Secret::KeyBackup
    } else if has(&["session_key", "room_key", "sessionkey", "sender_claimed"]) {
        Secret::RoomKey
    } else if has(&["body", "content"]) {
        Secret::MessageBody
    } else if has(&["delay_id", "delayid"]) {
        Secret::DelayId
    } else if has(&["key"]) {
        Secret::MediaKey
    } else {
        Secret::Value
    }
}
