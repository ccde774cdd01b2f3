//! One line of a client's log → the same line without what must not be kept. Every cut is marked by the
//! same `…`, so a line that was cut once is left as it is; what the line is a sign of is still told by it.
//!
//! Quoted text, JSON and values whose name is not known are cut whatever they hold: a message body looks
//! like nothing in particular. Ids of users, rooms and events and whole public keys stay.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::removed::{Removed, Secret};
use super::{address, path};
use crate::evidence::client::Sign;
use crate::evidence::client_line::{self, Refused};

/// What stands where something was cut.
pub(super) const CUT: &str = "…";
/// Longest line that is kept, in bytes.
const LINE: usize = 2048;
/// A cut may bring what was apart together; a line is still after this many rounds, or is dropped.
const ROUNDS: usize = 4;

/// Takes the secrets out of text and counts them.
pub(super) struct Scrubber {
    pub removed: Removed,
    /// IP addresses are kept.
    pub addresses: bool,
}

impl Scrubber {
    pub(super) fn new(addresses: bool) -> Self {
        Self { removed: Removed::default(), addresses }
    }

    /// The line as it may be kept.
    pub(super) fn line(&mut self, line: &str) -> String {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let unescaped = line.replace("\\\"", "\"");
        let found = client_line::refused(&line).map(|found| (line.as_str(), found));
        let found = found.or_else(|| Some((unescaped.as_str(), client_line::refused(&unescaped)?)));
        let kept = match found {
            Some((line, refused)) => {
                let before = self.text(&line[..refused.from]);
                let after = self.text(&line[refused.to..]);
                format!("{before}{}{after}", self.refusal(&refused))
            }
            None => self.text(&line),
        };
        let Some(sign) = client_line::sign(&line) else { return kept };
        // Cuts may take the very words by which the line is known.
        if client_line::sign(&kept) == Some(sign) { kept } else { words_of(sign).to_owned() }
    }

    /// A refusal said anew: of both values only the key, its signatures and whether it is a fallback.
    fn refusal(&mut self, refused: &Refused) -> String {
        let id = self.key_id(&refused.key.0);
        let (old, new) = (self.key(&refused.old), self.key(&refused.new));
        format!("One time key {id} already exists. Old key: {old}; new key: {new}")
    }

    /// `ALGORITHM:ID` where it has the shape of one.
    pub(super) fn key_id(&mut self, id: &str) -> String {
        if KEY_ID.is_match(id) {
            return id.to_owned();
        }
        self.removed.one(Secret::Unknown);
        format!("{CUT}:{CUT}")
    }

