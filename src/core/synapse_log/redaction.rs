//! One record of Synapse's log → its message as it may leave the server, or nothing. Only loggers that are
//! known are kept. Tokens, queries, delay ids, keys and whatever is named like a secret are taken out; ids of
//! users, devices, rooms and events stay, because a case is about them.

use core::net::IpAddr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::evidence::redaction::address;
use crate::evidence::redaction::cut::CUT;
use crate::evidence::redaction::patterns::TOKENS;
use crate::evidence::redaction::scrubber::cleaned_path;
use crate::evidence::redaction::{Removed, Secret};
use crate::evidence::shortened;
use crate::synapse_log::record::Record;

/// Longest message that is kept, in characters: an upload of 50 keys has 2200.
const MESSAGE: usize = 8192;
/// Characters of a public key that stay: enough to tell two apart.
const KEY_HEAD: usize = 6;

/// Whose lines are kept; a name that ends with a dot stands for all below it.
const LOGGERS: &[&str] = &[
    "synapse.9533_debug",
    "synapse.access.",
    "synapse.handlers.delayed_events",
    "synapse.handlers.device",
    "synapse.handlers.devicemessage",
    "synapse.handlers.e2e_keys",
    "synapse.http.server",
    "synapse.rest.client.keys",
    "synapse.rest.client.sendtodevice",
    "synapse.storage.txn",
    "synapse.util.caches.response_cache",
];

/// The record's message without what must not leave the server; `None` of a logger that is not known.
pub fn server_message(record: &Record, addresses: bool, removed: &mut Removed) -> Option<String> {
    let logger = &*record.logger;
    let message = &*record.message;
    let of = |known: &&str| match known.strip_suffix('.') {
        Some(_) => logger.starts_with(known),
        None => logger == *known,
    };
    let starts = message == "***** STARTING SERVER *****";
    let login = logger == "synapse.handlers.auth" && message.starts_with("Logging in user @");
    if !starts && !login && !LOGGERS.iter().any(of) {
        removed.one(Secret::Line);
        return None;
    }
    Some(message_of(message, addresses, removed))
}

fn message_of(message: &str, addresses: bool, removed: &mut Removed) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut text: String = message.chars().map(plain).take(MESSAGE).collect();
    text = replaced(&PATH, &text, |found| cleaned_path(&found[0], removed));
    for (pattern, secret) in TOKENS.iter() {
        text = replaced(pattern, &text, |found| {
            removed.one(*secret);
            found.name("name").map_or("", |name| name.as_str()).to_owned() + CUT
        });
    }
    text = replaced(&NAMED, &text, |found| {
        removed.one(crate::evidence::redaction::cut::kind_of(&found["name"]));
        format!("{}{}{CUT}", &found["name"], &found["sign"])
    });
    text = replaced(&LONG, &text, |found| {
        let before = &found["before"];
        let run = &found["run"];
        // A path was cleaned before.
        if matches!(before, "$" | "!" | "~") || run.starts_with("/_matrix/") {
            return found[0].to_owned();
        }
        removed.one(Secret::Unknown);
        let head: String = run.chars().take(KEY_HEAD).collect();
        format!("{before}{head}{CUT}")
    });
    if addresses {
        return text;
    }
    text = replaced(&WORD, &text, |found| {
        let word = &found[0];
        let bare = word.trim_end_matches(['.', ':']);
        if bare.parse::<IpAddr>().is_err() {
            return word.to_owned();
        }
        removed.one(Secret::Address);
        shortened(bare) + &word[bare.len()..]
    });
    address::cut(&text, removed)
}

