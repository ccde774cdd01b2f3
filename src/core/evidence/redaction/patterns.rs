//! What a line of a client's log is made of, as patterns: tokens, quotes, names, ids and keys. All of them
//! are fixed text, and none goes back over what it has read.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::redaction::Secret;

/// Names behind which a value may be.
pub(crate) const KNOWN_NAMES: &[&str] = &[
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

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

pub(crate) static KEY_ID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:signed_)?curve25519:[A-Za-z0-9+/_-]{1,16}$"));
pub(crate) static DEVICE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[A-Za-z0-9_.~+=/:@-]{1,64}(?: [A-Za-z0-9_.~+-]{1,32})?$"));
pub(crate) static PUBLIC: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9+/]{43}=?$"));
pub(crate) static SIGNATURE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[A-Za-z0-9+/]{86}(?:==)?$"));
pub(crate) static CURVE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:curve|ed)25519:[A-Za-z0-9+/]{43}$"));
pub(crate) static VALUE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[A-Za-z0-9.:@$!+/~%#_…-]{1,300}$"));
pub(crate) static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/_-]{14,}=*"));
/// Text between quotes; an opened quote that is not closed reaches to the end.
pub(crate) static QUOTED: LazyLock<[(Regex, char); 3]> = LazyLock::new(|| {
    [
        (pattern(r#"(?P<before>[A-Za-z_][\w.]*=)?\\*"(?P<inside>(?:[^"\\]|\\.)*)(?:"|\\?$)"#), '"'),
        (pattern(r"(?P<before>[A-Za-z_][\w.]*=)?`(?P<inside>[^`]*)(?:`|$)"), '`'),
        (pattern(r"(?P<before>^|[A-Za-z_][\w.]*=|[\s:=(\[,{])'(?P<inside>[^']*)(?:'|$)"), '\''),
    ]
});
pub(crate) static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?P<name>(?:[\w.-]*(?:token|cookie|passw(?:or)?d|passphrase|passwort|pwd|secret|authorization",
        r"|recovery[_ -]?key|security[_ -]?key|session_?data|session_?key|room_?key|private_?key|sender_claimed",
        r"|m\.megolm_backup|delay_?id|formatted_?body|api_?key|credential|macaroon)[\w.-]*",
        r"|\b(?:body|plaintext|ciphertext|content|mac|iv|k|key|keys|pin|otp|code|phone|e-?mail|msisdn|jwt|auth)))",
        r#"(?P<sign>["'\\`\])]*\s*(?:=>|[:=]|%3[AaDd])\s*|\s+(?:is|was)\s+)(?P<rest>\S.*)$"#
    ))
});
/// As above, where nothing stands between the name and the value, or a small word.
pub(crate) static SPOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?P<name>\b(?:passw(?:or)?[dt]|passphrase|pwd|recovery key|security key|[\w-]*[_ -]?token|cookie",
        r"|secret|delay[_ ]?id|pickle_?key|decryption_?key|(?:[\w-]+_)?body|plaintext|text|content",
        r"|auth(?:orization)?[_ -]header))",
        r"(?P<sign>\s+(?:(?:→|->|is|was|to|set to|lautet)\s+)?)(?P<rest>\S.*)$"
    ))
});
/// A device id that looks as random as a token and has the shape of none: a UUID, or shorter than any.
pub(crate) static OPAQUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[A-Za-z0-9]{14,20})$")
});
/// Tokens by their own shape; the group `name` is what stays before them.
pub(crate) static TOKENS: LazyLock<Vec<(Regex, Secret)>> = LazyLock::new(|| {
    [
        (r"(?P<name>^|[^A-Za-z0-9])(?:mat|mct|mpt|syl)_[\w.~+/=-]+", Secret::AccessToken),
        (r"(?P<name>^|[^A-Za-z0-9])(?:mcr|mar)_[\w.~+/=-]+", Secret::RefreshToken),
        (r"syd_[\w-]+", Secret::DelayId),
        (r"syt_[\w.~+/=-]+", Secret::AccessToken),
        (r"syr_[\w.~+/=-]+", Secret::RefreshToken),
        (r"eyJ[\w-]{4,}(?:\.[\w.=-]*)?", Secret::Jwt),
        (r"(?i)(?P<name>\b(?:bearer|basic)\s+)[^\s…]+", Secret::AccessToken),
        (r"\bE[A-Za-z0-9]{3}(?:[ _-]+[A-HJ-NP-Za-km-z1-9]{2,4}\b){5,}", Secret::RecoveryKey),
        (r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b", Secret::Contact),
        (r"(?:\+|\b00)\d[\d ()/.-]{6,}\d", Secret::Contact),
        // Keys as bytes.
        (r"(?:\d{1,3}\s*,\s*){7,}\d{1,3}", Secret::MediaKey),
        (r"\b(?:[0-9A-Fa-f]{2}[ :,]){7,}[0-9A-Fa-f]{2}\b", Secret::MediaKey),
        // Quoted as books are.
        ("[„“«‹‚‘][^„“”«»‹›‘’]*(?:[”“»›’‘]|$)", Secret::Value),
    ]
    .into_iter()
    .map(|(text, secret)| (pattern(text), secret))
    .collect()
});
pub(crate) static PAIR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?P<name>[A-Za-z_][\w.]*)=(?P<value>[^\s",)}\]…`']+)"#));
pub(crate) static URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s"')\]|,;]*|/_matrix/[^\s"')\]|,;]*"#)
});
