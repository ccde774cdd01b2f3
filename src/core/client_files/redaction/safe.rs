//! A line without its secrets → the same line with only what is known to be safe: words that the SDKs themselves
//! write, names of their modules, paths of the Matrix API, and fields, IDs, keys and numbers of a known type.
//! Everything else is replaced by one `…`: free text looks like nothing in particular, so it is never searched for.

use std::sync::LazyLock;

use regex::{Match, Regex};

use crate::client_files::redaction::phrases;
use crate::evidence::redaction::cut::CUT;
use crate::evidence::redaction::{Removed, Secret};

/// Punctuation that stays on each side of a cut, and between two safe pieces.
const AROUND: usize = 3;
const BETWEEN: usize = 12;

/// The line as it may be stored. Doing it again changes nothing.
pub(crate) fn kept(text: &str, removed: &mut Removed) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    let mut at = 0;
    let mut typed = TYPED.find_at(text, 0);
    while at < text.len() {
        if typed.as_ref().is_some_and(|found| found.start() < at) {
            typed = TYPED.find_at(text, at);
        }
        let piece = typed.filter(|found| found.start() == at);
        let piece = piece.and_then(|found| whole(text, &found));
        let piece = piece.filter(|piece| fits(piece, &text[end..at], &out));
        let piece = piece.or_else(|| Some(&text[at..at + phrases::at_start(&text[at..])?]));
        let Some(piece) = piece else {
            at += step(&text[at..]);
            continue;
        };
        gap(&text[end..at], &mut out, removed);
        out.push_str(piece);
        at += piece.len();
        end = at;
    }
    gap(&text[end..], &mut out, removed);
    out
}

/// Bytes of the word that the text begins with, or of its first letter.
fn step(text: &str) -> usize {
    let word = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    word.max(text.chars().next().map_or(1, char::len_utf8))
}

/// What was found, up to its last known word.
fn whole<'t>(text: &'t str, found: &Match<'t>) -> Option<&'t str> {
    let piece = match found.as_str() {
        path if path.starts_with("crates/") => is_source(path).then_some(path)?,
        field if field.starts_with("event_type") || field.starts_with("type") => {
            is_type(field).then_some(field)?
        }
        path if path.starts_with(SDK) || path.starts_with("vodozemac:") => modules(path),
        other => other,
    };
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let after = text[found.start() + piece.len()..].chars().next();
    (!(word(piece.chars().next_back()) && word(after))).then_some(piece)
}

/// Whether a field's value is a known event type: a host name looks alike.
fn is_type(field: &str) -> bool {
    let value = field.split_once(['=', ':']).map_or("", |(_, value)| value);
    crate::evidence::redaction::path::is_type(value.trim_matches([' ', '"', '`']))
}

/// The known modules of a path, up to the first unknown one.
fn modules(path: &str) -> &str {
    let mut known = path.find("::").unwrap_or(path.len());
    for name in path[known..].split("::").skip(1) {
        if !phrases::is_module(name) {
            break;
        }
        known += "::".len() + name.len();
    }
    &path[..known]
}

/// Whether it is a file of the Rust SDK: its folders and its name are modules.
fn is_source(path: &str) -> bool {
    let names = path.split_once("/src/").and_then(|(_, rest)| rest.split_once(".rs"));
    names.is_some_and(|(names, _)| names.split('/').all(phrases::is_module))
}

/// Whether an ID may stay where it is. An ID of the usual form may be anywhere; any other only after a word that
/// announces one.
fn fits(piece: &str, between: &str, before: &str) -> bool {
    if !piece.starts_with(['@', '!', '$']) || USUAL.is_match(piece) {
        return true;
    }
    let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let announced = match piece.as_bytes().first() {
        Some(b'@') => ANNOUNCE_USER,
        Some(b'!') => ANNOUNCE_ROOM,
        _ => ANNOUNCE_EVENT,
    };
    between.chars().all(|c| matches!(c, ' ' | ':' | '=' | '(')) && announced.contains(&word)
}

/// Writes what is between two safe pieces: punctuation as it is, anything else as one cut.
fn gap(text: &str, out: &mut String, removed: &mut Removed) {
    let plain = |c: &char| *c == ' ' || PUNCTUATION.contains(*c);
    if text.len() <= BETWEEN && text.chars().all(|c| plain(&c) || matches!(c, '…' | '{' | '}')) {
        return braces(text, out);
    }
    if !text.contains(CUT) {
        removed.one(Secret::Text);
    }
    // A single star would be markup.
    let plain = |c: &char| plain(c) && *c != '*';
    let lead: String = text.chars().take_while(plain).take(AROUND).collect();
    let rest = &text[lead.len()..];
    let mut trail: Vec<char> = rest.chars().rev().take_while(plain).take(AROUND).collect();
    trail.reverse();
    out.push_str(&lead);
    out.push_str(CUT);
    out.extend(trail);
}

/// A brace stays if it opens a span, which follows a name, or contains only a cut: any other would be read as JSON.
fn braces(text: &str, out: &mut String) {
    for (at, letter) in text.char_indices() {
        let span = out.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if letter != '{' || span || text[at..].starts_with("{…}") {
            out.push(letter);
        }
    }
}

/// The Rust SDK's modules begin so. A test looks for the crate's name, which code outside the bot may not use.
const SDK: &str = concat!("matrix", "_sdk");
const PUNCTUATION: &str = "|:,;.()[]<>=-*/!";
/// Words that an ID follows.
const ANNOUNCE_USER: &[&str] =
    &["participant", "user", "sender", "for", "from", "transport", "device"];
