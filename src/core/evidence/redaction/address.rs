//! IP addresses in text → `…`. What only looks like one, a version or a path of modules, stays.

use core::net::{Ipv4Addr, Ipv6Addr};

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::evidence::redaction::cut::CUT;
use crate::evidence::redaction::{Removed, Secret};

/// The text without addresses.
pub(crate) fn cut(text: &str, removed: &mut Removed) -> String {
    let mut word = |found: &Captures<'_>| {
        let word = &found[0];
        let bare = word.trim_end_matches(['.', ':']);
        // A port behind an address of the old kind.
        let host = bare.rsplit_once(':').filter(|(host, _)| !host.contains(':'));
        let host = host.map_or(bare, |(host, _)| host);
        let is_v6 = bare.bytes().any(|byte| byte.is_ascii_hexdigit())
            && (bare.parse::<Ipv6Addr>().is_ok() || mapped(bare));
        if host.parse::<Ipv4Addr>().is_ok() || is_v6 {
            removed.one(Secret::Address);
            return CUT.to_owned();
        }
        word.to_owned()
    };
    let text = WORD.replace_all(text, &mut word);
    // Glued to other letters, as in `ip192.0.2.1`, or with dashes, as reverse names write it.
    GLUED
        .replace_all(&text, |found: &Captures<'_>| {
            // With zeros in front it is one, too.
            let byte = |part: &str| part.parse::<u8>().is_ok();
            if !found["address"].split(['.', '-']).all(byte) {
                return found[0].to_owned();
            }
            removed.one(Secret::Address);
            format!("{}{}", &found["before"], CUT)
        })
        .into_owned()
}

/// An address behind a time or a name and a colon: `peer:2001:db8::1` is told by its tail.
fn mapped(word: &str) -> bool {
    word.match_indices(':').any(|(at, _)| {
        let tail = &word[at + 1..];
        !word[..at].ends_with(':')
            && tail.matches(':').count() >= 2
            && tail.len() > 3
            && tail.parse::<Ipv6Addr>().is_ok()
    })
}

static WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\w:.]+").unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
});
static GLUED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?P<before>^|[^\d.])(?P<address>\d{1,3}(?:\.\d{1,3}){3}|\d{1,3}(?:-\d{1,3}){3})\b")
        .unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_and_nothing_else_is() {
        for (text, expected) in [
            ("from 203.0.113.7:443 to [2001:db8::1]:8448.", "from … to […]:8448."),
            ("ip=::ffff:203.0.113.7, peer:2001:db8:1:2::3", "ip=…, …"),
            ("host-203-0-113-7.example ip203.0.113.9", "host-….example ip…"),
            ("from 203.0.113.082", "from …"),
            ("matrix_sdk_crypto::machine at 11:51:40.184", "same"),
            ("matrix-js-sdk@41.7.0 version 1.155.0 serde::de::add crates/x.rs:123", "same"),
        ] {
            let mut removed = Removed::default();
            let expected = if expected == "same" { text } else { expected };
            assert_eq!(cut(text, &mut removed), expected);
        }
    }
}