fn replaced(pattern: &Regex, text: &str, cut: impl FnMut(&Captures<'_>) -> String) -> String {
    pattern.replace_all(text, cut).into_owned()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static PATH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"/_(?:matrix|synapse)/[^\s"'<>]*|[?&][A-Za-z_.]+=[^\s"'<>]*"#));
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?P<name>[\w.-]*(?:token|password|passphrase|authorization|cookie|secret|macaroon|delay_?id",
        r"|session_key|room_key|ciphertext|formatted_body|plaintext|pickle)\w*|\b(?:body|content|auth))",
        r#"(?P<sign>["'\\]*\s*[:=]\s*)(?P<rest>[^\s…].*)$"#
    ))
});
static LONG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?P<before>^|[^A-Za-z0-9+/_-])(?P<run>[A-Za-z0-9+/_-]{30,}=*)"));
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\w:.]+"));

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(line: &str) -> Option<String> {
        let record = Record::parse(line).expect("a record");
        server_message(&record, false, &mut Removed::default())
    }

    fn of(logger: &str, message: &str) -> String {
        format!("2026-11-22 11:30:50,572 - {logger} - 1 - INFO - POST-1 - {message}")
    }

    #[test]
    fn what_a_case_needs_stays() {
        let conflict = "<XForwardedForRequest at 0x7f50 method='POST' uri='/_matrix/client/v3/keys/upload' \
                        clientproto='HTTP/1.1' site='8118'> SynapseError: 400 - One time key \
                        signed_curve25519:AAAAAAAAAA0 already exists. Old key: {'key': \
                        'oldoldoldoldoldoldoldoldoldoldoldoldoldoldo'}; new key: {'key': 'newnew'}";
        let told = kept(&of("synapse.http.server", conflict)).unwrap();
        assert!(
            told.contains("One time key signed_curve25519:AAAAAAAAAA0 already exists."),
            "{told}"
        );
        assert!(told.contains("'oldold…'") && !told.contains("oldoldold"), "{told}");
        let access = "203.0.113.7 - 8118 - {@a:lab.local} Processed request: 0.147sec/0.001sec \
                      ru=(0.013sec, 0.006sec) db=(0.022sec/0.060sec/12) 48B 200 \"POST \
                      /_matrix/client/v3/keys/upload HTTP/1.1\" \"node\" [0 dbevts]";
        let told = kept(&of("synapse.access.http.8118", access)).unwrap();
        assert_eq!(told, access.replace("203.0.113.7", "203.0.113.x"));
    }

    #[test]
    fn planted_secrets_are_taken_out_wherever_they_stand() {
        for (logger, message) in [
            (
                "synapse.access.http.1",
                "1 \"GET /_matrix/client/v3/sync?access_token=PLANTED1 HTTP/1.1\"",
            ),
            ("synapse.access.http.1", "1 \"GET /x?access_token=PLANTED1 HTTP/1.1\""),
            (
                "synapse.access.http.1",
                "1 \"POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/PLANTED1/restart\"",
            ),
            (
                "synapse.access.http.1",
                "1 \"POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/syd_PLANTED1\"",
            ),
            ("synapse.http.server", "Authorization: Bearer PLANTED1 more"),
            ("synapse.http.server", "bearer PLANTED1 more"),
            ("synapse.http.server", "a syt_YWJj_PLANTED1_1 token"),
            ("synapse.handlers.e2e_keys", "{'body': 'PLANTED1 said'}"),
            ("synapse.9533_debug", "ciphertext='PLANTED1'"),
            ("synapse.handlers.delayed_events", "delay_id: PLANTED1"),
            ("synapse.handlers.delayed_events", "Unable to find delayed event syd_PLANTED1abc"),
            ("synapse.http.server", "cookie=PLANTED1; x"),
        ] {
            let told = kept(&of(logger, message)).unwrap();
            assert!(!told.contains("PLANTED1"), "{message} → {told}");
        }
        assert_eq!(kept(&of("synapse.storage.SQL", "INSERT PLANTED1")), None);
        assert_eq!(kept(&of("synapse.handlers.message", "PLANTED1")), None);
    }

    #[test]
    fn a_delay_is_told_from_another_by_its_digest() {
        let path = "1 \"POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/";
        let of_delay =
            |id: &str| kept(&of("synapse.access.http.1", &format!("{path}{id}/restart"))).unwrap();
        assert_eq!(of_delay("syd_one"), of_delay("syd_one"));
        assert_ne!(of_delay("syd_one"), of_delay("syd_two"));
        assert!(of_delay("syd_one").contains("/delayed_events/~"), "{}", of_delay("syd_one"));
    }
}
