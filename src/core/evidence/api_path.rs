//! A request's path → which endpoint it is, with every id taken out, and which delayed event it acts on.
//!
//! A path is a client's text: only words that are known here are ever kept of it, so that neither an id
//! nor a delay id can reach an answer.

use sha2::{Digest as _, Sha256};

use crate::evidence::delay::Digest;

/// The words of Matrix's and Synapse's paths. They name no one, so they may be shown and kept.
pub(crate) const WORDS: &[&str] = &[
    "_matrix",
    "_synapse",
    "account",
    "account_data",
    "account_management",
    "admin",
    "aliases",
    "auth_metadata",
    "backfill",
    "backup",
    "ban",
    "batch_send",
    "cancel",
    "capabilities",
    "changes",
    "claim",
    "client",
    "config",
    "context",
    "create",
    "createRoom",
    "cross-signing",
    "dehydrated_device",
    "delayed_events",
    "delete_devices",
    "device_signing",
    "devices",
    "directory",
    "download",
    "event",
    "events",
    "federation",
    "filter",
    "forget",
    "get_missing_events",
    "get_token",
    "health",
    "initialSync",
    "invite",
    "join",
    "joined_members",
    "joined_rooms",
    "key",
    "keys",
    "kick",
    "leave",
    "livekit_jwt",
    "login",
    "logout",
    "make_join",
    "media",
    "members",
    "messages",
    "metrics",
    "notifications",
    "openid",
    "presence",
    "preview_url",
    "profile",
    "publicRooms",
    "public_rooms",
    "pushers",
    "pushrules",
    "query",
    "r0",
    "read_markers",
    "receipt",
    "redact",
    "refresh",
    "register",
    "relations",
    "replication",
    "request_token",
    "restart",
    "room_keys",
    "rooms",
    "rtc",
    "search",
    "send",
    "sendToDevice",
    "send_join",
    "signatures",
    "simplified_msc3575",
    "state",
    "state_ids",
    "status",
    "sync",
    "tags",
    "thirdparty",
    "threads",
    "thumbnail",
    "timestamp_to_event",
    "transports",
    "turnServer",
    "typing",
    "unban",
    "unstable",
    "upgrade",
    "upload",
    "user",
    "user_directory",
    "v1",
    "v2",
    "v3",
    "v4",
    "version",
    "versions",
    "voip",
    "whoami",
];
/// Features and event types that an endpoint shows; event types follow `send` and `state`.
const FEATURES_AND_TYPES: &[&str] = &[
    "org.matrix.msc4140",
    "org.matrix.simplified_msc3575",
    "m.room.message",
    "m.room.encrypted",
    "m.room.member",
    "m.room.power_levels",
    "m.reaction",
    "m.call.member",
    "org.matrix.msc3401.call.member",
    "org.matrix.msc4143.rtc.member",
    "m.rtc.member",
    "io.element.call.encryption_keys",
];
/// Words behind which an id stands, whatever it spells.
const BEFORE_ID: &[(&str, &str)] = &[
    ("rooms", "{room}"),
    ("join", "{room}"),
    ("delayed_events", "{id}"),
    ("user", "{user}"),
    ("profile", "{user}"),
    ("devices", "{device}"),
    ("redact", "{event}"),
    ("event", "{event}"),
];
/// Words behind which an event's type stands.
const BEFORE_TYPE: &[&str] = &["send", "state", "sendToDevice"];
/// Longer paths are cut here.
const SEGMENTS: usize = 8;

/// The endpoint of a request, as `PUT /rooms/{room}/send/m.room.message`.
pub(crate) fn endpoint(method: &str, path: &str) -> String {
    let method = match method {
        "GET" | "PUT" | "POST" | "DELETE" | "HEAD" | "OPTIONS" => method,
        _ => "OTHER",
    };
    // The version is left out: it is the same endpoint to the one who waits for it.
    let versions = ["r0", "v1", "v3", "unstable"];
    let short = path.strip_prefix("/_matrix/client/").and_then(|rest| rest.split_once('/'));
    let rest = match short {
        Some((version, rest)) if versions.contains(&version) => rest,
        _ => path.trim_start_matches('/'),
    };
    let mut shown = format!("{method} ");
    let mut before = "";
    for segment in rest.split('/').take(SEGMENTS) {
        let id = BEFORE_ID.iter().find(|(word, _)| *word == before);
        let word = WORDS.iter().chain(FEATURES_AND_TYPES).find(|word| **word == segment);
        let kind = BEFORE_TYPE.contains(&before);
        shown.push('/');
        shown.push_str(match (id, word) {
            (Some((_, placeholder)), _) => placeholder,
            (None, Some(word)) => word,
            (None, None) if kind => "{type}",
            (None, None) => "{…}",
        });
        if kind {
            // A transaction's id or a state key ends the path, and says nothing.
            break;
        }
        before = if id.is_some() { "" } else { segment };
    }
    shown
}

