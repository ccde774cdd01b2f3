//! The mark of a cut, and what kind of thing a name says that its value is.

use crate::evidence::redaction::removed::Secret;

/// What stands where something was cut.
pub(crate) const CUT: &str = "…";

/// What is named by a word, or by the words in an object.
pub(crate) fn kind_of(text: &str) -> Secret {
    let words = text.to_lowercase();
    let has = |names: &[&str]| names.iter().any(|name| words.contains(name));
    match () {
        () if has(&["refresh"]) => Secret::RefreshToken,
        () if has(&["token", "authorization", "bearer"]) => Secret::AccessToken,
        () if has(&["cookie"]) => Secret::Cookie,
        () if has(&["recovery", "security"]) => Secret::RecoveryKey,
        () if has(&["passw", "passphrase", "pwd", "secret"]) => Secret::Password,
        () if has(&["session_data", "backup", "ciphertext", "mac", "private"]) => Secret::KeyBackup,
        () if has(&["session_key", "room_key", "sessionkey", "sender_claimed"]) => Secret::RoomKey,
        () if has(&["body", "content"]) => Secret::MessageBody,
        () if has(&["delay_id", "delayid"]) => Secret::DelayId,
        () if has(&["key"]) => Secret::MediaKey,
        () => Secret::Value,
    }
}