    /// A one-time key's value as it may be kept: public keys are public, what is none is a digest.
    pub(super) fn key(&mut self, value: &Value) -> Value {
        let text = |key: &Value| match key.as_str() {
            Some(key) if PUBLIC.is_match(key) || path::is_digest(key) => json!(key),
            Some(key) => json!(path::digest(key)),
            None => json!(CUT),
        };
        let Some(fields) = value.as_object() else { return text(value) };
        let mut kept = Map::new();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("key", key) => kept.insert(name.clone(), text(key)),
                ("fallback", Value::Bool(_)) => kept.insert(name.clone(), value.clone()),
                ("signatures", Value::Object(users)) => {
                    kept.insert(name.clone(), Value::Object(self.signatures(users)))
                }
                _ => {
                    self.removed.one(Secret::Field);
                    None
                }
            };
        }
        Value::Object(kept)
    }

    fn signatures(&mut self, users: &Map<String, Value>) -> Map<String, Value> {
        let mut kept = Map::new();
        for (user, keys) in users.iter().take(8) {
            let Some(user) = self.user(user) else { continue };
            let of_key = |(id, signature): (&String, &Value)| {
                let device = id.strip_prefix("ed25519:")?;
                let device = self.device(device)?;
                let signature = signature.as_str().filter(|text| SIGNATURE.is_match(text))?;
                Some((format!("ed25519:{device}"), json!(signature)))
            };
            let keys = keys.as_object().into_iter().flatten().take(8);
            kept.insert(user, Value::Object(keys.filter_map(of_key).collect()));
        }
        kept
    }

    /// A user id, where it is one and nothing else.
    pub(super) fn user(&mut self, text: &str) -> Option<String> {
        let is_user = text.len() <= 255 && ruma::UserId::parse(text).is_ok();
        self.unchanged(text).filter(|_| is_user)
    }

    /// A device id: anything, but no token and nothing that the scrubber knows.
    pub(super) fn device(&mut self, text: &str) -> Option<String> {
        let fits = !text.is_empty() && text.chars().count() <= 255;
        self.unchanged(text).filter(|_| fits)
    }

    /// The text where nothing in it had to be cut.
    pub(super) fn unchanged(&mut self, text: &str) -> Option<String> {
        if text.len() > 512 {
            self.removed.one(Secret::Unknown);
            return None;
        }
        (self.text(text) == text).then(|| text.to_owned())
    }

    /// Any text; cut until nothing more is found in it.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut kept = shortened(text).into_owned();
        for _ in 0..ROUNDS {
            let again = self.once(&kept);
            if again == kept {
                return kept;
            }
            kept = again;
        }
        self.removed.one(Secret::Unknown);
        CUT.to_owned()
    }

    fn once(&mut self, text: &str) -> String {
        let text = self.objects(text);
        let text = self.named(&text);
        let text = self.quoted(&text);
        let text = self.urls(&text);
        let text = self.pairs(&text);
        let mut text = text.into_owned();
        for (pattern, secret) in TOKENS.iter() {
            let cut = pattern.replace_all(&text, |found: &Captures<'_>| {
                self.removed.one(*secret);
                found.name("name").map_or("", |name| name.as_str()).to_owned() + CUT
            });
            if let Cow::Owned(cut) = cut {
                text = cut;
            }
        }
        if !self.addresses {
            text = address::cut(&text, &mut self.removed);
        }
        self.runs(&text)
    }

    /// JSON: from a brace to the one that ends it, or to the end. The spans of a Rust log follow a name.
    fn objects(&mut self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, inside) = (&rest[..at], &rest[at + 1..]);
            kept.push_str(before);
            let span = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if span && !inside.starts_with(['"', '\\', '\'', '{', ' ']) {
                kept.push('{');
                rest = inside;
                continue;
            }
            let end = closing(inside);
            if &inside[..end] != CUT {
                self.removed.one(kind_of(&inside[..end]));
            }
            kept.push_str("{…}");
            rest = inside.get(end + 1..).unwrap_or_default();
        }
        kept + rest
    }

    /// Names of secrets take the rest of the line with them: a password may hold any character.
    fn named(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for names in [&NAMED, &SPOKEN] {
            let cut = names.replace_all(&text, |found: &Captures<'_>| {
                if &found["rest"] != CUT {
                    self.removed.one(kind_of(&found["name"]));
                }
                format!("{}{}{CUT}", &found["name"], &found["sign"])
            });
            text = cut.into_owned();
        }
        text
    }

    fn quoted(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (pattern, quote) in QUOTED.iter() {
            let cut = pattern.replace_all(&text, |found: &Captures<'_>| {
                let before = found.name("before").map_or("", |before| before.as_str());
                let inside = &found["inside"];
                let named =
                    before.strip_suffix('=').is_some_and(|name| KNOWN_NAMES.contains(&name));
                let fits = VALUE.is_match(inside) && named
                    || *quote == '`' && is_field(inside)
                    || CURVE.is_match(inside);
                if fits || inside == CUT {
                    return format!("{before}{quote}{inside}{quote}");
                }
                self.removed.one(Secret::Value);
                format!("{before}{quote}{CUT}{quote}")
            });
            text = cut.into_owned();
        }
        text
    }

    fn urls<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        URL.replace_all(text, |found: &Captures<'_>| {
            let Some(at) = found[0].find("/_matrix/") else {
                if &found[0] != "https://…" {
                    self.removed.one(Secret::Value);
                }
                return "https://…".to_owned();
            };
            let host = if at > 0 { "https://…" } else { "" };
            format!("{host}{}", path::cleaned(&found[0][at..], &mut self.removed))
        })
    }

    fn pairs<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        PAIR.replace_all(text, |found: &Captures<'_>| {
            let value = &found["value"];
            let small = value.len() <= 12 && value.bytes().all(|byte| byte.is_ascii_digit());
            if small || KNOWN_NAMES.contains(&&found["name"]) || matches!(value, "true" | "false") {
                return found[0].to_owned();
            }
            self.removed.one(Secret::Value);
            format!("{}={CUT}", &found["name"])
        })
    }

    /// Long runs of letters and digits that are no id and no public key.
    fn runs(&mut self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for run in RUN.find_iter(text) {
            let before = &text[..run.start()];
            if !is_random(run.as_str()) || is_id(before, run.as_str()) {
                continue;
            }
            kept.push_str(&text[from..run.start()]);
            kept.push_str(CUT);
            self.removed.one(Secret::Unknown);
            from = run.end();
        }
        kept + &text[from..]
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE {
        return text.into();
    }
    let mut end = LINE - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // A word that was cut in two is not told apart any more.
    let end = text[..end].rfind(' ').unwrap_or(0);
    format!("{} {CUT}", text[..end].trim_end()).into()
}

