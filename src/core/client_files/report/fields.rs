//! A field of a report with one value → what of it may be stored. Only fields with a known name are stored, each with
//! a value of its own type: an unknown word may be somebody's name.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::client_files::report::facts::{
    APP, CRYPTO_VERSION, DEVICE, DEVICE_KEYS, SDK, SYNC, TIME, UNDECRYPTED, USER, letters, moment,
};
use crate::evidence::redaction::cut::CUT;
use crate::evidence::redaction::patterns::PUBLIC;
use crate::evidence::redaction::scrubber::Scrubber;

/// Objects whose fields are read.
pub(crate) const OBJECTS: &[&str] = &[
    "data",
    "client",
    "counts",
    "session",
    "context",
    "info",
    "storage",
    "environment",
    "summary",
];

/// What may be stored of a value; nothing of an unknown field, or of a value of another type.
pub(crate) fn kept(scrubber: &mut Scrubber, name: &str, value: &Value) -> Option<Value> {
    let name = letters(name);
    let is = |names: &[&str]| names.contains(&name.as_str());
    let fits = |pattern: &Regex| {
        let text = value.as_str().filter(|text| pattern.is_match(text))?;
        Some(Value::String(text.to_owned()))
    };
    if is(USER) {
        scrubber.user(value.as_str()?).map(Value::String)
    } else if name == "device" {
        // A bug report uses this name for the model.
        fits(&DEVICE_ID)
    } else if is(DEVICE) {
        scrubber.device(value.as_str()?).map(Value::String)
    } else if is(UNDECRYPTED) {
        undecrypted(scrubber, value.as_str()?)
    } else if is(DEVICE_KEYS) {
        fits(&KEYS)
    } else if is(CRYPTO_VERSION) {
        fits(&CRYPTO)
    } else if is(APP) {
        // If there is an app, the version is the app's.
        fits(&APPS).or_else(|| value.is_string().then(|| json!(CUT)))
    } else if name == "crosssigningkey" {
        fits(&PUBLIC)
    } else if is(FLAGS) {
        value.is_boolean().then(|| value.clone()).or_else(|| fits(&FLAG))
    } else if is(SYNC) {
        fits(&STATE)
    } else if is(SDK) || is(VERSIONS) {
        fits(&VERSION)
    } else if is(SYSTEMS) {
        fits(&SYSTEM)
    } else if is(TIME) || is(TIMES) {
        time(value)
    } else if is(COUNTS) || name.starts_with("storagemanager") {
        number(value)
    } else {
        None
    }
}

/// The event that could not be decrypted, as a client reports it by itself: its IDs.
fn undecrypted(scrubber: &mut Scrubber, text: &str) -> Option<Value> {
    let read: Map<String, Value> = serde_json::from_str(text).ok()?;
    let of = |name: &str| read.get(name).and_then(Value::as_str);
    let id = |name: &str| of(name).filter(|id| ID.is_match(id)).map(str::to_owned);
    let key = |name: &str| of(name).filter(|key| PUBLIC.is_match(key)).map(str::to_owned);
    let ids = [
        ("event_id", id("event_id")),
        ("room_id", id("room_id")),
        ("session_id", key("session_id")),
        ("sender_key", key("sender_key")),
        ("device_id", of("device_id").and_then(|device| scrubber.device(device))),
        ("user_id", of("user_id").and_then(|user| scrubber.user(user))),
    ];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), json!(id?))));
    Some(Value::String(Value::Object(ids.collect()).to_string()))
}

fn time(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(|at| json!(at.to_string())),
        Value::Number(_) => moment(value).map(|_| value.clone()),
        _ => None,
    }
}

/// A count, in digits or as a number.
fn number(value: &Value) -> Option<Value> {
    let small = |number: f64| (0.0..1e15).contains(&number);
    match value {
        Value::Number(number) => {
            number.as_f64().filter(|number| small(*number)).map(|_| value.clone())
        }
        Value::String(text) => {
            let digits = text.len() <= 15 && !text.is_empty();
            (digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| value.clone())
        }
        Value::Bool(_) => Some(value.clone()),
        _ => None,
    }
}

