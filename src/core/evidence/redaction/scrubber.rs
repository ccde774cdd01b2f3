//! Any text → the same text without what must not be kept. Every cut is marked by the same `…`, so a text that was
//! cut once is left as it is.
//!
//! Quoted text, JSON and values whose name is not known are cut whatever they hold: a message body looks
//! like nothing in particular. That finds and counts what is secret. Of the rest only what is known to be safe
//! stays. Ids of users, rooms and events and whole public keys stay.

use std::borrow::Cow;

use regex::Captures;

use crate::evidence::redaction::address;
use crate::evidence::redaction::cut::{CUT, kind_of};
use crate::evidence::redaction::path;
use crate::evidence::redaction::patterns::{
    CURVE, KNOWN_NAMES, NAMED, OPAQUE, PAIR, QUOTED, RUN, SPOKEN, TOKENS, URL, VALUE,
};
use crate::evidence::redaction::{Removed, Secret};

/// Longest line that is kept, in bytes.
const LINE: usize = 2048;
/// A cut may bring what was apart together; a line is still after this many rounds, or is dropped.
pub(crate) const ROUNDS: usize = 4;

/// Takes the secrets out of text and counts them.
pub(crate) struct Scrubber {
    pub removed: Removed,
    /// IP addresses are kept.
    pub addresses: bool,
}

impl Scrubber {
    pub(crate) fn new(addresses: bool) -> Self {
        Self { removed: Removed::default(), addresses }
    }

    /// The text where nothing in it had to be cut.
    pub(crate) fn unchanged(&mut self, text: &str) -> Option<String> {
        if text.len() > 512 {
            self.removed.one(Secret::Unknown);
            return None;
        }
        (self.text(text) == text).then(|| text.to_owned())
    }

    /// Any text; cut until nothing more is found in it.
    pub(crate) fn text(&mut self, text: &str) -> String {
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
            let before = &rest[..at];
            let inside = &rest[at + 1..];
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
            format!("{host}{}", cleaned_path(&found[0][at..], &mut self.removed))
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

/// A path with its query, as it may be kept.
pub fn cleaned_path(text: &str, removed: &mut Removed) -> String {
    path::cleaned(text, removed, |segment| Scrubber::new(false).unchanged(segment).is_some())
}

fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE {
        return text.into();
    }
    let mut end = LINE - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // A word that was cut in two is not distinguished any more.
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

/// Whether what is before a run makes it an id or a public key.
fn is_id(before: &str, run: &str) -> bool {
    let last = before.chars().next_back();
    let bare = run.trim_end_matches('=');
    match last {
        Some('$' | '!') => run.len() <= 64,
        Some('@') => run.len() <= 40,
        Some(':') => {
            let named = ["curve25519:", "ed25519:"].iter().any(|name| before.ends_with(name));
            named && (bare.len() == 43 || OPAQUE.is_match(bare)) || is_device(before, bare)
        }
        _ => {
            let before = before.trim_end_matches(['"', '=', ' ', ':']);
            let is_message = before.ends_with("msgid") || before.ends_with("message_id");
            is_message && run.len() <= 40 || is_device(before, bare)
        }
    }
}

/// Whether a run is where a device is named, and has a device id's shape.
fn is_device(before: &str, run: &str) -> bool {
    let before = before.trim_end_matches(['"', '=', ' ', ':', '(']);
    let named = ["device_id", "deviceId", "DeviceId", "device"];
    named.iter().any(|name| before.ends_with(name)) && OPAQUE.is_match(run)
}

/// Whether a run looks like a token, and not like words, a path or a version.
fn is_random(run: &str) -> bool {
    let random = |part: &str| {
        let part = part.trim_matches(['=', '-']);
        let has = |kind: fn(&char) -> bool| part.chars().any(|c| kind(&c));
        let digit = has(char::is_ascii_digit);
        let upper = has(char::is_ascii_uppercase);
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