/// Where the brace that was opened before the text is closed; its end, where it is not.
fn closing(inside: &str) -> usize {
    let mut depth = 1usize;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    inside.len()
}

/// What is named by a word, or by the words in an object.
pub(super) fn kind_of(text: &str) -> Secret {
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

/// Words by which [`client_line::sign`] knows the sign again.
fn words_of(sign: Sign) -> &'static str {
    match sign {
        Sign::AlreadyExists => "One time key … already exists.",
        Sign::NoCiphertextForUs => "Olm event doesn't contain a ciphertext for our key",
        Sign::MissingOneTimeKey => "MissingOneTimeKey",
        Sign::Wedged => "Failed to decrypt a non-pre-key message with all available sessions",
        Sign::MissingMediaKey => "MissingKey",
        Sign::MediaKeyDecrypted => {
            "Received an unexpected encrypted to-device event \
             event_type=\"io.element.call.encryption_keys\""
        }
        Sign::SenderKeysRefused => "sender_device_keys incorrect …",
        Sign::NoTargets => "No targets found for sending key",
        Sign::DecryptionError => "DecryptionError",
        Sign::DelayTimedOut => "delayed event timed out",
    }
}

/// Names behind which a value may stand.
const KNOWN_NAMES: &[&str] = &[
    "algorithm",
    "code",
    "column",
    "count",
    "device",
    "device_id",
    "duration",
    "errcode",
    "event",
    "event_id",
    "event_type",
    "id",
    "index",
    "level",
    "line",
    "message_id",
    "method",
    "msgid",
    "num_devices",
    "num_users",
    "path",
    "reason",
    "request_duration",
    "request_id",
    "request_size",
    "response_size",
    "room",
    "room_id",
    "sender",
    "sender_key",
    "state",
    "status",
    "sync_state",
    "ts",
    "txn_id",
    "type",
    "uri",
    "user",
    "user_id",
    "version",
];