/// Yes or no. Clients name what is stored in them, and not the thing itself.
const FLAGS: &[&str] = &[
    "cryptoready",
    "hascrypto",
    "crypto",
    "evictable",
    "verified",
    "isverified",
    "crosssigningready",
    "crosssigningsupportedbyhs",
    "crosssigningprivkeyinsecretstorage",
    "crosssigningpkinsecretstorage",
    "crosssigningmasterprivkeycached",
    "crosssigningselfsigningprivkeycached",
    "crosssigningusersigningprivkeycached",
    "crosssigningverified",
    "secretstorageready",
    "secretstoragekeyinaccount",
    "sessionbackupkeyinsecretstorage",
    "sessionbackupkeycached",
    "sessionbackupkeywellformed",
    "installedpwa",
    "touchinput",
    "lowbandwidth",
    "cancontact",
    "multiwindow",
    "lazyloading",
    "verboselog",
    "persisted",
    "storagemanagerpersisted",
    "backupenabled",
    "online",
];
const VERSIONS: &[&str] =
    &["version", "appversion", "olmversion", "olmkitversion", "cryptomoduleversion", "build"];
const SYSTEMS: &[&str] = &["browser", "os", "platform", "system", "store", "backend"];
const TIMES: &[&str] =
    &["utctime", "exportedat", "createdat", "generatedat", "savedat", "startedat", "from", "to"];
const COUNTS: &[&str] = &[
    "ke1",
    "ke2",
    "ke3",
    "ke4",
    "count",
    "total",
    "dropped",
    "capacity",
    "limit",
    "quota",
    "usage",
    "entriescount",
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "^(?:true|false|yes|no|on|off|enabled|disabled|UNKNOWN|undefined|null|verified|not-verified|unverified)$",
    )
});
static STATE: LazyLock<Regex> =
    LazyLock::new(|| pattern("^(?:PREPARED|SYNCING|ERROR|RECONNECTING|CATCHUP|STOPPED|null)$"));
static DEVICE_ID: LazyLock<Regex> = LazyLock::new(|| pattern("^[A-Z0-9]{8,12}$"));
/// `41.7.0`, `matrix-js-sdk 41.7.0-rc.1`, `1.11.90 (nightly)`, or a commit.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:matrix-js-sdk|matrix-rust-sdk|matrix-sdk|matrix-sdk-crypto-wasm|matrix-sdk-crypto|js-sdk|rust-sdk)[@ /v]{1,2})?",
        r"(?:v?[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}(?:[-+ .(]{1,2}(?:rc|beta|alpha|nightly|debug|release|dev|[0-9a-f]{7,40}|[0-9]{1,12})[.)]?[0-9]{0,4}){0,3}\)?",
        r"|[0-9a-f]{7,40}(?:-(?:react|js)-[0-9a-f]{7,40}){0,2})$"
    ))
});
static CRYPTO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:Rust SDK|matrix-sdk-crypto|Rust crypto|Olm|Vodozemac)[ /v:]{1,2}[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}",
        r"(?: \([0-9a-f]{7,40}\))?(?:[,;] ?[Vv]odozemac[ /v:]{1,2}[0-9]{1,4}(?:\.[0-9]{1,4}){1,3})?$"
    ))
});
static APPS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "^(?:element|riot|schildichat|element-x|elementx|element-pro)-(?:web|desktop|android|ios)(?:-[a-z]{1,8})?$",
        "|^(?:element-x|element-call|element-auto-uisi|cinny|fluffychat|nheko|fractal|hydrogen|lotus)$"
    ))
});
static SYSTEM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "^(?:Firefox|Chrome|Chromium|Safari|Mobile Safari|Edge|Opera|Brave|Vivaldi|Samsung Internet|Electron|Windows|macOS",
        "|Mac OS X|Linux|Android|iOS|iPadOS|ChromeOS|Ubuntu|Debian|Fedora|Web|Desktop|IndexedDB|SQLite|localStorage|memory",
        r")(?:[ /]v?[0-9]{1,4}(?:\.[0-9]{1,4}){0,3})?$"
    ))
});
/// `curve25519:KEY, ed25519:KEY`, in any order.
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "^(?:(?:curve|ed)25519:[A-Za-z0-9+/]{43}=?)(?:, ?(?:curve|ed)25519:[A-Za-z0-9+/]{43}=?)?$",
    )
});
/// A room's or an event's ID.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    pattern("^[!$][A-Za-z0-9_+/-]{8,64}(?::[A-Za-z0-9.-]{1,128}(?::[0-9]{2,5})?)?$")
});