const ANNOUNCE_ROOM: &[&str] = &["room", "in", "for"];
const ANNOUNCE_EVENT: &[&str] = &["event", "decrypt"];

/// A name with a value of its type, quoted or not.
fn field(names: &str, value: &str) -> String {
    format!("(?:{names})(?:=|: ?)(?:\"{value}\"|`{value}`|{value})")
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

const HOST: &str = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{2,5})?";
const MOMENT: &str = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})";
const PATH: &str = r"(?:https://…)?/_matrix/[A-Za-z0-9_.~!$@:%…/?&=+-]*|https://…";
const ID: &str = r"[A-Za-z0-9._=+/-]+";

/// An ID of the usual form: a user of a host with a dot, a room and an event as servers make them.
static USUAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:@[a-z0-9._=/+-]+:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]{2,5})?(?:[:/][A-Z0-9]{8,12})?",
        r"|![A-Za-z]{18}:[A-Za-z0-9.:-]+|[!$][A-Za-z0-9_-]{43}|\$[0-9]{10,24}[A-Za-z]{5}:[A-Za-z0-9.:-]+)$"
    ))
});

/// What may stay by its type, in the order in which it is tried at each place.
static TYPED: LazyLock<Regex> = LazyLock::new(|| {
    let user = format!("@{ID}:{HOST}(?:[:/][A-Z0-9]{{8,12}})?");
    let room = format!("!(?:{ID}:{HOST}|[A-Za-z0-9_-]{{43}})");
    let event = format!(r"\$(?:{ID}:{HOST}|[A-Za-z0-9_+/-]{{20,64}})");
    let types = r"(?:m|io\.element|org\.matrix|im\.vector)\.[a-z0-9._]+";
    let all = [
        field("user_id|userId|own_user_id|other_user_id|other_user|user|sender|participant|recipient", &user),
        field("device_id|deviceId", "[A-Za-z0-9_.~+=/-]{1,64}"),
        field("device|recipient_device|sender_device|claimed_device_id", "[A-Z0-9]{8,12}"),
        field("room_id|roomId|room", &room),
        field("event_id|eventId|event|id", &event),
        field("sender_key|curve25519_key|curve25519|ed25519|ed25519_key|identity_key", "(?:curve|ed)25519:[A-Za-z0-9+/]{43}"),
        field(
            r"org\.matrix\.msgid|msgid|message_id|txn_id",
            "(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Z]{26}|[0-9a-f]{32}|m[0-9]{1,16}\\.[0-9]{1,6})",
        ),
        field("event_type|type", types),
        field("algorithm", "m\\.(?:megolm\\.v1\\.aes-sha2|olm\\.v[12]\\.curve25519-aes-sha2(?:-v2)?)"),
        field("status", "[1-5][0-9]{2}"),
        field("column|count|index|line|num_devices|num_users|num_keys|attempt|attempts|retries", "[0-9]{1,6}"),
        field("duration|request_duration|elapsed", r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|µs|us|ms|s)"),
        field("request_size|response_size", r"[0-9]{1,7}(?:\.[0-9]{1,3})? ?(?:B|KB|kB|KiB|kiB|MB|MiB)?"),
        field("request_id", "REQ-[0-9]{1,7}"),
        field("method", "(?:GET|PUT|POST|DELETE|OPTIONS|HEAD|PATCH)"),
        field("uri|url|path", &format!("(?:{PATH})")),
        field("state|sync_state", "(?:PREPARED|SYNCING|ERROR|RECONNECTING|CATCHUP|STOPPED)"),
        field("ts", MOMENT),
        format!("(?:GET|PUT|POST|DELETE|OPTIONS|HEAD|PATCH) (?:{PATH})"),
        PATH.to_owned(),
        r"\[[0-9]{1,7}ms(?: [1-5][0-9]{2})?\]?".to_owned(),
        r"\[[1-5][0-9]{2}\]".to_owned(),
        "\"?(?:curve|ed)25519:[A-Za-z0-9+/]{43}\"?".to_owned(),
        "signed_curve25519:[A-Za-z0-9+/_-]{6,16}".to_owned(),
        r"(?:matrix[_]sdk(?:_crypto|_base|_common|_ui|_ffi|_sqlite|_indexeddb)?|vodozemac)(?:::[A-Za-z0-9_]+)*".to_owned(),
        r"(?:matrix-js-sdk|matrix-sdk-crypto-wasm|matrix-rust-sdk|matrix-sdk-crypto|[Vv]odozemac|Rust SDK|[Rr]ust[ -]?[Cc]rypto)(?:[@ v:/(=]{1,3}[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(?:-rc\.[0-9]{1,3})?)?".to_owned(),
        r"crates/matrix-sdk(?:-[a-z]{2,10})*/src/(?:[a-z0-9_]+/)*[a-z0-9_]+\.rs(?::[0-9]{1,6}){0,2}".to_owned(),
        r"(?:client|rageshake|logger|app|bundle|main|index|init|vendors?|console|fetch|sync|embedded)\.(?:js|mjs|ts|tsx)(?::[0-9]{1,7}){1,2}".to_owned(),
        MOMENT.to_owned(),
        user,
        room,
        event,
    ];
    let all: Vec<_> = all.iter().map(|one| format!("(?:{one})")).collect();
    pattern(&all.join("|"))
});