/// Fields of an encrypted event, as parsers name them between backquotes, and their numbers.
fn is_field(text: &str) -> bool {
    const FIELDS: &[&str] = &[
        "algorithm",
        "ciphertext",
        "session_id",
        "sender_key",
        "device_id",
        "room_id",
        "sender",
        "type",
        "content",
        "org.matrix.msgid",
        "null",
        "true",
        "false",
        "keys",
        "recipient",
        "signatures",
    ];
    FIELDS.contains(&text) || text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether what stands before a run makes it an id or a public key.
fn is_id(before: &str, run: &str) -> bool {
    let last = before.chars().next_back();
    let bare = run.trim_end_matches('=');
    match last {
        Some('$' | '!') => run.len() <= 64,
        Some('@') => run.len() <= 40,
        Some(':') => {
            let named = ["curve25519:", "ed25519:"].iter().any(|name| before.ends_with(name));
            named && bare.len() == 43
        }
        _ => {
            let before = before.trim_end_matches(['"', '=', ' ', ':']);
            let is_message = before.ends_with("msgid") || before.ends_with("message_id");
            is_message && run.len() <= 40
        }
    }
}

/// Whether a run looks like a token, and not like words, a path or a version.
fn is_random(run: &str) -> bool {
    let random = |part: &str| {
        let part = part.trim_matches(['=', '-']);
        let has = |kind: fn(&char) -> bool| part.chars().any(|c| kind(&c));
        let (digit, upper) = (has(char::is_ascii_digit), has(char::is_ascii_uppercase));
        let lower = has(char::is_ascii_lowercase);
        let known = ["signed_curve25519", "curve25519-aes-sha2", "hmac-sha256", "sas-emoji"];
        let mixed = digit && (upper || lower) && part.len() >= 14;
        let long = part.len() >= 40 || part.len() >= 28 && upper && lower && !part.contains('_');
        (mixed && !is_moment(part) || long) && !known.contains(&part)
    };
    let whole = run.len() >= 28
        && run.bytes().any(|byte| byte.is_ascii_uppercase())
        && run.bytes().any(|byte| byte.is_ascii_digit());
    whole && !run.split('/').all(is_moment) || run.split('/').any(random)
}

/// The date and hour of a time in RFC 3339: the class of a run ends at its colons.
fn is_moment(part: &str) -> bool {
    let shape: String = part.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    matches!(shape.as_str(), "0000-00-00T00" | "0000-00-00" | "000Z" | "00Z")
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static KEY_ID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:signed_)?curve25519:[A-Za-z0-9+/_-]{1,16}$"));
static PUBLIC: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9+/]{43}=?$"));
static SIGNATURE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9+/]{86}(?:==)?$"));
static CURVE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:curve|ed)25519:[A-Za-z0-9+/]{43}$"));
static VALUE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9.:@$!+/~%#_…-]{1,300}$"));
static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/_-]{14,}=*"));
/// Text between quotes; an opened quote that is not closed reaches to the end.
static QUOTED: LazyLock<[(Regex, char); 3]> = LazyLock::new(|| {
    [
        (pattern(r#"(?P<before>[A-Za-z_][\w.]*=)?\\*"(?P<inside>(?:[^"\\]|\\.)*)(?:"|\\?$)"#), '"'),
        (pattern(r"(?P<before>[A-Za-z_][\w.]*=)?`(?P<inside>[^`]*)(?:`|$)"), '`'),
        (pattern(r"(?P<before>^|[A-Za-z_][\w.]*=|[\s:=(\[,{])'(?P<inside>[^']*)(?:'|$)"), '\''),
    ]
});
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?P<name>(?:[\w.-]*(?:token|cookie|passw(?:or)?d|passphrase|passwort|pwd|secret|authorization",
        r"|recovery[_ -]?key|security[_ -]?key|session_?data|session_?key|room_?key|private_?key|sender_claimed",
        r"|m\.megolm_backup|delay_?id|formatted_?body|api_?key|credential|macaroon)[\w.-]*",
        r"|\b(?:body|plaintext|ciphertext|content|mac|iv|k|key|keys|pin|otp|code|phone|e-?mail|msisdn|jwt|auth)))",
        r#"(?P<sign>["'\\`\])]*\s*(?:=>|[:=]|%3[AaDd])\s*|\s+(?:is|was)\s+)(?P<rest>\S.*)$"#
    ))
});
/// As above, where nothing stands between the name and the value.
static SPOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?P<name>\b(?:passw(?:or)?d|passphrase|pwd|recovery key|security key))(?P<sign>\s+)(?P<rest>\S.*)$",
    )
});
/// Tokens by their own shape; the group `name` is what stays before them.
static TOKENS: LazyLock<Vec<(Regex, Secret)>> = LazyLock::new(|| {
    [
        (r"(?P<name>^|[^A-Za-z0-9])(?:syt|mat|mct|mpt|syl)_[\w.~+/=-]+", Secret::AccessToken),
        (r"(?P<name>^|[^A-Za-z0-9])(?:syr|mcr|mar)_[\w.~+/=-]+", Secret::RefreshToken),
        (r"(?P<name>^|[^A-Za-z0-9])syd_[\w-]+", Secret::DelayId),
        (r"eyJ[\w-]{4,}(?:\.[\w.=-]*)?", Secret::Jwt),
        (r"(?i)(?P<name>\b(?:bearer|basic)\s+)[^\s…]+", Secret::AccessToken),
        (r"\bE[A-Za-z0-9]{3}(?:[ _-]+[A-HJ-NP-Za-km-z1-9]{2,4}\b){5,}", Secret::RecoveryKey),
        (r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b", Secret::Contact),
        (r"(?:\+|\b00)\d[\d ()/.-]{6,}\d", Secret::Contact),
    ]
    .into_iter()
    .map(|(text, secret)| (pattern(text), secret))
    .collect()
});
static PAIR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?P<name>[A-Za-z_][\w.]*)=(?P<value>[^\s",)}\]…`']+)"#));
static URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>)\]|,;]*|/_matrix/[^\s"'<>)\]|,;]*"#)
});
