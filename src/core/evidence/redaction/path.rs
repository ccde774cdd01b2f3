//! A request's path and query → the same with the words of the Matrix API and ids only. Delay ids become
//! digests, so that two requests on one delay are still seen as such.

use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest, Sha256};

use crate::evidence::api_path::{WORDS, percent_decoded};
use crate::evidence::redaction::cut::{CUT, kind_of};
use crate::evidence::redaction::{Removed, Secret};

/// Query values that are kept, where they are small numbers or words of the API.
const QUERY: &[&str] = &[
    "timeout",
    "set_presence",
    "delay",
    "org.matrix.msc4140.delay",
    "limit",
    "dir",
    "full_state",
    "action",
];

/// A path with its query, as it may be kept.
///
/// `may_stay` says about an id or a type whether nothing in it has to be cut.
pub(crate) fn cleaned(text: &str, removed: &mut Removed, may_stay: fn(&str) -> bool) -> String {
    let (path, query) = match text.split_once(['?', '#']) {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut kept: Vec<String> = Vec::new();
    for segment in path.split('/').take(16) {
        let before = kept.last().map(String::as_str).unwrap_or_default();
        let segment = segment_of(segment, before, removed, may_stay);
        kept.push(segment);
    }
    let mut kept = kept.join("/");
    let pairs: Vec<_> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .take(32)
        .map(|pair| pair_of(pair, removed))
        .collect();
    if !pairs.is_empty() {
        kept = format!("{kept}?{}", pairs.join("&"));
    }
    kept
}

fn segment_of(
    segment: &str,
    before: &str,
    removed: &mut Removed,
    may_stay: fn(&str) -> bool,
) -> String {
    let text = decoded(segment);
    if text.is_empty() || text == CUT || WORDS.contains(&text.as_str()) {
        return text;
    }
    if before == "delayed_events" {
        if is_digest(&text) {
            return text;
        }
        removed.one(Secret::DelayId);
        return digest(&text);
    }
    let is_id = text.starts_with(['!', '$', '@']) && ID.is_match(&text);
    let is_type = TYPE.is_match(&text);
    if (is_id || is_type) && may_stay(&text) {
        return text;
    }
    removed.one(Secret::Value);
    CUT.to_owned()
}

/// Whether it is an event type that is known.
pub(crate) fn is_type(text: &str) -> bool {
    TYPE.is_match(text)
}

fn pair_of(pair: &str, removed: &mut Removed) -> String {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    if QUERY.contains(&name) && SMALL.is_match(value) {
        return pair.to_owned();
    }
    if name == CUT && value.is_empty() {
        return CUT.to_owned();
    }
    removed.one(match kind_of(name) {
        secret @ (Secret::AccessToken | Secret::RefreshToken) => secret,
        _ => Secret::Query,
    });
    CUT.to_owned()
}

/// The text with its `%XX` read; what is no UTF-8 afterwards is nothing that is kept.
pub(crate) fn decoded(text: &str) -> String {
    String::from_utf8(percent_decoded(text)).unwrap_or_else(|_| "?".into())
}

/// What stands for a value that has to be distinguished from others, and not known.
pub(crate) fn digest(text: &str) -> String {
    let hex: String =
        Sha256::digest(text).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("~{hex}")
}

/// Whether the text is one of [`digest`]'s.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix('~').is_some_and(|hex| {
        hex.len() == 10 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

/// A user, room or event id.
static ID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[!$@][A-Za-z0-9._=+-]{1,128}(?::[A-Za-z0-9.:-]{1,128})?$"));
/// An event type or an unstable feature: `org.matrix.msc4140`. Of known words, because a host name looks alike.
static TYPE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:m|org\.matrix|io\.element|im\.vector|com\.element)(?:\.(?:msc[0-9]{2,5}|v[0-9]{1,2}|room|member|members",
        "|message|encrypted|encryption|encryption_keys?|name|topic|avatar|power_levels|create|join_rules|redaction",
        "|history_visibility|guest_access|canonical_alias|tombstone|pinned_events|server_acl|third_party_invite|space",
        "|parent|child|call|candidates|answer|hangup|invite|negotiate|notify|notification|reaction|memberships?|slot",
        "|rtc|key|secret|request|send|push|secret_storage|default_key|cross_signing|master|self_signing|user_signing",
        "|megolm_backup|room_key|room_key_request|room_key_bundle|withheld|forwarded_room_key|dummy|verification|start",
        "|accept|cancel|mac|done|ready|direct|tag|push_rules|ignored_user_list|fully_read|read|private|receipt|typing",
        "|presence|sticker|sticky_event|poll|response|end|beacon|beacon_info|location|widgets?|modular|settings|web",
        "|unstable|simplified_msc3575|sliding_sync|dehydrated_device|device_list_update|auto_rs_request|delayed_events",
        "|delay|restart|e2e_cross_signing|rtc_foci|transports|analytics|breadcrumbs|room_key_backup|org))*$"
    ))
});
static SMALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:\d{1,9}|true|false|online|offline|unavailable|f|b|restart|send|cancel)$")
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::redaction::scrubber::cleaned_path;

    #[test]
    fn a_path_keeps_the_words_of_the_api_and_ids() {
        let of = |text: &str| {
            let mut removed = Removed::default();
            let once = cleaned_path(text, &mut removed);
            assert_eq!(cleaned_path(&once, &mut Removed::default()), once);
            once
        };
        assert_eq!(
            of("/_matrix/client/v3/sync?timeout=30000&since=s1_2&access_token=syt_x"),
            "/_matrix/client/v3/sync?timeout=30000&…&…"
        );
        assert_eq!(
            of("/_matrix/client/v3/sendToDevice/io.element.call.encryption_keys/m123.4"),
            "/_matrix/client/v3/sendToDevice/io.element.call.encryption_keys/…"
        );
        assert_eq!(
            of("/_matrix/client/v3/rooms/!a%3Ax.org/state/m.room.member/%40a%3Ax.org"),
            "/_matrix/client/v3/rooms/!a:x.org/state/m.room.member/@a:x.org"
        );
        let delayed =
            of("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/syd_secret/restart");
        assert!(
            delayed.contains("/delayed_events/~") && delayed.ends_with("/restart"),
            "{delayed}"
        );
        assert!(!of("/_matrix/media/v3/download/x.org/Secret").contains("Secret"));
    }
}
