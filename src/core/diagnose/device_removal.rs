//! Devices that were removed on the server, with their keys: when, by whom, and whether they came back without
//! them.
//!
//! A client that has published its device keys once does not publish them again. So a device that was deleted
//! and put back (MAS does that where Synapse's admin API deleted it) gets one-time keys and no device keys.

use super::findings;
use super::remedy::{Advice, Recommendation, Remedy};
use super::tree_walk::Walk;
use crate::evidence::auth::By;
use crate::evidence::{counted, utc};

/// How to sign out where MAS holds the sessions.
const SIGN_OUT: &str = "this server uses MAS: sign the device out in its client or on the MAS account page, wait \
                        until Synapse's log shows `Deleting devices` with it, then sign in again";
/// The same for a device that came back without its keys.
const SIGN_OUT_ONCE_MORE: &str = "log out in the client or on the MAS account page. Until then the client \
                                  believes that its keys are published";

/// What the log says about a device that the server does not know: when and by whom it was removed, else its last
/// upload.
pub(super) fn removal_reasons(walk: &Walk) -> Option<String> {
    removal(walk).or_else(|| walk.known.log.value().and_then(findings::last_upload))
}

/// When and by whom the device was removed, where the log shows it.
fn removal(walk: &Walk) -> Option<String> {
    let log = walk.known.auth.value()?;
    if let Some(removed) = log.removed.last() {
        return Some(format!("it was removed at {} {}", utc(removed.at), removed.by.words()));
    }
    let synced = log.synced.iter().rev().find(|synced| synced.deleted > 0)?;
    Some(format!(
        "MAS removed {} of this user {}; Synapse before 1.149 does not log which",
        counted(synced.deleted, "device"),
        utc(synced.at)
    ))
}

/// Why a device without device keys is not one that never published any: it came back after its removal, or
/// holds one-time keys, which no client uploads before its device keys.
pub(super) fn lost_its_keys(walk: &mut Walk) -> Vec<String> {
    let mut reasons = Vec::new();
    let stored = walk.known.stored.value().map_or(0, |stored| stored.total);
    let accepted = walk.known.log.value().map_or(0, |log| log.accepted.keys);
    if let Some(log) = walk.known.auth.value()
        && let Some(removed) = log.removed.last()
    {
        let by = removed.by.words();
        reasons.push(format!(
            "it was removed at {} {by}, with its keys, and is on the server again",
            utc(removed.at)
        ));
        let back = log.added_after(removed.at);
        if let Some(back) = back.filter(|_| matches!(removed.by, By::Admin(_))) {
            reasons.push(format!(
                "MAS still had its session and put the device back at {}",
                utc(back.at)
            ));
        }
    }
    let count = if stored > 0 { stored } else { accepted };
    if count > 0 {
        reasons.push(format!(
            "it has {} without device keys: this fits a device whose device keys were removed on the server, and \
             whose client does not publish them again",
            counted(count, "one-time key")
        ));
    }
    if !reasons.is_empty() {
        walk.relogin = Some(SIGN_OUT_ONCE_MORE);
    }
    reasons
}

/// What MAS changes about signing out, and where that is done.
pub(super) fn sign_out(walk: &mut Walk, remedies: &mut [Advice]) {
    let uses_mas = walk.known.auth.value().is_some_and(|log| log.mas.is_some());
    let possible = |advice: &&mut Advice| {
        matches!(advice.advice, Recommendation::Recommended | Recommendation::Possible)
    };
    let mut relogin = remedies.iter_mut().filter(|advice| advice.id == Remedy::Relogin);
    let Some(relogin) = relogin.find(possible) else { return };
    if let Some(why) = walk.relogin {
        (relogin.advice, relogin.why) = (Recommendation::Recommended, Some(why));
    } else if uses_mas && relogin.why.is_none() {
        relogin.why = Some(SIGN_OUT);
    }
    if let Some(device) = walk.evidence.device().filter(|_| uses_mas) {
        let id = encoded(device.device.as_str());
        walk.findings.push(format!(
            "to sign it out on the MAS account page, open `account_management_uri` with \
             `?action=org.matrix.device_delete&device_id={id}`"
        ));
    }
}

/// An id as a URL's query holds it; a client chose it.
fn encoded(id: &str) -> String {
    const LONGEST: usize = 64;
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    id.bytes().take(LONGEST).map(one).collect()
}