/// What a request on a delayed event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Restart,
    /// Cancelled, or sent at once: either way it ends.
    End,
    /// The action is in the body, which no log has.
    InBody,
}

/// Which delayed event a request acts on, and how. The paths of MSC4140 before and after it is stable.
pub(crate) fn action(method: &str, path: &str) -> Option<(Digest, Action)> {
    let rest = path.strip_prefix("/_matrix/client/").filter(|_| method == "POST")?;
    let (version, rest) = rest.split_once("/delayed_events/")?;
    if !matches!(version, "unstable/org.matrix.msc4140" | "v1" | "v3") {
        return None;
    }
    let (id, action) = match rest.split_once('/') {
        None => (rest, Action::InBody),
        Some((id, "restart")) => (id, Action::Restart),
        Some((id, "cancel" | "send")) => (id, Action::End),
        Some(_) => return None,
    };
    let id = decoded(id);
    (!id.is_empty()).then(|| (digest(&id), action))
}

/// The room and the delay in milliseconds of a request that makes a delayed event.
pub(crate) fn creation(method: &str, uri: &str) -> Option<(String, Option<u64>)> {
    let (path, query) = uri.split_once('?')?;
    let delay = query.split('&').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        matches!(name, "org.matrix.msc4140.delay" | "delay").then_some(value)
    })?;
    let rest =
        path.strip_prefix("/_matrix/client/").filter(|_| matches!(method, "PUT" | "POST"))?;
    let (_version, rest) = rest.split_once("/rooms/")?;
    let (room, rest) = rest.split_once('/')?;
    let makes = rest.starts_with("send/") || rest.starts_with("state/");
    let room = decoded(room);
    let is_room = room.starts_with('!') && !room.contains(char::is_control);
    (makes && is_room).then(|| (room, delay.parse().ok()))
}

/// The digest that stands for a delay id.
pub(crate) fn digest(id: &str) -> Digest {
    Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `%21` → `!`; what is no such escape stays.
fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(text)).into_owned()
}

/// The text with its `%XX` read, as bytes.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| core::str::from_utf8(hex).ok());
        match hex.filter(|_| byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_out_of_an_endpoint() {
        for (method, path, shown) in [
            (
                "PUT",
                "/_matrix/client/v3/rooms/%21a%3Ab/send/m.room.message/x17",
                "PUT /rooms/{room}/send/m.room.message",
            ),
            (
                "POST",
                "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/syd_abc/restart",
                "POST /org.matrix.msc4140/delayed_events/{id}/restart",
            ),
            (
                "PUT",
                "/_matrix/client/v3/rooms/!a/state/org.matrix.msc3401.call.member/_@u:s_DEV_m.call",
                "PUT /rooms/{room}/state/org.matrix.msc3401.call.member",
            ),
            ("GET", "/_matrix/client/v3/sync", "GET /sync"),
            ("GET", "/_matrix/client/versions", "GET /_matrix/client/versions"),
            ("POST", "/_matrix/client/v3/join/sync", "POST /join/{room}"),
            ("BREW", "/syd_secret/syd_secret", "OTHER /{…}/{…}"),
        ] {
            assert_eq!(endpoint(method, path), shown);
        }
        let hostile = format!("/_matrix/client/v3/{}", "syd_secret/".repeat(400));
        let shown = endpoint("GET", &hostile);
        assert!(!shown.contains("syd") && shown.len() < 100, "{shown}");
    }

    #[test]
    fn a_delayed_event_is_known_by_its_digest_only() {
        let base = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events";
        let id = || digest("syd_abc");
        for (path, expected) in [
            (format!("{base}/syd_abc/restart"), Some((id(), Action::Restart))),
            (format!("{base}/syd%5Fabc/cancel"), Some((id(), Action::End))),
            (format!("{base}/syd_abc/send"), Some((id(), Action::End))),
            (format!("{base}/syd_abc"), Some((id(), Action::InBody))),
            (
                "/_matrix/client/v1/delayed_events/syd_abc/restart".into(),
                Some((id(), Action::Restart)),
            ),
            (format!("{base}/syd_abc/explode"), None),
            (format!("{base}/"), None),
            (base.to_owned(), None),
        ] {
            assert_eq!(action("POST", &path), expected, "{path}");
        }
        assert_eq!(action("GET", &format!("{base}/syd_abc")), None);
        assert_eq!(id().len(), 64);
    }

    #[test]
    fn a_creation_names_its_room_and_delay() {
        let uri = "/_matrix/client/v3/rooms/%21a%3Ab/state/t/k?org.matrix.msc4140.delay=8000";
        assert_eq!(creation("PUT", uri), Some(("!a:b".into(), Some(8000))));
        assert_eq!(creation("PUT", "/_matrix/client/v3/rooms/%21a/state/t/k"), None);
        assert_eq!(creation("PUT", "/x?org.matrix.msc4140.delay=1"), None);
    }
}
