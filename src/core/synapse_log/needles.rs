//! A line's bytes → whether it is worth reading. Runs on every line of a log, so it only searches.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::evidence::Subject;
use crate::synapse_log::loud_lines::{LoudLines, Word};

/// Words of the lines that matter; `/sync` only matters beside the subject's name.
const WORDS: [&str; 18] = [
    "synapse.handlers.e2e_keys",
    "already exists",
    "would leave the device",
    "/keys/upload",
    "/upload_keys_for_user",
    "cached result for",
    "STARTING SERVER",
    "Attempted to login as",
    "Got login request",
    "Logging in user",
    "validation error",
    "errors.pydantic.dev",
    "To-device message for",
    "Deleting devices [",
    "devices for user @",
    "task-delete_device_messages",
    "%0A",
    "%0a",
];
/// Of each of them a part that is rare in lines that say nothing, for the search over blocks. The name of
/// the subject stands for `/sync` beside it.
pub(crate) const RARE: [&str; 18] = [
    "e2e_keys",
    "already exists",
    "would leave the device",
    "keys/upload",
    "upload_keys_for_user",
    "cached result for",
    "STARTING SERVER",
    "Attempted to login as",
    "Got login request",
    "Logging in user",
    "validation error",
    "pydantic.dev",
    "To-device message for",
    "Deleting devices [",
    "devices for user @",
    "delete_device_messages",
    "%0A",
    "%0a",
];

static NEEDLES: LazyLock<Regex> = LazyLock::new(|| any(&WORDS));

/// These, and what everybody's moments are read from beside them: one search for lines of which most say
/// nothing.
static SPEAKS: LazyLock<Regex> =
    LazyLock::new(|| any(&[&WORDS[..], &["/delayed_events/", "Failed to introspect"]].concat()));

/// Plain words alone are searched all at once, without an automaton.
fn any(words: &[&str]) -> Regex {
    let escaped: Vec<_> = words.iter().map(|word| regex::escape(word)).collect();
    Regex::new(&escaped.join("|")).expect("constants")
}

static SYNC: LazyLock<Finder> = LazyLock::new(|| Finder::new("/sync"));
static PYDANTIC: LazyLock<Finder> = LazyLock::new(|| Finder::new("errors.pydantic.dev"));

/// The lines that may say something of the subject, that a client's text follows, or that have one of the readers' words.
pub(crate) fn loud_lines(subject: &Subject, mut words: Vec<Word>) -> LoudLines {
    words.extend(RARE.map(Word::Borrowed));
    words.push(Word::Owned(subject.user.to_string()));
    LoudLines::with(&words)
}

/// Whether a line may say something of the user's keys, or that a client's text follows.
pub(crate) fn matters(line: &[u8], user: &Finder) -> bool {
    NEEDLES.is_match(line) || SYNC.find(line).is_some() && user.find(line).is_some()
}

/// Of an access line only the request speaks.
static REQUESTS: LazyLock<Regex> =
    LazyLock::new(|| any(&["/keys/upload", "/upload_keys_for_user", "/delayed_events/"]));

/// Whether a line may say anything to one who watches everybody. Nearly every line is an access line.
pub(crate) fn speaks(line: &[u8], is_access: bool) -> bool {
    if !is_access {
        return SPEAKS.is_match(line);
    }
    // The first quote is before the request, or in a forwarded address before that.
    memchr::memchr(b'"', line).is_some_and(|quote| REQUESTS.is_match(&line[quote..]))
}

/// Whether one of pydantic's errors ends here.
pub(crate) fn ends_pydantic(line: &[u8]) -> bool {
    PYDANTIC.find(line).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synapse_log::access::access;
    use crate::synapse_log::delays::ended::restarts;

    #[test]
    fn each_rare_word_is_a_part_of_its_word() {
        for (word, rare) in WORDS.iter().zip(RARE) {
            assert!(word.contains(rare), "{word} {rare}");
        }
    }

    #[test]
    fn what_an_access_line_says_is_never_passed_over() {
        let mut state = 7u64;
        let mut pick = |all: &[&'static str]| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            all[(state >> 33) as usize % all.len()]
        };
        let addresses =
            ["1.1.1.1", "\"", "x\" \"y", "a - 8008 - {@v:s} Processed request: 0.1sec/0.1sec", ""];
        let uris = [
            "/_matrix/client/v3/keys/upload",
            "/_matrix/client/r0/keys/upload/D?x=1",
            "/_synapse/replication/upload_keys_for_user/x",
            "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/d/restart",
            "/_matrix/client/unstable/org.matrix.msc4140/delayed_events%2Fd/restart",
            "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/d",
            "/_matrix/client/v3/keys%2Fupload",
            "/_matrix/client/v3/sync?a=\"",
        ];
        let agents = ["a", "\"", "/keys/upload", "x\" [0 dbevts] /delayed_events/"];
        for _ in 0..20_000 {
            let method = pick(&["POST", "GET", "PUT"]);
            let address = pick(&addresses);
            let uri = pick(&uris);
            let agent = pick(&agents);
            let message = format!(
                "{address} - 8008 - {{None}} Processed request: 0.1sec/0.0sec ru=(0.1sec, 0.0sec) \
                 db=(0.0sec/0.0sec/0) 1B 429 \"{method} {uri} HTTP/1.1\" \"{agent}\" [0 dbevts]"
            );
            let Some(access) = access(&message) else { continue };
            let says = access.is_key_upload() || restarts(&access);
            assert!(!says || speaks(message.as_bytes(), true), "{message}");
        }
    }
}
